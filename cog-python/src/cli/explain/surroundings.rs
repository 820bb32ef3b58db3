//! What decides about steps and is no part of a project: what the tag of its base image stands for, and the helper.

use llb::client::Solve;
use llb::gateway::{Build, Result as BuildResult};
use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::cli::args::ExplainCommand;
use crate::cli::build::{connect, failure, run};
use crate::cli::helper::Helpers;
use crate::cli::project::Project;

/// What was around a build, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Surroundings {
    /// Base image, with the digest that its tag stood for.
    pub(in crate::cli) base: Option<String>,
    /// Digests of the helpers.
    pub(in crate::cli) helpers: Option<String>,
}

impl Surroundings {
    /// What is around the project now. The builder is asked only if it is told to be.
    pub(super) fn now(
        project: &Project,
        before: &Self,
        command: &ExplainCommand,
    ) -> Result<Self, Failure> {
        let base = if command.check_base {
            Some(ask(project, command.builder.addr.as_deref())?)
        } else {
            before.base.clone()
        };
        Ok(Self {
            base,
            helpers: Helpers::find()?.digest(),
        })
    }

    /// Both, reduced to what is known of both; nothing if they do not differ in it.
    pub(super) fn compared(&self, later: &Self, same_base: bool) -> Option<[Self; 2]> {
        let both = |one: &Option<String>, other: &Option<String>| one.is_some() && other.is_some();
        let (base, helpers) = (
            same_base && both(&self.base, &later.base),
            both(&self.helpers, &later.helpers),
        );
        let reduced = |seen: &Self| Self {
            base: seen.base.clone().filter(|_| base),
            helpers: seen.helpers.clone().filter(|_| helpers),
        };
        let [before, after] = [reduced(self), reduced(later)];
        (before != after).then_some([before, after])
    }

    /// What is different, one line each.
    pub(super) fn differences(&self, later: &Self, same_base: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let Some([before, after]) = self.compared(later, same_base) else {
            return lines;
        };
        if let (Some(before), Some(after)) = (&before.base, &after.base)
            && before != after
        {
            let digest = |reference: &str| {
                let digest = reference
                    .split_once('@')
                    .map(|(_, digest)| digest.to_owned());
                digest.unwrap_or_default()
            };
            let name = after.split('@').next().unwrap_or_default();
            lines.push(format!(
                "base image: the tag {name} has moved\n  {} -> {}",
                digest(before),
                digest(after)
            ));
        }
        if before.helpers != after.helpers {
            lines.push(
                "llb-helper: the program that installs packages is another one; layers of packages are made again".to_owned(),
            );
        }
        lines
    }
}

/// Asks the builder what it would take as the base image.
fn ask(project: &Project, address: Option<&str>) -> Result<String, Failure> {
    let plan = &project.plan;
    let Some(reference) = plan.base() else {
        return Err(Failure::new("the plan has no base image"));
    };
    let platform = plan
        .platform
        .parse()
        .map_err(|error| Failure::new(format!("platform `{}`: {error}", plan.platform)))?;
    let mut found = None;
    run(async {
        let client = connect(address, None).await?;
        let work = async |build: &mut Build| -> BuildResult<llb::State> {
            let mode = build.resolve_mode()?;
            let reference = plan.pinned(reference);
            found = Some(build.resolve_image_for(&reference, &platform, mode).await?);
            Ok(llb::scratch())
        };
        let solve = Solve::build().attribute("platform", plan.platform.as_str());
        let asked = client.build(solve, &mut (), work).await;
        asked.map(drop).map_err(|error| failure(&error, None))
    })?;
    let found = found.filter(|found| !found.digest.is_empty());
    let found = found.ok_or_else(|| {
        Failure::new("--check-base: the engine tells no digest of its images")
            .hint("an engine with containerd's image store does, and a BuildKit of its own")
    })?;
    if found.reference.contains('@') {
        return Ok(found.reference);
    }
    Ok(format!("{}@{}", found.reference, found.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(base: Option<&str>, helpers: Option<&str>) -> Surroundings {
        Surroundings {
            base: base.map(str::to_owned),
            helpers: helpers.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_is_known_of_both_is_different() {
        let old = seen(Some("python:3.12-slim@sha256:aa"), Some("11"));
        let new = seen(Some("python:3.12-slim@sha256:bb"), Some("22"));
        let lines = old.differences(&new, true);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("python:3.12-slim has moved"), "{lines:?}");
        assert!(lines[0].contains("sha256:aa -> sha256:bb"), "{lines:?}");
        // Another base is a change of the plan, and no tag that has moved.
        assert_eq!(old.differences(&new, false).len(), 1);
        assert_eq!(old.compared(&old, true), None);
        assert_eq!(old.compared(&Surroundings::default(), true), None);
        let without = seen(None, Some("22"));
        assert_eq!(
            old.compared(&without, true),
            Some([seen(None, Some("11")), seen(None, Some("22"))])
        );
    }
}
