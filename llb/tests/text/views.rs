//! Trees and Graphviz.

use llb::prelude::*;

fn marshal(state: &State) -> Definition {
    state.marshal(&MarshalOptions::linux_amd64()).unwrap()
}

#[test]
fn a_tree_goes_down_from_the_result() {
    let base = image("debian");
    let wheels = base
        .run(sh("pip wheel torch").name("wheels"))
        .mkdir("/w", 0o755);
    let built = base
        .run(sh("make").mount(bind("/wheels", wheels.clone()).readonly()))
        .copy(wheels, "/w", "/w")
        .copy(local("context"), "/", "/src");
    insta::assert_snapshot!(marshal(&built).to_tree(), @r"
    %copy-src  file copy / => /src
    ├─ copied: %context  source local://context
    %copy-w  file copy /w => /w
    ├─ copied: %mkdir-w  file mkdir /w
    │  %wheels  exec /bin/sh -c pip wheel torch
    │  %debian …
    %make  exec /bin/sh -c make
    ├─ /wheels: %mkdir-w …
    %debian  source docker-image://docker.io/library/debian:latest
    ");
}

#[test]
fn a_tree_of_a_deep_graph_is_small() {
    // A chain in the main line, and one through branches only.
    let chain = (0..20_000).fold(image("alpine"), |state, step| {
        state.run(args([step.to_string()]))
    });
    let comb = (0..20_000).fold(image("alpine"), |state, step| {
        image("busybox").run(args([step.to_string()]).mount(bind("/before", state).readonly()))
    });
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let sizes = thread.spawn(move || [chain, comb].map(|state| marshal(&state).to_tree().len()));
    for size in sizes.unwrap().join().unwrap() {
        assert!(size < 200 * 20_000, "{size}");
    }
}

#[test]
fn views_show_no_control_characters() {
    let state =
        image("alpine").run(sh("printf '\u{1b}[2J\u{202e}'\n\"quoted\"\\").name("\u{7}\" ]; x"));
    let definition = marshal(&state);
    for view in [
        definition.to_tree(),
        definition.to_dot(),
        definition.to_text(),
        definition.to_full_text(),
    ] {
        assert!(!view.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{view}");
    }
}
