//! A graph as JSON, for programs that know nothing of protobuf.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::graph::{Graph, GraphOp};
use crate::definition::{Definition, SourceInfo};
use crate::metadata::OpMetadata;
use crate::proto::pb;
use crate::sourcemap::Position;

impl Definition {
    /// The graph as JSON, with everything that is in it.
    ///
    /// An object with `head` (the result), `ops` (in the order of the definition, one a line, each with its name in the
    /// text form, digest, kind, inputs, content and metadata) and `files` (the source files that ops come from). Fields have the
    /// names of BuildKit's protobuf messages in lower case; those with the default value are left out of `content`.
    /// Data of files is text, or `{"hex": ...}` if it is none.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("alpine").run(sh("true")).marshal(&MarshalOptions::linux_amd64())?;
    /// let json: serde_json::Value = serde_json::from_str(&definition.to_json())?;
    /// assert_eq!(json["head"]["op"], "true");
    /// assert_eq!(json["ops"][1]["content"]["meta"]["args"][2], "true");
    /// assert_eq!(json["ops"][1]["inputs"][0]["op"], "alpine");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> String {
        let graph = Graph::new(self);
        let mut json = String::from("{\"ops\": [");
        let mut write = |part: std::fmt::Arguments<'_>| {
            json.write_fmt(part)
                .expect("writing to a string does not fail");
        };
        // One op after the other: as values all of them would take far more room than as text.
        for (position, op) in graph.ops.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write(format_args!("{comma}\n{}", op_value(&graph, op)));
        }
        write(format_args!("\n]"));
        let rest = without_ops(self, &graph);
        for (name, value) in rest.as_object().into_iter().flatten() {
            write(format_args!(",\n\"{name}\": {value}"));
        }
        json.push_str("}\n");
        json
    }
}

/// A definition inside another one, as a whole.
fn value_of(definition: &Definition) -> Value {
    let graph = Graph::new(definition);
    let ops: Vec<Value> = graph.ops.iter().map(|op| op_value(&graph, op)).collect();
    let mut value = without_ops(definition, &graph);
    value["ops"] = ops.into();
    value
}

fn without_ops(definition: &Definition, graph: &Graph<'_>) -> Value {
    let head = graph.head.map(|(position, index)| {
        let op = &graph.ops[position];
        json!({"op": op.name, "digest": op.definition_op.digest().to_string(), "output": index})
    });
    let mut value = json!({"head": head});
    if let Some(last) = graph.last {
        value["result_metadata"] = metadata_value(last.metadata());
    }
    let files: Vec<Value> = definition.source_infos().iter().map(file_value).collect();
    if !files.is_empty() {
        value["files"] = files.into();
    }
    value
}

fn op_value(graph: &Graph<'_>, op: &GraphOp<'_>) -> Value {
    let message = op.message();
    let inputs = message.inputs.iter().map(|input| {
        let read = graph.position_of(input).map(|read| &graph.ops[read].name);
        json!({"op": read, "digest": input.digest, "output": input.index})
    });
    let mut object = Object::default();
    object.set("name", op.name.as_str());
    object.set("digest", op.definition_op.digest().to_string());
    let (kind, content) = content(&message);
    object.set("kind", kind);
    object.set("inputs", inputs.collect::<Vec<_>>());
    if let Some(platform) = &message.platform {
        let mut value = Object::default();
        value.set("os", &*platform.os);
        value.set("architecture", &*platform.architecture);
        value.set("variant", &*platform.variant);
        value.set("os_version", &*platform.os_version);
        value.set("os_features", platform.os_features.clone());
        object.0.insert("platform".to_owned(), value.0.into());
    }
    if let Some(constraints) = &message.constraints {
        object.set("constraints", constraints.filter.clone());
    }
    object.0.insert("content".to_owned(), content);
    let metadata = metadata_value(op.definition_op.metadata());
    object.0.insert("metadata".to_owned(), metadata);
    let position = |position: Option<Position>| {
        position.map(|position| json!({"line": position.line, "character": position.character}))
    };
    let locations = op.definition_op.locations().map(|(file, ranges)| {
        let ranges = ranges
            .iter()
            .map(|range| json!({"start": position(range.start), "end": position(range.end)}));
        json!({"file": file, "ranges": ranges.collect::<Vec<_>>()})
    });
    object.set("locations", locations.collect::<Vec<_>>());
    object.0.into()
}

/// An object that leaves out what is empty, false or zero.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_default = match &value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Number(number) => number.as_i64() == Some(0),
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(_) => false,
        };
        if !is_default {
            self.0.insert(name.to_owned(), value);
        }
    }
}

macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {{
        let mut object = Object::default();
        $(object.set($name, $value);)*
        Value::from(object.0)
    }};
}

