//! Writes the builder calls of a graph.
//!
//! The state is a variable named `state`, which Rust code in the graph can use too. Every call has the place of the
//! word it comes from, so that mistakes found later are reported at the user's line.

mod calls;

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Expr, Ident, LitStr};

use super::ast::{
    Block, Command, CommandWords, Else, EnvName, Forks, If, LayerBody, Setting, Statement,
    StatementKind,
};
use super::parse::literal;
use crate::errors::Errors;
use crate::shell;

/// Writes the block that gives the graph's value.
pub(super) fn graph(graph: &Block, errors: &mut Errors) -> TokenStream {
    let mut expander = Expander {
        errors,
        uses_constrain: false,
        forks: BTreeSet::new(),
    };
    let body = expander.graph(graph);
    let import = expander.uses_constrain.then(|| {
        quote!(
            use ::llb::Constrain as _;
        )
    });
    quote!({ #import #body })
}

struct Expander<'e> {
    errors: &'e mut Errors,
    /// Whether a method of the trait is called.
    uses_constrain: bool,
    /// Names that stand for one fork.
    forks: BTreeSet<String>,
}

impl Expander<'_> {
    fn graph(&mut self, graph: &Block) -> TokenStream {
        let state = state();
        let has_from = |statement: &Statement| matches!(statement.kind, StatementKind::From(_));
        let has_from = graph.statements.iter().any(has_from);
        let is_mutable = graph.changes_state().then(|| quote!(mut));
        let mut code = TokenStream::new();
        let mut value = None;
        for statement in &graph.statements {
            match &statement.kind {
                StatementKind::From(source) => {
                    let source = self.state_of(source);
                    code.extend(quote!(let #is_mutable #state = #source;));
                }
                StatementKind::Return(result) => value = Some(result),
                _ => code.extend(self.statement(statement)),
            }
        }
        match value {
            // The state may be unused in what is returned; it is the user's to decide.
            Some(value) if has_from => code.extend(quote!(let _ = &#state; #value)),
            Some(value) => value.to_tokens(&mut code),
            None => state.to_tokens(&mut code),
        }
        code
    }

    fn statements(&mut self, block: &Block) -> TokenStream {
        block
            .statements
            .iter()
            .map(|statement| self.statement(statement))
            .collect()
    }

    /// The function from state to state that a block is.
    fn closure(&mut self, block: &Block) -> TokenStream {
        let state = state();
        let is_mutable = block.changes_state().then(|| quote!(mut));
        let statements = self.statements(block);
        quote!(|#is_mutable #state| { #statements #state })
    }

    fn statement(&mut self, statement: &Statement) -> TokenStream {
        let (state, word) = (state(), &statement.word);
        let span = word.span();
        match &statement.kind {
            // Both belong to the graph; elsewhere they have been reported.
            StatementKind::From(_) | StatementKind::Return(_) => TokenStream::new(),
            StatementKind::Let(local) => local.to_token_stream(),
            StatementKind::Graph { name, body } => {
                let body = self.graph(body);
                quote!(let #name = { #body };)
            }
            StatementKind::Fork { name, body } => {
                let layer = self.layer(body);
                self.forks.insert(name.to_string());
                quote_spanned!(span=> let #name = #state.fork(#layer);)
            }
            StatementKind::Merge(forks) => {
                let forks = match forks {
                    // Any other single name is that of a list.
                    Forks::Named(names)
                        if names.len() == 1 && !self.forks.contains(&names[0].to_string()) =>
                    {
                        quote!(#(#names)*)
                    }
                    Forks::Named(names) => quote!([#(#names),*]),
                    Forks::Rust(forks) => quote!(#forks),
                };
                quote_spanned!(span=> #state = #state.merge(#forks);)
            }
            StatementKind::Layer(body) => {
                let layer = self.layer(body);
                quote_spanned!(span=> #state = #state.#word(#layer);)
            }
            StatementKind::Run(command) => {
                let command = self.command(command, span);
                quote_spanned!(span=> #state = #state.run(#command);)
            }
            StatementKind::Exec { name, command } => {
                let command = self.command(command, span);
                quote_spanned!(span=> let #name = #state.exec(#command);)
            }
            StatementKind::Action(action) => {
                let call = self.action(action);
                quote_spanned!(span=> #state = #state.#call;)
            }
            StatementKind::File(actions) => {
                let chain = self.chain(actions);
                quote_spanned!(span=> #state = #state.file(#chain);)
            }
            StatementKind::Env { name, value } => {
                let name = env_name(name);
                quote_spanned!(span=> #state = #state.#word(#name, #value);)
            }
            StatementKind::Label { name, value } => {
                quote_spanned!(span=> #state = #state.label(#name, #value);)
            }
            StatementKind::Value(value) => {
                let value = self.value(word, value);
                quote_spanned!(span=> #state = #state.#word(#value);)
            }
            StatementKind::Choice {
                enumeration,
                variant,
                span: place,
            } => {
                let (enumeration, variant) =
                    (Ident::new(enumeration, *place), Ident::new(variant, *place));
                quote_spanned!(span=> #state = #state.#word(::llb::#enumeration::#variant);)
            }
            StatementKind::If(choice) => self.choice(choice),
            StatementKind::For {
                pattern,
                values,
                body,
            } => {
                let body = self.statements(body);
                quote_spanned!(span=> for #pattern in #values { #body })
            }
            StatementKind::Match { value, arms } => {
                let arms: TokenStream = arms
                    .iter()
                    .map(|arm| {
                        let (pattern, body) = (&arm.pattern, self.statements(&arm.body));
                        let guard = arm.guard.as_ref().map(|guard| quote!(if #guard));
                        quote!(#pattern #guard => { #body })
                    })
                    .collect();
                quote_spanned!(span=> match #value { #arms })
            }
        }
    }

    fn choice(&mut self, choice: &If) -> TokenStream {
        let (condition, body) = (&choice.condition, self.statements(&choice.body));
        let otherwise = choice
            .otherwise
            .as_deref()
            .map(|otherwise| match otherwise {
                Else::If(next) => {
                    let next = self.choice(next);
                    quote!(else #next)
                }
                Else::Block(block) => {
                    let block = self.statements(block);
                    quote!(else { #block })
                }
            });
        quote!(if #condition { #body } #otherwise)
    }

    fn layer(&mut self, body: &LayerBody) -> TokenStream {
        match body {
            LayerBody::Rust(layer) => layer.to_token_stream(),
            LayerBody::Block { name: None, body } => self.closure(body),
            LayerBody::Block {
                name: Some(name),
                body,
            } => {
                let closure = self.closure(body);
                let span = name.span();
                let name = if name.value().contains(['{', '}']) {
                    quote_spanned!(span=> ::std::format!(#name))
                } else {
                    name.to_token_stream()
                };
                quote_spanned!(span=> ::llb::layer::named(#name, #closure))
            }
        }
    }

    fn command(&mut self, command: &Command, span: Span) -> TokenStream {
        let mut exec = match &command.words {
            CommandWords::Shell(text) => shell::command(text, self.errors),
            CommandWords::Arguments(arguments) => {
                let arguments = strings(arguments);
                quote_spanned!(span=> ::llb::args(#arguments))
            }
            CommandWords::Rust(exec) if command.settings.is_empty() => exec.to_token_stream(),
            CommandWords::Rust(exec) => quote!((#exec)),
        };
        for setting in &command.settings {
            exec.extend(self.setting(setting));
        }
        exec
    }

    fn setting(&mut self, setting: &Setting) -> TokenStream {
        match setting {
            Setting::Env { word, name, value } => {
                let name = env_name(name);
                quote!(.#word(#name, #value))
            }
            Setting::Mount(call) => self.mount(call),
            Setting::Flag(word) => {
                self.method(word);
                quote!(.#word())
            }
            Setting::Value { word, value } => {
                self.method(word);
                quote!(.#word(#value))
            }
            Setting::Choice {
                word,
                enumeration,
                variant,
                span,
            } => {
                let (enumeration, variant) =
                    (Ident::new(enumeration, *span), Ident::new(variant, *span));
                quote!(.#word(::llb::#enumeration::#variant))
            }
        }
    }

    /// The value of a method of `State`.
    fn value(&mut self, word: &Ident, value: &Expr) -> TokenStream {
        let is = |name: &str| word == name;
        if (is("workdir") || is("volume"))
            && let Some(path) = literal(value)
        {
            self.require_absolute(path);
        }
        match value {
            Expr::Array(array) if is("entrypoint") || is("cmd") => strings(array.elems.iter()),
            Expr::Lit(number) if is("expose") && literal(value).is_none() => {
                let text = LitStr::new(&number.lit.to_token_stream().to_string(), word.span());
                quote!(#text)
            }
            Expr::Reference(_) => quote!(#value),
            _ if is("platform") => quote!(&#value),
            _ => quote!(#value),
        }
    }
}

/// The variable that holds the state.
fn state() -> Ident {
    Ident::new("state", Span::call_site())
}

fn env_name(name: &EnvName) -> LitStr {
    match name {
        EnvName::Text(text) => text.clone(),
        EnvName::Ident(ident) => {
            let text = ident.to_string();
            LitStr::new(text.strip_prefix("r#").unwrap_or(&text), ident.span())
        }
    }
}

/// Words of any type of text as an array of one type.
fn strings<'v>(words: impl IntoIterator<Item = &'v Expr>) -> TokenStream {
    let words: Vec<&Expr> = words.into_iter().collect();
    match &words[..] {
        [] => quote!([""; 0]),
        words if words.iter().all(|word| literal(word).is_some()) => quote!([#(#words),*]),
        words => quote!([#(::std::string::String::from(#words)),*]),
    }
}
