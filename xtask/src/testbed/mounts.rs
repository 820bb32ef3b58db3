//! Mounts below a folder, and deleting folders that may hold some.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::mount::{UnmountFlags, unmount};

/// Unmounts everything mounted at or below `folder`, the latest first; how many there were.
///
/// Mounts are detached: they vanish from the tree at once even if something still uses them.
pub(crate) fn unmount_below(folder: &Path) -> Result<usize> {
    let mounts = below(folder)?;
    for mount in mounts.iter().rev() {
        unmount(mount, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(mounts.len())
}

/// Deletes a folder and all in it, but never through a mount: those are taken away first.
pub(crate) fn remove_tree(folder: &Path) -> Result<()> {
    if fs::symlink_metadata(folder).is_err() {
        return Ok(());
    }
    unmount_below(folder)?;
    let left = below(folder)?;
    ensure!(
        left.is_empty(),
        "will not delete {}: {} is still mounted; run `umount -R {}` and try again",
        folder.display(),
        left[0].display(),
        left[0].display()
    );
    fs::remove_dir_all(folder).with_context(|| format!("cannot delete {}", folder.display()))
}

/// Mount points at or below `folder`, in the order they were mounted.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table =
        fs::read("/proc/self/mountinfo").context("cannot read the mounts of this process")?;
    Ok(mount_points(&table)
        .into_iter()
        .filter(|mount| mount.starts_with(folder))
        .collect())
}

/// The mount points of a table in the format of `/proc/PID/mountinfo` (fifth field, `proc(5)`).
fn mount_points(table: &[u8]) -> Vec<PathBuf> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescape(field))))
        .collect()
}

/// Resolves the octal escapes (`\040` for a space) of mount tables.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_in_order_with_escapes_resolved() {
        let table = b"22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      40 22 0:35 / /srv/a\\040b/merged rw,relatime - overlay overlay rw\n";
        assert_eq!(
            mount_points(table),
            [PathBuf::from("/"), PathBuf::from("/srv/a b/merged")]
        );
    }

    #[test]
    fn a_folder_whose_name_begins_alike_is_not_below() {
        assert!(!Path::new("/srv/testbed2/run").starts_with("/srv/testbed"));
    }

    #[test]
    fn removing_a_tree_leaves_what_links_in_it_point_to() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "kept").unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        std::os::unix::fs::symlink(folder.path(), tree.join("link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside).unwrap(), "kept");
    }
}
