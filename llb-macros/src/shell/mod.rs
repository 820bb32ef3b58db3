//! `sh!`: a command line with values in it.

mod expand;
mod lex;

pub(crate) use expand::{command, expand};
