//! Walks a directory in the order of the transfer protocol.
//!
//! Paths are ordered by their parts: `a`, `a/x`, `a-b`. Sorting each directory by name and going
//! down before going on gives that order with the memory of one directory a level.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Problem;
use super::filter::{Filter, Known, Verdict};
use super::mode::{FileKind, from_unix, kind_of_unix};
use crate::proto::fsutil::types::Stat;

/// A walk over what filters let through.
#[derive(Debug)]
pub(crate) struct Walk {
    root: PathBuf,
    filters: Vec<Filter>,
    keep_owners: bool,
    fixed_modes: bool,
    levels: Vec<Level>,
    /// Found but not yet given out: parents first.
    ready: std::collections::VecDeque<Entry>,
    first_links: HashMap<(u64, u64), String>,
}

/// One file to send.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) stat: Stat,
    /// For files whose content can be asked for.
    pub(crate) identity: Option<Identity>,
}

/// What must stay the same while a file is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: i128,
}

#[derive(Debug)]
struct Level {
    path: String,
    names: std::vec::IntoIter<OsString>,
    known: Vec<Known>,
    /// The directory itself, until something in it has to be sent.
    unsent: Option<Entry>,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }
}

impl Walk {
    /// A walk from `root`, which is not itself part of it.
    pub(crate) fn new(
        root: &Path,
        filters: Vec<Filter>,
        keep_owners: bool,
    ) -> Result<Self, Problem> {
        let mut walk = Self {
            root: root.to_owned(),
            filters,
            keep_owners,
            fixed_modes: false,
            levels: Vec::new(),
            ready: std::collections::VecDeque::new(),
            first_links: HashMap::new(),
        };
        let names = walk.names("").map_err(|error| walk.problem("", &error))?;
        walk.levels.push(Level {
            path: String::new(),
            names,
            known: Vec::new(),
            unsent: None,
        });
        Ok(walk)
    }

    /// Tells permissions of a plain checkout instead of those of this machine.
    pub(crate) fn with_fixed_modes(self, fixed_modes: bool) -> Self {
        Self {
            fixed_modes,
            ..self
        }
    }

