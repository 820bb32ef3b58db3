//! Layers: functions from state to state, with a name.
//!
//! A [`Layer`] is any function that takes a state and gives a state: a closure, a plain `fn(State) -> State`, or what a
//! function marked with [`#[layer]`](macro@crate::layer) returns. The same layer can be put
//!
//! * on a state, as its next step: [`State::layer`];
//! * on a branch of it, to be merged: [`State::fork`];
//! * on a state, as exactly one layer of the image: [`State::squash`].
//!
//! A layer with a name, given by [`named`] or by `#[layer]`, is a progress group: progress shows its ops under that
//! name, and the text form as `group="…"`. Names never enter a digest.
//!
//! Layers compose without boxes: [`Layer::then`] and [`sequence`] put one after the other, [`when`] leaves one out,
//! [`for_each`] makes one of each item.
//!
//! ```
//! use llb::prelude::*;
//!
//! /// Installs Debian packages.
//! #[layer]
//! fn apt(base: State, packages: &[&str]) -> State {
//!     base.run(args(["apt-get", "install", "-y"].iter().chain(packages).copied()))
//! }
//!
//! let slim = true;
//! let tools = apt(&["git"]).then(layer::when(!slim, apt(&["man-db"])));
//! let state = image("debian").layer(tools).layer(|state| state.workdir("/src"));
//! assert_eq!(state.to_text(), r#"
//! platform linux/amd64
//! %debian = source "docker-image://docker.io/library/debian:latest"
//! %apt-get-install-git = exec "apt-get" "install" "-y" "git" cwd=/ group="apt(git)" {
//!   / = %debian -> out0
//! }
//! return %apt-get-install-git
//! "#.trim_start());
//! ```

mod name;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

#[doc(hidden)]
pub use name::{Argument, Name, Nothing, Shown, ShownAsArgument, ShownByDisplay};

use crate::error::{ErrorKind, Problem};
use crate::metadata::ProgressGroup;
use crate::state::State;

/// A function from state to state.
///
/// Every such function is one; nothing has to be implemented. Functions marked with [`#[layer]`](macro@crate::layer)
/// return one, and can be written to return one by hand:
///
/// ```
/// use llb::prelude::*;
///
/// fn timezone(name: &str) -> impl Layer {
///     layer::named(format!("timezone {name}"), move |base| base.env("TZ", name))
/// }
/// let state = image("debian").layer(timezone("Europe/Zurich"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "expected a function from `State` to `State`",
    note = "write a closure, `|state| state.run(..)`, or call a function that is marked with `#[layer]`: `apt(&[\"git\"])`",
    note = "a function that can fail is made a layer by `#[layer]` or by `llb::layer::fallible`"
)]
#[must_use = "a layer does nothing until it is put on a state"]
pub trait Layer: FnOnce(State) -> State + Sized {
    /// This layer, and then another on top.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// fn greet(base: State) -> State {
    ///     base.mkfile("/greeting", 0o644, "hello\n")
    /// }
    /// let state = scratch().layer(greet.then(|state| state.symlink("greeting", "/welcome")));
    /// ```
    fn then(self, next: impl Layer) -> impl Layer {
        move |base| next(self(base))
    }

    /// This layer under a name, as [`named`] gives it.
    #[track_caller]
    fn named(self, name: impl Into<String>) -> impl Layer {
        named(name, self)
    }
}

#[diagnostic::do_not_recommend]
impl<F: FnOnce(State) -> State> Layer for F {}

/// What the function of a layer returns: a [`State`], or a [`Result`] with one.
#[diagnostic::on_unimplemented(
    message = "a layer cannot return `{Self}`",
    label = "expected `State` or `Result<State, E>`",
    note = "a layer returns the state that it made of its base; the error of a layer that can fail must implement `Display`"
)]
pub trait Outcome {
    /// The state, or the words of the error.
    #[doc(hidden)]
    fn into_result(self) -> Result<State, String>;
}

