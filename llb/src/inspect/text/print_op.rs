//! Prints one op.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::plain::{is_plain, needs_inputs};
use super::print::{Printer, SHOWN_DATA};
use super::words::{
    action_owner, chain_bases, name_inputs, owner_text, quoted, quoted_bytes, word,
};
use crate::definition::OpDigest;
use crate::inspect::canonical;
use crate::proto::pb;

pub(super) struct OpPrinter<'p> {
    out: &'p mut Printer,
    op: &'p pb::Op,
    bytes: &'p [u8],
    is_plain: bool,
    /// The inputs as they are written.
    names: &'p [String],
    /// Whether the inputs are listed before everything else.
    lists_inputs: bool,
    /// Where each input stands first.
    firsts: BTreeMap<&'p str, i64>,
}

impl<'p> OpPrinter<'p> {
    pub(super) fn new(
        out: &'p mut Printer,
        op: &'p pb::Op,
        bytes: &'p [u8],
        names: &'p [String],
    ) -> Self {
        let is_plain = is_plain(op, bytes);
        let lists_inputs = !is_plain || needs_inputs(op);
        let mut firsts = BTreeMap::new();
        if lists_inputs || matches!(op.op, Some(pb::op::Op::Passthrough(_))) {
            for (position, name) in (0..).zip(names) {
                firsts.entry(&**name).or_insert(position);
            }
        }
        Self {
            out,
            op,
            bytes,
            is_plain,
            names,
            lists_inputs,
            firsts,
        }
    }

    pub(super) fn print(mut self, name: &str, beside: impl FnOnce(&mut Printer)) {
        self.out.start_line();
        self.out.push(format_args!("%{name} = "));
        match &self.op.op {
            None => {
                self.kind("unknown");
                self.attributes(beside);
                self.out.text.push('\n');
            }
            Some(pb::op::Op::Source(source)) => {
                self.source(source);
                self.attributes(beside);
                self.out.text.push('\n');
            }
            Some(pb::op::Op::Exec(exec)) => {
                self.exec(exec);
                self.attributes(beside);
                self.block(|printer| printer.exec_block(exec));
            }
            Some(pb::op::Op::File(file)) => {
                self.kind("file");
                self.attributes(beside);
                self.block(|printer| printer.file_block(file));
            }
            Some(pb::op::Op::Build(build)) => {
                self.kind("build");
                let input = build.inputs.values().next().map_or(-1, |input| input.input);
                let input = self.reference(input).into_owned();
                self.out.push(format_args!(" {input}"));
                self.attrs(build.attrs.iter());
                self.attributes(beside);
                self.out.text.push('\n');
            }
            Some(pb::op::Op::Merge(merge)) => {
                self.kind("merge");
                self.references(merge.inputs.iter().map(|input| input.input));
                self.attributes(beside);
                self.out.text.push('\n');
            }
            Some(pb::op::Op::Diff(diff)) => {
                self.kind("diff");
                let lower = self.side(diff.lower.map(|lower| lower.input)).into_owned();
                let upper = self.side(diff.upper.map(|upper| upper.input)).into_owned();
                self.out.push(format_args!(" {lower} -> {upper}"));
                self.attributes(beside);
                self.out.text.push('\n');
            }
            Some(pb::op::Op::Passthrough(passthrough)) => {
                self.out.text.push_str("passthrough ");
                self.string(&passthrough.id);
                for (position, name) in self.names.iter().enumerate() {
                    let comma = if position > 0 { "," } else { "" };
                    self.out.push(format_args!("{comma} {name}"));
                }
                self.out.text.push_str(" ->");
                self.references(passthrough.outputs.iter().copied());
                self.attributes(beside);
                self.out.text.push('\n');
            }
        }
    }

