//! Platforms of ops and states.

use llb::prelude::*;
use llb::value::Platform;

use crate::support::{marshal, options, options_for, vectors};

fn raw(os: &'static str, architecture: &'static str, variant: &'static str) -> Platform {
    Platform::new(os, architecture).with_variant(variant)
}

fn arm64_image(reference: &str) -> State {
    Image::new(reference)
        .platform(Platform::LINUX_ARM64)
        .state()
}

fn s390x_image(reference: &str) -> State {
    Image::new(reference)
        .platform(Platform::LINUX_S390X)
        .state()
}

vectors! {
    platform_marshal_arm64_variant => {
        marshal(&image("a").run(shlex("x")), &options_for(raw("linux", "arm64", "v8")))
    };
    platform_constants => {
        let platforms = [
            Platform::LINUX_AMD64,
            Platform::LINUX_ARMHF,
            Platform::LINUX_ARM,
            Platform::LINUX_ARMEL,
            Platform::LINUX_ARM64,
            Platform::LINUX_S390X,
            Platform::LINUX_PPC64,
            Platform::LINUX_PPC64LE,
            Platform::LINUX_RISCV64,
            Platform::DARWIN,
            Platform::WINDOWS,
        ];
        let images = platforms.into_iter().enumerate();
        merge(images.map(|(number, platform)| Image::new(format!("img{number}")).platform(platform)))
    };
    platform_inherit_from_image => {
        Image::new("a")
            .platform(raw("linux", "aarch64", "8"))
            .state()
            .run(shlex("x"))
            .file(mkdir("/d", 0o755))
            .run(shlex("y"))
    };
    platform_override_exec => {
        image("a").run(shlex("x").platform(raw("LINUX", "armhf", ""))).run(shlex("y"))
    };
    platform_state_method => image("a").platform(&raw("linux", "x86-64", "v1")).run(shlex("x"));
    platform_normalize_table => {
        let platforms = [
            ("Linux", "i386", "x"),
            ("linux", "x86_64", "v1"),
            ("linux", "AMD64", "V2"),
            ("linux", "aarch64", ""),
            ("linux", "arm64", "8"),
            ("linux", "arm64", "v8.0"),
            ("linux", "arm64", "9"),
            ("linux", "arm64", "v9.0"),
            ("linux", "arm64", "v9.2"),
            ("linux", "armhf", "v6"),
            ("linux", "armel", "v7"),
            ("linux", "arm", ""),
            ("linux", "arm", "7"),
            ("linux", "arm", "5"),
            ("linux", "arm", "v6"),
            ("linux", "arm", "8"),
            ("macOS", "arm64", "v8"),
            ("FreeBSD", "RISCV64", "x"),
        ];
        let states = platforms.into_iter().enumerate().map(|(number, (os, architecture, variant))| {
            scratch().platform(&raw(os, architecture, variant)).run(shlex(format!("x {number}")))
        });
        merge(states)
    };
    platform_osfeatures_normalized => {
        let platform = Platform {
            os_version: "10.0".into(),
            os_features: vec!["z".into(), "a".into(), "z".into()],
            ..Platform::WINDOWS
        };
        scratch().platform(&platform).run(shlex("x"))
    };
    platform_mount_inherits => {
        let run = shlex("x").platform(Platform::LINUX_ARM64).output("/m", s390x_image("b"));
        image("a").exec(run).output("/m").run(shlex("y"))
    };
    platform_mount_no_option => {
        arm64_image("a").exec(shlex("x").output("/m", s390x_image("b"))).output("/m").run(shlex("y"))
    };
    platform_getmount_no_option => {
        arm64_image("a").exec(shlex("x").output("/m", s390x_image("b"))).get_mount("/m").run(shlex("y"))
    };
    platform_marshal_empty => marshal(&image("a").run(shlex("x")), &options_for(Platform::default()));
    platform_marshal_does_not_stick => {
        let state = image("a").run(shlex("x").mount(bind("/l", local("l")).readonly()));
        state.marshal(&options().local_unique_id("other")).unwrap();
        marshal(&state, &options_for(Platform::LINUX_ARM64))
    };
}