impl Outcome for State {
    fn into_result(self) -> Result<State, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> Outcome for Result<State, E> {
    fn into_result(self) -> Result<State, String> {
        // The alternate form has the causes, for errors that print them.
        self.map_err(|error| format!("{error:#}"))
    }
}

/// Gives a function a name that progress shows its ops under.
///
/// Ops in a layer within the layer have the inner name. A function that fails is no end of the chain: the error is
/// recorded with the line that named the layer, [`State::marshal`] reports it, and the layer is left out.
///
/// ```
/// use llb::prelude::*;
///
/// let tools = layer::named("tools", |base| base.run(sh("apt-get update")).run(sh("apt-get install -y git")));
/// let state = image("debian").layer(tools);
/// let definition = state.marshal(&MarshalOptions::linux_amd64())?;
/// let group = definition.metadata(definition.head()).unwrap().progress_group.as_ref().unwrap();
/// assert_eq!(group.name, "tools");
/// # Ok::<(), llb::Error>(())
/// ```
#[track_caller]
pub fn named<R: Outcome>(name: impl Into<String>, layer: impl FnOnce(State) -> R) -> impl Layer {
    let name = name.into();
    let location = Location::caller();
    move |base: State| {
        let outer = base.context.group.clone();
        let group = Arc::new(ProgressGroup {
            id: name.clone(),
            name: name.clone(),
            weak: false,
        });
        let inside = base.context(move |context| context.group = Some(group));
        let what = format!("layer {name:?} failed");
        let layered = settle(&base, layer(inside), &what, location);
        layered.context(move |context| context.group = outer)
    }
}

/// Makes a layer of a function that can fail.
///
/// The error is recorded with the line of this call, [`State::marshal`] reports it with everything else that is wrong,
/// and the layer is left out.
///
/// ```
/// use llb::prelude::*;
///
/// let config = br#"{"config":{"Env":["LANG=C.UTF-8"]}}"#;
/// let state = image("debian").layer(layer::fallible(|base| base.with_image_config(config)));
/// assert_eq!(state.environment().get("LANG"), Some("C.UTF-8"));
///
/// let state = image("debian").layer(layer::fallible(|base| base.with_image_config(b"{")));
/// assert!(state.to_text().starts_with("error: a layer failed: "));
/// ```
#[track_caller]
pub fn fallible<R: Outcome>(layer: impl FnOnce(State) -> R) -> impl Layer {
    let location = Location::caller();
    move |base: State| settle(&base, layer(base.clone()), "a layer failed", location)
}

fn settle(
    base: &State,
    outcome: impl Outcome,
    what: &str,
    location: &'static Location<'static>,
) -> State {
    outcome.into_result().unwrap_or_else(|error| {
        let problem = Problem::at(ErrorKind::Layer, format!("{what}: {error}"), location);
        base.clone().record(problem)
    })
}

/// The layer if the condition holds, else one that changes nothing.
///
/// ```
/// use llb::prelude::*;
///
/// let build = |debug: bool| image("rust").layer(layer::when(debug, |base| base.env("RUST_BACKTRACE", "1")));
/// assert_eq!(build(true).environment().get("RUST_BACKTRACE"), Some("1"));
/// assert_eq!(build(false).environment().get("RUST_BACKTRACE"), None);
/// ```
pub fn when(condition: bool, layer: impl Layer) -> impl Layer {
    move |base: State| if condition { layer(base) } else { base }
}

/// One layer of each item, in their order.
///
/// ```
/// use llb::prelude::*;
///
/// #[layer]
/// fn pip(base: State, package: &str) -> State {
///     base.run(args(["pip", "install", package]))
/// }
/// let state = image("python").layer(layer::for_each(["numpy", "scipy"], pip));
/// assert_eq!(state.marshal(&MarshalOptions::linux_amd64())?.ops().len(), 4);
/// # Ok::<(), llb::Error>(())
/// ```
pub fn for_each<I: IntoIterator, L: Layer>(
    items: I,
    layer: impl FnMut(I::Item) -> L,
) -> impl Layer {
    move |base: State| {
        items
            .into_iter()
            .map(layer)
            .fold(base, |state, layer| layer(state))
    }
}

/// The layers of a tuple, one on top of the other.
///
/// ```
/// use llb::prelude::*;
///
/// fn greet(base: State) -> State {
///     base.mkfile("/greeting", 0o644, "hello\n")
/// }
/// let both = layer::sequence((greet, |base: State| base.entrypoint(["cat", "/greeting"])));
/// assert!(scratch().layer(both).image_config().entrypoint.is_some());
/// ```
///
/// Closures in a tuple must give the type of their argument; [`Layer::then`] spares that.
pub fn sequence(layers: impl Layers) -> impl Layer {
    move |base: State| layers.put_on(base)
}

/// Tuples of two to eight [`Layer`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of layers",
    label = "expected a tuple of two to eight functions from `State` to `State`",
    note = "closures in it must give the type of their argument: `|state: State| state.run(..)`"
)]
pub trait Layers {
    #[doc(hidden)]
    fn put_on(self, base: State) -> State;
}

macro_rules! layers {
    ($($layer:ident)*) => {
        impl<$($layer: Layer),*> Layers for ($($layer,)*) {
            fn put_on(self, base: State) -> State {
                #[expect(non_snake_case, reason = "the values are named like their types")]
                let ($($layer,)*) = self;
                $(let base = $layer(base);)*
                base
            }
        }
    };
}
layers!(A B);
layers!(A B C);
layers!(A B C D);
layers!(A B C D E);
layers!(A B C D E F);
layers!(A B C D E F G);
layers!(A B C D E F G H);
