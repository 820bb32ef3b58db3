//! Order and sharing of ops.

use llb::ProgressGroup;
use llb::prelude::*;

use crate::support::vectors;

vectors! {
    graph_diamond => {
        let base = image("base").run(shlex("setup"));
        merge([base.run(shlex("left")), base.run(shlex("right"))])
    };
    graph_equal_ops_dedup => {
        let make = || image("base").run(shlex("setup").env("A", "1"));
        merge([make(), make(), make()])
    };
    graph_order_post_order => {
        let left = merge([image("l1"), image("l2")]);
        let right = merge([image("r1"), left.clone(), image("r2")]);
        merge([right, image("m"), left])
    };
    graph_order_exec_mounts => {
        let run = shlex("x").mount(bind("/z", image("z"))).mount(bind("/a", image("a"))).mount(bind("/m", image("m")));
        image("root").run(run)
    };
    graph_order_file => {
        let bound = mkdir("/w", 0o755).copy(image("w2"), "/", "/").copy(image("w3"), "/", "/").on(image("w1"));
        image("base").file(copy(image("c1"), "/", "/").copy(bound, "/", "/").copy(image("c3"), "/", "/"))
    };
    graph_ladder => {
        let mut state = image("base");
        for level in 0..8 {
            state = merge([state.run(shlex(format!("l {level}"))), state.run(shlex(format!("r {level}")))]);
        }
        state
    };
    graph_equal_ops_metadata_union => {
        let group = ProgressGroup { id: "1".to_owned(), name: "one".to_owned(), weak: false };
        let first = shlex("x")
            .name("first")
            .description("k1", "1")
            .description("k", "a")
            .ignore_cache()
            .export_cache(true)
            .progress_group(group);
        let second =
            shlex("x").name("second").description("k2", "2").description("k", "b").export_cache(false).memory_limit(5);
        merge([image("a").run(first), image("a").run(second)])
    };
    graph_same_exec_two_mount_roles => {
        let source = image("s").file(mkdir("/d", 0o755));
        let run = source.run(shlex("x").mount(bind("/m", &source).readonly()));
        let files = run.file(copy(&source, "/d", "/e").copy(&run, "/e", "/f"));
        merge([source.clone(), diff(&source, &files), diff(&run, &files)])
    };
}