fn content(op: &pb::Op) -> (&'static str, Value) {
    match &op.op {
        None => ("unknown", Value::Null),
        Some(pb::op::Op::Source(source)) => (
            "source",
            json!({"identifier": source.identifier, "attrs": source.attrs}),
        ),
        Some(pb::op::Op::Exec(exec)) => ("exec", exec_value(exec)),
        Some(pb::op::Op::File(file)) => {
            let actions: Vec<Value> = file.actions.iter().map(action_value).collect();
            ("file", json!({"actions": actions}))
        }
        Some(pb::op::Op::Build(build)) => {
            let inputs = build
                .inputs
                .iter()
                .map(|(name, input)| (name.clone(), input.input.into()));
            let inputs: Map<String, Value> = inputs.collect();
            let value = json!({"builder": build.builder, "inputs": inputs, "attrs": build.attrs});
            ("build", value)
        }
        Some(pb::op::Op::Merge(merge)) => {
            let inputs: Vec<i64> = merge.inputs.iter().map(|input| input.input).collect();
            ("merge", json!({"inputs": inputs}))
        }
        Some(pb::op::Op::Diff(diff)) => (
            "diff",
            json!({"lower": diff.lower.map(|lower| lower.input), "upper": diff.upper.map(|upper| upper.input)}),
        ),
        Some(pb::op::Op::Passthrough(passthrough)) => (
            "passthrough",
            json!({"id": passthrough.id, "outputs": passthrough.outputs}),
        ),
    }
}

fn exec_value(exec: &pb::ExecOp) -> Value {
    let meta = exec.meta.as_ref().map(|meta| {
        let hosts = meta.extra_hosts.iter();
        let hosts = hosts.map(|host| json!({"host": host.host, "ip": host.ip}));
        let limits = meta.ulimit.iter();
        let limits =
            limits.map(|limit| json!({"name": limit.name, "soft": limit.soft, "hard": limit.hard}));
        object! {
            "args": meta.args.clone(),
            "env": meta.env.clone(),
            "cwd": &*meta.cwd,
            "user": &*meta.user,
            "proxy_env": meta.proxy_env.as_ref().map(|proxy| object! {
                "http_proxy": &*proxy.http_proxy,
                "https_proxy": &*proxy.https_proxy,
                "ftp_proxy": &*proxy.ftp_proxy,
                "no_proxy": &*proxy.no_proxy,
                "all_proxy": &*proxy.all_proxy,
            }),
            "extra_hosts": hosts.collect::<Vec<_>>(),
            "hostname": &*meta.hostname,
            "ulimit": limits.collect::<Vec<_>>(),
            "cgroup_parent": &*meta.cgroup_parent,
            "remove_mount_stubs_recursive": meta.remove_mount_stubs_recursive,
            "valid_exit_codes": meta.valid_exit_codes.clone(),
        }
    });
    let secrets = exec.secretenv.iter();
    let secrets = secrets
        .map(|secret| json!({"id": secret.id, "name": secret.name, "optional": secret.optional}));
    let devices = exec.cdi_devices.iter();
    let devices = devices.map(|device| json!({"name": device.name, "optional": device.optional}));
    object! {
        "meta": meta,
        "mounts": exec.mounts.iter().map(mount_value).collect::<Vec<_>>(),
        "network": exec.network,
        "security": exec.security,
        "secretenv": secrets.collect::<Vec<_>>(),
        "cdi_devices": devices.collect::<Vec<_>>(),
    }
}

fn mount_value(mount: &pb::Mount) -> Value {
    let kind = pb::MountType::try_from(mount.mount_type);
    let kind = kind.map_or("unknown", |kind| kind.as_str_name());
    let file = |id: &str, uid: u32, gid: u32, mode: u32, optional: bool| {
        object! {"id": id, "uid": uid, "gid": gid, "mode": mode, "optional": optional}
    };
    let mut value = object! {
        "dest": &*mount.dest,
        "type": kind.to_ascii_lowercase(),
        "selector": &*mount.selector,
        "readonly": mount.readonly,
        "tmpfs": mount.tmpfs_opt.map(|tmpfs| object! {"size": tmpfs.size}),
        "cache": mount.cache_opt.as_ref().map(|cache| object! {"id": &*cache.id, "sharing": cache.sharing}),
        "secret": mount.secret_opt.as_ref().map(|secret| file(&secret.id, secret.uid, secret.gid, secret.mode, secret.optional)),
        "ssh": mount.ssh_opt.as_ref().map(|ssh| file(&ssh.id, ssh.uid, ssh.gid, ssh.mode, ssh.optional)),
        "result_id": &*mount.result_id,
        "content_cache": mount.content_cache,
    };
    // Zero is an input and an output like the others.
    value["input"] = mount.input.into();
    value["output"] = mount.output.into();
    value
}

