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
//! | wheels, archives and folders of the project | mounted for the step, and given to pip by that path |
//! | `-e ./folder` | installed as a folder: nobody edits it in an image |
//! | `-e .` | left out: the project is in the image, at `/src` |
//! | `--extra-index-url` on the line of a package | moved to a line of its own, where pip reads it |
//!
//! `pyproject.toml`, `uv.lock`, `pylock.toml` and scripts are read, too, and become such lines; the versions of Python
//! that they ask for must have the image's among them.
//! Named packages are PEP 508 and PEP 440, as `pep508_rs` reads them.

mod lexer;
mod line;
mod lock;
mod package;
mod read;
mod requires_python;
mod script;

use std::collections::BTreeSet;

#[cfg(feature = "cli")]
pub(crate) use line::index_options;
pub(crate) use line::{has_credentials, hashes, indexes, variables};
#[cfg(feature = "cli")]
pub(crate) use lock::named_indexes;
pub(crate) use package::environment;
pub use package::{Package, Wanted};
pub(crate) use read::{Reader, Statement};

/// Where files of the project are mounted while packages are installed.
pub const LOCAL_FOLDER: &str = "/run/cog-python/project";

/// The requirements of a model, ready for pip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Lines of the requirements file, without comments, blank lines and the SDK's own lines.
    pub lines: Vec<String>,
    /// The named packages among the lines.
    pub packages: Vec<Package>,
    /// Files and folders of the project that lines name, relative to it.
    pub local: BTreeSet<String>,
    /// Lines of the constraints file, from local `-c` files.
    pub constraints: Vec<String>,
    /// Names of variables that lines use as `${NAME}`, sorted: each is a secret of the pip step.
    pub secrets: Vec<String>,
    /// Whether pip will demand a hash for every package, because a line has one.
    pub hashed: bool,
    /// The lock that the lines are from, if they are from a `pylock.toml` or a `uv.lock` alone.
    pub lock: Option<crate::lock::Lock>,
    /// Whether a line needs a tool such as git or a compiler to download or build a package.
    pub needs_tools: bool,
}
