//! From a plan whose packages are not chosen to one that names every wheel.

use std::collections::BTreeMap;

use super::make::SOURCE;
use super::{
    Action, BuildWheel, InstallWheels, LockPackages, Plan, RemoteFile, Step, Wheel, WheelGroup,
    WheelOrigin,
};
use crate::lock::{self, ChooseError, Chosen, DirectUrl, Facts, Found, Lock, LockedFile, host};
use crate::netrc;
use crate::requirement::LOCAL_FOLDER;
use crate::wheel::{Grouping, Member, group};

/// Why a lock does not go with a plan.
#[derive(Debug, thiserror::Error)]
pub enum LockedError {
    /// Packages have nothing that can be installed.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// The plan installs no wheels.
    #[error("the plan has no step that installs packages")]
    NoWheels,
    /// A file has no digest or no address.
    #[error("`{file}` of the lock has no {lacks}")]
    File {
        /// Its name.
        file: String,
        /// What is missing.
        lacks: &'static str,
    },
    /// A wheel is not the project's to give.
    #[error("`{0}` of the lock is outside of the project, which is all that the builder is given")]
    Outside(String),
    /// A package has no wheel yet.
    #[error("the wheel of `{0}` is not built yet")]
    NotBuilt(String),
}

/// What is known of a wheel that the lock does not say: by the step that builds it, or by its path in the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured(BTreeMap<String, (String, u64)>);

impl Measured {
    /// Adds the file name and size in bytes of a wheel.
    pub fn insert(&mut self, key: impl Into<String>, file: impl Into<String>, size: u64) {
        self.0.insert(key.into(), (file.into(), size));
    }
}

impl Plan {
    /// The step that chooses packages in the middle of the build, if they are not chosen yet.
    pub fn lock(&self) -> Option<(&Step, &LockPackages)> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Lock(lock) => Some((step, lock)),
            _ => None,
        })
    }

    /// The step that installs wheels.
    pub fn wheels(&self) -> Option<(&Step, &InstallWheels)> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Wheels(wheels) => Some((step, wheels)),
            _ => None,
        })
    }

    /// Paths of wheels of the project that a lock has: their size is to be measured.
    pub fn project_wheels(&self, lock: &Lock, facts: &Facts) -> Result<Vec<String>, LockedError> {
        let mut paths = Vec::new();
        for chosen in self.chosen(lock, facts)? {
            if let Found::Wheel(LockedFile {
                url: None,
                path: Some(path),
                ..
            }) = chosen.found
            {
                paths.push(in_project(path)?);
            }
        }
        Ok(paths)
    }

    /// Wheels and archives of which the lock lacks the digest or the size, because the index does not say them. The digest
    /// is empty where it is not known.
    pub fn unmeasured(&self, lock: &Lock, facts: &Facts) -> Result<Vec<RemoteFile>, LockedError> {
        let (_, install) = self.wheels().ok_or(LockedError::NoWheels)?;
        let mut files = Vec::new();
        for chosen in self.chosen(lock, facts)? {
            let (file, is_wheel) = match chosen.found {
                Found::Wheel(file) => (file, true),
                Found::Archive(file) => (file, false),
                _ => continue,
            };
            let is_known = file.sha256.is_some() && (file.size.is_some() || !is_wheel);
            if file.url.is_some() && !is_known {
                let sha256 = Some(file.sha256.clone().unwrap_or_default());
                let file = LockedFile {
                    sha256,
                    ..file.clone()
                };
                files.push(remote(install, &file)?);
            }
        }
        Ok(files)
    }

    /// The plan with a step for each wheel that has to be built first, in the place of the step that makes the lock.
    pub fn with_builds(&self, lock: &Lock, facts: &Facts) -> Result<Self, LockedError> {
        let (wheels_step, wheels) = self.wheels().ok_or(LockedError::NoWheels)?;
        let after = match self.lock() {
            Some((step, _)) => step.after.clone(),
            None => wheels_step.after.clone(),
        };
        let mut builds = Vec::new();
        for chosen in self.chosen(lock, facts)? {
            let Some(action) = self.build(wheels, &chosen)? else {
                continue;
            };
            builds.push(Step {
                name: build_step(&chosen.package.name),
                after: after.iter().cloned().chain(["venv".to_owned()]).collect(),
                source: wheels
                    .places
                    .get(&chosen.package.name)
                    .cloned()
                    .or_else(|| wheels_step.source.clone()),
                writes: None,
                action: Action::Build(action),
            });
        }
        let mut plan = self.clone();
        let names: Vec<String> = builds.iter().map(|step| step.name.clone()).collect();
        plan.steps
            .retain(|step| !matches!(step.action, Action::Lock(_)));
        let position = plan
            .steps
            .iter()
            .position(|step| matches!(step.action, Action::Wheels(_)));
        let position = position.ok_or(LockedError::NoWheels)?;
        let lock_name = self.lock().map(|(step, _)| step.name.as_str());
        let step = &mut plan.steps[position];
        step.after.retain(|name| Some(name.as_str()) != lock_name);
        step.after.extend(names);
        plan.steps.splice(position..position, builds);
        plan.drop_unused_bases();
        Ok(plan)
    }

    /// The plan with every wheel in its group. What the lock does not say is in `measured`; wheels of a tie are installed
    /// together.
    pub fn with_lock(
        &self,
        lock: &Lock,
        facts: &Facts,
        measured: &Measured,
        ties: &[Vec<String>],
    ) -> Result<Self, LockedError> {
        let (_, install) = self.wheels().ok_or(LockedError::NoWheels)?;
        let mut wheels = Vec::new();
        for chosen in self.chosen(lock, facts)? {
            wheels.push(wheel(install, &chosen, measured)?);
        }
        let seeds: Vec<String> = ["pip", "setuptools"]
            .into_iter()
            .filter(|seed| wheels.iter().any(|wheel| wheel.package == *seed))
            .map(str::to_owned)
            .collect();
        let distributions = distributions(lock, &wheels);
        let groups = groups(wheels, ties, install.budget);
        let mut plan = self.with_builds(lock, facts)?;
        for step in &mut plan.steps {
            match &mut step.action {
                Action::Wheels(install) => {
                    install.groups = Some(groups.clone());
                    install.distributions.clone_from(&distributions);
                }
                Action::Venv { replaced, .. } => replaced.clone_from(&seeds),
                _ => {}
            }
        }
        Ok(plan)
    }

    fn chosen<'l>(&self, lock: &'l Lock, facts: &Facts) -> Result<Vec<Chosen<'l>>, LockedError> {
        let (_, install) = self.wheels().ok_or(LockedError::NoWheels)?;
        let hashes = install.hashes.clone().into_iter().collect();
        Ok(lock.choose(facts, &hashes)?)
    }

    /// How a wheel is built, if there is none.
    fn build(
        &self,
        install: &InstallWheels,
        chosen: &Chosen<'_>,
    ) -> Result<Option<BuildWheel>, LockedError> {
        let name = &chosen.package.name;
        let (mut archive, mut local) = (None, Vec::new());
        let requirement = match chosen.found {
            Found::Wheel(_) => return Ok(None),
            Found::Archive(file) => match &file.path {
                Some(path) if file.url.is_none() => {
                    let path = in_project(path)?;
                    local.push(path.clone());
                    format!("{LOCAL_FOLDER}/{path}")
                }
                _ => {
                    let file = remote(install, file)?;
                    let path = format!("{}/{}", crate::layer::ARCHIVE_FOLDER, file.name);
                    archive = Some(file);
                    path
                }
            },
            Found::Directory(path) => {
                let path = in_project(path)?;
                local.push(path.clone());
                format!("{LOCAL_FOLDER}/{path}")
            }
            Found::Repository {
                kind,
                url,
                commit,
                subdirectory,
            } => {
                let below =
                    subdirectory.map_or(String::new(), |path| format!("#subdirectory={path}"));
                let url = with_login(install, url);
                format!("{name} @ {kind}+{url}@{commit}{below}")
            }
        };
        let (secrets, environment) = match self.lock() {
            Some((_, lock)) => (lock.secrets.clone(), lock.environment.clone()),
            None => Default::default(),
        };
        Ok(Some(BuildWheel {
            venv: install.venv.clone(),
            package: name.clone(),
            requirement,
            archive,
            options: install.options.clone(),
            secrets,
            local,
            environment,
        }))
    }
}

