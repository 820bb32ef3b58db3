//! Local directories that are large: many files, one huge file. Memory stays bounded and work grows
//! with the size.
//!
//! A process of its own, because the peak of memory is that of the process. To see the figures:
//! `cargo test -p llb --features client --test client_load --release -- --nocapture`.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]
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
use std::path::Path;
use std::time::{Duration, Instant};

use graph::{Exec, Graph};
use llb::client::{Client, Export, Solve};
use testbed::containerd;

/// What a process may grow by while it sends or receives, in KiB.
const GROWTH: u64 = 96 << 10;

/// A number of this process from `/proc/self/status`, in KiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Starts a new peak of memory.
fn reset_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    memory("VmRSS")
}

/// What this process has worked so far, in hundredths of a second. Unlike time, it does not depend on what else runs.
fn worked() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn send(client: &Client, directory: &Path) -> Duration {
    let mut graph = Graph::default();
    let source = graph.source("local://context", &[]);
    let solve = Solve::definition(graph.definition(source, 0)).local("context", directory);
    let start = Instant::now();
    client.solve(solve, &mut ()).await.unwrap();
    start.elapsed()
}

fn many_files(root: &Path, count: usize) {
    for file in 0..count {
        let directory = root.join(format!("{}/{}", file % 20, file / 20 % 25));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{file}.txt")), file.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_and_work_linear() {
    let client = containerd().await;
    let report = |what: &str, time: Duration, before: u64| {
        let growth = memory("VmHWM").saturating_sub(before);
        println!(
            "{what}: {:.2} s, memory grew by {growth} KiB at most",
            time.as_secs_f64()
        );
        assert!(growth < GROWTH, "{what}: {growth} KiB");
    };

    let home = tempfile::tempdir().unwrap();
    let mut work = Vec::new();
    for count in [2_500, 10_000] {
        let root = home.path().join(count.to_string());
        many_files(&root, count);
        let (before, start) = (reset_peak(), worked());
        let time = send(&client, &root).await;
        work.push(worked() - start);
        report(&format!("{count} files in"), time, before);
        let before = reset_peak();
        let again = send(&client, &root).await;
        report(&format!("{count} files in, unchanged"), again, before);
    }
    // Four times the files are eight times the work at most.
    assert!(work[1] < work[0] * 8 + 100, "{work:?}");

    let root = home.path().join("huge");
    fs::create_dir(&root).unwrap();
    let huge = fs::File::create(root.join("model.bin")).unwrap();
    huge.set_len(1 << 30).unwrap();
    let before = reset_peak();
    let time = send(&client, &root).await;
    report("1 GiB in", time, before);

    let mut graph = Graph::default();
    let base = graph.debian();
    let exec = graph.exec(Exec::new(
        base,
        "head -c 1073741824 /dev/zero > /out/model.bin",
    ));
    let definition = graph.definition(exec, 1);
    client
        .solve(Solve::definition(definition.clone()), &mut ())
        .await
        .unwrap();
    for (what, export) in [
        (
            "1 GiB out, directory",
            Export::local(home.path().join("out")),
        ),
        (
            "1 GiB out, archive",
            Export::tar(home.path().join("out.tar")),
        ),
    ] {
        let before = reset_peak();
        let start = Instant::now();
        let solve = Solve::definition(definition.clone()).export(export);
        client.solve(solve, &mut ()).await.unwrap();
        report(what, start.elapsed(), before);
    }
    let model = fs::metadata(home.path().join("out/model.bin")).unwrap();
    assert_eq!(model.len(), 1 << 30);
}
