//! Commands: arguments, run context and settings.

use std::net::IpAddr;

use llb::prelude::*;
use llb::value::{CapabilitySet, Platform};
use llb::{LinuxResources, Network, ProxyEnv, Security};

use crate::support::{marshal, options, options_for, vectors};

fn alpine() -> State {
    image("alpine")
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

vectors! {
    exec_args => alpine().run(args(["echo", "hello world", ""]));
    exec_scratch => scratch().run(args(["/init"]));
    exec_args_do_not_persist => alpine().run(shlex("first")).run(args::<&str>([]).dir("/x"));
    exec_err_no_args => alpine().run(args::<&str>([]));
    exec_err_empty_shlex => alpine().run(shlex("  # just a comment"));
    exec_err_no_cwd => State::without_dir().run(shlex("true"));

    shlex_quotes => alpine().run(shlex(r#"sh -c 'a "b" c' "d 'e' f" g'h'"i"j"#));
    shlex_escapes => alpine().run(shlex(r#"a\ b \"c\" "d\n\"\\\$e" 'f\n' \# \\"#));
    shlex_comments => alpine().run(shlex("a#b c # comment 'x\nd \"#e\" '#f'#g"));
    shlex_whitespace => alpine().run(shlex(" a\tb\r\nc\u{b}d\u{c}e\u{a0}f "));
    shlex_empty_words => alpine().run(shlex("a '' \"\" b''"));
    shlex_unterminated_single => alpine().run(shlex("echo one 'two three"));
    shlex_trailing_backslash => alpine().run(shlex(r"echo one two\"));
    shlexf => alpine().run(shlex(format!("echo {} {} '{}'", "a b", 7, "c d")));

    exec_dir_abs => alpine().dir("/a/../b//c/").run(shlex("pwd"));
    exec_dir_relative => alpine().dir("/a").dir("b/./c").dir("../d").run(shlex("pwd"));
    exec_dir_relative_from_root => alpine().dir("x").run(shlex("pwd"));
    exec_dir_empty => alpine().dir("/a//b/").dir("").run(shlex("pwd"));
    exec_dir_option_scoped => alpine().dir("/base").run(shlex("one").dir("sub")).run(shlex("two"));
    exec_dirf => alpine().dir(format!("/v{}/{}", 2, "x")).run(shlex("pwd").dir(format!("{:02}", 3)));

    exec_env_order => alpine().env("Z", "1").env("A", "2").env("M", "3").run(shlex("env"));
    exec_env_replace_moves => alpine().env("A", "1").env("B", "2").env("A", "3").run(shlex("env"));
    exec_env_values => {
        alpine()
            .env("E", "")
            .env("EQ", "a=b")
            .env("NL", "x\ny")
            .env("P", "%s")
            .env("", "v")
            .env("K=1", "w")
            .run(shlex("env"))
    };
    exec_addenvf => alpine().env("V", format!("{}-{}", "x", 4)).run(shlex("env").env("W", true.to_string()));
    exec_env_option_scoped => alpine().env("A", "1").run(shlex("one").env("B", "2")).run(shlex("two"));

    exec_user => alpine().user("1000:100").run(shlex("id"));
    exec_hostname => alpine().hostname("builder").run(shlex("hostname"));
    exec_network_host => alpine().network(Network::Host).run(shlex("ip a"));
    exec_network_none => alpine().run(shlex("ip a").network(Network::None));
    exec_security_insecure => alpine().security(Security::Insecure).run(shlex("mount"));
    exec_extra_hosts => {
        alpine()
            .extra_host("a", address("10.0.0.1"))
            .run(shlex("x").extra_host("b", address("2001:DB8::1")).extra_host("a", address("::ffff:1.2.3.4")))
    };
    exec_ulimits => {
        let limited = shlex("x").ulimit("core", 0, -1).ulimit("nofile", 1, 2).ulimit("custom", 3, 4);
        alpine().ulimit("nofile", 1024, 4096).run(limited)
    };
    exec_cgroup_parent => alpine().cgroup_parent("/a").run(shlex("x").cgroup_parent("/b"));
    exec_valid_exit_codes => alpine().run(shlex("x").valid_exit_codes([0, 1, 255, -1]));
    exec_valid_exit_codes_none => alpine().run(shlex("x").valid_exit_codes([3]).valid_exit_codes([]));
    exec_proxy => {
        alpine().run(shlex("x").proxy(ProxyEnv {
            http_proxy: "http://p".to_owned(),
            https_proxy: "https://p".to_owned(),
            ftp_proxy: "ftp://p".to_owned(),
            no_proxy: "localhost".to_owned(),
            all_proxy: "all://p".to_owned(),
        }))
    };
    exec_proxy_empty => alpine().run(shlex("x").proxy(ProxyEnv::default()));
    exec_cdi => {
        alpine().run(
            shlex("x")
                .device(device("vendor.com/gpu=0"))
                .device(device("vendor.com/gpu=1").optional())
                .device(device("")),
        )
    };
    exec_linux_resources => {
        alpine().run(
            shlex("x")
                .memory_limit(1 << 30)
                .memory_swap_limit(-1)
                .cpu_shares(512)
                .cpu_period(100_000)
                .cpu_quota(50_000)
                .cpuset_cpus("0-3")
                .cpuset_mems("0,1"),
        )
    };
    exec_linux_resources_struct => {
        let resources = LinuxResources { memory: 64, cpuset_cpus: "1".to_owned(), ..LinuxResources::default() };
        alpine().run(shlex("x").cpu_shares(512).linux_resources(resources).cpu_quota(9))
    };
    exec_linux_resources_zero => alpine().run(shlex("x").memory_limit(0));
    exec_readonly_rootfs => alpine().run(shlex("test").readonly_rootfs());
    exec_readonly_rootfs_mount => {
        alpine().exec(shlex("test").readonly_rootfs().mount(bind("/out", scratch()))).output("/out")
    };

    exec_caps_none => {
        marshal(&alpine().env("A", "1").run(shlex("x")), &options().caps(CapabilitySet::new()))
    };
    exec_caps_all => {
        marshal(&alpine().env("A", "1").run(shlex("x")), &options().caps(CapabilitySet::all()))
    };
    exec_caps_none_windows => {
        marshal(&image("nanoserver").run(shlex("cmd")), &options_for(Platform::WINDOWS).caps(CapabilitySet::new()))
    };
    exec_caps_none_op_windows => {
        let state = image("nanoserver").run(shlex("cmd").platform(Platform::WINDOWS));
        marshal(&state, &options().caps(CapabilitySet::new()))
    };
    exec_constraints => {
        let state = alpine().run(shlex("x").require("op==1").require("op==2").ignore_cache().name(format!("step {}", 3)));
        marshal(&state, &options().require("marshal==1"))
    };

    run_with_state_option => {
        let change = |state: State| state.env("X", "1").user("u");
        alpine().run(shlex("x").with(change).with(|state| state.dir("/d")).with(change))
    };
    run_with_other_rootfs => {
        let other = image("busybox").env("OTHER", "1").dir("/other");
        alpine()
            .env("SELF", "1")
            .dir("/self")
            .run(shlex("x").with(move |_| other.clone()))
            .run(shlex("y"))
    };
}
