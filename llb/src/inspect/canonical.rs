//! The canonical form of decoded ops: the bytes that BuildKit's Go client writes for them, and the capabilities it asks
//! for.
//!
//! An op that was read from bytes in this form is written as the same bytes. Bytes in another form, or with fields that
//! are not known here, are not canonical; whoever has such bytes keeps them.

use std::fmt;

use crate::op::exec_message::write_exec;
use crate::proto::pb;
use crate::value::{Capability, CapabilitySet};
use crate::wire::Writer;

/// The key under which a build op finds the definition it solves (BuildKit `solver/pb`, `LLBDefinitionInput`).
pub(crate) const DEFINITION_INPUT: &str = "buildkit.llb.definition";

/// The bytes of an op.
pub(crate) fn encode(op: &pb::Op) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    for input in &op.inputs {
        writer.message(1, |writer| {
            writer.string(1, &input.digest);
            writer.signed(2, input.index);
        });
    }
    if let Some(platform) = &op.platform {
        writer.message(10, |writer| {
            writer.string(1, &platform.architecture);
            writer.string(2, &platform.os);
            writer.string(3, &platform.variant);
            writer.string(4, &platform.os_version);
            writer.strings(5, &platform.os_features);
        });
    }
    if let Some(constraints) = &op.constraints {
        writer.message(11, |writer| writer.strings(1, &constraints.filter));
    }
    match &op.op {
        None => {}
        Some(pb::op::Op::Exec(exec)) => writer.message(2, |writer| write_exec(writer, exec)),
        Some(pb::op::Op::Source(source)) => writer.message(3, |writer| {
            writer.string(1, &source.identifier);
            for (key, value) in &source.attrs {
                writer.string_entry(2, key, value);
            }
        }),
        Some(pb::op::Op::File(file)) => writer.message(4, |writer| {
            for action in &file.actions {
                writer.message(2, |writer| write_action(writer, action));
            }
        }),
        Some(pb::op::Op::Build(build)) => writer.message(5, |writer| {
            writer.signed(1, build.builder);
            for (key, input) in &build.inputs {
                writer.message_entry(2, key, |writer| writer.signed(1, input.input));
            }
            if let Some(definition) = &build.def {
                writer.bytes_always(3, &prost::Message::encode_to_vec(definition));
            }
            for (key, value) in &build.attrs {
                writer.string_entry(4, key, value);
            }
        }),
        Some(pb::op::Op::Merge(merge)) => writer.message(6, |writer| {
            for input in &merge.inputs {
                writer.message(1, |writer| writer.signed(1, input.input));
            }
        }),
        Some(pb::op::Op::Diff(diff)) => writer.message(7, |writer| {
            if let Some(lower) = &diff.lower {
                writer.message(1, |writer| writer.signed(1, lower.input));
            }
            if let Some(upper) = &diff.upper {
                writer.message(2, |writer| writer.signed(1, upper.input));
            }
        }),
        Some(pb::op::Op::Passthrough(passthrough)) => writer.message(8, |writer| {
            writer.string(1, &passthrough.id);
            writer.packed(2, passthrough.outputs.iter().copied());
        }),
    }
    writer.into_bytes()
}

fn write_action(writer: &mut Writer, action: &pb::FileAction) {
    writer.signed(1, action.input);
    writer.signed(2, action.secondary_input);
    writer.signed(3, action.output);
    match &action.action {
        None => {}
        Some(pb::file_action::Action::Copy(copy)) => {
            writer.message(4, |writer| write_copy(writer, copy));
        }
        Some(pb::file_action::Action::Mkfile(mkfile)) => writer.message(5, |writer| {
            writer.string(1, &mkfile.path);
            writer.signed(2, mkfile.mode.into());
            writer.bytes(3, &mkfile.data);
            write_owner(writer, 4, mkfile.owner.as_ref());
            writer.signed(5, mkfile.timestamp);
        }),
        Some(pb::file_action::Action::Mkdir(mkdir)) => writer.message(6, |writer| {
            writer.string(1, &mkdir.path);
            writer.signed(2, mkdir.mode.into());
            writer.bool(3, mkdir.make_parents);
            write_owner(writer, 4, mkdir.owner.as_ref());
            writer.signed(5, mkdir.timestamp);
        }),
        Some(pb::file_action::Action::Rm(rm)) => writer.message(7, |writer| {
            writer.string(1, &rm.path);
            writer.bool(2, rm.allow_not_found);
            writer.bool(3, rm.allow_wildcard);
        }),
        Some(pb::file_action::Action::Symlink(symlink)) => writer.message(8, |writer| {
            writer.string(1, &symlink.oldpath);
            writer.string(2, &symlink.newpath);
            write_owner(writer, 3, symlink.owner.as_ref());
            writer.signed(4, symlink.timestamp);
        }),
    }
}

