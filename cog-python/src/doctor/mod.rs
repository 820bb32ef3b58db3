//! What in the code of a model has a better form now, and the change to that form.
//!
//! Checks read text and tell findings; a change is made in memory, and only where nothing else depends on what it
//! changes. Where that is not certain, the reason is told and the file stays. Files are written together ([`write`]).

mod imports;
mod migration;
mod pydantic;
mod script;
mod write;

pub(crate) use migration::{Surroundings, migration};
pub(crate) use write::write;

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::files::{FileProblem, ProjectFiles};
use script::Script;

/// Files of the project by their path, with their new text; nothing for those that are removed.
pub(crate) type Changes = BTreeMap<String, Option<String>>;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What is to be changed.
    pub(crate) findings: Vec<Diagnostic>,
    /// The change that `--fix` makes.
    pub(crate) changes: Changes,
    /// Why there is none, or not for everything.
    pub(crate) unsure: Option<String>,
}

/// The files of a project after changes.
pub(crate) struct Changed<'a> {
    pub(crate) files: &'a dyn ProjectFiles,
    pub(crate) changes: &'a Changes,
}

impl ProjectFiles for Changed<'_> {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        match self.changes.get(path) {
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(FileProblem::Missing),
            None => self.files.read(path),
        }
    }

    fn check_file(&self, path: &str) -> Result<(), FileProblem> {
        match self.changes.get(path) {
            Some(Some(_)) => Ok(()),
            Some(None) => Err(FileProblem::Missing),
            None => self.files.check_file(path),
        }
    }
}

/// Names that Cog's package no longer has.
pub(crate) fn imports(paths: &[String], files: &dyn ProjectFiles) -> Look {
    each(paths, files, imports::look)
}

/// Outputs made of pydantic's models where Cog has its own.
pub(crate) fn pydantic(paths: &[String], files: &dyn ProjectFiles) -> Look {
    each(paths, files, pydantic::look)
}

/// What one check says of one file: its findings, and its text after the change.
type OfFile = (Vec<Diagnostic>, Result<String, String>);

fn each(paths: &[String], files: &dyn ProjectFiles, look: fn(&Script) -> OfFile) -> Look {
    let mut all = Look::default();
    for path in paths {
        // What cannot be read or is no Python is told with the signature.
        let text = files.read(path).unwrap_or_default();
        let Some(script) = Script::read(path, &text) else {
            continue;
        };
        let (findings, text) = look(&script);
        if findings.is_empty() {
            continue;
        }
        all.findings.extend(findings);
        match text {
            Ok(text) => {
                all.changes.insert(path.clone(), Some(text));
            }
            Err(reason) => all.unsure = all.unsure.or(Some(format!("`{path}`: {reason}"))),
        }
    }
    all
}
