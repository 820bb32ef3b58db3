//! Serves OCI layouts: `containerd.services.content.v1.Content`.
//!
//! Local caches, images from layouts and exports into them go through here. Which layout a call means
//! is in its metadata.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use prost_types::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::Services;
use super::driven::Driven;
use super::layout::{Ingest, Layout, blob_metadata};
use crate::proto::containerd::services::content::v1 as wire;

/// The key of the metadata that names the layout.
const STORE: &str = "buildkit-attachable-store-id";
/// Bytes of a blob in one message.
const CHUNK: usize = 1 << 20;
/// Messages that may wait for the connection, or for the disk.
const QUEUE: usize = 4;

type Reading = ReceiverStream<Result<wire::ReadContentResponse, Status>>;
type Writing = Driven<wire::WriteContentResponse>;

/// The layouts a session serves, by their names.
pub(crate) type Layouts = std::collections::BTreeMap<String, Arc<Layout>>;

/// Tells size and age of a blob.
pub(crate) fn info(
    services: &Services,
    request: &Request<wire::InfoRequest>,
) -> Result<Response<wire::InfoResponse>, Status> {
    let layout = find(services, request.metadata())?;
    let info = describe(&layout, &request.get_ref().digest)?;
    Ok(Response::new(wire::InfoResponse { info: Some(info) }))
}

/// Takes labels, which a layout has no place for.
pub(crate) fn update(
    services: &Services,
    request: Request<wire::UpdateRequest>,
) -> Result<Response<wire::UpdateResponse>, Status> {
    let layout = find(services, request.metadata())?;
    let wanted = request.into_inner().info.unwrap_or_default();
    let info = wire::Info {
        labels: wanted.labels,
        ..describe(&layout, &wanted.digest)?
    };
    Ok(Response::new(wire::UpdateResponse { info: Some(info) }))
}

/// Says that nothing is half written: a write that breaks off begins again.
pub(crate) fn status(
    request: &Request<wire::StatusRequest>,
) -> Result<Response<wire::StatusResponse>, Status> {
    let name = &request.get_ref().r#ref;
    Err(Status::not_found(format!(
        "ref {name} is not being written"
    )))
}

/// Sends a part of a blob.
pub(crate) fn read(
    services: &Services,
    request: Request<wire::ReadContentRequest>,
) -> Result<Response<Reading>, Status> {
    let layout = find(services, request.metadata())?;
    let wanted = request.into_inner();
    let (sender, receiver) = mpsc::channel(QUEUE);
    services.workers.spawn_blocking(move || {
        let send = |message| sender.blocking_send(Ok(message)).is_ok();
        if let Err(status) = read_blob(&layout, &wanted, send) {
            drop(sender.blocking_send(Err(status)));
        }
    });
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Takes a blob.
pub(crate) fn write(
    services: &Services,
    request: Request<Streaming<wire::WriteContentRequest>>,
) -> Result<Response<Writing>, Status> {
    let layout = find(services, request.metadata())?;
    let mut incoming = request.into_inner();
    let (answers, receiver) = mpsc::channel(QUEUE);
    let (messages, mut queue) = mpsc::channel(QUEUE);
    services.workers.spawn_blocking(move || {
        let mut blob = Blob::new(layout);
        while let Some(message) = queue.blocking_recv() {
            let answer = blob.take(&message);
            let failed = answer.is_err();
            if answers.blocking_send(answer).is_err() || failed {
                return;
            }
        }
    });
    let work = async move {
        while let Ok(Some(message)) = incoming.message().await {
            if messages.send(message).await.is_err() {
                return;
            }
        }
    };
    Ok(Response::new(Driven::new(receiver, work)))
}

/// A blob on its way into a layout.
struct Blob {
    layout: Arc<Layout>,
    ingest: Option<Ingest>,
    total: i64,
    expected: String,
}

impl Blob {
    fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            ingest: None,
            total: 0,
            expected: String::new(),
        }
    }

    fn take(
        &mut self,
        message: &wire::WriteContentRequest,
    ) -> Result<wire::WriteContentResponse, Status> {
        if !message.expected.is_empty() {
            self.expected.clone_from(&message.expected);
        }
        if message.total > 0 {
            self.total = message.total;
        }
        let known = self.layout.blob(&self.expected);
        if self.ingest.is_none() && known.is_some_and(|path| path.exists()) {
            return Err(Status::already_exists(format!("blob {}", self.expected)));
        }
        let ingest = match &mut self.ingest {
            Some(ingest) => ingest,
            empty => empty.insert(self.layout.ingest().map_err(|error| failed(&error))?),
        };
        let action = message.action();
        if action != wire::WriteAction::Stat {
            // Where the sender says its bytes belong; zero can also mean that it does not say.
            let offset = u64::try_from(message.offset).unwrap_or(0);
            if offset != 0 && offset != ingest.offset {
                return Err(Status::out_of_range(format!(
                    "the next byte is {}, not {offset}",
                    ingest.offset
                )));
            }
            ingest
                .write(&message.data)
                .map_err(|error| failed(&error))?;
        }
        let offset = i64::try_from(ingest.offset).unwrap_or(i64::MAX);
        let digest = if action == wire::WriteAction::Commit {
            self.commit(offset)?
        } else {
            String::new()
        };
        Ok(wire::WriteContentResponse {
            action: action.into(),
            offset,
            total: self.total,
            digest,
            ..wire::WriteContentResponse::default()
        })
    }

    fn commit(&mut self, length: i64) -> Result<String, Status> {
        if self.total > 0 && self.total != length {
            return Err(Status::failed_precondition(format!(
                "the blob has {length} bytes, {} were announced",
                self.total
            )));
        }
        let Some(ingest) = self.ingest.take() else {
            return Err(Status::failed_precondition("nothing was written"));
        };
        let found = ingest.digest();
        if !self.expected.is_empty() && self.expected != found {
            return Err(Status::failed_precondition(format!(
                "the blob is {found}, {} was announced",
                self.expected
            )));
        }
        self.layout.keep(&ingest).map_err(|error| failed(&error))
    }
}