    fn kind(&mut self, kind: &str) {
        self.out.text.push_str(kind);
        if self.lists_inputs {
            self.out.text.push_str(" inputs=[");
            for (position, name) in self.names.iter().enumerate() {
                let comma = if position > 0 { ", " } else { "" };
                self.out.push(format_args!("{comma}{name}"));
            }
            self.out.text.push(']');
        }
    }

    /// What any op can have, and what stands beside it.
    fn attributes(&mut self, beside: impl FnOnce(&mut Printer)) {
        let usual = if canonical::takes_platform(self.op) {
            self.out.platform.as_ref()
        } else {
            None
        };
        match &self.op.platform {
            own if own.as_ref() == usual => {}
            Some(own) => {
                self.out.text.push_str(" platform=");
                self.out.platform_value(own);
            }
            None => self.out.text.push_str(" platform=none"),
        }
        match &self.op.constraints {
            Some(constraints) => {
                for filter in &constraints.filter {
                    self.out.text.push_str(" require=");
                    self.string(filter);
                }
            }
            None => self.out.text.push_str(" no-constraints"),
        }
        beside(self.out);
        if !self.is_plain {
            self.out.bytes(self.bytes);
        }
    }

    fn block(mut self, print: impl FnOnce(&mut Self)) {
        self.out.text.push_str(" {\n");
        self.out.indent += 2;
        print(&mut self);
        self.out.indent -= 2;
        self.out.start_line();
        self.out.text.push_str("}\n");
    }

    fn string(&mut self, text: &str) {
        self.out.text += &quoted(text, self.out.indent);
    }

