//! A client of BuildKit daemons: buildkitd, and the BuildKit inside Docker engines.
//!
//! [`Client::discover`] or [`Client::connect`] give a connection; [`Client::solve`] runs one build
//! ([`Solve`]) with everything it needs from this machine (directories, secrets, logins) and brings
//! back what it exports ([`Export`]). Progress goes to any [`Progress`](crate::progress::Progress).
//!
//! ```no_run
//! use llb::client::{Client, Entitlement, Export, Secret, Solve};
//! use llb::progress::Plain;
//!
//! # async fn build(definition: llb::proto::pb::Definition) -> Result<(), llb::client::Error> {
//! let client = Client::discover().await?;
//! let outcome = client
//!     .solve(
//!         Solve::definition(definition)
//!             .local("context", "./model")
//!             .secret("token", Secret::env("TOKEN"))
//!             .allow(Entitlement::NetworkHost)
//!             .export(Export::image("me/model").push(true)),
//!         &mut Plain::new(std::io::stderr()),
//!     )
//!     .await?;
//! println!("{}", outcome.image_digest().unwrap_or("no image"));
//! # Ok(())
//! # }
//! ```
//!
//! **Invariant.** The client sends definitions; it cannot build graphs. Of a state it knows only how it is marshalled.

mod address;
mod ask;
mod attribute;
mod cache;
mod cancel;
mod capability;
mod connect;
mod context;
mod dial;
mod discover;
mod drive;
mod error;
mod excerpt;
mod exit;
mod export;
mod failed_op;
mod failure;
mod info;
mod layouts;
mod lowering;
mod outcome;
mod proxies;
mod push;
mod resolve;
mod result;
mod solve;
mod source_text;
mod stdio;
mod tls;
mod transport;
mod unique;
mod watch;
mod witness;

pub use crate::source::ResolvedImage;
pub use address::Address;
pub use cache::CacheOption;
pub use cancel::Cancel;
pub use capability::Capabilities;
pub use dial::Dial;
pub use error::{Attempt, Error, ErrorKind};
pub use excerpt::SourceExcerpt;
pub use export::{Compression, Export};
pub use failure::FailedStep;
pub use info::{CacheRecord, DaemonInfo, Prune, Worker};
pub use outcome::Outcome;
pub use solve::{Entitlement, Solve};
pub use tls::Tls;

#[cfg(feature = "gateway")]
pub(crate) use connect::LARGEST_MESSAGE;
#[cfg(feature = "gateway")]
pub(crate) use drive::{Job, NO_DIFFS, WHERE_DIFFS_ARE, ignore_cache};
#[cfg(feature = "gateway")]
pub(crate) use failed_op::FailedExec;
#[cfg(feature = "gateway")]
pub(crate) use failure::{call_error, function_error, step_error};
#[cfg(feature = "gateway")]
pub(crate) use resolve::{answer as resolved_image, request as resolve_image_request};
#[cfg(feature = "gateway")]
pub(crate) use result::give_config;
#[cfg(feature = "gateway")]
pub(crate) use result::give_time;

pub use crate::session::{LocalDirectory, Login, Secret, SshAgent, Upload};

use std::sync::Arc;

use tokio::sync::OnceCell;
use tonic::transport::Channel;

pub(crate) type ControlClient =
    crate::proto::moby::buildkit::v1::control_client::ControlClient<Channel>;

/// A connection to a daemon. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    address: Address,
    engine: Engine,
    /// What the daemon can do, once it has been asked.
    capabilities: Arc<OnceCell<Capabilities>>,
}

/// What a daemon is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Engine {
    /// buildkitd.
    BuildKit,
    /// The BuildKit inside a Docker engine.
    Docker {
        /// The engine's API version, as major and minor.
        api_version: Option<(u32, u32)>,
        /// Whether images are in containerd's store. Without it the engine has neither merge ops
        /// nor annotations, and images are pushed by the engine instead of the build.
        image_store: bool,
    },
}

impl Client {
    /// Where the daemon listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the daemon is.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Compiles the code of the page about the client.
#[cfg(all(doctest, feature = "progress"))]
#[doc = include_str!("../../../docs/client.md")]
struct ClientPage;
