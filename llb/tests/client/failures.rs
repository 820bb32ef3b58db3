//! Builds that fail, are canceled, or lose their daemon.

use std::time::{Duration, Instant};

use llb::client::{Address, Client, ErrorKind, Export, Solve};
use llb::progress::{Event, Plain, Progress};
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::graph::{Graph, script};
use super::testbed::{Testbed, containerd, engine, unique};

/// Reports when output contains a text.
struct WhenSaid(String, mpsc::UnboundedSender<()>);

impl Progress for WhenSaid {
    fn event(&mut self, event: &Event) {
        if let Event::Log(log) = event
            && String::from_utf8_lossy(&log.data).contains(&self.0)
        {
            self.1.send(()).ok();
        }
    }
}

/// Whether a process of this machine has a text among its arguments.
fn runs(text: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().any(|entry| {
        let path = entry.unwrap().path().join("cmdline");
        std::fs::read(path).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    })
}

#[tokio::test]
async fn a_failed_step_is_named_with_its_code_and_output() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let text = format!(
            "for i in $(seq 30); do echo line $i; done; echo {} >&2; exit 3",
            unique()
        );
        let mut plain = Plain::new(Vec::new());
        let error = client
            .solve(Solve::definition(script(&text)), &mut plain)
            .await
            .unwrap_err();
        assert!(error.is_build(), "{error}");
        let step = error.step().unwrap();
        assert_eq!(
            (step.name.as_str(), step.exit_code),
            (text.as_str(), Some(3))
        );
        assert_eq!(step.output.len(), 20, "{name}: {:?}", step.output);
        assert!(error.to_string().contains("exited with code 3"), "{error}");
        let shown = String::from_utf8(plain.into_inner()).unwrap();
        assert!(shown.contains("ERROR: "), "{shown}");
    }
}

#[tokio::test]
async fn a_step_of_an_image_with_a_config_fails_alike_on_both_engines() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let text = format!("echo {}; exit 5", unique());
        let config = br#"{"architecture":"amd64","os":"linux"}"#;
        let export = Export::image("client-test/never:1").config(config.as_slice());
        let solve = Solve::definition(script(&text)).export(export);
        let error = client.solve(solve, &mut ()).await.unwrap_err();
        assert!(error.is_build(), "{name}: {error}");
        let step = error.step().unwrap();
        assert_eq!(
            (step.name.as_str(), step.exit_code),
            (text.as_str(), Some(5)),
            "{name}"
        );
        assert_eq!(step.output.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_an_engine_lacks_is_named() {
    let client = containerd().await;
    let mut graph = Graph::default();
    let file = graph.file("/a", &unique());
    graph.needs(file, "no.such.capability");
    let solve = Solve::definition(graph.definition(file, 0));
    let error = client.solve(solve, &mut ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("no.such.capability"), "{error}");
}

#[tokio::test]
async fn dropping_a_build_cancels_it() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let id = unique();
    let text = format!("echo begun; sleep 600; : {id}");
    let (sender, mut begun) = mpsc::unbounded_channel();
    let mut progress = WhenSaid("begun".into(), sender);
    let solve = Solve::definition(script(&text)).export(Export::local(home.path().join("out")));
    {
        let building = client.solve(solve, &mut progress);
        tokio::select! {
            result = building => panic!("the build ended: {result:?}"),
            _ = begun.recv() => {}
        }
    }
    let start = Instant::now();
    while runs(&id) {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "the step still runs"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none());
    // The connection is still good.
    client.list_workers().await.unwrap();
}

#[tokio::test]
async fn a_lost_daemon_ends_the_build_at_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("proxy.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let Address::Unix(engine) = Testbed::find().address("containerd") else {
        panic!("the testbed's engines listen on sockets");
    };
    let (cut, mut cutting) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = tokio::select! {
                accepted = listener.accept() => accepted.unwrap(),
                _ = cutting.wait_for(|cut| *cut) => return,
            };
            let (engine, mut cutting) = (engine.clone(), cutting.clone());
            tokio::spawn(async move {
                let mut far = UnixStream::connect(engine).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = cutting.wait_for(|cut| *cut) => {}
                }
            });
        }
    });
    let client = Client::connect(&Address::unix(path)).await.unwrap();
    let (sender, mut begun) = mpsc::unbounded_channel();
    let mut progress = WhenSaid("begun".into(), sender);
    let text = format!("echo begun; sleep 600; : {}", unique());
    let solve = Solve::definition(script(&text)).export(Export::local(home.path().join("out")));
    let cutter = async {
        begun.recv().await;
        cut.send(true).unwrap();
        Instant::now()
    };
    let (result, start) = tokio::join!(client.solve(solve, &mut progress), cutter);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?} {error}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(!home.path().join("out").exists());
}

#[tokio::test]
async fn what_fails_at_once_is_told_at_once() {
    let client = containerd().await;
    let mut taken = Vec::new();
    // Waiting for progress that never comes takes five seconds, every time; a busy machine is not that busy every time.
    for _ in 0..10 {
        let start = Instant::now();
        let solve = Solve::frontend("no-such-frontend");
        let error = client.solve(solve, &mut ()).await.unwrap_err();
        assert!(error.to_string().contains("no-such-frontend"), "{error}");
        taken.push(start.elapsed());
        if taken.last() < Some(&Duration::from_secs(3)) {
            return;
        }
    }
    panic!("{taken:?}");
}
