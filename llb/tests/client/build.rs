//! Steps, caches, secrets and progress.

use llb::client::{Entitlement, Export, Secret, Solve, SshAgent};
use llb::progress::Plain;
use llb::proto::pb;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::graph::{Exec, Graph, script};
use super::testbed::{containerd, unique};

#[tokio::test]
async fn steps_are_found_by_the_digest_of_their_op() {
    let client = containerd().await;
    let mut graph = Graph::default();
    let base = graph.debian();
    let text = format!("echo {}", unique());
    let exec = graph.exec(Exec::new(base, &text));
    let digest = graph.digest(exec);
    let outcome = client
        .solve(Solve::definition(graph.definition(exec, 1)), &mut ())
        .await
        .unwrap();
    let step = outcome.summary().by_digest(&digest).unwrap();
    assert_eq!(step.name(), text);
    assert_eq!(step.output().len(), 1);
}

#[tokio::test]
async fn plain_progress_shows_steps_and_their_output() {
    let client = containerd().await;
    let id = unique();
    let mut plain = Plain::new(Vec::new());
    client
        .solve(
            Solve::definition(script(&format!("echo out-{id}; echo err-{id} >&2"))),
            &mut plain,
        )
        .await
        .unwrap();
    let text = String::from_utf8(plain.into_inner()).unwrap();
    for part in [
        format!(" out-{id}\n"),
        format!(" err-{id}\n"),
        "DONE".into(),
    ] {
        assert!(text.contains(&part), "{part} in\n{text}");
    }
}

#[tokio::test]
async fn secrets_reach_steps_as_files_and_variables() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "from-file").unwrap();
    let out = home.path().join("out");

    let mount = |id: &str, optional| pb::Mount {
        input: -1,
        dest: format!("/run/secrets/{id}"),
        output: -1,
        mount_type: pb::MountType::Secret.into(),
        secret_opt: Some(pb::SecretOpt {
            id: id.to_owned(),
            mode: 0o400,
            optional,
            ..pb::SecretOpt::default()
        }),
        ..pb::Mount::default()
    };
    let text = format!(
        ": {}; cat /run/secrets/token > /out/a; printf %s \"$KEY\" > /out/b; ls /run/secrets > /out/c",
        unique()
    );
    let definition = || {
        let mut graph = Graph::default();
        let base = graph.debian();
        let mut exec = Exec::new(base, &text);
        exec.mounts = vec![mount("token", false), mount("absent", true)];
        exec.secret_env = vec![pb::SecretEnv {
            id: "key".into(),
            name: "KEY".into(),
            optional: false,
        }];
        let exec = graph.exec(exec);
        graph.definition(exec, 1)
    };
    client
        .solve(
            Solve::definition(definition())
                .secret("token", Secret::file(home.path().join("token")))
                .secret("key", Secret::bytes("from-bytes"))
                .export(Export::local(&out)),
            &mut (),
        )
        .await
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(
        (read("a").as_str(), read("b").as_str()),
        ("from-file", "from-bytes")
    );
    assert_eq!(read("c"), "token\n");

    let without = Solve::definition(definition()).no_cache();
    let error = client.solve(without, &mut ()).await.unwrap_err();
    assert!(error.is_build(), "{error}");
    assert!(
        error.to_string().contains("token") || error.to_string().contains("key"),
        "{error}"
    );
}

