//! Ops with anything in their fields, also what no client writes.

use llb::OpDigest;
use llb::proto::pb;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;

fn text() -> BoxedStrategy<String> {
    prop_oneof![2 => Just(String::new()), 3 => "[a-z./:=-]{1,6}", 1 => any::<String>()].boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..3).boxed()
}

/// A position among inputs and actions: mostly one that is there.
fn position() -> BoxedStrategy<i64> {
    prop_oneof![8 => -1..5_i64, 1 => any::<i64>()].boxed()
}

fn small() -> BoxedStrategy<i32> {
    prop_oneof![8 => 0..6_i32, 1 => any::<i32>()].boxed()
}

fn platform() -> BoxedStrategy<pb::Platform> {
    let word = || prop_oneof![4 => "[a-z0-9]{0,3}", 1 => text()];
    (word(), word(), word(), text(), texts())
        .prop_map(
            |(architecture, os, variant, os_version, os_features)| pb::Platform {
                architecture,
                os,
                variant,
                os_version,
                os_features,
            },
        )
        .boxed()
}

fn user() -> BoxedStrategy<pb::UserOpt> {
    let name = (prop_oneof![text(), "[0-9]{1,11}"], position());
    let name =
        name.prop_map(|(name, input)| pb::user_opt::User::ByName(pb::NamedUserOpt { name, input }));
    let user = prop_oneof![any::<u32>().prop_map(pb::user_opt::User::ById), name];
    of(user).prop_map(|user| pb::UserOpt { user }).boxed()
}

fn owner() -> BoxedStrategy<pb::ChownOpt> {
    (of(user()), of(user()))
        .prop_map(|(user, group)| pb::ChownOpt { user, group })
        .boxed()
}

fn time() -> BoxedStrategy<i64> {
    prop_oneof![Just(-1), any::<i64>()].boxed()
}

fn copy() -> BoxedStrategy<pb::FileActionCopy> {
    (
        (
            text(),
            text(),
            of(owner()),
            prop_oneof![Just(-1), Just(0), any::<i32>()],
        ),
        any::<[bool; 7]>(),
        (time(), texts(), texts(), texts(), text()),
    )
        .prop_map(
            |(
                (src, dest, owner, mode),
                flags,
                (timestamp, include_patterns, exclude_patterns, required_paths, mode_str),
            )| {
                pb::FileActionCopy {
                    src,
                    dest,
                    owner,
                    mode,
                    follow_symlink: flags[0],
                    dir_copy_contents: flags[1],
                    attempt_unpack_docker_compatibility: flags[2],
                    create_dest_path: flags[3],
                    allow_wildcard: flags[4],
                    allow_empty_wildcard: flags[5],
                    timestamp,
                    include_patterns,
                    exclude_patterns,
                    always_replace_existing_dest_paths: flags[6],
                    mode_str,
                    required_paths,
                }
            },
        )
        .boxed()
}

fn action() -> BoxedStrategy<pb::FileAction> {
    use pb::file_action::Action;

    let kind = prop_oneof![
        copy().prop_map(Action::Copy),
        (
            text(),
            any::<i32>(),
            vec(any::<u8>(), 0..9),
            of(owner()),
            time()
        )
            .prop_map(|(path, mode, data, owner, timestamp)| {
                Action::Mkfile(pb::FileActionMkFile {
                    path,
                    mode,
                    data: data.into(),
                    owner,
                    timestamp,
                })
            }),
        (text(), any::<i32>(), any::<bool>(), of(owner()), time()).prop_map(
            |(path, mode, make_parents, owner, timestamp)| {
                Action::Mkdir(pb::FileActionMkDir {
                    path,
                    mode,
                    make_parents,
                    owner,
                    timestamp,
                })
            }
        ),
        (text(), any::<bool>(), any::<bool>()).prop_map(
            |(path, allow_not_found, allow_wildcard)| {
                Action::Rm(pb::FileActionRm {
                    path,
                    allow_not_found,
                    allow_wildcard,
                })
            }
        ),
        (text(), text(), of(owner()), time()).prop_map(|(oldpath, newpath, owner, timestamp)| {
            Action::Symlink(pb::FileActionSymlink {
                oldpath,
                newpath,
                owner,
                timestamp,
            })
        }),
    ];
    (position(), position(), position(), of(kind))
        .prop_map(|(input, secondary_input, output, action)| pb::FileAction {
            input,
            secondary_input,
            output,
            action,
        })
        .boxed()
}

