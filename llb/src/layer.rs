//! Layers: functions from state to state, with a name.
//!
//! A [`Layer`] is any function that takes a state and gives a state, or a [`Result`] with one: a closure, a plain
//! `fn(State) -> State`, or what a function marked with [`#[layer]`](macro@crate::layer) returns. The same layer can be
//! put
//!
//! * on a state, as its next step: [`State::layer`];
//! * on a branch of it, to be merged: [`State::fork`];
//! * on a state, as exactly one layer of the image: [`State::squash`];
//! * on the state of every platform: [`Platforms::map`](crate::Platforms::map).
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
use crate::sourcemap::Frame;
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
///
/// A function that fails is no end of the chain: the error is recorded with the line that put the layer on a state,
/// [`State::marshal`] reports it with everything else that is wrong, and the layer is left out.
///
/// ```
/// use llb::prelude::*;
///
/// fn configured(base: State) -> Result<State, llb::Error> {
///     Ok(base.with_image_config(b"{")?.dir("/src"))
/// }
/// let state = image("debian").layer(configured);
/// assert!(state.to_text().starts_with("error: a layer failed: "));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "expected a function from `State` to `State`",
    note = "write a closure, `|state| state.run(..)`, or call a function that is marked with `#[layer]`: `apt(&[\"git\"])`"
)]
#[must_use = "a layer does nothing until it is put on a state"]
pub trait Layer: FnOnce(State) -> <Self as Layer>::Made + Sized {
    /// What the function returns: a state, or a result with one.
    type Made: Outcome;

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
    #[track_caller]
    fn then(self, next: impl Layer) -> impl Layer {
        let location = Location::caller();
        move |base: State| apply(next, &apply(self, &base, location), location)
    }

    /// This layer under a name, as [`named`] gives it.
    #[track_caller]
    fn named(self, name: impl Into<String>) -> impl Layer {
        named(name, self)
    }
}

impl<F: FnOnce(State) -> R, R: Outcome> Layer for F {
    type Made = R;
}

/// What the function of a layer returns: a [`State`], or a [`Result`] with one.
#[diagnostic::on_unimplemented(
    message = "a layer cannot return `{Self}`",
    label = "expected `State` or `Result<State, E>`",
    note = "a layer returns the state that it made of its base: leave out the `;` behind the last one",
    note = "the error of a layer that can fail must implement `Display`"
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

/// Gives a layer a name that progress shows its ops under.
///
/// Ops in a layer within the layer have the inner name.
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
pub fn named(name: impl Into<String>, layer: impl Layer) -> impl Layer {
    let name = Arc::from(name.into());
    let location = Location::caller();
    move |base: State| enter(Some(name), layer, &base, location)
}

/// Puts a layer on a state, with a frame for the ops in it.
pub(crate) fn put(layer: impl Layer, base: &State, location: &'static Location<'static>) -> State {
    enter(None, layer, base, location)
}

fn enter(
    name: Option<Arc<str>>,
    layer: impl Layer,
    base: &State,
    location: &'static Location<'static>,
) -> State {
    let outer = base.context.frame.clone();
    let what = match &name {
        Some(name) => format!("the layer {name:?} failed"),
        None => "a layer failed".to_owned(),
    };
    let frame = Frame::new(name, location, outer.clone());
    let inside = base.context(move |context| context.frame = Some(frame));
    let layered = settle(layer(inside), base, &what, location);
    layered.context(move |context| context.frame = outer)
}

/// Puts a layer on a state that is in the frame of another.
fn apply(layer: impl Layer, base: &State, location: &'static Location<'static>) -> State {
    settle(layer(base.clone()), base, "a layer failed", location)
}

/// What a layer made; the state as it was, with the error, if it failed.
fn settle(
    made: impl Outcome,
    base: &State,
    what: &str,
    location: &'static Location<'static>,
) -> State {
    made.into_result().unwrap_or_else(|error| {
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
#[track_caller]
pub fn when(condition: bool, layer: impl Layer) -> impl Layer {
    let location = Location::caller();
    move |base: State| {
        if condition {
            apply(layer, &base, location)
        } else {
            base
        }
    }
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
#[track_caller]
pub fn for_each<I: IntoIterator, L: Layer>(
    items: I,
    layer: impl FnMut(I::Item) -> L,
) -> impl Layer {
    let location = Location::caller();
    move |base: State| {
        let layers = items.into_iter().map(layer);
        layers.fold(base, |state, layer| apply(layer, &state, location))
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
#[track_caller]
pub fn sequence(layers: impl Layers) -> impl Layer {
    let location = Location::caller();
    move |base: State| layers.put_on(base, location)
}

/// Tuples of two to eight [`Layer`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of layers",
    label = "expected a tuple of two to eight layers",
    note = "closures in it must give the type of their argument: `|state: State| state.run(..)`"
)]
pub trait Layers {
    #[doc(hidden)]
    fn put_on(self, base: State, location: &'static Location<'static>) -> State;
}

macro_rules! layers {
    ($($layer:ident)*) => {
        impl<$($layer: Layer),*> Layers for ($($layer,)*) {
            fn put_on(self, base: State, location: &'static Location<'static>) -> State {
                #[expect(non_snake_case, reason = "the values are named like their types")]
                let ($($layer,)*) = self;
                $(let base = apply($layer, &base, location);)*
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