fn find(services: &Services, metadata: &MetadataMap) -> Result<Arc<Layout>, Status> {
    let name = metadata.get(STORE).and_then(|name| name.to_str().ok());
    let name = name.unwrap_or_default();
    let layout = services.layouts.get(name).cloned();
    layout.ok_or_else(|| Status::not_found(format!("no layout is named `{name}`")))
}

fn describe(layout: &Layout, digest: &str) -> Result<wire::Info, Status> {
    let path = layout.blob(digest);
    let path = path.ok_or_else(|| Status::invalid_argument(format!("{digest} is no digest")))?;
    let (size, seconds) = blob_metadata(&path).map_err(|error| failed(&error))?;
    let time = Some(Timestamp { seconds, nanos: 0 });
    Ok(wire::Info {
        digest: digest.to_owned(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        created_at: time,
        updated_at: time,
        ..wire::Info::default()
    })
}

fn read_blob(
    layout: &Layout,
    wanted: &wire::ReadContentRequest,
    mut send: impl FnMut(wire::ReadContentResponse) -> bool,
) -> Result<(), Status> {
    let digest = &wanted.digest;
    let path = layout.blob(digest);
    let path = path.ok_or_else(|| Status::invalid_argument(format!("{digest} is no digest")))?;
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let length = file.metadata().map_err(|error| failed(&error))?.len();
    let mut offset = u64::try_from(wanted.offset).unwrap_or(0);
    if offset > length {
        return Err(Status::out_of_range(format!("the blob has {length} bytes")));
    }
    let size = u64::try_from(wanted.size).unwrap_or(0);
    let end = if size == 0 {
        length
    } else {
        length.min(offset + size)
    };
    file.seek(SeekFrom::Start(offset))
        .map_err(|error| failed(&error))?;
    while offset < end {
        let rest = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
        let mut data = vec![0; rest];
        file.read_exact(&mut data).map_err(|error| failed(&error))?;
        let message = wire::ReadContentResponse {
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data: Bytes::from(data),
        };
        offset += rest as u64;
        if !send(message) {
            return Ok(());
        }
    }
    Ok(())
}

fn failed(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => Status::not_found(error.to_string()),
        io::ErrorKind::PermissionDenied => Status::permission_denied(error.to_string()),
        _ => Status::internal(format!("cannot use the client's OCI layout: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(
        action: wire::WriteAction,
        offset: i64,
        data: &'static [u8],
    ) -> wire::WriteContentRequest {
        wire::WriteContentRequest {
            action: action.into(),
            offset,
            data: data.into(),
            ..wire::WriteContentRequest::default()
        }
    }

    #[test]
    fn a_blob_is_written_in_parts_and_read_from_anywhere() {
        let home = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::write(home.path()).unwrap());
        let mut blob = Blob::new(Arc::clone(&layout));
        blob.take(&message(wire::WriteAction::Stat, 0, b""))
            .unwrap();
        blob.take(&message(wire::WriteAction::Write, 0, b"abc"))
            .unwrap();
        assert!(
            blob.take(&message(wire::WriteAction::Write, 9, b"x"))
                .is_err()
        );
        blob.take(&message(wire::WriteAction::Write, 3, b"def"))
            .unwrap();
        let end = blob
            .take(&message(wire::WriteAction::Commit, 6, b""))
            .unwrap();
        assert_eq!(describe(&layout, &end.digest).unwrap().size, 6);
        for (offset, size, expected) in [(0, 0, "abcdef"), (2, 3, "cde"), (4, 99, "ef"), (6, 0, "")]
        {
            let wanted = wire::ReadContentRequest {
                digest: end.digest.clone(),
                offset,
                size,
            };
            let mut text = Vec::new();
            read_blob(&layout, &wanted, |part| {
                text.extend_from_slice(&part.data);
                true
            })
            .unwrap();
            assert_eq!(text, expected.as_bytes());
        }
        let mut again = Blob::new(Arc::clone(&layout));
        let known = wire::WriteContentRequest {
            expected: end.digest,
            ..message(wire::WriteAction::Stat, 0, b"")
        };
        assert_eq!(
            again.take(&known).unwrap_err().code(),
            tonic::Code::AlreadyExists
        );
    }

    #[test]
    fn a_blob_that_is_not_what_was_announced_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::write(home.path()).unwrap());
        for announced in [
            wire::WriteContentRequest {
                expected: format!("sha256:{}", "0".repeat(64)),
                ..message(wire::WriteAction::Commit, 0, b"abc")
            },
            wire::WriteContentRequest {
                total: 4,
                ..message(wire::WriteAction::Commit, 0, b"abc")
            },
        ] {
            let refused = Blob::new(Arc::clone(&layout)).take(&announced).unwrap_err();
            assert!(refused.message().contains("announced"), "{refused}");
        }
    }
}
