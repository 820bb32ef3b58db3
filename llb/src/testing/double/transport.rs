//! Answers the calls of the gateway from a script.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;

use super::Double;
use super::evaluate::{evaluate, missing};
use super::script::no_image;
use super::tree::{Content, Entry, Tree, name, normal};
use crate::definition::MarshalOptions;
use crate::gateway::transport::{Answer, ExecMessages, Method, Transport};
use crate::proto::fsutil::types::Stat;
use crate::proto::moby::buildkit::v1::apicaps::ApiCap;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::moby::buildkit::v1::frontend::exec_message::Input;
use crate::proto::moby::buildkit::v1::types::WorkerRecord;
use crate::proto::pb;
use crate::session::{FileKind, PatternSet};

/// What the gateway of a BuildKit of 2026 can do, as far as build functions ask.
const GATEWAY: [&str; 8] = [
    "frontend.inputs",
    "gateway.evaluate",
    "gateway.exec",
    "gateway.exec.secretenv",
    "gateway.exec.signals",
    "gateway.warnings",
    "reference.attestations",
    "source.metaresolver",
];

/// A double while it answers one build.
pub(super) struct Answering {
    double: Double,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    solved: BTreeMap<String, pb::Definition>,
    warnings: Vec<String>,
}

impl Answering {
    pub(super) fn new(double: Double) -> Self {
        Self {
            double,
            known: Mutex::default(),
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.known().warnings.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: Method, message: &[u8]) -> Result<Bytes, Status> {
        match method {
            Method::Ping => Ok(encoded(&self.pong())),
            Method::ResolveImageConfig => self.resolve_image(&decoded(message)?),
            Method::ResolveSourceMeta => self.resolve_source(decoded(message)?),
            Method::Solve => self.solve(decoded(message)?),
            Method::ReadFile => self.read_file(&decoded(message)?),
            Method::ReadDir => self.read_dir(&decoded(message)?),
            Method::StatFile => {
                let request: wire::StatFileRequest = decoded(message)?;
                let tree = self.tree(&request.r#ref)?;
                let path = tree.follow(&request.path);
                let entry = tree.entry(&path).ok_or_else(|| missing("lstat", &path))?;
                let stat = Some(stat_of(name(&path), &entry));
                Ok(encoded(&wire::StatFileResponse { stat }))
            }
            Method::Evaluate => {
                let request: wire::EvaluateRequest = decoded(message)?;
                self.tree(&request.r#ref)?;
                Ok(Bytes::new())
            }
            Method::Inputs => self.inputs(),
            Method::NewContainer => {
                let request: wire::NewContainerRequest = decoded(message)?;
                let mounted = request.mounts.iter().map(|mount| mount.result_id.as_str());
                for reference in mounted.filter(|reference| !reference.is_empty()) {
                    self.tree(reference)?;
                }
                Ok(Bytes::new())
            }
            Method::Warn => {
                let request: wire::WarnRequest = decoded(message)?;
                let text = String::from_utf8_lossy(&request.short).into_owned();
                self.known().warnings.push(text);
                Ok(Bytes::new())
            }
            Method::Return | Method::ReleaseContainer => Ok(Bytes::new()),
        }
    }

    fn pong(&self) -> wire::PongResponse {
        let cap = |id: &str| ApiCap {
            id: id.to_owned(),
            enabled: true,
            ..ApiCap::default()
        };
        let platform = &self.double.platform;
        wire::PongResponse {
            frontend_api_caps: GATEWAY.map(cap).into(),
            llb_caps: self
                .double
                .capabilities
                .iter()
                .map(|known| cap(known.name()))
                .collect(),
            workers: vec![WorkerRecord {
                platforms: vec![pb::Platform {
                    os: platform.os.to_string(),
                    architecture: platform.architecture.to_string(),
                    variant: platform.variant.to_string(),
                    ..pb::Platform::default()
                }],
                ..WorkerRecord::default()
            }],
        }
    }

    fn resolve_image(&self, request: &wire::ResolveImageConfigRequest) -> Result<Bytes, Status> {
        let image = self.double.script.image(&request.r#ref);
        let image = image.ok_or_else(|| no_image(&request.r#ref))?;
        Ok(encoded(&wire::ResolveImageConfigResponse {
            digest: image.digest.clone(),
            config: image.config.clone().into(),
            r#ref: request.r#ref.clone(),
        }))
    }

    fn resolve_source(&self, request: wire::ResolveSourceMetaRequest) -> Result<Bytes, Status> {
        let source = request.source.unwrap_or_default();
        let mut answer = wire::ResolveSourceMetaResponse::default();
        if let Some(reference) = source.identifier.strip_prefix("docker-image://") {
            let image = self.double.script.image(reference);
            let image = image.ok_or_else(|| no_image(reference))?;
            answer.image = Some(wire::ResolveSourceImageResponse {
                digest: image.digest.clone(),
                config: image.config.clone().into(),
                ..wire::ResolveSourceImageResponse::default()
            });
        } else {
            // Also that it is there.
            self.double.script.source(&source)?;
            let checksum = super::digest_of(&source.identifier, b"");
            if source.identifier.starts_with("git://") {
                answer.git = Some(wire::ResolveSourceGitResponse {
                    // As long as those of Git.
                    checksum: checksum["sha256:".len()..][..40].to_owned(),
                    ..wire::ResolveSourceGitResponse::default()
                });
            } else {
                answer.http = Some(wire::ResolveSourceHttpResponse {
                    filename: name(&source.identifier).to_owned(),
                    checksum,
                    ..wire::ResolveSourceHttpResponse::default()
                });
            }
        }
        answer.source = Some(source);
        Ok(encoded(&answer))
    }

    fn solve(&self, request: wire::SolveRequest) -> Result<Bytes, Status> {
        if !request.frontend.is_empty() {
            let name = request.frontend;
            return Err(Status::unimplemented(format!(
                "the double has no frontend {name}"
            )));
        }
        let definition = request.definition.unwrap_or_default();
        let mut known = self.known();
        let id = format!("ref{}", known.solved.len());
        known.solved.insert(id.clone(), definition);
        let reference = wire::Ref { id, def: None };
        Ok(encoded(&wire::SolveResponse {
            result: Some(wire::Result {
                result: Some(wire::result::Result::Ref(reference)),
                ..wire::Result::default()
            }),
            ..wire::SolveResponse::default()
        }))
    }

    /// The files of a result. Made anew each time: definitions of tests are small.
    fn tree(&self, reference: &str) -> Result<Tree, Status> {
        let definition = self.known().solved.get(reference).cloned();
        let definition =
            definition.ok_or_else(|| Status::not_found(format!("no such ref: {reference}")))?;
        evaluate(&self.double.script, &definition)
    }

    fn read_file(&self, request: &wire::ReadFileRequest) -> Result<Bytes, Status> {
        let tree = self.tree(&request.r#ref)?;
        let path = tree.follow(&request.file_path);
        let content = match tree.entry(&path).map(|entry| entry.content) {
            Some(Content::File(content)) => content,
            Some(_) => return Err(Status::unknown(format!("read /{path}: is a directory"))),
            None => return Err(missing("open", &path)),
        };
        let range = request.range.unwrap_or_default();
        let start = usize::try_from(range.offset)
            .unwrap_or(0)
            .min(content.len());
        let length = match usize::try_from(range.length) {
            Ok(length) if length > 0 => length,
            _ => content.len(),
        };
        let end = start.saturating_add(length).min(content.len());
        let data = content.slice(start..end);
        Ok(encoded(&wire::ReadFileResponse { data }))
    }

    fn read_dir(&self, request: &wire::ReadDirRequest) -> Result<Bytes, Status> {
        let tree = self.tree(&request.r#ref)?;
        let path = tree.follow(&request.dir_path);
        match tree.entry(&path).map(|entry| entry.content) {
            Some(Content::Directory) => {}
            Some(_) => return Err(Status::unknown(format!("/{path}: not a directory"))),
            None => return Err(missing("open", &path)),
        }
        let pattern = request.include_pattern.as_str();
        let included = PatternSet::new([pattern])
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let entries = tree
            .in_directory(&path)
            .map(|(path, entry)| (name(path), entry))
            .filter(|(name, _)| pattern.is_empty() || included.matches(name))
            .map(|(name, entry)| stat_of(name, entry))
            .collect();
        Ok(encoded(&wire::ReadDirResponse { entries }))
    }

    fn inputs(&self) -> Result<Bytes, Status> {
        let options = MarshalOptions::new(self.double.platform.clone());
        let mut answer = wire::InputsResponse::default();
        for (name, state) in &self.double.inputs {
            let definition = state
                .marshal(&options)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            answer.definitions.insert(name.clone(), definition.into());
        }
        Ok(encoded(&answer))
    }
}

impl Transport for Answering {
    fn call(&self, method: Method, message: Bytes) -> Answer<Bytes> {
        let answer = self.answer(method, &message);
        Box::pin(async move { answer })
    }

    fn exec(&self, mut messages: mpsc::Receiver<wire::ExecMessage>) -> Answer<ExecMessages> {
        let script = self.double.script.clone();
        Box::pin(async move {
            let first = messages.recv().await.and_then(|message| message.input);
            let Some(Input::Init(init)) = first else {
                return Err(Status::invalid_argument("a process begins with its start"));
            };
            let args = init.meta.unwrap_or_default().args;
            let ran = script.command(&args)?;
            let file = |fd, text: &[u8]| {
                let data = Bytes::copy_from_slice(text);
                Input::File(wire::FdMessage {
                    fd,
                    eof: false,
                    data,
                })
            };
            let end = |fd| {
                let (eof, data) = (true, Bytes::new());
                Input::File(wire::FdMessage { fd, eof, data })
            };
            // A terminal has one stream.
            let errors = if init.tty { 1 } else { 2 };
            let error = (ran.code != 0).then(|| crate::proto::google::rpc::Status {
                code: 2,
                message: format!("exit code: {}", ran.code),
                details: Vec::new(),
            });
            let inputs = [
                Input::Started(wire::StartedMessage {}),
                file(1, &ran.stdout),
                file(errors, &ran.stderr),
                end(1),
                end(2),
                Input::Exit(wire::ExitMessage {
                    code: ran.code,
                    error,
                }),
                Input::Done(wire::DoneMessage {}),
            ];
            let answers = inputs.map(|input| {
                Ok(wire::ExecMessage {
                    process_id: "1".to_owned(),
                    input: Some(input),
                })
            });
            Ok(Box::pin(tokio_stream::iter(answers)) as ExecMessages)
        })
    }
}

fn stat_of(name: &str, entry: &Entry) -> Stat {
    let (size, linkname) = match &entry.content {
        Content::File(content) => (content.len(), String::new()),
        Content::Link(target) => (0, target.clone()),
        Content::Directory => (0, String::new()),
    };
    // Go's bits.
    let kind = match entry.kind() {
        FileKind::Directory => 1 << 31,
        FileKind::Symlink => 1 << 27,
        _ => 0,
    };
    Stat {
        path: normal(name),
        mode: kind | entry.mode & 0o777,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        linkname,
        ..Stat::default()
    }
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::invalid_argument(format!("malformed: {error}")))
}
