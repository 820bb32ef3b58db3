//! What subcommands about wheels are given: options that have a value each, options without one, and wheels.

use std::ffi::OsString;
use std::path::PathBuf;

use llb_helper::wheel::WheelName;

use crate::error::Error;

/// The arguments of a subcommand.
pub(crate) struct Options {
    usage: &'static str,
    values: Vec<(&'static str, String)>,
    switches: Vec<&'static str>,
    /// The wheels, by the order of their file names.
    pub(crate) wheels: Vec<(WheelName, PathBuf)>,
}

impl Options {
    /// Tells options of these names, those that have a value and those without one, from wheels. `usage` is the form that a mistake is answered with.
    pub(crate) fn read(
        arguments: &[OsString],
        names: &[&'static str],
        switches: &[&'static str],
        usage: &'static str,
    ) -> Result<Self, Error> {
        let mut options = Self {
            usage,
            values: Vec::new(),
            switches: Vec::new(),
            wheels: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if let Some(&name) = names.iter().find(|name| argument == *name) {
                let value = arguments.next().and_then(|value| value.to_str());
                let missing = || options.mistake(&format!("{name} lacks its value"));
                let value = value.ok_or_else(missing)?.to_owned();
                options.values.push((name, value));
                continue;
            }
            if let Some(&name) = switches.iter().find(|name| argument == *name) {
                options.switches.push(name);
                continue;
            }
            let path = PathBuf::from(argument);
            let file = path.file_name().and_then(|file| file.to_str());
            let unnamed = || options.mistake(&format!("{} names no file", path.display()));
            let name = file.ok_or_else(unnamed)?.parse()?;
            options.wheels.push((name, path));
        }
        options.wheels.sort();
        Ok(options)
    }

    /// The value of an option; the last one, if it is given several times.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let given = self.values.iter().rev().find(|(given, _)| *given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// All values of an option, in their order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.values.iter().filter(move |(given, _)| *given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// Whether an option without a value is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.switches.contains(&name)
    }

    /// The value of an option that has to be given.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Error> {
        let missing = || self.mistake(&format!("{name} is missing"));
        self.value(name).ok_or_else(missing)
    }

    /// Says what is wrong, and what is expected.
    pub(crate) fn mistake(&self, mistake: &str) -> Error {
        Error::usage(format!("{mistake}; expected: {}", self.usage))
    }
}
