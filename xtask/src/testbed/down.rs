//! `down`: stops what the testbed started, all of it and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::layout::Layout;
use super::lock::Lock;
use super::mounts::{remove_tree, unmount_below};
use super::process::{self, Identity};
use super::report::Report;
use super::state::State;
use super::{cgroups, process::executable};

/// How long engines may take to end, their containers gone.
const ENGINE_GRACE: Duration = Duration::from_secs(10);

/// How long other daemons may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Stops the testbed; with `purge`, deletes its folder too.
pub(crate) fn down(layout: &Layout, purge: bool, report: &Report) -> Result<()> {
    if !layout.root().exists() {
        report.say("nothing to stop: there is no testbed");
        return Ok(());
    }
    let _lock = Lock::acquire(layout, report)?;
    stop(layout, report)?;
    if purge {
        report.step(&format!("delete {}", layout.root().display()), || {
            remove_tree(layout.root())
        })?;
    }
    report.say("down");
    Ok(())
}

/// Stops all processes of the testbed and takes away sockets, mounts and cgroups.
///
/// Works from what is there, not from records, so it also clears up after runs that were killed.
/// The caller holds the lock.
pub(crate) fn stop(layout: &Layout, report: &Report) -> Result<()> {
    // Whoever reads the state from here on shall not find a testbed that is going away.
    match fs::remove_file(layout.state()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("cannot delete the state file");
        }
        _ => {}
    }
    let running = process::marked(layout);
    let confined = cgroups::processes(layout);
    if !running.is_empty() || !confined.is_empty() {
        report.step("stop the daemons", || {
            stop_processes(layout, &running);
            let left = process::marked(layout);
            ensure!(
                left.is_empty(),
                "processes do not end: {:?}; look for processes in state D with ps",
                left.iter().map(|process| process.pid).collect::<Vec<_>>()
            );
            Ok(())
        })?;
    }
    cgroups::remove(layout);
    remove_shim_sockets(layout);
    unmount_below(layout.root())?;
    unmount_below(layout.run())?;
    remove_tree(layout.run())
}

/// Ends engines first, so that they end their containers; then whatever is left.
fn stop_processes(layout: &Layout, running: &[Identity]) {
    let named = |name: &str| -> Vec<Identity> {
        running
            .iter()
            .filter(|process| {
                executable(process.pid)
                    .is_some_and(|program| Path::new(&program).file_name() == Some(name.as_ref()))
            })
            .cloned()
            .collect()
    };
    // What a killed `up` left at work, before daemons: it may still be starting some.
    let daemons = [
        "dockerd",
        "containerd",
        "docker-registry",
        "containerd-shim-runc-v2",
    ]
    .map(named);
    let workers: Vec<Identity> = running
        .iter()
        .filter(|process| !daemons.iter().flatten().any(|daemon| daemon == *process))
        .cloned()
        .collect();
    process::kill(&workers);
    let [engines, containerd, registry, shims] = daemons;
    // Containers of a testbed are worth no grace; an engine that knows it is going away does not
    // start them again.
    process::ask_to_end(&engines);
    process::kill(&cgroups::processes(layout));
    process::terminate(&engines, ENGINE_GRACE);
    process::kill(&cgroups::processes(layout));
    process::kill(&shims);
    process::terminate(&[containerd, registry].concat(), GRACE);
    process::kill(&process::marked(layout));
}

/// Takes away the sockets that containerd's shims keep outside of any folder of ours, when a shim
/// was killed before it could.
fn remove_shim_sockets(layout: &Layout) {
    let tasks = layout
        .run()
        .join("containerd/io.containerd.runtime.v2.task");
    for namespace in entries(&tasks) {
        for task in entries(&namespace) {
            for record in ["address", "bootstrap.json"] {
                let text = fs::read_to_string(task.join(record)).unwrap_or_default();
                if let Some(socket) = shim_socket(&text) {
                    let _gone_already = fs::remove_file(socket);
                }
            }
        }
    }
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// The path in a shim's record, which is a bare address or JSON that holds one.
fn shim_socket(record: &str) -> Option<&str> {
    let start = record.find("unix:///run/containerd/s/")? + "unix://".len();
    let end = record[start..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '/')
        .map_or(record.len(), |end| start + end);
    Some(&record[start..end])
}

/// The testbed's state after a crash of the machine is stale; tell so.
pub(crate) fn is_stale(state: &State) -> bool {
    state.boot_id != process::boot_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_shim_is_read_from_both_records() {
        let socket = Some("/run/containerd/s/00ff");
        assert_eq!(shim_socket("unix:///run/containerd/s/00ff"), socket);
        let json = r#"{"version":3,"address":"unix:///run/containerd/s/00ff","protocol":"ttrpc"}"#;
        assert_eq!(shim_socket(json), socket);
        assert_eq!(shim_socket(r#"{"address":"unix:///etc/passwd"}"#), None);
    }
}
