//! Processes that are surely ours.
//!
//! A process id alone names nothing for long: the kernel gives it away again. Two things make it
//! safe to signal one. An [`Identity`] is the id together with the time its process started, and
//! signals go through a pidfd that was opened before the identity was checked. And every process
//! started by the testbed carries [`MARK`] with the testbed's folder in its environment, which
//! its children inherit; so what a killed run left behind, shims and half-done debootstraps
//! included, is found without any record of it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// Name of the environment variable that marks our processes; its value is the testbed's folder.
const MARK: &str = "LLB_TESTBED_MARK";

/// One process, told from all others since the machine started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Process id.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did (field 22 of `/proc/PID/stat`).
    pub(crate) start_time: u64,
}

impl Identity {
    /// The process that has `pid` now; `None` when there is none or it is a zombie.
    pub(crate) fn of(pid: u32) -> Option<Identity> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let start_time = start_time(&stat)?;
        Some(Identity { pid, start_time })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal if this very process still runs; whether it did.
    fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        // The pidfd comes first: once it is open the id cannot pass to another process unseen.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        self.is_alive() && pidfd_send_signal(handle, signal).is_ok()
    }
}

/// Puts the testbed's mark into the environment of `command`.
pub(crate) fn mark(command: &mut Command, layout: &Layout) {
    command.env(MARK, layout.root());
}

/// All running processes that carry the mark of this testbed.
pub(crate) fn marked(layout: &Layout) -> Vec<Identity> {
    let wanted = format!("{MARK}={}", layout.root().display());
    processes()
        .filter(|pid| {
            *pid != std::process::id()
                && fs::read(format!("/proc/{pid}/environ"))
                    .is_ok_and(|environment| has_entry(&environment, wanted.as_bytes()))
        })
        .filter_map(Identity::of)
        .collect()
}

/// Asks processes to end and does not wait.
pub(crate) fn ask_to_end(processes: &[Identity]) {
    for process in processes {
        process.signal(Signal::TERM);
    }
}

/// Asks processes to end, waits up to `grace`, then kills what is left.
pub(crate) fn terminate(processes: &[Identity], grace: Duration) {
    ask_to_end(processes);
    if wait_gone(processes, grace) {
        return;
    }
    for process in processes {
        process.signal(Signal::KILL);
    }
    wait_gone(processes, Duration::from_secs(10));
}

/// Kills at once.
pub(crate) fn kill(processes: &[Identity]) {
    terminate(processes, Duration::ZERO);
}

/// The program file of a process, as the kernel knows it.
pub(crate) fn executable(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// Which start of the machine this is; process identities hold only within one.
pub(crate) fn boot_id() -> String {
    fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id"))
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn wait_gone(processes: &[Identity], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if !processes.iter().any(Identity::is_alive) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The start time in a line of `/proc/PID/stat`; `None` for zombies and dead processes.
///
/// The second field is the program's name in parentheses, which may itself hold spaces and
/// parentheses; so fields are counted from the last closing one.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    // The state is field 3, the start time field 22.
    fields.nth(22 - 4)?.parse().ok()
}

fn has_entry(environment: &[u8], wanted: &[u8]) -> bool {
    environment
        .split(|byte| *byte == 0)
        .any(|entry| entry == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 7 0 98765 \
                        1 2 3";

    #[test]
    fn start_time_is_read_past_a_name_with_parentheses() {
        assert_eq!(start_time(STAT), Some(98765));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        assert_eq!(start_time(&STAT.replace(") S ", ") Z ")), None);
    }

    #[test]
    fn a_reused_process_id_is_not_the_same_process() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let earlier = Identity {
            start_time: own.start_time - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        assert!(!earlier.signal(Signal::KILL), "this very test was signaled");
    }

    #[test]
    fn a_mark_is_matched_as_a_whole() {
        let environment = b"PATH=/bin\0LLB_TESTBED_MARK=/srv/a\0HOME=/root\0";
        assert!(has_entry(environment, b"LLB_TESTBED_MARK=/srv/a"));
        assert!(!has_entry(environment, b"LLB_TESTBED_MARK=/srv"));
        assert!(!has_entry(environment, b"LLB_TESTBED_MARK=/srv/a/b"));
    }

    #[test]
    fn marked_processes_and_their_children_are_found_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 600 & wait"]);
        mark(&mut command, &layout);
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while marked(&layout).len() < 2 {
            assert!(Instant::now() < deadline, "{:?}", marked(&layout));
            sleep(Duration::from_millis(10));
        }
        kill(&marked(&layout));
        child.wait().unwrap();
        assert_eq!(marked(&layout), []);
    }
}
