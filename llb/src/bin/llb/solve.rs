//! Builds a graph, or with a frontend.

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use llb::client::{CacheOption, Cancel, Entitlement, Export, Outcome, Secret, Solve, SshAgent};
use llb::progress::{Display, DisplayMode};

use crate::daemon::Daemon;
use crate::fields::{Fields, pair};
use crate::{input, output};

/// Exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[derive(Args)]
pub(crate) struct SolveArguments {
    #[command(flatten)]
    daemon: Daemon,
    /// The file with the graph, or `-`; standard input if there is no frontend
    #[arg(value_hint = ValueHint::FilePath, conflicts_with = "frontend")]
    file: Option<PathBuf>,
    /// Builds with a frontend of the daemon instead: `dockerfile.v0`, or `gateway.v0` with `--opt source=IMAGE`
    #[arg(long, value_name = "NAME")]
    frontend: Option<String>,
    /// An option of the frontend: `--opt target=app --opt build-arg:version=3`
    #[arg(long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// A directory that the build may read
    #[arg(long, value_name = "NAME=DIRECTORY")]
    local: Vec<String>,
    /// A secret: `id=token,src=FILE` or `id=token,env=VARIABLE`
    #[arg(long, value_name = "FIELDS")]
    secret: Vec<String>,
    /// An ssh agent: `default`, `ID=SOCKET`, or `ID=KEY,KEY` for private keys in files
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,
    /// What becomes of the result: `type=image,name=NAME,push=true`, `type=local,dest=DIRECTORY`, `type=oci,dest=FILE`,
    /// `type=docker`, `type=tar`; several are allowed
    #[arg(long, short, value_name = "FIELDS")]
    output: Vec<String>,
    /// Writes the build cache: `type=registry,ref=REFERENCE,mode=max`, `type=local,dest=DIRECTORY`, ...
    #[arg(long, value_name = "FIELDS")]
    export_cache: Vec<String>,
    /// Reads a build cache: `type=registry,ref=REFERENCE`, `type=local,src=DIRECTORY`, ...
    #[arg(long, value_name = "FIELDS")]
    import_cache: Vec<String>,
    /// Runs every step again
    #[arg(long)]
    no_cache: bool,
    /// Allows a privilege: `network.host`, `security.insecure`, `device`
    #[arg(long, value_name = "PRIVILEGE")]
    allow: Vec<String>,
    /// How progress is shown: auto, tty, plain, rawjson or quiet
    #[arg(
        long,
        env = "BUILDKIT_PROGRESS",
        default_value = "auto",
        value_name = "MODE"
    )]
    progress: DisplayMode,
    /// Writes what the exporters answered, such as the image's digest, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

