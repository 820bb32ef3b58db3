//! Options of a build, as buildctl and buildx have them.

use std::io::{IsTerminal as _, stdout};
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::fields::{Fields, pair};
use super::output;
use super::shell::{OnError, open_shell};
use crate::client::{
    self, CacheOption, Cancel, Entitlement, Export, Outcome, Secret, Solve, SshAgent,
};
use crate::progress::{Display, DisplayMode};

/// Exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// What a build is given, what becomes of its result, and how it is shown.
#[derive(Args, Clone, Debug)]
pub struct BuildOptions {
    /// A directory that the build may read
    #[arg(long, value_name = "NAME=DIRECTORY")]
    local: Vec<String>,
    /// An OCI layout that the build may read images from
    #[arg(long, value_name = "NAME=DIRECTORY")]
    oci_layout: Vec<String>,
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
    /// What to do when the command of a step fails: `shell` opens one in the step, with the files as it left them
    #[arg(long, value_name = "WHAT")]
    on_error: Option<OnError>,
}

impl BuildOptions {
    /// The build with everything that the options say.
    ///
    /// # Errors
    ///
    /// What is wrong with an option.
    pub fn apply(&self, mut solve: Solve) -> Result<Solve, String> {
        for text in &self.local {
            let (name, directory) = pair("--local", text)?;
            solve = solve.local(name, directory);
        }
        for text in &self.oci_layout {
            let (name, directory) = pair("--oci-layout", text)?;
            solve = solve.oci_layout(name, directory);
        }
        for text in &self.secret {
            let (id, secret) = secret(text)?;
            solve = solve.secret(id, secret);
        }
        for text in &self.ssh {
            let (id, agent) = ssh(text);
            solve = solve.ssh(id, agent);
        }
        for text in &self.output {
            solve = solve.export(export(text)?);
        }
        for text in &self.export_cache {
            solve = solve.cache_to(cache("--export-cache", text)?);
        }
        for text in &self.import_cache {
            solve = solve.cache_from(cache("--import-cache", text)?);
        }
        for name in &self.allow {
            let entitlement = name.parse::<Entitlement>();
            solve = solve.allow(entitlement.map_err(|error| error.to_string())?);
        }
        if self.no_cache {
            solve = solve.no_cache();
        }
        let epoch = std::env::var_os("SOURCE_DATE_EPOCH");
        if let Some(epoch) = epoch.filter(|epoch| !epoch.is_empty()) {
            let epoch = epoch.to_string_lossy();
            let seconds = epoch.parse().map_err(|_| {
                format!("SOURCE_DATE_EPOCH is {epoch:?}, expected seconds since 1970")
            })?;
            solve = solve.source_date_epoch(seconds);
        }
        Ok(solve)
    }

    /// Whether a failed step gets what is typed or piped in.
    pub fn reads_input(&self) -> bool {
        self.on_error.is_some()
    }

    /// Waits for a build, shown as the options say. Ctrl-C cancels it and gives the exit code of an interrupted
    /// program; a second one does not wait for that.
    ///
    /// # Errors
    ///
    /// Why the build failed.
    pub async fn run(
        &self,
        solve: Solve,
        build: impl AsyncFnOnce(Solve, &mut Display) -> Result<Outcome, client::Error>,
    ) -> Result<Result<Outcome, ExitCode>, String> {
        let cancel = Cancel::new();
        let mut display = Display::stderr(self.progress);
        let solve = match self.on_error {
            Some(OnError::Shell) => open_shell(solve, &display),
            None => solve,
        };
        let build = build(solve.cancel(&cancel), &mut display);
        tokio::pin!(build);
        let result = tokio::select! {
            result = &mut build => result,
            () = interrupted() => {
                cancel.cancel();
                // Who asks twice does not want to wait.
                tokio::select! {
                    result = &mut build => result,
                    () = interrupted() => return Ok(Err(ExitCode::from(INTERRUPTED))),
                }
            }
        };
        match result {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(error) if cancel.is_canceled() => {
                output::complain(&error.to_string());
                Ok(Err(ExitCode::from(INTERRUPTED)))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
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

/// An ssh agent by its id: `default`, `ID=SOCKET`, or `ID=KEY,KEY` for private keys in files.
pub fn ssh(text: &str) -> (&str, SshAgent) {
    let (id, from) = text.split_once('=').unwrap_or((text, ""));
    let agent = if from.is_empty() {
        SshAgent::env()
    } else if std::fs::metadata(from).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        SshAgent::socket(from)
    } else {
        SshAgent::keys(from.split(','))
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
    let unpacked = rest.get("tar").is_some_and(|tar| tar == "false");
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
        "oci" if unpacked => Export::oci_directory(to()?),
        "docker" if unpacked => Export::docker_directory(to()?),
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

/// A cache as buildx and buildctl name it: `type=registry,ref=REFERENCE,mode=max`, or a reference alone.
///
/// # Errors
///
/// What is wrong with it; `option` is what the option is called.
pub fn cache(option: &'static str, text: &str) -> Result<CacheOption, String> {
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
