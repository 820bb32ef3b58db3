//! The files of a project, as far as a plan has asked for them.
//!
//! Planning is a function of files and asks for them by name, without waiting. So it is tried with the files that are
//! known; those that it asked for in vain are fetched, all at once, and it is tried again, until it asks for nothing
//! new. Nothing but what a plan is made of leaves the client that way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use llb::gateway::{Build, FileKind, MainContext, Ref, Result};
use llb::{Constrain as _, Differ};

use crate::files::{FileProblem, ProjectFiles, TEXT_LIMIT};

/// Files that most projects have: one look for all of them.
const USUAL: [&str; 3] = [".dockerignore", "requirements.txt", "run.py"];

/// What is known of a file.
#[derive(Clone, Debug)]
enum Known {
    Text(String),
    /// It is there and can be read, but is no text for a plan.
    Other(FileProblem),
    /// There is nothing to read.
    Not(FileProblem),
}

/// Files by their path in the project.
pub(super) struct KnownFiles {
    config: String,
    files: BTreeMap<String, Known>,
    asked: Mutex<BTreeSet<String>>,
}

impl KnownFiles {
    /// The configuration, which BuildKit gives apart from the context.
    pub(super) fn new(config: &str, text: &str) -> Self {
        Self {
            config: config.to_owned(),
            files: BTreeMap::from([(config.to_owned(), Known::Text(text.to_owned()))]),
            asked: Mutex::new(USUAL.map(str::to_owned).into()),
        }
    }

    pub(super) fn is_config(&self, path: &str) -> bool {
        path == self.config
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.files.get(path) {
            Some(Known::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Every text, by path.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.files.iter().filter_map(|(path, known)| match known {
            Known::Text(text) => Some((path.clone(), text.clone())),
            _ => None,
        });
        texts.collect()
    }

    /// Does something with the files until it asks for none that is not known.
    pub(super) async fn fill<T>(
        &mut self,
        cx: &Build,
        context: &MainContext,
        work: impl Fn(&Self) -> T,
    ) -> Result<T> {
        loop {
            let asked = self.take_asked();
            if !asked.is_empty() {
                self.fetch(cx, context, asked).await?;
            }
            let done = work(self);
            if self.asked().is_empty() {
                return Ok(done);
            }
        }
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Paths that were asked for and are not known, cleaned.
    fn take_asked(&self) -> BTreeSet<String> {
        let asked = std::mem::take(&mut *self.asked());
        let new = |path: &String| !self.files.contains_key(path);
        asked.into_iter().filter(new).collect()
    }

    async fn fetch(
        &mut self,
        cx: &Build,
        context: &MainContext,
        paths: BTreeSet<String>,
    ) -> Result<()> {
        let files = match context {
            // A hint of its own: what was sent of the whole context stays what it is.
            MainContext::Directory(directory) => directory
                .clone()
                .follow_paths(paths.iter())
                .shared_key_hint("context-files")
                .differ(Differ::None, false)
                .name("[internal] read files of the project")
                .state(),
            MainContext::Files(files) => files.clone(),
        };
        let solved = cx.solve(files).await?;
        // A directory that is not there is a mistake, a file in it that is not there is an answer.
        solved.evaluate().await?;
        for path in paths {
            let known = look(&solved, &path).await?;
            self.files.insert(path, known);
        }
        Ok(())
    }
}

async fn look(solved: &Ref, path: &str) -> Result<Known> {
    let stat = match solved.stat(path).await {
        Ok(stat) => stat,
        Err(error) if is_missing(&error) => return Ok(Known::Not(FileProblem::Missing)),
        Err(error) => return Err(error),
    };
    if stat.kind != FileKind::Regular {
        return Ok(Known::Not(FileProblem::NotAFile));
    }
    if stat.size > TEXT_LIMIT {
        return Ok(Known::Other(FileProblem::TooLarge));
    }
    let bytes = solved.read_file(path).await?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Known::Text(text),
        Err(_) => Known::Other(FileProblem::NotText),
    })
}

/// A path below a file is not there either.
fn is_missing(error: &llb::gateway::Error) -> bool {
    error.is_not_found() || error.to_string().contains("not a directory")
}

/// A path of the project in its shortest form; nothing for one outside of it.
fn clean(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

impl KnownFiles {
    fn find(&self, path: &str) -> Result<&Known, FileProblem> {
        let outside = || FileProblem::Other("it is outside of the build context".to_owned());
        let path = clean(path).ok_or_else(outside)?;
        if let Some(known) = self.files.get(&path) {
            return Ok(known);
        }
        self.asked().insert(path);
        Err(FileProblem::Missing)
    }
}

impl ProjectFiles for KnownFiles {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        match self.find(path)? {
            Known::Text(text) => Ok(text.clone()),
            Known::Other(problem) | Known::Not(problem) => Err(problem.clone()),
        }
    }

    fn check_file(&self, path: &str) -> Result<(), FileProblem> {
        match self.find(path)? {
            Known::Text(_) | Known::Other(_) => Ok(()),
            Known::Not(problem) => Err(problem.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_asked_for_once() {
        let mut known = KnownFiles::new("cog.yaml", "run: run.py:Runner\n");
        assert_eq!(known.take_asked().len(), USUAL.len());
        assert_eq!(known.read("a/../b.txt"), Err(FileProblem::Missing));
        assert_eq!(known.check_file("./b.txt"), Err(FileProblem::Missing));
        assert_eq!(known.take_asked(), BTreeSet::from(["b.txt".to_owned()]));
        known
            .files
            .insert("b.txt".into(), Known::Other(FileProblem::TooLarge));
        assert_eq!(known.read("b.txt"), Err(FileProblem::TooLarge));
        assert_eq!(known.check_file("b.txt"), Ok(()));
        assert!(known.take_asked().is_empty());
        assert!(known.read("cog.yaml").is_ok());
    }

    #[test]
    fn files_outside_of_the_context_are_no_files() {
        let known = KnownFiles::new("cog.yaml", "");
        known.take_asked();
        for path in ["/etc/passwd", "../x", "a/../../x"] {
            assert!(
                matches!(known.read(path), Err(FileProblem::Other(_))),
                "{path}"
            );
        }
        assert!(known.take_asked().is_empty());
    }
}
