//! File actions.

use llb::prelude::*;
use llb::value::{Owner, Platform, UserOpt};

use crate::support::vectors;

fn alpine() -> State {
    image("alpine")
}

fn busybox() -> State {
    image("busybox")
}

fn name(name: &'static str) -> UserOpt {
    UserOpt::Name(name.into())
}

vectors! {
    file_err_nil_action => alpine().file(llb::file::actions());
    file_mkdir => scratch().file(mkdir("/d", 0o755));
    file_mkdir_parents => alpine().file(mkdir("/a/b/c", 0o700).parents());
    file_mkdir_mode_bits => scratch().file(mkdir("/a", 1 << 31 | 1 << 20 | 0o777).mkdir("/b", 0));
    file_mkdir_created_time => scratch().file(mkdir("/d", 0o755).created(1_700_000_000_123_456_789));
    file_mkdir_created_time_epoch => {
        scratch().file(mkdir("/d", 0o755).created(0).mkdir("/e", 0o755).created(-1_000_000_000 + 5))
    };
    file_mkdir_paths => {
        let folders = mkdir("/a/../b//c/", 0o755)
            .mkdir("rel/./x/", 0o755)
            .mkdir("", 0o755)
            .mkdir("../up", 0o755)
            .mkdir("/", 0o755);
        scratch().file(folders)
    };
    file_mkdir_info_struct => scratch().file(mkdir("/d", 0o755).parents().created(1_000_000_000));

    file_chown_uidgid => alpine().file(mkdir("/a", 0o755).owner((1000, 0)));
    file_chown_user_name => alpine().file(mkdir("/a", 0o755).owner("bob"));
    file_chown_user_group_name => alpine().file(mkdir("/a", 0o755).owner("bob:staff"));
    file_chown_user_edge => {
        let folders = mkdir("/a", 0o755)
            .owner("007:+5")
            .mkdir("/b", 0o755)
            .owner("-1:4294967295")
            .mkdir("/c", 0o755)
            .owner(":")
            .mkdir("/d", 0o755)
            .owner("")
            .mkdir("/e", 0o755)
            .owner("a:b:c")
            .mkdir("/f", 0o755)
            .owner("2147483647:2147483648");
        alpine().file(folders)
    };
    file_chown_name_on_scratch => scratch().file(mkdir("/a", 0o755).owner("bob"));
    file_chown_struct => {
        let folders = mkdir("/a", 0o755)
            .owner(Owner { user: None, group: Some(name("g")) })
            .mkdir("/b", 0o755)
            .owner(Owner::default())
            .mkdir("/c", 0o755)
            .owner(Owner { user: Some(name("name-wins")), group: None });
        alpine().file(folders)
    };

    file_mkfile => scratch().file(mkfile("/f", 0o644, "hello\n"));
    file_mkfile_empty => scratch().file(mkfile("/f", 0o600, "").mkfile("/g", 0o600, ""));
    file_mkfile_binary => {
        let file = mkfile("rel", 1 << 23 | 0o755, [0, 0xff, 0x80, b'\n']).owner("u:1").created(5_000_000_000);
        alpine().file(file)
    };
    file_symlink => alpine().dir("/w").file(symlink("../old//x/", "new/../link"));
    file_rm => alpine().file(rm("/etc/passwd"));
    file_rm_options => alpine().file(rm("/tmp/*").allow_not_found().allow_wildcard());

    file_copy => alpine().file(copy(busybox(), "/bin", "/b"));
    file_copy_from_scratch => alpine().file(copy(scratch(), "/", "/b"));
    file_copy_same_state => {
        let state = alpine();
        state.file(copy(&state, "/a", "/b"))
    };
    file_copy_follow_symlinks => alpine().file(copy(busybox(), "/a", "/b").follow_symlinks());
    file_copy_contents_only => alpine().file(copy(busybox(), "/a", "/b").contents_only());
    file_copy_attempt_unpack => alpine().file(copy(busybox(), "/a", "/b").attempt_unpack());
    file_copy_create_dest => alpine().file(copy(busybox(), "/a", "/b").create_destination());
    file_copy_wildcard => {
        alpine().file(copy(busybox(), "/*.go", "/b").allow_wildcard().copy(busybox(), "/?", "/c").allow_empty_wildcard())
    };
    file_copy_include_exclude => {
        let files = copy(busybox(), "/", "/b").include(["**/*.go", "x"]).exclude(["vendor"]).required_paths(["go.mod"]);
        alpine().file(files)
    };
    file_copy_exclude_option => {
        alpine().file(copy(busybox(), "/", "/b").exclude(["a"]).exclude(["b", "c"]).exclude(["d"]))
    };
    file_copy_info_replaces => alpine().file(copy(busybox(), "/", "/b").create_destination());
    file_copy_always_replace => alpine().file(copy(busybox(), "/", "/b").always_replace_existing());
    file_copy_mode => {
        let files = copy(busybox(), "/", "/b")
            .mode(0o644)
            .copy(busybox(), "/", "/c")
            .mode(0)
            .copy(busybox(), "/", "/d")
            .mode(0o4755);
        alpine().file(files)
    };
    file_copy_mode_go_bits => {
        let files = copy(busybox(), "/", "/b").mode(1 << 23 | 0o755).copy(busybox(), "/", "/c").mode(i32::MIN | 0o700);
        alpine().file(files)
    };
    file_copy_mode_str => alpine().file(copy(busybox(), "/", "/b").mode(0o644).chmod("u+x,go-w"));
    file_copy_chown => alpine().file(copy(busybox(), "/", "/b").owner("bob:1000"));
    file_copy_dest_slashes => {
        let source = busybox();
        let files = copy(&source, "/1", "/d/")
            .copy(&source, "/2", "/d/.")
            .copy(&source, "/3", ".")
            .copy(&source, "/4", "./")
            .copy(&source, "/5", "/")
            .copy(&source, "/6", "/.")
            .copy(&source, "/7", "")
            .copy(&source, "/8", "x/../y/")
            .copy(&source, "/9", "..")
            .copy(&source, "/10", "../..//.")
            .copy(&source, "/11", "/a/..")
            .copy(&source, "/12", "a/./");
        alpine().dir("/w").file(files)
    };
    file_copy_src_cleaned => {
        let source = busybox();
        let files = copy(&source, "/a/", "/1")
            .copy(&source, "/a/.", "/2")
            .copy(&source, "", "/3")
            .copy(&source, ".", "/4")
            .copy(&source, "../x", "/5")
            .copy(&source, "a//b/../c", "/6")
            .copy(&source, "/..", "/7");
        alpine().file(files)
    };
    file_copy_relative => {
        let source = busybox().dir("/from/here");
        alpine().dir("/to").file(copy(&source, "x/*", "y/").allow_wildcard().copy(&source, "../z", "../q"))
    };
    file_copy_relative_no_dir => alpine().file(copy(State::without_dir(), "x/../y", "/z"));
    file_copy_from_local => {
        let files = copy(local("context"), "/", "/app")
            .contents_only()
            .create_destination()
            .follow_symlinks()
            .allow_wildcard()
            .allow_empty_wildcard();
        alpine().file(files)
    };

    file_chain => {
        alpine().file(mkdir("/a", 0o755).mkfile("/a/f", 0o644, "x").symlink("f", "/a/l").rm("/b"))
    };
    file_chain_on_scratch => scratch().file(mkdir("/a", 0o755).mkfile("/a/f", 0o644, "").mkfile("/a/g", 0o644, ""));
    file_chain_copies => {
        let files = copy(image("one"), "/1", "/1").copy(image("two"), "/2", "/2").copy(image("three"), "/3", "/3");
        alpine().file(files)
    };
    file_chain_scratch_copy => {
        let files = mkdir("/d", 0o755).copy(image("one"), "/1", "/d/1").copy(image("two"), "/2", "/d/2").owner("bob");
        scratch().file(files)
    };
    file_action_reused => {
        let action = mkdir("rel", 0o755).mkfile("rel/f", 0o644, "x");
        merge([alpine().dir("/a").file(action.clone()), alpine().dir("/b").file(action)])
    };
    file_with_state => {
        let source = mkfile("./foo", 0o644, "x").on(busybox().dir("/src"));
        alpine().dir("/dst").file(copy(source, "./foo", "./bar"))
    };
    file_with_state_scratch => {
        let source = mkdir("foo", 0o755).mkfile("foo/f", 0o644, "x").on(scratch().dir("/ced"));
        alpine().dir("/abc").file(mkdir("bar", 0o755).copy(source, "./foo", "./baz"))
    };
    file_with_state_shared => {
        let source = mkfile("f", 0o644, "x").on(busybox());
        alpine().file(copy(source.clone(), "f", "/1").copy(source, "f", "/2"))
    };
    file_with_state_owner => {
        let source = mkfile("/f", 0o644, "x").owner("bob").on(busybox());
        alpine().file(mkdir("/d", 0o755).owner("alice").copy(source, "/f", "/d/f").owner("carol"))
    };
    file_constraints => {
        let folder = mkdir("/a", 0o755).name("mk").ignore_cache().require("x").platform(Platform::LINUX_S390X);
        Image::new("alpine").platform(Platform::LINUX_ARM64).state().file(folder).run(shlex("x"))
    };
}
