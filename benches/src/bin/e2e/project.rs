//! The models that are built, and how they change.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::lock::Lock;

/// A model, as it is at some time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Project {
    size: Size,
    /// Pinned packages, one a line.
    requirements: Vec<String>,
    pub(crate) system_packages: Vec<&'static str>,
    pub(crate) commands: Vec<&'static str>,
    /// What the model says, which is a line of its source.
    greeting: String,
}

/// How much a model needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Size {
    /// Half a dozen pure packages.
    Small,
    /// Dozens of packages, some of them giants.
    Large,
}

/// The version of Cog's Python package that all sides install.
pub(crate) const COG: &str = "cog==0.23.1";

const SMALL: &str = include_str!("small.txt");
const LARGE: &str = include_str!("large.txt");

impl Size {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    /// A package of more than a mebibyte and its other version.
    fn giant(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Small => None,
            Self::Large => Some(("scipy==1.17.1", "scipy==1.17.0")),
        }
    }
}

impl Project {
    pub(crate) fn new(size: Size) -> Self {
        let requirements = match size {
            Size::Small => SMALL,
            Size::Large => LARGE,
        };
        Self {
            size,
            requirements: requirements.lines().map(str::to_owned).collect(),
            system_packages: vec!["libgomp1"],
            commands: Vec::new(),
            greeting: "hello".to_owned(),
        }
    }

    /// One line of the source becomes another.
    pub(crate) fn say(&mut self, greeting: &str) {
        greeting.clone_into(&mut self.greeting);
    }

    pub(crate) fn require(&mut self, requirement: &str) {
        self.requirements.push(requirement.to_owned());
    }

    /// A small package gets another version.
    pub(crate) fn change(&mut self) {
        self.swap(("idna==3.10", "idna==3.11"));
    }

    /// A package of more than a mebibyte gets another version, if there is one.
    pub(crate) fn change_giant(&mut self) {
        self.size
            .giant()
            .into_iter()
            .for_each(|giant| self.swap(giant));
    }

    /// Puts one of two requirements in the place of the other.
    fn swap(&mut self, (one, other): (&str, &str)) {
        for requirement in &mut self.requirements {
            if requirement == one {
                other.clone_into(requirement);
            } else if requirement == other {
                one.clone_into(requirement);
            }
        }
    }

    /// Writes the files into an empty directory or over those of an earlier time. With a lock, that is what the model is
    /// built from, and the requirements are its packages.
    pub(crate) fn write(&self, root: &Path, lock: Option<&Lock>) -> io::Result<()> {
        let packages = match lock {
            Some(lock) => {
                fs::write(root.join(Lock::FILE), lock.text())?;
                Lock::FILE
            }
            None => "requirements.txt",
        };
        let requirements = lock.map_or_else(|| self.requirements(), Lock::requirements);
        fs::write(root.join("requirements.txt"), requirements)?;
        fs::write(root.join("run.py"), self.source())?;
        fs::write(root.join("cog.yaml"), self.configuration(packages))
    }

    pub(crate) fn requirements(&self) -> String {
        self.requirements.join("\n") + "\n"
    }

    fn source(&self) -> String {
        format!(
            "from cog import BaseRunner\n\n\nclass Runner(BaseRunner):\n    \
             def run(self, name: str) -> str:\n        return f\"{}, {{name}}\"\n",
            self.greeting
        )
    }

    fn configuration(&self, packages: &str) -> String {
        let mut text =
            format!("build:\n  python_version: \"3.11\"\n  python_requirements: {packages}\n");
        for (key, values) in [
            ("system_packages", &self.system_packages),
            ("run", &self.commands),
        ] {
            if !values.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {key}:");
                for value in values {
                    let _ = writeln!(text, "    - {value}");
                }
            }
        }
        text.push_str("run: run.py:Runner\n");
        text
    }
}
