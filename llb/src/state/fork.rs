//! Branches of a state, and how they come together again.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::context::Environment;
use super::{ImageConfig, State};
use crate::constraints::{Constrain as _, Constraints};
use crate::error::{ErrorKind, Problem};
use crate::file::mkdir;
use crate::layer::Layer;
use crate::state::{Diff, Merge};

/// A branch of a state that remembers where it left; made by [`State::fork`].
#[derive(Clone, Debug)]
#[must_use = "a fork has no effect until it is merged"]
pub struct Fork {
    base: State,
    state: State,
    location: &'static Location<'static>,
}

impl Fork {
    /// The branch as a state of its own, with everything of the state it left.
    pub fn state(&self) -> &State {
        &self.state
    }

    fn is_unchanged(&self) -> bool {
        self.state.is_same_output(&self.base)
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
            state: branch(self.clone()),
            location: Location::caller(),
        }
    }

    /// Joins branches of this state: this state, and on top of it what each branch added to it. Needs a daemon with
    /// `mergeop` and `diffop`.
    ///
    /// Where two branches write the same path, the later one wins. Environment and image config merge three-way
    /// against this state: what no branch touched stays, what one branch changed wins, and what two branches changed
    /// differently is a mistake that names both. Lists of paths (variables whose name ends in `PATH`) take the entries
    /// that each branch added before or after. Everything else that later execs take over is this state's.
    ///
    /// A single branch needs no merge: the result is that branch.
    #[track_caller]
    pub fn merge(&self, forks: impl IntoIterator<Item = Fork>) -> Self {
        let location = Location::caller();
        let forks: Vec<Fork> = forks.into_iter().collect();
        let is_deferred = |fork: &Fork| fork.base.is_deferred() || fork.state.is_deferred();
        if !self.is_deferred() && !forks.iter().any(is_deferred) {
            return self.merge_at(&forks, location);
        }
        let parents = forks.iter().flat_map(|fork| [&fork.base, &fork.state]);
        let parents = [self].into_iter().chain(parents).cloned().collect();
        let locations: Vec<_> = forks.iter().map(|fork| fork.location).collect();
        self.once_resolved(parents, move |states| {
            let forks = states[1..].chunks_exact(2).zip(&locations);
            let forks: Vec<Fork> = forks
                .map(|(fork, &location)| Fork {
                    base: fork[0].clone(),
                    state: fork[1].clone(),
                    location,
                })
                .collect();
            states[0].merge_at(&forks, location)
        })
    }

    fn merge_at(&self, forks: &[Fork], location: &'static Location<'static>) -> Self {
        let mut problems = Vec::new();
        for fork in forks {
            if !fork.base.is_same_output(self) {
                let message = "a fork can be merged only into the state that it was forked from";
                let problem = Problem::at(ErrorKind::Merge, message, fork.location);
                problems.push(problem.hint(format!(
                    "it is merged at {location}; to lay unrelated states over each other, use `llb::merge`"
                )));
            }
        }

        let changed: Vec<&Fork> = forks.iter().filter(|fork| !fork.is_unchanged()).collect();
        let files = match &changed[..] {
            [] => self.clone(),
            [fork] => fork.state.clone(),
            changed => {
                let branches = changed.iter().map(|fork| match &self.output {
                    Some(_) => Diff::new(self, &fork.state).made_at(fork.location).state(),
                    None => fork.state.clone(),
                });
                let states: Vec<Self> = [self.clone()].into_iter().chain(branches).collect();
                Merge::new(states).made_at(location).state()
            }
        };

        let mut merge = ThreeWay { forks, problems };
        let image_config = merge.image_config(&self.image_config);
        let environment = merge.environment(&self.context.env);
        let mut context = (*self.context).clone();
        context.env = environment;
        let merged = Self {
            output: files.output,
            context: Arc::new(context),
            image_config: Arc::new(image_config),
            problems: files.problems,
        };
        merge.problems.into_iter().fold(merged, Self::record)
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
    pub fn layer(&self, layer: impl Layer) -> Self {
        layer(self.clone())
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
        let layered = layer(self.clone());
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
        let mut lower = mkdir("/", 0o755);
        *lower.constraints_mut() = constraints.clone();
        let mut added = Diff::new(self.file(lower), &layered).made_at(location);
        *added.constraints_mut() = constraints.clone();
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

/// Joins what forks made of a value, against what it was when they left.
struct ThreeWay<'a> {
    forks: &'a [Fork],
    problems: Vec<Problem>,
}

impl ThreeWay<'_> {
    fn image_config(&mut self, base: &ImageConfig) -> ImageConfig {
        let mut merged = base.clone();
        merged.env = self.map("environment variable", &base.env, |fork| {
            &fork.state.image_config.env
        });
        merged.labels = self.map("label", &base.labels, |fork| {
            &fork.state.image_config.labels
        });
        merged.exposed_ports = self.set(&base.exposed_ports, |fork| {
            &fork.state.image_config.exposed_ports
        });
        merged.volumes = self.set(&base.volumes, |fork| &fork.state.image_config.volumes);
        merged.workdir = self.value("working directory", &base.workdir, |fork| {
            &fork.state.image_config.workdir
        });
        merged.user = self.value("user", &base.user, |fork| &fork.state.image_config.user);
        merged.stop_signal = self.value("stop signal", &base.stop_signal, |fork| {
            &fork.state.image_config.stop_signal
        });
        merged.healthcheck = self.value("health check", &base.healthcheck, |fork| {
            &fork.state.image_config.healthcheck
        });
        merged.shell = self.value("shell", &base.shell, |fork| &fork.state.image_config.shell);
        merged.entrypoint = self.value("entrypoint", &base.entrypoint, |fork| {
            &fork.state.image_config.entrypoint
        });
        merged.cmd = self.value("command", &base.cmd, |fork| &fork.state.image_config.cmd);
        merged
    }

    fn environment(&mut self, base: &Environment) -> Environment {
        let to_map = |environment: &Environment| -> IndexMap<String, String> {
            environment
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let forks: Vec<IndexMap<String, String>> = self
            .forks
            .iter()
            .map(|fork| to_map(&fork.state.context.env))
            .collect();
        let merged = self.maps(
            "environment variable",
            &to_map(base),
            &forks.iter().collect::<Vec<_>>(),
        );
        let mut environment = Environment::default();
        merged
            .into_iter()
            .for_each(|(name, value)| environment.set(name, value));
        environment
    }

    fn map(
        &mut self,
        what: &str,
        base: &IndexMap<String, String>,
        of: impl Fn(&Fork) -> &IndexMap<String, String>,
    ) -> IndexMap<String, String> {
        let forks: Vec<_> = self.forks.iter().map(of).collect();
        self.maps(what, base, &forks)
    }

    /// Per key: base order first, then new keys in the order of the forks.
    fn maps(
        &mut self,
        what: &str,
        base: &IndexMap<String, String>,
        forks: &[&IndexMap<String, String>],
    ) -> IndexMap<String, String> {
        let keys: IndexSet<&String> = base
            .keys()
            .chain(forks.iter().flat_map(|fork| fork.keys()))
            .collect();
        let mut merged = IndexMap::new();
        for key in keys {
            let old = base.get(key);
            let values: Vec<Option<&String>> = forks.iter().map(|fork| fork.get(key)).collect();
            let changes: IndexSet<Option<&String>> = values
                .iter()
                .copied()
                .filter(|value| *value != old)
                .collect();
            let is_path_list = key.ends_with("PATH") && changes.iter().all(Option::is_some);
            let value = match changes.len() {
                0 => old.cloned(),
                1 => changes[0].cloned(),
                _ if is_path_list => Some(merge_path_lists(
                    old.map_or("", String::as_str),
                    changes.iter().filter_map(|value| value.map(String::as_str)),
                )),
                _ => {
                    self.conflict(&format!("{what} {key:?}"), |position| {
                        values[position] != old
                    });
                    old.cloned()
                }
            };
            if let Some(value) = value {
                merged.insert(key.clone(), value);
            }
        }
        merged
    }

    fn set(
        &self,
        base: &BTreeSet<String>,
        of: impl Fn(&Fork) -> &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let removed = |item: &String| {
            base.contains(item) && self.forks.iter().any(|fork| !of(fork).contains(item))
        };
        let all = base.iter().chain(self.forks.iter().flat_map(&of));
        all.filter(|item| !removed(item)).cloned().collect()
    }

    #[expect(
        clippy::ref_option,
        reason = "compared as a whole with what the forks made of it"
    )]
    fn value<T: Clone + PartialEq>(
        &mut self,
        what: &str,
        base: &Option<T>,
        of: impl Fn(&Fork) -> &Option<T>,
    ) -> Option<T> {
        let mut changes: Vec<&Option<T>> = Vec::new();
        for value in self.forks.iter().map(&of).filter(|value| *value != base) {
            if !changes.contains(&value) {
                changes.push(value);
            }
        }
        if changes.len() > 1 {
            let changed: Vec<bool> = self.forks.iter().map(|fork| of(fork) != base).collect();
            self.conflict(&format!("the {what}"), |position| changed[position]);
        }
        changes.first().map_or(base, |value| value).clone()
    }

    fn conflict(&mut self, what: &str, changed: impl Fn(usize) -> bool) {
        let mut places: Vec<String> = (0..self.forks.len())
            .filter(|&position| changed(position))
            .map(|position| format!("the fork at {}", self.forks[position].location))
            .collect();
        let last = places.pop().unwrap_or_default();
        let message = format!(
            "{what} was changed differently by {} and {last}",
            places.join(", ")
        );
        if self
            .problems
            .iter()
            .all(|problem| problem.message() != message)
        {
            let problem = Problem::without_location(ErrorKind::ImageConfig, message);
            self.problems
                .push(problem.hint("change it in one fork only, or set it on the merged state"));
        }
    }
}

