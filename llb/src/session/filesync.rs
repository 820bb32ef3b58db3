//! Sends local directories: `FileSync.DiffCopy`.
//!
//! Two threads work for a call: one walks and names files, one reads the files the daemon asks for.
//! Both wait when the connection is slow, so memory holds a few chunks, never a file. A file that
//! is not the same from its naming to its last byte fails the build: the daemon caches what it gets
//! under the size and time it was told, and would keep a torn file.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::OFlags;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::driven::Driven;
use super::filter::Filter;
use super::follow::follow;
use super::local::OpenDirectory;
use super::walk::{Identity, Walk};
use super::{Problem, Services};
use crate::proto::fsutil::types::Packet;
use crate::proto::fsutil::types::packet::PacketType;

/// Bytes of a file in one packet.
const CHUNK: usize = 128 << 10;
/// Packets that may wait for the connection.
const QUEUE: usize = 32;

type Packets = mpsc::Sender<Result<Packet, Status>>;

/// What the daemon may ask for, by the number it was named with.
type Files = Arc<Mutex<HashMap<u32, (String, Identity)>>>;

/// Serves one directory.
pub(crate) fn diff_copy(
    services: &Arc<Services>,
    request: Request<Streaming<Packet>>,
) -> Result<Response<Driven<Packet>>, Status> {
    let wish = Wish::read(request.metadata());
    let Some(directory) = services.directories.get(&wish.name) else {
        return Err(Status::not_found(format!(
            "no local directory is named `{}`",
            wish.name
        )));
    };
    let directory = directory.clone();
    let services = Arc::clone(services);
    let incoming = request.into_inner();
    let (packets, receiver) = mpsc::channel(QUEUE);
    let work = async move {
        if let Err(problem) = send(&services, directory, wish, incoming, &packets).await {
            let text = Bytes::from(problem.message().to_owned());
            let status = Status::aborted(problem.message());
            services.problems.report(problem);
            let packet = packet(PacketType::PacketErr, 0, text);
            // A daemon that is gone needs no answer.
            drop(packets.send(Ok(packet)).await);
            drop(packets.send(Err(status)).await);
        }
    };
    Ok(Response::new(Driven::new(receiver, work)))
}

/// What a call asks for.
#[derive(Debug, Default)]
struct Wish {
    name: String,
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
}

impl Wish {
    fn read(metadata: &MetadataMap) -> Self {
        let values = |key: &str| -> Vec<String> {
            let encoded = metadata
                .get(format!("{key}-encoded"))
                .is_some_and(|flag| flag == "1");
            metadata
                .get_all(key)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(|value| {
                    if encoded {
                        unescape(value)
                    } else {
                        value.to_owned()
                    }
                })
                .collect()
        };
        Self {
            name: values("dir-name").into_iter().next().unwrap_or_default(),
            include: values("include-patterns"),
            exclude: values("exclude-patterns"),
            follow: values("followpaths"),
        }
    }
}

