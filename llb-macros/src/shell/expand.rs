//! Writes the call of `llb::sh`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Token};

use super::lex::{Kind, Piece, Place, Value, lex};
use crate::errors::Errors;

/// `sh!("text", name = value, …)`.
struct Call {
    text: LitStr,
    arguments: Vec<(Ident, Expr)>,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(LitStr) {
            let message = "expected a command line as a string literal: `sh!(\"pip install {package}\")`; \
                           for text made at run time, call `sh(text)`";
            return Err(input.error(message));
        }
        let text = input.parse()?;
        let mut arguments = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            if !(input.peek(Ident) && input.peek2(Token![=])) {
                return Err(input.error("expected a value with its name: `name = value`"));
            }
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            arguments.push((name, input.parse()?));
        }
        Ok(Self { text, arguments })
    }
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let call: Call = match syn::parse2(input) {
        Ok(call) => call,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!({ #error ::llb::sh("") });
        }
    };
    let mut errors = Errors::default();
    let (names, values): (Vec<_>, Vec<_>) = call.arguments.into_iter().unzip();
    let (command, used) = write(&call.text, &mut errors);
    for name in &names {
        if !used.iter().any(|expression| mentions(expression, name)) {
            errors.at(
                name,
                format!(
                    "`{name}` is not used in the command line: write `{{{name}}}` where it belongs"
                ),
            );
        }
    }
    if errors.is_empty() && names.is_empty() {
        return command;
    }
    let errors = errors.into_tokens();
    quote!({ #errors #(let #names = #values;)* #command })
}

/// The call that makes the exec of a command line.
pub(crate) fn command(text: &LitStr, errors: &mut Errors) -> TokenStream {
    write(text, errors).0
}

fn write(text: &LitStr, errors: &mut Errors) -> (TokenStream, Vec<Expr>) {
    let span = text.span();
    let (pieces, mistakes) = lex(&text.value());
    for mistake in mistakes {
        errors.here(span, mistake);
    }
    let mut format = String::new();
    let mut plain = String::new();
    let mut values = Vec::new();
    let mut expressions = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                format.push_str(&text.replace('{', "{{").replace('}', "}}"));
                plain.push_str(&text);
            }
            Piece::Value(value) => {
                let parsed = LitStr::new(&value.expression, span).parse::<Expr>();
                let Ok(expression) = parsed else {
                    let inside = &value.expression;
                    errors.here(
                        span,
                        format!(
                            "`{{{inside}}}` is no Rust expression: for braces of the shell, double them, `{{{{{inside}}}}}`"
                        ),
                    );
                    continue;
                };
                format.push_str("{}");
                values.push(write_value(&value, &expression, text));
                expressions.push(expression);
            }
        }
    }
    let command = if !errors.is_empty() {
        quote_spanned!(span=> ::llb::sh(""))
    } else if values.is_empty() {
        let plain = LitStr::new(&plain, span);
        quote_spanned!(span=> ::llb::sh(#plain))
    } else {
        let format = LitStr::new(&format, span);
        quote_spanned!(span=> ::llb::sh(::std::format!(#format, #(#values),*)))
    };
    (command, expressions)
}

fn write_value(value: &Value, expression: &Expr, text: &LitStr) -> TokenStream {
    let span = text.span();
    let formatted = match &value.kind {
        Kind::Raw => return quote_spanned!(span=> #expression),
        Kind::Words => {
            return quote_spanned!(span=> ::llb::value::shell::words(#expression));
        }
        Kind::Word => quote_spanned!(span=> &(#expression)),
        Kind::Formatted(format) => {
            let format = LitStr::new(&format!("{{:{format}}}"), span);
            quote_spanned!(span=> &::std::format_args!(#format, #expression))
        }
    };
    match value.place {
        Place::Bare => quote_spanned!(span=> ::llb::value::shell::word(#formatted)),
        Place::DoubleQuotes => {
            quote_spanned!(span=> ::llb::value::shell::in_double_quotes(#formatted))
        }
        Place::SingleQuotes => {
            quote_spanned!(span=> ::llb::value::shell::in_single_quotes(#formatted))
        }
    }
}

/// Whether a name occurs in an expression.
fn mentions(expression: &Expr, name: &Ident) -> bool {
    crate::tokens::mention(&quote!(#expression), name)
}
