//! Execs on states.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::State;
use super::deferred::{Value, results};
use crate::error::{ErrorKind, Problem};
use crate::exec::{Change, Exec, ExecWriter, Mount, MountKind, MountView};
use crate::graph::{Inputs, Output, Vertex};
use crate::op::Op;

/// # Running commands
impl State {
    /// Runs a command and goes on with the root file system it leaves behind.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").run(sh("apt-get update").env("DEBIAN_FRONTEND", "noninteractive"));
    /// assert_eq!(state.to_text(), r#"
    /// platform linux/amd64
    /// %debian = source "docker-image://docker.io/library/debian:latest"
    /// %apt-get-update = exec "/bin/sh" "-c" "apt-get update" cwd=/ {
    ///   env DEBIAN_FRONTEND="noninteractive"
    ///   / = %debian -> out0
    /// }
    /// return %apt-get-update
    /// "#.trim_start());
    /// ```
    pub fn run(&self, exec: impl Into<Exec>) -> Self {
        let mut exec = exec.into();
        let running = self.running(&exec);
        if self.is_run_deferred(&running, &exec) {
            return self.exec_deferred(running.into_owned(), exec).root();
        }
        let Ran { vertex, root, .. } = running.execute(&mut exec);
        let root = root.taken(vertex, &running, self);
        root.unwrap_or_else(|| self.clone())
    }

    /// Runs a command of which any output can be taken: its root, or any writable mount.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let build = image("golang").exec(sh("go build -o /out/app").output("/out", scratch()));
    /// let app = build.output("/out");
    /// ```
    pub fn exec(&self, exec: impl Into<Exec>) -> ExecState {
        let mut exec = exec.into();
        let running = self.running(&exec);
        if self.is_run_deferred(&running, &exec) {
            return self.exec_deferred(running.into_owned(), exec);
        }
        let ran = running.execute(&mut exec);
        let root = (SmolStr::new_static("/"), running.into_owned(), ran.root);
        let mounts = exec.0.take_mounts().into_iter().zip(ran.mounts);
        let mounts = mounts.map(|(mount, result)| (mount.target, mount.source, result));
        ExecState {
            vertex: ran.vertex,
            receiver: Self {
                problems: None,
                ..self.clone()
            },
            mounts: [root].into_iter().chain(mounts).collect(),
        }
    }

    /// The state with the changes that hold for one exec.
    fn running(&self, exec: &Exec) -> Cow<'_, Self> {
        let mut running = Cow::Borrowed(self);
        for change in exec.0.extras().iter().flat_map(|extras| &extras.changes) {
            change.apply(running.to_mut());
        }
        running
    }

    fn is_run_deferred(&self, running: &Self, exec: &Exec) -> bool {
        self.is_deferred()
            || running.is_deferred()
            || exec
                .0
                .mounts()
                .iter()
                .any(|mount| mount.source.is_deferred())
    }

    /// Makes the vertex of an exec that runs on this state, and says what can be taken from its mounts. Takes the exec's
    /// arguments and constraints.
    fn execute(&self, exec: &mut Exec) -> Ran {
        let command = &mut *exec.0;
        let mut problems = Vec::new();
        if !command.line.has_args() {
            let problem = Problem::at(
                ErrorKind::Exec,
                "arguments are required: an exec needs a command to run",
                command.location,
            );
            problems.push(problem);
        }
        if self.context.dir.as_deref().is_none_or(str::is_empty) {
            let problem = Problem::at(
                ErrorKind::Exec,
                "working directory is required: the state has none",
                command.location,
            );
            problems.push(problem.hint("set one with `dir`"));
        }

        let constraints = self.in_group(std::mem::take(&mut command.constraints));
        let mut mounting = Mounting {
            writer: command.begin(&self.context),
            inputs: Inputs::new(),
            outputs: 0,
            location: command.location,
            problems,
        };
        let mounts = command.mounts();
        let root = MountView::root(self, command.readonly_rootfs);
        let before = mounts.partition_point(|mount| &*mount.target < root.target);
        let (before, behind) = mounts.split_at(before);
        let mut results = Results::new();
        results.extend(before.iter().map(|mount| mounting.mount(&mount.into())));
        let root = mounting.mount(&root);
        results.extend(behind.iter().map(|mount| mounting.mount(&mount.into())));

        let vertex = Self::vertex(
            Op::Exec(mounting.writer.finish(command, &self.context)),
            mounting.inputs,
            constraints,
            command.location,
            mounting.problems,
            [self]
                .into_iter()
                .chain(mounts.iter().map(|mount| &mount.source)),
        );
        Ran {
            vertex,
            root,
            mounts: results,
        }
    }

    /// The definition of an exec itself, whatever of it can be taken.
    #[cfg(feature = "gateway")]
    pub(crate) fn marshal_exec(
        &self,
        mut exec: Exec,
        options: &crate::MarshalOptions,
    ) -> Result<crate::Definition, crate::Error> {
        for mount in exec.0.mounts_mut() {
            mount.source = mount.source.resolve(options);
        }
        let run = self.resolve(options).exec(exec);
        Self::from_output(Some(run.vertex.output(0))).marshal(options)
    }

    #[cold]
    fn exec_deferred(&self, running: Self, mut exec: Exec) -> ExecState {
        // They are in the state that it runs on.
        exec.0.extras_mut().changes.clear();
        let missing = |mount: &Mount| {
            (
                mount.target.clone(),
                mount.source.clone(),
                MountResult::Missing,
            )
        };
        let root = crate::exec::bind("/", self);
        let mounts = [&root]
            .into_iter()
            .chain(exec.0.mounts())
            .map(missing)
            .collect();
        let mut parents = vec![self.clone(), running];
        for mount in exec.0.mounts_mut() {
            parents.push(std::mem::replace(&mut mount.source, Self::scratch()));
        }
        let vertex = results(parents, move |states| {
            let mut exec = exec.clone();
            for (mount, source) in exec.0.mounts_mut().iter_mut().zip(&states[2..]) {
                mount.source = source.clone();
            }
            let running = states[1].clone();
            exec.0.extras_mut().changes = vec![Change::With(Arc::new(move |_| running.clone()))];
            Value::Exec(Arc::new(states[0].exec(exec)))
        });
        ExecState {
            vertex,
            receiver: self.clone(),
            mounts,
        }
    }
}

