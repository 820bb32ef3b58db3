//! A definition is a function of the calls and the options.

use std::process::Command;

use llb::prelude::*;
use proptest::prelude::*;

use crate::graphs;

fn options() -> MarshalOptions {
    MarshalOptions::linux_amd64()
}

fn bytes(state: &State) -> Result<Vec<u8>, String> {
    match state.marshal(&options()) {
        Ok(definition) => Ok(definition.to_bytes()),
        Err(error) => Err(error.to_string()),
    }
}

/// Calls, and an order to make them in.
fn shuffled() -> impl Strategy<Value = (Vec<graphs::Call>, Vec<usize>)> {
    graphs::calls().prop_flat_map(|calls| {
        let order: Vec<usize> = (0..calls.len()).collect();
        (Just(calls), Just(order).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_order_of_independent_calls_shows_nowhere((calls, order) in shuffled()) {
        let expected = bytes(&graphs::build(&calls));
        prop_assert_eq!(bytes(&graphs::build_in_order(&calls, &order)), expected);
    }

    #[test]
    fn eight_threads_give_the_same_bytes(calls in graphs::calls()) {
        let shared = graphs::build(&calls);
        let expected = bytes(&shared);
        let (calls, shared) = (&calls, &shared);
        let same = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    // Half of them marshal one state, half build their own.
                    scope.spawn(move || if number % 2 == 0 { bytes(shared) } else { bytes(&graphs::build(calls)) })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).all(|bytes| bytes == expected)
        });
        prop_assert!(same);
    }

    #[test]
    fn what_was_marshalled_before_shows_nowhere(calls in graphs::calls(), other in graphs::calls()) {
        let arm = MarshalOptions::linux_arm64().ignore_cache();
        let extended = |state: &State, other: &State| {
            let more = state.run(sh("more").mount(bind("/other", other.clone())));
            merge([other.clone(), more, state.clone()])
        };
        let expected = bytes(&extended(&graphs::build(&calls), &graphs::build(&other)));
        // Every vertex remembers something: its op for these options, for others, or that of another graph.
        for first in [&arm, &options()] {
            let (state, other) = (graphs::build(&calls), graphs::build(&other));
            drop(state.marshal(first));
            drop(bytes(&other));
            drop(bytes(&state.mkdir("/x", 0o755)));
            let whole = extended(&state, &other);
            drop(whole.marshal(first));
            prop_assert_eq!(bytes(&whole), expected.clone());
            prop_assert_eq!(bytes(&whole), expected.clone());
        }
    }

    #[test]
    fn equal_graphs_built_apart_are_one(calls in graphs::calls()) {
        let Ok(one) = graphs::build(&calls).marshal(&options()) else { return Ok(()) };
        let both = merge([graphs::build(&calls), graphs::build(&calls)]).marshal(&options()).unwrap();
        if one.head().is_some() {
            prop_assert_eq!(both.ops().len(), one.ops().len() + 1);
            prop_assert_eq!(&both.ops()[..one.ops().len() - 1], &one.ops()[..one.ops().len() - 1]);
        }
    }
}

/// A graph with everything that might look at the machine: platforms, local sources, ids, a git repository over ssh.
fn sensitive() -> State {
    let source = local("context").exclude([".git"]);
    image("debian")
        .env("LANG", "C")
        .run(sh("make").mount(secret("/s").id("token")).mount(ssh()))
        .copy(source, "/", "/src")
        .copy(git("https://example.com/x.git"), "/", "/git")
}

/// The digest of [`sensitive`], where the parent asks for it.
#[test]
fn digest_for_the_other_process() {
    let definition = sensitive().marshal(&options()).unwrap();
    println!(
        "digest of all bytes: {}",
        llb::OpDigest::of(&definition.to_bytes())
    );
}

#[test]
fn two_processes_with_different_environments_give_the_same_bytes() {
    let definition = sensitive().marshal(&options()).unwrap();
    let expected = format!(
        "digest of all bytes: {}",
        llb::OpDigest::of(&definition.to_bytes())
    );
    for environment in [
        [
            ("HOME", "/nowhere"),
            ("TZ", "Asia/Kolkata"),
            ("LANG", "tr_TR.UTF-8"),
        ],
        [
            ("HOME", "/tmp"),
            ("TZ", "UTC"),
            ("DOCKER_DEFAULT_PLATFORM", "linux/arm64"),
        ],
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "determinism::digest_for_the_other_process",
                "--nocapture",
            ])
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.lines().any(|line| line.ends_with(&expected)),
            "{printed}"
        );
    }
}
