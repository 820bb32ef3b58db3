//! Squashed layers: one layer of the image each, with what the ops left behind.

use llb::client::{Export, Solve};
use llb::prelude::*;

use super::images::get;
use super::testbed::{Testbed, containerd, unique};

/// Pushes the image of a state and gives the number of its layers.
async fn layers(state: &State) -> usize {
    let repository = format!("squash-test/{}", unique());
    let tag = format!("{}/{repository}:1", Testbed::find().registry());
    let solve = Solve::state(state, &MarshalOptions::linux_amd64()).unwrap();
    let solve = solve.export(Export::image(&tag).push(true));
    containerd().await.solve(solve, &mut ()).await.unwrap();
    let manifest = get(&format!("/v2/{repository}/manifests/1"));
    manifest["layers"].as_array().unwrap().len()
}

fn steps(base: &State, id: &str) -> State {
    base.mkfile("/id", 0o600, id)
        .run(sh("touch /temporary && mkdir /kept && rm -r /usr/share/doc").network(Network::None))
        .file(rm("/temporary"))
        .mkfile("/kept/file", 0o640, "kept")
}

#[tokio::test]
async fn many_steps_become_one_layer() {
    let id = unique();
    let base = image("debian:bookworm-slim");
    let before = layers(&base).await;
    assert_eq!(
        layers(&base.layer(|base| steps(&base, &id))).await,
        before + 4
    );
    assert_eq!(
        layers(&base.squash(|base| steps(&base, &id))).await,
        before + 1
    );
    // The reason for the squash: a difference to an ancestor is all the layers in between.
    let difference = diff(&base, steps(&base, &id));
    assert_eq!(layers(&merge([base.clone(), difference])).await, before + 4);
    // One step was one layer before, and still is.
    let one = base.squash(|base| base.mkfile("/id", 0o600, &*id));
    assert_eq!(layers(&one).await, before + 1);
    let twice = base
        .squash(|base| steps(&base, &id))
        .squash(|base| base.file(rm("/id")).mkfile("/again", 0o644, &*id));
    assert_eq!(layers(&twice).await, before + 2);
}

#[tokio::test]
async fn steps_on_nothing_become_one_layer() {
    let id = unique();
    let state = scratch().squash(|base| {
        base.mkfile("/id", 0o600, id)
            .mkdir("/a", 0o755)
            .file(rm("/id"))
    });
    assert_eq!(layers(&state).await, 1);
}

#[tokio::test]
async fn a_squashed_layer_holds_what_the_steps_left_behind() {
    let id = unique();
    let base = image("debian:bookworm-slim");
    let look = |state: State| {
        let script = "ls -d /id /temporary /kept/file /usr/share/doc > /out/found 2> /dev/null; \
                      stat -c '%a %n' /id /kept/file / >> /out/found; true";
        state
            .exec(sh(script).network(Network::None).output("/out", scratch()))
            .output("/out")
    };
    let home = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (name, state) in [
        ("chain", base.layer(|base| steps(&base, &id))),
        ("squash", base.squash(|base| steps(&base, &id))),
    ] {
        let at = home.path().join(name);
        let solve = Solve::state(&look(state), &MarshalOptions::linux_amd64()).unwrap();
        let client = containerd().await;
        client
            .solve(solve.export(Export::local(&at)), &mut ())
            .await
            .unwrap();
        found.push(std::fs::read_to_string(at.join("found")).unwrap());
    }
    assert_eq!(
        found[0],
        "/id\n/kept/file\n600 /id\n640 /kept/file\n755 /\n"
    );
    assert_eq!(found[0], found[1]);
}
