//! What builds leave behind: nothing. Alone in its process, because it counts what the process has.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]
#![expect(
    clippy::disallowed_methods,
    reason = "files and clock are what the client is about"
)]

#[path = "client/testbed.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod testbed;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use llb::client::{Cancel, Client, Export, Solve};
use llb::gateway::Build;
use llb::prelude::*;
use llb::progress::{Event, Progress};
use testbed::{containerd, unique};

/// Cancels a build when it says something.
struct WhenSaid(&'static str, Cancel);

impl Progress for WhenSaid {
    fn event(&mut self, event: &Event) {
        if let Event::Log(log) = event
            && String::from_utf8_lossy(&log.data).contains(self.0)
        {
            self.1.cancel();
        }
    }
}

fn step(script: &str) -> State {
    image("debian:bookworm-slim").run(sh(script).network(Network::None))
}

fn solve(state: &State) -> Solve {
    Solve::state(state, &MarshalOptions::linux_amd64()).unwrap()
}

/// Builds that end in every way there is.
async fn round(client: &Client, home: &Path, mark: &str) {
    let input = scratch().copy(local("context"), "/", "/");
    let exported = solve(&input)
        .local("context", home.join("in"))
        .export(Export::local(home.join("out")))
        .export(Export::oci(home.join("out.tar")));
    client.solve(exported, &mut ()).await.unwrap();

    let failing = solve(&step(&format!("exit 3; : {}", unique())));
    client.solve(failing, &mut ()).await.unwrap_err();

    let endless = step(&format!("echo begun; sleep 600; : {mark} {}", unique()));
    let cancel = Cancel::new();
    let canceled = solve(&endless).cancel(&cancel);
    let mut progress = WhenSaid("begun", cancel);
    client.solve(canceled, &mut progress).await.unwrap_err();

    let dropped = step(&format!("sleep 600; : {mark} {}", unique()));
    let mut ignore = ();
    let dropped = client.build(Solve::build(), &mut ignore, async |cx: &mut Build| {
        let solved = cx.solve(&dropped).await?;
        solved.evaluate().await?;
        Ok(scratch())
    });
    let waited = tokio::time::timeout(Duration::from_millis(500), dropped).await;
    assert!(waited.is_err());

    let entered = async |cx: &mut Build| {
        let look = sh(format!("sleep 600; : {mark}")).network(Network::None);
        let container = cx.container(image("debian:bookworm-slim"), look).await?;
        let process = container.command().spawn().await?;
        let beside = container.command_with(["true"]).output().await?;
        beside.check()?;
        drop((process, container));
        Ok(scratch())
    };
    client
        .build(Solve::build(), &mut (), entered)
        .await
        .unwrap();
}

/// Open files and running tasks.
fn held() -> (usize, usize) {
    let files = fs::read_dir("/proc/self/fd").unwrap().count();
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    (files, tasks)
}

/// Processes of this machine with a text in their command.
fn processes(mark: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(mark))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_leave_no_files_tasks_or_containers() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    fs::write(home.path().join("in/file"), unique()).unwrap();
    let mark = format!("mark-{}", unique());
    // The first round makes what stays: a connection, threads for files.
    round(&client, home.path(), &mark).await;
    let before = settled(&mark, None).await;
    for _ in 0..5 {
        round(&client, home.path(), &mark).await;
    }
    let after = settled(&mark, Some(before)).await;
    assert!(
        after.0 <= before.0 && after.1 <= before.1,
        "files and tasks: {before:?} before, {after:?} after"
    );
    let mut left: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["in", "out", "out.tar"]);
}

/// What is held when the daemon has ended all containers, and no more than before if that is reached in time.
async fn settled(mark: &str, before: Option<(usize, usize)>) -> (usize, usize) {
    let start = Instant::now();
    loop {
        let (held, running) = (held(), processes(mark));
        let is_settled = before.is_none_or(|before| held.0 <= before.0 && held.1 <= before.1);
        if running == 0 && is_settled {
            return held;
        }
        if start.elapsed() > Duration::from_secs(120) {
            assert_eq!(running, 0, "containers are left");
            return held;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
