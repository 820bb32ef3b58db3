//! Writes an exec as the wire has it, once it is known what it runs on.
//!
//! What is written here is what a marshal sends, so that what an exec says is copied as few times as can be: arguments go
//! into the op's bytes when they are given, the rest when it is put on a state.

use super::command::Extras;
use super::mount::{Mount, MountKind};
use super::{Command, CommandLine, Secret, Ssh};
use crate::op::exec::{ContentCache, ExecOp, Sharing};
use crate::state::State;
use crate::state::context::{Context, Network, Security};
use crate::value::{Capability, CapabilitySet};
use crate::wire::Writer;

/// A mount of an exec: one of its own, or its root.
#[derive(Clone, Copy)]
pub(crate) struct MountView<'a> {
    pub(crate) target: &'a str,
    pub(crate) source: &'a State,
    pub(crate) selector: &'a str,
    pub(crate) readonly: bool,
    pub(crate) no_output: bool,
    pub(crate) content_cache: ContentCache,
    pub(crate) kind: &'a MountKind,
}

impl<'a> MountView<'a> {
    /// The mount of the state that an exec runs on.
    pub(crate) fn root(state: &'a State, readonly: bool) -> Self {
        Self {
            target: "/",
            source: state,
            selector: "",
            readonly,
            no_output: false,
            content_cache: ContentCache::Default,
            kind: &MountKind::Bind,
        }
    }

    /// What the daemon must know for the mount.
    fn caps(&self, has_source: bool) -> CapabilitySet {
        let caps = match self.kind {
            MountKind::Bind => CapabilitySet::new().with_if(has_source, Capability::ExecMountBind),
            MountKind::Cache { .. } => CapabilitySet::new()
                .with(Capability::ExecMountCache)
                .with(Capability::ExecMountCacheSharing),
            MountKind::Tmpfs { size } => CapabilitySet::new()
                .with(Capability::ExecMountTmpfs)
                .with_if(*size > 0, Capability::ExecMountTmpfsSize),
        };
        caps.with_if(!self.selector.is_empty(), Capability::ExecMountSelector)
            .with_if(
                self.content_cache != ContentCache::Default,
                Capability::ExecMountContentCache,
            )
    }
}

impl<'a> From<&'a Mount> for MountView<'a> {
    fn from(mount: &'a Mount) -> Self {
        Self {
            target: &mount.target,
            source: &mount.source,
            selector: &mount.selector,
            readonly: mount.readonly,
            no_output: mount.no_output,
            content_cache: mount.content_cache,
            kind: match &mount.kind {
                MountKind::Cache { id, .. } if id.is_empty() => &MountKind::Bind,
                kind => kind,
            },
        }
    }
}

/// An exec while it is written: first the command, then its mounts, then what is behind them.
pub(crate) struct ExecWriter {
    writer: Writer,
    caps: CapabilitySet,
}

impl Command {
    /// Writes the command, as it is on a state with this run context. Takes arguments and variables.
    pub(crate) fn begin(&mut self, context: &Context) -> ExecWriter {
        const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";
        let sets_socket = self.line.sets(SSH_AUTH_SOCK) || context.env.get(SSH_AUTH_SOCK).is_some();
        let mut writer = self.line.take_with(&context.env);
        let sockets = self.extras().map_or(&[][..], |extras| &extras.ssh);
        if let Some(socket) = sockets.first().filter(|_| !sets_socket) {
            writer.assignment(2, SSH_AUTH_SOCK, &socket.target);
        }
        self.write_settings(&mut writer, context);
        writer.end(CommandLine::BODY);
        ExecWriter {
            writer,
            caps: self.caps(context),
        }
    }

    /// The fields of the command behind its environment.
    fn write_settings(&self, writer: &mut Writer, context: &Context) {
        writer.string(3, context.dir.as_deref().unwrap_or_default());
        writer.string(4, context.user.as_deref().unwrap_or_default());
        let extras = self.extras();
        if let Some(proxy) = extras.and_then(|extras| extras.proxy.as_ref()) {
            writer.message(5, |writer| {
                writer.string(1, &proxy.http_proxy);
                writer.string(2, &proxy.https_proxy);
                writer.string(3, &proxy.ftp_proxy);
                writer.string(4, &proxy.no_proxy);
                writer.string(5, &proxy.all_proxy);
            });
        }
        for (host, address) in &context.extra_hosts {
            writer.message(6, |writer| {
                writer.string(1, host);
                writer.string(2, address);
            });
        }
        writer.string(7, context.hostname.as_deref().unwrap_or_default());
        for ulimit in &context.ulimits {
            writer.message(9, |writer| {
                writer.string(1, &ulimit.name);
                writer.signed(2, ulimit.soft);
                writer.signed(3, ulimit.hard);
            });
        }
        writer.string(10, context.cgroup_parent.as_deref().unwrap_or_default());
        writer.bool(11, true);
        if let Some(extras) = extras {
            let codes = extras.valid_exit_codes.iter();
            writer.packed(12, codes.map(|&code| i64::from(code)));
        }
    }

    /// The fields of the exec behind its mounts, beginning with the mounts of secrets and sockets.
    fn write_rest(&self, writer: &mut Writer, context: &Context) {
        if let Some(extras) = self.extras() {
            extras.write_mounts(writer);
        }
        writer.unsigned(
            3,
            match context.network.unwrap_or_default() {
                Network::Sandbox => 0,
                Network::Host => 1,
                Network::None => 2,
            },
        );
        writer.unsigned(
            4,
            match context.security.unwrap_or_default() {
                Security::Sandbox => 0,
                Security::Insecure => 1,
            },
        );
        if let Some(extras) = self.extras() {
            extras.write_secrets_and_devices(writer);
        }
    }

