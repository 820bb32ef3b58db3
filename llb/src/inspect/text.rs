//! The text form of a graph: what a person reviews and what snapshots hold.
//!
//! One line or block per op, in dependency order, each under a name: the op's custom name, or its kind with an ordinal,
//! never its digest. A changed command is a change of one line.

#![expect(
    clippy::format_push_string,
    reason = "lines are put together from optional parts, and printing is not hot"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prost::Message as _;

use crate::definition::{Definition, DefinitionOp, MarshalOptions, OpDigest};
use crate::metadata::CUSTOM_NAME;
use crate::proto::pb;
use crate::state::State;
use crate::value::Platform;

/// File content up to this many bytes is shown, longer content by its size and digest.
const SHOWN_DATA: usize = 2048;

impl Definition {
    /// The graph as text.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("alpine").run(sh("echo hello > /greeting").name("greet"));
    /// let definition = state.marshal(&MarshalOptions::linux_arm64())?;
    /// assert_eq!(definition.to_text(), r#"
    /// platform linux/arm64
    /// %alpine = source "docker-image://docker.io/library/alpine:latest"
    /// %greet = exec "/bin/sh" "-c" "echo hello > /greeting" cwd=/ name="greet" {
    ///   / = %alpine -> out0
    /// }
    /// return %greet
    /// "#.trim_start());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn to_text(&self) -> String {
        Printer::new(self).print(self)
    }
}

impl State {
    /// The graph as text, as [`Definition::to_text`] prints it for `linux/amd64`.
    ///
    /// Mistakes in the graph are printed in its place, each as a line that begins with `error:`.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// assert_eq!(scratch().to_text(), "return scratch\n");
    /// assert!(image("Debian").to_text().starts_with("error: image \"Debian\": "));
    /// ```
    pub fn to_text(&self) -> String {
        match self.marshal(&MarshalOptions::linux_amd64()) {
            Ok(definition) => definition.to_text(),
            Err(error) => error
                .problems()
                .iter()
                .fold(String::new(), |mut text, problem| {
                    writeln!(text, "error: {}", problem.message())
                        .expect("writing to a string does not fail");
                    text
                }),
        }
    }
}

struct Printer {
    /// The decoded op and the name of every op but the last, by digest.
    ops: BTreeMap<String, (pb::Op, String)>,
    platform: Option<Platform>,
    text: String,
}

impl Printer {
    fn new(definition: &Definition) -> Self {
        let mut ops = BTreeMap::new();
        let mut platform = None;
        let mut taken = BTreeSet::new();
        let body = definition
            .ops()
            .split_last()
            .map_or(&[][..], |(_, body)| body);
        for op in body {
            // Bytes that are no op are shown as an op without content.
            let decoded = pb::Op::decode(op.bytes()).unwrap_or_default();
            platform = decoded.platform.as_ref().map(to_platform).or(platform);
            let name = unused_name(&base_name(op, &decoded), &mut taken);
            ops.insert(op.digest().to_string(), (decoded, name));
        }
        Self {
            ops,
            platform,
            text: String::new(),
        }
    }