/// An exec of which outputs can be taken; made by [`State::exec`].
#[derive(Clone, Debug)]
#[must_use = "an exec runs only if one of its outputs is used"]
pub struct ExecState {
    vertex: Vertex,
    receiver: State,
    mounts: SmallVec<[(SmolStr, State, MountResult); 2]>,
}

/// An exec that was put on a state, and what can be taken from its root and from its mounts, in their order.
struct Ran {
    vertex: Vertex,
    root: MountResult,
    mounts: Results,
}

type Results = SmallVec<[MountResult; 2]>;

/// Writes the mounts of an exec one after the other.
struct Mounting {
    writer: ExecWriter,
    inputs: Inputs,
    outputs: u32,
    location: &'static Location<'static>,
    problems: Vec<Problem>,
}

impl Mounting {
    fn mount(&mut self, mount: &MountView<'_>) -> MountResult {
        if matches!(mount.kind, MountKind::Tmpfs { .. }) && !mount.source.is_scratch() {
            let message = format!(
                "tmpfs mounts must use scratch: {:?} has a source",
                mount.target
            );
            let problem = Problem::at(ErrorKind::Exec, message, self.location);
            self.problems.push(problem);
        }
        let source = mount.source.output.as_ref();
        let source = source.map(|output| position_of(&mut self.inputs, output));
        let result = match mount.kind {
            _ if mount.readonly => MountResult::Source,
            MountKind::Tmpfs { .. } => MountResult::Tmpfs,
            _ if mount.no_output => MountResult::NoOutput,
            MountKind::Cache { .. } => MountResult::Cache,
            MountKind::Bind => {
                self.outputs += 1;
                MountResult::Output(self.outputs - 1)
            }
        };
        let output = match result {
            MountResult::Output(index) => Some(index),
            _ => None,
        };
        self.writer.mount(mount, source, output);
        result
    }
}

/// What can be taken from a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MountResult {
    Output(u32),
    /// A read-only mount: what was mounted.
    Source,
    Tmpfs,
    Cache,
    NoOutput,
    Missing,
}

impl MountResult {
    /// Some values with what is at the mount of an exec's vertex, if it can be taken.
    ///
    /// The vertex has the mistakes of all states that it was made of; a read-only mount leaves the vertex out.
    fn taken(self, vertex: Vertex, source: &State, values: &State) -> Option<State> {
        let (output, problems) = match self {
            Self::Output(index) => (Some(vertex.into_output(index)), None),
            Self::Source => (source.output.clone(), source.problems.clone()),
            _ => return None,
        };
        Some(State {
            problems,
            ..values.with_output(output)
        })
    }
}

