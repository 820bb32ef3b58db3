//! What a registry says of an image: its documents, read with the login that this user has there.
//!
//! Builders pull and push by themselves. This reads back what is in a registry, for those that tell nothing of it.

mod challenge;
mod http;

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, WWW_AUTHENTICATE};
use hyper::{Method, Uri};
use llb::client::Login;
use llb::value::{ImageRef, Platform};
use serde_json::Value;

use self::challenge::Challenge;
use self::http::{Answer, Trust};
use crate::base64;
use crate::cli::Failure;

/// What documents may be: indexes and manifests, of OCI and of Docker.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// So often an answer leads to another address.
const REDIRECTIONS: usize = 5;
/// Who Docker's own registry is.
const HUB: &str = "registry-1.docker.io";

/// How a registry is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access<'a> {
    /// Certificates that are trusted besides those of this machine, as `--ca-cert` has them.
    pub(crate) certificates: Option<&'a str>,
    /// Whether those alone are trusted.
    pub(crate) only: bool,
    /// Whether the registry has no TLS. One of this machine has none in any case.
    pub(crate) insecure: bool,
}

/// A repository of a registry.
pub(crate) struct Repository {
    /// `https://host`.
    origin: String,
    host: String,
    path: String,
    login: Option<Login>,
    trust: Trust,
    /// The header that the registry has taken.
    authorization: Option<String>,
}

impl Repository {
    /// The repository of an image. Nothing is asked yet.
    pub(crate) async fn open(image: &ImageRef, access: &Access<'_>) -> Result<Self, Failure> {
        let host = match image.domain() {
            "docker.io" => HUB,
            host => host,
        };
        let login = Login::of_docker_config(image.domain()).await;
        let login = login.map_err(|reason| {
            Failure::new(format!(
                "the login of registry `{host}` cannot be read: {reason}"
            ))
        })?;
        let is_plain = access.insecure || is_here(host);
        let scheme = if is_plain { "http" } else { "https" };
        Ok(Self {
            origin: format!("{scheme}://{host}"),
            host: host.to_owned(),
            path: image.path().to_owned(),
            login,
            trust: Trust::find(access.certificates, access.only)?,
            authorization: None,
        })
    }

    /// All documents of an image, an index with all of its images, as an OCI layout has them, by their paths.
    pub(crate) async fn documents(
        &mut self,
        reference: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let mut documents = BTreeMap::new();
        let entry = serde_json::json!({"manifests": [{"digest": reference}]});
        documents.insert("index.json".to_owned(), entry.to_string().into_bytes());
        let mut open = vec![reference.to_owned()];
        while let Some(reference) = open.pop() {
            // A registry may say that an index holds itself.
            if documents.contains_key(&blob(&reference)) {
                continue;
            }
            let bytes = self.manifest(&reference).await?;
            let document = self.understood(&bytes)?;
            documents.insert(blob(&reference), bytes.to_vec());
            let images = document["manifests"].as_array().into_iter().flatten();
            // What says something about an image is none.
            let images =
                images.filter(|image| image["annotations"]["vnd.docker.reference.type"].is_null());
            open.extend(images.filter_map(|image| image["digest"].as_str().map(str::to_owned)));
            if let Some(config) = document["config"]["digest"].as_str() {
                let bytes = self.get(&format!("blobs/{config}"), "*/*").await?;
                documents.insert(blob(config), bytes.to_vec());
            }
        }
        Ok(documents)
    }

    /// Size of the layers of an image in bytes, as the registry keeps them; of an index, that of one platform's image.
    pub(crate) async fn size(
        &mut self,
        reference: &str,
        platform: &Platform,
    ) -> Result<u64, Failure> {
        let bytes = self.manifest(reference).await?;
        let mut manifest = self.understood(&bytes)?;
        if let Some(images) = manifest["manifests"].as_array() {
            let is_it = |image: &&Value| {
                image["platform"]["os"] == *platform.os
                    && image["platform"]["architecture"] == *platform.architecture
                    && image["platform"]["variant"].as_str().unwrap_or_default() == platform.variant
            };
            let digest = images.iter().find(is_it);
            let digest = digest.and_then(|image| image["digest"].as_str());
            let digest = digest.map(str::to_owned).ok_or_else(|| {
                Failure::new(format!(
                    "`{}` of registry `{}` has no image for {platform}",
                    self.path, self.host
                ))
            })?;
            let bytes = self.manifest(&digest).await?;
            manifest = self.understood(&bytes)?;
        }
        let layers = manifest["layers"].as_array().into_iter().flatten();
        Ok(layers.filter_map(|layer| layer["size"].as_u64()).sum())
    }

    /// An index or a manifest, by its tag or digest.
    async fn manifest(&mut self, reference: &str) -> Result<Bytes, Failure> {
        self.get(&format!("manifests/{reference}"), MANIFESTS).await
    }

    fn understood(&self, document: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(document).map_err(|error| {
            Failure::new(format!(
                "what registry `{}` says of `{}` is not understood: {error}",
                self.host, self.path
            ))
        })
    }