fn write_copy(writer: &mut Writer, copy: &pb::FileActionCopy) {
    writer.string(1, &copy.src);
    writer.string(2, &copy.dest);
    write_owner(writer, 3, copy.owner.as_ref());
    writer.signed(4, copy.mode.into());
    writer.bool(5, copy.follow_symlink);
    writer.bool(6, copy.dir_copy_contents);
    writer.bool(7, copy.attempt_unpack_docker_compatibility);
    writer.bool(8, copy.create_dest_path);
    writer.bool(9, copy.allow_wildcard);
    writer.bool(10, copy.allow_empty_wildcard);
    writer.signed(11, copy.timestamp);
    writer.strings(12, &copy.include_patterns);
    writer.strings(13, &copy.exclude_patterns);
    writer.bool(14, copy.always_replace_existing_dest_paths);
    writer.string(15, &copy.mode_str);
    writer.strings(16, &copy.required_paths);
}

fn write_owner(writer: &mut Writer, field: u32, owner: Option<&pb::ChownOpt>) {
    let Some(owner) = owner else { return };
    writer.message(field, |writer| {
        for (field, user) in [(1, &owner.user), (2, &owner.group)] {
            let Some(user) = user else { continue };
            writer.message(field, |writer| match &user.user {
                None => {}
                Some(pb::user_opt::User::ByName(name)) => writer.message(1, |writer| {
                    writer.string(1, &name.name);
                    writer.signed(2, name.input);
                }),
                // A member of a oneof is written even when it is the default.
                Some(pb::user_opt::User::ById(id)) => writer.unsigned_always(2, (*id).into()),
            });
        }
    });
}

/// A part of an op that reads an input.
pub(crate) enum Part<'o> {
    Mount(&'o str),
    Action(i64),
    Input(&'o str),
    Layer(usize),
    Lower,
    Upper,
    Output(usize),
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(target) => write!(formatter, "the mount on {target:?}"),
            Self::Action(number) => write!(formatter, "action {number}"),
            Self::Input(name) => write!(formatter, "the input {name:?}"),
            Self::Layer(number) => write!(formatter, "layer {number}"),
            Self::Lower => formatter.write_str("the lower side"),
            Self::Upper => formatter.write_str("the upper side"),
            Self::Output(number) => write!(formatter, "output {number}"),
        }
    }
}

/// What the parts of an op read: each part, the number of its input, and whether scratch will do.
pub(crate) fn mentions(op: &pb::Op) -> Vec<(Part<'_>, i64, bool)> {
    match &op.op {
        None | Some(pb::op::Op::Source(_)) => Vec::new(),
        Some(pb::op::Op::Exec(exec)) => {
            let mounts = exec.mounts.iter();
            let mounts = mounts.map(|mount| (Part::Mount(&mount.dest), mount.input, true));
            mounts.collect()
        }
        Some(pb::op::Op::File(file)) => {
            let actions = (0..).zip(&file.actions);
            let reads = actions.flat_map(|(number, action)| {
                [action.input, action.secondary_input]
                    .map(|input| (Part::Action(number), input, true))
            });
            reads.collect()
        }
        Some(pb::op::Op::Build(build)) => {
            let inputs = build.inputs.iter();
            let inputs = inputs.map(|(name, input)| (Part::Input(name), input.input, false));
            inputs.collect()
        }
        Some(pb::op::Op::Merge(merge)) => {
            let layers = merge.inputs.iter().enumerate();
            let layers = layers.map(|(number, input)| (Part::Layer(number), input.input, false));
            layers.collect()
        }
        Some(pb::op::Op::Diff(diff)) => {
            let lower = diff.lower.map(|lower| (Part::Lower, lower.input, true));
            let upper = diff.upper.map(|upper| (Part::Upper, upper.input, true));
            lower.into_iter().chain(upper).collect()
        }
        Some(pb::op::Op::Passthrough(passthrough)) => {
            let outputs = passthrough.outputs.iter().enumerate();
            let outputs = outputs.map(|(number, input)| (Part::Output(number), *input, false));
            outputs.collect()
        }
    }
}