pub(crate) async fn run(arguments: &SolveArguments) -> Result<ExitCode, String> {
    // Mistakes on the command line are told before a daemon is looked for.
    let solve = solve(arguments)?;
    let client = arguments.daemon.connect().await?;
    let cancel = Cancel::new();
    let mut display = Display::stderr(arguments.progress);
    let build = client.solve(solve.cancel(&cancel), &mut display);
    tokio::pin!(build);
    let result = tokio::select! {
        result = &mut build => result,
        () = interrupted() => {
            cancel.cancel();
            // Who asks twice does not want to wait.
            tokio::select! {
                result = &mut build => result,
                () = interrupted() => return Ok(ExitCode::from(INTERRUPTED)),
            }
        }
    };
    match result {
        Ok(outcome) => finish(arguments, &outcome),
        Err(error) if cancel.is_canceled() => {
            output::complain(&error.to_string());
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn finish(arguments: &SolveArguments, outcome: &Outcome) -> Result<ExitCode, String> {
    if let Some(file) = &arguments.metadata_file {
        let mut text = outcome.metadata().to_string();
        text.push('\n');
        output::write(file, text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn solve(arguments: &SolveArguments) -> Result<Solve, String> {
    let mut solve = if let Some(name) = &arguments.frontend {
        Solve::frontend(name)
    } else {
        if !arguments.opt.is_empty() {
            return Err("--opt is for a frontend, name one with --frontend".to_owned());
        }
        let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
        Solve::definition(input::read(file)?)
    };
    for text in &arguments.opt {
        let (key, value) = pair("--opt", text)?;
        solve = solve.attribute(key, value);
    }
    for text in &arguments.local {
        let (name, directory) = pair("--local", text)?;
        solve = solve.local(name, directory);
    }
    for text in &arguments.secret {
        let (id, secret) = secret(text)?;
        solve = solve.secret(id, secret);
    }
    for text in &arguments.ssh {
        let (id, agent) = ssh(text);
        solve = solve.ssh(id, agent);
    }
    for text in &arguments.output {
        solve = solve.export(export(text)?);
    }
    for text in &arguments.export_cache {
        solve = solve.cache_to(cache("--export-cache", text)?);
    }
    for text in &arguments.import_cache {
        solve = solve.cache_from(cache("--import-cache", text)?);
    }
    for name in &arguments.allow {
        solve = solve.allow(
            name.parse::<Entitlement>()
                .map_err(|error| error.to_string())?,
        );
    }
    if arguments.no_cache {
        solve = solve.no_cache();
    }
    Ok(solve)
}

fn secret(text: &str) -> Result<(String, Secret), String> {
    let mut fields = Fields::read("--secret", text)?;
    let id = fields.needed("id", "id=token,src=FILE")?;
    let file = fields.optional("src").or_else(|| fields.optional("source"));
    let variable = fields.optional("env");
    let kind = fields.optional("type");
    fields.end("`id=`, `src=` or `env=`")?;
    let secret = match (kind.as_deref(), file, variable) {
        (_, Some(_), Some(_)) => {
            return Err(format!(
                "secret `{id}` has `src=` and `env=`, expected one of them"
            ));
        }
        (None | Some("file"), Some(file), None) => Secret::file(file),
        // buildctl's `type=env,src=VARIABLE`.
        (Some("env"), Some(variable), None) | (None | Some("env"), None, Some(variable)) => {
            Secret::env(variable)
        }
        (None | Some("env"), None, None) if std::env::var_os(&id).is_some() => {
            Secret::env(id.as_str())
        }
        _ => {
            return Err(format!(
                "secret `{id}` comes from nowhere: add `src=FILE` or `env=VARIABLE`"
            ));
        }
    };
    Ok((id, secret))
}

fn ssh(text: &str) -> (&str, SshAgent) {
    let (id, from) = text.split_once('=').unwrap_or((text, ""));
    let agent = if from.is_empty() {
        SshAgent::env()
    } else {
        SshAgent::socket(from)
    };
    (id, agent)
}

fn export(text: &str) -> Result<Export, String> {
    let mut fields = Fields::read("--output", text)?;
    let kind = fields.needed("type", "type=local,dest=out")?;
    let destination = fields.optional("dest");
    if let Some(value) = fields.optional("output") {
        return Err(format!(
            "--output has `output={value}`, expected `dest={value}`"
        ));
    }
    let rest = fields.rest();
    let to = || match destination.as_deref() {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(format!(
            "--output type={kind} lacks `dest=`: a file, or `-` for standard output"
        )),
    };
    let file = |to_file: fn(PathBuf) -> Export, to_stdout: fn() -> Export| {
        Ok::<_, String>(match destination.as_deref() {
            Some("-") if stdout().is_terminal() => {
                return Err(format!(
                    "--output type={kind} would write an archive to the terminal, name a file with `dest=`"
                ));
            }
            Some("-") => to_stdout(),
            _ => to_file(to()?),
        })
    };
    let mut export = match kind.as_str() {
        "image" | "moby" | "registry" | "docker" if destination.is_none() => {
            Export::unnamed_image()
        }
        "image" | "moby" | "registry" => {
            return Err(format!(
                "--output type={kind} takes no `dest=`, an image has a `name=`"
            ));
        }
        "local" => Export::local(to()?),
        "tar" => file(Export::tar, || Export::tar_to(stdout()))?,
        "oci" => file(Export::oci, || Export::oci_to(stdout()))?,
        "docker" => file(Export::docker_archive, || {
            Export::docker_archive_to(stdout())
        })?,
        _ => {
            return Err(format!(
                "--output has the unknown type `{kind}`, expected one of: image, registry, local, oci, docker, tar"
            ));
        }
    };
    if kind == "registry" {
        export = export.push(true);
    }
    for (key, value) in rest {
        export = export.attribute(key, value);
    }
    Ok(export)
}

fn cache(option: &'static str, text: &str) -> Result<CacheOption, String> {
    if !text.contains('=') {
        return Ok(CacheOption::registry(text));
    }
    let mut fields = Fields::read(option, text)?;
    let kind = fields.needed("type", "type=registry,ref=REFERENCE")?;
    let mut cache = CacheOption::new(kind);
    for (key, value) in fields.rest() {
        cache = cache.attribute(key, value);
    }
    Ok(cache)
}