/// Entries that each change put before those of `base`, then those of `base` that none removed, then what they put
/// behind; each entry once.
fn merge_path_lists<'a>(base: &'a str, changes: impl Iterator<Item = &'a str>) -> String {
    let entries = |list: &'a str| list.split(':').filter(|entry| !entry.is_empty());
    let old: IndexSet<&str> = entries(base).collect();
    let mut kept = old.clone();
    let mut before: IndexSet<&str> = IndexSet::new();
    let mut behind: IndexSet<&str> = IndexSet::new();
    for change in changes {
        let new: Vec<&str> = entries(change).collect();
        let first_old = new
            .iter()
            .position(|entry| old.contains(entry))
            .unwrap_or(new.len());
        before.extend(&new[..first_old]);
        behind.extend(
            new[first_old..]
                .iter()
                .filter(|entry| !old.contains(*entry)),
        );
        kept.retain(|entry| new.contains(entry));
    }
    let all: IndexSet<&str> = before.into_iter().chain(kept).chain(behind).collect();
    all.into_iter().collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn base() -> State {
        image("debian")
            .env("PATH", "/usr/bin:/bin")
            .env("KEEP", "1")
            .expose("80")
    }

    fn problems(state: &State) -> Vec<String> {
        let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
        error
            .problems()
            .iter()
            .map(|problem| problem.message().to_owned())
            .collect()
    }

    #[test]
    fn merging_nothing_gives_the_base() {
        let base = base();
        let merged = base.merge([]);
        assert_eq!(merged.to_text(), base.to_text());
        assert_eq!(merged.image_config(), base.image_config());
    }

    #[test]
    fn merging_one_fork_needs_no_merge_op() {
        let base = base();
        let merged = base.merge([base.fork(|state| state.mkdir("/a", 0o755))]);
        assert_eq!(merged.to_text(), base.mkdir("/a", 0o755).to_text());
    }

    #[test]
    fn forks_become_diffs_over_the_base() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.mkdir("/a", 0o755)),
            base.fork(|state| state.mkdir("/b", 0o755)),
        ]);
        let by_hand = merge([
            base.clone(),
            diff(&base, base.mkdir("/a", 0o755)),
            diff(&base, base.mkdir("/b", 0o755)),
        ]);
        assert_eq!(merged.to_text(), by_hand.to_text());
    }

    #[test]
    fn different_keys_unite_and_removals_travel() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.env("A", "1").label("l", "1").expose("81")),
            base.fork(|state| state.env("B", "2").unset_env("KEEP").volume("/data")),
        ]);
        let config = merged.image_config();
        let env: Vec<(&str, &str)> = config
            .env
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(env, [("PATH", "/usr/bin:/bin"), ("A", "1"), ("B", "2")]);
        assert_eq!(merged.environment().get("KEEP"), None);
        assert_eq!(config.labels["l"], "1");
        assert_eq!(
            config.exposed_ports.iter().collect::<Vec<_>>(),
            ["80/tcp", "81/tcp"]
        );
        assert!(config.volumes.contains("/data"));
    }

    #[test]
    fn both_forks_keep_their_part_of_path() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.prepend_path("/venv/bin")),
            base.fork(|state| state.env("PATH", "/cuda/bin:/usr/bin:/bin:/opt/bin")),
        ]);
        assert_eq!(
            merged.image_config().env["PATH"],
            "/venv/bin:/cuda/bin:/usr/bin:/bin:/opt/bin"
        );
    }

    #[test]
    fn the_same_change_twice_is_no_conflict() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.env("A", "1")),
            base.fork(|state| state.env("A", "1")),
        ]);
        assert_eq!(merged.image_config().env["A"], "1");
    }

    #[test]
    fn two_different_changes_name_the_key_and_both_forks() {
        let base = base();
        let first = base.fork(|state| state.env("A", "1").workdir("/a"));
        let second = base.fork(|state| state.env("A", "2").workdir("/b"));
        let found = problems(&base.merge([first, second]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0]
                .starts_with("environment variable \"A\" was changed differently by the fork at ")
        );
        assert_eq!(found[0].matches("fork.rs:").count(), 2);
        assert!(found[1].starts_with("the working directory was changed differently"));
    }

    #[test]
    fn a_fork_of_another_state_is_refused() {
        let fork = image("alpine").fork(|state| state.mkdir("/a", 0o755));
        let found = problems(&base().merge([fork]));
        assert_eq!(
            found,
            ["a fork can be merged only into the state that it was forked from"]
        );
    }

    #[test]
    fn a_new_entrypoint_clears_the_inherited_command() {
        let base = base().cmd(["bash"]);
        let merged = base.merge([
            base.fork(|state| state.entrypoint(["tini", "--"])),
            base.fork(|state| state),
        ]);
        assert_eq!(
            merged.image_config().entrypoint.as_deref(),
            Some(&["tini".to_owned(), "--".to_owned()][..])
        );
        assert_eq!(merged.image_config().cmd, None);
    }
}
