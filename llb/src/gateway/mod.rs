//! Builds that look before they leap, and builders that ship as a frontend.
//!
//! A *build function* gets a [`Build`]: what it was given (options, inputs, contexts) and ways to look at what is there
//! before it says what to make. It resolves images, reads files out of states, runs commands, and returns an [`Image`].
//!
//! ```
//! use llb::gateway::{Build, Image, Result};
//! use llb::prelude::*;
//!
//! async fn build(cx: &mut Build) -> Result<Image> {
//!     let context = cx.context().await?;
//!     let version = cx.filesystem(&context).read_to_string("/.python-version").await?;
//!     let base = cx.image(&format!("python:{}-slim", version.trim())).await?;
//!     Ok(base.copy(context, "/", "/src").workdir("/src").into())
//! }
//! ```
//!
//! The same function runs
//!
//! - from a program, over the connection of a client: [`Client::build`](crate::client::Client::build);
//! - as a frontend image that `docker build` starts: [`Frontend::serve`];
//! - in tests without any daemon: `llb::testing::Double` (feature `testing`).
//!
//! **Invariant.** Only here a result becomes a state: the client sends definitions and gets outcomes.

mod address;
mod build;
mod conflict;
mod container;
mod context;
mod conversion;
mod dockerignore;
mod error;
mod failure;
mod filesystem;
mod frontend;
mod image;
mod inspection;
mod look;
mod offline;
mod process;
mod reference;
mod run;
mod subrequest;
pub(crate) mod transport;
mod warning;

pub use build::Build;
#[cfg(feature = "testing")]
pub(crate) use build::Given;
pub use conflict::Conflict;
pub use container::Container;
pub use context::{MainContext, SourceFile};
pub use error::{Error, Result};
pub use failure::Failure;
pub(crate) use failure::OnFailure;
pub use filesystem::Filesystem;
pub use frontend::{Frontend, frontend_image, is_frontend};
pub use image::{Attestation, Image};
pub use inspection::{Inspect, Inspection, Inspector, Unknown};
pub use look::{ResolvedSource, ResolvedSourceKind};
pub use process::{Command, ExitStatus, Output, Process, Stdio};
pub use reference::{Ref, Stat};
pub use warning::Warning;

pub use crate::session::FileKind;
