//! `graph!`: a build from top to bottom.
//!
//! ```text
//! graph     = statement*                        ; one `from`, before anything that changes the state
//! block     = "{" statement* "}"                ; of a fork, a layer, a condition: without `from`
//! statement = "from" source ";"
//!           | "graph" name "{" graph "}"        ; another state, by name
//!           | "fork" name block | "fork" name "=" layer ";"
//!           | "merge" name ("+" name)* ";" | "merge" forks ";"
//!           | ("layer" | "squash") ([text] block | layer ";")
//!           | "run" command ["with" setting ("," setting)*] ";"
//!           | "exec" name "=" command ["with" setting ("," setting)*] ";"
//!           | action ";" | "file" "{" (action ";")* "}"
//!           | ("env" | "build_env" | "image_env") name "=" value ";"
//!           | "label" name "=" value ";"
//!           | value-word value ";"              ; `dir`, `workdir`, `user`, `expose`, …: see `words`
//!           | "if" condition block ["else" (if | block)]
//!           | "for" pattern "in" values block
//!           | "match" value "{" (pattern ["if" guard] "=>" block)* "}"
//!           | "let" …                           ; as in Rust
//!           | "return" value ";"                ; last
//! action    = "copy" source path "=>" path option*
//!           | "mkdir" path option* | "mkfile" path "=" content option*
//!           | "symlink" new "=>" old option* | "rm" path option*
//! command   = string | array | exec
//! source    = known "(" value* option* ")" | "scratch" | state
//! ```
//!
//! Everything else is Rust. [`parse`] reads it and goes on after a mistake, [`check`] finds what only the whole shows,
//! [`expand`] writes the builder calls; [`words`] holds the words with their options.

mod ast;
mod check;
mod expand;
mod parse;
mod suggest;
mod words;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let graph = parse::graph(input, &mut errors);
    check::graph(&graph, &mut errors);
    let code = expand::graph(&graph, &mut errors);
    if errors.is_empty() {
        return code;
    }
    let errors = errors.into_tokens();
    // A value of the likely type, so that one mistake here is not ten where the graph is used.
    if graph.returns_value() {
        quote!({ #errors ::core::unreachable!() })
    } else {
        quote!({ #errors ::llb::State::scratch() })
    }
}
