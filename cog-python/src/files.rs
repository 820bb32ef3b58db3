//! The files of a project, as the readers see them.
//!
//! Readers are pure: they ask a [`ProjectFiles`], which the program answers from the disk and
//! tests answer from memory.

use std::collections::BTreeMap;

/// Largest text file that is read, in bytes.
pub const TEXT_LIMIT: u64 = 1 << 20;

/// Why a file could not be read; the text fits after "the file ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// It is a folder, a socket or another thing that holds no text.
    #[error("is not a regular file")]
    NotAFile,
    /// It is not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// It is larger than [`TEXT_LIMIT`].
    #[error("is larger than {TEXT_LIMIT} bytes")]
    TooLarge,
    /// The system refused; the reason it gave.
    #[error("cannot be read: {0}")]
    Other(String),
}

/// Reads files of a project. Paths are relative to the project folder, with `/` separators;
/// absolute paths are taken as they are.
pub trait ProjectFiles {
    /// Reads a text file.
    fn read(&self, path: &str) -> Result<String, FileProblem>;

    /// Whether there is a regular file that can be read.
    fn check_file(&self, path: &str) -> Result<(), FileProblem>;
}

/// Files held in memory, for tests and for tools that have no disk.
impl ProjectFiles for BTreeMap<String, String> {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        self.get(path).cloned().ok_or(FileProblem::Missing)
    }

    fn check_file(&self, path: &str) -> Result<(), FileProblem> {
        if self.contains_key(path) {
            Ok(())
        } else {
            Err(FileProblem::Missing)
        }
    }
}
