//! Receives exports: `FileSend.DiffCopy`.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::Executor as _;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::directory::{REQUESTS, TreeReceiver};
use super::executor::Spawner;
use super::target::{Received, Target, TargetKind};
use super::{Problem, Services};
use crate::proto::fsutil::types::Packet;
use crate::proto::fsutil::types::packet::PacketType;
use crate::proto::moby::filesync::v1::BytesMessage;

/// Messages that may wait for the disk. They are at most 3 MiB each.
const QUEUE: usize = 8;
/// How long the daemon may take to end a call in which nothing is left to say.
const ENDING: Duration = Duration::from_secs(5);
/// Answers that may wait for the connection: all requests that can be open, and what ends the transfer.
const ANSWERS: usize = REQUESTS + 4;

type Answers = mpsc::Sender<Result<Bytes, Status>>;

/// Serves one export.
///
/// The work is a task of the session, not of the answer's stream: the daemon resets the call as soon
/// as it has sent the last packet of a tree, which drops the answer while packets wait to be read.
pub(crate) fn diff_copy(
    services: Arc<Services>,
    spawner: &Spawner,
    request: Request<Streaming<Bytes>>,
) -> Result<Response<ReceiverStream<Result<Bytes, Status>>>, Status> {
    let exporter = exporter(request.metadata());
    if services.targets.get(exporter).is_none() {
        return Err(Status::not_found(format!(
            "exporter {exporter} has no target on this client"
        )));
    }
    let mut incoming = request.into_inner();
    let (answers, receiver) = mpsc::channel(ANSWERS);
    let receiving = services.targets.begin();
    let work = async move {
        let (messages, queue) = mpsc::channel(QUEUE);
        let mut worker = {
            let (services, answers) = (Arc::clone(&services), answers.clone());
            let tracker = services.workers.clone();
            tracker.spawn_blocking(move || {
                let _receiving = receiving;
                let target = services.targets.get(exporter);
                target.map_or(Ok(()), |target| match target.kind {
                    TargetKind::File => receive_file(target, queue),
                    TargetKind::Directory => receive_tree(target, queue, &answers),
                    TargetKind::Stream => receive_stream(target, queue),
                })
            })
        };
        let feeding = async {
            while let Ok(message) = incoming.message().await {
                let end = message.is_none();
                if messages.send(message).await.is_err() || end {
                    break;
                }
            }
            drop(messages);
        };
        let result = tokio::select! {
            result = &mut worker => result,
            () = feeding => worker.await,
        };
        let failure = match result {
            Ok(Ok(())) => {
                // The daemon ends the call, now or after its last packet of a tree.
                let ending = async { while let Ok(Some(_)) = incoming.message().await {} };
                drop(timeout(ENDING, ending).await);
                return;
            }
            Ok(Err(problem)) => problem,
            Err(_) => Problem::Export("the export could not be received".to_owned()),
        };
        let status = Status::aborted(failure.message());
        services.problems.report(failure);
        drop(answers.send(Err(status)).await);
    };
    spawner.execute(work);
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Position of the exporter in the request; old daemons do not tell and have only one.
fn exporter(metadata: &MetadataMap) -> usize {
    metadata
        .get("buildkit-attachable-exporter-id")
        .and_then(|id| id.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Writes byte messages into a file. `None` in the queue marks the end; without it the stream broke
/// off, and half a file is not kept.
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

/// Hands byte messages on as they come; the empty one at the end says that they are all.
fn receive_stream(
    target: &Target,
    mut queue: mpsc::Receiver<Option<Bytes>>,
) -> Result<(), Problem> {
    let problem = |error: io::Error| target.problem(&error);
    while let Some(message) = queue.blocking_recv() {
        let Some(message) = message else {
            return target.write(&[]).map_err(problem);
        };
        let message = BytesMessage::decode(message).map_err(|error| problem(error.into()))?;
        if !message.data.is_empty() {
            target.write(&message.data).map_err(problem)?;
        }
    }
    Ok(())
}

/// Writes packets into a tree. It is whole when the daemon has sent the last packet, however the
/// stream ends after that.
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
    while let Some(Some(message)) = queue.blocking_recv() {
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
        if receiver.is_finished() {
            let directories = receiver.into_directories();
            return target.keep(Received {
                staging,
                directories,
            });
        }
    }
    Ok(())
}
