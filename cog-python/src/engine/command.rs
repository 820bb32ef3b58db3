//! A command in a container, with this program's standard streams.

use std::io::Write;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::query_parameters::{AttachContainerOptions, WaitContainerOptions};
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;

use super::{Container, Engine, Launch};
use crate::cli::Failure;

/// Runs a command to its end; gives its exit code. The container must be removed by the caller.
impl Container {
    /// Makes a container whose command waits for [`finish`](Self::finish).
    pub(crate) async fn prepare(engine: Engine, launch: &Launch) -> Result<Self, Failure> {
        let bridge = engine.has_bridge().await?;
        Self::create(engine, launch, bridge, true).await
    }

    /// Starts the command, hands on what it is given and what it writes, and waits for its end; gives its exit code.
    pub(crate) async fn finish(&self) -> Result<i64, Failure> {
        let docker = &self.engine.docker;
        let options = AttachContainerOptions {
            stdin: true,
            stdout: true,
            stderr: true,
            stream: true,
            ..AttachContainerOptions::default()
        };
        let AttachContainerResults {
            mut output,
            mut input,
        } = docker
            .attach_container(&self.id, Some(options))
            .await
            .map_err(|error| self.engine.failure("attach to the container", &error))?;
        docker
            .start_container(
                &self.id,
                None::<bollard::query_parameters::StartContainerOptions>,
            )
            .await
            .map_err(|error| self.engine.failure("start the container", &error))?;
        // Ends with the input, or with this program: nobody waits for it.
        let forward = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
            let _ = input.shutdown().await;
        });
        while let Some(part) = output.next().await {
            let part = part.map_err(|error| self.engine.failure("read the output", &error))?;
            // A person whose terminal is gone misses the output, not the exit code.
            let _ = match part {
                LogOutput::StdErr { message } => std::io::stderr().lock().write_all(&message),
                other => {
                    let mut stdout = std::io::stdout().lock();
                    stdout
                        .write_all(&other.into_bytes())
                        .and_then(|()| stdout.flush())
                }
            };
        }
        forward.abort();
        let mut ended =
            std::pin::pin!(docker.wait_container(&self.id, None::<WaitContainerOptions>));
        match ended.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // Codes other than 0 are errors to the library.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(self.engine.failure("wait for the container", &error)),
            None => Err(Failure::new("the engine did not say how the command ended")),
        }
    }
}
