//! Merges what travels along with files: image config and environment of later execs.

use std::collections::BTreeSet;
use std::panic::Location;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value};

use super::join::MergePolicy;
use super::{State, path_list};
use crate::error::{ErrorKind, Problem};
use crate::state::ImageConfig;
use crate::state::context::Environment;
use crate::value::shared::Shared;

/// The values of a state that merge three-way.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) config: Shared<ImageConfig>,
    pub(super) env: IndexMap<String, String>,
}

/// What one branch made of the values that it left with.
pub(super) struct Change {
    pub(super) before: Values,
    pub(super) after: Values,
    /// How mistakes name the branch.
    pub(super) title: String,
    /// The positions of the first and the last merged fork that the change comes from.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Applies changes to values.
pub(super) struct ThreeWay<'a> {
    ours: &'a Values,
    changes: &'a [Change],
    policy: MergePolicy,
    merged_at: &'static Location<'static>,
    problems: Vec<Problem>,
}

/// One value before and after a change.
struct Side<T> {
    change: usize,
    before: T,
    after: T,
}

impl From<&State> for Values {
    fn from(state: &State) -> Self {
        Self {
            config: state.image_config.clone(),
            env: state
                .environment()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

impl Values {
    pub(super) fn environment(&self) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in &self.env {
            environment.set(name, value);
        }
        environment
    }
}

impl<'a> ThreeWay<'a> {
    /// The values with all changes applied, and the conflicts.
    pub(super) fn merge(
        ours: &'a Values,
        changes: &'a [Change],
        policy: MergePolicy,
        merged_at: &'static Location<'static>,
    ) -> (Values, Vec<Problem>) {
        let mut merge = Self {
            ours,
            changes,
            policy,
            merged_at,
            problems: Vec::new(),
        };
        let config = merge.config().into();
        let env = merge.map("environment variable", |values| &values.env);
        (Values { config, env }, merge.problems)
    }

    fn config(&mut self) -> ImageConfig {
        let entrypoint = self.value("entrypoint", |config| &config.entrypoint);
        let cmd = self.cmd(entrypoint.as_ref());
        let mut merged = (*self.ours.config).clone();
        merged.env = self.map("environment variable", |values| &values.config.env);
        merged.labels = self.map("label", |values| &values.config.labels);
        merged.exposed_ports = self.set(|config| &config.exposed_ports);
        merged.volumes = self.set(|config| &config.volumes);
        merged.entrypoint = entrypoint;
        merged.cmd = cmd;
        merged.workdir = self.value("working directory", |config| &config.workdir);
        merged.user = self.value("user", |config| &config.user);
        merged.stop_signal = self.value("stop signal", |config| &config.stop_signal);
        merged.healthcheck = self.value("health check", |config| &config.healthcheck);
        merged.shell = self.value("shell", |config| &config.shell);
        merged.other_config = self.fields("config.", |config| &config.other_config);
        merged.other = self.fields("", |config| &config.other);
        merged
    }

    /// The command: a new entrypoint clears the one that was inherited, but not one that a branch sets.
    fn cmd(&mut self, entrypoint: Option<&Vec<String>>) -> Option<Vec<String>> {
        let base = &self.ours.config;
        let new_entrypoint =
            |change: &Change| change.before.config.entrypoint != change.after.config.entrypoint;
        let cleared = |from: &ImageConfig, to: &ImageConfig| {
            from.entrypoint != to.entrypoint && from.cmd.is_some() && to.cmd.is_none()
        };
        let mut sides = Vec::new();
        let mut clears = false;
        for (number, change) in self.changes.iter().enumerate() {
            let (before, after) = (&change.before.config, &change.after.config);
            if new_entrypoint(change) && after.entrypoint.as_ref() != entrypoint {
                // The arguments of an entrypoint that lost.
                continue;
            }
            if cleared(before, after) {
                clears |= base.cmd == before.cmd;
                continue;
            }
            // A clearing that came with this state is no choice of a command.
            let before = if cleared(before, base) {
                &base.cmd
            } else {
                &before.cmd
            };
            sides.push(Side {
                change: number,
                before,
                after: &after.cmd,
            });
        }
        let kept = |change: &Change| {
            new_entrypoint(change)
                && change.after.config.cmd.is_some()
                && change.after.config.entrypoint.as_ref() == entrypoint
        };
        let set = sides.iter().any(|side| side.before != side.after);
        if clears && !set && !self.changes.iter().any(kept) {
            return None;
        }
        self.decide("the command", &base.cmd, &sides).clone()
    }

    /// Per key: the order of this state first, then new keys in the order of the changes.
    fn map(
        &mut self,
        what: &str,
        of: impl Fn(&Values) -> &IndexMap<String, String>,
    ) -> IndexMap<String, String> {
        let (ours, changes) = (of(self.ours), self.changes);
        let new = changes.iter().flat_map(|change| of(&change.after).keys());
        let keys: IndexSet<&String> = ours.keys().chain(new).collect();
        let mut merged = IndexMap::new();
        for key in keys {
            let sides = self.sides(|values| of(values).get(key));
            let value = if path_list::is_path_list(key) {
                self.path_list(what, key, ours.get(key), &sides)
            } else {
                self.decide(&format!("{what} {key:?}"), ours.get(key), &sides)
                    .cloned()
            };
            if let Some(value) = value {
                merged.insert(key.clone(), value);
            }
        }
        merged
    }

    fn path_list(
        &mut self,
        what: &str,
        key: &str,
        ours: Option<&String>,
        sides: &[Side<Option<&String>>],
    ) -> Option<String> {
        let changed: Vec<_> = sides
            .iter()
            .filter(|side| side.before != side.after)
            .collect();
        let removed = changed.iter().any(|side| side.after.is_none());
        let agreed = changed
            .windows(2)
            .all(|pair| pair[0].after == pair[1].after)
            && changed.iter().all(|side| side.before == ours);
        if removed || agreed {
            return self
                .decide(&format!("{what} {key:?}"), ours, sides)
                .cloned();
        }
        let afters = || changed.iter().filter_map(|side| side.after);
        let inherited = |value| path_list::inherited(key, value, afters().map(String::as_str));
        let changes = changed.iter().filter_map(|side| {
            let before = inherited(side.before.map(String::as_str));
            Some((before, side.after?.as_str()))
        });
        Some(path_list::merge(
            inherited(ours.map(String::as_str)),
            changes,
        ))
    }

    /// Fields without a name of their own, as they were read.
    fn fields(
        &mut self,
        place: &str,
        of: impl Fn(&ImageConfig) -> &Map<String, Value>,
    ) -> Map<String, Value> {
        let (ours, changes) = (of(&self.ours.config), self.changes);
        let new = changes
            .iter()
            .flat_map(|change| of(&change.after.config).keys());
        let keys: IndexSet<&String> = ours.keys().chain(new).collect();
        let mut merged = Map::new();
        for key in keys {
            let sides = self.sides(|values| of(&values.config).get(key));
            let what = format!("the image config's field {:?}", format!("{place}{key}"));
            if let Some(value) = self.decide(&what, ours.get(key), &sides) {
                merged.insert(key.clone(), value.clone());
            }
        }
        merged
    }

    fn set(&self, of: impl Fn(&ImageConfig) -> &BTreeSet<String>) -> BTreeSet<String> {
        let mut merged = of(&self.ours.config).clone();
        for change in self.changes {
            let (before, after) = (of(&change.before.config), of(&change.after.config));
            merged.retain(|item| after.contains(item) || !before.contains(item));
        }
        for change in self.changes {
            let (before, after) = (of(&change.before.config), of(&change.after.config));
            merged.extend(after.difference(before).cloned());
        }
        merged
    }

    fn value<T: Clone + PartialEq>(
        &mut self,
        what: &str,
        of: impl Fn(&ImageConfig) -> &Option<T>,
    ) -> Option<T> {
        let ours = of(&self.ours.config);
        let sides = self.sides(|values| of(&values.config));
        self.decide(&format!("the {what}"), ours, &sides).clone()
    }

    fn sides<T>(&self, of: impl Fn(&'a Values) -> T) -> Vec<Side<T>> {
        let sides = self
            .changes
            .iter()
            .enumerate()
            .map(|(number, change)| Side {
                change: number,
                before: of(&change.before),
                after: of(&change.after),
            });
        sides.collect()
    }

    fn decide<T: Copy + PartialEq>(&mut self, what: &str, ours: T, sides: &[Side<T>]) -> T {
        let changed: Vec<&Side<T>> = sides
            .iter()
            .filter(|side| side.before != side.after)
            .collect();
        let Some(first) = changed.first() else {
            return ours;
        };
        let ours_changed = changed.iter().any(|side| side.before != ours);
        if changed.iter().all(|side| side.after == first.after)
            && (!ours_changed || ours == first.after)
        {
            return first.after;
        }
        let changes = self.changes;
        let chosen = match self.policy {
            MergePolicy::Deny => {
                self.conflict(what, &changed, ours_changed);
                None
            }
            MergePolicy::FirstWins if ours_changed => None,
            MergePolicy::FirstWins => changed.iter().min_by_key(|side| changes[side.change].first),
            MergePolicy::LastWins => changed.iter().max_by_key(|side| changes[side.change].last),
        };
        chosen.map_or(ours, |side| side.after)
    }

    fn conflict<T>(&mut self, what: &str, changed: &[&Side<T>], ours_changed: bool) {
        let titles = changed.iter().map(|side| &*self.changes[side.change].title);
        let mut titles: Vec<&str> = titles.collect();
        if ours_changed {
            titles.push("the state that they are merged into");
        }
        let last = titles.pop().unwrap_or_default();
        let message = format!(
            "{what} was changed differently by {} and {last}",
            titles.join(", ")
        );
        let mut known = self.problems.iter();
        if known.all(|problem| problem.message() != message) {
            let problem = Problem::at(ErrorKind::ImageConfig, message, self.merged_at);
            self.problems.push(problem.hint(
                "change it in one fork only, set it on the merged state, or choose who wins: \
                 `joining(..).policy(MergePolicy::LastWins)`",
            ));
        }
    }
}
