//! The macros of the crate `llb`, which re-exports and documents them.
//!
//! Each macro is a pipeline of files: what was written is read into a small syntax tree, checked, and expanded to calls
//! of public functions of `llb` that a person could have written. All mistakes of one invocation are reported at once,
//! each at the user's own tokens.
//!
//! They cost little: checking a program of one graph with 100 ops takes rustc 44 ms with `graph!`, 41 ms with builder
//! calls and `sh!`, 38 ms with builder calls alone, and 22 ms without the graph (user time, means of 30 runs of
//! `--emit=metadata` on one machine, this crate unoptimized).
//!
//! **Invariant.** Nothing here knows what BuildKit does: a macro writes builder calls, and whatever a builder call can
//! check at run time stays there.

mod builder;
mod errors;
mod graph;
mod layer;
mod shell;
mod tokens;

use proc_macro::TokenStream;

#[expect(missing_docs, reason = "documented at `llb::builder`")]
#[proc_macro_attribute]
pub fn builder(options: TokenStream, function: TokenStream) -> TokenStream {
    builder::expand(options.into(), &function.into()).into()
}

#[expect(missing_docs, reason = "documented at `llb::graph`")]
#[proc_macro]
pub fn graph(input: TokenStream) -> TokenStream {
    graph::expand(input.into()).into()
}

#[expect(missing_docs, reason = "documented at `llb::layer`")]
#[proc_macro_attribute]
pub fn layer(options: TokenStream, function: TokenStream) -> TokenStream {
    layer::expand(options.into(), &function.into()).into()
}

#[expect(missing_docs, reason = "documented at `llb::sh`")]
#[proc_macro]
pub fn sh(input: TokenStream) -> TokenStream {
    shell::expand(input.into()).into()
}
