//! What a daemon says of the op that failed (`errdefs.Solve`).
//!
//! BuildKit writes it as JSON: newer ones as protobuf has it, with names for kinds, older ones as Go has it, with numbers.
//! Both leave out what is empty. It may be protobuf as well.

use prost::Message as _;
use serde_json::Value;

use crate::metadata::CUSTOM_NAME;
use crate::proto::errdefs;
#[cfg(feature = "gateway")]
use crate::proto::google::rpc;
use crate::proto::pb;

/// An exec that failed, and the references that the daemon keeps of its mounts.
#[derive(Clone, Debug)]
pub(crate) struct FailedExec {
    /// The name that its author gave it; empty if none.
    pub(super) name: String,
    pub(crate) op: pb::Op,
    /// One for each mount of the exec; empty for those that are no file system of the build.
    #[cfg(feature = "gateway")]
    pub(crate) mounts: Vec<String>,
}

impl FailedExec {
    /// `None` if the error is not that of a command that a step ran.
    #[cfg(feature = "gateway")]
    pub(crate) fn read(status: &tonic::Status) -> Option<Self> {
        let details = rpc::Status::decode(status.details()).ok()?.details;
        let found =
            details
                .iter()
                .rev()
                .find_map(|any| match any.type_url.rsplit('/').next()? {
                    "errdefs.Solve+json" => {
                        Self::of_json(&serde_json::from_slice(&any.value).ok()?)
                    }
                    "errdefs.Solve" => Self::of_message(&any.value),
                    _ => None,
                })?;
        (found.exec()?.mounts.len() == found.mounts.len()).then_some(found)
    }

    pub(super) fn of_message(bytes: &[u8]) -> Option<Self> {
        let solve = errdefs::Solve::decode(bytes).ok()?;
        let name = solve.description.get(CUSTOM_NAME);
        Some(Self {
            name: name.cloned().unwrap_or_default(),
            op: solve.op?,
            #[cfg(feature = "gateway")]
            mounts: solve.mount_i_ds,
        })
    }

    fn exec(&self) -> Option<&pb::ExecOp> {
        match &self.op.op {
            Some(pb::op::Op::Exec(exec)) => Some(exec),
            _ => None,
        }
    }

    /// The command that failed.
    pub(super) fn command(&self) -> Option<&[String]> {
        Some(&self.exec()?.meta.as_ref()?.args)
    }

    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let op = value.get("op")?;
        // Go has a struct around what is one of several.
        let exec = field(field(op, "op").unwrap_or(op), "exec")?;
        let description = field(value, "description");
        let name = description.and_then(|all| all.get(CUSTOM_NAME)?.as_str());
        Some(Self {
            name: name.unwrap_or_default().to_owned(),
            op: pb::Op {
                op: Some(pb::op::Op::Exec(exec_op(exec))),
                platform: op.get("platform").map(platform),
                constraints: op.get("constraints").map(|one| pb::WorkerConstraints {
                    filter: texts(one, "filter"),
                }),
                ..pb::Op::default()
            },
            #[cfg(feature = "gateway")]
            mounts: texts(value, "mountIDs"),
        })
    }
}

fn exec_op(exec: &Value) -> pb::ExecOp {
    pb::ExecOp {
        meta: exec.get("meta").map(meta),
        mounts: list(exec, "mounts", mount),
        network: kind(exec, "network", pb::NetMode::from_str_name),
        security: kind(exec, "security", pb::SecurityMode::from_str_name),
        secretenv: list(exec, "secretenv", |one| pb::SecretEnv {
            id: text(one, "ID"),
            name: text(one, "name"),
            optional: flag(one, "optional"),
        }),
        cdi_devices: list(exec, "cdiDevices", |one| pb::CdiDevice {
            name: text(one, "name"),
            optional: flag(one, "optional"),
        }),
    }
}

