//! Local directories given to a build.

use std::path::{Path, PathBuf};

use super::Problem;
use super::filter::Filter;

/// A directory of this machine that a build may read, and what of it.
///
/// Patterns are those of `.dockerignore` files, see [`PatternSet`](super::PatternSet). The build's
/// own filters apply on top: it gets what passes both.
///
/// ```
/// use llb::client::LocalDirectory;
///
/// let context = LocalDirectory::new("./model")
///     .exclude([".git", "**/__pycache__"])
///     .include(["src", "cog.yaml"]);
/// ```
#[derive(Clone, Debug)]
pub struct LocalDirectory {
    path: PathBuf,
    include: Vec<String>,
    exclude: Vec<String>,
    keep_owners: bool,
    fixed_modes: bool,
}

/// A directory that has been found and whose patterns have been read.
#[derive(Clone, Debug)]
pub(crate) struct OpenDirectory {
    pub(crate) root: PathBuf,
    pub(crate) filter: Filter,
    pub(crate) keep_owners: bool,
    pub(crate) fixed_modes: bool,
}

impl LocalDirectory {
    /// A whole directory. Owners are sent as root, as every BuildKit client does.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            include: Vec::new(),
            exclude: Vec::new(),
            keep_owners: false,
            fixed_modes: false,
        }
    }

    /// Sends only what these patterns match. Adds to earlier patterns.
    #[must_use = "the settings are in the value returned"]
    pub fn include<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.include.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Leaves out what these patterns match; `!` takes back. Adds to earlier patterns.
    #[must_use = "the settings are in the value returned"]
    pub fn exclude<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Sends the numeric owners of files instead of root. For root file systems, not for sources.
    #[must_use = "the settings are in the value returned"]
    pub fn keep_owners(mut self) -> Self {
        self.keep_owners = true;
        self
    }

    /// Sends all permissions as those of a plain checkout, whatever the umask of this machine has made of them: 0755 for
    /// directories and for files that somebody may run, 0644 for other files, and no access lists.
    #[must_use = "the settings are in the value returned"]
    pub fn fixed_modes(mut self) -> Self {
        self.fixed_modes = true;
        self
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds the directory and reads the patterns.
    pub(crate) fn open(&self, name: &str) -> Result<OpenDirectory, Problem> {
        let problem = |what: String| {
            let shown = self.path.display();
            Problem::LocalFile(format!("local directory `{name}` at {shown}: {what}"))
        };
        let root = self
            .path
            .canonicalize()
            .map_err(|error| problem(error.to_string()))?;
        if !root.is_dir() {
            return Err(problem("not a directory".to_owned()));
        }
        let filter = Filter::new(&self.include, &self.exclude)
            .map_err(|error| problem(error.to_string()))?;
        Ok(OpenDirectory {
            root,
            filter,
            keep_owners: self.keep_owners,
            fixed_modes: self.fixed_modes,
        })
    }
}

impl<P: Into<PathBuf>> From<P> for LocalDirectory {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}
