//! The files of a project as a build sees them: which there are, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use llb::Definition;
use llb::session::PatternSet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::digest::sha256;
use crate::plan::EXCLUDED;

/// So many differences of one source are listed.
const SHOWN: usize = 20;

/// Files up to this size are read; of larger ones, size and time tell whether they have changed.
const LARGEST: u64 = 16 << 20;

/// Path to what there is: mode, and the SHA-256 of the content or the target of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Files(BTreeMap<String, String>);

/// A local source of a graph: what it takes of the project.
pub(super) struct LocalFiles {
    include: PatternSet,
    exclude: PatternSet,
}

impl LocalFiles {
    fn takes(&self, path: &str) -> bool {
        (self.include.is_empty() || self.include.matches(path)) && !self.exclude.matches(path)
    }
}

/// The local sources of a graph, by the names of their ops.
pub(super) fn locals(definition: &Definition) -> Result<Vec<(String, LocalFiles)>, Failure> {
    let fail = |error: String| Failure::new(format!("the graph cannot be read: {error}"));
    let json: Value =
        serde_json::from_str(&definition.to_json()).map_err(|error| fail(error.to_string()))?;
    let mut locals = Vec::new();
    for op in json["ops"].as_array().into_iter().flatten() {
        let identifier = op["content"]["identifier"].as_str().unwrap_or_default();
        if !identifier.starts_with("local://") {
            continue;
        }
        let patterns = |attribute: &str| {
            let list = op["content"]["attrs"][attribute].as_str().unwrap_or("[]");
            let list: Vec<String> =
                serde_json::from_str(list).map_err(|error| fail(error.to_string()))?;
            PatternSet::new(&list).map_err(|error| fail(error.to_string()))
        };
        let local = LocalFiles {
            include: patterns("local.includepattern")?,
            exclude: patterns("local.excludepatterns")?,
        };
        locals.push((op["name"].as_str().unwrap_or_default().to_owned(), local));
    }
    Ok(locals)
}

impl Files {
    /// Reads what sources take of a project.
    pub(super) fn of(root: &Path, locals: &[(String, LocalFiles)]) -> Result<Self, Failure> {
        let exclude = PatternSet::new(EXCLUDED).map_err(|error| Failure::new(error.to_string()))?;
        let mut files = Self::default();
        let takes = |path: &str| {
            let is_taken = locals.iter().any(|(_, local)| local.takes(path));
            is_taken && !exclude.matches(path)
        };
        files
            .walk(root, "", &exclude, &takes)
            .map_err(|(path, error)| Failure::new(format!("cannot read `{path}`: {error}")))?;
        Ok(files)
    }

    fn walk(
        &mut self,
        root: &Path,
        folder: &str,
        exclude: &PatternSet,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<(), (String, io::Error)> {
        let at = |path: &str| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        for entry in fs::read_dir(root.join(folder)).map_err(at(folder))? {
            let entry = entry.map_err(at(folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = match folder {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            let kind = entry.file_type().map_err(at(&path))?;
            if kind.is_dir() {
                if !exclude.matches(&path) {
                    self.walk(root, &path, exclude, takes)?;
                }
                continue;
            }
            if !takes(&path) {
                continue;
            }
            let metadata = entry.metadata().map_err(at(&path))?;
            let content = if kind.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(at(&path))?;
                format!("link {}", target.display())
            } else if kind.is_file() {
                let mode = metadata.permissions().mode() & 0o7777;
                let content = if metadata.len() <= LARGEST {
                    digest(&entry.path()).map_err(at(&path))?
                } else {
                    format!(
                        "{} bytes of {}.{}",
                        metadata.len(),
                        metadata.mtime(),
                        metadata.mtime_nsec()
                    )
                };
                format!("{mode:o} {content}")
            } else {
                continue;
            };
            self.0.insert(path, content);
        }
        Ok(())
    }

    /// What a source sees differently than before, one line each.
    pub(super) fn differences(&self, before: &Self, local: &LocalFiles) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, content) in self.0.iter().filter(|(path, _)| local.takes(path)) {
            match before.0.get(path) {
                None => lines.push(format!("new {path}")),
                Some(known) if known != content => lines.push(format!("changed {path}")),
                Some(_) => {}
            }
        }
        let gone = before.0.keys().filter(|path| local.takes(path));
        let gone = gone.filter(|path| !self.0.contains_key(*path));
        lines.extend(gone.map(|path| format!("gone {path}")));
        if lines.len() > SHOWN {
            let more = lines.len() - SHOWN;
            lines.truncate(SHOWN);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

fn digest(path: &Path) -> io::Result<String> {
    sha256(fs::File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_source_takes_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for name in [
            "run.py",
            "data/a.bin",
            ".git/index",
            "gone.txt",
            "skipped.bin",
        ] {
            write(name, "1");
        }
        let local = |include: &[&str], exclude: &[&str]| LocalFiles {
            include: PatternSet::new(include).unwrap(),
            exclude: PatternSet::new(exclude).unwrap(),
        };
        let all = [("all".to_owned(), local(&[], &["skipped.bin"]))];
        let before = Files::of(folder.path(), &all).unwrap();
        assert_eq!(before.0.len(), 3);
        for name in ["run.py", "data/a.bin", ".git/index", "new.txt"] {
            write(name, "2");
        }
        fs::remove_file(folder.path().join("gone.txt")).unwrap();
        let after = Files::of(folder.path(), &all).unwrap();
        assert_eq!(
            after.differences(&before, &local(&[], &["data"])),
            ["new new.txt", "changed run.py", "gone gone.txt"]
        );
        assert_eq!(
            after.differences(&before, &local(&["data"], &[])),
            ["changed data/a.bin"]
        );
    }
}
