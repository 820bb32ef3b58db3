//! The bytes of one op, and the capabilities that go with them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::OpDigest;
use super::options::MarshalData;
use crate::constraints::Options;
use crate::graph::VertexData;
use crate::op::ExecOp;
use crate::op::file::{CopyAction, FileActionKind, FileActionOp, FileInput, FileOp};
use crate::op::{BuildOp, DiffOp, MergeOp, Op, PassthroughOp, SourceOp};
use crate::value::platform::Platform;
use crate::value::user::{Owner, UserOpt};
use crate::value::{Capability, CapabilitySet};
use crate::wire::Writer;

/// What an exec gets as `PATH` when the daemon does not set one (BuildKit `util/system`, `DefaultPathEnvUnix`).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The key under which a build op finds the definition it solves (BuildKit `solver/pb`, `LLBDefinitionInput`).
const DEFINITION_INPUT: &str = "buildkit.llb.definition";

/// An input of a vertex, by the op it became.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EncodedInput {
    pub(super) digest: OpDigest,
    pub(super) index: u32,
}

/// Encodes the op of a vertex, and gives the capabilities that the daemon needs for it. `inputs` are those of the vertex,
/// in its order.
pub(super) fn encode(
    writer: &mut Writer,
    data: &VertexData,
    inputs: &[EncodedInput],
    common: &Common<'_>,
) -> CapabilitySet {
    let op = OpWriter {
        writer,
        own: data.constraints.given(),
        common,
    };
    match &data.op {
        Op::Source(source) => op.source(source),
        Op::Exec(exec) => op.exec(exec, inputs),
        Op::File(file) => op.file(file, inputs),
        Op::Merge(merge) => op.merge(merge, inputs),
        Op::Diff(diff) => op.diff(diff, inputs),
        Op::Build(build) => op.build(build, inputs),
        Op::Passthrough(passthrough) => op.passthrough(passthrough, inputs),
        Op::Embedded(_) | Op::Deferred(_) => {
            debug_assert!(false, "it is written already, or was to be resolved");
            CapabilitySet::new()
        }
    }
}

/// The op that names the result.
pub(super) fn encode_final(writer: &mut Writer, head: EncodedInput) {
    write_inputs(writer, &[head]);
}

/// Inputs as the op lists them: equal ones once, in the order in which they first came up.
struct Listed<'i> {
    inputs: Cow<'i, [EncodedInput]>,
    /// Where each input of the vertex is listed, if not all of them are.
    positions: Vec<usize>,
}

impl<'i> Listed<'i> {
    fn new(inputs: &'i [EncodedInput]) -> Self {
        if are_different(inputs) {
            return Self {
                inputs: inputs.into(),
                positions: Vec::new(),
            };
        }
        let (mut listed, mut known) = (Vec::new(), BTreeMap::new());
        let positions = inputs.iter().map(|input| {
            *known.entry(*input).or_insert_with(|| {
                listed.push(*input);
                listed.len() - 1
            })
        });
        Self {
            positions: positions.collect(),
            inputs: listed.into(),
        }
    }

    /// Whether the op counts its inputs as the vertex does.
    fn is_whole(&self) -> bool {
        matches!(self.inputs, Cow::Borrowed(_))
    }

    fn position(&self, input: usize) -> i64 {
        let position = self.positions.get(input).copied().unwrap_or(input);
        i64::try_from(position).expect("an op has fewer than 2^63 inputs")
    }
}

fn are_different(inputs: &[EncodedInput]) -> bool {
    /// So many are compared with each other.
    const FEW: usize = 16;
    if inputs.len() > FEW {
        return inputs.iter().collect::<BTreeSet<_>>().len() == inputs.len();
    }
    let mut numbered = inputs.iter().enumerate();
    numbered.all(|(number, input)| !inputs[..number].contains(input))
}

/// What the ops of a marshal have in common, written once.
pub(super) struct Common<'a> {
    options: &'a MarshalData,
    /// The platform, and the constraints behind it.
    head: Vec<u8>,
    platform_end: usize,
}

impl<'a> Common<'a> {
    pub(super) fn new(options: &'a MarshalData) -> Self {
        let mut writer = Writer::default();
        write_platform(&mut writer, &options.platform);
        let platform_end = writer.written().len();
        write_constraints(&mut writer, &options.constraints.options().filters, &[]);
        Self {
            options,
            head: writer.into_bytes(),
            platform_end,
        }
    }
}

struct OpWriter<'a> {
    writer: &'a mut Writer,
    own: Option<&'a Options>,
    common: &'a Common<'a>,
}

/// The platform of an op that is written with one.
#[derive(Clone, Copy)]
enum OpPlatform<'a> {
    OfMarshal,
    Own(&'a Platform),
}

impl<'a> OpWriter<'a> {
    /// Inputs, platform and constraints: everything that comes before the op itself, whatever its field number.
    fn head(&mut self, inputs: &[EncodedInput], platform: Option<OpPlatform<'_>>) {
        write_inputs(self.writer, inputs);
        let common = self.common;
        let own_filters = self.own.map_or(&[][..], |own| &own.filters);
        let start = match platform {
            Some(OpPlatform::OfMarshal) => 0,
            Some(OpPlatform::Own(platform)) => {
                write_platform(self.writer, platform);
                common.platform_end
            }
            None => common.platform_end,
        };
        if own_filters.is_empty() {
            self.writer.raw(&common.head[start..]);
        } else {
            self.writer.raw(&common.head[start..common.platform_end]);
            let filters = &common.options.constraints.options().filters;
            write_constraints(self.writer, filters, own_filters);
        }
    }