/// Whether ops of this kind are written with a platform.
pub(crate) fn takes_platform(op: &pb::Op) -> bool {
    match &op.op {
        Some(pb::op::Op::Exec(_) | pb::op::Op::Build(_)) => true,
        Some(pb::op::Op::Source(source)) => {
            source.identifier.starts_with("docker-image://")
                || source.identifier.starts_with("oci-layout://")
        }
        _ => false,
    }
}

/// The capabilities that an op must ask for, as far as its content tells.
///
/// The Go client asks for a few more that show only in how the op was made, such as a required way of comparing local
/// folders.
pub(crate) fn capabilities(op: &pb::Op) -> CapabilitySet {
    match &op.op {
        None => CapabilitySet::new(),
        Some(pb::op::Op::Exec(exec)) => exec_capabilities(exec),
        Some(pb::op::Op::Source(source)) => source_capabilities(source),
        Some(pb::op::Op::File(_)) => Capability::FileBase.into_set(),
        Some(pb::op::Op::Build(_)) => Capability::SourceBuildOpLlbFileName.into_set(),
        Some(pb::op::Op::Merge(_)) => Capability::MergeOp.into_set(),
        Some(pb::op::Op::Diff(_)) => Capability::DiffOp.into_set(),
        Some(pb::op::Op::Passthrough(_)) => Capability::PassthroughOp.into_set(),
    }
}

impl Capability {
    fn into_set(self) -> CapabilitySet {
        CapabilitySet::new().with(self)
    }
}

fn exec_capabilities(exec: &pb::ExecOp) -> CapabilitySet {
    use Capability as Cap;

    let mut caps = Cap::ExecMetaBase.into_set();
    if let Some(meta) = &exec.meta {
        caps = caps
            .with_if(!meta.valid_exit_codes.is_empty(), Cap::ExecValidExitCode)
            .with_if(!meta.ulimit.is_empty(), Cap::ExecMetaUlimit)
            .with_if(meta.proxy_env.is_some(), Cap::ExecMetaProxyEnv);
    }
    for mount in &exec.mounts {
        caps = caps
            .with_if(!mount.selector.is_empty(), Cap::ExecMountSelector)
            .with_if(mount.content_cache != 0, Cap::ExecMountContentCache);
        caps = match pb::MountType::try_from(mount.mount_type) {
            Ok(pb::MountType::Bind) => caps.with_if(mount.input >= 0, Cap::ExecMountBind),
            Ok(pb::MountType::Cache) => caps
                .with(Cap::ExecMountCache)
                .with(Cap::ExecMountCacheSharing),
            Ok(pb::MountType::Tmpfs) => caps.with(Cap::ExecMountTmpfs).with_if(
                mount.tmpfs_opt.is_some_and(|tmpfs| tmpfs.size > 0),
                Cap::ExecMountTmpfsSize,
            ),
            Ok(pb::MountType::Secret) => caps.with(Cap::ExecMountSecret),
            Ok(pb::MountType::Ssh) => caps.with(Cap::ExecMountSsh),
            Err(_) => caps,
        };
    }
    let has_secret_env = !exec.secretenv.is_empty();
    caps.with_if(exec.network != 0, Cap::ExecMetaNetwork)
        .with_if(exec.security != 0, Cap::ExecMetaSecurity)
        .with_if(has_secret_env, Cap::ExecSecretEnv)
        .with_if(has_secret_env, Cap::ExecMountSecret)
        .with_if(!exec.cdi_devices.is_empty(), Cap::ExecMetaCdi)
}

