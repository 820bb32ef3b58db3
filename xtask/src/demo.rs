//! `cargo xtask demo`: from a `cog.yaml` to the answer of a running model.
//!
//! A Docker engine that is there already is used as it is; otherwise the testbed brings one. With only a BuildKit there
//! is nothing that could start the image, so the demo builds it and says what is missing.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::command::{cargo, workspace};
use crate::helper;
use crate::testbed;
use crate::testbed::http::{Body, Endpoint, request};

/// Builds an example model through a real BuildKit, starts it and asks it for a prediction.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// Which engine of the testbed is used, if the testbed is
    #[arg(long, value_enum, default_value_t = Mode::Containerd)]
    engine: Mode,
    /// Whom the model greets
    #[arg(long, default_value = "world")]
    name: String,
}

/// How an engine of the testbed keeps images.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// In containerd's store: branches are merged
    Containerd,
    /// In a graph driver, as most engines do: branches are copied onto each other
    Graphdriver,
}

/// Where a Docker engine listens when nothing else is said.
const SOCKET: &str = "/var/run/docker.sock";

const MODEL: &str = "cog-python/examples/hello/cog.yaml";

/// What the model is built on.
enum Target {
    /// A Docker engine of the machine, by its address.
    Docker(String),
    /// A BuildKit of the machine that runs no images.
    BuildKit(String),
    /// The testbed's engine, by its address.
    Testbed(String),
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let mut times = Times {
        start: Instant::now(),
        steps: Vec::new(),
    };
    // Compiling goes on while engines start and base images are made.
    let compiling = std::thread::spawn(|| {
        let start = Instant::now();
        (compile(), start.elapsed())
    });
    let target = times.step("find an engine", || find(command.engine))?;
    let (program, compile_time) = compiling
        .join()
        .map_err(|_| anyhow!("compiling panicked"))?;
    let (program, helper) = program?;
    times.steps.push(("compile beside it", compile_time));
    let cog = |arguments: &[&str]| {
        let mut process = Process::new(&program);
        process.args(arguments).env("LLB_HELPER", &helper);
        process.stderr(Stdio::inherit());
        process
    };

    let mut build = cog(&["build", "--file"]);
    build.arg(workspace()?.join(MODEL));
    match &target {
        Target::Docker(address) => build.args(["--addr", address]),
        Target::Testbed(address) => build.args(["--addr", address, "--network", "host"]),
        Target::BuildKit(address) => {
            let archive = workspace()?.join("target/hello-model.tar");
            build.args(["--addr", address, "--output"]);
            build.arg(format!("type=docker,dest={}", archive.display()))
        }
    };
    let built = times.step("build the image", || output(&mut build))?;
    let engine = match &target {
        Target::Docker(address) | Target::Testbed(address) => address,
        Target::BuildKit(_) => {
            say(&format!("\nbuilt {}", built.trim()));
            say(
                "BUILDKIT_HOST is a BuildKit without an engine, and starting an image takes a Docker engine:",
            );
            say("  docker load < target/hello-model.tar && docker run -p 5000:5000 hello-model");
            times.print();
            return Ok(ExitCode::SUCCESS);
        }
    };

    let reference = built.trim();
    let name = reference.split('@').next().unwrap_or(reference);
    let mut predict = cog(&["predict", name, "--docker-host", engine]);
    predict.args(["--input", &format!("name={}", command.name)]);
    let answer = times.step("start it and ask", || output(&mut predict))?;
    let image = inspect(engine, name)?;
    let layers = image["RootFS"]["Layers"].as_array().map_or(0, Vec::len);
    let size = image["Size"].as_u64().unwrap_or_default();

