//! What goes wrong around a build: daemons that die, disks that fill, those who are slow, and many at once.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use llb::client::{Cancel, ErrorKind, Export, Secret, Solve};
use llb::prelude::*;
use llb::progress::{Event, Plain, Progress, Recorder, StepState};
use tokio::sync::mpsc;

use super::graph::{Exec, Graph, script};
use super::own_engine::OwnEngine;
use super::testbed::{containerd, unique};

/// Reports when output contains a text.
struct WhenSaid(&'static str, mpsc::UnboundedSender<()>);

impl Progress for WhenSaid {
    fn event(&mut self, event: &Event) {
        if let Event::Log(log) = event
            && String::from_utf8_lossy(&log.data).contains(self.0)
        {
            self.1.send(()).ok();
        }
    }
}

/// Takes its time over every event.
#[derive(Default)]
struct Slow(usize);

impl Progress for Slow {
    fn event(&mut self, _: &Event) {
        self.0 += 1;
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[tokio::test]
async fn a_daemon_that_is_killed_and_comes_back() {
    let mut engine = OwnEngine::start();
    let client = engine.connect().await;
    let out = engine.home.join("out");
    let (sender, mut begun) = mpsc::unbounded_channel();
    let mut progress = WhenSaid("begun", sender);
    let solve = Solve::definition(script("echo begun; sleep 60")).export(Export::local(&out));
    let killing = async {
        begun.recv().await;
        engine.kill();
        Instant::now()
    };
    let (result, killed) = tokio::join!(client.solve(solve, &mut progress), killing);
    assert!(killed.elapsed() < Duration::from_secs(45));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert!(!out.exists());

    // The same connection leads to the daemon that took its place.
    engine.restart();
    engine.connect().await;
    let state = scratch().mkfile("/id", 0o644, unique());
    let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
    client
        .solve(solve.export(Export::local(&out)), &mut ())
        .await
        .unwrap();
    assert!(out.join("id").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_builds_of_one_process() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let mut builds = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (client, out) = (client.clone(), home.path().join(number.to_string()));
        let directory = home.path().join(format!("{number}.in"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("number"), number.to_string()).unwrap();
        let state = scratch().copy(local("context"), "/number", "/number");
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
        let solve = solve
            .local("context", directory)
            .export(Export::local(&out));
        builds.spawn(async move {
            client.solve(solve, &mut ()).await.unwrap();
            assert_eq!(
                fs::read_to_string(out.join("number")).unwrap(),
                number.to_string()
            );
        });
    }
    while let Some(built) = builds.join_next().await {
        built.unwrap();
    }
}

#[tokio::test]
async fn thousands_of_events_and_a_huge_log_for_one_who_is_slow() {
    let client = containerd().await;
    let id = unique();
    // Neither too many layers on each other, nor too many beside each other.
    let all = (0..10).fold(scratch(), |all, chain| {
        let files = (0..20).fold(scratch(), |state, file| {
            state.mkfile(format!("/{chain}-{file}"), 0o644, id.as_str())
        });
        all.copy(files, "/", format!("/{chain}"))
    });
    let solve = Solve::state(&all, &MarshalOptions::linux_amd64()).unwrap();
    let mut slow = Slow::default();
    let outcome = client.solve(solve, &mut slow).await.unwrap();
    assert!(slow.0 > 400, "{}", slow.0);
    assert_eq!(outcome.summary().count(StepState::Executed), 210);

    let noise =
        format!("head -c 1000000 /dev/zero | tr '\\0' 'x' | fold -w 100; echo {id} > /out/id");
    let mut recorder = Recorder::new();
    let solve = Solve::definition(script(&noise));
    client
        .solve(solve, &mut (Slow::default(), &mut recorder))
        .await
        .unwrap();
    let step = recorder.summary().by_name("head -c").unwrap();
    assert_eq!(step.state(), StepState::Executed);
    assert!(step.output().len() <= 1000, "what is kept is bounded");
}

#[tokio::test]
async fn a_full_disk_fails_the_build_and_leaves_nothing() {
    /// A file system of a megabyte.
    struct Small(tempfile::TempDir);
    impl Drop for Small {
        fn drop(&mut self) {
            drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
        }
    }
    let client = containerd().await;
    let small = Small(tempfile::tempdir().unwrap());
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(small.0.path())
        .status();
    assert!(mounted.unwrap().success());
    let text = format!("head -c 8000000 /dev/urandom > /out/large; : {}", unique());
    let at = |name: &str| small.0.path().join(name);
    for export in [
        Export::local(at("tree")),
        Export::tar(at("tree.tar")),
        Export::oci(at("image.tar")),
        Export::oci_directory(at("layout")),
    ] {
        let start = Instant::now();
        let solve = Solve::definition(script(&text)).export(export.clone());
        let error = client.solve(solve, &mut ()).await.unwrap_err();
        assert!(
            error.to_string().contains("No space left on device"),
            "{error}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{:?}",
            start.elapsed()
        );
        let left: Vec<_> = fs::read_dir(small.0.path()).unwrap().collect();
        assert!(left.is_empty(), "{export:?}: {left:?}");
    }
}

#[tokio::test]
async fn a_canceled_build_says_so_and_stops_its_steps() {
    let client = containerd().await;
    let cancel = Cancel::new();
    let (sender, mut begun) = mpsc::unbounded_channel();
    let text = format!("echo begun; sleep 600; : {}", unique());
    let mut recorder = Recorder::new();
    let mut progress = (WhenSaid("begun", sender), &mut recorder);
    let solve = Solve::definition(script(&text)).cancel(&cancel);
    let canceling = async {
        begun.recv().await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(client.solve(solve, &mut progress), canceling);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Canceled, "{error}");
    assert!(error.to_string().contains("has stopped it"), "{error}");
    let step = recorder.summary().by_name(&text).unwrap();
    assert!(
        step.error().unwrap().ends_with("context canceled"),
        "{step:?}"
    );
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_a_build_produces() {
    use llb::proto::pb;
    const VALUE: &str = "hunter2-and-a-half";
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "test -s /run/secrets/token; test -n \"$TOKEN\"; exit 9; : {}",
        unique()
    );
    let mut graph = Graph::default();
    let base = graph.debian();
    let mut exec = Exec::new(base, &text);
    exec.mounts = vec![pb::Mount {
        input: -1,
        dest: "/run/secrets/token".to_owned(),
        output: -1,
        mount_type: pb::MountType::Secret.into(),
        secret_opt: Some(pb::SecretOpt {
            id: "token".to_owned(),
            mode: 0o400,
            ..pb::SecretOpt::default()
        }),
        ..pb::Mount::default()
    }];
    exec.secret_env = vec![pb::SecretEnv {
        id: "token".into(),
        name: "TOKEN".into(),
        optional: false,
    }];
    let exec = graph.exec(exec);
    let definition = graph.definition(exec, 1);
    let solve = Solve::definition(definition.clone())
        .secret("token", Secret::bytes(VALUE))
        .export(Export::local(home.path().join("out")));
    let shown = format!("{solve:?}");
    let mut plain = Plain::new(Vec::new());
    let mut recorder = Recorder::new();
    let error = client
        .solve(solve, &mut (&mut plain, &mut recorder))
        .await
        .unwrap_err();
    assert_eq!(error.step().unwrap().exit_code, Some(9));
    for produced in [
        shown,
        format!("{definition:?}"),
        format!("{error} {error:?}"),
        format!("{:?}", std::error::Error::source(&error)),
        format!("{:?}", recorder.summary()),
        String::from_utf8(plain.into_inner()).unwrap(),
    ] {
        assert!(!produced.contains(VALUE), "{produced}");
    }
}
