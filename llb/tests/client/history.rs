//! The history of an image: what made each layer, and when.

use llb::ResolveMode;
use llb::client::{Export, Solve};
use llb::prelude::*;
use llb::value::Platform;
use serde_json::Value;

use super::images::get;
use super::testbed::{Testbed, containerd, unique};

/// Pushes the image of a state, dated like its commit, and gives its config.
async fn config(state: &State) -> Value {
    let repository = format!("history-test/{}", unique());
    let tag = format!("{}/{repository}:1", Testbed::find().registry());
    let export = Export::image(&tag)
        .push(true)
        .config(state.image_config().to_json(&Platform::LINUX_AMD64))
        .attribute("source-date-epoch", "1700000000");
    let solve = Solve::state(state, &MarshalOptions::linux_amd64()).unwrap();
    let outcome = containerd()
        .await
        .solve(solve.export(export), &mut ())
        .await;
    let outcome = outcome.unwrap();
    get(&format!(
        "/v2/{repository}/blobs/{}",
        outcome.config_digest().unwrap()
    ))
}

#[tokio::test]
async fn every_layer_has_its_step_in_the_history_behind_that_of_the_base() {
    let client = containerd().await;
    let found = client
        .resolve_image(
            "debian:bookworm-slim",
            &Platform::LINUX_AMD64,
            ResolveMode::Default,
        )
        .await
        .unwrap();
    let inherited: Value = serde_json::from_slice(&found.config).unwrap();
    let base = image("debian:bookworm-slim")
        .with_image_config(&found.config)
        .unwrap();
    let id = unique();
    let tools = base.fork(|base| base.run(sh(format!("echo {id} > /id")).network(Network::None)));
    let config_file =
        base.fork(|base| base.file(mkfile("/etc/app", 0o644, &*id).name("write config")));
    let config = config(&base.merge([tools, config_file])).await;

    let history = config["history"].as_array().unwrap();
    let before = inherited["history"].as_array().map_or(0, Vec::len);
    if let Some(inherited) = inherited["history"].as_array() {
        let made_by = |entry: &Value| entry["created_by"].clone();
        let kept: Vec<_> = history[..before].iter().map(made_by).collect();
        assert_eq!(kept, inherited.iter().map(made_by).collect::<Vec<_>>());
    }
    // The daemon names execs by their command, other ops by their name.
    let added: Vec<_> = history.iter().rev().take(2).rev().collect();
    for (entry, name) in added
        .iter()
        .zip([&*format!("echo {id} > /id"), "write config"])
    {
        let made_by = entry["created_by"].as_str().unwrap_or_default();
        assert!(made_by.contains(name), "{name}: {config:#}");
    }
    let layers = config["rootfs"]["diff_ids"].as_array().unwrap().len();
    let filled = history.iter().filter(|entry| entry["empty_layer"] != true);
    assert_eq!(filled.count(), layers, "{config:#}");
    // The date is that of this build, not that of the base.
    assert_eq!(config["created"], "2023-11-14T22:13:20Z", "{config:#}");
}
