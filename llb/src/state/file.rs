//! File actions on states.

use std::panic::Location;
use std::sync::Arc;

use super::State;
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::file::{self, Action, ActionKind, Bound, BoundActions, CopySource, FileActions};
use crate::graph::Output;
use crate::op::Op;
use crate::op::file::{CopyAction, FileActionKind, FileActionOp, FileInput, FileOp};
use crate::value::path;

/// # Files
impl State {
    /// Applies a chain of file actions as one op.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = scratch().dir("/app").file(mkdir("data", 0o755).parents().name("make folders"));
    /// assert_eq!(state.to_text(), r#"
    /// %make-folders = file name="make folders" {
    ///   mkdir "/app/data" 0755 parents
    /// }
    /// return %make-folders
    /// "#.trim_start());
    /// ```
    pub fn file<Last>(&self, actions: FileActions<Last>) -> Self {
        if self.is_deferred() || file::reads_deferred(&actions.actions) {
            return self.file_deferred(actions);
        }
        self.file_on(&actions.actions, actions.constraints, actions.location)
    }

    fn file_deferred<Last>(&self, actions: FileActions<Last>) -> Self {
        let mut parents = vec![self.clone()];
        let hollow = Sources::default().replace(&actions.actions, &mut |state| {
            parents.push(state.clone());
            Self::scratch()
        });
        let (constraints, location) = (actions.constraints, actions.location);
        self.once_resolved(parents, move |states| {
            let mut sources = states[1..].iter();
            let actions = Sources::default().replace(&hollow, &mut |hollow| {
                sources.next().unwrap_or(hollow).clone()
            });
            states[0].file_on(&actions, constraints.clone(), location)
        })
    }

    fn file_on(
        &self,
        actions: &[Action],
        constraints: Constraints,
        location: &'static Location<'static>,
    ) -> Self {
        let mut walk = Walk::default();
        let (last, visits) = walk.chain(self, actions);
        if let Some(last) = last {
            walk.actions[last as usize].is_output = true;
        }
        let mut problems = Vec::new();
        if let Some(location) = file::empty_chain(actions, location) {
            let message = "action is required: a chain of file actions has none";
            problems.push(Problem::at(ErrorKind::File, message, location));
        }
        let op = FileOp {
            actions: walk.actions,
            visits,
        };
        let vertex = Self::vertex(
            Op::File(op),
            walk.inputs,
            self.in_group(constraints),
            location,
            problems,
            std::iter::once(self).chain(&walk.parents),
        );
        let mut state = self.with_output(Some(vertex.into_output(0)));
        state.problems = None;
        state
    }

    /// Makes a directory with these permission bits (octal). For more, see [`mkdir`](crate::file::mkdir).
    #[track_caller]
    pub fn mkdir(&self, path: impl Into<String>, mode: u32) -> Self {
        self.file(file::mkdir(path, mode))
    }

    /// Makes a file with these permission bits (octal) and this content. For more, see
    /// [`mkfile`](crate::file::mkfile).
    #[track_caller]
    pub fn mkfile(&self, path: impl Into<String>, mode: u32, data: impl Into<Vec<u8>>) -> Self {
        self.file(file::mkfile(path, mode, data))
    }

    /// Makes a symbolic link at `new` that leads to `old`. For more, see [`symlink`](crate::file::symlink).
    #[track_caller]
    pub fn symlink(&self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.file(file::symlink(old, new))
    }

    /// Removes a file, or a directory with all that is in it. For more, see [`rm`](crate::file::rm).
    #[track_caller]
    pub fn rm(&self, path: impl Into<String>) -> Self {
        self.file(file::rm(path))
    }

    /// Copies a path of another state as `COPY` in a Dockerfile does: the content of a directory, into a destination
    /// that is made if it is missing. For more, see [`copy`](crate::file::copy).
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").copy(local("context"), "/", "/src");
    /// assert_eq!(state.to_text(), r#"
    /// platform linux/amd64
    /// %debian = source "docker-image://docker.io/library/debian:latest"
    /// %context = local "context"
    /// %copy-src = file {
    ///   on %debian
    ///   copy %context "/" => "/src" contents-only create-destination
    /// }
    /// return %copy-src
    /// "#.trim_start());
    /// ```
    #[track_caller]
    pub fn copy(
        &self,
        from: impl Into<CopySource>,
        source: impl Into<String>,
        destination: impl Into<String>,
    ) -> Self {
        self.file(
            file::copy(from, source, destination)
                .contents_only()
                .create_destination(),
        )
    }
}

/// Replaces the states that actions copy from. A bound chain that several copies read stays one.
#[derive(Default)]
struct Sources {
    bound: Vec<(Arc<Bound>, Arc<Bound>)>,
}

impl Sources {
    fn replace(
        &mut self,
        actions: &[Action],
        replace: &mut dyn FnMut(&State) -> State,
    ) -> Vec<Action> {
        let mut actions = actions.to_vec();
        for action in &mut actions {
            if let ActionKind::Copy(copy) = &mut action.kind {
                copy.from = match &copy.from {
                    CopySource::State(state) => CopySource::State(replace(state)),
                    CopySource::Actions(bound) => {
                        CopySource::Actions(BoundActions(self.bound(&bound.0, replace)))
                    }
                };
            }
        }
        actions
    }

    fn bound(
        &mut self,
        bound: &Arc<Bound>,
        replace: &mut dyn FnMut(&State) -> State,
    ) -> Arc<Bound> {
        let known = self.bound.iter().find(|(old, _)| Arc::ptr_eq(old, bound));
        if let Some((_, new)) = known {
            return Arc::clone(new);
        }
        let state = replace(&bound.state);
        let actions = self.replace(&bound.actions, replace);
        let location = bound.location;
        let new = Arc::new(Bound {
            state,
            actions,
            location,
        });
        self.bound.push((Arc::clone(bound), Arc::clone(&new)));
        new
    }
}