fn meta(meta: &Value) -> pb::Meta {
    pb::Meta {
        args: texts(meta, "args"),
        env: texts(meta, "env"),
        cwd: text(meta, "cwd"),
        user: text(meta, "user"),
        proxy_env: field(meta, "proxyEnv").map(|proxy| pb::ProxyEnv {
            http_proxy: text(proxy, "httpProxy"),
            https_proxy: text(proxy, "httpsProxy"),
            ftp_proxy: text(proxy, "ftpProxy"),
            no_proxy: text(proxy, "noProxy"),
            all_proxy: text(proxy, "allProxy"),
        }),
        extra_hosts: list(meta, "extraHosts", |host| pb::HostIp {
            host: text(host, "Host"),
            ip: text(host, "IP"),
        }),
        hostname: text(meta, "hostname"),
        ulimit: list(meta, "ulimit", |limit| pb::Ulimit {
            name: text(limit, "Name"),
            soft: number(limit, "Soft"),
            hard: number(limit, "Hard"),
        }),
        cgroup_parent: text(meta, "cgroupParent"),
        remove_mount_stubs_recursive: flag(meta, "removeMountStubsRecursive"),
        valid_exit_codes: list(meta, "validExitCodes", |code| {
            code.as_i64().and_then(|code| code.try_into().ok())
        })
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn mount(mount: &Value) -> pb::Mount {
    pb::Mount {
        input: number(mount, "input"),
        selector: text(mount, "selector"),
        dest: text(mount, "dest"),
        output: number(mount, "output"),
        readonly: flag(mount, "readonly"),
        mount_type: kind(mount, "mountType", pb::MountType::from_str_name),
        tmpfs_opt: field(mount, "TmpfsOpt").map(|options| pb::TmpfsOpt {
            size: number(options, "size"),
        }),
        cache_opt: field(mount, "cacheOpt").map(|options| pb::CacheOpt {
            id: text(options, "ID"),
            sharing: kind(options, "sharing", pb::CacheSharingOpt::from_str_name),
        }),
        secret_opt: field(mount, "secretOpt").map(|options| pb::SecretOpt {
            id: text(options, "ID"),
            uid: number(options, "uid"),
            gid: number(options, "gid"),
            mode: number(options, "mode"),
            optional: flag(options, "optional"),
        }),
        ssh_opt: field(mount, "SSHOpt").map(|options| pb::SshOpt {
            id: text(options, "ID"),
            uid: number(options, "uid"),
            gid: number(options, "gid"),
            mode: number(options, "mode"),
            optional: flag(options, "optional"),
        }),
        content_cache: kind(mount, "contentCache", pb::MountContentCache::from_str_name),
        ..pb::Mount::default()
    }
}

fn platform(platform: &Value) -> pb::Platform {
    pb::Platform {
        architecture: text(platform, "Architecture"),
        os: text(platform, "OS"),
        variant: text(platform, "Variant"),
        os_version: text(platform, "OSVersion"),
        os_features: texts(platform, "OSFeatures"),
    }
}

/// A field by its name; how its words are joined is a matter of the writer.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let is_named = |other: &str| other.replace('_', "").eq_ignore_ascii_case(name);
    let mut fields = value.as_object()?.iter();
    let (_, found) = fields.find(|(other, _)| is_named(other))?;
    (!found.is_null()).then_some(found)
}

/// One of several kinds, by name or number.
fn kind<K: Into<i32>>(value: &Value, name: &str, of_name: impl Fn(&str) -> Option<K>) -> i32 {
    let named = field(value, name).and_then(Value::as_str).and_then(of_name);
    named.map_or_else(|| number(value, name), Into::into)
}

fn text(value: &Value, name: &str) -> String {
    let found = field(value, name).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

fn flag(value: &Value, name: &str) -> bool {
    field(value, name)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// A number, which protobuf's JSON may write as text.
fn number<N: TryFrom<i64> + Default>(value: &Value, name: &str) -> N {
    let found = field(value, name).and_then(|found| match found {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    found
        .and_then(|found| N::try_from(found).ok())
        .unwrap_or_default()
}

fn list<T>(value: &Value, name: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
    let found = field(value, name).and_then(Value::as_array);
    found.into_iter().flatten().map(read).collect()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    list(value, name, |text| {
        text.as_str().unwrap_or_default().to_owned()
    })
}

#[cfg(all(test, feature = "gateway"))]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    fn status(name: &str, value: Vec<u8>) -> Status {
        let details = rpc::Status {
            details: vec![prost_types::Any {
                type_url: format!("github.com/moby/buildkit/{name}"),
                value,
            }],
            ..rpc::Status::default()
        };
        Status::with_details(Code::Unknown, "failed", details.encode_to_vec().into())
    }

    #[test]
    fn an_exec_is_read_as_protobuf_writes_json() {
        let json = r#"{"mountIDs":["a","b"],"op":{
            "inputs":[{"digest":"sha256:a"}],
            "exec":{"meta":{"args":["false"],"cwd":"/","proxyEnv":{"httpProxy":"http://p"},
                    "ulimit":[{"Name":"nofile","Soft":"10","Hard":"20"}],"removeMountStubsRecursive":true},
                "mounts":[{"dest":"/"},
                    {"input":"-1","dest":"/c","output":"-1","mountType":"CACHE","cacheOpt":{"ID":"pip","sharing":"LOCKED"}}],
                "network":"NONE","security":"INSECURE"},
            "platform":{"Architecture":"amd64","OS":"linux"},"constraints":{}},
            "description":{"llb.customname":"a step"}}"#;
        let failed = FailedExec::read(&status("errdefs.Solve+json", json.into())).unwrap();
        assert_eq!(failed.name, "a step");
        assert_eq!(failed.command(), Some(&["false".to_owned()][..]));
        let exec = failed.exec().unwrap();
        let meta = exec.meta.as_ref().unwrap();
        assert_eq!(meta.proxy_env.as_ref().unwrap().http_proxy, "http://p");
        assert_eq!((meta.ulimit[0].soft, meta.ulimit[0].hard), (10, 20));
        assert!(meta.remove_mount_stubs_recursive);
        assert_eq!(exec.network(), pb::NetMode::None);
        assert_eq!(exec.security(), pb::SecurityMode::Insecure);
        let cache = &exec.mounts[1];
        assert_eq!((cache.input, cache.output), (-1, -1));
        assert_eq!(cache.mount_type(), pb::MountType::Cache);
        let options = cache.cache_opt.as_ref().unwrap();
        assert_eq!(options.sharing(), pb::CacheSharingOpt::Locked);
    }

    #[test]
    fn an_exec_is_read_as_go_writes_it() {
        let json = r#"{"inputIDs":["x"],"mountIDs":["a","","b"],"op":{
            "inputs":[{"digest":"sha256:a","index":0}],
            "Op":{"exec":{
                "meta":{"args":["sh","-c","exit 1"],"env":["A=b"],"cwd":"/src","user":"1:2",
                    "extraHosts":[{"Host":"h","IP":"1.2.3.4"}],"ulimit":[{"Name":"nofile","Soft":10,"Hard":20}],
                    "validExitCodes":[0,7]},
                "mounts":[{"dest":"/","output":0},
                    {"input":-1,"dest":"/s","output":-1,"mountType":1,"secretOpt":{"ID":"token","mode":256}},
                    {"input":1,"dest":"/c","output":-1,"mountType":3,"cacheOpt":{"ID":"pip","sharing":2},"readonly":true}],
                "network":1,"security":1,"secretenv":[{"ID":"t","name":"TOKEN","optional":true}]}},
            "platform":{"Architecture":"arm64","OS":"linux","Variant":"v8"},
            "constraints":{"filter":["x==y"]}}}"#;
        let failed = FailedExec::read(&status("errdefs.Solve+json", json.into())).unwrap();
        assert_eq!(failed.mounts, ["a", "", "b"]);
        assert_eq!(failed.op.platform.as_ref().unwrap().architecture, "arm64");
        assert_eq!(failed.op.constraints.as_ref().unwrap().filter, ["x==y"]);
        let exec = failed.exec().unwrap();
        let meta = exec.meta.as_ref().unwrap();
        assert_eq!((meta.cwd.as_str(), meta.user.as_str()), ("/src", "1:2"));
        assert_eq!(
            (meta.args.len(), meta.env.len(), &*meta.valid_exit_codes),
            (3, 1, &[0, 7][..])
        );
        assert_eq!(
            (meta.ulimit[0].hard, &*meta.extra_hosts[0].ip),
            (20, "1.2.3.4")
        );
        assert_eq!((exec.network, exec.security), (1, 1));
        assert!(exec.secretenv[0].optional);
        let [root, secret, cache] = &*exec.mounts else {
            panic!("{exec:?}");
        };
        assert_eq!((root.input, root.dest.as_str()), (0, "/"));
        assert_eq!(secret.mount_type(), pb::MountType::Secret);
        let options = secret.secret_opt.as_ref().unwrap();
        assert_eq!((options.id.as_str(), options.mode), ("token", 0o400));
        assert_eq!(cache.cache_opt.as_ref().unwrap().sharing, 2);
        assert!(cache.readonly);
    }

    #[test]
    fn an_exec_is_read_from_protobuf_too() {
        let solve = errdefs::Solve {
            mount_i_ds: vec!["a".into()],
            op: Some(pb::Op {
                op: Some(pb::op::Op::Exec(pb::ExecOp {
                    mounts: vec![pb::Mount::default()],
                    ..pb::ExecOp::default()
                })),
                ..pb::Op::default()
            }),
            ..errdefs::Solve::default()
        };
        let failed = FailedExec::read(&status("errdefs.Solve", solve.encode_to_vec())).unwrap();
        assert_eq!(failed.mounts, ["a"]);
    }

    #[test]
    fn what_is_no_failed_exec_is_none() {
        for (name, json) in [
            ("errdefs.Solve+json", r#"{"op":{"Op":{"file":{}}}}"#),
            (
                "errdefs.Solve+json",
                r#"{"op":{"Op":{"exec":{"mounts":[{}]}}}}"#,
            ),
            ("errdefs.Solve+json", "nonsense"),
            ("errdefs.Vertex+json", r#"{"digest":"sha256:a"}"#),
        ] {
            assert!(
                FailedExec::read(&status(name, json.into())).is_none(),
                "{json}"
            );
        }
        assert!(FailedExec::read(&Status::unknown("failed")).is_none());
    }
}
