//! The daemon that a command talks to.

use std::path::PathBuf;

use clap::Args;

use crate::client::{Address, Client, Error, Tls};

/// Which daemon to talk to.
#[derive(Args, Clone, Debug)]
pub struct Daemon {
    /// Where the daemon listens, instead of `BUILDKIT_HOST`, `BUILDX_BUILDER`, `DOCKER_HOST` or the Docker context:
    /// `unix:///PATH`, `tcp://HOST:PORT`, `ssh://HOST`, `docker-container://NAME`, `kube-pod://POD`,
    /// `docker://CONTEXT`, `buildx://BUILDER`, ...
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// Certificate authorities for a `tcp://` address
    #[arg(long, value_name = "FILE", requires = "addr")]
    tlscacert: Option<PathBuf>,
    /// The certificate to show at a `tcp://` address
    #[arg(long, value_name = "FILE", requires_all = ["addr", "tlskey"])]
    tlscert: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires_all = ["addr", "tlscert"])]
    tlskey: Option<PathBuf>,
    /// The name in the daemon's certificate, instead of the host of the address
    #[arg(long, value_name = "NAME", requires = "addr")]
    tlsservername: Option<String>,
    /// A directory with `ca.pem`, `cert.pem` and `key.pem`
    #[arg(long, value_name = "DIRECTORY", requires = "addr", conflicts_with_all = ["tlscacert", "tlscert"])]
    tlsdir: Option<PathBuf>,
}

impl Daemon {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// Why there is no connection, and what to do.
    pub async fn connect(&self) -> Result<Client, String> {
        let client = match self.address()? {
            Some(address) => Client::connect(&address).await,
            None => Client::discover().await,
        };
        client.map_err(|error| error.to_string())
    }

    /// The address that was given, if one was.
    ///
    /// # Errors
    ///
    /// The address cannot be read.
    pub fn address(&self) -> Result<Option<Address>, String> {
        let Some(address) = &self.addr else {
            return Ok(None);
        };
        let address: Address = address.parse().map_err(|error: Error| error.to_string())?;
        let Some(tls) = self.tls() else {
            return Ok(Some(address));
        };
        let address = address.with_tls(tls).map_err(|error| error.to_string())?;
        Ok(Some(address))
    }

    fn tls(&self) -> Option<Tls> {
        let mut tls = self.tlsdir.as_deref().map(Tls::directory);
        if let Some(file) = &self.tlscacert {
            tls = Some(tls.unwrap_or_default().ca(file));
        }
        if let Some((file, key)) = self.tlscert.as_ref().zip(self.tlskey.as_ref()) {
            tls = Some(tls.unwrap_or_default().certificate(file, key));
        }
        match &self.tlsservername {
            Some(name) => Some(tls.unwrap_or_default().server_name(name)),
            None => tls,
        }
    }
}