    say(&format!("\nanswer     {}", answer.trim()));
    say(&format!("image      {name}"));
    say(&format!(
        "digest     {}",
        reference.split_once('@').map_or("", |(_, digest)| digest)
    ));
    say(&format!(
        "size       {:.1} MB ({size} bytes)",
        size_in_megabytes(size)
    ));
    say(&format!("layers     {layers}"));
    for layer in image["RootFS"]["Layers"].as_array().into_iter().flatten() {
        say(&format!(
            "           {}",
            layer.as_str().unwrap_or_default()
        ));
    }
    times.print();
    if let Target::Testbed(_) = target {
        say("\nthe testbed stays up for the next run; `cargo xtask testbed down` stops it");
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine of the machine, or a BuildKit, or else the testbed's.
fn find(mode: Mode) -> Result<Target> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(host) = variable("DOCKER_HOST") {
        say(&format!("using the Docker engine at {host} (DOCKER_HOST)"));
        return Ok(Target::Docker(host));
    }
    let config = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")));
    if let Some((context, host)) =
        config.and_then(|config| docker_context(&config, variable("DOCKER_CONTEXT")))
    {
        say(&format!(
            "using the Docker engine at {host} (context {context})"
        ));
        return Ok(Target::Docker(host));
    }
    if UnixStream::connect(SOCKET).is_ok() {
        say(&format!("using the Docker engine at {SOCKET}"));
        return Ok(Target::Docker(format!("unix://{SOCKET}")));
    }
    if let Some(host) = variable("BUILDKIT_HOST") {
        say(&format!("using the BuildKit at {host} (BUILDKIT_HOST)"));
        return Ok(Target::BuildKit(host));
    }
    say("no Docker engine and no BUILDKIT_HOST: setting up the testbed");
    let state = testbed::bring_up()?;
    let name = match mode {
        Mode::Containerd => "containerd",
        Mode::Graphdriver => "graphdriver",
    };
    let engine = state
        .engines
        .get(name)
        .with_context(|| format!("the testbed has no engine {name}"))?;
    Ok(Target::Testbed(engine.url.clone()))
}

/// Name and address of the Docker context in use; the context `default` is the usual socket.
fn docker_context(config: &Path, chosen: Option<String>) -> Option<(String, String)> {
    let read =
        |path: &Path| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let current = || {
        Some(
            read(&config.join("config.json"))?["currentContext"]
                .as_str()?
                .to_owned(),
        )
    };
    let name = chosen
        .or_else(current)
        .filter(|name| !name.is_empty() && name != "default")?;
    let contexts = std::fs::read_dir(config.join("contexts/meta")).ok()?;
    let mut found = contexts
        .flatten()
        .filter_map(|entry| read(&entry.path().join("meta.json")));
    let context = found.find(|context| context["Name"] == name.as_str())?;
    Some((
        name,
        context["Endpoints"]["docker"]["Host"].as_str()?.to_owned(),
    ))
}

/// The program, and the helper that it lends to builds.
fn compile() -> Result<(PathBuf, PathBuf)> {
    let helper = helper::build(helper::NATIVE)?;
    let arguments = [
        "build",
        "--quiet",
        "--package",
        "cog-python",
        "--message-format",
        "json-render-diagnostics",
    ];
    let built = cargo(arguments)?.stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        bail!("cog-python does not compile");
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    let program = executable.context("cargo built no program cog-python")?;
    Ok((program, helper))
}

fn output(process: &mut Process) -> Result<String> {
    let program = process.get_program().to_string_lossy().into_owned();
    let output = process
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} failed ({}); it says why above", output.status);
    }
    String::from_utf8(output.stdout).context("the output is no text")
}

/// What the engine says about an image.
fn inspect(engine: &str, name: &str) -> Result<Value> {
    let socket = engine
        .strip_prefix("unix://")
        .context("images can be inspected over a unix socket only")?;
    let endpoint = Endpoint::Unix(PathBuf::from(socket));
    let target = format!("/images/{name}/json");
    let answer = request(
        &endpoint,
        "GET",
        &target,
        &[],
        Body::Empty,
        Duration::from_secs(30),
    )?;
    let answer = answer.expect(&[200], "cannot inspect the image")?;
    serde_json::from_slice(&answer.body).context("the engine's answer is no JSON")
}

struct Times {
    start: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Times {
    fn step<T>(&mut self, title: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        say(&format!("==> {title}"));
        let start = Instant::now();
        let result = run().with_context(|| format!("could not {title}"));
        self.steps.push((title, start.elapsed()));
        result
    }

    fn print(&self) {
        let total = self.start.elapsed();
        say("\ntime");
        for (title, time) in self.steps.iter().chain([&("in all", total)]) {
            say(&format!("  {title:<20} {:>7.1} s", time.as_secs_f64()));
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a size for people, with one decimal"
)]
fn size_in_megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::print_stdout, reason = "what a demo is for")]
fn say(text: &str) {
    println!("{text}");
}
