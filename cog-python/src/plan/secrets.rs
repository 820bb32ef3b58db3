//! What a build of a plan is given by whoever builds: secrets and SSH agents.

use std::collections::BTreeMap;

use super::{Action, Mount, Plan, WeightFiles, WheelOrigin};
use crate::ca;
use crate::layer::{WEIGHTS_ENDPOINT, WEIGHTS_LOGINS, WEIGHTS_TOKEN};
use crate::lock::{Login, host};
use crate::netrc;

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
        if let Some((_, install)) = self.wheels() {
            for host in &install.machines {
                optional(&netrc::header(host));
            }
        }
        for step in &self.steps {
            match &step.action {
                Action::Lock(_) | Action::Build(_) => optional(netrc::SECRET),
                Action::Run { mounts, .. } => {
                    for mount in mounts {
                        if let Mount::Secret { id, .. } = mount {
                            optional(id);
                        }
                    }
                }
                Action::Weights(weights) => {
                    if weights.files.iter().any(WeightFiles::is_repository) {
                        optional(WEIGHTS_TOKEN);
                        optional(WEIGHTS_ENDPOINT);
                    }
                    if weights.files.iter().any(WeightFiles::is_artifact) {
                        optional(WEIGHTS_LOGINS);
                    }
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

    /// Fetches files of these hosts with a login, as [`InstallWheels::machines`](super::InstallWheels::machines) says; what is
    /// fetched with the login of an index stays so. Without hosts, it is the plan of somebody who has no logins.
    pub fn log_in(&mut self, machines: &[String]) {
        let wheels = self.wheels();
        let logins = wheels.map_or_else(Vec::new, |(_, install)| install.logins.clone());
        let log_in = |url: &str, authorization: &mut Option<String>| {
            let is_for = |login: &Login| host(url) == Some(login.host.as_str());
            let Some(host) = netrc::machine(url).filter(|_| !logins.iter().any(is_for)) else {
                return;
            };
            let header = netrc::header(&host);
            if machines.contains(&host) {
                authorization.get_or_insert(header);
            } else if authorization.as_ref() == Some(&header) {
                *authorization = None;
            }
        };
        for step in &mut self.steps {
            match &mut step.action {
                Action::Wheels(install) => {
                    machines.clone_into(&mut install.machines);
                    let groups = install.groups.iter_mut().flatten();
                    for wheel in groups.flat_map(|group| &mut group.wheels) {
                        if let WheelOrigin::Remote {
                            url, authorization, ..
                        } = &mut wheel.from
                        {
                            log_in(url, authorization);
                        }
                    }
                }
                Action::Build(build) => {
                    if let Some(archive) = &mut build.archive {
                        log_in(&archive.url, &mut archive.authorization);
                    }
                }
                _ => {}
            }
        }
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
        let is_login = id == netrc::SECRET || id.starts_with(netrc::NAMED);
        let mut is_used = false;
        for step in &mut self.steps {
            let (uses, environment) = match &mut step.action {
                Action::Lock(lock) => (
                    is_login || lock.secrets.iter().any(|known| known == id),
                    &mut lock.environment,
                ),
                Action::Build(build) => (
                    is_login || build.secrets.iter().any(|known| known == id),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{InstallWheels, Wheel, WheelGroup};
    use crate::{Options, Source, config};

    fn plan() -> Plan {
        let files = BTreeMap::from([("run.py".to_owned(), String::new())]);
        let text = "build:\n  python_version: \"3.12\"\nrun: run.py:Runner\n";
        let (config, _) = config::read(&Source::new("cog.yaml", text), &files, None);
        let (plan, report) = Plan::new(&config.unwrap(), &Options::default());
        plan.unwrap_or_else(|| panic!("{report}"))
    }

    #[test]
    fn files_of_machines_are_fetched_with_their_logins() {
        let mut plan = plan();
        let wheel = |url: &str, authorization: Option<&str>| Wheel {
            package: "a".into(),
            file: "a.whl".into(),
            size: 1,
            from: WheelOrigin::Remote {
                url: url.into(),
                sha256: String::new(),
                authorization: authorization.map(str::to_owned),
            },
            direct_url: None,
        };
        let installing = |plan: &mut Plan, change: &dyn Fn(&mut InstallWheels)| {
            let found = plan
                .steps
                .iter_mut()
                .find_map(|step| match &mut step.action {
                    Action::Wheels(install) => Some(install),
                    _ => None,
                });
            change(found.unwrap());
        };
        installing(&mut plan, &|install| {
            install.logins = vec![Login::of("own.example.com", "${TOKEN}")];
            install.groups = Some(vec![WheelGroup {
                name: "a".into(),
                wheels: vec![
                    wheel("https://Index.example.com:8080/a.whl", None),
                    wheel("https://files.example.com/a.whl", None),
                    wheel(
                        "https://own.example.com/a.whl",
                        Some("authorization.own.example.com"),
                    ),
                ],
            }]);
        });
        let before = plan.clone();
        let machines = ["index.example.com", "own.example.com"].map(str::to_owned);
        plan.log_in(&machines);
        let (_, install) = plan.wheels().unwrap();
        let found: Vec<_> = install.wheels().map(|wheel| &wheel.from).collect();
        let header = |from: &WheelOrigin| match from {
            WheelOrigin::Remote { authorization, .. } => authorization.clone(),
            _ => None,
        };
        let found: Vec<_> = found.into_iter().map(header).collect();
        let expected = [
            Some("authorization.index.example.com"),
            None,
            Some("authorization.own.example.com"),
        ];
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
        assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        plan.log_in(&[]);
        assert_eq!(plan, before);
    }

    #[test]
    fn a_version_of_a_netrc_is_for_steps_that_ask_indexes() {
        let mut plan = plan();
        assert!(plan.secrets().contains(&("netrc".to_owned(), false)));
        assert!(plan.set_secret_version("netrc", "2"));
        let (_, lock) = plan.lock().unwrap();
        assert_eq!(lock.environment["SECRET_VERSION_NETRC"], "2");
        assert!(!plan.set_secret_version("other", "2"));
    }
}
