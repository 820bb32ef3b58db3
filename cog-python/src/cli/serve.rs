//! `serve` and `exec`: a model's server, or a command in its environment, until it ends.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::args::{ExecCommand, ServeCommand};
use super::{Failure, Interrupts, local, print, runtime};
use crate::engine::{Container, Engine, Gpus, Task};

/// Runs `serve`: until it is interrupted, which is the way to end it.
pub(super) fn serve(command: &ServeCommand) -> Result<(), Failure> {
    let mut chosen = local::choose(
        command.image.as_deref(),
        &command.plan,
        &command.build,
        &command.launch,
        Some(Task::Predict),
        |_| Ok(()),
    )?;
    chosen.launch.listen = Some(SocketAddr::new(command.host, command.port));
    if let Some(url) = &command.upload_url {
        let words = ["python", "-m", "cog.server.http", "--upload-url", url];
        chosen.launch.command = Some(words.map(str::to_owned).to_vec());
    }
    runtime()?.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let engine = Engine::connect(command.launch.docker_host.as_deref()).await?;
        let container = Container::start(engine, &chosen.launch).await?;
        let limit = Duration::from_secs(command.launch.setup_timeout);
        let served = async {
            container.ready(limit).await?;
            print(&format!("http://{}\n", container.address()))?;
            Err(container.follow().await)
        };
        let result = tokio::select! {
            result = served => result,
            _ = interrupts.wait() => Ok(()),
        };
        container.remove().await;
        result
    })
}

/// Whether this computer has a driver of NVIDIA's.
fn nvidia() -> bool {
    std::path::Path::new("/proc/driver/nvidia/version").exists()
}

/// Runs `exec`; fails with the command's own exit code.
pub(super) fn exec(command: &ExecCommand) -> Result<(), Failure> {
    let mut chosen = local::choose(
        None,
        &command.plan,
        &command.build,
        &command.launch,
        None,
        |_| Ok(()),
    )?;
    chosen.launch.command = Some(command.command.clone());
    chosen.launch.publish.clone_from(&command.publish);
    if chosen.launch.gpus == Gpus::IfThere && !nvidia() {
        chosen.launch.gpus = Gpus::None;
    }
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let engine = Engine::connect(command.launch.docker_host.as_deref()).await?;
        let container = Container::prepare(engine, &chosen.launch).await?;
        let result = tokio::select! {
            result = container.finish() => result,
            failure = interrupts.wait() => Err(failure),
        };
        container.remove().await;
        result
    });
    // A thread that reads a terminal does not end by itself.
    runtime.shutdown_background();
    let code = code?;
    if code == 0 {
        return Ok(());
    }
    // Nothing is left to tell a person whose terminal is gone.
    let _ = std::io::stdout().lock().flush();
    Err(Failure::silent(u8::try_from(code).unwrap_or(1)))
}