async fn send(
    services: &Services,
    directory: OpenDirectory,
    wish: Wish,
    mut incoming: Streaming<Packet>,
    packets: &Packets,
) -> Result<(), Problem> {
    let files = Files::default();
    let root = directory.root.clone();
    let mut walker = services.workers.spawn_blocking({
        let (packets, files) = (packets.clone(), Arc::clone(&files));
        move || name_files(directory, wish, &packets, &files)
    });
    let (wanted, queue) = mpsc::unbounded_channel();
    let mut reader = services.workers.spawn_blocking({
        let packets = packets.clone();
        move || send_files(&root, queue, &packets)
    });
    let stopped = |_| Problem::LocalFile("sending local files was interrupted".to_owned());
    let (mut walking, mut reading) = (true, true);
    loop {
        tokio::select! {
            result = &mut walker, if walking => {
                walking = false;
                result.map_err(stopped)??;
            }
            result = &mut reader, if reading => {
                reading = false;
                result.map_err(stopped)??;
            }
            next = incoming.message() => match next {
                Ok(Some(packet)) => match packet.r#type() {
                    PacketType::PacketReq => {
                        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(file) = files.remove(&packet.id) else {
                            return Err(Problem::LocalFile(format!(
                                "the daemon asked for file {}, which is none", packet.id
                            )));
                        };
                        drop(wanted.send((packet.id, file)));
                    }
                    PacketType::PacketFin => {
                        let fin = packet_of(PacketType::PacketFin);
                        drop(packets.send(Ok(fin)).await);
                        return Ok(());
                    }
                    // The daemon's own error is the answer to the build.
                    PacketType::PacketErr => return Ok(()),
                    PacketType::PacketStat | PacketType::PacketData => {}
                },
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

/// Names all files, then says that these were all.
fn name_files(
    directory: OpenDirectory,
    wish: Wish,
    packets: &Packets,
    files: &Files,
) -> Result<(), Problem> {
    let root = &directory.root;
    let mut include = wish.include;
    if !wish.follow.is_empty() {
        let followed = follow(root, &wish.follow).map_err(|error| {
            Problem::LocalFile(format!("cannot read links in {}: {error}", root.display()))
        })?;
        match followed {
            Some(paths) => include.extend(paths),
            None => include.clear(),
        }
    }
    let filter = Filter::new(&include, &wish.exclude).map_err(|error| {
        Problem::LocalFile(format!("the build filters local files badly: {error}"))
    })?;
    let filters = vec![directory.filter, filter];
    let walk = Walk::new(root, filters, directory.keep_owners)?;
    let mut walk = walk.with_fixed_modes(directory.fixed_modes);
    let mut id: u32 = 0;
    while let Some(entry) = walk.next()? {
        if let Some(identity) = entry.identity {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(id, (entry.stat.path.clone(), identity));
        }
        id += 1;
        let packet = Packet {
            stat: Some(entry.stat),
            ..packet_of(PacketType::PacketStat)
        };
        if packets.blocking_send(Ok(packet)).is_err() {
            return Ok(());
        }
    }
    drop(packets.blocking_send(Ok(packet_of(PacketType::PacketStat))));
    Ok(())
}

/// Sends the files the daemon asks for, one after the other.
fn send_files(
    root: &Path,
    mut queue: mpsc::UnboundedReceiver<(u32, (String, Identity))>,
    packets: &Packets,
) -> Result<(), Problem> {
    while let Some((id, (path, identity))) = queue.blocking_recv() {
        let full = root.join(path);
        let problem = |what: &str| {
            let shown = full.display();
            Problem::LocalFile(format!("cannot send {shown}: {what}"))
        };
        let sent = send_file(&full, identity, |data| {
            let packet = packet(PacketType::PacketData, id, data);
            packets.blocking_send(Ok(packet)).is_ok()
        });
        match sent {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(Failure::Changed(how)) => {
                return Err(problem(&format!(
                    "it changed while it was being sent ({how}); build again when nothing writes to it"
                )));
            }
            Err(Failure::Io(error)) => return Err(problem(&error.to_string())),
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Failure {
    Changed(String),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Sends a file in chunks, and an empty one at its end; `false` if nobody takes them any more.
fn send_file(
    path: &Path,
    named: Identity,
    mut take: impl FnMut(Bytes) -> bool,
) -> Result<bool, Failure> {
    // Neither a link nor a pipe that took the file's place is opened.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = match OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Changed("it is gone".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    check(&file, named)?;
    let mut rest = named.size;
    while rest > 0 {
        let length = usize::try_from(rest).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; length];
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Err(Failure::Changed(format!(
                "it ends {rest} bytes before its size of {}",
                named.size
            )));
        }
        chunk.truncate(read);
        rest -= read as u64;
        if !take(chunk.into()) {
            return Ok(false);
        }
    }
    check(&file, named)?;
    Ok(take(Bytes::new()))
}

fn check(file: &File, named: Identity) -> Result<(), Failure> {
    let now = Identity::of(&file.metadata()?);
    let how = if (now.device, now.inode) != (named.device, named.inode) {
        "another file took its place".to_owned()
    } else if now.size != named.size {
        format!("its size was {} bytes and is {}", named.size, now.size)
    } else if now.modified != named.modified {
        "it was written to".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::Changed(how))
}

fn packet(kind: PacketType, id: u32, data: Bytes) -> Packet {
    Packet {
        r#type: kind.into(),
        stat: None,
        id,
        data,
    }
}

fn packet_of(kind: PacketType) -> Packet {
    packet(kind, 0, Bytes::new())
}

/// Undoes URL query escaping, which marks patterns that are not ASCII.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn named(path: &Path) -> Identity {
        Identity::of(&fs::symlink_metadata(path).unwrap())
    }

    #[test]
    fn a_file_is_sent_in_chunks_with_an_empty_one_at_its_end() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(CHUNK + 3).collect();
        fs::write(&path, &content).unwrap();
        let mut chunks = Vec::new();
        let sent = send_file(&path, named(&path), |chunk| {
            chunks.push(chunk);
            true
        });
        assert!(sent.unwrap());
        assert_eq!(
            chunks.iter().map(Bytes::len).collect::<Vec<_>>(),
            [CHUNK, 3, 0]
        );
        assert_eq!(chunks.concat(), content);
    }

    type Change = fn(&Path);

    #[test]
    fn a_file_that_changes_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let changes: [(Change, &str); 5] = [
            (|path| fs::remove_file(path).unwrap(), "gone"),
            (
                |path| fs::write(path, "longer").unwrap(),
                "size was 3 bytes and is 6",
            ),
            (
                |path| {
                    fs::write(path.with_extension("new"), "abc").unwrap();
                    fs::rename(path.with_extension("new"), path).unwrap();
                },
                "took its place",
            ),
            (
                |path| {
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                        .unwrap();
                },
                "written to",
            ),
            (
                |path| fs::write(path, "a").unwrap(),
                "size was 3 bytes and is 1",
            ),
        ];
        for (change, expected) in changes {
            fs::write(&path, "abc").unwrap();
            let before = named(&path);
            change(&path);
            match send_file(&path, before, |_| true) {
                Err(Failure::Changed(how)) => assert!(how.contains(expected), "{how}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        for (length, expected) in [(3, "ends"), (2 * CHUNK + 1, "size was")] {
            fs::write(&path, vec![1; 2 * CHUNK]).unwrap();
            let mut first = true;
            let result = send_file(&path, named(&path), |_| {
                if std::mem::take(&mut first) {
                    let mut file = File::options().write(true).open(&path).unwrap();
                    file.set_len(length as u64).unwrap();
                    file.write_all(b"x").unwrap();
                }
                true
            });
            match result {
                Err(Failure::Changed(how)) => assert!(how.contains(expected), "{how}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_pipe_or_link_in_the_place_of_a_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "abc").unwrap();
        let before = named(&path);
        fs::rename(&path, home.path().join("other")).unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        assert!(send_file(&path, before, |_| true).is_err());
    }

    #[test]
    fn escaped_patterns_are_read() {
        assert_eq!(unescape("caf%C3%A9+%2A%"), "café *%");
    }
}