impl ExecState {
    /// The root file system that the exec leaves behind, with the run context and image config it was run with.
    ///
    /// What was set on the exec alone is gone. A read-only root is the state that the exec ran on.
    pub fn root(&self) -> State {
        if self.vertex.is_deferred() {
            return self.once_run(&self.receiver, Self::root);
        }
        self.taken(0, &self.receiver)
            .unwrap_or_else(|| self.receiver.clone())
    }

    /// What the exec leaves behind in a mount, with the run context and image config of the state mounted there.
    ///
    /// A read-only mount gives the state mounted there. Taking the content of a tmpfs, of a cache or of a mount without
    /// output, or of a target that is not mounted, is a mistake that marshalling reports.
    #[track_caller]
    pub fn output(&self, target: &str) -> State {
        self.output_at(target, Location::caller())
    }

    fn output_at(&self, target: &str, caller: &'static Location<'static>) -> State {
        if let Some(position) = self.position(target) {
            let values = &self.mounts[position].1;
            if self.vertex.is_deferred() {
                let target = SmolStr::from(target);
                return self.once_run(values, move |exec| exec.output_at(&target, caller));
            }
            return self.result(position, values, caller);
        }
        let targets: Vec<_> = self
            .mounts
            .iter()
            .map(|(target, ..)| format!("{target:?}"))
            .collect();
        let problem = Problem::at(
            ErrorKind::Exec,
            format!("{target:?} is not mounted, so it has no output"),
            caller,
        );
        State::scratch().record(problem.hint(format!("the exec mounts {}", targets.join(", "))))
    }

    /// What the exec leaves behind in a mount, with a fresh run context: `client/llb`'s `GetMount`.
    ///
    /// A target that is not mounted gives scratch.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let source = scratch().env("A", "1");
    /// let exec = image("debian").exec(sh("make").output("/out", source));
    /// assert_eq!(exec.output("/out").environment().get("A"), Some("1"));
    /// assert_eq!(exec.get_mount("/out").environment().get("A"), None);
    /// assert!(exec.get_mount("/nowhere").is_scratch());
    /// ```
    #[track_caller]
    pub fn get_mount(&self, target: &str) -> State {
        self.get_mount_at(target, Location::caller())
    }

    fn get_mount_at(&self, target: &str, caller: &'static Location<'static>) -> State {
        match self.position(target) {
            Some(_) if self.vertex.is_deferred() => {
                let target = SmolStr::from(target);
                self.once_run(&State::scratch(), move |exec| {
                    exec.get_mount_at(&target, caller)
                })
            }
            Some(position) => {
                let taken = self.result(position, &State::scratch(), caller);
                State {
                    problems: taken.problems,
                    ..State::from_output(taken.output)
                }
            }
            None => State::scratch(),
        }
    }

    /// A state with these values that is taken from the exec once that is resolved.
    fn once_run(
        &self,
        values: &State,
        take: impl Fn(&Self) -> State + Send + Sync + 'static,
    ) -> State {
        values.once_taken(&self.vertex, move |value| match value {
            Value::Exec(exec) => take(exec),
            _ => value.at(0),
        })
    }

    fn position(&self, target: &str) -> Option<usize> {
        self.mounts
            .iter()
            .position(|(candidate, ..)| candidate == target)
    }

    fn result(&self, position: usize, values: &State, caller: &'static Location<'static>) -> State {
        let (target, _, result) = &self.mounts[position];
        if let Some(state) = self.taken(position, values) {
            return state;
        }
        let message = match result {
            MountResult::Tmpfs => format!("tmpfs mount for {target} can't be used as a parent"),
            MountResult::NoOutput => {
                format!("mount marked no-output and {target} can't be used as a parent")
            }
            _ => format!("invalid mount: {target} is a cache, which can't be used as a parent"),
        };
        let problem = Problem::at(ErrorKind::Exec, message, caller);
        let exec = values.with_output(Some(self.vertex.output(0)));
        exec.without_use(problem)
    }

    /// These values with what is at a mount, if it can be taken.
    fn taken(&self, position: usize, values: &State) -> Option<State> {
        let (_, source, result) = &self.mounts[position];
        result.taken(self.vertex.clone(), source, values)
    }
}

/// The position of an output among the inputs of an exec, where it is once however often it is mounted.
fn position_of(inputs: &mut Inputs, output: &Output) -> u32 {
    let known = inputs.iter().position(|known| known.is_same(output));
    let position = known.unwrap_or_else(|| {
        inputs.push(output.clone());
        inputs.len() - 1
    });
    u32::try_from(position).expect("an exec has fewer than 2^32 mounts")
}