/// Numbers the actions of a file op and collects its inputs.
///
/// Inputs come in action order: the base of a chain before what its actions copy from. Actions are numbered in the order
/// in which they are completed. Inputs are *visited* in another order, from the last action to the first.
#[derive(Default)]
struct Walk {
    actions: Vec<FileActionOp>,
    inputs: Vec<Output>,
    parents: Vec<State>,
    /// Chains that were bound to a state of their own, with the number of their last action and their visits.
    bound: Vec<(Arc<Bound>, Option<u32>, Vec<u32>)>,
}

impl Walk {
    /// Adds a chain on a state; gives the number of its last action, and the inputs to visit.
    fn chain(&mut self, base: &State, actions: &[Action]) -> (Option<u32>, Vec<u32>) {
        let names = self.state_input(base);
        let mut input = names;
        let mut last = None;
        let mut copied: Vec<Vec<u32>> = Vec::new();
        for action in actions {
            let (secondary, visits) = match &action.kind {
                ActionKind::Copy(copy) => match &copy.from {
                    CopySource::State(state) => {
                        let input = self.state_input(state);
                        (Some(input), input_position(input).into_iter().collect())
                    }
                    CopySource::Actions(bound) => {
                        let (input, visits) = self.bound(&bound.0);
                        (Some(input), visits)
                    }
                },
                _ => (None, Vec::new()),
            };
            copied.push(visits);
            let kind = resolve(action, base);
            self.actions.push(FileActionOp {
                input,
                secondary,
                names,
                is_output: false,
                kind,
            });
            let number = position(self.actions.len() - 1);
            input = FileInput::Action(number);
            last = Some(number);
        }
        let mut visits: Vec<u32> = input_position(names).into_iter().collect();
        for position in copied.into_iter().rev().flatten() {
            if !visits.contains(&position) {
                visits.push(position);
            }
        }
        (last, visits)
    }

    fn bound(&mut self, bound: &Arc<Bound>) -> (FileInput, Vec<u32>) {
        let known = self
            .bound
            .iter()
            .find(|(known, ..)| Arc::ptr_eq(known, bound));
        let (last, visits) = if let Some((_, last, visits)) = known {
            (*last, visits.clone())
        } else {
            let (last, visits) = self.chain(&bound.state, &bound.actions);
            self.bound.push((Arc::clone(bound), last, visits.clone()));
            (last, visits)
        };
        (last.map_or(FileInput::Scratch, FileInput::Action), visits)
    }

    fn state_input(&mut self, state: &State) -> FileInput {
        if state.problems.is_some() {
            self.parents.push(state.clone());
        }
        let Some(output) = &state.output else {
            return FileInput::Scratch;
        };
        let known = self.inputs.iter().position(|input| input.is_same(output));
        FileInput::Input(position(known.unwrap_or_else(|| {
            self.inputs.push(output.clone());
            self.inputs.len() - 1
        })))
    }
}

fn input_position(input: FileInput) -> Option<u32> {
    match input {
        FileInput::Input(position) => Some(position),
        FileInput::Scratch | FileInput::Action(_) => None,
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a file op has fewer than 2^32 actions")
}

/// Makes the paths of an action absolute, as the state it is applied to sees them.
fn resolve(action: &Action, base: &State) -> FileActionKind {
    let dir = base.current_dir().unwrap_or_default();
    let owner = action.owner.clone();
    let created = action.created;
    match &action.kind {
        ActionKind::Mkdir {
            path,
            mode,
            parents,
        } => {
            let path = path::file_path(dir, path).into_owned();
            FileActionKind::Mkdir {
                path,
                mode: *mode,
                parents: *parents,
                owner,
                created,
            }
        }
        ActionKind::Mkfile { path, mode, data } => {
            let path = path::file_path(dir, path).into_owned();
            FileActionKind::Mkfile {
                path,
                mode: *mode,
                data: data.clone(),
                owner,
                created,
            }
        }
        ActionKind::Symlink { old, new } => FileActionKind::Symlink {
            old: old.clone(),
            new: new.clone(),
            owner,
            created,
        },
        ActionKind::Rm {
            path,
            allow_not_found,
            allow_wildcard,
        } => FileActionKind::Rm {
            path: path::file_path(dir, path).into_owned(),
            allow_not_found: *allow_not_found,
            allow_wildcard: *allow_wildcard,
        },
        ActionKind::Copy(copy) => {
            let from = match &copy.from {
                CopySource::State(state) => state,
                CopySource::Actions(bound) => &bound.0.state,
            };
            FileActionKind::Copy(Box::new(CopyAction {
                source: path::copy_source(from.current_dir(), &copy.source).into_owned(),
                destination: path::copy_destination(dir, &copy.destination).into_owned(),
                owner,
                mode: copy.mode,
                mode_text: copy.mode_text.clone(),
                follow_symlinks: copy.follow_symlinks,
                contents_only: copy.contents_only,
                attempt_unpack: copy.attempt_unpack,
                create_destination: copy.create_destination,
                allow_wildcard: copy.allow_wildcard,
                allow_empty_wildcard: copy.allow_empty_wildcard,
                created,
                include: copy.include.clone(),
                exclude: copy.exclude.clone(),
                always_replace: copy.always_replace,
                required: copy.required.clone(),
            }))
        }
    }
}