    /// The next file to send.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Problem> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            self.visit(&name)?;
        }
    }

    fn visit(&mut self, name: &OsString) -> Result<(), Problem> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let shown = name.to_string_lossy();
        let path = if level.path.is_empty() {
            shown.into_owned()
        } else {
            format!("{}/{shown}", level.path)
        };
        let top = level.known.is_empty();
        let mut known = Vec::with_capacity(self.filters.len());
        let mut verdict = Verdict::Send;
        for (index, filter) in self.filters.iter().enumerate() {
            let parent = (!top).then(|| &level.known[index]);
            let (one, next) = filter.judge(&path, parent);
            known.push(next);
            match one {
                Verdict::Nothing => return Ok(()),
                Verdict::OnlyAround => verdict = Verdict::OnlyAround,
                Verdict::Send => {}
            }
        }
        let full = self.root.join(&level.path).join(name);
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            // Gone since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.problem(&path, &error)),
        };
        let kind = kind_of_unix(metadata.mode());
        if kind != FileKind::Directory && verdict != Verdict::Send {
            return Ok(());
        }
        if matches!(
            kind,
            FileKind::Socket | FileKind::NamedPipe | FileKind::Other
        ) {
            return Ok(());
        }
        if name.to_str().is_none() {
            return Err(Problem::LocalFile(format!(
                "cannot send {}: its name is not UTF-8; rename or exclude it",
                full.display()
            )));
        }
        let entry = self
            .entry(path.clone(), &full, &metadata, kind)
            .map_err(|error| self.problem(&path, &error))?;
        if kind != FileKind::Directory {
            self.send_with_parents(entry);
            return Ok(());
        }
        let names = match self.names(&path) {
            Ok(names) => names,
            // Only what is sent has to be readable.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || verdict != Verdict::Send
                        && error.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Ok(());
            }
            Err(error) => return Err(self.problem(&path, &error)),
        };
        let unsent = if verdict == Verdict::Send {
            self.send_with_parents(entry);
            None
        } else {
            Some(entry)
        };
        self.levels.push(Level {
            path,
            names,
            known,
            unsent,
        });
        Ok(())
    }

    /// Queues an entry behind those of its parents that were not sent yet.
    fn send_with_parents(&mut self, entry: Entry) {
        for level in &mut self.levels {
            self.ready.extend(level.unsent.take());
        }
        self.ready.push_back(entry);
    }

    fn entry(
        &mut self,
        path: String,
        full: &Path,
        metadata: &Metadata,
        kind: FileKind,
    ) -> io::Result<Entry> {
        let mut identity = None;
        let mut stat = Stat {
            path,
            mode: from_unix(metadata.mode()),
            mod_time: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            xattrs: extended_attributes(full)?,
            ..Stat::default()
        };
        if self.fixed_modes {
            stat.mode = from_unix(fixed_mode(metadata.mode(), kind));
            stat.xattrs
                .retain(|name, _| !name.starts_with("system.posix_acl_"));
        }
        if self.keep_owners {
            (stat.uid, stat.gid) = (metadata.uid(), metadata.gid());
        }
        match kind {
            FileKind::Symlink => {
                let target = fs::read_link(full)?;
                let target = target.to_str().ok_or_else(|| {
                    io::Error::other("the target of the link is not UTF-8; exclude it")
                })?;
                stat.size = i64::try_from(target.len()).unwrap_or(0);
                target.clone_into(&mut stat.linkname);
            }
            FileKind::Regular => {
                let found = Identity::of(metadata);
                let first = (metadata.nlink() > 1)
                    .then(|| self.first_links.get(&(found.device, found.inode)))
                    .flatten();
                if let Some(first) = first {
                    first.clone_into(&mut stat.linkname);
                } else {
                    if metadata.nlink() > 1 {
                        self.first_links
                            .insert((found.device, found.inode), stat.path.clone());
                    }
                    stat.size = i64::try_from(found.size).map_err(io::Error::other)?;
                    identity = Some(found);
                }
            }
            FileKind::BlockDevice | FileKind::CharacterDevice => {
                let device = metadata.rdev();
                stat.devmajor = i64::from(rustix::fs::major(device));
                stat.devminor = i64::from(rustix::fs::minor(device));
            }
            _ => {}
        }
        Ok(Entry { stat, identity })
    }

    fn names(&self, path: &str) -> io::Result<std::vec::IntoIter<OsString>> {
        let mut names = fs::read_dir(self.root.join(path))?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names.into_iter())
    }

    fn problem(&self, path: &str, error: &io::Error) -> Problem {
        let full = self.root.join(path);
        let shown = full.display();
        Problem::LocalFile(format!("cannot send {shown}: {error}"))
    }
}

/// The mode that a plain checkout has, of directories and regular files; links have none of their own.
fn fixed_mode(mode: u32, kind: FileKind) -> u32 {
    let bits = match kind {
        FileKind::Directory => 0o755,
        FileKind::Regular if mode & 0o111 != 0 => 0o755,
        FileKind::Regular => 0o644,
        _ => return mode,
    };
    mode & !0o7777 | bits
}

