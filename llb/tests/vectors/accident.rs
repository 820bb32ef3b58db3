//! What the Go client does by accident, said by hand.
//!
//! In these vectors a definition depends on what happened before in the Go program, or on a value that has no counterpart
//! in types. Nobody will ask for them, but they are definitions like any other: the programs here say what comes out.

use std::net::IpAddr;

use llb::prelude::*;
use llb::value::{Capability, CapabilitySet, Platform};
use llb::{Exec, OpDigest, Security, SourceMap};

use crate::support::{Outcome, marshal, options, options_for, vectors};

vectors! {
    // In Go the first marshal decides for all. Here a function is called for the options of each, unless what it made is
    // taken from the state.
    async_resolved_once => {
        let state = image("a").deferred(|base, options| base.env("ARCH", &options.target_platform().architecture));
        let first = state.run(shlex("x")).resolve(&MarshalOptions::linux_amd64());
        marshal(&first, &options_for(Platform::LINUX_ARM64))
    };
    // In Go an op keeps capabilities that an earlier marshal raised.
    exec_caps_stick => {
        let all = Capability::ALL.iter().copied().fold(CapabilitySet::new(), CapabilitySet::with);
        marshal(&image("a").run(shlex("x")), &options().caps(all))
    };
    // In Go an op's description lands in that of the marshal, and so in those of all ops after it.
    meta_marshal_description_leaks => {
        let described = |exec: Exec| {
            exec.description("base", "1").description("a", "1").description("over", "a").description("b", "1")
        };
        Image::new("a")
            .description("base", "1")
            .description("a", "1")
            .description("over", "a")
            .state()
            .run(described(shlex("b")))
            .run(described(shlex("c")))
    };
    // In Go thirteen mounts are sorted in another way than twelve; mounts on one target come out in any order.
    mount_duplicate_target_many => {
        let order = [9, 0, 12, 3, 6, 1, 4, 7, 10, 5, 8, 11, 2];
        let exec = order.into_iter().fold(shlex("x"), |exec, number| {
            exec.mount(bind(format!("/m{}", number % 3), image(format!("i{number}"))).readonly())
        });
        image("a").run(exec)
    };
    // In Go the state of a map is marshalled once.
    sourcemap_state_sticks => {
        let first = local("df").local_unique_id("first");
        let map = SourceMap::new("f", "l", "d").with_state(first);
        Image::new("a").location(map.location([])).state()
    };
    // In Go an option that changes to a relative directory means the first state that it is put on.
    state_dir_option_shared => {
        let a = image("a").dir("/x").dir("sub").run(shlex("pwd"));
        let b = image("b").dir("/x/sub").run(shlex("pwd"));
        merge([a, b])
    };
    // In Go an OCI layout has a checksum to set, which goes nowhere.
    oci_checksum_ignored => oci_layout("img").state();

    // The values of these have no counterpart in types; the text form has them.
    exec_extra_host_nil_ip => {
        assert!("<nil>".parse::<IpAddr>().is_err());
        from_text(r#"
            platform linux/amd64
            %a = source "docker-image://docker.io/library/a:latest"
            %x = exec "x" cwd=/ {
              host h="<nil>"
              / = %a -> out0
            }
            return %x
        "#)
    };
    image_resolve_unknown => from_text(r#"
        platform linux/amd64
        %alpine = source "docker-image://docker.io/library/alpine:latest" image.resolvemode="" caps=[source.image]
        return %alpine caps=[constraints, platform]
    "#);
    exec_err_security => {
        let mode = "2".parse::<Security>().map_err(|error| error.to_string());
        image("alpine").deferred(move |base, _| mode.clone().map(|mode| base.run(shlex("mount").security(mode))))
    };

    // A definition has no vertex of its own: the state of an empty one is scratch, and there is no op in it to go on from.
    defop_err_empty => {
        let empty = scratch().marshal(&options()).unwrap();
        assert!(empty.state().is_scratch());
        empty.state_of(OpDigest::of(b""), 0)
    };
}

fn from_text(text: &str) -> Outcome {
    let text: String = text
        .trim()
        .lines()
        .flat_map(|line| [line.trim(), "\n"])
        .collect();
    Outcome::Marshalled(Definition::from_text(&text))
}