/// What a kind of source asks for, and what it asks for when it has an attribute.
type SourceCapabilities = (
    &'static str,
    &'static [Capability],
    &'static [(&'static str, Capability)],
);

const SOURCES: &[SourceCapabilities] = &[
    (
        "docker-image",
        &[Capability::SourceImage],
        &[
            ("image.layerlimit", Capability::SourceImageLayerLimit),
            ("image.checksum", Capability::SourceImageChecksum),
        ],
    ),
    ("docker-image+blob", &[Capability::SourceImageBlob], &[]),
    ("oci-layout+blob", &[Capability::SourceImageBlob], &[]),
    ("oci-layout", &[Capability::SourceOciLayout], &[]),
    (
        "git",
        &[Capability::SourceGit, Capability::SourceGitFullUrl],
        &[
            ("git.keepgitdir", Capability::SourceGitKeepGitDir),
            ("git.knownsshhosts", Capability::SourceGitKnownSshHosts),
            ("git.mountsshsock", Capability::SourceGitKnownSshHosts),
            ("git.mountsshsock", Capability::SourceGitMountSshSock),
            ("git.checksum", Capability::SourceGitChecksum),
            ("git.skipsubmodules", Capability::SourceGitSkipSubmodules),
            ("git.mtime", Capability::SourceGitMtime),
            ("git.fetchbycommit", Capability::SourceGitFetchByCommit),
            ("git.bundle", Capability::SourceGitBundle),
            ("git.checkoutbundle", Capability::SourceGitCheckoutBundle),
        ],
    ),
    ("http", &[Capability::SourceHttp], HTTP),
    ("https", &[Capability::SourceHttp], HTTP),
    (
        "local",
        &[Capability::SourceLocal],
        &[
            ("local.unique", Capability::SourceLocalUnique),
            ("local.session", Capability::SourceLocalSessionId),
            (
                "local.includepattern",
                Capability::SourceLocalIncludePatterns,
            ),
            ("local.followpaths", Capability::SourceLocalFollowPaths),
            (
                "local.excludepatterns",
                Capability::SourceLocalExcludePatterns,
            ),
            ("local.sharedkeyhint", Capability::SourceLocalSharedKeyHint),
            (
                "local.metadatatransfer",
                Capability::SourceLocalMetadataTransfer,
            ),
        ],
    ),
];

const HTTP: &[(&str, Capability)] = &[
    ("http.checksum", Capability::SourceHttpChecksum),
    ("http.perm", Capability::SourceHttpPerm),
    ("http.uid", Capability::SourceHttpUidGid),
    ("http.gid", Capability::SourceHttpUidGid),
    ("http.authheadersecret", Capability::SourceHttpAuth),
    ("http.header.accept", Capability::SourceHttpHeader),
    ("http.header.user-agent", Capability::SourceHttpHeader),
    ("http.sig.pubkey", Capability::SourceHttpSignatureVerify),
    ("http.sig.signature", Capability::SourceHttpSignatureVerify),
];

fn source_capabilities(source: &pb::SourceOp) -> CapabilitySet {
    let scheme = source
        .identifier
        .split_once("://")
        .map_or("", |(scheme, _)| scheme);
    let Some((_, always, by_attribute)) = SOURCES.iter().find(|(name, ..)| *name == scheme) else {
        return CapabilitySet::new();
    };
    let mut caps: CapabilitySet = always.iter().copied().collect();
    for (attribute, capability) in *by_attribute {
        caps = caps.with_if(source.attrs.contains_key(*attribute), *capability);
    }
    let attribute = |name: &str| source.attrs.get(name).map_or("", |value| value);
    let token = attribute("git.authtokensecret");
    let header = attribute("git.authheadersecret");
    let has_own_secrets = (token, header) != ("GIT_AUTH_TOKEN", "GIT_AUTH_HEADER")
        && !(token.is_empty() && header.is_empty());
    caps.with_if(
        attribute("image.resolvemode") == "pull",
        Capability::SourceImageResolveMode,
    )
    .with_if(
        scheme == "git" && has_own_secrets,
        Capability::SourceGitHttpAuth,
    )
}
