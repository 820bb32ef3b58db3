//! File modes as the transfer protocol has them: Go's `os.FileMode`, not `st_mode`.

const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SET_USER_ID: u32 = 1 << 23;
const SET_GROUP_ID: u32 = 1 << 22;
const CHARACTER_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;
const TYPE: u32 = DIRECTORY | SYMLINK | DEVICE | NAMED_PIPE | SOCKET | CHARACTER_DEVICE | IRREGULAR;

/// Kind of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileKind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    NamedPipe,
    /// A socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// Anything this crate does not know.
    Other,
}

/// The kind a Unix mode (`st_mode`) tells.
pub(crate) fn kind_of_unix(mode: u32) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::Regular,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink,
        0o010_000 => FileKind::NamedPipe,
        0o140_000 => FileKind::Socket,
        0o060_000 => FileKind::BlockDevice,
        0o020_000 => FileKind::CharacterDevice,
        _ => FileKind::Other,
    }
}

/// The kind a Go mode tells.
pub(crate) fn kind_of_go(mode: u32) -> FileKind {
    match mode & TYPE {
        0 => FileKind::Regular,
        DIRECTORY => FileKind::Directory,
        SYMLINK => FileKind::Symlink,
        NAMED_PIPE => FileKind::NamedPipe,
        SOCKET => FileKind::Socket,
        DEVICE => FileKind::BlockDevice,
        kind if kind == DEVICE | CHARACTER_DEVICE => FileKind::CharacterDevice,
        _ => FileKind::Other,
    }
}

/// A Unix mode as Go's.
pub(crate) fn from_unix(mode: u32) -> u32 {
    let kind = match kind_of_unix(mode) {
        FileKind::Regular => 0,
        FileKind::Directory => DIRECTORY,
        FileKind::Symlink => SYMLINK,
        FileKind::NamedPipe => NAMED_PIPE,
        FileKind::Socket => SOCKET,
        FileKind::BlockDevice => DEVICE,
        FileKind::CharacterDevice => DEVICE | CHARACTER_DEVICE,
        FileKind::Other => IRREGULAR,
    };
    let mut bits = kind | (mode & 0o777);
    for (unix, go) in [
        (0o4000, SET_USER_ID),
        (0o2000, SET_GROUP_ID),
        (0o1000, STICKY),
    ] {
        if mode & unix != 0 {
            bits |= go;
        }
    }
    bits
}

/// The permission bits of a Go mode as Unix has them: at most `0o7777`.
pub(crate) fn permissions(mode: u32) -> u32 {
    let mut bits = mode & 0o777;
    for (unix, go) in [
        (0o4000, SET_USER_ID),
        (0o2000, SET_GROUP_ID),
        (0o1000, STICKY),
    ] {
        if mode & go != 0 {
            bits |= unix;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_the_way_there_and_back() {
        for (unix, go, kind) in [
            (0o100_644, 0o644, FileKind::Regular),
            (0o104_755, 0o755 | 1 << 23, FileKind::Regular),
            (0o041_777, 0o777 | 1 << 31 | 1 << 20, FileKind::Directory),
            (0o042_755, 0o755 | 1 << 31 | 1 << 22, FileKind::Directory),
            (0o120_777, 0o777 | 1 << 27, FileKind::Symlink),
            (0o010_600, 0o600 | 1 << 25, FileKind::NamedPipe),
            (0o140_600, 0o600 | 1 << 24, FileKind::Socket),
            (0o060_660, 0o660 | 1 << 26, FileKind::BlockDevice),
            (
                0o020_666,
                0o666 | 1 << 26 | 1 << 21,
                FileKind::CharacterDevice,
            ),
        ] {
            assert_eq!(from_unix(unix), go, "{unix:o}");
            assert_eq!(kind_of_unix(unix), kind, "{unix:o}");
            assert_eq!(kind_of_go(go), kind, "{unix:o}");
            assert_eq!(permissions(go), unix & 0o7777, "{unix:o}");
        }
    }
}
