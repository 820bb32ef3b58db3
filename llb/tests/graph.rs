//! Graphs as a whole: depth, sharing, determinism, collected mistakes.

use llb::prelude::*;

fn options() -> MarshalOptions {
    MarshalOptions::linux_amd64()
}

fn chain(length: usize) -> State {
    (0..length).fold(image("alpine"), |state, step| {
        state.run(args(["echo".to_owned(), step.to_string()]))
    })
}

#[test]
fn a_chain_of_a_hundred_thousand_ops_needs_no_stack() {
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let count = thread.spawn(|| chain(100_000).marshal(&options()).unwrap().ops().len());
    assert_eq!(count.unwrap().join().unwrap(), 100_002);
}

#[test]
fn a_ladder_of_merges_is_not_walked_path_by_path() {
    let top = (0..200).fold(image("alpine"), |state, step| {
        merge([
            state.run(sh(format!("echo left {step}"))),
            state.run(sh(format!("echo right {step}"))),
        ])
    });
    assert_eq!(top.marshal(&options()).unwrap().ops().len(), 3 * 200 + 2);
}

#[test]
fn equal_ops_made_apart_are_one_op() {
    let build = || image("alpine").run(sh("make"));
    let both = merge([build().mkdir("/a", 0o755), build().mkdir("/b", 0o755)]);
    let definition = both.marshal(&options()).unwrap();
    assert_eq!(
        definition.ops().len(),
        6,
        "source, exec, two file ops, merge, result"
    );
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let build = || {
        image("debian")
            .env("B", "2")
            .env("A", "1")
            .label("z", "1")
            .run(sh("make").mount(secret("/s").id("token")).mount(ssh()))
            .copy(local("context").exclude([".git"]), "/", "/src")
    };
    let first = build().marshal(&options()).unwrap();
    let second = build().marshal(&options()).unwrap();
    assert_eq!(first.to_bytes(), second.to_bytes());
}

#[test]
fn a_state_can_be_marshalled_for_several_platforms() {
    let state = image("alpine").run(sh("make"));
    let amd64 = state.marshal(&options()).unwrap();
    let arm64 = state.marshal(&MarshalOptions::linux_arm64()).unwrap();
    assert_ne!(amd64.head(), arm64.head());
    assert_eq!(state.marshal(&options()).unwrap().head(), amd64.head());
}

#[test]
fn image_config_and_names_enter_no_digest() {
    let plain = image("alpine").run(sh("make"));
    let named = image("alpine")
        .label("l", "1")
        .entrypoint(["x"])
        .run(sh("make").name("compile"));
    assert_eq!(
        plain.marshal(&options()).unwrap().head(),
        named.marshal(&options()).unwrap().head()
    );
}

#[test]
fn all_mistakes_are_reported_each_with_its_line() {
    let bad_image = image("not a reference");
    let exec = bad_image.run(args::<&str>([]));
    let state = exec.copy(image("UPPER"), "/", "/");
    let error = state.marshal(&options()).unwrap_err();
    let found: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().all(|problem| problem.contains("graph.rs:")));
}

#[test]
fn a_mistake_is_reported_once_however_often_its_state_is_used() {
    let base = image("alpine");
    let contradiction = base.merge([
        base.fork(|state| state.env("A", "1")),
        base.fork(|state| state.env("A", "2")),
    ]);
    let state = contradiction
        .run(sh("a"))
        .copy(&contradiction, "/", "/copied");
    let error = state.marshal(&options()).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn taking_what_cannot_be_taken_is_a_mistake() {
    let exec = image("alpine").exec(sh("x").mount(tmpfs("/t")).mount(cache("/c", "id")));
    for (target, expected) in [
        ("/t", "tmpfs mount for /t can't be used as a parent"),
        ("/c", "invalid mount: /c"),
        ("/nope", "\"/nope\" is not mounted"),
    ] {
        let error = exec.output(target).mkdir("/a", 0o755).marshal(&options());
        let error = error.unwrap_err();
        assert_eq!(error.problems().len(), 1);
        assert!(
            error.problems()[0].message().starts_with(expected),
            "{error}"
        );
    }
}

#[test]
fn what_a_mistake_kept_from_being_marshalled_can_be_marshalled_without_it() {
    let good = || image("alpine").run(sh("make")).mkdir("/a", 0o755);
    let shared = good();
    let bad = merge([shared.clone(), shared.run(args::<&str>([]))]);
    assert!(bad.marshal(&options()).is_err());
    for _ in 0..2 {
        let again = shared.run(sh("go on")).marshal(&options()).unwrap();
        assert_eq!(again, good().run(sh("go on")).marshal(&options()).unwrap());
    }
}

#[test]
fn what_equal_ops_say_of_themselves_is_united_where_both_are_there() {
    let named = |key: &str| {
        let exec = sh("make").description(key, "1");
        image("alpine").run(exec).mkdir(format!("/{key}"), 0o755)
    };
    let said = |state: &State| {
        let definition = state.marshal(&options()).unwrap();
        let mut keys: Vec<String> = Vec::new();
        for op in definition.ops() {
            keys.extend(op.metadata().description.keys().cloned());
        }
        keys
    };
    let (one, other) = (named("one"), named("other"));
    assert_eq!(said(&merge([&one, &other])), ["one", "other"]);
    assert_eq!(
        (said(&one), said(&other)),
        (vec!["one".to_owned()], vec!["other".to_owned()])
    );
    assert_eq!(said(&merge([&other, &one])), ["one", "other"]);
}

#[test]
fn an_output_is_an_input_once_however_often_it_is_mounted() {
    let base = image("alpine");
    let exec = sh("make")
        .mount(bind("/a", &base))
        .mount(bind("/b", image("alpine")).readonly())
        .mount(bind("/c", image("debian")).readonly());
    let definition = base.run(exec).marshal(&options()).unwrap();
    assert_eq!(
        definition.to_text(),
        r#"
platform linux/amd64
%alpine = source "docker-image://docker.io/library/alpine:latest"
%debian = source "docker-image://docker.io/library/debian:latest"
%make = exec "/bin/sh" "-c" "make" cwd=/ {
  / = %alpine -> out0
  /a = %alpine -> out1
  /b = %alpine readonly
  /c = %debian readonly
}
return %make
"#
        .trim_start()
    );
    let read = Definition::from_bytes(&definition.to_bytes()).unwrap();
    assert_eq!(read.canonical().unwrap(), definition);
}

#[test]
fn states_can_be_sent_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<State>();
    check::<Definition>();
    check::<llb::Error>();
}
