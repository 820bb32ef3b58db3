//! Containers in mid-build.
//!
//! A container is described as a step of a graph is: by the state it runs on and by an [`Exec`]. What the exec mounts is
//! solved and mounted; what it sets is the setting of its process. So anything that can be a step can be tried first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prost::Message as _;

use super::build::Build;
use super::conversion;
use super::error::{Error, Result};
use super::process::{Command, Output, Start};
use super::transport::{Method, Transport};
use crate::client;
use crate::definition::Definition;
use crate::exec::Exec;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::pb;
use crate::state::State;

/// A container of the daemon; made by [`Build::container`].
///
/// The first process that is started in it is what it lives by: others run beside it and see what it writes, and end
/// with it. Nothing of what they write becomes part of a result. The container ends when it is dropped or
/// [released](Self::release).
pub struct Container {
    id: String,
    transport: Arc<dyn Transport>,
    start: Start,
    released: bool,
}

/// # Running commands now
impl Build {
    /// Runs a command in a container now, and waits for its end.
    ///
    /// It runs as it would with [`State::run`]: with the exec's mounts, secrets, variables, directory, user and network.
    /// What it writes is gone afterwards, and nothing of it is cached: this is for looking, not for building.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let python = cx.run(image("python:3.13-slim"), args(["python", "--version"])).await?.check()?;
    /// println!("{}", python.stdout_text()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The state or a mount cannot be solved, or the command cannot be started. A command that exits with another code
    /// than 0 is no error; [`Output::check`] makes it one.
    pub async fn run(&self, state: impl Into<State>, exec: Exec) -> Result<Output> {
        let container = self.container(state, exec).await?;
        let output = container.command().output().await;
        let released = container.release().await;
        let output = output?;
        released?;
        Ok(output)
    }

    /// Makes a container: a state, and the mounts and settings of an exec for the processes in it.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let server = sh("postgres -D /data").mount(bind("/data", local("context")));
    /// let container = cx.container(image("postgres"), server).await?;
    /// let server = container.command().spawn().await?;
    /// let tables = container.command_with(["psql", "-c", "\\dt"]).output().await?.check()?;
    /// server.signal("TERM").await;
    /// container.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The state or a mount cannot be solved.
    pub async fn container(&self, state: impl Into<State>, exec: Exec) -> Result<Container> {
        let definition = state.into().marshal_exec(exec, &self.marshal_options())?;
        let (definition, _) = self.lower(&definition)?;
        let op = head_of(&definition)?;
        let mut solved = BTreeMap::new();
        let mut ids = Vec::new();
        for mount in &exec_of(&op)?.mounts {
            let Ok(position) = usize::try_from(mount.input) else {
                ids.push(String::new());
                continue;
            };
            let Some(input) = op.inputs.get(position) else {
                return Err(Error::msg(format!("mount {:?} has no input", mount.dest)));
            };
            let key = (input.digest.clone(), input.index);
            if !solved.contains_key(&key) {
                let message = conversion::definition_of_input(&definition, input);
                let id = self.solve_message(&definition, message).await?;
                solved.insert(key.clone(), id);
            }
            ids.push(solved[&key].clone());
        }
        self.container_of(&definition, &op, &ids).await
    }

    /// A container of an op, with a reference for each of its mounts.
    pub(super) async fn container_of(
        &self,
        definition: &Definition,
        op: &pb::Op,
        references: &[String],
    ) -> Result<Container> {
        let missing = !self.capabilities().frontend().contains("gateway.exec");
        if missing {
            return Err(Error::msg("this daemon runs no commands in mid-build")
                .hint("use a BuildKit of 2021 or newer, or make the command a step and read what it writes"));
        }
        let exec = exec_of(op)?.clone();
        let meta = exec.meta.unwrap_or_default();
        // Letters and digits are all that a daemon takes.
        let id = format!("{}c{}", self.session_id(), self.next_container());
        let request = wire::NewContainerRequest {
            container_id: id.clone(),
            mounts: exec
                .mounts
                .into_iter()
                .zip(references)
                .map(|(mount, reference)| pb::Mount {
                    input: 0,
                    output: 0,
                    result_id: reference.clone(),
                    ..mount
                })
                .collect(),
            network: exec.network,
            platform: op.platform.clone(),
            constraints: op.constraints.clone(),
            extra_hosts: meta.extra_hosts.clone(),
            hostname: meta.hostname.clone(),
        };
        let _: wire::NewContainerResponse = self
            .call_raw(Method::NewContainer, &request)
            .await
            .map_err(|status| super::reference::step_error(&status, definition))?;
        Ok(Container {
            id: id.clone(),
            transport: Arc::clone(self.transport()),
            start: Start {
                container: id,
                meta,
                security: exec.security,
                secrets: exec.secretenv,
            },
            released: false,
        })
    }
}

impl Container {
    /// The command that the container was made with.
    pub fn command(&self) -> Command<'_> {
        Command::new(self, self.start.clone())
    }

    /// Another command in the same place, with the same variables, directory and user. It runs beside the first, or is
    /// the first.
    pub fn command_with<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Command<'_> {
        let mut start = self.start.clone();
        start.meta.args = args.into_iter().map(Into::into).collect();
        // What the exec would take for success says nothing about another command.
        start.meta.valid_exit_codes.clear();
        Command::new(self, start)
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Ends all processes and lets go of the mounts. Dropping the container does the same in the background.
    ///
    /// # Errors
    ///
    /// The daemon does not answer.
    pub async fn release(mut self) -> Result<()> {
        self.released = true;
        let request = wire::ReleaseContainerRequest {
            container_id: self.id.clone(),
        };
        let message = request.encode_to_vec().into();
        match self.transport.call(Method::ReleaseContainer, message).await {
            // How its processes ended is told here again.
            Err(status) if !status.message().contains("exit code: ") => {
                Err(client::call_error("releasing a container", &status).into())
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let request = wire::ReleaseContainerRequest {
            container_id: std::mem::take(&mut self.id),
        };
        // Without a runtime the build is over, and its containers with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let message = request.encode_to_vec().into();
            let call = self.transport.call(Method::ReleaseContainer, message);
            runtime.spawn(async move { drop(call.await) });
        }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables may be private.
        formatter.debug_tuple("Container").field(&self.id).finish()
    }
}

fn head_of(definition: &Definition) -> Result<pb::Op> {
    let head = definition.head();
    let op = definition.ops().iter().find(|op| Some(op.digest()) == head);
    let op = op.ok_or_else(|| Error::msg("the definition has no op"))?;
    Ok(pb::Op::decode(op.bytes())?)
}

fn exec_of(op: &pb::Op) -> Result<&pb::ExecOp> {
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => Ok(exec),
        _ => Err(Error::msg("only an exec has a container")),
    }
}
