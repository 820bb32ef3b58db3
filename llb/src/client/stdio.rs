//! Hands the pipe to a daemon on to another program.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::Client;
use super::address::Address;
use super::context;
use super::discover::Environment;
use super::error::{Error, ErrorKind};
use super::transport::{self, Protocol};
use super::{Engine, connect};

impl Client {
    /// Joins two streams with the daemon at an address, or with the one the environment names, until either side
    /// closes: what `buildctl dial-stdio` does with standard input and output.
    ///
    /// The daemon is a buildkitd for whoever is at the other end, also if it is a Docker engine, unless `raw` is set:
    /// then the bytes are those of the socket, as `docker system dial-stdio` has it.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`] and [`Client::discover`]; [`ErrorKind::ConnectionLost`] if a stream breaks.
    pub async fn dial(
        address: Option<&Address>,
        raw: bool,
        mut input: impl AsyncRead + Unpin,
        mut output: impl AsyncWrite + Unpin,
    ) -> Result<(), Error> {
        let environment = Environment::of_process();
        let client = match address {
            Some(address) => Self::connect(&context::follow(address, &environment)?).await?,
            None => Self::discover_in(&environment).await?,
        };
        let opened = match client.engine() {
            _ if raw => transport::open(client.address()).await,
            Engine::BuildKit => transport::open_grpc(client.address(), Protocol::Direct).await,
            Engine::Docker { .. } => {
                transport::open_grpc(client.address(), Protocol::Upgrade).await
            }
        };
        let pipe = opened.map_err(|error| connect::unreachable(client.address(), error))?;
        drop(client);
        let (mut from, mut to) = tokio::io::split(pipe);
        let sending = async {
            tokio::io::copy(&mut input, &mut to).await?;
            to.shutdown().await?;
            // Who has said everything may still wait for the answer.
            std::future::pending().await
        };
        let receiving = async {
            tokio::io::copy(&mut from, &mut output).await?;
            output.flush().await
        };
        let result: io::Result<()> = tokio::select! {
            result = receiving => result,
            result = sending => result,
        };
        result.map_err(|error| {
            Error::new(
                ErrorKind::ConnectionLost,
                format!("the connection broke: {error}"),
            )
        })
    }
}
