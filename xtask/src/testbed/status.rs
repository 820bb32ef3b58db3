//! `status`: what runs.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::daemon::answers;
use super::down::is_stale;
use super::http::Endpoint;
use super::layout::Layout;
use super::process;
use super::state::State;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// Whether everything runs and answers.
    pub(crate) up: bool,
    /// What does not, in words.
    broken: Vec<String>,
    /// Processes of this testbed, with their programs, whether recorded or not.
    processes: BTreeMap<u32, String>,
    /// The state file, if there is one.
    state: Option<State>,
}

impl Status {
    /// Looks at a testbed without changing it.
    pub(crate) fn of(layout: &Layout) -> Result<Status> {
        let state = State::load(layout)?;
        let broken = state.as_ref().map(broken).unwrap_or_default();
        let processes = process::marked(layout)
            .iter()
            .map(|process| {
                let program = process::executable(process.pid).unwrap_or_default();
                (process.pid, program)
            })
            .collect();
        Ok(Status {
            up: state.is_some() && broken.is_empty(),
            broken,
            processes,
            state,
        })
    }

    /// Prints to stdout, as JSON or in words.
    #[expect(
        clippy::print_stdout,
        reason = "the answer of `status` belongs on stdout"
    )]
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
        } else {
            print!("{}", self.words());
        }
        Ok(())
    }

    fn words(&self) -> String {
        let Some(state) = &self.state else {
            return match self.processes.len() {
                0 => "the testbed is down; start it with `cargo xtask testbed up`\n".to_owned(),
                left => format!(
                    "the testbed is starting, or was killed while it was: {left} processes; \
                     `cargo xtask testbed down` ends them\n"
                ),
            };
        };
        let mut lines = Vec::new();
        if self.up {
            lines.push("the testbed is up".to_owned());
        } else {
            lines.push("the testbed is broken; `cargo xtask testbed up` repairs it".to_owned());
            lines.extend(self.broken.iter().map(|trouble| format!("  {trouble}")));
        }
        for (name, engine) in &state.engines {
            let merge = if engine.merge {
                "merges"
            } else {
                "does not merge"
            };
            lines.push(format!(
                "engine    {name}: Docker {}, {merge}, DOCKER_HOST={}",
                engine.docker_version, engine.url
            ));
        }
        lines.push(format!("registry  {}", state.registry.url));
        for (name, image) in &state.images {
            lines.push(format!("image     {name} {}", image.digest));
        }
        for (suite, list) in &state.uv_python.lists {
            lines.push(format!(
                "uv        Python {} for {suite}: UV_PYTHON_DOWNLOADS_JSON_URL={}",
                list.versions.join(" and "),
                list.downloads_url
            ));
        }
        for (name, daemon) in &state.daemons {
            lines.push(format!(
                "process   {name} {}, log {}",
                daemon.process.pid,
                daemon.log.display()
            ));
        }
        lines.join("\n") + "\n"
    }
}

/// What of a recorded testbed does not run or answer, in words.
pub(crate) fn broken(state: &State) -> Vec<String> {
    if is_stale(state) {
        return vec!["the machine was restarted since".to_owned()];
    }
    let mut broken: Vec<String> = state
        .daemons
        .iter()
        .filter(|(_, daemon)| !daemon.process.is_alive())
        .map(|(name, daemon)| format!("{name} ended; see {}", daemon.log.display()))
        .collect();
    for (name, engine) in &state.engines {
        if !answers(&Endpoint::Unix(engine.socket.clone()), "/_ping") {
            broken.push(format!("engine {name} does not answer"));
        }
    }
    let port = state.registry.address.rsplit_once(':');
    let port = port.and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
    if !answers(&Endpoint::Loopback(port), "/v2/") {
        broken.push("the registry does not answer".to_owned());
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::state::tests::example;

    #[test]
    fn a_state_of_an_earlier_start_of_the_machine_is_broken() {
        assert_eq!(broken(&example()), ["the machine was restarted since"]);
    }

    #[test]
    fn a_state_without_its_processes_is_broken_part_by_part() {
        let mut state = example();
        state.boot_id = process::boot_id();
        state.registry.address = "127.0.0.1:0".to_owned();
        let broken = broken(&state);
        assert_eq!(broken.len(), 3, "{broken:?}");
        assert!(broken[0].contains("registry.log"), "{broken:?}");
    }

    #[test]
    fn a_testbed_that_never_was_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let status = Status::of(&Layout::new(folder.path()).unwrap()).unwrap();
        assert!(!status.up);
        assert!(status.words().contains("testbed up"));
    }
}
