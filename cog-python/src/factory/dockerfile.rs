//! Files from the Dockerfile of a plan.

use llb::gateway::{Build, Result};
use llb::{Constrain, file, scratch};

use super::{Backend, Made, ModelFactory};
use crate::layer::Base;
use crate::plan::{Action, Plan, is_same};

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
                format!("context:{}", plan.pinned(reference)),
                format!("docker-image://{pinned}"),
            )
        });
        let replaced = build.options().iter().filter_map(|(name, value)| {
            let name = context_of_digest(plan, name)?;
            Some((name, value.clone()))
        });
        let replaced: Vec<(String, String)> = replaced.collect();
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
                    .chain(&replaced)
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

/// The option of a context by the name that the Dockerfile has for its image, where that has the digest of a lock.
fn context_of_digest(plan: &Plan, option: &str) -> Option<String> {
    let name = option.strip_prefix("context:")?;
    let (name, platform) = match name.split_once("::") {
        Some((name, platform)) => (name, format!("::{platform}")),
        None => (name, String::new()),
    };
    let mut digests = plan.digests.iter();
    let (_, digest) = digests.find(|(reference, _)| is_same(reference, name))?;
    Some(format!("context:{name}@{digest}{platform}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Source, config};

    #[test]
    fn a_context_takes_the_place_of_an_image_with_its_digest() {
        let files = std::collections::BTreeMap::from([("run.py".to_owned(), String::new())]);
        let text = "build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n";
        let (config, _) = config::read(&Source::new("cog.yaml", text), &files, None);
        let (plan, report) = Plan::new(&config.unwrap(), &Options::default());
        let mut plan = plan.unwrap_or_else(|| panic!("{report}"));
        assert_eq!(context_of_digest(&plan, "context:python:3.12-slim"), None);
        plan.digests = [("python:3.12-slim".into(), "sha256:aa".into())].into();
        for (given, expected) in [
            ("python:3.12-slim", "python:3.12-slim@sha256:aa"),
            (
                "docker.io/library/python:3.12-slim::linux/arm64",
                "docker.io/library/python:3.12-slim@sha256:aa::linux/arm64",
            ),
        ] {
            let found = context_of_digest(&plan, &format!("context:{given}"));
            assert_eq!(found, Some(format!("context:{expected}")));
        }
        assert_eq!(context_of_digest(&plan, "context:python:3.11-slim"), None);
        assert_eq!(context_of_digest(&plan, "no-cache"), None);
    }
}
