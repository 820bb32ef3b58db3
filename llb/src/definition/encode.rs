//! The bytes of one op, and the metadata that goes with them.

use smallvec::SmallVec;

use super::OpDigest;
use super::options::MarshalData;
use crate::constraints::Options;
use crate::graph::VertexData;
use crate::metadata::OpMetadata;
use crate::op::ExecOp;
use crate::op::file::{CopyAction, FileActionKind, FileActionOp, FileInput, FileOp};
use crate::op::{BuildOp, DiffOp, MergeOp, Op, PassthroughOp, SourceOp};
use crate::value::Capability;
use crate::value::platform::Platform;
use crate::value::user::{Owner, UserOpt};
use crate::wire::Writer;

/// What an exec gets as `PATH` when the daemon does not set one (BuildKit `util/system`, `DefaultPathEnvUnix`).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The key under which a build op finds the definition it solves (BuildKit `solver/pb`, `LLBDefinitionInput`).
const DEFINITION_INPUT: &str = "buildkit.llb.definition";

/// An input of a vertex, by the op it became.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct EncodedInput {
    pub(super) digest: OpDigest,
    pub(super) index: u32,
}

/// Encodes the op of a vertex. `inputs` are those of the vertex, in its order.
pub(super) fn encode(
    writer: &mut Writer,
    data: &VertexData,
    inputs: &[EncodedInput],
    options: &MarshalData,
) -> OpMetadata {
    let own = data.constraints.options();
    let mut metadata = OpMetadata::default();
    for given in [&options.constraints, &data.constraints] {
        if let Some(given) = given.given() {
            metadata.overlay(&given.metadata);
        }
    }
    let op = OpWriter {
        writer,
        metadata: &mut metadata,
        own,
        options,
    };
    match &data.op {
        Op::Source(source) => op.source(source),
        Op::Exec(exec) => op.exec(exec, inputs),
        Op::File(file) => op.file(file, inputs),
        Op::Merge(merge) => op.merge(merge, inputs),
        Op::Diff(diff) => op.diff(diff, inputs),
        Op::Build(build) => op.build(build, inputs),
        Op::Passthrough(passthrough) => op.passthrough(passthrough, inputs),
        Op::Embedded(_) => debug_assert!(false, "an embedded op is written already"),
        Op::Deferred(_) => debug_assert!(false, "a deferred state was not resolved"),
    }
    metadata
}

/// The op that names the result.
pub(super) fn encode_final(writer: &mut Writer, head: EncodedInput) {
    write_inputs(writer, &[head]);
}

/// Inputs as the op lists them: equal ones once, in the order in which they first came up.
#[derive(Default)]
struct InputTable {
    inputs: SmallVec<[EncodedInput; 4]>,
}

impl InputTable {
    fn position(&mut self, input: EncodedInput) -> i64 {
        let position = self
            .inputs
            .iter()
            .position(|known| *known == input)
            .unwrap_or_else(|| {
                self.inputs.push(input);
                self.inputs.len() - 1
            });
        i64::try_from(position).expect("an op has fewer than 2^63 inputs")
    }
}

struct OpWriter<'a> {
    writer: &'a mut Writer,
    metadata: &'a mut OpMetadata,
    own: &'a Options,
    options: &'a MarshalData,
}

impl<'a> OpWriter<'a> {
    /// Inputs, platform and constraints: everything that comes before the op itself, whatever its field number.
    fn head(&mut self, inputs: &[EncodedInput], platform: Option<&Platform>) {
        write_inputs(self.writer, inputs);
        if let Some(platform) = platform {
            write_platform(self.writer, platform);
        }
        let filters = self
            .options
            .constraints
            .options()
            .filters
            .iter()
            .chain(&self.own.filters);
        self.writer.message(11, |constraints| {
            filters.for_each(|filter| constraints.string_always(1, filter));
        });
    }

