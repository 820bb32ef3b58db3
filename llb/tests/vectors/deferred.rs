//! Deferred states: the graph is that of the results of their functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use llb::prelude::*;
use llb::value::Platform;
use llb::{Build, Diff, Merge, Passthrough};

use crate::support::{marshal, options, options_for, vectors};

vectors! {
    async_basic => {
        image("a")
            .dir("/a")
            .deferred(|base, options| base.env("ARCH", &options.target_platform().architecture).dir("sub"))
            .run(shlex("x"))
    };
    async_replaces_output => {
        let resolved = |_, _: &MarshalOptions| image("resolved").run(shlex("prep"));
        let state = scratch().deferred(resolved).file(mkdir("/d", 0o755));
        marshal(&state, &options_for(Platform::LINUX_ARM64))
    };
    async_scratch_top => image("a").deferred(|_, _| scratch());
    async_err => image("a").deferred(|_, _| Err::<State, _>("resolver says no")).run(shlex("x"));
    async_in_merge => {
        let deferred = image("a").deferred(|base, _| base.dir("/as"));
        merge([scratch(), deferred, image("b")]).run(shlex("x"))
    };
}

/// A state that is made by a function, once deferred and once at once.
fn both(program: impl Fn(&dyn Fn(State) -> State) -> State, name: &str) {
    let make = |base: State| {
        base.env("BASE", "1")
            .dir("sub")
            .run(shlex("prepare"))
            .label("made", "yes")
    };
    let deferred = program(&|base| base.deferred(move |base, _| make(base)));
    let at_once = program(&make);
    let (deferred, resolved) = (
        deferred.marshal(&options()),
        deferred.resolve(&options()).image_config().clone(),
    );
    match (deferred, at_once.marshal(&options())) {
        (Ok(deferred), Ok(at_once)) => assert_eq!(deferred, at_once, "{name}"),
        (Err(deferred), Err(at_once)) => {
            // The lines are those of the program, so they are the same too.
            assert_eq!(deferred.to_string(), at_once.to_string(), "{name}");
        }
        (deferred, at_once) => panic!("{name}: {deferred:?} is not {at_once:?}"),
    }
    assert_eq!(&resolved, at_once.image_config(), "{name}");
}

#[test]
fn every_method_gives_what_it_gives_on_the_result() {
    type Program = fn(&dyn Fn(State) -> State) -> State;
    let programs: &[(&str, Program)] = &[
        ("values", |make| {
            make(image("a"))
                .env("A", "1")
                .unset_env("BASE")
                .dir("b")
                .user("u")
                .hostname("h")
                .platform(&Platform::LINUX_ARM64)
                .prepend_path("/opt/bin")
                .entrypoint(["e"])
                .workdir("/w")
                .run(shlex("x"))
        }),
        ("image config", |make| {
            let config = br#"{"config":{"Env":["A=1"],"WorkingDir":"w","Labels":{"l":"1"}}}"#;
            make(image("a"))
                .with_image_config(config)
                .unwrap()
                .run(shlex("x"))
        }),
        ("exec settings", |make| {
            let command = shlex("x")
                .env("A", "1")
                .dir("d")
                .with(|state| state.user("u"));
            make(image("a")).run(command).run(shlex("y"))
        }),
        ("a deferred state under one command", |make| {
            let other = make(image("b"));
            image("a").run(shlex("x").with(move |state| state.with_output_of(&other)))
        }),
        ("outputs of an exec", |make| {
            let command = shlex("x")
                .output("/out", make(image("out")))
                .mount(bind("/ro", make(image("ro"))).readonly());
            let ran = image("a").exec(command);
            merge([
                ran.root(),
                ran.output("/out").run(shlex("y")),
                ran.output("/ro"),
                ran.get_mount("/out"),
                ran.get_mount("/missing"),
            ])
        }),
        ("an output that cannot be taken", |make| {
            make(image("a"))
                .exec(shlex("x").mount(cache("/cache", "id")))
                .output("/cache")
        }),
        ("files", |make| {
            let bound = mkfile("f", 0o644, "f")
                .copy(make(image("c")), "g", "h")
                .on(make(image("b")));
            let actions = copy(bound.clone(), "f", "one")
                .copy(bound, "f", "two")
                .copy(make(image("d")), "x", "y")
                .mkdir("z", 0o755);
            make(image("a")).file(actions).rm("one")
        }),
        ("copies of a deferred state", |make| {
            image("a").copy(make(image("b")), "x", "/y")
        }),
        ("differences", |make| {
            let base = make(image("a"));
            merge([
                diff(&base, base.run(shlex("x"))),
                diff(image("b"), make(image("b"))),
            ])
        }),
        ("exact ops", |make| {
            let all = Diff::new(scratch(), make(image("a"))).exact().state();
            Merge::new([all, make(image("b"))]).exact().state()
        }),
        ("a merge that is exactly one", |make| {
            Merge::new([make(image("a"))]).exact().state()
        }),
        ("forks", |make| {
            let base = make(image("a"));
            base.merge([
                base.fork(|state| state.env("A", "1").mkdir("/a", 0o755)),
                base.fork(|state| state.env("B", "1").mkdir("/b", 0o755)),
            ])
        }),
        ("forks that contradict each other", |make| {
            let base = make(image("a"));
            base.merge([
                base.fork(|state| state.env("A", "1")),
                base.fork(|state| state.env("A", "2")),
            ])
        }),
        ("squash", |make| {
            make(image("a")).squash(|state| state.run(shlex("x")).run(shlex("y")))
        }),
        ("a deferred layer", |make| {
            image("a").squash(|state| make(state.run(shlex("x"))))
        }),
        ("named layers", |make| {
            image("a").layer(layer::named("tools", |state| make(state).run(shlex("x"))))
        }),
        ("build", |make| {
            Build::new(make(image("a"))).filename("f").state()
        }),
        ("passthrough", |make| {
            let states = Passthrough::new("id")
                .output(scratch())
                .output(make(image("a")))
                .input(image("b"))
                .output(image("c"))
                .states();
            assert_eq!(states.len(), 2);
            merge(states)
        }),
        ("requires", |make| {
            make(image("a")).requires("id", [make(image("b"))])
        }),
        ("reset", |make| {
            let left = make(image("a"))
                .reset(&image("b").user("u"))
                .run(shlex("x"));
            image("c")
                .reset(&make(image("d")))
                .run(shlex("y").mount(bind("/left", left)))
        }),
    ];
    for (name, program) in programs {
        both(program, name);
    }
}

