//! What was replaced, by what, and what that means.

use std::fmt;

use crate::definition::OpDigest;
use crate::value::Capability;

/// A part of a graph that the engine cannot run, and what stands in its place.
///
/// It prints as one line: `%app (builder.rs:12): merge -> apply: the same files (the engine has no mergeop)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lowering {
    /// The op, by its name in the text form, such as `%merge-base`.
    pub op: String,
    /// The digest that the op had.
    pub digest: OpDigest,
    /// The file and line (from 1) that the op comes from, if the definition says so.
    pub place: Option<(String, i32)>,
    /// The ability that the engine lacks.
    pub from: Capability,
    /// What takes the op's place.
    pub to: Replacement,
    /// What that means for the result.
    pub effect: Effect,
    /// Why this one was chosen, in words.
    pub reason: String,
}

/// What takes the place of something that the engine cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replacement {
    /// A state that is in the graph anyway and holds the same files.
    State,
    /// The steps of later inputs, run again on top of earlier ones.
    Chain,
    /// The differences of later inputs, laid over earlier ones by the [helper](super::Helper).
    Apply,
    /// The same op without a setting that is about caching or progress only.
    Without,
    /// Another op that does the same.
    Op,
}

/// What a replacement means for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Effect {
    /// The same files.
    Same,
    /// The same files, in more or other layers than the graph asks for.
    Layers,
    /// The files may differ, in the way that the reason says.
    MayDiffer,
}

impl Lowering {
    /// Whether a person should know: the result may differ.
    pub fn is_warning(&self) -> bool {
        self.effect == Effect::MayDiffer
    }
}

impl fmt::Display for Lowering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.op)?;
        if let Some((file, line)) = &self.place {
            write!(formatter, " ({file}:{line})")?;
        }
        let Self {
            from,
            to,
            effect,
            reason,
            ..
        } = self;
        write!(formatter, ": {from} -> {to}: {effect} ({reason})")
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::State => "a state of the graph",
            Self::Chain => "chain",
            Self::Apply => "apply",
            Self::Without => "left out",
            Self::Op => "another op",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Same => "the same files",
            Self::Layers => "the same files in other layers",
            Self::MayDiffer => "the files may differ",
        })
    }
}
