//! Python requirements: what pip is given, word for word.
//!
//! The grammar is pip's requirements file format:
//!
//! ```text
//! file        = { line }
//! line        = comment | option | requirement            (`\` at the end joins the next line)
//! comment     = "#" at the start or after a blank, up to the end of the line
//! option      = "-r FILE" | "-c FILE" | "-e URL" | "--index-url URL" | "--hash …" | …
//! requirement = NAME [EXTRAS] [VERSIONS | "@" URL] [";" MARKER] { option } | URL
//! ```
//!
//! Comments and blank lines are dropped, so that editing them rebuilds nothing; local `-r` and
//! `-c` files are read in place, so that the plan holds everything that decides what is
//! installed. All else reaches pip as it was written.
//!
//! | Statement | Treated |
//! |---|---|
//! | `cog`, `coglet` lines | removed with a warning: the builder installs the runtime |
//! | `${NAME}` | a secret named `NAME`, given to pip as a variable; never part of the plan |
//! | `https://user:password@host/…` | refused: the password would end up in the build's records |
//! | local paths, `-e ./folder` | refused: the project is copied after packages are installed |

mod lexer;
mod line;
mod read;

pub(crate) use line::has_credentials;
pub(crate) use read::{Reader, Statement};

/// The requirements of a model, ready for pip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Lines of the requirements file, without comments, blank lines and the SDK's own lines.
    pub lines: Vec<String>,
    /// Lines of the constraints file, from local `-c` files.
    pub constraints: Vec<String>,
    /// Names of variables that lines use as `${NAME}`, sorted: each is a secret of the pip step.
    pub secrets: Vec<String>,
    /// Whether pip will demand a hash for every package, because a line has one.
    pub hashed: bool,
    /// Whether a line needs a tool such as git to download or compile a package.
    pub needs_tools: bool,
}