    fn platform(&self) -> OpPlatform<'a> {
        let own = self.own.and_then(|own| own.platform.as_ref());
        own.map_or(OpPlatform::OfMarshal, OpPlatform::Own)
    }

    fn source(mut self, source: &SourceOp) -> CapabilitySet {
        let platform = source.has_platform().then(|| self.platform());
        self.head(&[], platform);
        let unique_id = source.takes_unique_id.then(|| {
            self.own
                .and_then(|own| own.local_unique_id.as_deref())
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| self.common.options.unique_id())
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
        source.caps
    }

    fn exec(mut self, exec: &ExecOp, inputs: &[EncodedInput]) -> CapabilitySet {
        let listed = Listed::new(inputs);
        let platform = match (self.platform(), &exec.platform) {
            (OpPlatform::OfMarshal, Some(state)) => OpPlatform::Own(state),
            (platform, _) => platform,
        };
        self.head(&listed.inputs, Some(platform));

        let options = self.common.options;
        let sets_path = options
            .caps
            .map(|caps| caps.contains(Capability::ExecMetaSetsDefaultPath));
        let adds_path = sets_path == Some(false) && options.platform.os != "windows";
        if adds_path || !listed.is_whole() {
            let path = adds_path.then_some(DEFAULT_PATH);
            self.writer.message(2, |writer| {
                exec.write_changed(writer, path, |input| listed.position(input));
            });
        } else {
            self.writer.bytes_always(2, &exec.wire);
        }
        exec.caps
            .with_if(
                self.own
                    .is_some_and(|own| own.metadata.linux_resources.is_some()),
                Capability::ExecMetaLinuxResources,
            )
            .with_if(sets_path == Some(true), Capability::ExecMetaSetsDefaultPath)
    }

    fn file(mut self, file: &FileOp, inputs: &[EncodedInput]) -> CapabilitySet {
        let listed = Listed::new(inputs);
        self.head(&listed.inputs, None);
        let count = listed.inputs.len() as u64;
        let position = |input: FileInput| match input {
            FileInput::Scratch => -1,
            FileInput::Input(input) => listed.position(input as usize),
            FileInput::Action(action) => (count + u64::from(action)).cast_signed(),
        };
        self.writer.message(4, |writer| {
            for action in &file.actions {
                writer.message(2, |writer| write_file_action(writer, action, position));
            }
        });
        CapabilitySet::new().with(Capability::FileBase)
    }

    fn merge(mut self, merge: &MergeOp, inputs: &[EncodedInput]) -> CapabilitySet {
        self.head(inputs, None);
        self.writer.message(6, |writer| {
            for position in 0..inputs.len() {
                writer.message(1, |writer| writer.unsigned(1, position as u64));
            }
        });
        CapabilitySet::new().with_if(merge.requires_capability, Capability::MergeOp)
    }

    fn diff(mut self, diff: &DiffOp, inputs: &[EncodedInput]) -> CapabilitySet {
        self.head(inputs, None);
        self.writer.message(7, |writer| {
            for (field, input) in [(1, diff.lower), (2, diff.upper)] {
                writer.message(field, |writer| {
                    writer.signed(1, input.map_or(-1, i64::from));
                });
            }
        });
        CapabilitySet::new().with(Capability::DiffOp)
    }

    fn build(mut self, build: &BuildOp, inputs: &[EncodedInput]) -> CapabilitySet {
        let platform = self.platform();
        self.head(inputs, Some(platform));
        self.writer.message(5, |writer| {
            writer.signed(1, -1);
            writer.message_entry(2, DEFINITION_INPUT, |_| {});
            if let Some(filename) = &build.filename {
                writer.string_entry(4, "llbbuild.filename", filename);
            }
        });
        CapabilitySet::new().with(Capability::SourceBuildOpLlbFileName)
    }

    fn passthrough(
        mut self,
        passthrough: &PassthroughOp,
        inputs: &[EncodedInput],
    ) -> CapabilitySet {
        self.head(inputs, None);
        self.writer.message(8, |writer| {
            writer.string(1, &passthrough.id);
            writer.packed(
                2,
                passthrough.outputs.iter().map(|&output| i64::from(output)),
            );
        });
        CapabilitySet::new().with(Capability::PassthroughOp)
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

fn write_constraints(writer: &mut Writer, filters: &[String], own: &[String]) {
    writer.message(11, |writer| {
        writer.strings(1, filters);
        writer.strings(1, own);
    });
}

fn write_platform(writer: &mut Writer, platform: &Platform) {
    writer.message(10, |writer| {
        writer.string(1, &platform.architecture);
        writer.string(2, &platform.os);
        writer.string(3, &platform.variant);
        writer.string(4, &platform.os_version);
        writer.strings(5, &platform.os_features);
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
    writer.strings(12, &copy.include);
    writer.strings(13, &copy.exclude);
    writer.bool(14, copy.always_replace);
    writer.string(15, &copy.mode_text);
    writer.strings(16, &copy.required);
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
