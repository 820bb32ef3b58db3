//! What is wrong with a wheel.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a wheel cannot be read or installed.
#[derive(Debug)]
pub struct Error {
    wheel: String,
    kind: ErrorKind,
}

/// The kinds of [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file name is not `NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl`.
    Name,
    /// The file is no zip file, is cut off, or a checksum in it is wrong.
    Archive(String),
    /// The zip file holds something that a wheel must not, or lacks something that it must have.
    Content(String),
    /// A file of the wheel would be written outside the environment.
    Escape(String),
    /// Unpacking would take out of all proportion more than the archive has.
    Bomb(String),
    /// The system refused to do something with a path.
    Path {
        /// What was tried, as in "cannot create".
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Error {
    pub(super) fn new(wheel: impl Into<String>, kind: ErrorKind) -> Self {
        Self {
            wheel: wheel.into(),
            kind,
        }
    }

    /// The file name of the wheel.
    pub fn wheel(&self) -> &str {
        &self.wheel
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

/// Adds what was tried to an error of the system.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, ErrorKind>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, ErrorKind> {
        self.map_err(|cause| ErrorKind::Path {
            action,
            path: path.to_owned(),
            cause: cause.into(),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.wheel, self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => formatter.write_str(
                "not the name of a wheel; expected NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl",
            ),
            Self::Archive(message) => write!(formatter, "not a readable zip file: {message}"),
            Self::Content(message) | Self::Escape(message) | Self::Bomb(message) => {
                formatter.write_str(message)
            }
            Self::Path {
                action,
                path,
                cause,
            } => write!(formatter, "cannot {action} {}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for Error {}
