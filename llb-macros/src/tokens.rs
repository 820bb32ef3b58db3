//! Questions about Rust code that is passed on as it is.

use proc_macro2::{Ident, TokenStream, TokenTree};

/// Whether a name occurs anywhere in some code; format strings are looked into, because they name variables too.
pub(crate) fn mention(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mention(&group.stream(), name),
        TokenTree::Literal(literal) => literal.to_string().contains(&name.to_string()),
        TokenTree::Punct(_) => false,
    })
}

/// Whether a name occurs in some code, not counting what stands in its braces and brackets.
pub(crate) fn mention_outside_blocks(tokens: &TokenStream, name: &Ident) -> bool {
    let is_name = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == name);
    tokens.clone().into_iter().any(|token| is_name(&token))
}
