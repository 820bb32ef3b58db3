//! A container that serves one model.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, LogsOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use serde::Deserialize;
use serde_json::Value;
use tokio_stream::StreamExt;

use super::launch::{Gpus, Launch, SOURCE};
use super::{Engine, http};
use crate::cli::Failure;

/// Port of the server inside of the container.
const PORT: &str = "5000/tcp";
/// Most bytes of shared memory, as Cog gives: workers of data loaders need much.
const SHARED_MEMORY: i64 = 6 << 30;
/// Time between two looks at a server that starts.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines of the container's log that are shown when it fails.
const LOG_TAIL: &str = "50";

/// A started container.
pub(crate) struct Container {
    pub(super) engine: Engine,
    pub(super) id: String,
    address: SocketAddr,
}

/// What the server says about itself.
#[derive(Deserialize)]
struct Health {
    status: String,
    #[serde(default)]
    setup: Option<Setup>,
}

#[derive(Deserialize)]
struct Setup {
    #[serde(default)]
    logs: String,
}

impl Container {
    /// Starts an image. On an engine without a bridge the container shares the host's network and
    /// is told its port; otherwise its port is published.
    ///
    /// GPUs that are only wished for are left out, with a warning, where the engine has none.
    pub(crate) async fn start(engine: Engine, launch: &Launch) -> Result<Self, Failure> {
        let bridge = engine.has_bridge().await?;
        match Self::try_start(engine.clone(), launch, bridge).await {
            Err(failure) if launch.gpus == Gpus::IfThere && is_without_gpus(&failure) => {
                // Nothing is left to tell a person whose terminal is gone.
                let _ = writeln!(
                    std::io::stderr().lock(),
                    "warning: the engine has no GPUs, the model runs without"
                );
                let launch = Launch {
                    gpus: Gpus::None,
                    ..launch.clone()
                };
                Self::try_start(engine, &launch, bridge).await
            }
            result => result,
        }
    }

    async fn try_start(engine: Engine, launch: &Launch, bridge: bool) -> Result<Self, Failure> {
        let mut container = Self::create(engine, launch, bridge, false).await?;
        if let Err(failure) = container.run(bridge).await {
            container.remove().await;
            return Err(failure);
        }
        Ok(container)
    }

    /// Makes a container; `attached` has its standard streams open.
    pub(super) async fn create(
        engine: Engine,
        launch: &Launch,
        bridge: bool,
        attached: bool,
    ) -> Result<Self, Failure> {
        let mut host_config = HostConfig {
            shm_size: Some(SHARED_MEMORY),
            device_requests: launch.gpus.request(),
            ..HostConfig::default()
        };
        if let Some(source) = &launch.source {
            host_config.mounts = Some(vec![Mount {
                typ: Some(MountType::BIND),
                source: Some(source.display().to_string()),
                target: Some(SOURCE.to_owned()),
                ..Mount::default()
            }]);
        }
        let mut env = launch.environment.clone();
        let mut address = launch.address();
        if bridge {
            let binding = |ip: String, port: u16| {
                Some(vec![PortBinding {
                    host_ip: Some(ip),
                    host_port: Some(port.to_string()),
                }])
            };
            let mut ports: HashMap<_, _> = launch
                .publish
                .iter()
                .map(|port| (format!("{port}/tcp"), binding("127.0.0.1".into(), *port)))
                .collect();
            if !attached {
                let ip = address.ip().to_string();
                ports.insert(PORT.to_owned(), binding(ip, address.port()));
            }
            host_config.port_bindings = Some(ports);
        } else {
            if address.port() == 0 {
                address.set_port(free_port()?);
            }
            host_config.network_mode = Some("host".into());
            env.push(format!("PORT={}", address.port()));
        }
        let published = launch.publish.iter().map(|port| format!("{port}/tcp"));
        let body = ContainerCreateBody {
            image: Some(launch.image.clone()),
            env: Some(env),
            cmd: launch.command.clone(),
            working_dir: launch.source.as_ref().map(|_| SOURCE.to_owned()),
            exposed_ports: bridge.then(|| published.chain([PORT.to_owned()]).collect()),
            host_config: Some(host_config),
            attach_stdin: Some(attached),
            open_stdin: Some(attached),
            stdin_once: Some(attached),
            ..ContainerCreateBody::default()
        };
        let created = engine
            .docker
            .create_container(None::<CreateContainerOptions>, body)
            .await
            .map_err(|error| {
                engine.failure(&format!("make a container of `{}`", launch.image), &error)
            })?;
        Ok(Self {
            engine,
            id: created.id,
            address,
        })
    }

