//! Reads commands and their settings, and calls of known functions with options.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token, parenthesized, token};

use super::super::ast::{Call, CallOption, Command, CommandWords, EnvName, Setting, Value};
use super::super::suggest::nearest;
use super::super::words::{self, Word};
use super::{refuse_equals, value};
use crate::errors::Errors;

pub(super) fn command(
    word: &Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<Command> {
    if input.peek(Token![;]) || input.is_empty() {
        return Err(input.error(format!(
            "expected the command to {word}: `{word} \"make install\";`"
        )));
    }
    let words = if input.peek(LitStr) && !input.peek2(Token![.]) {
        CommandWords::Shell(input.parse()?)
    } else {
        match input.parse()? {
            Expr::Array(array) => CommandWords::Arguments(array.elems.into_iter().collect()),
            other => CommandWords::Rust(other),
        }
    };
    let mut settings = Vec::new();
    let is_with = |input: ParseStream<'_>| {
        input.peek(Ident)
            && input
                .fork()
                .parse::<Ident>()
                .is_ok_and(|word| word == "with")
    };
    if is_with(input) {
        input.parse::<Ident>()?;
        loop {
            settings.push(setting(input, errors)?);
            if input.parse::<Option<Token![,]>>()?.is_none() || input.peek(Token![;]) {
                break;
            }
        }
    }
    Ok(Command { words, settings })
}

fn setting(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Setting> {
    if !input.peek(Ident::peek_any) {
        return Err(
            input.error("expected a mount or a setting, such as `cache(…)` or `dir \"/src\"`")
        );
    }
    let word = input.call(Ident::parse_any)?;
    let name = word.to_string();
    if name == "env" {
        let (name, value) = env(&word, input)?;
        return Ok(Setting::Env { word, name, value });
    }
    if let Some(known) = words::find(words::MOUNTS, &name) {
        return call(known, word, input, errors).map(Setting::Mount);
    }
    if words::EXEC_FLAGS.contains(&&*name) {
        return Ok(Setting::Flag(word));
    }
    if words::EXEC_VALUES.contains(&&*name) {
        refuse_equals(&word, input)?;
        let value = without_parentheses(input.parse()?);
        return Ok(Setting::Value { word, value });
    }
    if let Some((enumeration, variant, span)) = choice(&word, input)? {
        return Ok(Setting::Choice {
            word,
            enumeration,
            variant,
            span,
        });
    }
    let help = match nearest(&name, words::all_settings()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "expected a mount or a setting, such as `cache(…)`, `env NAME = value` or `dir \"/src\"`; for Rust code, write `mount value`".to_owned(),
    };
    Err(syn::Error::new(
        word.span(),
        format!("unknown setting `{name}`: {help}"),
    ))
}

/// `NAME = value`.
pub(super) fn env(word: &Ident, input: ParseStream<'_>) -> syn::Result<(EnvName, Expr)> {
    let name = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let value = text.value();
        if value.is_empty() || value.contains(['=', '\0']) {
            return Err(syn::Error::new(
                text.span(),
                format!(
                    "found {value:?}, expected the name of an environment variable: not empty, and without `=`"
                ),
            ));
        }
        EnvName::Text(text)
    } else if input.peek(Ident::peek_any) {
        EnvName::Ident(input.call(Ident::parse_any)?)
    } else {
        return Err(input.error(format!(
            "expected the name of an environment variable: `{word} LANG = \"C.UTF-8\";`"
        )));
    };
    if !input.peek(Token![=]) {
        return Err(input.error(format!("expected `=` and a value: `{word} NAME = value`")));
    }
    input.parse::<Token![=]>()?;
    Ok((name, input.parse()?))
}

type Choice = (&'static str, &'static str, Span);

/// `host` behind `network`; nothing if the word takes no variant.
pub(super) fn choice(word: &Ident, input: ParseStream<'_>) -> syn::Result<Option<Choice>> {
    let Some(choice) = words::CHOICES.iter().find(|choice| word == choice.name) else {
        return Ok(None);
    };
    let names = choice.variants.iter().map(|&(name, _)| name);
    let expected = format!("expected one of {}", list(names));
    if !input.peek(Ident::peek_any) {
        return Err(input.error(expected));
    }
    let found = input.call(Ident::parse_any)?;
    let Some((_, variant)) = choice.variants.iter().find(|(name, _)| found == name) else {
        return Err(syn::Error::new(
            found.span(),
            format!("found `{found}`, {expected}"),
        ));
    };
    Ok(Some((choice.enumeration, variant, found.span())))
}