    fn print(mut self, definition: &Definition) -> String {
        if let Some(platform) = &self.platform {
            self.text = format!("platform {platform}\n");
        }
        let body = definition
            .ops()
            .split_last()
            .map_or(&[][..], |(_, body)| body);
        for op in body {
            self.op(op);
        }
        match definition.head() {
            Some(head) => {
                let head = self.output(&head.to_string(), i64::from(definition.head_index()));
                self.line(format_args!("return {head}"));
            }
            None => self.line(format_args!("return scratch")),
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(line)
            .expect("writing to a string does not fail");
        self.text.push('\n');
    }

    fn op(&mut self, definition_op: &DefinitionOp) {
        let (op, name) = self.ops[&definition_op.digest().to_string()].clone();
        let mut attributes = String::new();
        let own_platform = op
            .platform
            .as_ref()
            .map(to_platform)
            .filter(|own| Some(own) != self.platform.as_ref());
        if let Some(platform) = own_platform {
            attributes = format!(" platform={platform}");
        }
        for filter in op
            .constraints
            .iter()
            .flat_map(|constraints| &constraints.filter)
        {
            attributes += &format!(" require={}", quoted(filter));
        }
        attributes += &metadata_text(definition_op);
        match &op.op {
            Some(pb::op::Op::Source(source)) => {
                let is_shown =
                    |name: &str, value: &str| !(name == "local.unique" && value.is_empty());
                let attrs = source
                    .attrs
                    .iter()
                    .filter(|(name, value)| is_shown(name, value));
                let attrs = attrs.fold(String::new(), |text, (name, value)| {
                    text + &format!(" {name}={}", quoted(value))
                });
                match source.identifier.strip_prefix("local://") {
                    Some(local) => self.line(format_args!(
                        "%{name} = local {}{attrs}{attributes}",
                        quoted(local)
                    )),
                    None => self.line(format_args!(
                        "%{name} = source {}{attrs}{attributes}",
                        quoted(&source.identifier)
                    )),
                }
            }
            Some(pb::op::Op::Exec(exec)) => self.exec(&op, exec, &name, &attributes),
            Some(pb::op::Op::File(file)) => self.file(&op, file, &name, &attributes),
            Some(pb::op::Op::Merge(merge)) => {
                let inputs: Vec<_> = merge
                    .inputs
                    .iter()
                    .map(|input| self.input(&op, input.input))
                    .collect();
                self.line(format_args!(
                    "%{name} = merge {}{attributes}",
                    inputs.join(", ")
                ));
            }
            Some(pb::op::Op::Diff(diff)) => {
                let lower = self.input(&op, diff.lower.as_ref().map_or(-1, |lower| lower.input));
                let upper = self.input(&op, diff.upper.as_ref().map_or(-1, |upper| upper.input));
                self.line(format_args!(
                    "%{name} = diff {lower} -> {upper}{attributes}"
                ));
            }
            Some(pb::op::Op::Build(build)) => {
                let input = self.input(&op, 0);
                let attrs = build.attrs.iter();
                let attrs = attrs.fold(String::new(), |text, (name, value)| {
                    text + &format!(" {name}={}", quoted(value))
                });
                self.line(format_args!("%{name} = build {input}{attrs}{attributes}"));
            }
            Some(pb::op::Op::Passthrough(passthrough)) => {
                let inputs: Vec<_> = (0..op.inputs.len())
                    .map(|position| self.input(&op, i64::try_from(position).unwrap_or(-1)))
                    .collect();
                let outputs: Vec<_> = passthrough
                    .outputs
                    .iter()
                    .map(|&output| self.input(&op, output))
                    .collect();
                let id = quoted(&passthrough.id).into_owned();
                let (inputs, outputs) = (inputs.join(", "), outputs.join(", "));
                self.line(format_args!(
                    "%{name} = passthrough {id} {inputs} -> {outputs}{attributes}"
                ));
            }
            None => self.line(format_args!("%{name} = unknown{attributes}")),
        }
    }

    fn exec(&mut self, op: &pb::Op, exec: &pb::ExecOp, name: &str, attributes: &str) {
        let meta = exec.meta.clone().unwrap_or_default();
        let mut text = format!("%{name} = exec");
        for argument in &meta.args {
            text += &format!(" {}", quoted(argument));
        }
        for entry in &meta.env {
            let (variable, value) = entry.split_once('=').unwrap_or((entry, ""));
            text += &format!(" env {variable}={}", quoted(value));
        }
        text += &format!(" cwd={}", word(&meta.cwd));
        if !meta.user.is_empty() {
            text += &format!(" user={}", word(&meta.user));
        }
        if !meta.hostname.is_empty() {
            text += &format!(" hostname={}", word(&meta.hostname));
        }
        if !meta.cgroup_parent.is_empty() {
            text += &format!(" cgroup-parent={}", word(&meta.cgroup_parent));
        }
        match pb::NetMode::try_from(exec.network) {
            Ok(pb::NetMode::Host) => text += " network=host",
            Ok(pb::NetMode::None) => text += " network=none",
            _ => {}
        }
        if exec.security == pb::SecurityMode::Insecure as i32 {
            text += " security=insecure";
        }
        for host in &meta.extra_hosts {
            text += &format!(" host {}={}", host.host, host.ip);
        }
        for ulimit in &meta.ulimit {
            text += &format!(" ulimit {}={}:{}", ulimit.name, ulimit.soft, ulimit.hard);
        }
        if !meta.valid_exit_codes.is_empty() {
            let codes: Vec<_> = meta
                .valid_exit_codes
                .iter()
                .map(ToString::to_string)
                .collect();
            text += &format!(" exit-codes={}", codes.join(","));
        }
        if let Some(proxy) = &meta.proxy_env {
            for (variable, value) in [
                ("http", &proxy.http_proxy),
                ("https", &proxy.https_proxy),
                ("ftp", &proxy.ftp_proxy),
                ("no", &proxy.no_proxy),
                ("all", &proxy.all_proxy),
            ] {
                if !value.is_empty() {
                    text += &format!(" proxy {variable}={}", quoted(value));
                }
            }
        }
        self.line(format_args!("{text}{attributes} {{"));
        for mount in &exec.mounts {
            let text = self.mount(op, mount);
            self.line(format_args!("  {} = {text}", word(&mount.dest)));
        }
        for secret in &exec.secretenv {
            let optional = if secret.optional { " optional" } else { "" };
            self.line(format_args!(
                "  ${} = secret {}{optional}",
                secret.name,
                quoted(&secret.id)
            ));
        }
        for device in &exec.cdi_devices {
            let optional = if device.optional { " optional" } else { "" };
            self.line(format_args!("  device {}{optional}", quoted(&device.name)));
        }
        self.line(format_args!("}}"));
    }

    fn mount(&self, op: &pb::Op, mount: &pb::Mount) -> String {
        let mut text = match pb::MountType::try_from(mount.mount_type) {
            Ok(pb::MountType::Cache) => {
                let cache = mount.cache_opt.clone().unwrap_or_default();
                let sharing = match pb::CacheSharingOpt::try_from(cache.sharing) {
                    Ok(pb::CacheSharingOpt::Private) => " private",
                    Ok(pb::CacheSharingOpt::Locked) => " locked",
                    _ => "",
                };
                let from = if mount.input < 0 {
                    String::new()
                } else {
                    format!(" from {}", self.input(op, mount.input))
                };
                return format!("cache {}{sharing}{from}", quoted(&cache.id));
            }
            Ok(pb::MountType::Tmpfs) => {
                match mount.tmpfs_opt.as_ref().map_or(0, |tmpfs| tmpfs.size) {
                    0 => return "tmpfs".to_owned(),
                    size => return format!("tmpfs size={size}"),
                }
            }
            Ok(pb::MountType::Secret) => {
                let secret = mount.secret_opt.clone().unwrap_or_default();
                return secret_text(
                    "secret",
                    &secret.id,
                    (secret.uid, secret.gid, secret.mode),
                    0o400,
                    secret.optional,
                );
            }
            Ok(pb::MountType::Ssh) => {
                let ssh = mount.ssh_opt.clone().unwrap_or_default();
                return secret_text(
                    "ssh",
                    &ssh.id,
                    (ssh.uid, ssh.gid, ssh.mode),
                    0o600,
                    ssh.optional,
                );
            }
            _ => self.input(op, mount.input),
        };
        if !mount.selector.is_empty() {
            text += &format!(" select {}", word(&mount.selector));
        }
        match pb::MountContentCache::try_from(mount.content_cache) {
            Ok(pb::MountContentCache::On) => text += " content-cache=on",
            Ok(pb::MountContentCache::Off) => text += " content-cache=off",
            _ => {}
        }
        if mount.readonly {
            text += " readonly";
        } else if mount.output < 0 {
            text += " no-output";
        } else {
            text += &format!(" -> out{}", mount.output);
        }
        text
    }

    fn file(&mut self, op: &pb::Op, file: &pb::FileOp, name: &str, attributes: &str) {
        self.line(format_args!("%{name} = file{attributes} {{"));
        let count = i64::try_from(op.inputs.len()).unwrap_or(i64::MAX);
        let refer = |printer: &Self, input: i64| match input.checked_sub(count) {
            Some(action @ 0..) => format!("#{action}"),
            _ => printer.input(op, input),
        };
        for (number, action) in (0_i64..).zip(&file.actions) {
            let follows = if number == 0 {
                action.input < 0
            } else {
                action.input == count + number - 1
            };
            if !follows {
                let base = refer(self, action.input);
                self.line(format_args!("  on {base}"));
            }
            let text = match &action.action {
                Some(pb::file_action::Action::Copy(copy)) => {
                    let from = refer(self, action.secondary_input);
                    copy_text(copy, &from)
                }
                Some(pb::file_action::Action::Mkfile(mkfile)) => {
                    let owner = owner_text(mkfile.owner.as_ref(), mkfile.timestamp);
                    let data = data_text(&mkfile.data);
                    format!(
                        "mkfile {} {:04o}{owner} {data}",
                        quoted(&mkfile.path),
                        mkfile.mode
                    )
                }
                Some(pb::file_action::Action::Mkdir(mkdir)) => {
                    let parents = if mkdir.make_parents { " parents" } else { "" };
                    let owner = owner_text(mkdir.owner.as_ref(), mkdir.timestamp);
                    format!(
                        "mkdir {} {:04o}{parents}{owner}",
                        quoted(&mkdir.path),
                        mkdir.mode
                    )
                }
                Some(pb::file_action::Action::Rm(rm)) => {
                    let not_found = if rm.allow_not_found {
                        " allow-not-found"
                    } else {
                        ""
                    };
                    let wildcard = if rm.allow_wildcard {
                        " allow-wildcard"
                    } else {
                        ""
                    };
                    format!("rm {}{not_found}{wildcard}", quoted(&rm.path))
                }
                Some(pb::file_action::Action::Symlink(symlink)) => {
                    let owner = owner_text(symlink.owner.as_ref(), symlink.timestamp);
                    format!(
                        "symlink {} => {}{owner}",
                        quoted(&symlink.newpath),
                        quoted(&symlink.oldpath)
                    )
                }
                None => "unknown".to_owned(),
            };
            self.line(format_args!("  {text}"));
        }
        self.line(format_args!("}}"));
    }

    /// What an op reads at a position of its inputs; a negative one is scratch.
    fn input(&self, op: &pb::Op, position: i64) -> String {
        match usize::try_from(position)
            .ok()
            .and_then(|position| op.inputs.get(position))
        {
            Some(input) => self.output(&input.digest, input.index),
            None => "scratch".to_owned(),
        }
    }

    fn output(&self, digest: &str, index: i64) -> String {
        let name = self.ops.get(digest).map_or("unknown", |(_, name)| name);
        if index == 0 {
            format!("%{name}")
        } else {
            format!("%{name}.out{index}")
        }
    }
}

/// The name, with an ordinal if an earlier op has it already.
fn unused_name(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = base.to_owned();
    let mut ordinal = 1;
    while !taken.insert(name.clone()) {
        ordinal += 1;
        name = format!("{base}-{ordinal}");
    }
    name
}

/// A name for an op: its custom name, or what kind of op it is.
fn base_name(definition_op: &DefinitionOp, op: &pb::Op) -> String {
    let custom = definition_op
        .metadata()
        .description
        .get(CUSTOM_NAME)
        .map(|name| slug(name));
    if let Some(name) = custom.filter(|name| !name.is_empty()) {
        return name;
    }
    let kind = match &op.op {
        Some(pb::op::Op::Source(source)) => {
            let (_, path) = source
                .identifier
                .split_once("://")
                .unwrap_or(("", &source.identifier));
            let last = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let end = last.find([':', '@', '#', '?']).unwrap_or(last.len());
            match slug(&last[..end]) {
                name if name.is_empty() => return "source".to_owned(),
                name => return name,
            }
        }
        Some(pb::op::Op::Exec(_)) => "exec",
        Some(pb::op::Op::File(_)) => "file",
        Some(pb::op::Op::Merge(_)) => "merge",
        Some(pb::op::Op::Diff(_)) => "diff",
        Some(pb::op::Op::Build(_)) => "build",
        Some(pb::op::Op::Passthrough(_)) => "passthrough",
        None => "unknown",
    };
    kind.to_owned()
}

/// Lower-case letters, digits, dots and underscores; runs of anything else become one dash.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || "._".contains(character) {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

fn metadata_text(op: &DefinitionOp) -> String {
    let metadata = op.metadata();
    let mut text = String::new();
    for (key, value) in &metadata.description {
        let key = if key == CUSTOM_NAME { "name" } else { key };
        text += &format!(" {key}={}", quoted(value));
    }
    if let Some(group) = &metadata.progress_group {
        text += &format!(" group={}", quoted(&group.name));
    }
    if metadata.ignore_cache {
        text += " ignore-cache";
    }
    if let Some(export) = metadata.export_cache {
        text += if export {
            " export-cache"
        } else {
            " no-export-cache"
        };
    }
    text
}

fn copy_text(copy: &pb::FileActionCopy, from: &str) -> String {
    let mut text = format!(
        "copy {from} {} => {}",
        quoted(&copy.src),
        quoted(&copy.dest)
    );
    if !copy.mode_str.is_empty() {
        text += &format!(" chmod={}", word(&copy.mode_str));
    } else if copy.mode >= 0 {
        text += &format!(" mode={:04o}", copy.mode);
    }
    text += &owner_text(copy.owner.as_ref(), copy.timestamp);
    for (is_set, name) in [
        (copy.follow_symlink, "follow-symlinks"),
        (copy.dir_copy_contents, "contents-only"),
        (copy.attempt_unpack_docker_compatibility, "attempt-unpack"),
        (copy.create_dest_path, "create-destination"),
        (copy.allow_wildcard, "allow-wildcard"),
        (copy.allow_empty_wildcard, "allow-empty-wildcard"),
        (copy.always_replace_existing_dest_paths, "always-replace"),
    ] {
        if is_set {
            text += &format!(" {name}");
        }
    }
    for (name, patterns) in [
        ("include", &copy.include_patterns),
        ("exclude", &copy.exclude_patterns),
        ("required", &copy.required_paths),
    ] {
        for pattern in patterns {
            text += &format!(" {name}={}", quoted(pattern));
        }
    }
    text
}

fn owner_text(owner: Option<&pb::ChownOpt>, timestamp: i64) -> String {
    let id = |id: Option<&pb::UserOpt>| match id.and_then(|id| id.user.as_ref()) {
        Some(pb::user_opt::User::ByName(name)) => name.name.clone(),
        Some(pb::user_opt::User::ById(id)) => id.to_string(),
        None => String::new(),
    };
    let mut text = String::new();
    if let Some(owner) = owner {
        text += &format!(
            " owner={}:{}",
            id(owner.user.as_ref()),
            id(owner.group.as_ref())
        );
    }
    if timestamp != -1 {
        text += &format!(" created={timestamp}");
    }
    text
}

fn secret_text(
    kind: &str,
    id: &str,
    (uid, gid, mode): (u32, u32, u32),
    usual: u32,
    optional: bool,
) -> String {
    let mut text = format!("{kind} {}", quoted(id));
    if (uid, gid) != (0, 0) {
        text += &format!(" owner={uid}:{gid}");
    }
    if mode != usual {
        text += &format!(" mode={mode:04o}");
    }
    if optional {
        text += " optional";
    }
    text
}

fn data_text(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) if data.len() <= SHOWN_DATA => quoted(text).into_owned(),
        _ => format!("({} bytes, {})", data.len(), OpDigest::of(data)),
    }
}

fn to_platform(platform: &pb::Platform) -> Platform {
    Platform {
        os: platform.os.clone().into(),
        architecture: platform.architecture.clone().into(),
        variant: platform.variant.clone().into(),
        os_version: platform.os_version.clone().into(),
        os_features: platform
            .os_features
            .iter()
            .map(|feature| feature.clone().into())
            .collect(),
    }
}

/// A word as it is if nothing in it needs quotes, else quoted.
fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@+,%~".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.into()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> Cow<'_, str> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => quoted.extend(control.escape_unicode()),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted.into()
}
