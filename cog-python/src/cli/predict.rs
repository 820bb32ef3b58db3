//! `predict`: build, start, ask, and leave nothing behind.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::args::PredictCommand;
use super::{Failure, Interrupts, build, input, print, runtime};
use crate::engine::{Container, Engine};

/// Runs the command.
pub(super) fn predict(command: &PredictCommand) -> Result<(), Failure> {
    // Inputs that cannot be read are found before minutes of building.
    input::collect(&command.input, None)?;
    let image = match &command.image {
        Some(image) => image.clone(),
        None => build::build_for_engine(
            &command.plan,
            &command.build,
            command.docker_host.as_deref(),
        )?,
    };
    runtime()?.block_on(async {
        // From here on a signal is remembered: starting a container is not cut short, or nobody
        // would know of it.
        let mut interrupts = Interrupts::listen()?;
        let engine = Engine::connect(command.docker_host.as_deref()).await?;
        let container = Container::start(engine, &image, &command.env).await?;
        // However the prediction ends, the container goes.
        let result = tokio::select! {
            result = ask(&container, command) => result,
            failure = interrupts.wait() => Err(failure),
        };
        container.remove().await;
        result
    })
}

async fn ask(container: &Container, command: &PredictCommand) -> Result<(), Failure> {
    container
        .ready(Duration::from_secs(command.setup_timeout))
        .await?;
    let schema = container.schema().await;
    let input = input::collect(&command.input, schema.as_ref())?;
    let prediction = container.predict(input).await?;
    if !prediction.logs.is_empty() {
        // A person whose terminal is gone misses the log, not the output.
        let _ = write!(std::io::stderr().lock(), "{}", prediction.logs);
    }
    show(&prediction.output, command.output.as_ref())
}

/// Prints an output: text as it is, a file's path after writing it, everything else as JSON.
fn show(output: &Value, file: Option<&PathBuf>) -> Result<(), Failure> {
    let text = match output {
        Value::String(text) => match input::file_of(text) {
            Some((extension, bytes)) => {
                let path = file
                    .cloned()
                    .unwrap_or_else(|| PathBuf::from(format!("output.{extension}")));
                return write(&path, &bytes).and_then(|()| print(&format!("{}\n", path.display())));
            }
            None => format!("{text}\n"),
        },
        other => {
            let text = serde_json::to_string_pretty(other)
                .map_err(|error| Failure::new(format!("the output cannot be shown: {error}")))?;
            format!("{text}\n")
        }
    };
    match file {
        Some(path) => write(path, text.as_bytes()),
        None => print(&text),
    }
}

fn write(path: &PathBuf, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}
