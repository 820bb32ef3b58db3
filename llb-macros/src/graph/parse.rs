//! Reads the statements of a graph.
//!
//! A statement that cannot be read is reported and left out, up to its semicolon or the end of its block, so that one
//! compilation reports the mistakes of all statements.

mod action;
mod command;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Ident, LitStr, Pat, Stmt, Token, braced, token};

pub(super) use command::literal;

use super::ast::{Arm, Block, Else, Forks, If, LayerBody, Statement, StatementKind, Value};
use super::suggest::nearest;
use super::words;
use crate::errors::Errors;

/// Reads the whole of `graph!`.
pub(super) fn graph(input: TokenStream, errors: &mut Errors) -> Block {
    let parser = |input: ParseStream<'_>| Ok(statements(input, Span::call_site(), errors));
    parser
        .parse2(input)
        .expect("statements consumes all of its input and reports mistakes on its own")
}

fn statements(input: ParseStream<'_>, span: Span, errors: &mut Errors) -> Block {
    let mut block = Block {
        statements: Vec::new(),
        tokens: input.fork().parse().unwrap_or_default(),
        span,
    };
    while !input.is_empty() {
        let ahead = input.fork();
        match statement(&ahead, errors) {
            Ok(statement) => {
                input.advance_to(&ahead);
                block.statements.push(statement);
            }
            Err(error) => {
                errors.push(error);
                skip(input);
            }
        }
    }
    block
}

/// Leaves the rest of a statement out.
fn skip(input: ParseStream<'_>) {
    while let Ok(token) = input.parse::<TokenTree>() {
        let is_block = matches!(&token, TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace);
        let is_end = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';');
        if is_end || (is_block && !input.peek(Token![;]) && !input.peek(Token![else])) {
            return;
        }
    }
}

fn statement(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Statement> {
    if input.peek(Token![let]) {
        let word = input.fork().call(Ident::parse_any)?;
        let Stmt::Local(local) = input.parse()? else {
            return Err(syn::Error::new(word.span(), "expected `let name = value;`"));
        };
        let kind = StatementKind::Let(Box::new(local));
        return Ok(Statement { word, kind });
    }
    if input.peek(Token![;]) {
        return Err(input.error("found an empty statement: remove the semicolon"));
    }
    if !input.peek(Ident::peek_any) {
        return Err(
            input.error("expected a statement, which begins with a word such as `run` or `copy`")
        );
    }
    let word = input.call(Ident::parse_any)?;
    let kind = kind(&word, input, errors)?;
    if ends_in_block(&kind) {
        input.parse::<Option<Token![;]>>()?;
    } else if input.peek(Token![;]) {
        input.parse::<Token![;]>()?;
    } else {
        let message = format!("expected `;` at the end of this `{word}`");
        return Err(if input.is_empty() {
            syn::Error::new(word.span(), message)
        } else {
            input.error(message)
        });
    }
    Ok(Statement { word, kind })
}

fn ends_in_block(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Graph { .. }
            | StatementKind::Fork {
                body: LayerBody::Block { .. },
                ..
            }
            | StatementKind::Layer(LayerBody::Block { .. })
            | StatementKind::File(_)
            | StatementKind::If(_)
            | StatementKind::For { .. }
            | StatementKind::Match { .. }
    )
}

fn kind(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<StatementKind> {
    let name = word.to_string();
    Ok(match &*name {
        "from" => StatementKind::From(value(input, errors)?),
        "graph" => StatementKind::Graph {
            name: block_name(word, input)?,
            body: block(word, input, errors)?,
        },
        "fork" => StatementKind::Fork {
            name: block_name(word, input)?,
            body: match input.parse::<Option<Token![=]>>()? {
                Some(_) => LayerBody::Rust(input.parse()?),
                None => LayerBody::Block {
                    name: None,
                    body: block(word, input, errors)?,
                },
            },
        },
        "merge" => StatementKind::Merge(forks(input)?),
        "layer" | "squash" => StatementKind::Layer(layer(word, input, errors)?),
        "run" => StatementKind::Run(command::command(word, input, errors)?),
        "exec" => {
            let name = block_name(word, input)?;
            input.parse::<Token![=]>()?;
            let command = command::command(word, input, errors)?;
            StatementKind::Exec { name, command }
        }
        "file" => StatementKind::File(action::actions(word, input, errors)?),
        "label" => {
            let (name, value) =
                action::assignment(word, input, "label \"org.example.key\" = \"value\";")?;
            StatementKind::Label { name, value }
        }
        "if" => StatementKind::If(condition(word, input, errors)?),
        "for" => {
            let pattern = Pat::parse_multi_with_leading_vert(input)?;
            input.parse::<Token![in]>()?;
            let values = Expr::parse_without_eager_brace(input)?;
            let body = block(word, input, errors)?;
            StatementKind::For {
                pattern,
                values,
                body,
            }
        }
        "match" => arms(word, input, errors)?,
        "return" => StatementKind::Return(input.parse()?),
        _ if words::find(words::ACTIONS, &name).is_some() => {
            StatementKind::Action(action::action(word.clone(), input, errors)?)
        }
        _ if words::ENVS.contains(&&*name) => {
            let (name, value) = command::env(word, input)?;
            StatementKind::Env { name, value }
        }
        _ if words::VALUES.contains(&&*name) => {
            refuse_equals(word, input)?;
            StatementKind::Value(input.parse()?)
        }
        _ => match command::choice(word, input)? {
            Some((enumeration, variant, span)) => StatementKind::Choice {
                enumeration,
                variant,
                span,
            },
            None => return Err(unknown_statement(word)),
        },
    })
}

fn unknown_statement(word: &Ident) -> syn::Error {
    let found = word.to_string();
    let other_name = words::OTHER_NAMES
        .iter()
        .find(|(name, _)| *name == found.to_lowercase())
        .map(|&(_, name)| name);
    let lower = found.to_lowercase();
    let exact = words::all_statements().find(|known| *known == lower);
    let help = match other_name.or(exact).or_else(|| nearest(&lower, words::all_statements())) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "expected a word such as `run`, `copy`, `env`, `fork` or `merge`; for Rust code, write `let` or `layer`".to_owned(),
    };
    syn::Error::new(word.span(), format!("unknown statement `{found}`: {help}"))
}

