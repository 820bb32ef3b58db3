//! An op while its text is read: inputs are names yet.

use std::collections::BTreeMap;

use super::lex::Fault;
use crate::proto::pb;

/// What another op is read by.
#[derive(Clone, Copy)]
pub(super) struct InputName<'t> {
    pub(super) name: &'t str,
    pub(super) index: u32,
    /// Where in the text.
    pub(super) offset: usize,
}

/// How mentions of inputs become positions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Collect {
    /// An input that was mentioned before is the same one.
    #[default]
    Once,
    /// Each mention is an input.
    Each,
    /// The inputs are listed; mentions look them up.
    Listed,
}

/// An op as its text says it.
#[derive(Default)]
pub(super) struct Draft<'t> {
    pub(super) name: &'t str,
    pub(super) offset: usize,
    /// The op without its inputs.
    pub(super) message: pb::Op,
    pub(super) inputs: Vec<InputName<'t>>,
    pub(super) collect: Collect,
    firsts: BTreeMap<(&'t str, u32), usize>,
    /// Whether the text says that there is no platform, or which one.
    pub(super) says_platform: bool,
    pub(super) metadata: pb::OpMetadata,
    pub(super) says_caps: bool,
    pub(super) locations: Vec<pb::Location>,
    /// The op's bytes, if the text cannot say all of it.
    pub(super) bytes: Option<(usize, Vec<u8>)>,
}

impl<'t> Draft<'t> {
    pub(super) fn new(name: &'t str, offset: usize) -> Self {
        Self {
            name,
            offset,
            ..Self::default()
        }
    }

    /// The position of an input that is mentioned.
    pub(super) fn position(&mut self, input: InputName<'t>) -> Result<i64, Fault> {
        let key = (input.name, input.index);
        let known = self.firsts.get(&key).copied();
        let position = match (self.collect, known) {
            (Collect::Once | Collect::Listed, Some(position)) => position,
            (Collect::Listed, None) => {
                let message = format!("`%{}` is not among the inputs", input.name);
                let hint = "add it to `inputs=[...]`, or take that list away";
                return Err(Fault::new(input.offset, message).hint(hint));
            }
            _ => self.add(input),
        };
        Ok(i64::try_from(position).unwrap_or(i64::MAX))
    }

    /// Adds an input, also when there is one like it.
    pub(super) fn add(&mut self, input: InputName<'t>) -> usize {
        let position = self.inputs.len();
        self.firsts
            .entry((input.name, input.index))
            .or_insert(position);
        self.inputs.push(input);
        position
    }
}
