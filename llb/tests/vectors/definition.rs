//! Definitions as states.

use llb::prelude::*;
use llb::proto::pb;
use llb::value::Platform;
use llb::{ProgressGroup, Range, SourceMap};
use prost::Message as _;

use crate::support::{marshal, options, vectors};

fn amd64(state: &State) -> Definition {
    state.marshal(&MarshalOptions::linux_amd64()).unwrap()
}

fn arm64(state: &State) -> Definition {
    state.marshal(&MarshalOptions::linux_arm64()).unwrap()
}

vectors! {
    defop_roundtrip => {
        let state = image("a").run(shlex("x").name("n").ignore_cache()).file(mkdir("/d", 0o755));
        marshal(&amd64(&state).state(), &MarshalOptions::new(Platform::LINUX_ARM64))
    };
    defop_output_index => {
        let state = image("a").exec(shlex("x").output("/out", scratch())).output("/out");
        amd64(&state).state()
    };
    defop_extend => {
        let definition = arm64(&image("a").env("LOST", "1").run(shlex("x")));
        // `NewState(op)` has no platform, `NewState(op.Output())` has the op's.
        let a = definition.state().unset_platform().run(shlex("y"));
        let b = definition.state().run(shlex("y"));
        merge([a, b])
    };
    defop_order => {
        let files = copy(image("c1"), "/", "/").copy(image("c2"), "/", "/");
        amd64(&image("base").file(files)).state()
    };
    defop_sourcemap => {
        let map = SourceMap::new("Dockerfile", "Dockerfile", "FROM a").with_state(local("df"));
        let state = Image::new("a")
            .location(map.location([Range::line(1)]))
            .state()
            .run(shlex("x").location(map.location([Range::line(2)])));
        state.marshal(&MarshalOptions::linux_amd64().local_unique_id("first")).unwrap().state()
    };
    defop_marshal_metadata_not_applied => {
        let state = amd64(&image("a")).state().unset_platform().run(shlex("x"));
        let group = ProgressGroup { id: "g".to_owned(), name: "g".to_owned(), weak: false };
        marshal(&state, &options().ignore_cache().require("w").progress_group(group))
    };
    defop_scratch_output => amd64(&scratch()).state().file(mkdir("/d", 0o755));
    defop_err_no_metadata => {
        let mut message = pb::Definition::decode(&*amd64(&image("a")).to_bytes()).unwrap();
        message.metadata.clear();
        Definition::from_bytes(&message.encode_to_vec()).map(|definition| definition.state())
    };
}
