//! The source files that the ops of a definition come from, numbered as they come up.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{MarshalOptions, SourceInfo};
use crate::error::Problem;
use crate::sourcemap::{SourceMap, public_name};

#[derive(Default)]
pub(super) struct SourceFiles {
    pub(super) infos: Vec<SourceInfo>,
    numbers: BTreeMap<File, u32>,
    /// Files of the program, by the names that the compiler knows.
    program: BTreeMap<&'static str, u32>,
}

impl SourceFiles {
    /// The number of a file. Mistakes of the state that it can be read from are added to the problems.
    pub(super) fn number(
        &mut self,
        map: &SourceMap,
        options: &MarshalOptions,
        problems: &mut Vec<Problem>,
    ) -> u32 {
        let file = File(map.clone());
        if let Some(known) = self.numbers.get(&file) {
            return *known;
        }
        let state = map.0.state.as_ref();
        let definition = state.and_then(|state| match state.marshal(options) {
            Ok(definition) => Some(Box::new(definition)),
            Err(error) => {
                problems.extend(error.problems().iter().cloned());
                None
            }
        });
        let number = self.infos.len();
        let number = u32::try_from(number).expect("a definition has fewer than 2^32 source files");
        self.infos.push(SourceInfo {
            filename: map.0.filename.clone(),
            language: map.0.language.clone(),
            data: map.0.data.clone(),
            definition,
        });
        self.numbers.insert(file, number);
        number
    }

    /// The number of a file of the program.
    pub(super) fn number_in_program(
        &mut self,
        name: &'static str,
        options: &MarshalOptions,
    ) -> u32 {
        if let Some(known) = self.program.get(name) {
            return *known;
        }
        let text = options.data.caller_locations.text(name);
        let map = SourceMap::new(public_name(name), "rust", text);
        // It can be read from no state, so that nothing can be wrong with that.
        let number = self.number(&map, options, &mut Vec::new());
        self.program.insert(name, number);
        number
    }
}

/// A file, whatever state it can be read from.
struct File(SourceMap);

impl Ord for File {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0.0, &other.0.0) {
            return Ordering::Equal;
        }
        let (one, other) = (&*self.0.0, &*other.0.0);
        (&one.filename, &one.language, &one.data).cmp(&(
            &other.filename,
            &other.language,
            &other.data,
        ))
    }
}

impl PartialOrd for File {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for File {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for File {}
