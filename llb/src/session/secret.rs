//! Secrets given to a build.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use tonic::{Response, Status};

use super::{Problem, Services};
use crate::proto::moby::buildkit::secrets::v1::GetSecretResponse;

/// Largest secret in bytes; BuildKit's own clients have the same bound.
const LARGEST: usize = 500 * 1024;

/// Where a secret comes from. Its value is never printed, not by `Debug` either.
#[derive(Clone)]
pub struct Secret(Origin);

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    Variable(OsString),
    Bytes(Bytes),
}

/// A secret that has been read.
#[derive(Clone)]
pub(crate) struct SecretValue(Bytes);

impl Secret {
    /// The content of a file, read when the build starts. At most 500 KiB.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// The value of an environment variable, read when the build starts.
    pub fn env(variable: impl Into<OsString>) -> Self {
        Self(Origin::Variable(variable.into()))
    }

    /// A value the program has. At most 500 KiB.
    pub fn bytes(value: impl Into<Vec<u8>>) -> Self {
        Self(Origin::Bytes(value.into().into()))
    }

    pub(crate) fn read(&self, id: &str) -> Result<SecretValue, Problem> {
        let problem = |what: String| Problem::Secret(format!("secret `{id}`: {what}"));
        let value = match &self.0 {
            Origin::File(path) => {
                let shown = path.display();
                let fail = |error| problem(format!("cannot read {shown}: {error}"));
                let length = std::fs::metadata(path).map_err(fail)?.len();
                if length > LARGEST as u64 {
                    return Err(problem(too_large(length)));
                }
                std::fs::read(path).map_err(fail)?.into()
            }
            Origin::Variable(name) => {
                use std::os::unix::ffi::OsStringExt as _;
                let shown = name.to_string_lossy();
                std::env::var_os(name)
                    .ok_or_else(|| problem(format!("environment variable `{shown}` is not set")))?
                    .into_vec()
                    .into()
            }
            Origin::Bytes(value) => value.clone(),
        };
        if value.len() > LARGEST {
            return Err(problem(too_large(value.len() as u64)));
        }
        Ok(SecretValue(value))
    }
}

fn too_large(length: u64) -> String {
    format!("it has {length} bytes, at most {LARGEST} are taken")
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::File(path) => write!(formatter, "Secret::file({path:?})"),
            Origin::Variable(name) => write!(formatter, "Secret::env({name:?})"),
            Origin::Bytes(_) => formatter.write_str("Secret::bytes(...)"),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretValue(...)")
    }
}

/// Answers one request. The daemon takes "not found" as the absence of an optional secret.
pub(crate) fn get(services: &Services, id: &str) -> Result<Response<GetSecretResponse>, Status> {
    match services.secrets.get(id) {
        Some(value) => Ok(Response::new(GetSecretResponse {
            data: value.0.clone(),
        })),
        None => Err(Status::not_found(format!(
            "secret `{id}` was not given to this build"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_cannot_be_given_are_told_before_the_build() {
        let home = tempfile::tempdir().unwrap();
        let large = home.path().join("large");
        std::fs::write(&large, vec![0; LARGEST + 1]).unwrap();
        for (secret, part) in [
            (Secret::file(home.path().join("none")), "cannot read"),
            (Secret::file(large), "at most 512000"),
            (
                Secret::env("LLB_TEST_NOT_SET"),
                "`LLB_TEST_NOT_SET` is not set",
            ),
            (Secret::bytes(vec![0; LARGEST + 1]), "at most 512000"),
        ] {
            let problem = secret.read("token").unwrap_err();
            assert!(
                problem.message().starts_with("secret `token`"),
                "{problem:?}"
            );
            assert!(problem.message().contains(part), "{problem:?}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        let secret = Secret::bytes("hunter2");
        let value = secret.read("id").unwrap();
        assert!(!format!("{secret:?}{value:?}").contains("hunter2"));
    }
}
