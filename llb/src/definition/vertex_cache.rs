//! What a vertex remembers of having been marshalled.
//!
//! Vertices never change, so neither does what they become for given options. A vertex keeps the op it became, if it may
//! come up again without the one vertex that reads it, and the head of a graph keeps its whole definition: marshalling it
//! again, or after adding to it, costs what was added. Only the options of the first time are remembered; for others
//! everything is made anew.

use std::sync::{Arc, OnceLock};

use super::options::MarshalData;
use super::{Definition, DefinitionOp, OpList};

/// Filled when a graph is marshalled; what it holds counts if there were no mistakes.
#[derive(Debug, Default)]
pub(crate) struct VertexCache {
    op: OnceLock<DefinitionOp>,
    definition: OnceLock<Box<(Arc<MarshalData>, Definition)>>,
}

impl VertexCache {
    pub(super) fn op(&self, options: &mut Remembered) -> Option<&DefinitionOp> {
        let op = self.op.get()?;
        options.is(op.made_for()?).then_some(op)
    }

    pub(super) fn definition(&self, options: &mut Remembered) -> Option<&Definition> {
        let (made_for, definition) = &**self.definition.get()?;
        options.is(made_for).then_some(definition)
    }

    /// Remembers an op with the options it was made for, unless one is remembered already; gives whether it does. It
    /// counts once its list is made.
    pub(super) fn set_op(&self, op: DefinitionOp) -> bool {
        self.op.set(op).is_ok()
    }

    /// Where the op is in a list that may be yet to be made, if it is remembered there.
    pub(super) fn position_in(&self, list: &Arc<OpList>) -> Option<u32> {
        let op = self.op.get()?;
        Arc::ptr_eq(&op.list, list).then_some(op.position)
    }

    /// Remembers a definition, if none is remembered yet.
    pub(super) fn set_definition(&self, options: &Remembered, definition: &Definition) {
        self.definition
            .get_or_init(|| Box::new((Arc::clone(&options.options), definition.clone())));
    }
}

/// The options of one marshal, to be compared with those of earlier ones.
///
/// Equal options are recognized by address once they have been compared.
pub(super) struct Remembered {
    pub(super) options: Arc<MarshalData>,
}

impl Remembered {
    pub(super) fn new(options: &Arc<MarshalData>) -> Self {
        Self {
            options: Arc::clone(options),
        }
    }

    fn is(&mut self, made_for: &Arc<MarshalData>) -> bool {
        if Arc::ptr_eq(&self.options, made_for) {
            return true;
        }
        let is_equal = self.options == *made_for;
        if is_equal {
            self.options = Arc::clone(made_for);
        }
        is_equal
    }
}
