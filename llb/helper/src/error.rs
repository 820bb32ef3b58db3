//! What went wrong, with the path it went wrong at.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the program.
#[derive(Debug)]
pub(crate) enum Error {
    /// The arguments make no sense.
    Usage(String),
    /// A wheel cannot be installed.
    Wheel(llb_helper::wheel::Error),
    /// The system refused to do something with a path.
    Path {
        /// What was tried: "cannot {action} {path}".
        action: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
}

/// Adds what was tried to an error of the system.
pub(crate) trait At<T> {
    /// "cannot `action` `path`".
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|cause| Error::Path {
            action,
            path: path.to_owned(),
            cause: cause.into(),
        })
    }
}

impl From<llb_helper::wheel::Error> for Error {
    fn from(error: llb_helper::wheel::Error) -> Self {
        Self::Wheel(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wheel(error) => write!(formatter, "{error}"),
            Self::Usage(message) => formatter.write_str(message),
            Self::Path {
                action,
                path,
                cause,
            } => write!(formatter, "cannot {action} {}: {cause}", path.display()),
        }
    }
}
