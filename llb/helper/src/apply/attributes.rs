//! Extended attributes of a path itself, never of what a link leads to.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;

use crate::error::{At as _, Error};

const CAPABILITY: &str = "security.capability";

/// Bytes that most values and lists of names fit into, and those that Linux allows (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const USUAL: usize = 256;
const LARGEST: usize = 64 << 10;

/// The file capability of a path.
pub(super) fn capability(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    value(path, CAPABILITY.as_bytes())
}

/// Gives a path exactly the attributes of another.
pub(super) fn replace(from: &Path, to: &Path) -> Result<(), Error> {
    let wanted = all(from)?;
    let present = all(to)?;
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        let removed = lremovexattr(to, name.as_os_str());
        if removed != Err(Errno::NODATA) {
            allow_foreign(removed, name).at("remove an attribute of", to)?;
        }
    }
    for (name, value) in &wanted {
        if present.get(name) != Some(value) {
            let set = lsetxattr(to, name.as_os_str(), value, XattrFlags::empty());
            allow_foreign(set, name).at("set an attribute of", to)?;
        }
    }
    Ok(())
}

/// Attributes that belong to the machine, such as labels of its security module, are not the tree's.
fn allow_foreign(result: Result<(), Errno>, name: &OsString) -> Result<(), Errno> {
    let name = name.as_bytes();
    let is_ours = name.starts_with(b"user.") || name == CAPABILITY.as_bytes();
    match result {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::ACCESS) if !is_ours => Ok(()),
        other => other,
    }
}

fn all(path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>, Error> {
    let mut attributes = BTreeMap::new();
    for name in names(path)?.split(|byte| *byte == 0) {
        if name.is_empty() {
            continue;
        }
        if let Some(value) = value(path, name)? {
            attributes.insert(OsString::from_vec(name.to_vec()), value);
        }
    }
    Ok(attributes)
}

fn names(path: &Path) -> Result<Vec<u8>, Error> {
    let names = read(|buffer| llistxattr(path, buffer));
    Ok(names
        .at("list the attributes of", path)?
        .unwrap_or_default())
}

fn value(path: &Path, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    read(|buffer| lgetxattr(path, &name, buffer)).at("read an attribute of", path)
}

/// Reads what fits into a buffer; nothing if there are no attributes, or not this one.
fn read(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    let mut buffer = vec![0; USUAL];
    let mut result = read(&mut buffer);
    if result == Err(Errno::RANGE) {
        buffer = vec![0; LARGEST];
        result = read(&mut buffer);
    }
    match result {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}
