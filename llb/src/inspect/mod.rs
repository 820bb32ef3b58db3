//! Reading graphs: pure functions over definitions, whoever made them.
//!
//! The text form, trees, pictures and JSON are methods of [`Definition`]; what differs between two graphs is in [`Changes`].

pub(crate) mod canonical;
mod changes;
mod dot;
pub(crate) mod graph;
mod json;
mod label;
mod name;
mod text;
mod tree;

pub use changes::{Change, ChangeKind, Changes};

pub(crate) use label::main_input;

use crate::definition::Definition;

impl Definition {
    /// The names that the ops have in the text form and other views, in the order of [`Definition::ops`]; the last op,
    /// which names the result, has none.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("alpine").run(sh("make install").name("Build it")).mkdir("/out", 0o755);
    /// let definition = state.marshal(&MarshalOptions::linux_amd64())?;
    /// assert_eq!(definition.op_names(), ["alpine", "build-it", "mkdir-out"]);
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn op_names(&self) -> Vec<String> {
        let graph = graph::Graph::new(self);
        graph.ops.into_iter().map(|op| op.name).collect()
    }
}

/// Characters that do not show, or that make a reader see another text than there is.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
