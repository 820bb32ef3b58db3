//! Extended attributes of a path itself, never of what a link leads to.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;

use crate::error::{At as _, Error};

const CAPABILITY: &str = "security.capability";

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
    loop {
        let length = match llistxattr(path, &mut [0_u8; 0][..]) {
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            length => length.at("list the attributes of", path)?,
        };
        let mut names = vec![0; length];
        match llistxattr(path, &mut names[..]) {
            Err(Errno::RANGE) => {}
            length => {
                names.truncate(length.at("list the attributes of", path)?);
                return Ok(names);
            }
        }
    }
}

fn value(path: &Path, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    const ACTION: &str = "read an attribute of";
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    loop {
        let length = match lgetxattr(path, &name, &mut [0_u8; 0][..]) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            length => length.at(ACTION, path)?,
        };
        let mut value = vec![0; length];
        match lgetxattr(path, &name, &mut value[..]) {
            Err(Errno::RANGE) => {}
            Err(Errno::NODATA) => return Ok(None),
            length => {
                value.truncate(length.at(ACTION, path)?);
                return Ok(Some(value));
            }
        }
    }
}