    /// An input of the op, or what its position stands for if there is no such input.
    fn reference(&self, position: i64) -> Cow<'p, str> {
        if position == -1 {
            return "scratch".into();
        }
        let name = usize::try_from(position)
            .ok()
            .and_then(|position| self.names.get(position));
        match name {
            Some(name)
                if self
                    .firsts
                    .get(&**name)
                    .is_none_or(|first| *first == position) =>
            {
                name.as_str().into()
            }
            _ => format!("@{position}").into(),
        }
    }

    fn references(&mut self, positions: impl Iterator<Item = i64>) {
        for (number, position) in positions.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let reference = self.reference(position);
            self.out.push(format_args!("{comma} {reference}"));
        }
    }

    fn side(&self, input: Option<i64>) -> Cow<'p, str> {
        input.map_or("none".into(), |input| self.reference(input))
    }

    fn source(&mut self, source: &pb::SourceOp) {
        let unique = source.attrs.get("local.unique");
        let is_usual = unique.is_some() != source.attrs.contains_key("local.session");
        match source.identifier.strip_prefix("local://") {
            Some(name) if is_usual => {
                self.kind("local");
                self.out.text.push(' ');
                self.string(name);
            }
            _ => {
                self.kind("source");
                self.out.text.push(' ');
                self.string(&source.identifier);
            }
        }
        let is_local = is_usual && source.identifier.starts_with("local://");
        let is_shown =
            |key: &str, value: &str| !(is_local && key == "local.unique" && value.is_empty());
        let attrs = source.attrs.iter();
        self.attrs(attrs.filter(|(key, value)| is_shown(key, value)));
    }

    fn attrs<'s>(&mut self, attrs: impl Iterator<Item = (&'s String, &'s String)>) {
        for (key, value) in attrs {
            let key = if key.contains('.') {
                word(key)
            } else {
                quoted(key, 0).into()
            };
            let value = quoted(value, self.out.indent);
            self.out.push(format_args!(" {key}={value}"));
        }
    }

    fn exec(&mut self, exec: &pb::ExecOp) {
        self.kind("exec");
        let Some(meta) = &exec.meta else {
            self.out.text.push_str(" no-meta");
            self.exec_modes(exec);
            return;
        };
        for argument in &meta.args {
            self.out.text.push(' ');
            self.string(argument);
        }
        self.out.push(format_args!(" cwd={}", word(&meta.cwd)));
        for (name, value) in [
            ("user", &meta.user),
            ("hostname", &meta.hostname),
            ("cgroup-parent", &meta.cgroup_parent),
        ] {
            if !value.is_empty() {
                self.out.push(format_args!(" {name}={}", word(value)));
            }
        }
        self.exec_modes(exec);
        if !meta.valid_exit_codes.is_empty() {
            let codes: Vec<_> = meta
                .valid_exit_codes
                .iter()
                .map(ToString::to_string)
                .collect();
            self.out
                .push(format_args!(" exit-codes=[{}]", codes.join(", ")));
        }
        if !meta.remove_mount_stubs_recursive {
            self.out.text.push_str(" keep-mount-stubs");
        }
    }

    fn exec_modes(&mut self, exec: &pb::ExecOp) {
        match exec.network {
            0 => {}
            1 => self.out.text.push_str(" network=host"),
            2 => self.out.text.push_str(" network=none"),
            other => self.out.push(format_args!(" network={other}")),
        }
        match exec.security {
            0 => {}
            1 => self.out.text.push_str(" security=insecure"),
            other => self.out.push(format_args!(" security={other}")),
        }
    }

    fn exec_block(&mut self, exec: &pb::ExecOp) {
        if let Some(meta) = &exec.meta {
            for entry in &meta.env {
                self.out.start_line();
                self.out.text.push_str("env ");
                match entry.split_once('=') {
                    Some((variable, value)) if *word(variable) == *variable => {
                        self.out.push(format_args!("{variable}="));
                        self.string(value);
                    }
                    _ => self.string(entry),
                }
                self.out.text.push('\n');
            }
            for host in &meta.extra_hosts {
                self.line(format_args!("host {}={}", word(&host.host), word(&host.ip)));
            }
            for limit in &meta.ulimit {
                let (name, soft, hard) = (word(&limit.name), limit.soft, limit.hard);
                self.line(format_args!("ulimit {name}={soft}:{hard}"));
            }
            if let Some(proxy) = &meta.proxy_env {
                self.proxy(proxy);
            }
        }
        for mount in &exec.mounts {
            self.out.start_line();
            if mount.dest.starts_with('/') {
                self.out.text += &word(&mount.dest);
            } else {
                self.string(&mount.dest);
            }
            self.out.text.push_str(" = ");
            self.mount(mount);
            self.out.text.push('\n');
        }
        for secret in &exec.secretenv {
            let optional = if secret.optional { " optional" } else { "" };
            let (name, id) = (word(&secret.name), quoted(&secret.id, self.out.indent));
            self.line(format_args!("${name} = secret {id}{optional}"));
        }
        for device in &exec.cdi_devices {
            let optional = if device.optional { " optional" } else { "" };
            let name = quoted(&device.name, self.out.indent);
            self.line(format_args!("device {name}{optional}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.out.start_line();
        self.out.push(line);
        self.out.text.push('\n');
    }

    fn proxy(&mut self, proxy: &pb::ProxyEnv) {
        self.out.start_line();
        self.out.text.push_str("proxy");
        for (variable, value) in [
            ("http", &proxy.http_proxy),
            ("https", &proxy.https_proxy),
            ("ftp", &proxy.ftp_proxy),
            ("no", &proxy.no_proxy),
            ("all", &proxy.all_proxy),
        ] {
            if !value.is_empty() {
                self.out.push(format_args!(" {variable}="));
                self.string(value);
            }
        }
        self.out.text.push('\n');
    }

    fn mount(&mut self, mount: &pb::Mount) {
        let mut is_bind = false;
        let mut usual_output = Some(-1);
        match pb::MountType::try_from(mount.mount_type) {
            Ok(pb::MountType::Bind) => {
                is_bind = true;
                let input = self.reference(mount.input);
                self.out.text += &input;
                usual_output = mount.readonly.then_some(-1);
            }
            Ok(pb::MountType::Cache) => {
                self.out.text.push_str("cache");
                match &mount.cache_opt {
                    Some(cache) => {
                        self.out.text.push(' ');
                        self.string(&cache.id);
                        match cache.sharing {
                            0 => {}
                            1 => self.out.text.push_str(" private"),
                            2 => self.out.text.push_str(" locked"),
                            other => self.out.push(format_args!(" sharing={other}")),
                        }
                    }
                    None => self.out.text.push_str(" no-options"),
                }
            }
            Ok(pb::MountType::Tmpfs) => {
                self.out.text.push_str("tmpfs");
                match mount.tmpfs_opt {
                    Some(pb::TmpfsOpt { size: 0 }) => {}
                    Some(tmpfs) => self.out.push(format_args!(" size={}", tmpfs.size)),
                    None => self.out.text.push_str(" no-options"),
                }
            }
            Ok(pb::MountType::Secret) => {
                usual_output = Some(0);
                self.out.text.push_str("secret");
                let secret = mount.secret_opt.as_ref();
                self.session_file(
                    secret.map(|file| (&*file.id, file.uid, file.gid, file.mode, file.optional)),
                    0o400,
                );
            }
            Ok(pb::MountType::Ssh) => {
                usual_output = Some(0);
                self.out.text.push_str("ssh");
                let ssh = mount.ssh_opt.as_ref();
                self.session_file(
                    ssh.map(|file| (&*file.id, file.uid, file.gid, file.mode, file.optional)),
                    0o600,
                );
            }
            Err(_) => {
                is_bind = true;
                let input = self.reference(mount.input);
                self.out
                    .push(format_args!("type={} {input}", mount.mount_type));
                usual_output = None;
            }
        }
        if !is_bind && mount.input != -1 {
            let input = self.reference(mount.input);
            self.out.push(format_args!(" from {input}"));
        }
        if !mount.selector.is_empty() {
            self.out
                .push(format_args!(" select {}", word(&mount.selector)));
        }
        match mount.content_cache {
            0 => {}
            1 => self.out.text.push_str(" content-cache=on"),
            2 => self.out.text.push_str(" content-cache=off"),
            other => self.out.push(format_args!(" content-cache={other}")),
        }
        if !mount.result_id.is_empty() {
            self.out
                .push(format_args!(" result={}", word(&mount.result_id)));
        }
        if mount.readonly {
            self.out.text.push_str(" readonly");
        }
        self.output(mount.output, usual_output);
    }

    /// Which result of the op this is, unless it is the usual one.
    fn output(&mut self, output: i64, usual: Option<i64>) {
        match output {
            output if Some(output) == usual => {}
            -1 => self.out.text.push_str(" no-output"),
            output => self.out.push(format_args!(" -> out{output}")),
        }
    }

    fn session_file(&mut self, file: Option<(&str, u32, u32, u32, bool)>, usual_mode: u32) {
        let Some((id, uid, gid, mode, optional)) = file else {
            self.out.text.push_str(" no-options");
            return;
        };
        self.out.text.push(' ');
        self.string(id);
        if (uid, gid) != (0, 0) {
            self.out.push(format_args!(" owner={uid}:{gid}"));
        }
        if mode != usual_mode {
            self.out.push(format_args!(" mode={mode:04o}"));
        }
        if optional {
            self.out.text.push_str(" optional");
        }
    }

    fn file_block(&mut self, file: &pb::FileOp) {
        let count = i64::try_from(self.names.len()).unwrap_or(i64::MAX);
        let actions = i64::try_from(file.actions.len()).unwrap_or(i64::MAX);
        let bases = chain_bases(count, file.actions.iter().map(|action| action.input));
        for (number, (action, base)) in (0_i64..).zip(file.actions.iter().zip(bases)) {
            let usual = if number == 0 { -1 } else { count + number - 1 };
            let refer = |printer: &Self, input: i64| match input.checked_sub(count) {
                Some(other) if (0..actions).contains(&other) => format!("#{other}").into(),
                _ => printer.reference(input),
            };
            if action.input != usual {
                let input = refer(self, action.input);
                self.line(format_args!("on {input}"));
            }
            self.out.start_line();
            let from = refer(self, action.secondary_input);
            self.action(action, &from);
            if let Some(names) = name_inputs(action_owner(action)).find(|input| *input != base) {
                let names = refer(self, names);
                self.out.push(format_args!(" names-of={names}"));
            }
            let usual_output = if number + 1 == actions { 0 } else { -1 };
            self.output(action.output, Some(usual_output));
            self.out.text.push('\n');
        }
    }

    fn action(&mut self, action: &pb::FileAction, from: &str) {
        use pb::file_action::Action;

        match &action.action {
            None => self.out.text.push_str("unknown"),
            Some(Action::Copy(copy)) => self.copy(copy, from),
            Some(Action::Mkfile(mkfile)) => {
                self.out.text.push_str("mkfile ");
                self.string(&mkfile.path);
                self.out.push(format_args!(" {:04o}", mkfile.mode));
                self.owner(mkfile.owner.as_ref(), mkfile.timestamp);
                self.out.text.push(' ');
                self.data(&mkfile.data);
            }
            Some(Action::Mkdir(mkdir)) => {
                self.out.text.push_str("mkdir ");
                self.string(&mkdir.path);
                self.out.push(format_args!(" {:04o}", mkdir.mode));
                if mkdir.make_parents {
                    self.out.text.push_str(" parents");
                }
                self.owner(mkdir.owner.as_ref(), mkdir.timestamp);
            }
            Some(Action::Rm(rm)) => {
                self.out.text.push_str("rm ");
                self.string(&rm.path);
                if rm.allow_not_found {
                    self.out.text.push_str(" allow-not-found");
                }
                if rm.allow_wildcard {
                    self.out.text.push_str(" allow-wildcard");
                }
            }
            Some(Action::Symlink(symlink)) => {
                self.out.text.push_str("symlink ");
                self.string(&symlink.newpath);
                self.out.text.push_str(" => ");
                self.string(&symlink.oldpath);
                self.owner(symlink.owner.as_ref(), symlink.timestamp);
            }
        }
    }

    fn data(&mut self, data: &[u8]) {
        if self.out.is_full || data.len() <= SHOWN_DATA && std::str::from_utf8(data).is_ok() {
            self.out.text += &quoted_bytes(data, self.out.indent);
        } else {
            let (size, digest) = (data.len(), OpDigest::of(data));
            self.out
                .push(format_args!("omitted=\"{size} bytes, {digest}\""));
        }
    }

    fn copy(&mut self, copy: &pb::FileActionCopy, from: &str) {
        self.out.push(format_args!("copy {from} "));
        self.string(&copy.src);
        self.out.text.push_str(" => ");
        self.string(&copy.dest);
        if !copy.mode_str.is_empty() {
            self.out
                .push(format_args!(" chmod={}", word(&copy.mode_str)));
        }
        let usual_mode = if copy.mode_str.is_empty() { -1 } else { 0 };
        if copy.mode != usual_mode {
            self.out.push(format_args!(" mode={:04o}", copy.mode));
        }
        self.owner(copy.owner.as_ref(), copy.timestamp);
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
                self.out.push(format_args!(" {name}"));
            }
        }
        for (name, patterns) in [
            ("include", &copy.include_patterns),
            ("exclude", &copy.exclude_patterns),
            ("required", &copy.required_paths),
        ] {
            for pattern in patterns {
                self.out.push(format_args!(" {name}="));
                self.string(pattern);
            }
        }
    }

    fn owner(&mut self, owner: Option<&pb::ChownOpt>, timestamp: i64) {
        if let Some(owner) = owner {
            let owner = owner_text(owner).unwrap_or_default();
            self.out.push(format_args!(" owner={}", word(&owner)));
        }
        if timestamp != -1 {
            self.out.push(format_args!(" created={timestamp}"));
        }
    }
}
