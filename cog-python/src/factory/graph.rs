//! Files from the graph of a plan.

use std::collections::BTreeMap;

use llb::gateway::{Build, Error, Result};
use llb::lower::Helper;
use llb::value::Platform;

use super::resolve::Meanwhile;
use super::{Backend, Complete, Made, ModelFactory, facts, resolve};
use crate::layer::{Base, Circumstances, Context, graphs};
use crate::plan::Plan;

/// Makes a plan's files from its graph: steps run side by side, and trees are merged where the engine can.
#[derive(Clone, Debug, Default)]
pub struct LlbFactory {
    /// The project. Nothing means the client's folder that the plan names.
    pub project: Option<Context>,
    /// Texts of the files that steps were asked for in, by name; see [`Circumstances::texts`].
    pub texts: BTreeMap<String, String>,
    /// The programs that install wheels, of which the builder takes the one for its platform. If there are none, those of
    /// this machine travel in the graph.
    pub helpers: Vec<Helper>,
}

impl LlbFactory {
    /// Finds out what a plan leaves open: which wheels it installs.
    ///
    /// # Errors
    ///
    /// A step fails, or packages cannot be chosen.
    pub async fn complete(&self, build: &Build, plan: &Plan) -> Result<Complete> {
        let platform: Platform = plan.platform.parse()?;
        let base = super::base(build, plan, &platform).await?;
        let images = super::images(build, plan, &platform).await?;
        let circumstances = self.circumstances(build, &base, images)?;
        resolve::complete(build, plan, &circumstances, Meanwhile::Wait).await
    }

    fn circumstances(
        &self,
        build: &Build,
        base: &Base,
        images: BTreeMap<String, Base>,
    ) -> Result<Circumstances> {
        let found = match self.helpers.as_slice() {
            [] => Helper::find_all()?,
            given => given.to_vec(),
        };
        Ok(Circumstances {
            texts: self.texts.clone(),
            images,
            ..resolve::circumstances(build, base, self.project.clone(), &found)?
        })
    }
}

impl ModelFactory for LlbFactory {
    fn backend(&self) -> Backend {
        Backend::Llb
    }

    async fn make(&self, build: &Build, plan: &Plan, base: &Base) -> Result<Made> {
        let images = super::images(build, plan, &plan.platform.parse()?).await?;
        let circumstances = self.circumstances(build, base, images)?;
        let complete = resolve::complete(build, plan, &circumstances, Meanwhile::Build).await?;
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
