//! Execs that are protobuf messages, in the form of Go's deterministic encoding.

use crate::proto::pb;
use crate::wire::Writer;

/// Writes the fields of an exec.
pub(crate) fn write_exec(writer: &mut Writer, exec: &pb::ExecOp) {
    if let Some(meta) = &exec.meta {
        writer.message(1, |writer| write_meta(writer, meta));
    }
    for mount in &exec.mounts {
        writer.message(2, |writer| write_mount(writer, mount));
    }
    writer.signed(3, exec.network.into());
    writer.signed(4, exec.security.into());
    for secret in &exec.secretenv {
        writer.message(5, |writer| {
            writer.string(1, &secret.id);
            writer.string(2, &secret.name);
            writer.bool(3, secret.optional);
        });
    }
    for device in &exec.cdi_devices {
        writer.message(6, |writer| {
            writer.string(1, &device.name);
            writer.bool(2, device.optional);
        });
    }
}

fn write_meta(writer: &mut Writer, meta: &pb::Meta) {
    writer.strings(1, &meta.args);
    writer.strings(2, &meta.env);
    writer.string(3, &meta.cwd);
    writer.string(4, &meta.user);
    if let Some(proxy) = &meta.proxy_env {
        writer.message(5, |writer| {
            writer.string(1, &proxy.http_proxy);
            writer.string(2, &proxy.https_proxy);
            writer.string(3, &proxy.ftp_proxy);
            writer.string(4, &proxy.no_proxy);
            writer.string(5, &proxy.all_proxy);
        });
    }
    for host in &meta.extra_hosts {
        writer.message(6, |writer| {
            writer.string(1, &host.host);
            writer.string(2, &host.ip);
        });
    }
    writer.string(7, &meta.hostname);
    for ulimit in &meta.ulimit {
        writer.message(9, |writer| {
            writer.string(1, &ulimit.name);
            writer.signed(2, ulimit.soft);
            writer.signed(3, ulimit.hard);
        });
    }
    writer.string(10, &meta.cgroup_parent);
    writer.bool(11, meta.remove_mount_stubs_recursive);
    writer.packed(12, meta.valid_exit_codes.iter().map(|&code| code.into()));
}

fn write_mount(writer: &mut Writer, mount: &pb::Mount) {
    writer.signed(1, mount.input);
    writer.string(2, &mount.selector);
    writer.string(3, &mount.dest);
    writer.signed(4, mount.output);
    writer.bool(5, mount.readonly);
    writer.signed(6, mount.mount_type.into());
    if let Some(tmpfs) = &mount.tmpfs_opt {
        writer.message(19, |writer| writer.signed(1, tmpfs.size));
    }
    if let Some(cache) = &mount.cache_opt {
        writer.message(20, |writer| {
            writer.string(1, &cache.id);
            writer.signed(2, cache.sharing.into());
        });
    }
    if let Some(secret) = &mount.secret_opt {
        writer.message(21, |writer| {
            writer.string(1, &secret.id);
            writer.unsigned(2, secret.uid.into());
            writer.unsigned(3, secret.gid.into());
            writer.unsigned(4, secret.mode.into());
            writer.bool(5, secret.optional);
        });
    }
    if let Some(ssh) = &mount.ssh_opt {
        writer.message(22, |writer| {
            writer.string(1, &ssh.id);
            writer.unsigned(2, ssh.uid.into());
            writer.unsigned(3, ssh.gid.into());
            writer.unsigned(4, ssh.mode.into());
            writer.bool(5, ssh.optional);
        });
    }
    writer.string(23, &mount.result_id);
    writer.signed(24, mount.content_cache.into());
}
