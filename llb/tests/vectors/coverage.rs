//! Which vectors have a program here, and why the others have none.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::load::names;

/// Vectors without a program, with the reason.
const UNCOVERED: &[(&str, &str)] = &[
    ("exec-caps-stick", QUIRK),
    (
        "mount-duplicate-target-many",
        "the order of the Go client's unstable sort is nobody's intention",
    ),
    ("sourcemap-state-sticks", QUIRK),
    ("state-dir-option-shared", QUIRK),
    ("async-resolved-once", QUIRK),
    (
        "defop-err-empty",
        "the state of an empty definition is scratch",
    ),
    (
        "meta-marshal-description-leaks",
        "in Go a description of one op leaks into those marshalled after it",
    ),
    ("exec-err-security", TYPES),
    ("exec-extra-host-nil-ip", TYPES),
    ("file-err-nil-action", TYPES),
    ("file-err-nil-copy", TYPES),
    ("image-resolve-unknown", TYPES),
    ("merge-err-new-one", TYPES),
    ("oci-checksum-ignored", TYPES),
    ("secret-env-true-false", TYPES),
    ("sourcemap-nil", TYPES),
    ("diff-new-scratch-lower", LOW_LEVEL),
    ("merge-new-direct", LOW_LEVEL),
    (
        "values-other",
        "states have no free key/value pairs; a test in `state.rs` takes the other values",
    ),
];

const QUIRK: &str = "a second marshal depends on the first one in Go; here each depends on its graph and options alone";
const TYPES: &str = "the types have no value for this mistake";
const LOW_LEVEL: &str =
    "merges and diffs are always made with their capability, and drop scratch as `llb.Merge` does";

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