    /// What the daemon must know for everything but the mounts.
    fn caps(&self, context: &Context) -> CapabilitySet {
        let is_network = context.network.unwrap_or_default() != Network::Sandbox;
        let is_security = context.security.unwrap_or_default() != Security::Sandbox;
        self.extras()
            .map_or(CapabilitySet::new(), Extras::caps)
            .with(Capability::ExecMetaBase)
            .with_if(!context.ulimits.is_empty(), Capability::ExecMetaUlimit)
            .with_if(is_network, Capability::ExecMetaNetwork)
            .with_if(is_security, Capability::ExecMetaSecurity)
    }
}

impl Extras {
    fn write_mounts(&self, writer: &mut Writer) {
        for secret in &self.secrets {
            if let Some(target) = &secret.target {
                writer.message(2, |writer| write_secret_mount(writer, secret, target));
            }
        }
        for ssh in &self.ssh {
            writer.message(2, |writer| write_ssh_mount(writer, ssh));
        }
    }

    fn write_secrets_and_devices(&self, writer: &mut Writer) {
        for secret in &self.secrets {
            let Some(name) = &secret.env else { continue };
            writer.message(5, |writer| {
                writer.string(1, &secret.id);
                writer.string(2, name);
                writer.bool(3, secret.optional);
            });
        }
        for device in &self.devices {
            writer.message(6, |writer| {
                writer.string(1, &device.name);
                writer.bool(2, device.optional);
            });
        }
    }

    fn caps(&self) -> CapabilitySet {
        CapabilitySet::new()
            .with_if(
                !self.valid_exit_codes.is_empty(),
                Capability::ExecValidExitCode,
            )
            .with_if(self.proxy.is_some(), Capability::ExecMetaProxyEnv)
            .with_if(!self.devices.is_empty(), Capability::ExecMetaCdi)
            .with_if(!self.secrets.is_empty(), Capability::ExecMountSecret)
            .with_if(
                self.secrets.iter().any(|secret| secret.env.is_some()),
                Capability::ExecSecretEnv,
            )
            .with_if(!self.ssh.is_empty(), Capability::ExecMountSsh)
    }
}

impl ExecWriter {
    /// Writes the next mount, with the positions of its source and its output in the vertex; without a source it is on
    /// scratch.
    pub(crate) fn mount(
        &mut self,
        mount: &MountView<'_>,
        source: Option<u32>,
        output: Option<u32>,
    ) {
        self.writer.message(2, |writer| {
            writer.signed(1, source.map_or(-1, i64::from));
            writer.string(2, mount.selector);
            writer.string(3, mount.target);
            writer.signed(4, output.map_or(-1, i64::from));
            writer.bool(5, mount.readonly);
            write_kind(writer, mount.kind);
            writer.unsigned(
                24,
                match mount.content_cache {
                    ContentCache::Default => 0,
                    ContentCache::On => 1,
                    ContentCache::Off => 2,
                },
            );
        });
        self.caps = self.caps.union(mount.caps(source.is_some()));
    }

    /// Writes what is behind the mounts.
    pub(crate) fn finish(mut self, command: &Command, context: &Context) -> ExecOp {
        command.write_rest(&mut self.writer, context);
        ExecOp {
            wire: self.writer.into_bytes(),
            caps: self.caps,
            platform: context.platform.clone(),
        }
    }
}

fn write_kind(writer: &mut Writer, kind: &MountKind) {
    match kind {
        MountKind::Bind => {}
        MountKind::Cache { id, sharing } => {
            writer.unsigned(6, 3);
            writer.message(20, |writer| {
                writer.string(1, id);
                writer.unsigned(
                    2,
                    match sharing {
                        Sharing::Shared => 0,
                        Sharing::Private => 1,
                        Sharing::Locked => 2,
                    },
                );
            });
        }
        MountKind::Tmpfs { size } => {
            writer.unsigned(6, 4);
            writer.message(19, |writer| writer.signed(1, *size));
        }
    }
}

fn write_secret_mount(writer: &mut Writer, secret: &Secret, target: &str) {
    writer.signed(1, -1);
    writer.string(3, target);
    writer.unsigned(6, 1);
    writer.message(21, |writer| {
        write_secret_options(
            writer,
            &secret.id,
            secret.uid,
            secret.gid,
            secret.mode,
            secret.optional,
        );
    });
}

fn write_ssh_mount(writer: &mut Writer, ssh: &Ssh) {
    writer.signed(1, -1);
    writer.string(3, &ssh.target);
    writer.unsigned(6, 2);
    writer.message(22, |writer| {
        write_secret_options(writer, &ssh.id, ssh.uid, ssh.gid, ssh.mode, ssh.optional);
    });
}

fn write_secret_options(
    writer: &mut Writer,
    id: &str,
    uid: u32,
    gid: u32,
    mode: u32,
    optional: bool,
) {
    writer.string(1, id);
    writer.unsigned(2, u64::from(uid));
    writer.unsigned(3, u64::from(gid));
    writer.unsigned(4, u64::from(mode));
    writer.bool(5, optional);
}
