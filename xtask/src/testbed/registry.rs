//! The registry on loopback: a mirror of Docker Hub with our images, and a place to push to.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::daemon::Daemon;
use super::http::{self, Body, Endpoint, Response};
use super::layout::Layout;
use super::ports::free_port;
use super::tools::Tools;

/// How long one answer of the registry may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Media type of the manifests we write.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A running registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registry {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

/// Starts the registry, on the port it had before if that is still free.
pub(crate) fn start(layout: &Layout, tools: &Tools) -> Result<(Registry, Daemon)> {
    let memory = layout.data("registry-port");
    let mut preferred = fs::read_to_string(&memory)
        .ok()
        .and_then(|port| port.trim().parse().ok());
    let mut attempts = 3;
    loop {
        let port = free_port(preferred.take())?;
        let config = layout.run().join("registry.yml");
        fs::write(&config, configuration(&layout.data("registry"), port))?;
        let mut daemon = Daemon::start(layout, tools, "registry", "docker-registry", |command| {
            command.arg("serve").arg(&config);
        })?;
        match daemon.wait_http(&Endpoint::Loopback(port), "/v2/", PATIENCE) {
            Ok(()) => {
                fs::create_dir_all(layout.data(""))?;
                fs::write(&memory, port.to_string())?;
                return Ok((Registry { port }, daemon));
            }
            // Someone else may have taken the port in between.
            Err(_) if attempts > 1 && !daemon.identity.is_alive() => attempts -= 1,
            Err(error) => return Err(error),
        }
    }
}

impl Registry {
    /// Whether the repository holds a manifest with this tag or digest.
    pub(crate) fn has_manifest(self, repository: &str, reference: &str) -> bool {
        let target = format!("/v2/{repository}/manifests/{reference}");
        self.ask("HEAD", &target, &[("Accept", MANIFEST)], Body::Empty)
            .is_ok_and(|response| response.status == 200)
    }

    /// Uploads a blob unless the repository holds it already.
    pub(crate) fn push_blob(self, repository: &str, digest: &str, body: Body<'_>) -> Result<()> {
        let blob = format!("/v2/{repository}/blobs/{digest}");
        if self.ask("HEAD", &blob, &[], Body::Empty)?.status == 200 {
            return Ok(());
        }
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let started = self
            .ask("POST", &uploads, &[], Body::Empty)?
            .expect(&[202], "start an upload")?;
        let location = started
            .header("location")
            .context("the registry named no location for the upload")?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{separator}digest={digest}");
        self.ask("PUT", &target, &[], body)?
            .expect(&[201], "upload a blob")?;
        Ok(())
    }

    /// Uploads a manifest under a tag.
    pub(crate) fn push_manifest(self, repository: &str, tag: &str, manifest: &[u8]) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/{tag}");
        self.ask("PUT", &target, &[], Body::Bytes(manifest, MANIFEST))?
            .expect(&[201], "upload a manifest")?;
        Ok(())
    }

    fn ask(
        self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Response> {
        let endpoint = Endpoint::Loopback(self.port);
        http::request(&endpoint, method, target, headers, body, PATIENCE)
    }
}

/// The registry's configuration. Locations are relative because our client speaks paths.
fn configuration(storage: &Path, port: u16) -> String {
    format!(
        "version: 0.1\n\
         log:\n  level: warn\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n  relativeurls: true\n  secret: testbed\n",
        storage.display()
    )
}
