//! The same graph on an engine with merges and on one without.

use llb::client::{ErrorKind, Export, Solve};
use llb::lower::{Effect, Policy, Replacement};
use llb::prelude::*;
use llb::progress::Recorder;

use super::testbed::{engine, helper, unique};

/// Forks of which one changes what the other looks at.
fn merged(id: &str) -> State {
    let base = image("debian:bookworm-slim")
        .mkdir("/opt/box", 0o755)
        .mkfile("/opt/box/id", 0o644, id);
    let offline = |script: &str| sh(script).network(Network::None);
    let one = base.fork(|state| {
        state.run(offline(
            "chmod 700 /opt/box && echo one > /opt/box/one && rm /etc/motd",
        ))
    });
    let two = base.fork(|state| {
        state
            .run(offline(
                "ls /opt/box > /opt/box/seen && ln /opt/box/seen /opt/box/again",
            ))
            .run(offline("rm /opt/box/id"))
    });
    base.merge([one, two])
}

/// What is in the box, and about the box.
fn look(state: &State) -> State {
    let script = "stat -c '%a %n' /opt/box /opt/box/* > /out/found; cat /opt/box/seen >> /out/found; \
                  test /opt/box/seen -ef /opt/box/again && echo linked >> /out/found; test -e /etc/motd || echo gone >> /out/found";
    let look = sh(script).network(Network::None).output("/out", scratch());
    state.exec(look).output("/out")
}

const FOUND: &str = "755 /opt/box
644 /opt/box/again
644 /opt/box/one
644 /opt/box/seen
id
seen
linked
gone
";

#[tokio::test]
async fn a_graph_with_merges_builds_the_same_on_both_engines() {
    let state = look(&merged(&unique()));
    for (name, lowered) in [("containerd", false), ("graphdriver", true)] {
        let home = tempfile::tempdir().unwrap();
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64())
            .unwrap()
            .lowering(Policy::new().helper(helper()))
            .export(Export::local(home.path()));
        let outcome = engine(name).await.solve(solve, &mut ()).await.unwrap();
        let found = std::fs::read_to_string(home.path().join("found")).unwrap();
        assert_eq!(found, FOUND, "{name}");
        let replaced: Vec<_> = outcome
            .lowerings()
            .iter()
            .map(|lowering| (lowering.to, lowering.effect))
            .collect();
        let expected = if lowered {
            vec![(Replacement::Apply, Effect::Same)]
        } else {
            vec![]
        };
        assert_eq!(replaced, expected, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_replaced_is_refused_before_the_build() {
    let mut recorder = Recorder::new();
    let solve = Solve::state(&merged(&unique()), &MarshalOptions::linux_amd64()).unwrap();
    let solve = solve.lowering(Policy::new());
    let error = engine("graphdriver")
        .await
        .solve(solve, &mut recorder)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    let text = error.to_string();
    assert!(
        text.contains("nothing can take the place of the merge `%merge-mkfile-id`"),
        "{text}"
    );
    assert!(text.contains("chain_with_warning"), "{text}");
    assert_eq!(recorder.summary().executed(), 0);
}

#[tokio::test]
async fn a_chain_that_may_differ_is_a_warning_of_the_build() {
    let mut recorder = Recorder::new();
    let solve = Solve::state(&merged(&unique()), &MarshalOptions::linux_amd64()).unwrap();
    let solve = solve.lowering(Policy::new().chain_with_warning());
    let outcome = engine("graphdriver")
        .await
        .solve(solve, &mut recorder)
        .await
        .unwrap();
    assert_eq!(outcome.lowerings()[0].effect, Effect::MayDiffer);
    let warnings = recorder.summary().warnings();
    assert!(
        warnings[0]
            .short
            .contains("mergeop -> chain: the files may differ"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn proven_chains_need_no_helper() {
    let id = unique();
    let base = scratch().mkdir("/one", 0o755).mkdir("/two", 0o700);
    let forks =
        ["/one/file", "/two/file"].map(|path| base.fork(|state| state.mkfile(path, 0o640, &*id)));
    let state = base.merge(forks);
    for name in ["containerd", "graphdriver"] {
        let home = tempfile::tempdir().unwrap();
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
        let solve = solve
            .lowering(Policy::new())
            .export(Export::local(home.path()));
        engine(name).await.solve(solve, &mut ()).await.unwrap();
        for path in ["one/file", "two/file"] {
            assert_eq!(std::fs::read_to_string(home.path().join(path)).unwrap(), id);
        }
    }
}