/// A value that is written as in other languages.
fn refuse_equals(word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) && !input.peek(Token![==]) {
        return Err(input.error(format!(
            "`{word}` has no `=` before its value: write `{word} value`"
        )));
    }
    Ok(())
}

fn block_name(word: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(Ident) {
        return input.parse();
    }
    Err(input.error(format!("expected a name: `{word} name {{ … }}`")))
}

fn block(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Block> {
    if !input.peek(token::Brace) {
        return Err(input.error(format!("expected the block of this `{word}`: `{{ … }}`")));
    }
    let content;
    let brace = braced!(content in input);
    Ok(statements(&content, brace.span.join(), errors))
}

fn forks(input: ParseStream<'_>) -> syn::Result<Forks> {
    let ahead = input.fork();
    let mut names = Vec::new();
    while ahead.peek(Ident) {
        names.push(ahead.parse()?);
        if ahead.parse::<Option<Token![+]>>()?.is_none() {
            break;
        }
    }
    if !names.is_empty() && ahead.peek(Token![;]) {
        input.advance_to(&ahead);
        return Ok(Forks::Named(names));
    }
    if input.peek(Token![;]) {
        return Err(input.error("expected the forks to merge: `merge tools + python;`"));
    }
    input.parse().map(Forks::Rust)
}

fn layer(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<LayerBody> {
    if input.peek(token::Brace) {
        let (name, body) = (None, block(word, input, errors)?);
        return Ok(LayerBody::Block { name, body });
    }
    if input.peek(LitStr) {
        let (name, body) = (Some(input.parse()?), block(word, input, errors)?);
        return Ok(LayerBody::Block { name, body });
    }
    input.parse().map(LayerBody::Rust)
}

fn condition(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<If> {
    let condition = Expr::parse_without_eager_brace(input)?;
    let body = block(word, input, errors)?;
    let mut otherwise = None;
    if input.parse::<Option<Token![else]>>()?.is_some() {
        otherwise = Some(Box::new(
            if input.parse::<Option<Token![if]>>()?.is_some() {
                Else::If(self::condition(word, input, errors)?)
            } else {
                Else::Block(block(word, input, errors)?)
            },
        ));
    }
    Ok(If {
        condition,
        body,
        otherwise,
    })
}

fn arms(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<StatementKind> {
    let value = Expr::parse_without_eager_brace(input)?;
    let content;
    braced!(content in input);
    let mut arms = Vec::new();
    while !content.is_empty() {
        let pattern = Pat::parse_multi_with_leading_vert(&content)?;
        let guard = match content.parse::<Option<Token![if]>>()? {
            Some(_) => Some(content.parse()?),
            None => None,
        };
        content.parse::<Token![=>]>()?;
        let body = block(word, &content, errors)?;
        content.parse::<Option<Token![,]>>()?;
        arms.push(Arm {
            pattern,
            guard,
            body,
        });
    }
    Ok(StatementKind::Match { value, arms })
}

/// What can stand where a state is wanted.
fn value(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Value> {
    if input.peek(Ident) {
        let ahead = input.fork();
        let function: Ident = ahead.parse()?;
        let goes_on = ahead.peek(token::Paren)
            || ahead.peek(Token![.])
            || ahead.peek(Token![::])
            || ahead.peek(Token![!]);
        if function == "scratch" && !goes_on {
            input.advance_to(&ahead);
            return Ok(Value::Scratch(function));
        }
        if let Some(word) = words::find(words::SOURCES, &function.to_string())
            && ahead.peek(token::Paren)
        {
            let behind = input.fork();
            behind.parse::<Ident>()?;
            behind.parse::<TokenTree>()?;
            if !behind.peek(Token![.]) && !behind.peek(Token![?]) {
                input.advance_to(&ahead);
                return command::call(word, function, input, errors).map(Value::Call);
            }
        }
    }
    input.parse().map(Value::Rust)
}
