//! What is wrong with a graph as a whole: where it begins and ends, and what becomes of its forks.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};

use super::ast::{Block, Else, Forks, If, LayerBody, Statement, StatementKind};
use crate::errors::Errors;
use crate::tokens;

/// Checks what `graph!` or a `graph` in it holds.
pub(super) fn graph(graph: &Block, errors: &mut Errors) {
    let mut has_state = false;
    for statement in &graph.statements {
        match &statement.kind {
            StatementKind::From(_) if has_state => errors.at(
                &statement.word,
                "found a second `from`: a graph begins once; begin another with `graph name { from … }`",
            ),
            StatementKind::From(_) => has_state = true,
            StatementKind::Let(_) | StatementKind::Graph { .. } | StatementKind::Return(_) => {}
            // A `from` that could not be read has been reported.
            _ if !has_state && !begins(&graph.tokens) => {
                errors.at(
                    &statement.word,
                    "found no `from` before this: a graph begins with `from image(\"debian\");` or `from scratch;`",
                );
                has_state = true;
            }
            _ => {}
        }
    }
    if !has_state && !graph.returns_value() && !begins(&graph.tokens) {
        errors.here(
            graph.span,
            "found no `from`: a graph begins with `from image(\"debian\");` or `from scratch;`",
        );
    }
    let last = graph.statements.len().saturating_sub(1);
    for (position, statement) in graph.statements.iter().enumerate() {
        if matches!(statement.kind, StatementKind::Return(_)) && position != last {
            errors.at(
                &statement.word,
                "`return` gives the value of the graph: it must be the last statement",
            );
        }
    }
    block(graph, errors);
}

/// Checks a block in a graph, which goes on from a state that is there.
fn inner(inner: &Block, errors: &mut Errors) {
    for statement in &inner.statements {
        match &statement.kind {
            StatementKind::From(_) => errors.at(
                &statement.word,
                "found `from` in a block, which goes on from the state around it; begin another graph with `graph name { from … }`",
            ),
            StatementKind::Return(_) => errors.at(
                &statement.word,
                "found `return` in a block, whose value is its state; return from the graph around it",
            ),
            _ => {}
        }
    }
    block(inner, errors);
}

/// Checks what holds in every block.
fn block(block: &Block, errors: &mut Errors) {
    forks(block, errors);
    for statement in &block.statements {
        match &statement.kind {
            StatementKind::Graph { body, .. } => graph(body, errors),
            StatementKind::Fork {
                body: LayerBody::Block { body, .. },
                ..
            }
            | StatementKind::Layer(LayerBody::Block { body, .. })
            | StatementKind::For { body, .. } => inner(body, errors),
            StatementKind::If(choice) => choices(choice, errors),
            StatementKind::Match { arms, .. } => {
                for arm in arms {
                    inner(&arm.body, errors);
                }
            }
            _ => {}
        }
    }
}

fn choices(choice: &If, errors: &mut Errors) {
    inner(&choice.body, errors);
    match choice.otherwise.as_deref() {
        Some(Else::If(next)) => choices(next, errors),
        Some(Else::Block(block)) => inner(block, errors),
        None => {}
    }
}

/// A fork has a name of its own, is used, and is merged before the state goes on.
fn forks(block: &Block, errors: &mut Errors) {
    // What changed the state since each fork left it.
    let mut left: BTreeMap<String, Option<&Statement>> = BTreeMap::new();
    for statement in &block.statements {
        match &statement.kind {
            StatementKind::Fork { name, .. } => {
                if left.insert(name.to_string(), None).is_some() {
                    errors.at(
                        name,
                        format!("found a second fork `{name}`: give each fork a name of its own"),
                    );
                } else if count(&block.tokens, name) < 2 {
                    errors.at(
                        name,
                        format!("the fork `{name}` is never used: add it to a merge, `merge {name} + …;`, or remove it"),
                    );
                }
            }
            StatementKind::Merge(Forks::Named(names)) => {
                for name in names {
                    merged(name, left.get(&name.to_string()).copied().flatten(), errors);
                }
            }
            _ => {}
        }
        if statement.kind.changes_files() {
            for changed in left.values_mut().filter(|changed| changed.is_none()) {
                *changed = Some(statement);
            }
        }
    }
}

fn merged(name: &Ident, changed_by: Option<&Statement>, errors: &mut Errors) {
    let Some(changed_by) = changed_by else {
        return;
    };
    let message = if matches!(changed_by.kind, StatementKind::Merge(_)) {
        format!(
            "the fork `{name}` left the state before an earlier `merge`: merge forks of one state together"
        )
    } else {
        format!(
            "the fork `{name}` left the state before this graph's `{}`: merge forks before the state goes on",
            changed_by.word
        )
    };
    errors.at(name, message);
}

fn count(code: &TokenStream, name: &Ident) -> usize {
    code.clone()
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) => usize::from(ident == *name),
            TokenTree::Group(group) => count(&group.stream(), name),
            _ => 0,
        })
        .sum()
}

/// Whether `from` stands in the code, even if it could not be read.
fn begins(code: &TokenStream) -> bool {
    let from = Ident::new("from", proc_macro2::Span::call_site());
    tokens::mention_outside_blocks(code, &from)
}
