//! Reading graphs: pure functions over definitions, whoever made them.

pub(crate) mod canonical;
pub(crate) mod graph;
mod name;
mod text;