/// The values and options of a known function, with or without parentheses.
pub(super) fn call(
    word: &'static Word,
    function: Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<Call> {
    let mut call = Call {
        function,
        arguments: Vec::new(),
        options: Vec::new(),
    };
    let mut arguments: Vec<Option<Value>> = word.arguments.iter().map(|_| None).collect();
    if input.peek(token::Paren) {
        let content;
        parenthesized!(content in input);
        while !content.is_empty() {
            item(word, &content, &mut arguments, &mut call.options, errors)?;
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
    }
    for (name, argument) in word.arguments.iter().zip(arguments) {
        match argument {
            Some(argument) => call.arguments.push(argument),
            None => {
                return Err(syn::Error::new(
                    call.function.span(),
                    format!(
                        "`{0}` has no {name}: expected `{0}({1})`",
                        word.name,
                        word.arguments.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(call)
}

fn item(
    word: &'static Word,
    content: ParseStream<'_>,
    arguments: &mut [Option<Value>],
    options: &mut Vec<CallOption>,
    errors: &mut Errors,
) -> syn::Result<()> {
    let is_keyed = content.peek(Ident) && content.peek2(Token![=]) && !content.peek2(Token![==]);
    if is_keyed {
        let key: Ident = content.parse()?;
        content.parse::<Token![=]>()?;
        if let Some(position) = word.arguments.iter().position(|name| key == name) {
            let value = argument(word.arguments[position], content, errors)?;
            if arguments[position].replace(value).is_some() {
                errors.at(&key, format!("`{key}` is given twice"));
            }
            return Ok(());
        }
        let value = Some(content.parse()?);
        push_option(word, options, key, value, errors);
        return Ok(());
    }
    let is_lone = content.peek(Ident) && (content.peek2(Token![,]) || is_last(content));
    let next = arguments.iter().position(Option::is_none);
    if is_lone {
        let flag = content.fork().parse::<Ident>()?;
        if next.is_none() || words_contain(word.flags, &flag) {
            content.parse::<Ident>()?;
            push_option(word, options, flag, None, errors);
            return Ok(());
        }
    }
    let Some(next) = next else {
        let extra: Expr = content.parse()?;
        errors.at(
            extra,
            format!(
                "`{0}` takes no further value: expected `{0}({1})` and options",
                word.name,
                word.arguments.join(", ")
            ),
        );
        return Ok(());
    };
    arguments[next] = Some(argument(word.arguments[next], content, errors)?);
    Ok(())
}

fn is_last(content: ParseStream<'_>) -> bool {
    let ahead = content.fork();
    ahead.parse::<Ident>().is_ok() && ahead.is_empty()
}

fn argument(name: &str, content: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Value> {
    if name == "source" {
        value(content, errors)
    } else {
        content.parse().map(Value::Rust)
    }
}

fn words_contain(words: &[&str], word: &Ident) -> bool {
    words.iter().any(|known| word == known)
}

/// Records an option that the word has; others are mistakes.
pub(super) fn push_option(
    word: &'static Word,
    options: &mut Vec<CallOption>,
    key: Ident,
    value: Option<Expr>,
    errors: &mut Errors,
) {
    let (is_flag, is_key) = (
        words_contain(word.flags, &key),
        words_contain(word.keys, &key),
    );
    let problem = match &value {
        None if is_key => Some(format!("`{key}` needs a value")),
        Some(_) if is_flag => Some(format!(
            "`{key}` is a switch and has no value: write `{key}`"
        )),
        _ if !is_flag && !is_key => {
            let all = word.flags.iter().chain(word.keys).copied();
            let help = match nearest(&key.to_string(), all.clone()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("expected one of {}", list(all)),
            };
            Some(format!("unknown option `{key}` of `{}`: {help}", word.name))
        }
        _ if options.iter().any(|option| option.key == key) => {
            Some(format!("`{key}` is given twice"))
        }
        _ => None,
    };
    match problem {
        Some(problem) => errors.at(key, problem),
        None => options.push(CallOption { key, value }),
    }
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

pub(super) fn without_parentheses(value: Expr) -> Expr {
    match value {
        Expr::Paren(inside) => *inside.expr,
        other => other,
    }
}

/// The text of a string literal.
pub(in super::super) fn literal(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text),
        _ => None,
    }
}
