//! Caches that another daemon builds from, and those that a daemon does not know.

use std::fs;

use llb::client::{CacheOption, ErrorKind, Export, Solve};
use llb::progress::StepState;

use super::graph::script;
use super::own_engine::OwnEngine;
use super::testbed::{Testbed, containerd, unique};

#[tokio::test]
async fn an_empty_daemon_builds_from_a_cache_only() {
    let writer = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let reference = format!(
        "{}/client-test/cache:{}",
        Testbed::find().registry(),
        unique()
    );
    for (kind, cache) in [
        ("registry", CacheOption::registry(reference)),
        ("local", CacheOption::local(home.path().join("cache"))),
    ] {
        // A step that ran twice would not say the same.
        let text = format!("echo {} | tee /out/id; date +%N >> /out/id", unique());
        let at = |name: &str| home.path().join(format!("{kind}-{name}"));
        let write = Solve::definition(script(&text))
            .cache_to(cache.clone().attribute("mode", "max"))
            .export(Export::local(at("written")));
        writer.solve(write, &mut ()).await.unwrap();
        for engine in ["containerd", "graphdriver"] {
            let own = OwnEngine::of_kind(engine);
            let empty = own.connect().await;
            assert_eq!(empty.disk_usage(&[]).await.unwrap().len(), 0);
            let read = Solve::definition(script(&text))
                .cache_from(cache.clone())
                .export(Export::local(at(engine)));
            let outcome = empty.solve(read, &mut ()).await.unwrap();
            let step = outcome.summary().by_name(&text).unwrap();
            // The other engine fetches the files when they are exported, and tells that as work of the step.
            if engine == "graphdriver" {
                assert_eq!(step.state(), StepState::Cached, "{kind}");
            }
            assert_eq!(step.output(), [""; 0], "{kind}, {engine}: it ran");
            assert_eq!(
                fs::read(at(engine).join("id")).unwrap(),
                fs::read(at("written").join("id")).unwrap(),
                "{kind}, {engine}"
            );
        }
    }
}

#[tokio::test]
async fn an_image_carries_the_cache_of_its_own_steps() {
    let writer = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let registry = Testbed::find().registry();
    let name = format!("{registry}/client-test/inline:{}", unique());
    let text = format!("echo {} | tee /out/id; date +%N >> /out/id", unique());
    let at = |name: &str| home.path().join(name);
    let write = Solve::definition(script(&text))
        .cache_to(CacheOption::inline())
        .export(Export::image(&name).push(true))
        .export(Export::local(at("written")));
    writer.solve(write, &mut ()).await.unwrap();
    let own = OwnEngine::of_kind("containerd");
    let empty = own.connect().await;
    let read = Solve::definition(script(&text))
        .cache_from(CacheOption::registry(&name))
        .export(Export::local(at("read")));
    let outcome = empty.solve(read, &mut ()).await.unwrap();
    let step = outcome.summary().by_name(&text).unwrap();
    assert_eq!(step.output(), [""; 0], "it ran");
    let id = |tree: &str| fs::read(at(tree).join("id")).unwrap();
    assert_eq!(id("read"), id("written"));
}

#[tokio::test]
async fn a_kind_of_cache_that_an_engine_lacks_is_named() {
    let client = containerd().await;
    let s3 = CacheOption::new("s3")
        .attribute("bucket", "b")
        .attribute("region", "r");
    let azblob = CacheOption::new("azblob").attribute("account_url", "https://a.example");
    for (kind, cache) in [("s3", s3), ("azblob", azblob)] {
        // A build can do without a cache to read, so that is a step which failed.
        let solve = Solve::definition(script("true")).cache_from(cache.clone());
        let outcome = client.solve(solve, &mut ()).await.unwrap();
        let import = outcome.summary().by_name("importing cache").unwrap();
        assert_eq!(
            import.error(),
            Some(&*format!("unknown cache importer: {kind}"))
        );
        let solve = Solve::definition(script("true")).cache_to(cache);
        let error = client.solve(solve, &mut ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("unknown cache exporter: \"{kind}\"")),
            "{text}"
        );
        assert!(
            text.contains("hint: Docker engines know fewer kinds"),
            "{text}"
        );
    }
}