/// The extended attributes of a file. File systems without any have none.
fn extended_attributes(
    path: &Path,
) -> io::Result<std::collections::BTreeMap<String, bytes::Bytes>> {
    let mut attributes = std::collections::BTreeMap::new();
    let mut names = [0_u8; 4096];
    let mut long;
    let names = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => &names[..length],
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOENT) => return Ok(attributes),
        Err(rustix::io::Errno::RANGE) => {
            long = vec![0; 64 * 1024];
            let length = rustix::fs::llistxattr(path, &mut long[..])?;
            &long[..length]
        }
        Err(error) => return Err(error.into()),
    };
    for name in names.split(|byte| *byte == 0) {
        let Some(name) = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())
        else {
            continue;
        };
        if name.starts_with("com.apple.") {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        // An attribute may be unreadable without privilege, or gone by now.
        if let Ok(length) = rustix::fs::lgetxattr(path, name, &mut value[..]) {
            value.truncate(length);
            attributes.insert(name.to_owned(), value.into());
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn paths(root: &Path, include: &[&str], exclude: &[&str]) -> Vec<String> {
        let filter = Filter::new(include, exclude).unwrap();
        let mut walk = Walk::new(root, vec![filter], false).unwrap();
        let mut paths = Vec::new();
        while let Some(entry) = walk.next().unwrap() {
            paths.push(entry.stat.path);
        }
        paths
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        home
    }

    #[test]
    fn paths_come_in_the_order_of_their_parts() {
        let home = tree(&["sub/z", "sub-x", "sub.y/a", "a", "Z"]);
        assert_eq!(
            paths(home.path(), &[], &[]),
            ["Z", "a", "sub", "sub/z", "sub-x", "sub.y", "sub.y/a"]
        );
    }

    #[test]
    fn directories_around_nothing_are_not_sent() {
        let home = tree(&["a/b/c.py", "a/d.txt", "e/f.txt", "g.py"]);
        assert_eq!(
            paths(home.path(), &["**/*.py"], &[]),
            ["a", "a/b", "a/b/c.py", "g.py"]
        );
        assert_eq!(
            paths(home.path(), &[], &["a", "!a/b"]),
            ["a", "a/b", "a/b/c.py", "e", "e/f.txt", "g.py"]
        );
        assert_eq!(paths(home.path(), &["e"], &["e/*"]), ["e"]);
    }

    #[test]
    fn links_and_modes_are_told() {
        let home = tree(&["file"]);
        let root = home.path();
        fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(root.join("file"), root.join("hard")).unwrap();
        symlink("nowhere", root.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let mut walk = Walk::new(root, Vec::new(), false).unwrap();
        let mut stats = Vec::new();
        while let Some(entry) = walk.next().unwrap() {
            assert_eq!(entry.identity.is_some(), entry.stat.path == "file");
            stats.push((
                entry.stat.path,
                entry.stat.mode,
                entry.stat.linkname,
                entry.stat.size,
            ));
        }
        assert_eq!(
            stats,
            [
                ("file".to_owned(), 1 << 23 | 0o751, String::new(), 4),
                ("hard".to_owned(), 1 << 23 | 0o751, "file".to_owned(), 0),
                ("link".to_owned(), 1 << 27 | 0o777, "nowhere".to_owned(), 7),
            ]
        );
    }

    #[test]
    fn modes_can_be_those_of_a_plain_checkout() {
        let home = tree(&["folder/private", "folder/program", "folder/shared"]);
        let root = home.path();
        for (name, mode) in [
            ("folder/private", 0o600),
            ("folder/program", 0o4710),
            ("folder/shared", 0o666),
            ("folder", 0o2770),
        ] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("nowhere", root.join("link")).unwrap();
        let mut walk = Walk::new(root, Vec::new(), false)
            .unwrap()
            .with_fixed_modes(true);
        let mut modes = Vec::new();
        while let Some(entry) = walk.next().unwrap() {
            modes.push((entry.stat.path, entry.stat.mode));
        }
        let expected = [
            ("folder", 1 << 31 | 0o755),
            ("folder/private", 0o644),
            ("folder/program", 0o755),
            ("folder/shared", 0o644),
            ("link", 1 << 27 | 0o777),
        ];
        assert_eq!(modes, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn the_first_link_that_is_sent_is_the_file() {
        let home = tree(&["a/file"]);
        fs::hard_link(home.path().join("a/file"), home.path().join("b")).unwrap();
        let filter = Filter::new(&[""; 0], &["a"]).unwrap();
        let mut walk = Walk::new(home.path(), vec![filter], false).unwrap();
        let entry = walk.next().unwrap().unwrap();
        assert_eq!(
            (entry.stat.path.as_str(), entry.stat.linkname.as_str()),
            ("b", "")
        );
    }

    #[test]
    fn names_that_cannot_be_sent_are_told() {
        use std::os::unix::ffi::OsStrExt as _;
        let home = tree(&[]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
        fs::write(home.path().join(name), "").unwrap();
        let mut walk = Walk::new(home.path(), Vec::new(), false).unwrap();
        let problem = walk.next().unwrap_err();
        assert!(problem.message().contains("not UTF-8"), "{problem:?}");
    }

    #[test]
    fn a_deep_tree_needs_no_stack() {
        let home = tempfile::tempdir().unwrap();
        let deep = "d/".repeat(1500);
        fs::create_dir_all(home.path().join(&deep)).unwrap();
        assert_eq!(paths(home.path(), &[], &[]).len(), 1500);
    }
}
