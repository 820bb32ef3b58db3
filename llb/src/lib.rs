#![doc = include_str!("../README.md")]

#[cfg(feature = "builder")]
#[allow(
    clippy::disallowed_methods,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod builder;
#[cfg(feature = "client")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod client;
#[cfg(feature = "cli")]
#[doc(hidden)]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod command_line;
mod constraints;
mod definition;
mod error;
pub mod exec;
pub mod file;
#[cfg(feature = "gateway")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod gateway;
mod graph;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod inspect;
pub mod layer;
pub mod lower;
mod macros;
mod metadata;
mod op;
#[cfg(feature = "client")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod progress;
pub mod proto;
#[cfg(feature = "client")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod session;
mod source;
mod sourcemap;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
pub mod value;
pub mod verify;
mod wire;

pub use constraints::{Constrain, Constraints};
pub use definition::{Definition, DefinitionOp, MarshalOptions, OpDigest, SourceInfo};
pub use error::{Error, ErrorKind, Problem};
pub use exec::{
    Exec, Mount, RunMount, Secret, Ssh, args, bind, cache, device, secret, sh, shlex, ssh, tmpfs,
};
pub use file::{BoundActions, CopySource, FileActions};
pub use layer::Layer;
#[cfg(feature = "builder")]
pub use macros::builder;
pub use macros::{graph, layer, sh};
pub use metadata::{CUSTOM_NAME, Description, LinuxResources, OpMetadata, ProgressGroup};
pub use op::exec::{ContentCache, ProxyEnv, Sharing};
pub use source::{
    Differ, Git, Http, HttpSignature, Image, ImageBlob, ImageRequest, Local, OciLayout,
    OciLayoutBlob, ResolveMode, ResolvedImage, Source, git, http, image, local, oci_layout,
};
pub use sourcemap::{CallerLocations, Position, Range, SourceLocation, SourceMap, SourceTexts};
pub use state::context::{Environment, Network, Security, Ulimit, UnknownMode};
pub use state::{
    Build, Diff, ExecState, Fork, Healthcheck, ImageConfig, Join, Merge, MergePolicy, Passthrough,
    Platforms, State, diff, merge, scratch,
};

/// The code of the guides is compiled and run with the doc tests.
#[cfg(all(doctest, feature = "gateway", feature = "testing"))]
mod guides {
    #[doc = include_str!("../../docs/frontends.md")]
    struct Frontends;
    #[doc = include_str!("../../docs/testing-builds.md")]
    struct TestingBuilds;
}

/// What most programs need: `use llb::prelude::*`.
pub mod prelude {
    pub use crate::exec::{args, bind, cache, device, secret, shlex, ssh, tmpfs};
    pub use crate::file::{copy, mkdir, mkfile, rm, symlink};
    pub use crate::{
        Constrain, Definition, Fork, Image, Layer, MarshalOptions, MergePolicy, Network, Sharing,
        State, diff, git, http, image, layer, local, merge, oci_layout, scratch, sh,
    };
}
