//! Wheels: what their names say, what is in them, and how they are installed.
//!
//! The installed tree is the one that `uv pip install` makes from the same wheel (measured with uv 0.13), without uv's own
//! lock and cache files and with fixed times, so that a wheel always gives the same layer. Sources of the rules: the
//! [binary distribution format], the [entry points specification] and [recording installed projects].
//!
//! [binary distribution format]: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
//! [entry points specification]: https://packaging.python.org/en/latest/specifications/entry-points/
//! [recording installed projects]: https://packaging.python.org/en/latest/specifications/recording-installed-packages/

mod archive;
mod collision;
mod entry_points;
mod error;
mod install;
mod name;
mod record;
mod scheme;
mod script;

pub use collision::{Collision, collisions};
pub use error::{Error, ErrorKind};
pub use install::{Installation, install, set_time};
pub use name::{WheelName, normalized};
pub use record::{Record, RecordLine};
pub use scheme::Layout;

use std::io::{Read, Seek};

/// The paths that a wheel puts below a virtual environment, without unpacking it: relative to the environment, sorted.
///
/// Two wheels with a path in common overwrite each other's file, unless it is the same file.
///
/// # Errors
///
/// Whatever would keep [`install`] from installing it, as far as names tell.
pub fn installed_paths<R: Read + Seek>(
    name: &WheelName,
    wheel: R,
    layout: &Layout,
) -> Result<Vec<InstalledPath>, Error> {
    archive::Archive::open(name, wheel)?.installed_paths(layout)
}

/// What a wheel says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The name of its distribution, as its metadata writes it.
    pub distribution: String,
    /// Its version, as its metadata writes it.
    pub version: String,
    /// As [`installed_paths`].
    pub paths: Vec<InstalledPath>,
}

/// Reads a wheel's metadata and its list of files, without unpacking it.
///
/// # Errors
///
/// As [`installed_paths`], and metadata without a name or a version.
pub fn inspect<R: Read + Seek>(
    name: &WheelName,
    wheel: R,
    layout: &Layout,
) -> Result<Inspection, Error> {
    let mut archive = archive::Archive::open(name, wheel)?;
    let (distribution, version) = archive
        .distribution()
        .map_err(|kind| Error::new(name.as_str(), kind))?;
    let paths = archive.installed_paths(layout)?;
    Ok(Inspection {
        distribution,
        version,
        paths,
    })
}

/// A file that a wheel puts into an environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstalledPath {
    /// Relative to the environment, such as `lib/python3.12/site-packages/six.py`.
    pub path: String,
    /// CRC-32 and size in bytes, where the file is unpacked as it is; `None` where installing writes it anew.
    pub content: Option<(u32, u64)>,
}
