//! Branches of a state.
//!
//! A [`Fork`] remembers the state that it left. [`State::merge`] and [`State::joining`] bring forks together again:
//! `join` lays their files over each other, `three_way` merges what travels along.

mod budget;
mod join;
mod lineage;
mod path_list;
mod three_way;
mod writes;

use std::panic::Location;
use std::sync::Arc;

pub use join::{Join, MergePolicy};

use super::State;
use crate::constraints::{Constrain as _, Constraints};
use crate::error::{ErrorKind, Problem};
use crate::layer::{self, Layer};
use crate::state::Merge;
use crate::value::path;
use writes::Declared;

/// A branch of a state that remembers where it left; made by [`State::fork`].
///
/// Forks can be forked again, and have forks of their own merged into them:
///
/// ```
/// use llb::prelude::*;
///
/// let base = image("debian");
/// let python = base.fork(|state| state.run(sh("install-python")).env("PYTHONUTF8", "1"));
/// let torch = python.fork(|state| state.run(sh("pip install torch")));
/// let numpy = python.fork(|state| state.run(sh("pip install numpy")));
/// let tools = base.fork(|state| state.run(sh("apt-get install -y git")));
/// // What `torch` and `numpy` have in common is in the image once.
/// let app = base.merge([torch.clone(), numpy.clone(), tools.clone()]);
/// let by_hand = merge([
///     base.clone(),
///     diff(&base, python.state()),
///     diff(python.state(), torch.state()),
///     diff(python.state(), numpy.state()),
///     diff(&base, tools.state()),
/// ]);
/// assert_eq!(app.to_text(), by_hand.to_text());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fork has no effect until it is merged"]
pub struct Fork {
    base: State,
    state: State,
    name: Option<Arc<str>>,
    declared: Vec<Declared>,
    reads: Vec<String>,
    /// The fork that this one left, if it left one.
    parent: Option<Arc<Fork>>,
    location: &'static Location<'static>,
}

impl Fork {
    /// The branch as a state of its own, with everything of the state it left.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state that the branch left.
    pub fn base(&self) -> &State {
        &self.base
    }

    /// Names the branch: mistakes show the name, and [`State::merge_within`] groups by it. It enters no digest.
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// Declares the absolute paths that the branch writes: files, or directories with all that is below.
    ///
    /// File actions and mounts of a part of the state declare theirs by themselves; commands cannot. Two branches that
    /// write the same path are a mistake with both lines when they are merged, before anything runs:
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian");
    /// let venv = base.fork(|state| state.run(sh("python -m venv /opt/venv"))).writes(["/opt/venv"]);
    /// let config = base.fork(|state| state.mkfile("/opt/venv/pip.conf", 0o644, ""));
    /// let error = base.merge([venv, config]).marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    /// assert!(error.problems()[0].message().starts_with("two forks write the same path"));
    /// ```
    ///
    /// A branch that declares something declares all of it: nothing else is written, the paths are the real ones (no
    /// link leads from one to another), and the outcome depends on nothing that the branches beside it write, or only on
    /// what [`reads`](Self::reads) says. On engines without merges, such branches may run one after the other
    /// ([`lower`](crate::lower)).
    #[track_caller]
    pub fn writes<S: AsRef<str>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        let location = Location::caller();
        for path in paths {
            if let Some(path) = self.declare("writes", path.as_ref(), location) {
                self.declared.push(Declared { path, location });
            }
        }
        self
    }

    /// Declares absolute paths that the branch looks at and does not write: files, or directories with all that is below.
    ///
    /// It has a meaning only beside [`writes`](Self::writes): where a branch beside this one writes such a path, the two
    /// do not run one after the other on an engine without merges.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian");
    /// let index = base.fork(|state| state.run(sh("ls /usr/share > /index"))).writes(["/index"]).reads(["/usr/share"]);
    /// ```
    #[track_caller]
    pub fn reads<S: AsRef<str>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        let location = Location::caller();
        for path in paths {
            let path = self.declare("reads", path.as_ref(), location);
            self.reads.extend(path);
        }
        self
    }

    /// The path, if it can be declared; else the mistake is recorded.
    fn declare(
        &mut self,
        verb: &str,
        path: &str,
        location: &'static Location<'static>,
    ) -> Option<String> {
        if path::is_absolute(path) {
            return Some(path.to_owned());
        }
        let message =
            format!("a fork declares that it {verb} {path:?}, which is not an absolute path");
        let problem = Problem::at(ErrorKind::Merge, message, location);
        let problem = problem.hint("begin the path with `/`");
        self.state = self.state.clone().record(problem);
        None
    }

    /// Puts a layer on this branch as a branch of its own.
    ///
    /// It can be merged into this branch with [`merge`](Self::merge), or together with others into the state that this
    /// branch left: what it shares with them is then merged once.
    #[track_caller]
    pub fn fork(&self, branch: impl Layer) -> Self {
        Self {
            parent: Some(Arc::new(self.clone())),
            ..self.state.fork(branch)
        }
    }

    /// This branch with branches of its own merged into it, as [`State::merge`] merges them.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian");
    /// let python = base.fork(|state| state.run(sh("install-python")));
    /// let torch = python.fork(|state| state.run(sh("pip install torch")).label("torch", "2"));
    /// let numpy = python.fork(|state| state.run(sh("pip install numpy")));
    /// let python = python.merge([torch, numpy]);
    /// let app = base.merge([python, base.fork(|state| state.label("app", "1"))]);
    /// assert_eq!(app.image_config().labels["torch"], "2");
    /// ```
    #[track_caller]
    pub fn merge(&self, forks: impl IntoIterator<Item = Self>) -> Self {
        Self {
            state: self.state.merge(forks),
            ..self.clone()
        }
    }

    /// The states of the branch and of those that it left, always in the same order.
    fn each_state(&mut self, visit: &mut impl FnMut(&mut State)) {
        let mut fork = self;
        loop {
            visit(&mut fork.base);
            visit(&mut fork.state);
            match &mut fork.parent {
                Some(parent) => fork = Arc::make_mut(parent),
                None => break,
            }
        }
    }

    /// How mistakes name the branch.
    fn title(&self) -> String {
        let location = self.location;
        match &self.name {
            Some(name) => format!("the fork {name:?} at {location}"),
            None => format!("the fork at {location}"),
        }
    }
}

