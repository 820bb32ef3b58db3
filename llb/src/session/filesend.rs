//! Receives exports: `FileSend.DiffCopy`.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::directory::TreeReceiver;
use super::driven::Driven;
use super::target::{Received, Target, TargetKind};
use super::{Problem, Services};
use crate::proto::fsutil::types::Packet;
use crate::proto::fsutil::types::packet::PacketType;
use crate::proto::moby::filesync::v1::BytesMessage;

/// Messages that may wait for the disk. They are at most 3 MiB each.
const QUEUE: usize = 8;
/// Answers that may wait for the connection.
const ANSWERS: usize = 128;

type Answers = mpsc::Sender<Result<Bytes, Status>>;

/// Serves one export.
pub(crate) async fn diff_copy(
    services: Arc<Services>,
    request: Request<Streaming<Bytes>>,
) -> Result<Response<Driven<Bytes>>, Status> {
    let exporter = exporter(request.metadata());
    if services.targets.get(exporter).is_none() {
        return Err(Status::not_found(format!(
            "exporter {exporter} has no target on this client"
        )));
    }
    let mut incoming = request.into_inner();
    let (answers, receiver) = mpsc::channel(ANSWERS);
    let work = async move {
        let (messages, queue) = mpsc::channel(QUEUE);
        let worker = {
            let (services, answers) = (Arc::clone(&services), answers.clone());
            let tracker = services.workers.clone();
            tracker.spawn_blocking(move || {
                // A stream that breaks off ends the queue without the mark of its end: half an
                // export is not kept, and why it broke off is told elsewhere.
                let target = services.targets.get(exporter);
                target.map_or(Ok(()), |target| match target.kind {
                    TargetKind::File => receive_file(target, queue),
                    TargetKind::Directory => receive_tree(target, queue, &answers),
                })
            })
        };
        loop {
            let next = incoming.message().await;
            let end = !matches!(next, Ok(Some(_)));
            let Ok(message) = next else { break };
            if messages.send(message).await.is_err() || end {
                break;
            }
        }
        drop(messages);
        let failure = match worker.await {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => Problem::Export("the export could not be received".to_owned()),
        };
        let status = Status::aborted(failure.message());
        services.problems.report(failure);
        drop(answers.send(Err(status)).await);
    };
    Ok(Response::new(Driven::new(receiver, work)))
}

/// Position of the exporter in the request; old daemons do not tell and have only one.
fn exporter(metadata: &MetadataMap) -> usize {
    metadata
        .get("buildkit-attachable-exporter-id")
        .and_then(|id| id.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Writes byte messages into a file. `None` in the queue marks the end.
fn receive_file(target: &Target, mut queue: mpsc::Receiver<Option<Bytes>>) -> Result<(), Problem> {
    let staging = target.stage()?;
    let problem = |error: io::Error| target.problem(&error);
    let mut file = File::create_new(staging.path()).map_err(problem)?;
    while let Some(message) = queue.blocking_recv() {
        let Some(message) = message else {
            return target.keep(Received {
                staging,
                directories: Vec::new(),
            });
        };
        let message = BytesMessage::decode(message).map_err(|error| problem(error.into()))?;
        file.write_all(&message.data).map_err(problem)?;
    }
    Ok(())
}

/// Writes packets into a tree. The stream must go on to its end after the last packet.
fn receive_tree(
    target: &Target,
    mut queue: mpsc::Receiver<Option<Bytes>>,
    answers: &Answers,
) -> Result<(), Problem> {
    let staging = target.stage()?;
    let problem = |error: io::Error| target.problem(&error);
    let mut receiver = TreeReceiver::new(staging.path()).map_err(problem)?;
    // A stream that broke off is noticed at the queue.
    let send = |packet: &Packet| {
        let bytes = Bytes::from(packet.encode_to_vec());
        drop(answers.blocking_send(Ok(bytes)));
    };
    while let Some(message) = queue.blocking_recv() {
        let Some(message) = message else {
            if !receiver.is_finished() {
                break;
            }
            let directories = receiver.into_directories();
            return target.keep(Received {
                staging,
                directories,
            });
        };
        let packet = Packet::decode(message).map_err(|error| problem(error.into()))?;
        match receiver.handle(packet) {
            Ok(Some(answer)) => send(&answer),
            Ok(None) => {}
            Err(error) => {
                let problem = problem(error);
                let packet = Packet {
                    r#type: PacketType::PacketErr.into(),
                    data: Bytes::from(problem.message().to_owned()),
                    ..Packet::default()
                };
                send(&packet);
                return Err(problem);
            }
        }
    }
    Ok(())
}