    /// Reads something of the repository, and logs in if that is needed.
    async fn get(&mut self, path: &str, accept: &str) -> Result<Bytes, Failure> {
        let address = format!("{}/v2/{}/{path}", self.origin, self.path);
        let answer = self.follow(&address, accept).await?;
        let answer = match answer.status {
            401 => {
                self.log_in(&answer).await?;
                self.follow(&address, accept).await?
            }
            _ => answer,
        };
        match answer.status {
            200 => Ok(answer.body),
            401 | 403 => Err(self
                .answered(&answer)
                .hint(format!("log in with `docker login {}`", self.host))),
            _ => Err(self.answered(&answer)),
        }
    }

    /// Asks for an address, and for those that answers lead to. Only the registry is told who asks.
    async fn follow(&self, address: &str, accept: &str) -> Result<Answer, Failure> {
        let mut address = self.address(address)?;
        for _ in 0..=REDIRECTIONS {
            let mut headers = vec![(ACCEPT, accept.to_owned())];
            let is_registry = address
                .authority()
                .is_some_and(|found| found == &*self.host);
            if let Some(authorization) = self.authorization.as_ref().filter(|_| is_registry) {
                headers.push((AUTHORIZATION, authorization.clone()));
            }
            let answer = self
                .send(Method::GET, &address, &headers, Vec::new())
                .await?;
            let is_elsewhere = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = answer.header(&LOCATION).filter(|_| is_elsewhere) else {
                return Ok(answer);
            };
            address = if location.starts_with('/') {
                self.address(&format!("{}{location}", self.origin))?
            } else {
                self.address(location)?
            };
        }
        Err(Failure::new(format!(
            "registry `{}` leads from one address to the next",
            self.host
        )))
    }

    /// Does what an answer asks for before it says more.
    async fn log_in(&mut self, answer: &Answer) -> Result<(), Failure> {
        let challenge = answer
            .header(&WWW_AUTHENTICATE)
            .and_then(Challenge::parse)
            .ok_or_else(|| self.answered(answer))?;
        let basic = self.login.as_ref().filter(|login| !login.user().is_empty());
        let basic = basic.map(|login| {
            let login = format!("{}:{}", login.user(), login.secret());
            format!("Basic {}", base64::encode(login.as_bytes()))
        });
        let Challenge::Bearer { realm, service } = challenge else {
            self.authorization = basic;
            return Ok(());
        };
        let scope = format!("repository:{}:pull", self.path);
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.as_deref().map(|service| ("service", service)));
        let token = self.login.as_ref().filter(|login| login.user().is_empty());
        let answer = if let Some(login) = token {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "cog-python"),
                ("refresh_token", login.secret()),
            ]);
            let kind = (CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned());
            let address = self.realm(&realm)?;
            let form = http::form(&fields).into_bytes();
            self.send(Method::POST, &address, &[kind], form).await?
        } else {
            let separator = if realm.contains('?') { '&' } else { '?' };
            let address = self.realm(&format!("{realm}{separator}{}", http::form(&fields)))?;
            let headers = basic.map(|basic| (AUTHORIZATION, basic));
            let headers: Vec<_> = headers.into_iter().collect();
            self.send(Method::GET, &address, &headers, Vec::new())
                .await?
        };
        if answer.status != 200 {
            return Err(self
                .answered(&answer)
                .hint(format!("log in with `docker login {}`", self.host)));
        }
        let answer = self.understood(&answer.body)?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        let token = token
            .ok_or_else(|| Failure::new(format!("registry `{}` gives no token", self.host)))?;
        self.authorization = Some(format!("Bearer {token}"));
        Ok(())
    }

    /// Where tokens are given. A login goes nowhere without TLS but to the registry itself, or this machine.
    fn realm(&self, address: &str) -> Result<Uri, Failure> {
        let address = self.address(address)?;
        let host = address.authority().map_or("", |host| host.as_str());
        let is_safe = address.scheme_str() == Some("https") || host == self.host || is_here(host);
        if self.login.is_some() && !is_safe {
            return Err(Failure::new(format!(
                "registry `{}` wants its login to be sent to `{host}` without TLS",
                self.host
            )));
        }
        Ok(address)
    }

    fn address(&self, text: &str) -> Result<Uri, Failure> {
        text.parse().map_err(|error| {
            Failure::new(format!(
                "registry `{}` has an address that is not understood: {error}",
                self.host
            ))
        })
    }

    async fn send(
        &self,
        method: Method,
        address: &Uri,
        headers: &[(HeaderName, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let sent = http::send(&self.trust, method, address, headers, body).await;
        sent.map_err(|error| Failure::new(format!("cannot ask registry `{}`: {error}", self.host)))
    }

    fn answered(&self, answer: &Answer) -> Failure {
        Failure::new(format!(
            "registry `{}` answered {} when it was asked for `{}`",
            self.host, answer.status, self.path
        ))
    }
}

/// Where a layout has what has this digest.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// Whether a registry is on this machine, where Docker expects no TLS.
fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
