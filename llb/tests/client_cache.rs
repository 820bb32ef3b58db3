//! What one build leaves in the cache for the next.
//!
//! Each of these tests builds alone: an engine that has just been started has to pull the base image, and as long as any
//! build holds on to it, the BuildKit of the testbed gives its cache keys to no build that asks for it later. That build
//! runs again what follows the image, though its result is there. Later versions of BuildKit do find it.

#![expect(
    clippy::disallowed_methods,
    reason = "files, environment and clock are what the client is about"
)]

#[path = "client/graph.rs"]
#[expect(dead_code, reason = "shared with the other tests of the client")]
mod graph;
#[path = "client/testbed.rs"]
#[expect(dead_code, reason = "shared with the other tests of the client")]
mod testbed;

use std::fs;

use graph::script;
use llb::client::{CacheOption, Export, Solve};
use llb::progress::{Recorder, StepState};
use serde_json::Value;
use testbed::{Testbed, containerd, engine, unique};
use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program builds.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

#[tokio::test]
async fn a_second_build_runs_nothing_again() {
    let _alone = alone().await;
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let text = format!("echo {} > /out/id", unique());
        let mut first = Recorder::new();
        client
            .solve(Solve::definition(script(&text)), &mut first)
            .await
            .unwrap();
        let step = first.summary().by_name(&text).unwrap();
        assert_eq!(step.state(), StepState::Executed, "{name}");

        let outcome = client
            .solve(Solve::definition(script(&text)), &mut ())
            .await
            .unwrap();
        let step = outcome.summary().by_name(&text).unwrap();
        assert_eq!(step.state(), StepState::Cached, "{name}");

        let again = Solve::definition(script(&text)).no_cache();
        let outcome = client.solve(again, &mut ()).await.unwrap();
        let step = outcome.summary().by_name(&text).unwrap();
        assert_eq!(step.state(), StepState::Executed, "{name}, no cache");
    }
}

#[tokio::test]
async fn a_cache_in_a_registry_spares_another_engine_the_work() {
    let _alone = alone().await;
    let text = format!("echo {} > /out/id", unique());
    let reference = format!(
        "{}/client-test/cache:{}",
        Testbed::find().registry(),
        unique()
    );
    let writer = containerd().await;
    let cache = CacheOption::registry(&reference).attribute("mode", "max");
    let solve = Solve::definition(script(&text)).cache_to(cache);
    writer.solve(solve, &mut ()).await.unwrap();

    let reader = engine("graphdriver").await;
    let solve = Solve::definition(script(&text)).cache_from(CacheOption::registry(&reference));
    let outcome = reader.solve(solve, &mut ()).await.unwrap();
    let step = outcome.summary().by_name(&text).unwrap();
    assert_eq!(step.state(), StepState::Cached);
}

#[tokio::test]
async fn proxies_reach_steps_and_are_in_no_cache_key() {
    use llb::prelude::*;
    let _alone = alone().await;
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let text = format!("echo $HTTP_PROXY $https_proxy > /seen; : {}", unique());
    for (turn, state) in [
        ("first", StepState::Executed),
        ("second", StepState::Cached),
    ] {
        let proxy = llb::ProxyEnv {
            http_proxy: format!("http://{turn}.example"),
            https_proxy: "http://secure.example".into(),
            ..llb::ProxyEnv::default()
        };
        let step = sh(&text).network(Network::None).proxy(proxy);
        let seen = scratch().copy(image("debian:bookworm-slim").run(step), "/seen", "/seen");
        let out = home.path().join(turn);
        let solve = Solve::state(&seen, &MarshalOptions::linux_amd64()).unwrap();
        let solve = solve.export(Export::local(&out));
        let outcome = client.solve(solve, &mut ()).await.unwrap();
        let step = outcome.summary().by_name("$HTTP_PROXY").unwrap();
        assert_eq!(step.state(), state, "{turn}");
        let seen = fs::read_to_string(out.join("seen")).unwrap();
        assert_eq!(seen, "http://first.example http://secure.example\n");
    }
}

#[tokio::test]
async fn a_cache_in_a_directory_serves_another_daemon() {
    let _alone = alone().await;
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let id = unique();
    let text = format!("echo {id} > /out/id; date +%N >> /out/id");
    let writer = containerd().await;
    let option = CacheOption::local(&cache).attribute("mode", "max");
    let write = Solve::definition(script(&text)).cache_to(option.clone());
    let one = home.path().join("one");
    let write = write.cache_from(option.clone()).export(Export::local(&one));
    writer.solve(write, &mut ()).await.unwrap();
    let first = fs::read_to_string(one.join("id")).unwrap();
    assert!(first.starts_with(&id));
    let index: Value =
        serde_json::from_slice(&fs::read(cache.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);

    // It has never run the step, and gets its files from the cache.
    let reader = engine("graphdriver").await;
    let mut recorder = Recorder::new();
    let out = home.path().join("two");
    let read = Solve::definition(script(&text))
        .cache_from(option)
        .export(Export::local(&out));
    reader.solve(read, &mut recorder).await.unwrap();
    assert_eq!(
        recorder.summary().by_name(&text).unwrap().state(),
        StepState::Cached
    );
    assert_eq!(fs::read_to_string(out.join("id")).unwrap(), first);
}
