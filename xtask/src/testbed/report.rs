//! Tells on stderr what happens, step by step, with times.

use std::time::Instant;

use anyhow::{Context, Result};

/// Reports steps; seconds count from its start.
#[derive(Debug)]
pub(crate) struct Report {
    started: Instant,
}

impl Report {
    /// Starts the clock.
    pub(crate) fn start() -> Report {
        Report {
            started: Instant::now(),
        }
    }

    /// Prints one line.
    #[expect(clippy::print_stderr, reason = "stderr is where a task reports to")]
    pub(crate) fn say(&self, message: &str) {
        eprintln!(
            "testbed {:6.1}s  {message}",
            self.started.elapsed().as_secs_f64()
        );
    }

    /// Runs one step, telling its name before and its time after.
    pub(crate) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.say(name);
        let started = Instant::now();
        let done = work().with_context(|| format!("failed to {name}"))?;
        self.say(&format!(
            "{name}: done in {:.1}s",
            started.elapsed().as_secs_f64()
        ));
        Ok(done)
    }
}
