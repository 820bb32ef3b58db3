//! Walks two trees together and applies what differs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::compare::{self, Entry};
use super::put::Target;
use crate::error::{At as _, Error};

/// Lays the difference of two trees over the target. A tree that is not there is empty.
pub(super) fn apply(
    lower: Option<&Path>,
    upper: Option<&Path>,
    target: &Path,
) -> Result<(), Error> {
    for tree in lower.into_iter().chain(upper).chain([target]) {
        if !look(tree)?.is_some_and(|metadata| metadata.is_dir()) {
            let cause = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(cause).at("apply", tree);
        }
    }
    let mut target = Target::new(upper, target);
    let mut walk = Walk {
        target: &mut target,
        below: PathBuf::new(),
    };
    walk.directory(lower, upper)?;
    target.finish()
}

struct Walk<'w, 't> {
    target: &'w mut Target<'t>,
    /// The directory that is looked at, from the root of the trees.
    below: PathBuf,
}

impl Walk<'_, '_> {
    /// Compares a directory of the upper tree with what the lower tree has in its place.
    ///
    /// The system's limit of a path's length is the limit of the recursion.
    fn directory(&mut self, lower: Option<&Path>, upper: Option<&Path>) -> Result<(), Error> {
        let old = names(lower)?;
        let new = names(upper)?;
        for name in old.union(&new) {
            self.below.push(name);
            let lower = lower.filter(|_| old.contains(name));
            let upper = upper.filter(|_| new.contains(name));
            self.entry(
                lower.map(|lower| lower.join(name)),
                upper.map(|upper| upper.join(name)),
            )?;
            self.below.pop();
        }
        Ok(())
    }

    fn entry(&mut self, lower: Option<PathBuf>, upper: Option<PathBuf>) -> Result<(), Error> {
        let Some(upper) = upper else {
            return self.target.delete(&self.below);
        };
        let new = fs::symlink_metadata(&upper).at("look at", &upper)?;
        let old = match &lower {
            Some(lower) => Some(fs::symlink_metadata(lower).at("look at", lower)?),
            None => None,
        };
        let same = match (&lower, &old) {
            (Some(path), Some(metadata)) => compare::is_same(
                Entry { path, metadata },
                Entry {
                    path: &upper,
                    metadata: &new,
                },
            )?,
            _ => false,
        };
        if !same {
            self.target.put(&self.below, &new)?;
        }
        if new.is_dir() {
            let was_directory = old.as_ref().is_some_and(Metadata::is_dir);
            let lower = lower.filter(|_| was_directory);
            return self.directory(lower.as_deref(), Some(&upper));
        }
        Ok(())
    }
}

fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some).at("look at", path),
    }
}

fn names(directory: Option<&Path>) -> Result<BTreeSet<OsString>, Error> {
    const ACTION: &str = "list";
    let Some(directory) = directory else {
        return Ok(BTreeSet::new());
    };
    let entries = fs::read_dir(directory).at(ACTION, directory)?;
    entries
        .map(|entry| Ok(entry.at(ACTION, directory)?.file_name()))
        .collect()
}