    fn platform(&self) -> &'a Platform {
        self.own.platform.as_ref().unwrap_or(&self.options.platform)
    }

    fn source(mut self, source: &SourceOp) {
        self.metadata.caps = self.metadata.caps.union(source.caps);
        let platform = source.has_platform().then(|| self.platform());
        self.head(&[], platform);
        let unique_id = source.takes_unique_id.then(|| {
            self.own
                .local_unique_id
                .as_deref()
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| self.options.unique_id())
        });
        self.writer.message(3, |writer| {
            writer.string(1, &source.identifier);
            let mut unique_id = unique_id;
            for (name, value) in &source.attrs {
                if let Some(id) = unique_id.take_if(|_| &**name > LOCAL_UNIQUE) {
                    writer.string_entry(2, LOCAL_UNIQUE, id);
                }
                writer.string_entry(2, name, value);
            }
            if let Some(id) = unique_id {
                writer.string_entry(2, LOCAL_UNIQUE, id);
            }
        });
    }

    fn exec(mut self, exec: &ExecOp, inputs: &[EncodedInput]) {
        let sets_path = self
            .options
            .caps
            .map(|caps| caps.contains(Capability::ExecMetaSetsDefaultPath));
        self.metadata.caps = self
            .metadata
            .caps
            .union(exec.caps)
            .with_if(
                self.own.metadata.linux_resources.is_some(),
                Capability::ExecMetaLinuxResources,
            )
            .with_if(sets_path == Some(true), Capability::ExecMetaSetsDefaultPath);

        let mut table = InputTable::default();
        let positions: SmallVec<[i64; 4]> = exec
            .mounts
            .iter()
            .map(|mount| {
                mount
                    .source
                    .map_or(-1, |source| table.position(inputs[source as usize]))
            })
            .collect();
        let platform = match (&self.own.platform, &exec.platform) {
            (Some(own), _) => own,
            (None, Some(state)) => state,
            (None, None) => &self.options.platform,
        };
        self.head(&table.inputs, Some(platform));

        let adds_path = sets_path == Some(false) && self.options.platform.os != "windows";
        let (meta, rest) = exec.wire.split_at(exec.meta_end);
        let (env, settings) = meta.split_at(exec.env_end);
        self.writer.message_of_about(exec.wire.len(), 2, |writer| {
            writer.message_of_about(exec.meta_end, 1, |meta| {
                meta.raw(env);
                if adds_path && !exec.has_path {
                    meta.assignment(2, "PATH", DEFAULT_PATH);
                }
                meta.raw(settings);
            });
            let mut start = 0;
            for (mount, input) in exec.mounts.iter().zip(positions) {
                let end = mount.end - exec.meta_end;
                writer.message(2, |writer| {
                    writer.signed(1, input);
                    writer.raw(&rest[start..end]);
                });
                start = end;
            }
            writer.raw(&rest[start..]);
        });
    }

    fn file(mut self, file: &FileOp, inputs: &[EncodedInput]) {
        self.metadata.require(Capability::FileBase);
        let mut table = InputTable::default();
        let positions: SmallVec<[i64; 4]> =
            inputs.iter().map(|&input| table.position(input)).collect();
        self.head(&table.inputs, None);
        let count = i64::try_from(table.inputs.len()).expect("an op has fewer than 2^63 inputs");
        let position = |input: FileInput| match input {
            FileInput::Scratch => -1,
            FileInput::Input(input) => positions[input as usize],
            FileInput::Action(action) => count + i64::from(action),
        };
        self.writer.message(4, |writer| {
            for action in &file.actions {
                writer.message(2, |writer| write_file_action(writer, action, position));
            }
        });
    }

    fn merge(mut self, merge: &MergeOp, inputs: &[EncodedInput]) {
        let caps = &mut self.metadata.caps;
        *caps = caps.with_if(merge.requires_capability, Capability::MergeOp);
        self.head(inputs, None);
        self.writer.message(6, |writer| {
            for position in 0..inputs.len() {
                writer.message(1, |writer| writer.unsigned(1, position as u64));
            }
        });
    }

    fn diff(mut self, diff: &DiffOp, inputs: &[EncodedInput]) {
        self.metadata.require(Capability::DiffOp);
        self.head(inputs, None);
        self.writer.message(7, |writer| {
            for (field, input) in [(1, diff.lower), (2, diff.upper)] {
                writer.message(field, |writer| {
                    writer.signed(1, input.map_or(-1, i64::from));
                });
            }
        });
    }

    fn build(mut self, build: &BuildOp, inputs: &[EncodedInput]) {
        self.metadata.require(Capability::SourceBuildOpLlbFileName);
        let platform = self.platform();
        self.head(inputs, Some(platform));
        self.writer.message(5, |writer| {
            writer.signed(1, -1);
            writer.message_entry(2, DEFINITION_INPUT, |_| {});
            if let Some(filename) = &build.filename {
                writer.string_entry(4, "llbbuild.filename", filename);
            }
        });
    }

    fn passthrough(mut self, passthrough: &PassthroughOp, inputs: &[EncodedInput]) {
        self.metadata.require(Capability::PassthroughOp);
        self.head(inputs, None);
        self.writer.message(8, |writer| {
            writer.string(1, &passthrough.id);
            writer.packed(
                2,
                passthrough.outputs.iter().map(|&output| i64::from(output)),
            );
        });
    }
}