#[test]
fn a_result_that_is_scratch_is_scratch() {
    let nothing = image("a").deferred(|_, _| scratch());
    let state = merge([nothing.clone(), image("b")]);
    assert_eq!(
        state.marshal(&options()).unwrap(),
        image("b").marshal(&options()).unwrap()
    );

    let states = Passthrough::new("id")
        .output(&nothing)
        .output(image("b"))
        .states();
    let by_hand = Passthrough::new("id").output(image("b")).state();
    assert_eq!(states[0].marshal(&options()).unwrap().ops().len(), 0);
    assert_eq!(
        states[1].marshal(&options()).unwrap(),
        by_hand.marshal(&options()).unwrap()
    );

    let error = Build::new(nothing).state().marshal(&options()).unwrap_err();
    assert!(error.to_string().contains("this one is scratch"), "{error}");
}

#[test]
fn a_function_is_called_once_for_the_same_options() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let base = image("a").deferred(move |base, options| {
        counter.fetch_add(1, Ordering::Relaxed);
        base.env("ARCH", &options.target_platform().architecture)
    });
    let state = merge([base.run(shlex("x")), base.run(shlex("y")), base.clone()]);
    let first = state.marshal(&options()).unwrap();
    base.run(shlex("z")).marshal(&options()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);

    let other = state.marshal(&options_for(Platform::LINUX_ARM64)).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_ne!(first, other);
    assert_eq!(state.marshal(&options()).unwrap(), first);
}

#[test]
fn a_function_that_failed_is_asked_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let state = image("a").deferred(move |base, _| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Err("not now"),
        _ => Ok(base.env("A", "1")),
    });
    let state = state.run(args::<&str>([]));
    let error = state.marshal(&options()).unwrap_err();
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|problem| {
        problem.starts_with("a deferred state failed: not now (at ")
            && problem.contains("deferred.rs:")
    }));
    let error = state.marshal(&options()).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn a_function_may_return_a_deferred_state() {
    let inner = image("a")
        .deferred(|base, _| base.env("A", "1"))
        .run(shlex("x"));
    let outer = scratch()
        .deferred(move |_, _| inner.deferred(|base, _| base.run(shlex("y"))).env("B", "1"));
    let by_hand = image("a")
        .env("A", "1")
        .run(shlex("x"))
        .run(shlex("y"))
        .env("B", "1");
    assert_eq!(
        outer.run(shlex("z")).marshal(&options()).unwrap(),
        by_hand.run(shlex("z")).marshal(&options()).unwrap(),
    );
}

#[test]
fn long_chains_need_no_stack() {
    const LENGTH: usize = 20_000;
    let chain = |base: State| (0..LENGTH).fold(base, |state, _| state.run(shlex("x")));
    let deferred = chain(image("a").deferred(|base, _| base.env("A", "1")));
    let by_hand = chain(image("a").env("A", "1"));
    assert_eq!(
        deferred.marshal(&options()).unwrap(),
        by_hand.marshal(&options()).unwrap()
    );

    let nested = (0..LENGTH).fold(image("a"), |state, _| {
        state.deferred(|base, _| base.copy(image("b"), "/", "/"))
    });
    assert!(nested.marshal(&options()).is_ok());
    let copied = (0..LENGTH).fold(nested, |state, _| scratch().copy(state, "/", "/"));
    assert!(copied.marshal(&options()).is_ok());
}
