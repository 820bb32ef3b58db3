//! `build`: plan, graph, solve.

use super::Failure;
use super::args::{BuildArgs, BuildCommand, PlanArgs};

/// Runs the command.
pub(super) fn build(_command: &BuildCommand) -> Result<(), Failure> {
    Err(Failure::new("no builder"))
}

/// Builds an image into the engine that will run it; gives its name.
pub(super) fn build_for_engine(
    _plan: &PlanArgs,
    _build: &BuildArgs,
    _host: Option<&str>,
) -> Result<String, Failure> {
    Err(Failure::new("no builder"))
}
