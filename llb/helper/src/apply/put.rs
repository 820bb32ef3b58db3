//! Changes of the target tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, mknodat, utimensat,
};

use super::attributes;
use crate::error::{At as _, Error};

/// The bits of a mode that can be set.
const PERMISSIONS: u32 = 0o7777;

/// The tree that is changed, while the difference of one step is applied to it.
pub(super) struct Target<'t> {
    /// Where changes are copied from; nothing is if everything is deleted.
    upper: PathBuf,
    root: &'t Path,
    /// Directories that are in the target as the upper tree has them.
    settled: BTreeSet<PathBuf>,
    /// Where each file that has several names was put first, by device and inode.
    names: BTreeMap<(u64, u64), PathBuf>,
}

impl<'t> Target<'t> {
    pub(super) fn new(upper: Option<&Path>, root: &'t Path) -> Self {
        Self {
            upper: upper.map(Path::to_owned).unwrap_or_default(),
            root,
            settled: BTreeSet::new(),
            names: BTreeMap::new(),
        }
    }

    /// Removes a path with everything below it.
    pub(super) fn delete(&mut self, below: &Path) -> Result<(), Error> {
        self.settle_above(below)?;
        remove(&self.root.join(below))
    }

    /// Makes a path what it is in the upper tree, but not what is below it.
    pub(super) fn put(&mut self, below: &Path, metadata: &Metadata) -> Result<(), Error> {
        self.settle_above(below)?;
        if metadata.is_dir() {
            return self.directory(below, metadata);
        }
        let (from, to) = (self.upper.join(below), self.root.join(below));
        remove(&to)?;
        if metadata.nlink() > 1 {
            let identity = (metadata.dev(), metadata.ino());
            if let Some(first) = self.names.get(&identity) {
                return fs::hard_link(first, &to).at("link", &to);
            }
            self.names.insert(identity, to.clone());
        }
        make(&from, &to, metadata)?;
        own(&from, &to, metadata)?;
        set_time(&to, metadata)
    }

    /// Sets the times of directories, which every change below them has moved.
    pub(super) fn finish(self) -> Result<(), Error> {
        for below in self.settled.iter().rev() {
            let from = self.upper.join(below);
            let metadata = fs::symlink_metadata(&from).at("look at", &from)?;
            set_time(&self.root.join(below), &metadata)?;
        }
        Ok(())
    }

    /// A change brings all directories above it along.
    fn settle_above(&mut self, below: &Path) -> Result<(), Error> {
        let mut above: Vec<&Path> = below.ancestors().skip(1).collect();
        above.pop(); // the root
        for directory in above.into_iter().rev() {
            if !self.settled.contains(directory) {
                let from = self.upper.join(directory);
                let metadata = fs::symlink_metadata(&from).at("look at", &from)?;
                self.directory(directory, &metadata)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, below: &Path, metadata: &Metadata) -> Result<(), Error> {
        let (from, to) = (self.upper.join(below), self.root.join(below));
        let present = fs::symlink_metadata(&to).is_ok_and(|present| present.is_dir());
        if !present {
            remove(&to)?;
            DirBuilder::new()
                .mode(0o700)
                .create(&to)
                .at("make the directory", &to)?;
        }
        own(&from, &to, metadata)?;
        self.settled.insert(below.to_owned());
        Ok(())
    }
}

/// Makes anything but a directory.
fn make(from: &Path, to: &Path, metadata: &Metadata) -> Result<(), Error> {
    let kind = metadata.file_type();
    if kind.is_file() {
        let mut source = File::open(from).at("open", from)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(to).at("make", to)?;
        io::copy(&mut source, &mut file).at("write", to)?;
        return Ok(());
    }
    if kind.is_symlink() {
        let target = fs::read_link(from).at("read the link", from)?;
        return symlink(target, to).at("make the link", to);
    }
    let (kind, device) = if kind.is_fifo() {
        (FileType::Fifo, 0)
    } else if kind.is_socket() {
        (FileType::Socket, 0)
    } else if kind.is_block_device() {
        (FileType::BlockDevice, metadata.rdev())
    } else {
        (FileType::CharacterDevice, metadata.rdev())
    };
    mknodat(CWD, to, kind, Mode::RUSR | Mode::WUSR, device).at("make the node", to)
}

/// Owner, mode and attributes, in the order in which one does not take the other away.
fn own(from: &Path, to: &Path, metadata: &Metadata) -> Result<(), Error> {
    lchown(to, Some(metadata.uid()), Some(metadata.gid())).at("set the owner of", to)?;
    if !metadata.is_symlink() {
        let mode = Permissions::from_mode(metadata.mode() & PERMISSIONS);
        fs::set_permissions(to, mode).at("set the mode of", to)?;
    }
    attributes::replace(from, to)
}

fn set_time(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: metadata.mtime(),
            tv_nsec: metadata.mtime_nsec(),
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).at("set the times of", path)
}

/// Removes whatever is at a path, and nothing that a link leads to.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.at("remove", path)
}
