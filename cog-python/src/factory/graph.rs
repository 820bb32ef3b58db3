//! Files from the graph of a plan.

use llb::gateway::{Build, Error, Result};

use super::{Backend, Made, ModelFactory};
use crate::layer::{Base, Joining, graphs};
use crate::plan::Plan;

/// Makes a plan's files from its graph: steps run side by side, and trees are merged where the engine can.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlbFactory;

impl ModelFactory for LlbFactory {
    fn backend(&self) -> Backend {
        Backend::Llb
    }

    async fn make(&self, build: &Build, plan: &Plan, base: &Base) -> Result<Made> {
        let joining = if build.capabilities().has_merge() {
            Joining::Merge
        } else {
            Joining::Copy
        };
        let graph = graphs(plan, base, joining)
            .map_err(|error| Error::new(error).context("the plan gives no graph"))?;
        Ok(Made {
            image: graph.image,
            environment: graph.environment,
            schema: graph.schema,
        })
    }
}
