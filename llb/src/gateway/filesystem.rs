//! States as file systems.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::build::Build;
use super::error::Result;
use super::reference::{Ref, Stat};
use crate::state::State;

/// A state as a read-only file system; made by [`Build::filesystem`].
///
/// Nothing happens before something is read, and the state is solved once, however often and from wherever is read.
#[derive(Clone)]
pub struct Filesystem(Arc<Inner>);

struct Inner {
    build: Build,
    state: State,
    solved: OnceCell<Ref>,
}

impl Filesystem {
    pub(super) fn new(build: Build, state: State) -> Self {
        Self(Arc::new(Inner {
            build,
            state,
            solved: OnceCell::new(),
        }))
    }

    /// The solved state.
    ///
    /// # Errors
    ///
    /// As [`Build::solve`]; so for all other methods.
    pub async fn reference(&self) -> Result<&Ref> {
        let solve = || self.0.build.solve(&self.0.state);
        self.0.solved.get_or_try_init(solve).await
    }

    /// The state.
    pub fn to_state(&self) -> State {
        self.0.state.clone()
    }

    /// The content of a file; see [`Ref::read_file`].
    pub async fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.reference().await?.read_file(path).await
    }

    /// A range of bytes of a file; see [`Ref::read_range`].
    pub async fn read_range(&self, path: &str, range: impl RangeBounds<u64>) -> Result<Vec<u8>> {
        self.reference().await?.read_range(path, range).await
    }

    /// The content of a text file; see [`Ref::read_to_string`].
    pub async fn read_to_string(&self, path: &str) -> Result<String> {
        self.reference().await?.read_to_string(path).await
    }

    /// What is in a directory; see [`Ref::read_dir`].
    pub async fn read_dir(&self, path: &str) -> Result<Vec<Stat>> {
        self.reference().await?.read_dir(path).await
    }

    /// What is in a directory and matches a pattern; see [`Ref::read_dir_matching`].
    pub async fn read_dir_matching(&self, path: &str, pattern: &str) -> Result<Vec<Stat>> {
        self.reference()
            .await?
            .read_dir_matching(path, pattern)
            .await
    }

    /// What is known about a file or directory; see [`Ref::stat`].
    pub async fn stat(&self, path: &str) -> Result<Stat> {
        self.reference().await?.stat(path).await
    }

    /// Whether there is a file or directory; see [`Ref::exists`].
    pub async fn exists(&self, path: &str) -> Result<bool> {
        self.reference().await?.exists(path).await
    }

    /// All files and directories under a directory, each with its path from there, in the order of the paths.
    /// Symbolic links are not followed.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let files = cx.filesystem(llb::local("context"));
    /// for (path, stat) in files.walk("/src").await? {
    ///     println!("{path}: {} bytes", stat.size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn walk(&self, path: &str) -> Result<Vec<(String, Stat)>> {
        let reference = self.reference().await?;
        let mut found = Vec::new();
        let mut open = vec![String::new()];
        while let Some(directory) = open.pop() {
            let entries = reference.read_dir(&format!("{path}/{directory}")).await?;
            for stat in entries {
                let path = match directory.as_str() {
                    "" => stat.name.clone(),
                    directory => format!("{directory}/{}", stat.name),
                };
                if stat.is_dir() {
                    open.push(path.clone());
                }
                found.push((path, stat));
            }
        }
        found.sort_by(|(left, _), (right, _)| left.split('/').cmp(right.split('/')));
        Ok(found)
    }
}

impl fmt::Debug for Filesystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Filesystem")
            .field("solved", &self.0.solved.initialized())
            .finish_non_exhaustive()
    }
}
