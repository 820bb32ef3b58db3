//! Sends what a download on the daemon asks for: `Upload.Pull`.
//!
//! A daemon takes addresses of the host `buildkit-session` from the session instead of the network. So a stream of this
//! machine can stand wherever a graph or a frontend expects an address.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Problem, Services};
use crate::proto::moby::upload::v1::BytesMessage;

/// Bytes in one message.
const CHUNK: usize = 256 << 10;
/// Messages that may wait for the connection.
const QUEUE: usize = 4;
/// The metadata that says what is asked for.
const PATH: &str = "urlpath";

type Messages = ReceiverStream<Result<BytesMessage, Status>>;

/// A stream of this machine that the daemon downloads: an archive as the context of a Dockerfile, or any file that a
/// graph has as [`http`](crate::http).
///
/// ```
/// use llb::client::{Solve, Upload};
///
/// let build = Solve::frontend("dockerfile.v0")
///     .upload("context.tar", Upload::reader(std::io::stdin()))
///     .attribute("context", Upload::url("context.tar"));
/// ```
#[derive(Clone)]
pub struct Upload(Origin);

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    Bytes(Bytes),
    Reader(Arc<Mutex<Option<Source>>>),
}

type Source = Box<dyn Read + Send>;

impl Upload {
    /// A file, read when the daemon asks for it.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// Bytes that the program has.
    pub fn bytes(content: impl Into<Vec<u8>>) -> Self {
        Self(Origin::Bytes(content.into().into()))
    }

    /// A stream, such as standard input. It is read once: a daemon that asks again gets an error.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self(Origin::Reader(Arc::new(Mutex::new(Some(Box::new(reader))))))
    }

    /// The address by which a build names the upload.
    ///
    /// ```
    /// # use llb::client::Upload;
    /// assert_eq!(Upload::url("model.tar"), "http://buildkit-session/model.tar");
    /// ```
    pub fn url(name: &str) -> String {
        format!("http://buildkit-session/{name}")
    }

    /// Checks what can be checked before the build.
    pub(crate) fn check(&self, name: &str) -> Result<(), Problem> {
        let problem = |what: String| Err(Problem::LocalFile(format!("upload `{name}`: {what}")));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return problem(
                "its name is part of an address, expected letters, digits, `-`, `_` and `.`"
                    .to_owned(),
            );
        }
        match &self.0 {
            Origin::File(path) => match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    problem(format!("{} is a directory", path.display()))
                }
                Ok(_) => Ok(()),
                Err(error) => problem(format!("cannot read {}: {error}", path.display())),
            },
            Origin::Bytes(_) | Origin::Reader(_) => Ok(()),
        }
    }

    fn open(&self) -> io::Result<Source> {
        Ok(match &self.0 {
            Origin::File(path) => Box::new(File::open(path)?),
            Origin::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Origin::Reader(reader) => {
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                reader.take().ok_or_else(|| {
                    io::Error::other("its stream has been read; give a file to be read again")
                })?
            }
        })
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::File(path) => write!(formatter, "Upload::file({path:?})"),
            Origin::Bytes(bytes) => write!(formatter, "Upload::bytes({} bytes)", bytes.len()),
            Origin::Reader(_) => formatter.write_str("Upload::reader(..)"),
        }
    }
}

/// Sends one upload.
pub(crate) fn pull(
    services: &Arc<Services>,
    request: &Request<Streaming<BytesMessage>>,
) -> Result<Response<Messages>, Status> {
    let path = request
        .metadata()
        .get(PATH)
        .and_then(|path| path.to_str().ok());
    let name = path
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    let Some(upload) = services.uploads.get(name) else {
        let text = format!("upload `{name}` was not given to this build");
        return Err(Status::not_found(text));
    };
    let (upload, name) = (upload.clone(), name.to_owned());
    let (sender, receiver) = mpsc::channel(QUEUE);
    let problems = services.problems.clone();
    services.workers.spawn_blocking(move || {
        let sent = send(&upload, |data| {
            sender.blocking_send(Ok(BytesMessage { data })).is_ok()
        });
        if let Err(error) = sent {
            let problem = Problem::LocalFile(format!("upload `{name}`: {error}"));
            let status = Status::aborted(problem.message());
            problems.report(problem);
            drop(sender.blocking_send(Err(status)));
        }
    });
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Reads to the end, or until nobody takes more.
fn send(upload: &Upload, mut take: impl FnMut(Bytes) -> bool) -> io::Result<()> {
    let mut reader = upload.open()?;
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = match reader.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        chunk.truncate(length);
        if length == 0 || !take(chunk.into()) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(upload: &Upload) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        send(upload, |data| {
            all.extend(data);
            true
        })?;
        Ok(all)
    }

    #[test]
    fn files_and_bytes_are_sent_as_often_as_they_are_asked_for_and_streams_once() {
        let home = tempfile::tempdir().unwrap();
        let content = vec![7; CHUNK + 1];
        let path = home.path().join("file");
        std::fs::write(&path, &content).unwrap();
        for upload in [Upload::file(path), Upload::bytes(content.clone())] {
            assert_eq!(sent(&upload).unwrap(), content);
            assert_eq!(sent(&upload).unwrap(), content);
        }
        let stream = Upload::reader(io::Cursor::new(content.clone()));
        assert_eq!(sent(&stream).unwrap(), content);
        let error = sent(&stream).unwrap_err();
        assert!(error.to_string().contains("has been read"), "{error}");
    }

    #[test]
    fn uploads_that_cannot_work_are_refused() {
        let home = tempfile::tempdir().unwrap();
        for (name, upload, part) in [
            ("a/b", Upload::bytes(""), "part of an address"),
            ("", Upload::bytes(""), "part of an address"),
            ("..", Upload::bytes(""), "part of an address"),
            (
                "a",
                Upload::file(home.path().join("none")),
                "none: No such file",
            ),
            ("a", Upload::file(home.path()), "is a directory"),
        ] {
            let problem = upload.check(name).unwrap_err();
            assert!(problem.message().contains(part), "{problem:?}");
        }
        assert_eq!(
            format!("{:?}", Upload::bytes("hunter2")),
            "Upload::bytes(7 bytes)"
        );
    }
}
