//! Which daemon to use when the program names none.
//!
//! The first of these that is set decides, and nothing after it is tried: a build that quietly runs
//! on another daemon than the one named is worse than an error.
//!
//! 1. `BUILDKIT_HOST`
//! 2. `DOCKER_HOST`
//! 3. the Docker context: `DOCKER_CONTEXT`, or the current one of the Docker configuration
//!    (`config.json` in `DOCKER_CONFIG` or `~/.docker`), unless it is `default`
//!
//! If none is set, these are tried in turn, and the first that answers is used:
//!
//! 4. `/var/run/docker.sock`
//! 5. `/run/buildkit/buildkitd.sock`

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::error::{Error, ErrorKind};
use crate::session::docker_config_directory;

const DEFAULTS: [&str; 2] = ["/var/run/docker.sock", "/run/buildkit/buildkitd.sock"];

/// What discovery reads of the process environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) buildkit_host: Option<String>,
    pub(crate) docker_host: Option<String>,
    pub(crate) docker_context: Option<String>,
    pub(crate) docker_config: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            buildkit_host: text("BUILDKIT_HOST"),
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: docker_config_directory(),
        }
    }
}

/// One place to try.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// What named it, as the error lists it.
    pub(crate) origin: String,
    pub(crate) address: Result<Address, Error>,
}

/// The places to try, in order.
pub(crate) fn candidates(environment: &Environment) -> Vec<Candidate> {
    let named = |origin: String, host: &str| {
        vec![Candidate {
            origin,
            address: host.parse(),
        }]
    };
    if let Some(host) = &environment.buildkit_host {
        return named(format!("BUILDKIT_HOST={host}"), host);
    }
    if let Some(host) = &environment.docker_host {
        return named(format!("DOCKER_HOST={host}"), host);
    }
    if let Some(candidate) = context(environment) {
        return vec![candidate];
    }
    DEFAULTS
        .iter()
        .map(|path| Candidate {
            origin: format!("unix://{path} (default)"),
            address: Ok(Address::unix(*path)),
        })
        .collect()
}

/// The candidate of the Docker context, if one other than `default` is chosen.
fn context(environment: &Environment) -> Option<Candidate> {
    let directory = environment.docker_config.as_deref();
    let (name, origin) = if let Some(name) = &environment.docker_context {
        (name.clone(), format!("DOCKER_CONTEXT={name}"))
    } else {
        let config = std::fs::read(directory?.join("config.json")).ok()?;
        let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
        let name = config.get("currentContext")?.as_str()?.to_owned();
        let origin = format!("docker context `{name}` (current)");
        (name, origin)
    };
    if name.is_empty() || name == "default" {
        return None;
    }
    Some(Candidate {
        origin,
        address: context_address(directory, &name),
    })
}

fn context_address(directory: Option<&Path>, name: &str) -> Result<Address, Error> {
    let fail = |what: String| {
        Error::new(ErrorKind::Address, what)
            .hint("list contexts with `docker context ls`, or set BUILDKIT_HOST")
    };
    let Some(directory) = directory else {
        return Err(fail(format!(
            "docker context `{name}` cannot be read, HOME and DOCKER_CONFIG are not set"
        )));
    };
    let id = crate::session::hex(&Sha256::digest(name.as_bytes()));
    let file = directory.join("contexts/meta").join(id).join("meta.json");
    let text = std::fs::read(&file).map_err(|error| {
        fail(format!(
            "docker context `{name}` cannot be read from {}: {error}",
            file.display()
        ))
    })?;
    let host = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|meta| {
            let host = meta.pointer("/Endpoints/docker/Host")?.as_str()?;
            Some(host.to_owned())
        })
        .ok_or_else(|| fail(format!("docker context `{name}` has no docker endpoint")))?;
    match host.parse() {
        Ok(address @ Address::Unix(_)) => Ok(address),
        _ => Err(fail(format!(
            "docker context `{name}` is at `{host}`, only `unix://` contexts are supported yet"
        ))),
    }
}

/// The error when nothing answered.
pub(crate) fn nothing_found(failures: &[(String, Error)]) -> Error {
    let mut message = "no BuildKit daemon or Docker engine was found; tried:".to_owned();
    for (origin, error) in failures {
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        message.extend(["\n  ", origin, ": ", reason]);
    }
    let error = Error::new(ErrorKind::Unreachable, message);
    let denied = failures.iter().any(|(_, error)| {
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("permission"))
    });
    error.hint(if denied {
        "add your user to the group that owns the socket (for Docker: `docker`), or run as root"
    } else {
        "start Docker or buildkitd, or set BUILDKIT_HOST or DOCKER_HOST to a daemon's address"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(environment: &Environment) -> Vec<String> {
        candidates(environment)
            .into_iter()
            .map(|candidate| match candidate.address {
                Ok(address) => address.to_string(),
                Err(error) => error.to_string(),
            })
            .collect()
    }

    fn docker_config(context: &str, host: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("config.json"),
            format!("{{\"currentContext\":\"{context}\"}}"),
        )
        .unwrap();
        let id = crate::session::hex(&Sha256::digest(context.as_bytes()));
        let meta = directory.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            format!(
                "{{\"Name\":\"{context}\",\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\"}}}}}}"
            ),
        )
        .unwrap();
        directory
    }

    #[test]
    fn the_first_that_is_set_decides() {
        let config = docker_config("colima", "unix:///home/me/colima.sock");
        let mut environment = Environment {
            docker_config: Some(config.path().to_owned()),
            ..Environment::default()
        };
        assert_eq!(origins(&environment), ["unix:///home/me/colima.sock"]);
        environment.docker_host = Some("unix:///docker".into());
        assert_eq!(origins(&environment), ["unix:///docker"]);
        environment.buildkit_host = Some("unix:///buildkit".into());
        assert_eq!(origins(&environment), ["unix:///buildkit"]);
    }

    #[test]
    fn the_default_context_means_the_default_sockets() {
        let config = docker_config("default", "unix:///never");
        let environment = Environment {
            docker_config: Some(config.path().to_owned()),
            docker_context: Some("default".into()),
            ..Environment::default()
        };
        assert_eq!(
            origins(&environment),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/buildkit/buildkitd.sock"
            ]
        );
    }

    #[test]
    fn contexts_that_cannot_be_used_are_named() {
        let config = docker_config("far", "ssh://me@far");
        let mut environment = Environment {
            docker_config: Some(config.path().to_owned()),
            ..Environment::default()
        };
        let text = origins(&environment).remove(0);
        assert!(
            text.contains("`far`") && text.contains("ssh://me@far"),
            "{text}"
        );
        environment.docker_context = Some("gone".into());
        let text = origins(&environment).remove(0);
        assert!(text.contains("`gone`"), "{text}");
    }

    #[test]
    fn the_error_lists_everything_tried() {
        let error = nothing_found(&[
            (
                "unix:///a (default)".into(),
                Error::new(ErrorKind::Unreachable, "no socket"),
            ),
            (
                "unix:///b (default)".into(),
                Error::new(ErrorKind::Unreachable, "refused"),
            ),
        ]);
        assert_eq!(
            error.to_string(),
            "no BuildKit daemon or Docker engine was found; tried:\n  \
             unix:///a (default): no socket\n  unix:///b (default): refused\n\
             hint: start Docker or buildkitd, or set BUILDKIT_HOST or DOCKER_HOST to a daemon's address"
        );
    }
}
