//! All mistakes of a graph are reported at once, each with the line of the program that made it.

use llb::prelude::*;
use llb::{Build, ErrorKind, ImageBlob, Merge, Passthrough, Source, file};

/// The lines of this file where a graph has mistakes, with their messages.
fn mistakes(state: &State) -> Vec<(u32, String)> {
    let error = state
        .marshal(&MarshalOptions::linux_amd64())
        .expect_err("the graph has mistakes");
    let mut found: Vec<(u32, String)> = error
        .problems()
        .iter()
        .map(|problem| {
            let place = problem
                .location()
                .unwrap_or_else(|| panic!("{problem} has no place"));
            assert_eq!(place.file(), file!(), "{problem}");
            (place.line(), problem.message().to_owned())
        })
        .collect();
    found.sort();
    found
}

#[track_caller]
fn assert_mistakes(state: &State, expected: &[(u32, &str)]) {
    let found = mistakes(state);
    let found: Vec<(u32, &str)> = found
        .iter()
        .map(|(line, message)| (*line, &**message))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, message), (expected_line, expected_message)) in found.iter().zip(expected) {
        assert_eq!(line, expected_line, "{message}");
        assert!(
            message.contains(expected_message),
            "{message:?} has no {expected_message:?}"
        );
    }
}

#[test]
fn in_a_chain() {
    let line = line!();
    let state = image("Debian")
        .run(args::<&str>([]))
        .run(sh("true").mount(tmpfs("/tmp").source(image("alpine"))))
        .file(file::actions())
        .copy(http(""), "/", "/")
        .copy(git("https://h/%ff"), "/", "/")
        .copy(ImageBlob::new("repo"), "/", "/")
        .copy(Source::new(""), "/", "/")
        .copy(Build::new(scratch()), "/", "/");
    assert_mistakes(
        &state,
        &[
            (line + 1, "must be lowercase"),
            (line + 2, "arguments are required"),
            (line + 3, "tmpfs mounts must use scratch"),
            (line + 4, "action is required"),
            (line + 5, "source identifier can't be empty"),
            (line + 6, "invalid UTF-8"),
            (line + 7, "checksum required"),
            (line + 8, "source identifier can't be empty"),
            (line + 9, "a build needs a state"),
        ],
    );
}

#[test]
fn in_mounts_and_what_is_taken_from_them() {
    let line = line!();
    let exec = State::without_dir().exec(
        sh("make")
            .mount(bind("/src", image("Src")).readonly())
            .mount(cache("/cache", "id"))
            .mount(tmpfs("/tmp"))
            .mount(bind("/scratch", scratch()).no_output()),
    );
    let state = merge([
        exec.output("/cache"),
        exec.output("/tmp"),
        exec.output("/scratch"),
        exec.output("/nowhere").mkdir("/x", 0o755),
        exec.output("/src"),
    ]);
    assert_mistakes(
        &state,
        &[
            (line + 2, "working directory is required"),
            (line + 3, "must be lowercase"),
            (line + 9, "/cache is a cache"),
            (line + 10, "tmpfs mount for /tmp"),
            (line + 11, "marked no-output"),
            (line + 12, "\"/nowhere\" is not mounted"),
        ],
    );
}

#[test]
fn in_forks_and_layers() {
    #[layer]
    fn broken(base: State) -> Result<State, String> {
        drop(base);
        Err("no such package".to_owned())
    }
    let line = line!();
    let base = image("debian");
    let tools = base.fork(|state| state.run(args::<&str>([])));
    let config = base.fork(|state| state.copy(image("Config"), "/", "/"));
    let layered = base.fork(|state| state.layer(broken()));
    let state = base.merge([tools, config, layered]);
    assert_mistakes(
        &state,
        &[
            (line + 2, "arguments are required"),
            (line + 3, "must be lowercase"),
            (line + 4, "no such package"),
        ],
    );
}

#[test]
fn in_file_actions_and_the_chains_that_they_copy() {
    let line = line!();
    let made = mkdir("/d", 0o755)
        .copy(image("Inner"), "/", "/d")
        .on(image("Base"));
    let none = file::actions().on(scratch());
    let files = copy(made, "/d", "/d").copy(image("Second"), "/", "/");
    let state = scratch().file(files.copy(none, "/", "/"));
    assert_mistakes(
        &state,
        &[
            (line + 2, "Inner"),
            (line + 3, "Base"),
            (line + 4, "action is required"),
            (line + 5, "Second"),
        ],
    );
}

#[test]
fn in_deferred_states() {
    let line = line!();
    let state = image("debian")
        .deferred(|base, _| base.run(args::<&str>([])))
        .run(sh("x").mount(bind("/m", scratch().deferred(|_, _| image("Deferred")))))
        .deferred(|_, _| Err::<State, _>("offline"))
        .run(args::<&str>([]));
    assert_mistakes(
        &state,
        &[
            (line + 2, "arguments are required"),
            (line + 3, "Deferred"),
            (line + 4, "a deferred state failed: offline"),
            (line + 5, "arguments are required"),
        ],
    );
}

#[test]
fn in_merges_and_passthroughs() {
    let line = line!();
    let state = merge([
        Merge::new([image("a")]).exact().state(),
        Passthrough::new("").output(image("b")).state(),
        Passthrough::new("id").input(image("c")).state(),
        Passthrough::new("id").output(image("d")).state_at(1),
        image("e").requires("", [image("F")]),
        diff(image("G"), image("h").run(args::<&str>([]))),
        image("i").with_output_of(&scratch().with_output_of(&image("J"))),
        image("k").reset(&image("L")),
    ]);
    assert_mistakes(
        &state,
        &[
            (line + 2, "merge must have at least 2 inputs"),
            (line + 3, "passthrough requires an id"),
            (line + 4, "passthrough must have at least one output"),
            (line + 5, "invalid passthrough output 1"),
            (line + 6, "image \"F\""),
            (line + 6, "passthrough requires an id"),
            (line + 7, "arguments are required"),
            (line + 7, "image \"G\""),
            (line + 8, "image \"J\""),
        ],
    );
}

#[test]
fn what_is_the_result_of_nothing_wrong_is_not_blamed() {
    // The broken branch is not part of the graph.
    let base = image("alpine");
    let _broken = base.run(args::<&str>([]));
    assert!(
        base.run(sh("true"))
            .marshal(&MarshalOptions::linux_amd64())
            .is_ok()
    );
}

#[test]
fn once_though_many_states_are_made_of_it() {
    let line = line!();
    let broken = image("Broken");
    let state = merge([broken.run(sh("a")), broken.run(sh("b")), broken.clone()]);
    assert_mistakes(&state, &[(line + 1, "must be lowercase")]);
    let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ErrorKind::Source);
}
