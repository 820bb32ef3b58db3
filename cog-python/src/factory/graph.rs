//! Files from the graph of a plan.

use std::collections::BTreeMap;

use llb::gateway::{Build, Error, Result};

use super::{Backend, Made, ModelFactory, facts, resolve};
use crate::layer::{Base, Circumstances, Context, graphs};
use crate::plan::Plan;

/// Makes a plan's files from its graph: steps run side by side, and trees are merged where the engine can.
#[derive(Clone, Debug, Default)]
pub struct LlbFactory {
    /// The project. Nothing means the client's folder that the plan names.
    pub project: Option<Context>,
    /// Texts of the files that steps were asked for in, by name; see [`Circumstances::texts`].
    pub texts: BTreeMap<String, String>,
}

impl ModelFactory for LlbFactory {
    fn backend(&self) -> Backend {
        Backend::Llb
    }

    async fn make(&self, build: &Build, plan: &Plan, base: &Base) -> Result<Made> {
        let circumstances = Circumstances {
            texts: self.texts.clone(),
            ..resolve::circumstances(build, base, self.project.clone())?
        };
        let complete = resolve::complete(build, plan, &circumstances).await?;
        let graph = graphs(&complete.plan, &circumstances)
            .map_err(|error| Error::new(error).context("the plan gives no graph"))?;
        Ok(Made {
            packages: facts::known_packages(&complete),
            plan: complete.plan,
            image: graph.image,
            environment: graph.environment,
            schema: graph.schema,
        })
    }
}