/// Name of the step that builds the wheel of a package.
fn build_step(package: &str) -> String {
    format!("build-{package}")
}

fn wheel(
    install: &InstallWheels,
    chosen: &Chosen<'_>,
    measured: &Measured,
) -> Result<Wheel, LockedError> {
    let package = chosen.package.name.clone();
    let known = |key: &str| {
        let found = measured.0.get(key).cloned();
        found.ok_or_else(|| LockedError::NotBuilt(package.clone()))
    };
    let (file, size, from) = match chosen.found {
        Found::Wheel(file) if file.url.is_none() => {
            let path = in_project(file.path.as_deref().unwrap_or_default())?;
            let (name, size) = known(&path)?;
            (name, size, WheelOrigin::Project { path })
        }
        Found::Wheel(file) => {
            let RemoteFile {
                name,
                url,
                sha256,
                authorization,
            } = remote(install, file)?;
            let origin = WheelOrigin::Remote {
                url,
                sha256,
                authorization,
            };
            // An index may leave sizes out. Such a wheel is as good as a small one.
            (name, file.size.unwrap_or(1), origin)
        }
        _ => {
            let step = build_step(&package);
            let (name, size) = known(&step)?;
            (name, size, WheelOrigin::Built { step })
        }
    };
    Ok(Wheel {
        package,
        file,
        size: size.max(1),
        from,
        direct_url: DirectUrl::of(chosen.package, SOURCE),
    })
}

