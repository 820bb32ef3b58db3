//! Logins of registries: given by the program, or read from the Docker configuration.
//!
//! The daemon asks for the login of a registry host when it pulls or pushes there and fetches tokens
//! itself. `config.json` is read as Docker does: a helper for the host, then the common helper, then
//! the logins in the file. What is not there is anonymous.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tonic::{Response, Status};

use super::base64::{decode, encode_url};
use super::{Problem, Services, docker_config};
use crate::proto::moby::filesync::v1::CredentialsResponse;

/// The host the daemon names for Docker Hub, and the key Docker keeps its login under.
pub(crate) const HUB_HOST: &str = "registry-1.docker.io";
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// A login of a registry. The secret is never printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Login {
    user: String,
    secret: String,
}

/// The logins a session may give out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logins {
    pub(crate) given: BTreeMap<String, Login>,
    pub(crate) docker_config: Option<PathBuf>,
}

impl Login {
    /// A user and a password or access token.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: password.into(),
        }
    }

    /// The login of a registry host, as in image names, that the Docker configuration of this user has: in the file, or
    /// by a credential helper.
    ///
    /// # Errors
    ///
    /// The configuration cannot be read, or a helper fails; the text never has a secret.
    pub async fn of_docker_config(host: &str) -> Result<Option<Self>, String> {
        let host = match host {
            "docker.io" | "index.docker.io" => HUB_HOST,
            host => host,
        };
        let logins = Logins::with_docker_config(BTreeMap::new());
        let login = logins.find(host).await?;
        Ok(Some(login).filter(|login| !login.secret.is_empty()))
    }

    /// The user; empty if the secret is an identity token.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password or token.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// As the header Docker engines take, in which a user name means a password.
    pub(crate) fn to_engine_header(&self, host: &str) -> String {
        let login = match (self.user.as_str(), self.secret.as_str()) {
            (_, "") => serde_json::json!({}),
            ("", token) => serde_json::json!({"identitytoken": token, "serveraddress": host}),
            (user, password) => serde_json::json!({
                "username": user, "password": password, "serveraddress": host,
            }),
        };
        encode_url(login.to_string().as_bytes())
    }

    /// An identity token (an OAuth 2 refresh token).
    pub fn identity_token(token: impl Into<String>) -> Self {
        Self::password("", token)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Login {{ user: {:?}, .. }}", self.user)
    }
}

impl Logins {
    /// The given logins, and those of the Docker configuration of this user.
    pub(crate) fn with_docker_config(given: BTreeMap<String, Login>) -> Self {
        Self {
            given,
            docker_config: docker_config::directory(),
        }
    }

    /// The login of a registry host, as daemons name it; an empty one if there is none.
    pub(crate) async fn find(&self, host: &str) -> Result<Login, String> {
        if let Some(login) = self
            .given
            .get(if host == HUB_HOST { "docker.io" } else { host })
        {
            return Ok(login.clone());
        }
        let Some(directory) = &self.docker_config else {
            return Ok(Login::default());
        };
        let directory = directory.clone();
        let config = tokio::task::spawn_blocking(move || docker_config::read(&directory))
            .await
            .map_err(|error| error.to_string())??;
        let key = if host == HUB_HOST { HUB_KEY } else { host };
        let helper = config
            .get("credHelpers")
            .and_then(|helpers| helpers.get(key))
            .or_else(|| config.get("credsStore"))
            .and_then(Value::as_str)
            .filter(|helper| !helper.is_empty());
        if let Some(helper) = helper
            && let Some(login) = ask_helper(helper, key).await?
        {
            return Ok(login);
        }
        Ok(config
            .get("auths")
            .and_then(|logins| stored(logins, key))
            .unwrap_or_default())
    }
}

/// Answers one request.
pub(crate) async fn credentials(
    services: Arc<Services>,
    host: String,
) -> Result<Response<CredentialsResponse>, Status> {
    match services.logins.find(&host).await {
        Ok(login) => Ok(Response::new(CredentialsResponse {
            username: login.user,
            secret: login.secret,
        })),
        Err(reason) => {
            let problem = Problem::Secret(format!("login of registry `{host}`: {reason}"));
            let status = Status::unavailable(problem.message());
            services.problems.report(problem);
            Err(status)
        }
    }
}