#[tokio::test]
async fn ssh_agents_are_forwarded_to_steps() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("agent.sock");
    let agent = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = agent.accept().await.unwrap();
            tokio::spawn(async move {
                let mut question = [0; 4];
                stream.read_exact(&mut question).await.unwrap();
                let answer = format!("{} pong", String::from_utf8_lossy(&question));
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    let text = format!(
        "python3 -c 'import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(\"/agent\")\n\
         s.sendall(b\"ping\")\nopen(\"/out/answer\", \"wb\").write(s.makefile(\"rb\").read())' # {}",
        unique()
    );
    let definition = || {
        let mut graph = Graph::default();
        let base = graph.source("docker-image://docker.io/library/python:3.11-slim", &[]);
        let mut exec = Exec::new(base, &text);
        exec.mounts = vec![pb::Mount {
            input: -1,
            dest: "/agent".to_owned(),
            output: -1,
            mount_type: pb::MountType::Ssh.into(),
            ssh_opt: Some(pb::SshOpt {
                id: "default".to_owned(),
                mode: 0o600,
                ..pb::SshOpt::default()
            }),
            ..pb::Mount::default()
        }];
        let exec = graph.exec(exec);
        graph.definition(exec, 1)
    };
    let error = client
        .solve(Solve::definition(definition()), &mut ())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("ssh agent `default` was not given"),
        "{error}"
    );
    let out = home.path().join("out");
    client
        .solve(
            Solve::definition(definition())
                .ssh("default", SshAgent::socket(&socket))
                .export(Export::local(&out)),
            &mut (),
        )
        .await
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(out.join("answer")).unwrap(),
        "ping pong"
    );
}

#[tokio::test]
async fn privileges_have_to_be_allowed() {
    let client = containerd().await;
    let text = format!(": {}; cat /proc/net/dev > /out/dev", unique());
    let definition = || {
        let mut graph = Graph::default();
        let base = graph.debian();
        let mut exec = Exec::new(base, &text);
        exec.network = pb::NetMode::Host;
        let exec = graph.exec(exec);
        graph.definition(exec, 1)
    };
    let error = client
        .solve(Solve::definition(definition()), &mut ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("network.host"), "{error}");
    assert!(
        error.hint_text().is_some_and(|hint| hint.contains("allow")),
        "{error}"
    );
    client
        .solve(
            Solve::definition(definition()).allow(Entitlement::NetworkHost),
            &mut (),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn dockerfiles_are_built_with_their_context() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let id = unique();
    for (name, text) in [
        (
            "Dockerfile",
            "FROM scratch\nMAINTAINER me\nCOPY sub /data\n",
        ),
        (".dockerignore", "**/*.log\n"),
        ("sub/keep", id.as_str()),
        ("sub/drop.log", "x"),
    ] {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let out = home.path().join("out");
    let outcome = client
        .solve(
            Solve::frontend("dockerfile.v0")
                .local("context", home.path())
                .local("dockerfile", home.path())
                .export(Export::local(&out)),
            &mut (),
        )
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(out.join("data/keep")).unwrap(), id);
    assert!(!out.join("data/drop.log").exists());
    assert!(
        outcome
            .summary()
            .warnings()
            .iter()
            .any(|warning| warning.short.contains("MaintainerDeprecated")),
        "{:?}",
        outcome.summary().warnings()
    );
}

#[tokio::test]
async fn builds_at_the_same_time_do_not_see_each_others_folders() {
    // A definition of this crate is the same for both, down to the name of the folder.
    let script = format!(
        "sleep 0.3; mkdir /out; cat /in/id > /out/id; : {}",
        unique()
    );
    let script = llb::sh(script)
        .network(llb::Network::None)
        .mount(llb::bind("/in", llb::local("context")).readonly());
    let state = llb::image("debian:bookworm-slim").run(script);
    let state = llb::scratch().copy(state, "/out/id", "/id");
    let definition = state.marshal(&llb::MarshalOptions::linux_amd64()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let builds = ["one", "two", "three", "four"].map(|name| {
        let directory = home.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("id"), name).unwrap();
        let out = home.path().join(format!("{name}.out"));
        let definition = definition.clone();
        async move {
            let client = containerd().await;
            let solve = Solve::definition(definition)
                .local("context", &directory)
                .export(Export::local(&out));
            client.solve(solve, &mut ()).await.unwrap();
            std::fs::read_to_string(out.join("id")).unwrap()
        }
    });
    let [one, two, three, four] = builds;
    let ids = tokio::join!(one, two, three, four);
    assert_eq!(
        (&*ids.0, &*ids.1, &*ids.2, &*ids.3),
        ("one", "two", "three", "four")
    );
}
