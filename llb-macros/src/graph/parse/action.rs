//! Reads file actions.

use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Expr, Ident, Token, braced, token};

use super::super::ast::{Action, ActionKind};
use super::super::suggest::nearest;
use super::super::words;
use super::command::{push_option, without_parentheses};
use super::value;
use crate::errors::Errors;

/// The block of `file`.
pub(super) fn actions(
    word: &Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<Vec<Action>> {
    if !input.peek(token::Brace) {
        return Err(input.error("expected file actions: `file { mkdir \"/a\"; rm \"/b\"; }`"));
    }
    let content;
    braced!(content in input);
    let mut actions = Vec::new();
    while !content.is_empty() {
        let word = content.call(Ident::parse_any)?;
        if words::find(words::ACTIONS, &word.to_string()).is_none() {
            let names = words::ACTIONS.iter().map(|word| word.name);
            let help = match nearest(&word.to_string(), names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "expected `copy`, `mkdir`, `mkfile`, `symlink` or `rm`".to_owned(),
            };
            return Err(syn::Error::new(
                word.span(),
                format!("unknown file action `{word}`: {help}"),
            ));
        }
        actions.push(action(word, &content, errors)?);
        if !content.peek(Token![;]) {
            return Err(content.error("expected `;` at the end of this file action"));
        }
        content.parse::<Token![;]>()?;
    }
    if actions.is_empty() {
        return Err(syn::Error::new(
            word.span(),
            "found no file action, expected at least one",
        ));
    }
    Ok(actions)
}

pub(super) fn action(
    word: Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<Action> {
    let known = words::find(words::ACTIONS, &word.to_string()).expect("the caller looked it up");
    let kind = match known.name {
        "copy" => {
            let from = value(input, errors)?;
            if input.peek(Token![=>]) {
                return Err(input.error(
                    "expected what to copy from, and the path in it: `copy local(\"context\") \".\" => \"/src\";`",
                ));
            }
            let source = input.parse()?;
            arrow(input, "copy local(\"context\") \".\" => \"/src\";")?;
            let destination = input.parse()?;
            ActionKind::Copy {
                from,
                source,
                destination,
            }
        }
        "mkdir" => ActionKind::Mkdir {
            path: input.parse()?,
        },
        "mkfile" => {
            let (path, data) = assignment(&word, input, "mkfile \"/etc/motd\" = \"hello\\n\";")?;
            ActionKind::Mkfile { path, data }
        }
        "symlink" => {
            let new = input.parse()?;
            arrow(input, "symlink \"/usr/bin/python\" => \"python3\";")?;
            let old = input.parse()?;
            ActionKind::Symlink { new, old }
        }
        _ => ActionKind::Rm {
            path: input.parse()?,
        },
    };
    let mut options = Vec::new();
    while input.peek(Ident) {
        let key: Ident = input.parse()?;
        let is_flag = known.flags.iter().any(|flag| key == flag);
        let has_value = !is_flag && !input.peek(Token![;]) && !input.is_empty();
        let value = if has_value {
            super::refuse_equals(&key, input)?;
            Some(without_parentheses(input.parse()?))
        } else {
            None
        };
        push_option(known, &mut options, key, value, errors);
    }
    Ok(Action {
        word,
        kind,
        options,
    })
}

fn arrow(input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    if !input.peek(Token![=>]) {
        return Err(input.error(format!("expected `=>` and a path: `{example}`")));
    }
    input.parse::<Token![=>]>()?;
    Ok(())
}

/// `left = right`, which Rust reads as one expression.
pub(super) fn assignment(
    word: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<(Expr, Expr)> {
    match input.parse()? {
        Expr::Assign(assignment) => Ok((*assignment.left, *assignment.right)),
        other => Err(syn::Error::new_spanned(
            other,
            format!("expected a name, `=` and a value behind `{word}`: `{example}`"),
        )),
    }
}
