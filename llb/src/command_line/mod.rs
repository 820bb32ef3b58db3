//! What the command lines of the `llb` tool and of programs made by [`#[builder]`](macro@crate::builder) have in common.

mod daemon;
mod fields;
mod options;
pub mod output;
mod shell;
mod terminal;

pub use daemon::Daemon;
pub use fields::pair;
pub use options::{BuildOptions, cache, ssh};
pub use shell::{OnError, open_shell};

/// Runs what waits for a daemon.
///
/// # Errors
///
/// Those of the work, or why there is no runtime for it.
pub fn wait<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| format!("failed to start: {error}"))?;
    let result = runtime.block_on(work);
    // A thread that waits for a file or a helper program does not keep the program.
    runtime.shutdown_background();
    result
}
