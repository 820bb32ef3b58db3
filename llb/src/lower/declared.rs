//! What forks declared, as it travels with a merge: texts beside the op, by the number of the input.
//!
//! They are metadata, so they change no digest, and they are in a definition that is written and read again.

use std::collections::BTreeMap;

use crate::metadata::OpMetadata;
use crate::value::path;

/// The key of the paths that an input of a merge writes, before the input's number.
const WRITES: &str = "llb.writes.";
/// The key of the paths that an input of a merge reads, before the input's number.
const READS: &str = "llb.reads.";

/// What the branch behind an input of a merge declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// All that it writes.
    pub(crate) writes: Vec<String>,
    /// What it looks at; nothing that others write if it does not say so.
    pub(crate) reads: Vec<String>,
}

impl Declared {
    /// Puts the declaration beside the merge of which it is about an input.
    pub(crate) fn write(&self, input: usize, metadata: &mut BTreeMap<String, String>) {
        if self.writes.is_empty() {
            return;
        }
        let text = |paths: &[String]| {
            let paths = paths.iter().map(|path| path::clean(path).into_owned());
            paths.collect::<serde_json::Value>().to_string()
        };
        metadata.insert(format!("{WRITES}{input}"), text(&self.writes));
        if !self.reads.is_empty() {
            metadata.insert(format!("{READS}{input}"), text(&self.reads));
        }
    }

    /// What is declared of an input of a merge.
    pub(super) fn read(metadata: &OpMetadata, input: usize) -> Option<Self> {
        let paths = |key: &str| {
            let text = metadata.description.get(&format!("{key}{input}"))?;
            serde_json::from_str::<Vec<String>>(text).ok()
        };
        Some(Self {
            writes: paths(WRITES)?,
            reads: paths(READS).unwrap_or_default(),
        })
    }
}