fn action_value(action: &pb::FileAction) -> Value {
    use pb::file_action::Action;

    let (kind, content) = match &action.action {
        None => ("unknown", Value::Null),
        Some(Action::Copy(copy)) => (
            "copy",
            object! {
                "src": &*copy.src,
                "dest": &*copy.dest,
                "owner": owner_value(copy.owner.as_ref()),
                "mode": copy.mode,
                "mode_str": &*copy.mode_str,
                "follow_symlink": copy.follow_symlink,
                "dir_copy_contents": copy.dir_copy_contents,
                "attempt_unpack": copy.attempt_unpack_docker_compatibility,
                "create_dest_path": copy.create_dest_path,
                "allow_wildcard": copy.allow_wildcard,
                "allow_empty_wildcard": copy.allow_empty_wildcard,
                "always_replace_existing_dest_paths": copy.always_replace_existing_dest_paths,
                "include_patterns": copy.include_patterns.clone(),
                "exclude_patterns": copy.exclude_patterns.clone(),
                "required_paths": copy.required_paths.clone(),
                "timestamp": copy.timestamp,
            },
        ),
        Some(Action::Mkfile(mkfile)) => (
            "mkfile",
            object! {
                "path": &*mkfile.path,
                "mode": mkfile.mode,
                "data": data_value(&mkfile.data),
                "owner": owner_value(mkfile.owner.as_ref()),
                "timestamp": mkfile.timestamp,
            },
        ),
        Some(Action::Mkdir(mkdir)) => (
            "mkdir",
            object! {
                "path": &*mkdir.path,
                "mode": mkdir.mode,
                "make_parents": mkdir.make_parents,
                "owner": owner_value(mkdir.owner.as_ref()),
                "timestamp": mkdir.timestamp,
            },
        ),
        Some(Action::Rm(rm)) => (
            "rm",
            object! {
                "path": &*rm.path,
                "allow_not_found": rm.allow_not_found,
                "allow_wildcard": rm.allow_wildcard,
            },
        ),
        Some(Action::Symlink(symlink)) => (
            "symlink",
            object! {
                "oldpath": &*symlink.oldpath,
                "newpath": &*symlink.newpath,
                "owner": owner_value(symlink.owner.as_ref()),
                "timestamp": symlink.timestamp,
            },
        ),
    };
    json!({
        "input": action.input,
        "secondary_input": action.secondary_input,
        "output": action.output,
        kind: content,
    })
}

fn owner_value(owner: Option<&pb::ChownOpt>) -> Value {
    let user = |user: &Option<pb::UserOpt>| match user.as_ref().and_then(|user| user.user.as_ref())
    {
        None => Value::Null,
        Some(pb::user_opt::User::ById(id)) => (*id).into(),
        Some(pb::user_opt::User::ByName(name)) => {
            json!({"name": name.name, "input": name.input})
        }
    };
    owner.map_or(
        Value::Null,
        |owner| json!({"user": user(&owner.user), "group": user(&owner.group)}),
    )
}

fn metadata_value(metadata: &OpMetadata) -> Value {
    let known = metadata
        .caps
        .iter()
        .map(|cap| (cap.name().to_owned(), true.into()));
    let others = metadata
        .other_caps
        .iter()
        .map(|(name, needed)| (name.clone(), (*needed).into()));
    let caps: Map<String, Value> = known.chain(others).collect();
    let mut object = Object::default();
    object.set("ignore_cache", metadata.ignore_cache);
    if !metadata.description.is_empty() {
        object.set("description", json!(*metadata.description));
    }
    if let Some(export) = metadata.export_cache {
        object.0.insert("export_cache".to_owned(), export.into());
    }
    object.set(
        "progress_group",
        metadata
            .progress_group
            .as_ref()
            .map(|group| object! {"id": &*group.id, "name": &*group.name, "weak": group.weak}),
    );
    object.set(
        "linux_resources",
        metadata.linux_resources.as_ref().map(|limits| {
            object! {
                "memory": limits.memory,
                "memory_swap": limits.memory_swap,
                "cpu_shares": limits.cpu_shares,
                "cpu_period": limits.cpu_period,
                "cpu_quota": limits.cpu_quota,
                "cpuset_cpus": &*limits.cpuset_cpus,
                "cpuset_mems": &*limits.cpuset_mems,
            }
        }),
    );
    object.set("caps", caps);
    object.0.into()
}

fn file_value(info: &SourceInfo) -> Value {
    object! {
        "filename": info.filename(),
        "language": info.language(),
        "data": data_value(info.data()),
        "definition": info.definition().map(value_of),
    }
}

/// Data as text, or in hexadecimal digits if it is none.
fn data_value(data: &[u8]) -> Value {
    if let Ok(text) = std::str::from_utf8(data) {
        return text.into();
    }
    let mut hex = String::with_capacity(2 * data.len());
    for byte in data {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    json!({"hex": hex})
}