fn remote(install: &InstallWheels, file: &LockedFile) -> Result<RemoteFile, LockedError> {
    let lacks = |lacks| LockedError::File {
        file: file.name.clone(),
        lacks,
    };
    let url = file.url.clone().ok_or_else(|| lacks("URL"))?;
    let sha256 = file.sha256.clone().ok_or_else(|| lacks("SHA-256 digest"))?;
    let login = install
        .logins
        .iter()
        .find(|login| host(&url) == Some(login.host.as_str()));
    Ok(RemoteFile {
        name: file.name.clone(),
        authorization: match login {
            Some(login) => Some(login.secret()),
            None => netrc::machine(&url)
                .filter(|host| install.machines.contains(host))
                .map(|host| netrc::header(&host)),
        },
        url,
        sha256,
    })
}

/// The login of a host back in front of it, by the names of secrets.
fn with_login(install: &InstallWheels, url: &str) -> String {
    let login = install
        .logins
        .iter()
        .find(|login| host(url) == Some(login.host.as_str()));
    login.map_or_else(|| url.to_owned(), |login| lock::with_login(url, login))
}

/// A path of a lock as one of the project.
fn in_project(path: &str) -> Result<String, LockedError> {
    let inside = path
        .strip_prefix("./")
        .unwrap_or(path)
        .trim_end_matches('/');
    let leaves = |part: &str| matches!(part, "." | "..");
    if inside.is_empty() || inside.starts_with('/') || inside.split('/').any(leaves) {
        return Err(LockedError::Outside(path.to_owned()));
    }
    Ok(inside.to_owned())
}

/// What a lock says of wheels that were looked into; nothing if it does not say it of all, or of files in common, which
/// every build tells the user.
fn distributions(lock: &Lock, wheels: &[Wheel]) -> Option<Vec<String>> {
    if !lock.ties.as_ref()?.is_empty() {
        return None;
    }
    let mut wheels: Vec<&Wheel> = wheels.iter().collect();
    wheels.sort_by(|one, other| one.package.cmp(&other.package));
    let known = |wheel: &Wheel| lock.distributions.get(&wheel.file).cloned();
    wheels.into_iter().map(known).collect()
}

/// The groups of wheels. Wheels of a tie are one member.
fn groups(mut wheels: Vec<Wheel>, ties: &[Vec<String>], budget: usize) -> Vec<WheelGroup> {
    wheels.sort_by(|one, other| (&one.package, &one.file).cmp(&(&other.package, &other.file)));
    let mut units: Vec<Vec<Wheel>> = Vec::new();
    for wheel in wheels {
        let tie = ties.iter().find(|tie| tie.contains(&wheel.file));
        let unit = tie.and_then(|tie| {
            units
                .iter_mut()
                .find(|unit| unit.iter().any(|other| tie.contains(&other.file)))
        });
        match unit {
            Some(unit) => unit.push(wheel),
            None => units.push(vec![wheel]),
        }
    }
    let members: Vec<Member> = units
        .iter()
        .map(|unit| Member {
            name: unit[0].package.clone(),
            size: unit.iter().map(|wheel| wheel.size).sum(),
        })
        .collect();
    let groups = group(&members, Grouping { budget });
    let groups = groups.into_iter().map(|members| {
        let mut wheels: Vec<Wheel> = members
            .into_iter()
            .flat_map(|member| units[member].clone())
            .collect();
        wheels.sort_by(|one, other| one.file.cmp(&other.file));
        WheelGroup {
            name: name(&wheels),
            wheels,
        }
    });
    groups.collect()
}

/// The first packages, for people who watch a build.
fn name(wheels: &[Wheel]) -> String {
    const SHOWN: usize = 4;
    let mut names: Vec<&str> = wheels.iter().map(|wheel| wheel.package.as_str()).collect();
    names.sort_unstable();
    let shown = names[..names.len().min(SHOWN)].join(" ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_tells_what_wheels_are_called_or_they_are_looked_into() {
        let wheel = |package: &str, file: &str| Wheel {
            package: package.into(),
            file: file.into(),
            size: 1,
            from: WheelOrigin::Project { path: file.into() },
            direct_url: None,
        };
        let wheels = [wheel("pyyaml", "PyYAML.whl"), wheel("a", "a.whl")];
        let mut lock = Lock {
            ties: Some(Vec::new()),
            distributions: [("PyYAML.whl", "PyYAML==6"), ("a.whl", "A==1")]
                .map(|(file, name)| (file.to_owned(), name.to_owned()))
                .into(),
            ..Lock::default()
        };
        let expected = ["A==1", "PyYAML==6"].map(str::to_owned).to_vec();
        assert_eq!(distributions(&lock, &wheels), Some(expected));
        // Of another wheel, nobody has looked whether it has files in common with these.
        let more = [wheels[0].clone(), wheel("b", "b.whl")];
        assert_eq!(distributions(&lock, &more), None);
        // Files in common are told in each build.
        lock.ties = Some(vec![vec!["PyYAML.whl".into(), "a.whl".into()]]);
        assert_eq!(distributions(&lock, &wheels), None);
        lock.ties = None;
        assert_eq!(distributions(&lock, &wheels), None);
    }

    #[test]
    fn paths_do_not_leave_the_project() {
        assert_eq!(in_project("./wheels/a.whl").unwrap(), "wheels/a.whl");
        for path in ["../up.whl", "/x.whl", "a/../../x", "."] {
            assert!(in_project(path).is_err(), "{path}");
        }
    }
}
