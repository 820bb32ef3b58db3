//! What a build of a plan is given by whoever builds: secrets and SSH agents.

use std::collections::BTreeMap;

use super::{Action, Mount, Plan, WeightFiles};
use crate::ca;
use crate::layer::{WEIGHTS_ENDPOINT, WEIGHTS_TOKEN};

impl Plan {
    /// Names of the secrets that steps take, sorted, each once, and whether a build without it fails: also those that the
    /// program makes of others, which a frontend has to be given.
    pub fn secrets(&self) -> Vec<(String, bool)> {
        let required = self.required_secrets();
        let mut secrets: BTreeMap<String, bool> =
            required.into_iter().map(|name| (name, true)).collect();
        if let Some((_, install)) = self.wheels() {
            secrets.extend(install.used_logins().map(|login| (login.secret(), true)));
        }
        let mut optional = |name: &str| {
            secrets.entry(name.to_owned()).or_insert(false);
        };
        // Every step with a network takes the certificates.
        optional(ca::BUNDLE_SECRET);
        for (_, id) in ca::VARIABLES {
            optional(id);
        }
        for step in &self.steps {
            match &step.action {
                Action::Run { mounts, .. } => {
                    for mount in mounts {
                        if let Mount::Secret { id, .. } = mount {
                            optional(id);
                        }
                    }
                }
                Action::Weights(weights)
                    if weights.files.iter().any(WeightFiles::is_repository) =>
                {
                    optional(WEIGHTS_TOKEN);
                    optional(WEIGHTS_ENDPOINT);
                }
                _ => {}
            }
        }
        secrets.into_iter().collect()
    }

    /// Names of the SSH agents that steps take, sorted, each once, and whether a build without it fails.
    pub fn agents(&self) -> Vec<(&str, bool)> {
        let mut agents = BTreeMap::new();
        if self.needs_agent() {
            agents.insert("default", true);
        }
        for step in &self.steps {
            let Action::Run { mounts, .. } = &step.action else {
                continue;
            };
            for mount in mounts {
                if let Mount::Ssh { id, required } = mount {
                    *agents.entry(id.as_str()).or_insert(false) |= *required;
                }
            }
        }
        agents.into_iter().collect()
    }

    /// Names of the secrets a build must be given, sorted, without repeats.
    pub fn required_secrets(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for step in &self.steps {
            match &step.action {
                Action::Lock(lock) => ids.extend(lock.secrets.iter().cloned()),
                Action::Build(build) => ids.extend(build.secrets.iter().cloned()),
                Action::Wheels(install) => ids.extend(install.secrets()),
                Action::Run { mounts, .. } => {
                    let required = mounts.iter().filter_map(|mount| match mount {
                        Mount::Secret {
                            id, required: true, ..
                        } => Some(id.clone()),
                        _ => None,
                    });
                    ids.extend(required);
                }
                _ => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether a step fetches a repository over SSH, with the agent of whoever builds.
    pub fn needs_agent(&self) -> bool {
        self.steps.iter().any(|step| match &step.action {
            Action::Lock(lock) => lock.needs_agent(),
            Action::Build(build) => build.needs_agent(),
            _ => false,
        })
    }

    /// Gives a secret's version to the steps that the secret is given to, as the variable `SECRET_VERSION_ID`: with another
    /// version they run again. Says whether there are such steps.
    ///
    /// A step does not run again because the value of a secret has changed: nothing of a value is in a graph.
    pub fn set_secret_version(&mut self, id: &str, version: &str) -> bool {
        let name: String = id
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let name = format!("SECRET_VERSION_{name}");
        let mut is_used = false;
        for step in &mut self.steps {
            let (uses, environment) = match &mut step.action {
                Action::Lock(lock) => (
                    lock.secrets.iter().any(|known| known == id),
                    &mut lock.environment,
                ),
                Action::Build(build) => (
                    build.secrets.iter().any(|known| known == id),
                    &mut build.environment,
                ),
                Action::Run {
                    mounts,
                    environment,
                    ..
                } => {
                    let is_it = |mount: &Mount| matches!(mount, Mount::Secret { id: known, .. } if known == id);
                    (mounts.iter().any(is_it), environment)
                }
                _ => continue,
            };
            if uses {
                environment.insert(name.clone(), version.to_owned());
                is_used = true;
            }
        }
        is_used
    }
}
