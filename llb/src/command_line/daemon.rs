//! The daemon that a command talks to.

use clap::Args;

use crate::client::Client;

/// Which daemon to talk to.
#[derive(Args, Clone, Debug)]
pub struct Daemon {
    /// Where the daemon listens, instead of `BUILDKIT_HOST`, `DOCKER_HOST` or the Docker context: `unix:///PATH`,
    /// `tcp://HOST:PORT`, `ssh://HOST`, `docker-container://NAME`, ...
    #[arg(long, value_name = "ADDRESS", global = true)]
    addr: Option<String>,
}

impl Daemon {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// Why there is no connection, and what to do.
    pub async fn connect(&self) -> Result<Client, String> {
        let client = match &self.addr {
            Some(address) => match address.parse() {
                Ok(address) => Client::connect(&address).await,
                Err(error) => Err(error),
            },
            None => Client::discover().await,
        };
        client.map_err(|error| error.to_string())
    }
}
