//! Files from the Dockerfile of a plan.

use llb::gateway::{Build, Result};
use llb::{Constrain, file, scratch};

use super::{Backend, Made, ModelFactory};
use crate::layer::Base;
use crate::plan::{Action, Plan};

/// Makes a plan's files from its Dockerfile ([`Plan::to_dockerfile`]) by the Dockerfile frontend that the engine has built
/// in.
#[derive(Clone, Copy, Debug, Default)]
pub struct DockerfileFactory;

impl ModelFactory for DockerfileFactory {
    fn backend(&self) -> Backend {
        Backend::Dockerfile
    }

    async fn make(&self, build: &Build, plan: &Plan, base: &Base) -> Result<Made> {
        let text = plan.to_dockerfile();
        // Without the line the engine's own frontend is used, and none is fetched.
        let text = text.split_once('\n').map_or("", |(_, rest)| rest);
        let dockerfile =
            scratch().file(file::mkfile("/Dockerfile", 0o644, text).name("Dockerfile of the plan"));
        let pinned = base.pinned.as_deref().zip(plan.base());
        let pinned = pinned.map(|(pinned, reference)| {
            (
                format!("context:{reference}"),
                format!("docker-image://{pinned}"),
            )
        });
        let handed_on = build.options().iter().filter(|(name, _)| {
            name.starts_with("context:") || name.starts_with("build-arg:") || *name == "no-cache"
        });
        let options = handed_on
            .map(|(name, value)| (name.as_str(), value.as_str()))
            // One of several, where the build is for an index.
            .chain([
                ("platform", plan.platform.as_str()),
                ("filename", "Dockerfile"),
            ])
            .chain(
                pinned
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
        let inputs = [("dockerfile", &dockerfile)];
        let image = build
            .solve_frontend("dockerfile.v0", options, inputs)
            .await?;
        let schema = plan.steps.iter().find_map(|step| match &step.action {
            Action::Schema { path, .. } => Some((image.clone(), path.clone())),
            _ => None,
        });
        Ok(Made {
            plan: plan.clone(),
            packages: None,
            environment: image.clone(),
            image,
            schema,
        })
    }
}