fn mount() -> BoxedStrategy<pb::Mount> {
    let file = || {
        (
            text(),
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
            any::<bool>(),
        )
    };
    let options = (
        prop_oneof![3 => Just(None), 1 => of(any::<i64>())],
        prop_oneof![3 => Just(None), 1 => of((text(), small()))],
        prop_oneof![3 => Just(None), 1 => of(file())],
        prop_oneof![3 => Just(None), 1 => of(file())],
    );
    (
        (position(), text(), text(), position(), any::<bool>()),
        (small(), text(), small()),
        options,
    )
        .prop_map(
            |(
                (input, selector, dest, output, readonly),
                (mount_type, result_id, content_cache),
                options,
            )| {
                let (tmpfs, cache, secret, ssh) = options;
                pb::Mount {
                    input,
                    selector,
                    dest,
                    output,
                    readonly,
                    mount_type,
                    tmpfs_opt: tmpfs.map(|size| pb::TmpfsOpt { size }),
                    cache_opt: cache.map(|(id, sharing)| pb::CacheOpt { id, sharing }),
                    secret_opt: secret.map(|(id, uid, gid, mode, optional)| pb::SecretOpt {
                        id,
                        uid,
                        gid,
                        mode,
                        optional,
                    }),
                    ssh_opt: ssh.map(|(id, uid, gid, mode, optional)| pb::SshOpt {
                        id,
                        uid,
                        gid,
                        mode,
                        optional,
                    }),
                    result_id,
                    content_cache,
                }
            },
        )
        .boxed()
}

fn meta() -> BoxedStrategy<pb::Meta> {
    let proxy = (text(), text(), text(), text(), text());
    let proxy = proxy.prop_map(
        |(http_proxy, https_proxy, ftp_proxy, no_proxy, all_proxy)| pb::ProxyEnv {
            http_proxy,
            https_proxy,
            ftp_proxy,
            no_proxy,
            all_proxy,
        },
    );
    let host = (text(), text()).prop_map(|(host, ip)| pb::HostIp { host, ip });
    let ulimit = (text(), any::<i64>(), any::<i64>());
    let ulimit = ulimit.prop_map(|(name, soft, hard)| pb::Ulimit { name, soft, hard });
    (
        (texts(), texts(), text(), text(), of(proxy)),
        (
            vec(host, 0..3),
            text(),
            vec(ulimit, 0..3),
            text(),
            any::<bool>(),
            vec(any::<i32>(), 0..3),
        ),
    )
        .prop_map(
            |(
                (args, env, cwd, user, proxy_env),
                (extra_hosts, hostname, ulimit, cgroup_parent, stubs, valid_exit_codes),
            )| {
                pb::Meta {
                    args,
                    env,
                    cwd,
                    user,
                    proxy_env,
                    extra_hosts,
                    hostname,
                    ulimit,
                    cgroup_parent,
                    remove_mount_stubs_recursive: stubs,
                    valid_exit_codes,
                }
            },
        )
        .boxed()
}

fn exec() -> BoxedStrategy<pb::ExecOp> {
    let secret = (text(), text(), any::<bool>());
    let secret = secret.prop_map(|(id, name, optional)| pb::SecretEnv { id, name, optional });
    let device =
        (text(), any::<bool>()).prop_map(|(name, optional)| pb::CdiDevice { name, optional });
    (
        of(meta()),
        vec(mount(), 0..4),
        small(),
        small(),
        vec(secret, 0..3),
        vec(device, 0..3),
    )
        .prop_map(
            |(meta, mounts, network, security, secretenv, cdi_devices)| pb::ExecOp {
                meta,
                mounts,
                network,
                security,
                secretenv,
                cdi_devices,
            },
        )
        .boxed()
}

fn source() -> BoxedStrategy<pb::SourceOp> {
    let identifier = prop_oneof![text(), "docker-image://[a-z]{1,3}", "local://[a-z]{0,2}"];
    let key = prop_oneof![
        text(),
        Just("local.unique".to_owned()),
        Just("local.session".to_owned())
    ];
    (identifier, btree_map(key, text(), 0..3))
        .prop_map(|(identifier, attrs)| pb::SourceOp { identifier, attrs })
        .boxed()
}

fn build() -> BoxedStrategy<pb::BuildOp> {
    let input = position().prop_map(|input| pb::BuildInput { input });
    let key = prop_oneof![3 => Just("buildkit.llb.definition".to_owned()), 1 => text()];
    let builder = prop_oneof![3 => Just(-1), 1 => any::<i64>()];
    (
        builder,
        btree_map(key, input, 0..3),
        btree_map(text(), text(), 0..3),
    )
        .prop_map(|(builder, inputs, attrs)| pb::BuildOp {
            builder,
            inputs,
            def: None,
            attrs,
        })
        .boxed()
}

fn content() -> BoxedStrategy<pb::op::Op> {
    use pb::op::Op;

    prop_oneof![
        exec().prop_map(Op::Exec),
        source().prop_map(Op::Source),
        vec(action(), 0..5).prop_map(|actions| Op::File(pb::FileOp { actions })),
        build().prop_map(Op::Build),
        vec(position(), 0..4).prop_map(|inputs| {
            let inputs = inputs.into_iter().map(|input| pb::MergeInput { input });
            Op::Merge(pb::MergeOp {
                inputs: inputs.collect(),
            })
        }),
        (of(position()), of(position())).prop_map(|(lower, upper)| Op::Diff(pb::DiffOp {
            lower: lower.map(|input| pb::LowerDiffInput { input }),
            upper: upper.map(|input| pb::UpperDiffInput { input }),
        })),
        (text(), vec(position(), 0..4))
            .prop_map(|(id, outputs)| Op::Passthrough(pb::PassthroughOp { id, outputs })),
    ]
    .boxed()
}

