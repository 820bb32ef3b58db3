//! Which daemon to use when the program names none.
//!
//! The first of these that is set decides, and nothing after it is tried: a build that quietly runs
//! on another daemon than the one named is worse than an error.
//!
//! 1. `BUILDKIT_HOST`
//! 2. `BUILDX_BUILDER`
//! 3. `DOCKER_HOST`, with the certificates of `DOCKER_CERT_PATH` if `DOCKER_TLS_VERIFY` is set
//! 4. the Docker context: `DOCKER_CONTEXT`, or the current one of the Docker configuration
//!    (`config.json` in `DOCKER_CONFIG` or `~/.docker`), unless it is `default`
//!
//! If none is set, these are tried in turn, and the first that answers is used:
//!
//! 5. `/var/run/docker.sock`
//! 6. `/run/buildkit/buildkitd.sock`

use std::path::PathBuf;

use super::address::Address;
use super::context;
use super::error::{Attempt, Error, ErrorKind};
use crate::session::docker_config;

const DEFAULTS: [&str; 2] = ["/var/run/docker.sock", "/run/buildkit/buildkitd.sock"];

/// What discovery reads of the process environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) buildkit_host: Option<String>,
    pub(crate) buildx_builder: Option<String>,
    pub(crate) buildx_config: Option<PathBuf>,
    pub(crate) docker_host: Option<String>,
    /// Where the certificates for `docker_host` are, if it is to be verified.
    pub(crate) docker_certificates: Option<PathBuf>,
    pub(crate) docker_context: Option<String>,
    pub(crate) docker_config: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let docker_config = docker_config::directory();
        let buildx_config = docker_config
            .as_ref()
            .map(|directory| directory.join("buildx"));
        let certificates = text("DOCKER_CERT_PATH").map(PathBuf::from);
        Self {
            buildkit_host: text("BUILDKIT_HOST"),
            buildx_builder: text("BUILDX_BUILDER"),
            buildx_config: text("BUILDX_CONFIG").map(PathBuf::from).or(buildx_config),
            docker_host: text("DOCKER_HOST"),
            docker_certificates: text("DOCKER_TLS_VERIFY")
                .and_then(|_| certificates.or_else(|| docker_config.clone())),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config,
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
    let named = |origin: String, address| vec![Candidate { origin, address }];
    if let Some(host) = &environment.buildkit_host {
        return named(format!("BUILDKIT_HOST={host}"), host.parse());
    }
    if let Some(name) = &environment.buildx_builder {
        let address = context::builder(name, environment);
        return named(format!("BUILDX_BUILDER={name}"), address);
    }
    if let Some(host) = &environment.docker_host {
        let address = context::docker_host(host, environment);
        return named(format!("DOCKER_HOST={host}"), address);
    }
    if let Some((name, is_chosen)) = context::current(environment) {
        let origin = if is_chosen {
            format!("DOCKER_CONTEXT={name}")
        } else {
            format!("docker context `{name}` (current)")
        };
        return named(origin, context::context(&name, environment));
    }
    DEFAULTS
        .iter()
        .map(|path| Candidate {
            origin: format!("unix://{path} (default)"),
            address: Ok(Address::unix(*path)),
        })
        .collect()
}

/// The error when nothing answered.
pub(crate) fn nothing_found(attempts: Vec<Attempt>) -> Error {
    let mut message = "no BuildKit daemon or Docker engine was found; tried:".to_owned();
    for Attempt { origin, error } in &attempts {
        let reason = error.message().lines().next().unwrap_or_default();
        message.extend(["\n  ", origin, ": ", reason]);
    }
    let hints: Vec<_> = attempts
        .iter()
        .filter_map(|one| one.error.hint_text())
        .collect();
    let hint = match hints[..] {
        // One place was named, so what to do there is what to do.
        [hint] => hint.to_owned(),
        _ if hints.iter().any(|hint| hint.contains("permission")) => {
            "add your user to the group that owns the socket (for Docker: `docker`), or run as root"
                .to_owned()
        }
        _ => "start Docker or buildkitd, or set BUILDKIT_HOST or DOCKER_HOST to a daemon's address"
            .to_owned(),
    };
    Error::new(ErrorKind::Unreachable, message)
        .hint(hint)
        .with_attempts(attempts)
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

    #[test]
    fn the_first_that_is_set_decides() {
        let config = context::tests::docker_config("colima", "unix:///home/me/colima.sock");
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
        let config = context::tests::docker_config("default", "unix:///never");
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
    fn the_error_lists_everything_tried() {
        let attempt = |origin: &str, reason: &str| Attempt {
            origin: origin.into(),
            error: Error::new(ErrorKind::Unreachable, reason),
        };
        let error = nothing_found(vec![
            attempt("unix:///a (default)", "no socket"),
            attempt("unix:///b (default)", "refused"),
        ]);
        assert_eq!(error.attempts().len(), 2);
        assert_eq!(
            error.to_string(),
            "no BuildKit daemon or Docker engine was found; tried:\n  \
             unix:///a (default): no socket\n  unix:///b (default): refused\n\
             hint: start Docker or buildkitd, or set BUILDKIT_HOST or DOCKER_HOST to a daemon's address"
        );
    }
}
