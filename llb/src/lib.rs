#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rim: files, environment and clock are its business"
)]
pub mod client;
mod constraints;
mod definition;
mod error;
pub mod exec;
pub mod file;
mod graph;
mod inspect;
pub mod layer;
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
pub mod value;
mod wire;

pub use constraints::{Constrain, Constraints};
pub use definition::{Definition, DefinitionOp, MarshalOptions, OpDigest, SourceInfo};
pub use error::{Error, ErrorKind, Problem};
pub use exec::{
    Exec, Mount, RunMount, Secret, Ssh, args, bind, cache, device, secret, sh, shlex, ssh, tmpfs,
};
pub use file::{BoundActions, CopySource, FileActions};
pub use layer::Layer;
pub use metadata::{CUSTOM_NAME, LinuxResources, OpMetadata, ProgressGroup};
pub use op::exec::{ContentCache, ProxyEnv, Sharing};
pub use source::{
    Differ, Git, Http, HttpSignature, Image, ImageBlob, Local, OciLayout, OciLayoutBlob,
    ResolveMode, Source, git, http, image, local, oci_layout,
};
pub use sourcemap::{Position, Range, SourceLocation, SourceMap};
pub use state::context::{Environment, Network, Security, Ulimit};
pub use state::{
    Build, Diff, ExecState, Fork, Healthcheck, ImageConfig, Merge, Passthrough, State, diff, merge,
    scratch,
};

/// Makes a layer of a function: `fn apt(base: State, packages: &[&str]) -> State` becomes
/// `fn apt(packages: &[&str]) -> impl Layer`.
///
/// The first parameter is the state that the layer is put on. The function returns a [`State`], or a [`Result`] with
/// one, whose error is recorded and reported by [`State::marshal`] with the line that called the function. Docs,
/// visibility, generics and other attributes stay.
///
/// ```
/// use llb::prelude::*;
///
/// /// Installs Debian packages.
/// #[layer]
/// fn apt(base: State, packages: &[&str]) -> State {
///     base.run(args(["apt-get", "install", "-y"].iter().chain(packages).copied()))
/// }
///
/// let base = image("debian");
/// let next = base.layer(apt(&["git"]));
/// let branches = base.merge([base.fork(apt(&["git", "curl"])), base.fork(apt(&["jq"]))]);
/// let one_image_layer = base.squash(apt(&["git"]).then(apt(&["curl"])));
/// # assert!(next.to_text().contains(r#"group="apt(git)""#));
/// # assert!(branches.to_text().contains(r#"group="apt(git, curl)""#));
/// # assert!(one_image_layer.to_text().ends_with("group=\"apt(curl)\"\nreturn %merge\n"));
/// ```
///
/// # Names
///
/// Progress shows the ops of a layer under the function's name with its arguments: `apt(git, curl)`. Text, numbers,
/// paths and what implements [`Display`](std::fmt::Display) show themselves, lists their items, a switch (`bool`) the
/// name of its parameter when it is on; everything else is left out. Names stand in the definition in plain text, so
/// keep secrets out with `#[layer(skip)]`, or write the name yourself:
///
/// ```
/// use llb::prelude::*;
///
/// #[layer]
/// fn login(base: State, registry: &str, #[layer(skip)] token: &str) -> State {
///     base.run(sh("login").env("REGISTRY", registry).env("TOKEN", token))
/// }
///
/// #[layer(name = "fetch {url} ({bytes} bytes)")]
/// fn fetch(base: State, url: &str, bytes: u64) -> State {
///     base.copy(http(url), "/", "/downloads")
/// }
///
/// let state = image("debian").layer(login("ghcr.io", "hunter2")).layer(fetch("https://example.com/a", 42));
/// let text = state.to_text();
/// assert!(text.contains(r#"group="login(ghcr.io)""#));
/// assert!(text.contains(r#"group="fetch https://example.com/a (42 bytes)""#));
/// ```
///
/// # Layers that fail
///
/// ```
/// use llb::prelude::*;
///
/// #[layer]
/// fn locale(base: State, name: &str) -> Result<State, String> {
///     match name.split_once('.') {
///         Some((_, "UTF-8")) => Ok(base.env("LANG", name)),
///         _ => Err(format!("found {name:?}, expected a locale such as C.UTF-8")),
///     }
/// }
///
/// let state = image("debian").layer(locale("de_DE"));
/// assert_eq!(
///     state.to_text(),
///     "error: layer \"locale(de_DE)\" failed: found \"de_DE\", expected a locale such as C.UTF-8\n"
/// );
/// ```
///
/// # Options
///
/// `#[layer(name = "…")]` is the name as a format string over the parameters. `#[layer(crate = path)]` is where this
/// crate is, for crates that re-export it. `#[layer(skip)]` before a parameter keeps it out of the name.
pub use llb_macros::layer;

/// What most programs need: `use llb::prelude::*`.
pub mod prelude {
    pub use crate::exec::{args, bind, cache, device, secret, sh, shlex, ssh, tmpfs};
    pub use crate::file::{copy, mkdir, mkfile, rm, symlink};
    pub use crate::{
        Constrain, Definition, Fork, Image, Layer, MarshalOptions, Network, Sharing, State, diff,
        git, http, image, layer, local, merge, oci_layout, scratch,
    };
}
