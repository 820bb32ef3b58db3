//! Receives a file tree: the receiving side of the transfer protocol, without its stream.
//!
//! The sender's paths are not trusted. They must be clean, relative and in order, and their parent
//! must have come before as a directory. As the tree grows in a fresh directory of our own, no link
//! can then stand where a directory is expected, so nothing is written outside.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::mode::{FileKind, kind_of_go, permissions};
use crate::proto::fsutil::types::packet::PacketType;
use crate::proto::fsutil::types::{Packet, Stat};

/// Files that are asked for at a time. A daemon queues 128 requests and reads no more of them while its queue is full and
/// the connection is busy with content; who waits then with a request in hand, instead of taking content, waits for ever.
pub(crate) const REQUESTS: usize = 64;

/// A tree on its way.
#[derive(Debug)]
pub(crate) struct TreeReceiver {
    root: PathBuf,
    next: u32,
    parents: Vec<Parent>,
    wanted: HashMap<u32, Wanted>,
    /// Files of `wanted` that were not asked for yet.
    unasked: VecDeque<u32>,
    files: HashSet<String>,
    links: Vec<(String, String)>,
    directories: Vec<DirectoryMetadata>,
    all_named: bool,
    finished: bool,
}

/// Mode and time of a directory, applied when nothing is written into it any more.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryMetadata {
    path: String,
    mode: u32,
    modified: i64,
}

#[derive(Debug)]
struct Parent {
    path: String,
    last: String,
}

#[derive(Debug)]
struct Wanted {
    stat: Stat,
    file: Option<File>,
    written: u64,
}

