//! Contexts that are no directories: Git repositories, downloads, layouts; as the main context and by name.

use std::collections::BTreeMap;
use std::fs;

use llb::client::{Export, Solve};
use llb::prelude::*;

use super::servers::{Repository, http, tar};
use super::testbed::{engine, unique};
use super::{ENGINES, Project, docker_build_of, frontend};

/// Says what the file of the context says, in two parts, so that only a run of it can have said it.
async fn appfile(more: &str) -> String {
    format!(
        "# syntax={}\nbase debian:bookworm-slim\ncopy word /app/\n{more}run echo \"it is\" $(cat /app/*)\n",
        frontend().await
    )
}

#[tokio::test]
async fn docker_build_takes_repositories_downloads_and_layouts() {
    let home = tempfile::tempdir().unwrap();
    let (word, other) = (unique(), unique());
    let app = appfile("").await;
    let repository = Repository::serve(
        home.path(),
        &[
            ("Appfile", &app),
            ("word/w", &word),
            ("sub/Appfile", &app),
            ("sub/word/w", &other),
        ],
    );
    let archive = tar(&[("Appfile", &app), ("word/w", &word)]);
    let server = http([("context.tar", archive)].into());
    let project = Project::new("base debian:bookworm-slim\n").await;
    for engine in ENGINES {
        for (context, said) in [
            (format!("{}#main", repository.url), &word),
            (format!("{}#main:sub", repository.url), &other),
            (format!("{server}/context.tar"), &word),
        ] {
            let args = ["--no-cache"];
            let (success, text) = docker_build_of(&project, engine, &args, &context);
            assert!(success, "{engine}, {context}: {text}");
            assert!(
                text.contains(&format!(" it is {said}")),
                "{engine}, {context}: {text}"
            );
        }
        let context = format!("{}#no-such-branch", repository.url);
        let (success, text) = docker_build_of(&project, engine, &[], &context);
        assert!(
            !success && text.contains("no-such-branch"),
            "{engine}: {text}"
        );
    }
}

#[tokio::test]
async fn docker_build_takes_named_contexts_of_every_kind() {
    let home = tempfile::tempdir().unwrap();
    let words = ["directory", "repository", "download", "layout"]
        .map(|kind| format!("{kind}-{}", unique()));
    let [directory, repository, download, layout] = &words;
    let path = |name: &str| home.path().join(name).display().to_string();
    fs::create_dir(path("files")).unwrap();
    fs::write(path("files/d"), directory).unwrap();
    let served = Repository::serve(home.path(), &[("r", repository)]);
    let server = http(BTreeMap::from([("word", download.clone().into_bytes())]));
    let state = scratch().mkfile("/l", 0o644, layout.as_str());
    let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
    let solve = solve.export(Export::oci_directory(path("layout")));
    engine("containerd")
        .await
        .solve(solve, &mut ())
        .await
        .unwrap();

    let project = Project::new(
        "base debian:bookworm-slim\ncopy d /app/ from=files\ncopy r /app/ from=repo\ncopy . /app/ from=web\n\
         copy l /app/ from=oci\nrun echo \"it is\" $(cat /app/d) $(cat /app/r) $(cat /app/context) $(cat /app/l)\n",
    )
    .await;
    let contexts = [
        format!("files={}", path("files")),
        format!("repo={}#main", served.url),
        format!("web={server}/word"),
        format!("oci=oci-layout://{}", path("layout")),
    ];
    let args: Vec<_> = contexts
        .iter()
        .flat_map(|one| ["--build-context", one])
        .collect();
    let (success, text) = docker_build_of(&project, "containerd", &args, ".");
    assert!(success, "{text}");
    let said = format!(" it is {}", words.join(" "));
    assert!(text.contains(&said), "{text}");

    // An engine with a graph driver reads no layouts, and everything else.
    let (success, text) = docker_build_of(&project, "graphdriver", &args, ".");
    assert!(!success, "{text}");
    assert!(
        text.contains("hint: Docker engines read OCI layouts only with"),
        "{text}"
    );
    let others = &args[..args.len() - 2];
    let local = format!("oci={}", path("more"));
    fs::create_dir(path("more")).unwrap();
    fs::write(path("more/l"), layout).unwrap();
    let args = [others, &["--build-context", &local]].concat();
    let (success, text) = docker_build_of(&project, "graphdriver", &args, ".");
    assert!(success && text.contains(&said), "{text}");
}

#[tokio::test]
async fn the_client_hands_contexts_to_a_frontend_from_an_image() {
    let home = tempfile::tempdir().unwrap();
    let (word, layer) = (unique(), unique());
    let app = appfile("copy l /app/ from=oci\n").await;
    let repository = Repository::serve(home.path(), &[("Appfile", &app), ("word/w", &word)]);
    let archive = tar(&[("Appfile", &app), ("word/w", &word)]);
    let server = http([("context.tar", archive)].into());
    let layout = home.path().join("layout");
    let state = scratch().mkfile("/l", 0o644, &*layer);
    let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
    let solve = solve.export(Export::oci_directory(&layout));
    let made = engine("containerd")
        .await
        .solve(solve, &mut ())
        .await
        .unwrap();
    let oci = format!("oci-layout://images@{}", made.image_digest().unwrap());
    let client = engine("containerd").await;
    for (number, context) in [
        format!("{}#main", repository.url),
        format!("{server}/context.tar"),
    ]
    .iter()
    .enumerate()
    {
        let out = home.path().join(number.to_string());
        let solve = Solve::frontend("gateway.v0")
            .attribute("source", frontend().await)
            .attribute("force-network-mode", "none")
            .attribute("context", context)
            .attribute("context:oci", &oci)
            .oci_layout("images", &layout)
            .export(Export::local(&out));
        client.solve(solve, &mut ()).await.unwrap();
        let read = |name: &str| fs::read_to_string(out.join("app").join(name)).unwrap();
        assert_eq!(read("w"), word, "{context}");
        assert_eq!(read("l"), layer, "{context}");
    }
}
