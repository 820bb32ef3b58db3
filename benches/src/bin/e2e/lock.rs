//! Locks that are made before anything is measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use llb_benches::measure::Program;

use crate::Fault;
use crate::project::Project;
use crate::side::Place;

/// All packages of a model, each with its version and its files.
#[derive(Clone, Debug)]
pub(crate) struct Lock(String);

impl Lock {
    /// Its name in the project.
    pub(crate) const FILE: &str = "pylock.toml";

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The packages as lines of a requirements file.
    pub(crate) fn requirements(&self) -> String {
        let mut requirements = String::new();
        for line in self.0.lines() {
            let value = |key: &str| line.strip_prefix(key)?.strip_suffix('"');
            if let Some(name) = value("name = \"") {
                requirements.push_str(name);
            } else if let Some(version) = value("version = \"") {
                requirements = requirements + "==" + version + "\n";
            }
        }
        requirements
    }
}

/// The locks of a model on its way through its changes, by what it requires.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks(BTreeMap<String, Lock>);

impl Locks {
    /// Lets `cog-python lock` make them, in an empty directory.
    pub(crate) fn make<'a>(
        projects: impl IntoIterator<Item = &'a Project>,
        cog_python: &Path,
        place: &Place,
        root: &Path,
    ) -> Result<Self, Fault> {
        fs::create_dir(root)?;
        let mut locks = BTreeMap::new();
        for project in projects {
            let requirements = project.requirements();
            if locks.contains_key(&requirements) {
                continue;
            }
            project.write(root, None)?;
            let file = root.join("cog.yaml");
            let mut program = Program::new(cog_python)
                .arguments(["lock", "--addr", &place.address, "--base", &place.base])
                .arguments(["--output", Lock::FILE, "--file"])
                .arguments([file]);
            if place.host_network {
                program = program.arguments(["--network", "host"]);
            }
            program.run()?;
            let text = fs::read_to_string(root.join(Lock::FILE))?;
            locks.insert(requirements, Lock(text));
        }
        Ok(Self(locks))
    }

    /// The lock of a model, if there are any.
    pub(crate) fn of(&self, project: &Project) -> Option<&Lock> {
        self.0.get(&project.requirements())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_the_packages_of_the_lock() {
        let lock = Lock(
            "lock-version = \"1.0\"\n\n[[packages]]\nname = \"a\"\nversion = \"1\"\nwheels = [\n    { name = \"a-1.whl\" },\n]\n\n\
             [[packages]]\nname = \"b\"\nversion = \"2\"\n"
                .to_owned(),
        );
        assert_eq!(lock.requirements(), "a==1\nb==2\n");
    }
}
