//! Small graphs on the wire's own types, independent of the crate's graph builder.

use std::collections::BTreeMap;

use llb::proto::pb;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::testbed::unique;

/// Ops in order; an op is named by its position.
#[derive(Default)]
pub(crate) struct Graph {
    ops: Vec<(Vec<u8>, pb::OpMetadata)>,
}

pub(crate) struct Exec<'a> {
    pub(crate) base: usize,
    pub(crate) script: &'a str,
    pub(crate) network: pb::NetMode,
    pub(crate) mounts: Vec<pb::Mount>,
    pub(crate) secret_env: Vec<pb::SecretEnv>,
}

impl<'a> Exec<'a> {
    pub(crate) fn new(base: usize, script: &'a str) -> Self {
        Self {
            base,
            script,
            network: pb::NetMode::None,
            mounts: Vec::new(),
            secret_env: Vec::new(),
        }
    }
}

impl Graph {
    pub(crate) fn debian(&mut self) -> usize {
        self.source("docker-image://docker.io/library/debian:bookworm-slim", &[])
    }

    pub(crate) fn source(&mut self, identifier: &str, attributes: &[(&str, &str)]) -> usize {
        let attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut attributes: BTreeMap<_, _> = attributes.collect();
        if identifier.starts_with("local:") {
            // Equal vertices of builds at the same time are one, whatever directories they mean.
            attributes.insert("local.unique".to_owned(), unique());
        }
        let mut op = op(pb::op::Op::Source(pb::SourceOp {
            identifier: identifier.to_owned(),
            attrs: attributes,
        }));
        if identifier.starts_with("docker-image:") {
            op.platform = Some(platform());
        }
        self.push(&op, identifier)
    }

    pub(crate) fn file(&mut self, path: &str, data: &str) -> usize {
        let action = pb::file_action::Action::Mkfile(pb::FileActionMkFile {
            path: path.to_owned(),
            mode: 0o640,
            data: data.as_bytes().to_vec().into(),
            timestamp: -1,
            ..pb::FileActionMkFile::default()
        });
        let op = op(pb::op::Op::File(pb::FileOp {
            actions: vec![pb::FileAction {
                input: -1,
                secondary_input: -1,
                output: 0,
                action: Some(action),
            }],
        }));
        self.push(&op, &format!("file {path}"))
    }

    /// Copies the content of a directory of `from` into `/` of nothing.
    pub(crate) fn copy(&mut self, from: usize, directory: &str) -> usize {
        let action = pb::file_action::Action::Copy(pb::FileActionCopy {
            src: directory.to_owned(),
            dest: "/".to_owned(),
            mode: -1,
            timestamp: -1,
            dir_copy_contents: true,
            ..pb::FileActionCopy::default()
        });
        let mut op = op(pb::op::Op::File(pb::FileOp {
            actions: vec![pb::FileAction {
                input: -1,
                secondary_input: 0,
                output: 0,
                action: Some(action),
            }],
        }));
        op.inputs = vec![self.input(from, 0)];
        self.push(&op, &format!("copy {directory}"))
    }

    /// Runs a shell script without a network, and gives what it leaves in `/out`.
    pub(crate) fn exec(&mut self, exec: Exec<'_>) -> usize {
        let mut mounts = vec![
            pb::Mount {
                dest: "/".to_owned(),
                output: 0,
                ..pb::Mount::default()
            },
            pb::Mount {
                input: -1,
                dest: "/out".to_owned(),
                output: 1,
                ..pb::Mount::default()
            },
        ];
        mounts.extend(exec.mounts);
        let mut op = op(pb::op::Op::Exec(pb::ExecOp {
            meta: Some(pb::Meta {
                args: ["/bin/sh", "-c", exec.script].map(str::to_owned).to_vec(),
                env: vec!["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
                cwd: "/".to_owned(),
                ..pb::Meta::default()
            }),
            mounts,
            network: exec.network.into(),
            secretenv: exec.secret_env,
            ..pb::ExecOp::default()
        }));
        op.inputs = vec![self.input(exec.base, 0)];
        op.platform = Some(platform());
        self.push(&op, exec.script)
    }

    /// The definition whose result is an output of an op.
    pub(crate) fn definition(self, head: usize, output: i64) -> pb::Definition {
        let last = pb::Op {
            inputs: vec![self.input(head, output)],
            ..pb::Op::default()
        };
        let mut metadata: BTreeMap<_, _> = self
            .ops
            .iter()
            .map(|(bytes, metadata)| (digest(bytes), metadata.clone()))
            .collect();
        let mut def: Vec<_> = self
            .ops
            .into_iter()
            .map(|(bytes, _)| bytes.into())
            .collect();
        let last = last.encode_to_vec();
        metadata.insert(digest(&last), pb::OpMetadata::default());
        def.push(last.into());
        pb::Definition {
            def,
            metadata,
            source: None,
        }
    }

    /// Marks an op as one that needs a capability.
    pub(crate) fn needs(&mut self, position: usize, capability: &str) {
        let caps = &mut self.ops[position].1.caps;
        caps.insert(capability.to_owned(), true);
    }

    pub(crate) fn digest(&self, position: usize) -> String {
        digest(&self.ops[position].0)
    }

    fn push(&mut self, op: &pb::Op, name: &str) -> usize {
        let description = [("llb.customname".to_owned(), name.to_owned())];
        let metadata = pb::OpMetadata {
            description: description.into(),
            ..pb::OpMetadata::default()
        };
        self.ops.push((encode(op), metadata));
        self.ops.len() - 1
    }

    fn input(&self, position: usize, index: i64) -> pb::Input {
        pb::Input {
            digest: self.digest(position),
            index,
        }
    }
}

/// Output `/out` of one script on Debian.
pub(crate) fn script(text: &str) -> pb::Definition {
    let mut graph = Graph::default();
    let base = graph.debian();
    let exec = graph.exec(Exec::new(base, text));
    graph.definition(exec, 1)
}

/// Encodes as Go does, with the op itself last. A daemon that encodes again gets the same digest.
fn encode(op: &pb::Op) -> Vec<u8> {
    let mut bytes = pb::Op {
        op: None,
        ..op.clone()
    }
    .encode_to_vec();
    let last = pb::Op {
        op: op.op.clone(),
        ..pb::Op::default()
    };
    bytes.extend(last.encode_to_vec());
    bytes
}

fn op(op: pb::op::Op) -> pb::Op {
    pb::Op {
        op: Some(op),
        constraints: Some(pb::WorkerConstraints::default()),
        ..pb::Op::default()
    }
}

fn platform() -> pb::Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    pb::Platform {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        ..pb::Platform::default()
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("a string takes text");
    }
    text
}
