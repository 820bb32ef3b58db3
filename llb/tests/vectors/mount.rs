//! Mounts, secrets and sockets of commands, and the outputs of mounts.

use llb::prelude::*;
use llb::{ContentCache, Sharing};

use crate::support::vectors;

fn alpine() -> State {
    image("alpine")
}

fn busybox() -> State {
    image("busybox")
}

vectors! {
    mount_bind_rw => alpine().run(shlex("x").mount(bind("/src", busybox())));
    mount_bind_readonly => alpine().run(shlex("x").mount(bind("/src", busybox()).readonly()));
    mount_source_path => alpine().run(shlex("x").mount(bind("/src", busybox()).selector("/bin").readonly()));
    mount_output_via_run_addmount => alpine().exec(shlex("make").output("/out", scratch())).output("/out");
    mount_output_via_getmount => {
        alpine().exec(shlex("make").mount(bind("/out", scratch())).mount(bind("/a", busybox()))).get_mount("/out")
    };
    mount_getmount_missing => alpine().exec(shlex("make")).get_mount("/nope");
    mount_getmount_readonly => {
        alpine().exec(shlex("make").mount(bind("/src", busybox()).readonly())).get_mount("/src")
    };
    mount_sorted_by_target => {
        let make = shlex("x")
            .mount(bind("/z", scratch()))
            .mount(bind("/a", scratch()))
            .mount(bind("/a/b", scratch()))
            .mount(bind("/B", scratch()))
            .mount(bind("/a-b", scratch()));
        alpine().exec(make).get_mount("/z")
    };
    mount_relative_target => {
        let make = shlex("x").mount(bind("rel/", scratch())).mount(bind("", busybox())).mount(bind("!x", scratch()));
        alpine().run(make)
    };
    mount_output_index_skips => {
        let make = shlex("x")
            .mount(tmpfs("/a"))
            .mount(bind("/b", busybox()).readonly())
            .mount(cache("/c", "c"))
            .mount(bind("/d", scratch()).no_output())
            .mount(bind("/e", scratch()));
        alpine().exec(make).get_mount("/e")
    };
    mount_same_source_dedup => {
        let source = busybox();
        alpine().run(
            shlex("x")
                .mount(bind("/2", &source).readonly())
                .mount(bind("/1", image("golang")).readonly())
                .mount(bind("/3", image("alpine")))
                .mount(bind("/0", &source).selector("/p")),
        )
    };
    mount_duplicate_target => {
        alpine().run(shlex("x").mount(bind("/m", busybox())).mount(bind("/m", image("golang")).readonly()))
    };
    mount_root_override => alpine().run(shlex("x").mount(bind("/", busybox())));
    mount_after_getmount => {
        alpine().exec(shlex("x").mount(bind("/m", scratch())).mount(bind("/a", scratch()))).get_mount("/m")
    };
    mount_two_outputs_merged => {
        let run = alpine().exec(shlex("x").output("/a", scratch()).output("/b", busybox()));
        merge([run.root(), run.output("/b"), run.output("/a")])
    };
    mount_output_of_same_exec_two_inputs => {
        let run = alpine().exec(shlex("gen").output("/a", scratch()));
        run.root().run(
            shlex("use")
                .mount(bind("/in", run.output("/a")).readonly())
                .mount(bind("/again", run.root()).readonly()),
        )
    };
    mount_state_of_addmount => {
        let source = busybox().env("FROM", "src").dir("/s");
        let run = alpine().env("FROM", "root").dir("/r").exec(shlex("x").output("/m", source));
        run.output("/m").run(shlex("y"))
    };
    mount_state_of_getmount => {
        let source = busybox().env("FROM", "src").dir("/s");
        let run = alpine().env("FROM", "root").dir("/r").exec(shlex("x").mount(bind("/m", source)));
        run.get_mount("/m").run(shlex("y"))
    };

    mount_cache_shared => alpine().run(shlex("x").mount(cache("/cache", "id1")));
    mount_cache_locked => alpine().run(shlex("x").mount(cache("/cache", "id1").sharing(Sharing::Locked)));
    mount_cache_with_source => {
        scratch().run(shlex("x").mount(cache("/cache", "id1").source(busybox()).selector("/etc")))
    };
    mount_cache_empty_id => alpine().run(shlex("x").mount(cache("/cache", "").sharing(Sharing::Locked)));
    mount_tmpfs => alpine().run(shlex("x").mount(tmpfs("/tmp")));
    mount_tmpfs_size => alpine().run(shlex("x").mount(tmpfs("/tmp").size(64 << 20)));
    mount_content_cache_on => {
        alpine().run(shlex("x").mount(bind("/m", busybox()).readonly().content_cache(ContentCache::On)))
    };
    mount_err_tmpfs_source => alpine().run(shlex("x").mount(tmpfs("/tmp").source(busybox())));
    mount_err_tmpfs_output => alpine().exec(shlex("x").mount(tmpfs("/tmp"))).output("/tmp");
    mount_err_no_output => alpine().exec(shlex("x").mount(bind("/d", scratch()).no_output())).output("/d");
    mount_err_cache_output => alpine().exec(shlex("x").mount(cache("/c", "c"))).output("/c");

    secret_file => alpine().run(shlex("x").mount(secret("/run/secrets/tok")));
    secret_options => {
        alpine().run(shlex("x").mount(secret("/run/secrets/tok").id("tok").file(1000, 1001, 0o440).optional()))
    };
    secret_env => alpine().run(shlex("x").mount(secret("TOKEN").id("tok").as_env("TOKEN")));
    secret_env_true_false => alpine().run(shlex("x").mount(secret("/s").as_env("/s").without_env()));
    secret_env_name => alpine().run(shlex("x").mount(secret("/s").and_env("NAME").optional()));
    secret_with_dest_nil => alpine().run(shlex("x").mount(secret("id").as_env("V")));
    secrets_after_mounts => {
        alpine().run(
            shlex("x").mount(ssh()).mount(secret("/b")).mount(bind("/z", scratch())).mount(secret("/a")),
        )
    };

    ssh_default => alpine().run(shlex("x").mount(ssh()));
    ssh_options => alpine().run(shlex("x").mount(ssh().id("k").target("/sock").file(1, 2, 0o777).optional()));
    ssh_two => alpine().env("A", "1").run(shlex("x").mount(ssh().id("a")).mount(ssh().id("b")));
    ssh_auth_sock_set => alpine().env("SSH_AUTH_SOCK", "/mine").run(shlex("x").mount(ssh().target("/t")));
}