/// An op, the outputs of ops before it that it reads, and whether it is encoded as BuildKit's client would.
type AnyOp = (Vec<(prop::sample::Index, u32)>, pb::Op, bool);

fn op() -> BoxedStrategy<AnyOp> {
    let output = prop_oneof![3 => Just(0), 1 => 0..3_u32, 1 => any::<u32>()];
    let constraints = texts().prop_map(|filter| pb::WorkerConstraints { filter });
    let op = (of(platform()), of(constraints), of(content()));
    let op = op.prop_map(|(platform, constraints, op)| pb::Op {
        inputs: Vec::new(),
        platform,
        constraints,
        op,
    });
    (
        vec((any::<prop::sample::Index>(), output), 0..4),
        op,
        prop::bool::weighted(0.9),
    )
        .boxed()
}

fn metadata() -> BoxedStrategy<pb::OpMetadata> {
    let group = (text(), text(), any::<bool>()).prop_map(|(id, name, weak)| pb::ProgressGroup {
        id,
        name,
        weak,
    });
    let limits = (any::<[i64; 3]>(), any::<[u64; 2]>(), text(), text());
    let limits =
        limits.prop_map(
            |(signed, unsigned, cpuset_cpus, cpuset_mems)| pb::LinuxResources {
                memory: signed[0],
                memory_swap: signed[1],
                cpu_shares: unsigned[0],
                cpu_period: unsigned[1],
                cpu_quota: signed[2],
                cpuset_cpus,
                cpuset_mems,
            },
        );
    let key = prop_oneof![text(), Just("llb.customname".to_owned())];
    let cap = prop_oneof![text(), Just("mergeop".to_owned())];
    (
        any::<bool>(),
        btree_map(key, text(), 0..3),
        of(any::<bool>()),
        btree_map(cap, any::<bool>(), 0..3),
        of(group),
        of(limits),
    )
        .prop_map(
            |(ignore_cache, description, export, caps, progress_group, linux_resources)| {
                pb::OpMetadata {
                    ignore_cache,
                    description,
                    export_cache: export.map(|value| pb::ExportCache { value }),
                    caps,
                    progress_group,
                    linux_resources,
                }
            },
        )
        .boxed()
}

fn places() -> BoxedStrategy<Vec<pb::Range>> {
    let position =
        (any::<i32>(), any::<i32>()).prop_map(|(line, character)| pb::Position { line, character });
    let range =
        (of(position.clone()), of(position)).prop_map(|(start, end)| pb::Range { start, end });
    vec(range, 0..3).boxed()
}

/// The bytes of a definition whose ops hold anything.
pub(crate) fn definition() -> BoxedStrategy<Vec<u8>> {
    let info = (text(), text(), vec(any::<u8>(), 0..20));
    (vec((op(), metadata(), places()), 1..6), metadata(), info)
        .prop_map(|(ops, last, info)| {
            let mut definition = pb::Definition::default();
            let mut source = pb::Source::default();
            source.infos.push(pb::SourceInfo {
                filename: info.0,
                language: info.1,
                data: info.2.into(),
                definition: None,
            });
            let mut digests: Vec<String> = Vec::new();
            for ((inputs, mut op, is_canonical), metadata, ranges) in ops {
                if !digests.is_empty() {
                    op.inputs
                        .extend(inputs.into_iter().map(|(index, output)| pb::Input {
                            digest: index.get(&digests).clone(),
                            index: output.into(),
                        }));
                }
                let bytes = if is_canonical {
                    canonical(op)
                } else {
                    op.encode_to_vec()
                };
                let digest = OpDigest::of(&bytes).to_string();
                let locations = vec![pb::Location {
                    source_index: 0,
                    ranges,
                }];
                source
                    .locations
                    .insert(digest.clone(), pb::Locations { locations });
                definition.metadata.insert(digest.clone(), metadata);
                definition.def.push(bytes.into());
                digests.push(digest);
            }
            let head = pb::Input {
                digest: digests.pop().unwrap(),
                index: 0,
            };
            let bytes = pb::Op {
                inputs: vec![head],
                ..pb::Op::default()
            }
            .encode_to_vec();
            definition
                .metadata
                .insert(OpDigest::of(&bytes).to_string(), last);
            definition.def.push(bytes.into());
            definition.source = Some(source);
            definition.encode_to_vec()
        })
        .boxed()
}

/// The bytes with the kind of the op last, as BuildKit's client has it.
fn canonical(mut op: pb::Op) -> Vec<u8> {
    let kind = op.op.take();
    let mut bytes = op.encode_to_vec();
    bytes.extend(
        pb::Op {
            op: kind,
            ..pb::Op::default()
        }
        .encode_to_vec(),
    );
    bytes
}
