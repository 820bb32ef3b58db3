//! Which vectors have a program here, and why the others have none.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::load::names;

/// Vectors without a program, with the reason.
const UNCOVERED: &[(&str, &str)] = &[(
    "file-err-nil-copy",
    "a copy source is a state or actions, and nothing that comes from elsewhere can be neither",
)];

const COVERED: &[&[&str]] = &[
    crate::accident::COVERED,
    crate::build::COVERED,
    crate::deferred::COVERED,
    crate::definition::COVERED,
    crate::exec::COVERED,
    crate::file::COVERED,
    crate::git::COVERED,
    crate::graph::COVERED,
    crate::image::COVERED,
    crate::merge::COVERED,
    crate::metadata::COVERED,
    crate::mount::COVERED,
    crate::passthrough::COVERED,
    crate::platform::COVERED,
    crate::sourcemap::COVERED,
    crate::state::COVERED,
    crate::transfer::COVERED,
];

#[test]
fn every_vector_has_a_program_or_a_reason() {
    let mut programs: BTreeMap<String, usize> = BTreeMap::new();
    for test in COVERED.iter().copied().flatten() {
        *programs.entry(test.replace('_', "-")).or_default() += 1;
    }
    let excused: BTreeSet<&str> = UNCOVERED.iter().map(|(name, _)| *name).collect();
    assert_eq!(excused.len(), UNCOVERED.len(), "a vector is excused twice");

    let mut faults = Vec::new();
    let names = names();
    for name in &names {
        match (programs.remove(name), excused.contains(&**name)) {
            (Some(1), false) | (None, true) => {}
            (Some(1), true) => faults.push(format!(
                "{name} has a program: take it from the excused ones"
            )),
            (Some(count), _) => faults.push(format!("{name} has {count} programs")),
            (None, false) => faults.push(format!("{name} has neither program nor reason")),
        }
    }
    faults.extend(
        programs
            .keys()
            .map(|name| format!("{name} has a program but is no vector")),
    );
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    faults.extend(
        excused
            .difference(&known)
            .map(|name| format!("{name} is excused but is no vector")),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
