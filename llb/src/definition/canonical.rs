//! Definitions as this crate would have written them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode::inputs;
use super::{Definition, DefinitionOp, Made, MarshalOptions, OpDigest, OpList, Positions};
use crate::error::Error;

impl Definition {
    /// The same definition, taken apart into a graph and marshalled again.
    ///
    /// Ops keep their bytes, metadata, places and order. What is left out is what the result does not need: ops that
    /// it does not read, source files that no op comes from, and whatever is beside the op that names the result but
    /// the capabilities that follow from the others. Ops that stand before what they read are moved behind it.
    ///
    /// A definition that was made here or by BuildKit's client comes out as the same bytes.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("alpine").run(sh("true")).marshal(&MarshalOptions::linux_amd64())?;
    /// assert_eq!(definition.canonical()?, definition);
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The definition has ops but no metadata: BuildKit refuses such a one.
    #[track_caller]
    pub fn canonical(&self) -> Result<Self, Error> {
        // What the options say reaches no op of another definition.
        let graph = self.state().marshal(&MarshalOptions::linux_amd64())?;
        Ok(if self.is_ordered() {
            graph.in_order_of(self)
        } else {
            graph
        })
    }

    /// Whether each op stands behind everything that it reads.
    fn is_ordered(&self) -> bool {
        let positions = self.positions();
        let digest_at = |position: usize| self.ops[position].digest();
        self.ops.iter().enumerate().all(|(position, op)| {
            inputs(op.bytes()).all(|input| {
                let read = OpDigest::parse(input.digest);
                let read = read.and_then(|digest| positions.find(digest, digest_at));
                read.is_some_and(|read| read < position)
            })
        })
    }

    fn positions(&self) -> Positions {
        Positions::new(self.ops.iter().map(DefinitionOp::digest))
    }

    /// Puts ops and source files in the order in which `other` has them: the inputs of file actions are visited in an
    /// order that their op does not tell.
    fn in_order_of(&self, other: &Self) -> Self {
        let Some((last, _)) = self.ops.split_last() else {
            return self.clone();
        };
        let positions = self.positions();
        let digest_at = |position: usize| self.ops[position].digest();
        let pairs = other.ops.iter().filter_map(|known| {
            let position = positions.find(known.digest(), digest_at)?;
            (position + 1 < self.ops.len()).then(|| (&self.ops[position], known))
        });

        // The number of each source file here, by its number there.
        let mut files: BTreeMap<u32, u32> = BTreeMap::new();
        for (op, known) in pairs.clone() {
            for ((here, _), (there, _)) in op.locations().zip(known.locations()) {
                files.entry(there).or_insert(here);
            }
        }
        let mut numbers = vec![None; self.infos.len()];
        let mut infos = Vec::with_capacity(self.infos.len());
        for here in files.into_values() {
            numbers[here as usize].get_or_insert_with(|| {
                infos.push(here);
                infos.len() - 1
            });
        }
        let number =
            |here: u32| numbers[here as usize].and_then(|number| u32::try_from(number).ok());
        let mut made = Made::default();
        for op in pairs.map(|(op, _)| op).chain([last]) {
            let locations = op
                .locations()
                .filter_map(|(file, ranges)| Some((number(file)?, ranges.to_vec())))
                .collect();
            made.push(op, op.metadata().clone(), locations);
        }
        let infos = infos.iter().map(|here| self.infos[*here as usize].clone());
        Self {
            infos: infos.collect::<Vec<_>>().into(),
            ops: Arc::new(Arc::new(OpList::from(made)).into()),
            head: self.head,
            lacks_metadata: self.lacks_metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use crate::prelude::*;
    use crate::proto::pb;
    use prost::Message as _;

    fn definition() -> Definition {
        let base = image("alpine");
        let copied =
            scratch()
                .copy(base.run(sh("a")), "/a", "/a")
                .copy(base.run(sh("b")), "/b", "/b");
        merge([copied, base])
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap()
    }

    fn changed(change: impl FnOnce(&mut pb::Definition)) -> Definition {
        let mut message = pb::Definition::decode(&*definition().to_bytes()).unwrap();
        change(&mut message);
        Definition::from_bytes(&message.encode_to_vec()).unwrap()
    }

    #[test]
    fn ops_before_what_they_read_are_moved() {
        let moved = changed(|message| message.def.swap(0, 1));
        assert_ne!(moved, definition());
        assert_eq!(moved.canonical().unwrap(), definition());
    }

    #[test]
    fn what_the_result_does_not_need_is_left_out() {
        let unused = image("unused")
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap();
        let unused = unused.ops()[0].bytes().to_vec();
        let more = changed(|message| message.def.insert(0, unused.into()));
        assert_eq!(more.ops().len(), definition().ops().len() + 1);
        assert_eq!(more.canonical().unwrap(), definition());
    }

    #[test]
    fn definitions_without_metadata_are_refused_where_they_are_used() {
        let bare = changed(|message| message.metadata.clear());
        let line = Location::caller().line() + 1;
        let error = bare.canonical().unwrap_err();
        assert!(error.to_string().contains("has no metadata"), "{error}");
        assert_eq!(error.problems()[0].location().unwrap().line(), line);
    }

    #[test]
    fn scratch_is_scratch() {
        assert_eq!(
            Definition::default().canonical().unwrap(),
            Definition::default()
        );
    }
}