impl TreeReceiver {
    /// Receives into a directory that does not exist yet.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir(root)?;
        Ok(Self {
            root: root.to_owned(),
            next: 0,
            parents: vec![Parent {
                path: String::new(),
                last: String::new(),
            }],
            wanted: HashMap::new(),
            unasked: VecDeque::new(),
            files: HashSet::new(),
            links: Vec::new(),
            directories: Vec::new(),
            all_named: false,
            finished: false,
        })
    }

    /// Whether the sender has said that it is done.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The directories received, parents first.
    pub(crate) fn into_directories(self) -> Vec<DirectoryMetadata> {
        self.directories
    }

    /// Takes a packet of the sender; the answer, if any, goes back to it.
    pub(crate) fn handle(&mut self, packet: Packet) -> io::Result<Option<Packet>> {
        match packet.r#type() {
            PacketType::PacketStat => {
                let Some(stat) = packet.stat else {
                    self.all_named = true;
                    return self.end_if_complete();
                };
                let id = self.next;
                self.next += 1;
                if self.take_stat(id, stat)? {
                    if self.wanted.len() - self.unasked.len() <= REQUESTS {
                        return Ok(Some(answer(PacketType::PacketReq, id)));
                    }
                    self.unasked.push_back(id);
                }
            }
            PacketType::PacketData => {
                self.take_data(packet.id, &packet.data)?;
                if packet.data.is_empty() {
                    return match self.unasked.pop_front() {
                        Some(next) => Ok(Some(answer(PacketType::PacketReq, next))),
                        None => self.end_if_complete(),
                    };
                }
            }
            PacketType::PacketFin => self.finished = true,
            PacketType::PacketErr => {
                let text = String::from_utf8_lossy(&packet.data);
                return Err(io::Error::other(format!("the daemon reports: {text}")));
            }
            PacketType::PacketReq => {
                return Err(io::Error::other("the daemon asked for a file of an export"));
            }
        }
        Ok(None)
    }

    fn end_if_complete(&mut self) -> io::Result<Option<Packet>> {
        if !self.all_named || !self.wanted.is_empty() {
            return Ok(None);
        }
        for (path, target) in std::mem::take(&mut self.links) {
            fs::hard_link(self.root.join(target), self.root.join(path))?;
        }
        Ok(Some(answer(PacketType::PacketFin, 0)))
    }

    /// Creates what a stat names; `true` if its content is to be asked for.
    fn take_stat(&mut self, id: u32, stat: Stat) -> io::Result<bool> {
        self.check_path(&stat.path)?;
        let path = self.root.join(&stat.path);
        let kind = kind_of_go(stat.mode);
        match kind {
            FileKind::Directory => {
                fs::create_dir(&path)?;
                self.parents.push(Parent {
                    path: stat.path.clone(),
                    last: String::new(),
                });
                self.directories.push(DirectoryMetadata {
                    path: stat.path,
                    mode: stat.mode,
                    modified: stat.mod_time,
                });
            }
            FileKind::Regular if !stat.linkname.is_empty() => {
                if !self.files.contains(&stat.linkname) {
                    return Err(io::Error::other(format!(
                        "`{}` is a hard link to `{}`, which has not been sent",
                        stat.path, stat.linkname
                    )));
                }
                self.links.push((stat.path, stat.linkname));
            }
            FileKind::Regular => {
                self.files.insert(stat.path.clone());
                let empty = stat.size == 0;
                let mut wanted = Wanted {
                    stat,
                    file: None,
                    written: 0,
                };
                if empty {
                    wanted.finish(&self.root)?;
                } else {
                    self.wanted.insert(id, wanted);
                }
                return Ok(!empty);
            }
            FileKind::Symlink => {
                std::os::unix::fs::symlink(&stat.linkname, &path)?;
                let time = timespec(stat.mod_time);
                let times = Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileKind::NamedPipe
            | FileKind::BlockDevice
            | FileKind::CharacterDevice
            | FileKind::Socket
            | FileKind::Other => make_node(&path, kind, &stat)
                .map_err(|error| io::Error::other(format!("`{}`: {error}", stat.path)))?,
        }
        Ok(false)
    }

    fn take_data(&mut self, id: u32, data: &[u8]) -> io::Result<()> {
        let Some(wanted) = self.wanted.get_mut(&id) else {
            return Err(io::Error::other(format!(
                "the daemon sent data of file {id}, which was not asked for"
            )));
        };
        if data.is_empty() {
            wanted.finish(&self.root)?;
            self.wanted.remove(&id);
            return Ok(());
        }
        wanted.written += data.len() as u64;
        wanted.open(&self.root)?.write_all(data)
    }

    fn check_path(&mut self, path: &str) -> io::Result<()> {
        let refuse = |why: &str| Err(io::Error::other(format!("the daemon sent `{path}`, {why}")));
        let clean = !path.contains('\0')
            && path
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..");
        if !clean {
            return refuse("which is not a clean relative path");
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        while let Some(last) = self.parents.last()
            && last.path != parent
            && self.parents.len() > 1
        {
            self.parents.pop();
        }
        match self.parents.last_mut() {
            Some(last) if last.path == parent => {
                if last.last.as_str().cmp(name) != Ordering::Less {
                    return refuse("which is out of order");
                }
                name.clone_into(&mut last.last);
                Ok(())
            }
            _ => refuse("whose parent is no directory it has sent"),
        }
    }
}

impl Wanted {
    fn open(&mut self, root: &Path) -> io::Result<&mut File> {
        if self.file.is_none() {
            let path = root.join(&self.stat.path);
            self.file = Some(OpenOptions::new().write(true).create_new(true).open(path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("file is not open"))
    }

    fn finish(&mut self, root: &Path) -> io::Result<()> {
        let expected = u64::try_from(self.stat.size).unwrap_or(0);
        if self.written != expected {
            return Err(io::Error::other(format!(
                "the daemon sent {} bytes of `{}`, {expected} were announced",
                self.written, self.stat.path
            )));
        }
        let (mode, modified) = (self.stat.mode, self.stat.mod_time);
        let file = self.open(root)?;
        file.set_permissions(Permissions::from_mode(permissions(mode)))?;
        file.set_modified(system_time(modified))?;
        self.file = None;
        Ok(())
    }
}

impl DirectoryMetadata {
    /// Sets mode and time of the directory below `root`.
    pub(crate) fn apply(&self, root: &Path) -> io::Result<()> {
        let path = root.join(&self.path);
        // The time first: a mode without read permission would forbid opening it.
        File::open(&path)?.set_modified(system_time(self.modified))?;
        fs::set_permissions(&path, Permissions::from_mode(permissions(self.mode)))
    }
}

fn answer(kind: PacketType, id: u32) -> Packet {
    Packet {
        r#type: kind.into(),
        id,
        ..Packet::default()
    }
}

#[cfg(target_os = "linux")]
fn make_node(path: &Path, kind: FileKind, stat: &Stat) -> io::Result<()> {
    use rustix::fs::{FileType, Mode, makedev, mknodat};
    let number = |number: i64| u32::try_from(number).unwrap_or(0);
    let device = makedev(number(stat.devmajor), number(stat.devminor));
    let (kind, device) = match kind {
        FileKind::NamedPipe => (FileType::Fifo, 0),
        FileKind::BlockDevice => (FileType::BlockDevice, device),
        FileKind::CharacterDevice => (FileType::CharacterDevice, device),
        _ => return Err(io::Error::other("this kind of file cannot be made")),
    };
    let mode = Mode::from_raw_mode(permissions(stat.mode));
    Ok(mknodat(CWD, path, kind, mode, device)?)
}

#[cfg(not(target_os = "linux"))]
fn make_node(_: &Path, _: FileKind, _: &Stat) -> io::Result<()> {
    Err(io::Error::other(
        "this kind of file cannot be made on this system",
    ))
}

fn system_time(nanoseconds: i64) -> SystemTime {
    let duration = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        SystemTime::UNIX_EPOCH - duration
    } else {
        SystemTime::UNIX_EPOCH + duration
    }
}

fn timespec(nanoseconds: i64) -> Timespec {
    Timespec {
        tv_sec: nanoseconds.div_euclid(1_000_000_000),
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const DIRECTORY: u32 = 1 << 31 | 0o755;
    const SYMLINK: u32 = 1 << 27 | 0o777;

    fn stat(path: &str, mode: u32) -> Packet {
        Packet {
            stat: Some(Stat {
                path: path.into(),
                mode,
                mod_time: 1_500_000_000,
                ..Stat::default()
            }),
            ..Packet::default()
        }
    }

    fn with(mut packet: Packet, change: impl FnOnce(&mut Stat)) -> Packet {
        change(packet.stat.as_mut().unwrap());
        packet
    }

    fn data(id: u32, data: &[u8]) -> Packet {
        Packet {
            r#type: PacketType::PacketData.into(),
            id,
            data: data.to_vec().into(),
            ..Packet::default()
        }
    }

    fn receiver() -> (tempfile::TempDir, TreeReceiver) {
        let home = tempfile::tempdir().unwrap();
        let receiver = TreeReceiver::new(&home.path().join("tree")).unwrap();
        (home, receiver)
    }

    #[test]
    fn a_tree_arrives_with_its_modes_times_and_links() {
        let (home, mut receiver) = receiver();
        assert!(receiver.handle(stat("dir", DIRECTORY)).unwrap().is_none());
        let packet = with(stat("dir/file", 0o640), |stat| stat.size = 3);
        let request = receiver.handle(packet).unwrap().unwrap();
        assert_eq!((request.r#type(), request.id), (PacketType::PacketReq, 1));
        let packet = with(stat("dir/hard", 0o640), |stat| {
            stat.linkname = "dir/file".into();
        });
        assert!(receiver.handle(packet).unwrap().is_none());
        let packet = with(stat("dir-x", SYMLINK), |stat| {
            stat.linkname = "../out".into();
        });
        assert!(receiver.handle(packet).unwrap().is_none());
        assert!(receiver.handle(stat("empty", 0o600)).unwrap().is_none());
        assert!(receiver.handle(Packet::default()).unwrap().is_none());
        receiver.handle(data(1, b"ab")).unwrap();
        receiver.handle(data(1, b"c")).unwrap();
        let end = receiver.handle(data(1, b"")).unwrap().unwrap();
        assert_eq!(end.r#type(), PacketType::PacketFin);
        let root = home.path().join("tree");
        for directory in receiver.into_directories() {
            directory.apply(&root).unwrap();
        }
        let file = fs::metadata(root.join("dir/file")).unwrap();
        assert_eq!(fs::read(root.join("dir/file")).unwrap(), b"abc");
        assert_eq!(file.mode() & 0o7777, 0o640);
        assert_eq!((file.mtime(), file.mtime_nsec()), (1, 500_000_000));
        assert_eq!(
            file.ino(),
            fs::metadata(root.join("dir/hard")).unwrap().ino()
        );
        assert_eq!(
            fs::read_link(root.join("dir-x")).unwrap(),
            Path::new("../out")
        );
        assert_eq!(fs::symlink_metadata(root.join("dir-x")).unwrap().mtime(), 1);
        assert_eq!(fs::metadata(root.join("dir")).unwrap().mtime(), 1);
    }

    #[test]
    fn files_are_asked_for_as_others_end() {
        let (_home, mut receiver) = receiver();
        let count = u32::try_from(REQUESTS).unwrap() + 2;
        let mut asked = Vec::new();
        for id in 0..count {
            let packet = with(stat(&format!("{id:04}"), 0o644), |stat| stat.size = 1);
            asked.extend(receiver.handle(packet).unwrap().map(|answer| answer.id));
        }
        assert!(receiver.handle(Packet::default()).unwrap().is_none());
        assert_eq!(asked, (0..count - 2).collect::<Vec<_>>());
        for id in 0..count {
            receiver.handle(data(id, b"x")).unwrap();
            let answer = receiver.handle(data(id, b"")).unwrap();
            let answer = answer.map(|answer| (answer.r#type(), answer.id));
            let expected = match id {
                0 | 1 => Some((PacketType::PacketReq, count - 2 + id)),
                _ if id == count - 1 => Some((PacketType::PacketFin, 0)),
                _ => None,
            };
            assert_eq!(answer, expected, "after file {id}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "../x",
            "/x",
            "a/../../x",
            "",
            ".",
            "a//b",
            "a/",
            "a\0b",
            "no/parent",
        ] {
            let (_home, mut receiver) = receiver();
            assert!(receiver.handle(stat(path, 0o644)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (_home, mut receiver) = receiver();
        let packet = with(stat("a", SYMLINK), |stat| stat.linkname = "/".into());
        receiver.handle(packet).unwrap();
        let error = receiver.handle(stat("a/b", 0o644)).unwrap_err();
        assert!(error.to_string().contains("parent"), "{error}");
        let error = receiver.handle(stat("a", DIRECTORY)).unwrap_err();
        assert!(error.to_string().contains("order"), "{error}");
    }

    #[test]
    fn short_content_is_an_error() {
        let (_home, mut receiver) = receiver();
        let packet = with(stat("a", 0o644), |stat| stat.size = 3);
        receiver.handle(packet).unwrap();
        receiver.handle(data(0, b"ab")).unwrap();
        let error = receiver.handle(data(0, b"")).unwrap_err();
        assert!(error.to_string().contains("2 bytes of `a`, 3"), "{error}");
    }
}
