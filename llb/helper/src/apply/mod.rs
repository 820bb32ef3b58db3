//! `llb-helper apply TARGET LOWER UPPER [LOWER UPPER]...`: lays the difference of each pair of trees over the target.
//!
//! A pair is the state before and after one step of a build; `-` in place of a tree is the empty one. What counts as a
//! change, and what a change carries along, are the rules of BuildKit's differ and differ-applier (`snapshot/diffapply_linux.go`
//! and `util/overlay` of August 2026), as observed on its trees:
//!
//! - A path is changed if kind, mode, owner, device number or file capability differ, and for anything but a directory
//!   also if size or time do. Where both times are whole seconds, the bytes decide: such times may be truncated.
//! - A change brings every directory above it along, with mode, owner and attributes, also where the change is a
//!   deletion.
//! - A path that is no longer there is deleted from the target with everything below, whoever put it there.
//! - Names of one file that are changed in one step stay names of one file.
//! - The root itself is part of no difference.

mod attributes;
mod compare;
mod difference;
mod put;

use std::ffi::OsString;
use std::path::Path;

use crate::error::Error;

/// In place of a tree: nothing.
const NOTHING: &str = "-";

pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let [target, pairs @ ..] = arguments else {
        return Err(usage("no target is given"));
    };
    if pairs.is_empty() || pairs.len() % 2 != 0 {
        return Err(usage("trees come in pairs: before, after"));
    }
    for pair in pairs.chunks_exact(2) {
        let [lower, upper] = [&pair[0], &pair[1]];
        let tree = |path: &'_ OsString| (path != NOTHING).then(|| Path::new(path).to_owned());
        difference::apply(
            tree(lower).as_deref(),
            tree(upper).as_deref(),
            Path::new(target),
        )?;
    }
    Ok(())
}

fn usage(mistake: &str) -> Error {
    Error::usage(format!(
        "{mistake}; expected: llb-helper apply TARGET LOWER UPPER [LOWER UPPER]..."
    ))
}
