//! What a vertex does, ready to be encoded.
//!
//! Builders make these; everything a user can say is checked and resolved by then. Ops refer to the inputs of their
//! vertex by position.

pub(crate) mod exec;
pub(crate) mod exec_message;
pub(crate) mod file;
pub(crate) mod source;

pub(crate) use exec::ExecOp;
pub(crate) use file::FileOp;
pub(crate) use source::SourceOp;

use crate::definition::DefinitionOp;
use crate::state::Step;
use crate::value::platform::Platform;

#[derive(Debug)]
pub(crate) enum Op {
    /// Few ops of a graph are sources, and they are large.
    Source(Box<SourceOp>),
    Exec(ExecOp),
    File(FileOp),
    Merge(MergeOp),
    Diff(DiffOp),
    Build(BuildOp),
    Passthrough(PassthroughOp),
    Embedded(Box<EmbeddedOp>),
    /// No op yet: resolved before a graph is marshalled, and never the input of another op.
    Deferred(Box<Step>),
}

/// Lays all inputs over each other.
#[derive(Debug)]
pub(crate) struct MergeOp {
    /// Whether the daemon is asked for the capability.
    pub(crate) requires_capability: bool,
}

/// The difference between two inputs; an absent one is scratch.
#[derive(Debug)]
pub(crate) struct DiffOp {
    pub(crate) lower: Option<u32>,
    pub(crate) upper: Option<u32>,
}

/// Solves a definition found in the input.
#[derive(Debug)]
pub(crate) struct BuildOp {
    pub(crate) filename: Option<String>,
}

/// An op of another definition, kept as it is there.
#[derive(Debug)]
pub(crate) struct EmbeddedOp {
    /// Its locations count the source files of that definition; those of the vertex are the same places.
    pub(crate) op: DefinitionOp,
    pub(crate) platform: Option<Platform>,
}

/// Hands inputs on once all of them are solved.
#[derive(Debug)]
pub(crate) struct PassthroughOp {
    pub(crate) id: String,
    /// Positions of the inputs that come out again.
    pub(crate) outputs: Vec<u32>,
}
