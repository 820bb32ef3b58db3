//! Whether a path is changed between two trees.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::attributes;
use crate::error::{At as _, Error};

const BUFFER: usize = 64 << 10;

/// A path of a tree that is there.
#[derive(Clone, Copy)]
pub(super) struct Entry<'p> {
    pub(super) path: &'p Path,
    pub(super) metadata: &'p Metadata,
}

/// Whether a differ takes the two for the same.
pub(super) fn is_same(lower: Entry<'_>, upper: Entry<'_>) -> Result<bool, Error> {
    let (old, new) = (lower.metadata, upper.metadata);
    let identity = |data: &Metadata| (data.mode(), data.uid(), data.gid());
    if identity(old) != identity(new) || device(old) != device(new) {
        return Ok(false);
    }
    if attributes::capability(lower.path)? != attributes::capability(upper.path)? {
        return Ok(false);
    }
    if new.is_dir() {
        return Ok(true);
    }
    if old.size() != new.size() || old.mtime() != new.mtime() {
        return Ok(false);
    }
    if old.mtime_nsec() != 0 || new.mtime_nsec() != 0 {
        return Ok(old.mtime_nsec() == new.mtime_nsec());
    }
    if new.is_symlink() {
        let target = |path| fs::read_link(path).at("read the link", path);
        return Ok(target(lower.path)? == target(upper.path)?);
    }
    if new.is_file() {
        return is_same_content(lower.path, upper.path);
    }
    Ok(true)
}

/// The number of a device node; that of anything else means nothing.
fn device(metadata: &Metadata) -> Option<u64> {
    let kind = metadata.file_type();
    (kind.is_block_device() || kind.is_char_device()).then(|| metadata.rdev())
}

fn is_same_content(lower: &Path, upper: &Path) -> Result<bool, Error> {
    let open = |path| File::open(path).at("open", path);
    let (mut old, mut new) = (open(lower)?, open(upper)?);
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let count = fill(&mut old, &mut left).at("read", lower)?;
        if count != fill(&mut new, &mut right).at("read", upper)? || left[..count] != right[..count]
        {
            return Ok(false);
        }
        if count < BUFFER {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