const LOCAL_UNIQUE: &str = "local.unique";

fn write_inputs(writer: &mut Writer, inputs: &[EncodedInput]) {
    for input in inputs {
        writer.message(1, |writer| {
            writer.bytes_always(1, &input.digest.text());
            writer.unsigned(2, u64::from(input.index));
        });
    }
}

fn write_platform(writer: &mut Writer, platform: &Platform) {
    writer.message(10, |writer| {
        writer.string(1, &platform.architecture);
        writer.string(2, &platform.os);
        writer.string(3, &platform.variant);
        writer.string(4, &platform.os_version);
        platform
            .os_features
            .iter()
            .for_each(|feature| writer.string_always(5, feature));
    });
}

fn write_file_action(
    writer: &mut Writer,
    action: &FileActionOp,
    position: impl Fn(FileInput) -> i64,
) {
    writer.signed(1, position(action.input));
    writer.signed(2, action.secondary.map_or(-1, &position));
    writer.signed(3, if action.is_output { 0 } else { -1 });
    let names = position(action.names);
    match &action.kind {
        FileActionKind::Copy(copy) => writer.message(4, |writer| write_copy(writer, copy, names)),
        FileActionKind::Mkfile {
            path,
            mode,
            data,
            owner,
            created,
        } => writer.message(5, |writer| {
            writer.string(1, path);
            writer.unsigned(2, u64::from(mode & 0o777));
            writer.bytes(3, data);
            write_owner(writer, 4, owner.as_ref(), names);
            writer.signed(5, created.unwrap_or(-1));
        }),
        FileActionKind::Mkdir {
            path,
            mode,
            parents,
            owner,
            created,
        } => writer.message(6, |writer| {
            writer.string(1, path);
            writer.unsigned(2, u64::from(mode & 0o777));
            writer.bool(3, *parents);
            write_owner(writer, 4, owner.as_ref(), names);
            writer.signed(5, created.unwrap_or(-1));
        }),
        FileActionKind::Rm {
            path,
            allow_not_found,
            allow_wildcard,
        } => writer.message(7, |writer| {
            writer.string(1, path);
            writer.bool(2, *allow_not_found);
            writer.bool(3, *allow_wildcard);
        }),
        FileActionKind::Symlink {
            old,
            new,
            owner,
            created,
        } => writer.message(8, |writer| {
            writer.string(1, old);
            writer.string(2, new);
            write_owner(writer, 3, owner.as_ref(), names);
            writer.signed(4, created.unwrap_or(-1));
        }),
    }
}

fn write_copy(writer: &mut Writer, copy: &CopyAction, names: i64) {
    writer.string(1, &copy.source);
    writer.string(2, &copy.destination);
    write_owner(writer, 3, copy.owner.as_ref(), names);
    let mode = if copy.mode_text.is_empty() {
        copy.mode.unwrap_or(-1)
    } else {
        0
    };
    writer.signed(4, i64::from(mode));
    writer.bool(5, copy.follow_symlinks);
    writer.bool(6, copy.contents_only);
    writer.bool(7, copy.attempt_unpack);
    writer.bool(8, copy.create_destination);
    writer.bool(9, copy.allow_wildcard);
    writer.bool(10, copy.allow_empty_wildcard);
    writer.signed(11, copy.created.unwrap_or(-1));
    copy.include
        .iter()
        .for_each(|pattern| writer.string_always(12, pattern));
    copy.exclude
        .iter()
        .for_each(|pattern| writer.string_always(13, pattern));
    writer.bool(14, copy.always_replace);
    writer.string(15, &copy.mode_text);
    copy.required
        .iter()
        .for_each(|path| writer.string_always(16, path));
}

fn write_owner(writer: &mut Writer, field: u32, owner: Option<&Owner>, names: i64) {
    let Some(owner) = owner else { return };
    writer.message(field, |writer| {
        for (field, id) in [(1, &owner.user), (2, &owner.group)] {
            let Some(id) = id else { continue };
            writer.message(field, |writer| match id {
                UserOpt::Name(name) => writer.message(1, |writer| {
                    writer.string(1, name);
                    writer.signed(2, names);
                }),
                UserOpt::Id(id) => writer.unsigned_always(2, u64::from(*id)),
            });
        }
    });
}