/// # Branches
impl State {
    /// Puts a layer on this state as a branch that can be merged back.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian");
    /// let tools = base.fork(|state| state.run(sh("apt-get update && apt-get install -y git")));
    /// let config = base.fork(|state| state.mkfile("/etc/app.conf", 0o644, "debug = false\n").env("APP", "1"));
    /// let app = base.merge([tools, config]);
    /// assert_eq!(app.image_config().env["APP"], "1");
    /// ```
    #[track_caller]
    pub fn fork(&self, branch: impl Layer) -> Fork {
        Fork {
            base: self.clone(),
            state: layer::put(branch, self, Location::caller()),
            name: None,
            declared: Vec::new(),
            reads: Vec::new(),
            parent: None,
            location: Location::caller(),
        }
    }

    /// Joins branches of this state: this state, and on top of it what each branch added to it. Needs a daemon with
    /// `mergeop` and `diffop`.
    ///
    /// Where two branches write the same path, the later one wins; if the graph says so, by file actions or by
    /// [`Fork::writes`], it is a mistake. Environment and image config merge three-way
    /// against this state: what no branch touched stays, what one branch changed wins, and what two branches changed
    /// differently is a mistake that names both. Lists of paths (variables whose name ends in `PATH`) take the entries
    /// that each branch added before or after. A new entrypoint clears the command that the image had, but not one that
    /// a branch sets. Everything else that later execs take over is this state's.
    ///
    /// Branches of branches merge against their nearest common ancestor, and branches that left a state before this one
    /// against that state: this state's own changes since then count as those of another branch.
    ///
    /// A single branch needs no merge: the result is that branch. To choose what happens to conflicts, or to give the
    /// merge a name, see [`joining`](Self::joining).
    #[track_caller]
    pub fn merge(&self, forks: impl IntoIterator<Item = Fork>) -> Self {
        self.joining(forks).state()
    }

    /// As [`merge`](Self::merge), with options.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian");
    /// let [old, new] = ["3.11", "3.12"].map(|version| base.fork(|state| state.env("PYTHON", version)));
    /// let app = base.joining([old, new]).policy(MergePolicy::LastWins).name("join pythons").state();
    /// assert_eq!(app.image_config().env["PYTHON"], "3.12");
    /// ```
    #[track_caller]
    pub fn joining(&self, forks: impl IntoIterator<Item = Fork>) -> Join {
        Join::new(
            self.clone(),
            forks.into_iter().collect(),
            Location::caller(),
        )
    }