    async fn run(&mut self, published: bool) -> Result<(), Failure> {
        let docker = &self.engine.docker;
        docker
            .start_container(&self.id, None::<StartContainerOptions>)
            .await
            .map_err(|error| self.engine.failure("start the container", &error))?;
        if published {
            let inspected = docker
                .inspect_container(&self.id, None::<InspectContainerOptions>)
                .await
                .map_err(|error| self.engine.failure("inspect the container", &error))?;
            let port = inspected
                .network_settings
                .and_then(|settings| settings.ports)
                .and_then(|mut ports| ports.remove(PORT).flatten())
                .and_then(|bindings| bindings.into_iter().find_map(|binding| binding.host_port))
                .and_then(|port| port.parse().ok());
            let Some(port) = port else {
                return Err(self.dead().await);
            };
            self.address.set_port(port);
        }
        Ok(())
    }

    /// Waits until the model is set up.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            match http::request(self.address, "/health-check", None).await {
                Ok((200, body)) => {
                    let health: Health = serde_json::from_slice(&body).map_err(|error| {
                        Failure::new(format!("the server's health is not understood: {error}"))
                    })?;
                    match health.status.as_str() {
                        "READY" | "BUSY" => return Ok(()),
                        "SETUP_FAILED" | "DEFUNCT" => {
                            let logs = health.setup.map(|setup| setup.logs).unwrap_or_default();
                            return Err(Failure::new("the model failed to set up").detail(&logs));
                        }
                        _ => {}
                    }
                }
                // Nothing listens yet, or nothing will any more.
                Ok(_) | Err(_) => {
                    if !self.is_running().await {
                        return Err(self.dead().await);
                    }
                }
            }
            if start.elapsed() >= limit {
                let message = format!("the model was not ready after {} seconds", limit.as_secs());
                return Err(Failure::new(message)
                    .detail(&self.logs().await)
                    .hint("give it more time with `--setup-timeout SECONDS`"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Types of the inputs as the model declares them, where the image holds that.
    pub(crate) async fn schema(&self) -> Option<Value> {
        match http::request(self.address, "/openapi.json", None).await {
            Ok((200, body)) => serde_json::from_slice(&body).ok(),
            _ => None,
        }
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands on what the container writes, until it ends.
    pub(crate) async fn follow(&self) -> Failure {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            follow: true,
            ..LogsOptions::default()
        };
        let mut stream = std::pin::pin!(self.engine.docker.logs(&self.id, Some(options)));
        while let Some(Ok(part)) = stream.next().await {
            // A person whose terminal is gone misses the log.
            let _ = std::io::stderr().lock().write_all(&part.into_bytes());
        }
        self.dead().await
    }

    /// Asks for one prediction or training; gives the whole answer.
    pub(crate) async fn ask(&self, task: Task, input: Value) -> Result<Prediction, Failure> {
        let body = serde_json::json!({ "input": input })
            .to_string()
            .into_bytes();
        let answer = http::request(self.address, task.path(), Some(body)).await;
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(error) if self.is_running().await => {
                return Err(Failure::new(format!("the {task} got no answer: {error}"))
                    .detail(&self.logs().await));
            }
            Err(_) => return Err(self.dead().await),
        };
        let unclear = |error: serde_json::Error| {
            Failure::new(format!(
                "the answer (status {status}) is not understood: {error}"
            ))
        };
        let whole: Value = serde_json::from_slice(&body).map_err(unclear)?;
        let answer = Answer::deserialize(&whole).map_err(unclear)?;
        if answer.status.as_deref() == Some("succeeded") {
            return Ok(Prediction {
                output: answer.output,
                logs: answer.logs,
                whole,
            });
        }
        let reason = match (answer.error, answer.detail) {
            (Some(error), _) if !error.is_empty() => error,
            (_, Some(detail)) => describe(&detail),
            _ => format!("the server answered with status {status}"),
        };
        Err(Failure::new(format!("the {task} failed: {reason}")).detail(&answer.logs))
    }

    async fn is_running(&self) -> bool {
        let inspected = self
            .engine
            .docker
            .inspect_container(&self.id, None::<InspectContainerOptions>)
            .await;
        inspected
            .ok()
            .and_then(|container| container.state?.running)
            .unwrap_or(false)
    }

    /// Why a container that should run does not.
    async fn dead(&self) -> Failure {
        let inspected = self
            .engine
            .docker
            .inspect_container(&self.id, None::<InspectContainerOptions>)
            .await;
        let state = inspected.ok().and_then(|container| container.state);
        let code = state.as_ref().and_then(|state| state.exit_code);
        let memory = state
            .as_ref()
            .and_then(|state| state.oom_killed)
            .unwrap_or(false);
        let message = match code {
            _ if memory => "the container ran out of memory".to_owned(),
            Some(code) => format!("the container ended with exit code {code}"),
            None => "the container ended".to_owned(),
        };
        Failure::new(message).detail(&self.logs().await)
    }

    /// The last lines the container wrote.
    async fn logs(&self) -> String {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: LOG_TAIL.to_owned(),
            ..LogsOptions::default()
        };
        let mut stream = std::pin::pin!(self.engine.docker.logs(&self.id, Some(options)));
        let mut text = String::new();
        while let Some(Ok(part)) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&part.into_bytes()));
        }
        text
    }

    /// Stops and removes the container. Nothing can be done about an error here: the engine
    /// either has removed it already or is gone.
    pub(crate) async fn remove(self) {
        let stop = StopContainerOptions {
            t: Some(5),
            ..StopContainerOptions::default()
        };
        let _ = self
            .engine
            .docker
            .stop_container(&self.id, Some(stop))
            .await;
        let remove = RemoveContainerOptions {
            force: true,
            v: true,
            link: false,
        };
        let _ = self
            .engine
            .docker
            .remove_container(&self.id, Some(remove))
            .await;
    }
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A prediction.
    Predict,
    /// A training.
    Train,
}

