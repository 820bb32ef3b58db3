//! Which vectors have a program here, and why the others have none.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::load::names;

/// Vectors without a program, with the reason.
const UNCOVERED: &[(&str, &str)] = &[
    (
        "async-resolved-once",
        "in Go the first marshal decides for all; here a function is called for the options of each, which a test in \
         `deferred.rs` shows",
    ),
    (
        "defop-err-empty",
        "the state of an empty definition is scratch, which has a definition: the empty one",
    ),
    (
        "exec-caps-stick",
        "in Go a capability raised by an earlier marshal stays; here each depends on its graph and options alone",
    ),
    (
        "exec-err-security",
        "`Security` is an enum, so there is no unknown mode",
    ),
    (
        "exec-extra-host-nil-ip",
        "an address is an `IpAddr`, so there is none that is nil",
    ),
    (
        "file-err-nil-action",
        "file actions are made with their first one, so there are none without any",
    ),
    (
        "file-err-nil-copy",
        "a copy source is a state or actions, so there is none that is nil",
    ),
    (
        "image-resolve-unknown",
        "`ResolveMode` is an enum, so there is no unknown mode",
    ),
    (
        "meta-marshal-description-leaks",
        "in Go a description of one op leaks into those marshalled after it",
    ),
    (
        "mount-duplicate-target-many",
        "the order of the Go client's unstable sort is nobody's intention",
    ),
    (
        "oci-checksum-ignored",
        "an OCI layout has no checksum to set, because the Go client ignores it",
    ),
    (
        "secret-env-true-false",
        "nothing takes back `as_env`, so there is no secret that reaches the command in no way",
    ),
    (
        "sourcemap-nil",
        "a location is of a source map, so there is none of nil",
    ),
    (
        "sourcemap-state-sticks",
        "in Go the first marshal decides for all; here the state of a map is marshalled for the options of each",
    ),
    (
        "state-dir-option-shared",
        "in Go an option keeps the directory of the state that is marshalled first; here a path is joined to the \
         directory of the state it is given to",
    ),
    (
        "values-other",
        "states have no free key/value pairs; a test in `state.rs` takes the other values",
    ),
];

const COVERED: &[&[&str]] = &[
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
