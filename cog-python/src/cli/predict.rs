//! `predict` and `train`: start, ask once, and leave nothing behind.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::Value;

use super::args::{PredictArgs, PredictCommand, TrainCommand};
use super::input::Kind;
use super::{Failure, Interrupts, input, local, runtime, show};
use crate::engine::{Container, Engine, Launch, Task};

/// Runs `predict`.
pub(super) fn predict(command: &PredictCommand) -> Result<(), Failure> {
    ask(&command.ask, Task::Predict)
}

/// Runs `train`.
pub(super) fn train(command: &TrainCommand) -> Result<(), Failure> {
    ask(&command.ask, Task::Train)
}

fn ask(args: &PredictArgs, task: Task) -> Result<(), Failure> {
    let kind = match task {
        Task::Predict => Kind::Prediction,
        Task::Train => Kind::Training,
    };
    let json = args.json.as_deref().map(json_input).transpose()?;
    let read = |schema: Option<&Value>| {
        let input = match &json {
            Some(input) => input.clone(),
            None => input::collect(&args.input, schema, kind)?,
        };
        input::check(&input, schema, kind)?;
        Ok(input)
    };
    let token = args.use_replicate_token.then(replicate_token).transpose()?;
    // Inputs that cannot be used are found before minutes of building.
    let mut chosen = local::choose(
        args.image.as_deref(),
        &args.plan,
        &args.build,
        &args.launch,
        Some(task),
        |schema| read(schema).map(drop),
    )?;
    chosen.launch.environment.extend(token);
    if task == Task::Train {
        let command = ["python", "-m", "cog.server.http", "--x-mode", "train"];
        chosen.launch.command = Some(command.map(str::to_owned).to_vec());
    }
    let told = chosen.schema;
    let (prediction, schema) =
        with_container(&chosen.launch, args, async |container: &Container| {
            // An image without the label may still tell it when it runs.
            let schema = match told {
                Some(schema) => Some(schema),
                None => container.schema().await,
            };
            let input = read(schema.as_ref())?;
            Ok((container.ask(task, input).await?, schema))
        })?;
    if !prediction.logs.is_empty() {
        // A person whose terminal is gone misses the log, not the output.
        let _ = write!(std::io::stderr().lock(), "{}", prediction.logs);
    }
    let default = (task == Task::Train).then(|| "weights".into());
    let file = args.output.clone().or(default);
    if json.is_some() {
        return show::whole(&prediction.whole, args.output.as_deref());
    }
    let concatenated = input::is_concatenated(schema.as_ref(), kind);
    show::output(&prediction.output, concatenated, file.as_deref())
}

/// Does something with a model that is ready; the container goes, however it ends.
fn with_container<T>(
    launch: &Launch,
    args: &PredictArgs,
    work: impl AsyncFnOnce(&Container) -> Result<T, Failure>,
) -> Result<T, Failure> {
    runtime()?.block_on(async {
        // From here on a signal is remembered: starting a container is not cut short, or nobody
        // would know of it.
        let mut interrupts = Interrupts::listen()?;
        let engine = Engine::connect(args.launch.docker_host.as_deref()).await?;
        let container = Container::start(engine, launch).await?;
        let limit = Duration::from_secs(args.launch.setup_timeout);
        let asked = async {
            container.ready(limit).await?;
            work(&container).await
        };
        let result = tokio::select! {
            result = asked => result,
            failure = interrupts.wait() => Err(failure),
        };
        container.remove().await;
        result
    })
}

/// `--json`: an object, or `@file`, or `@-` for standard input.
fn json_input(text: &str) -> Result<Value, Failure> {
    let read = match text.strip_prefix('@') {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
            text
        }
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read `{path}`: {error}")))?,
        None => text.to_owned(),
    };
    let value: Value = serde_json::from_str(&read)
        .map_err(|error| Failure::usage(format!("--json: not JSON: {error}")))?;
    if !value.is_object() {
        return Err(Failure::usage(
            "--json: must be an object, such as {\"name\": \"world\"}",
        ));
    }
    Ok(value)
}

fn replicate_token() -> Result<String, Failure> {
    const NAME: &str = "REPLICATE_API_TOKEN";
    match std::env::var(NAME) {
        Ok(token) if !token.is_empty() => Ok(format!("{NAME}={token}")),
        _ => Err(Failure::usage(format!(
            "--use-replicate-token: the variable {NAME} is not set"
        ))),
    }
}