/// A login kept in the file itself, under the key or a URL of the same host.
fn stored(logins: &Value, key: &str) -> Option<Login> {
    let logins = logins.as_object()?;
    let entry = logins.get(key).or_else(|| {
        logins
            .iter()
            .find(|(name, _)| host_of(name) == host_of(key))
            .map(|(_, entry)| entry)
    })?;
    let text = |field| {
        entry
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if let Some(token) = text("identitytoken") {
        return Some(Login::identity_token(token));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Some(Login::password(user, password));
    }
    let decoded = String::from_utf8(decode(text("auth")?)?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Login::password(user, password.trim_end_matches('\0')))
}

fn host_of(name: &str) -> &str {
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    name.split('/').next().unwrap_or(name)
}

/// Asks `docker-credential-HELPER`; `None` if it has no login.
async fn ask_helper(helper: &str, key: &str) -> Result<Option<Login>, String> {
    let program = format!("docker-credential-{helper}");
    if Path::new(helper).components().count() != 1 {
        return Err(format!("`{helper}` is no name of a credential helper"));
    }
    let fail = |error: std::io::Error| format!("cannot run {program}: {error}");
    let asking = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read its input still answers.
            drop(input.write_all(key.as_bytes()).await);
        }
        child.wait_with_output().await.map_err(fail)
    };
    let output = tokio::time::timeout(HELPER_TIMEOUT, asking)
        .await
        .map_err(|_| format!("{program} does not answer"))??;
    if !output.status.success() {
        // The only failure helpers tell apart, by its text on standard output.
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("credentials not found") {
            return Ok(None);
        }
        return Err(format!("{program} failed with {}", output.status));
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{program} did not answer JSON"))?;
    let text = |field| {
        answer
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Ok(match (text("Username"), text("Secret")) {
        (_, "") => None,
        ("<token>", token) => Some(Login::identity_token(token)),
        (user, secret) => Some(Login::password(user, secret)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(config: &str) -> (tempfile::TempDir, Logins) {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.json"), config).unwrap();
        let logins = Logins {
            given: BTreeMap::new(),
            docker_config: Some(home.path().to_owned()),
        };
        (home, logins)
    }

    #[tokio::test]
    async fn logins_are_found_as_docker_does() {
        // `bWU6c2VjcmV0` is `me:secret`.
        let (_home, mut logins) = logins(
            r#"{"auths":{
                "https://index.docker.io/v1/":{"auth":"bWU6c2VjcmV0"},
                "ghcr.io":{"identitytoken":"token"},
                "https://old.example/v2/":{"username":"u","password":"p"},
                "empty.example":{}}}"#,
        );
        logins
            .given
            .insert("given.example".into(), Login::password("g", "s"));
        for (host, expected) in [
            ("registry-1.docker.io", Login::password("me", "secret")),
            ("ghcr.io", Login::identity_token("token")),
            ("old.example", Login::password("u", "p")),
            ("given.example", Login::password("g", "s")),
            ("empty.example", Login::default()),
            ("unknown.example", Login::default()),
        ] {
            assert!(logins.find(host).await.unwrap() == expected, "{host}");
        }
    }

    #[tokio::test]
    async fn a_missing_helper_is_named() {
        let (_home, logins) = logins(r#"{"credHelpers":{"ghcr.io":"llb-no-such-helper"}}"#);
        let error = logins.find("ghcr.io").await.unwrap_err();
        assert!(
            error.contains("docker-credential-llb-no-such-helper"),
            "{error}"
        );
        assert!(logins.find("other.example").await.unwrap() == Login::default());
    }

    #[tokio::test]
    async fn a_broken_file_is_named_and_not_quoted() {
        let (_home, logins) = logins(r#"{"auths":{"a":{"auth":"c2VjcmV0"#);
        let error = logins.find("a").await.unwrap_err();
        assert!(
            error.contains("config.json") && !error.contains("c2Vj"),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let login = Login::password("me", "hunter2");
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