impl Task {
    fn path(self) -> &'static str {
        match self {
            Self::Predict => "/predictions",
            Self::Train => "/trainings",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Predict => "prediction",
            Self::Train => "training",
        })
    }
}

/// The words of an engine that was asked for GPUs and has none.
fn is_without_gpus(failure: &Failure) -> bool {
    let text = failure.to_string();
    text.contains("could not select device driver") || text.contains("nvidia-container")
}

/// A finished prediction.
pub(crate) struct Prediction {
    /// The answer as the server gave it.
    pub(crate) whole: Value,
    pub(crate) output: Value,
    pub(crate) logs: String,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<String>,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    detail: Option<Value>,
    #[serde(default)]
    logs: String,
}

/// The server's list of input mistakes as a line of text.
fn describe(detail: &Value) -> String {
    let Value::Array(items) = detail else {
        return detail.to_string();
    };
    let lines: Vec<_> = items
        .iter()
        .map(|item| {
            let place: Vec<_> = item["loc"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter(|part| !matches!(*part, "body" | "input"))
                .collect();
            let message = item["msg"]
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned);
            if place.is_empty() {
                message
            } else {
                format!("{}: {message}", place.join("."))
            }
        })
        .collect();
    lines.join("; ")
}

/// A port nobody listens on at the moment.
fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::new(format!("there is no free port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn input_mistakes_are_one_line() {
        let detail = serde_json::json!([
            {"loc": ["body", "input", "name"], "msg": "Field required"},
            {"msg": "odd"},
        ]);
        assert_eq!(describe(&detail), "name: Field required; odd");
        assert_eq!(describe(&serde_json::json!("x")), "\"x\"");
    }
}