    /// As [`merge`](Self::merge), with at most this number of layers over this state: see [`Join::within`].
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("python");
    /// let packages = (0..300).map(|number| {
    ///     let name = format!("package-{number}");
    ///     base.fork(|state| state.copy(local("wheels"), format!("/{name}"), format!("/packages/{name}"))).named(name)
    /// });
    /// let app = base.merge_within(20, packages);
    /// app.marshal(&MarshalOptions::linux_amd64())?;
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[track_caller]
    pub fn merge_within(&self, layers: usize, forks: impl IntoIterator<Item = Fork>) -> Self {
        self.joining(forks).within(layers).state()
    }

    /// Puts a layer on this state, as its next step.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// #[layer]
    /// fn apt(base: State, packages: &[&str]) -> State {
    ///     base.run(args(["apt-get", "install", "-y"].iter().chain(packages).copied()))
    /// }
    /// let state = image("debian").layer(apt(&["git"])).layer(|state| state.dir("/src"));
    /// ```
    #[track_caller]
    pub fn layer(&self, layer: impl Layer) -> Self {
        layer::put(layer, self, Location::caller())
    }

    /// Puts a layer on this state so that it becomes exactly one layer of the image, however many ops it is made of.
    /// Needs a daemon with `mergeop` and `diffop`.
    ///
    /// What the ops in between wrote and removed again is in no image: the result is this state with the difference
    /// that the layer makes, deletions included, on top. Run context and image config are those of the layer.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").squash(|base| base.run(sh("apt-get update && apt-get install -y git")).rm("/var/lib/apt/lists"));
    /// assert_eq!(state.to_text(), r#"
    /// platform linux/amd64
    /// %debian = source "docker-image://docker.io/library/debian:latest"
    /// %mkdir = file {
    ///   on %debian
    ///   mkdir "/" 0755
    /// }
    /// %apt-get-install-git = exec "/bin/sh" "-c" "apt-get update && apt-get install -y git" cwd=/ {
    ///   / = %debian -> out0
    /// }
    /// %rm-lists = file {
    ///   on %apt-get-install-git
    ///   rm "/var/lib/apt/lists"
    /// }
    /// %diff-rm-lists = diff %mkdir -> %rm-lists
    /// %merge-debian = merge %debian, %diff-rm-lists
    /// return %merge-debian
    /// "#.trim_start());
    /// ```
    ///
    /// Making the root directory changes nothing. But what it makes is no ancestor of the layer's result: of a state and
    /// its own ancestor, BuildKit exports every layer in between instead of one with the difference.
    #[track_caller]
    pub fn squash(&self, layer: impl Layer) -> Self {
        let location = Location::caller();
        let layered = layer::put(layer, self, location);
        if !self.is_deferred() && !layered.is_deferred() {
            return self.squash_at(layered, location);
        }
        let parents = vec![self.clone(), layered.clone()];
        layered.once_resolved(parents, move |states| {
            states[0].squash_at(states[1].clone(), location)
        })
    }

    fn squash_at(&self, layered: Self, location: &'static Location<'static>) -> Self {
        let (Some(upper), false) = (&layered.output, layered.is_same_output(self)) else {
            return layered;
        };
        // The last op of a layer with a name is in its group.
        let options = upper.vertex.data().constraints.options();
        let mut constraints = Constraints::default();
        if let Some(group) = &options.metadata.progress_group {
            constraints = constraints.progress_group(group.clone());
        }
        let added = budget::one_layer(self, &layered, location, |options| {
            options.clone_from(&constraints);
        });
        let mut merged = Merge::new([self.clone(), added.state()]).made_at(location);
        *merged.constraints_mut() = constraints;
        let merged = merged.state();
        Self {
            problems: merged.problems,
            ..layered.with_output(merged.output)
        }
    }

    fn is_same_output(&self, other: &Self) -> bool {
        match (&self.output, &other.output) {
            (Some(left), Some(right)) => left.is_same(right),
            (left, right) => left.is_none() && right.is_none(),
        }
    }
}
