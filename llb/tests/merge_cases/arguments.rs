//! What the program is asked to do.

use std::path::{Path, PathBuf};

use super::case::Case;
use super::random;

/// The arguments of the process. What is not known, such as options of the test harness, is left out.
pub(crate) struct Arguments {
    directory: Option<PathBuf>,
    /// The number of random cases.
    pub(crate) random: Option<u64>,
    seed: u64,
    names: Vec<String>,
}

impl Arguments {
    pub(crate) fn of_process() -> Self {
        let mut arguments = Self {
            directory: None,
            random: None,
            seed: 1,
            names: Vec::new(),
        };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            match &*argument {
                "--dir" => arguments.directory = given.next().map(PathBuf::from),
                "--random" => arguments.random = number(given.next()),
                "--seed" => arguments.seed = number(given.next()).unwrap_or(1),
                option if option.starts_with('-') => {}
                name => arguments.names.push(name.to_owned()),
            }
        }
        arguments
    }

    pub(crate) fn cases(&self) -> Result<Vec<Case>, String> {
        if let Some(count) = self.random {
            return Ok(random::cases(self.seed, count));
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/merge-cases");
        let directory = self.directory.as_deref().unwrap_or(&own);
        let mut cases = Case::read_all(directory)?;
        if !self.names.is_empty() {
            cases.retain(|case| self.names.iter().any(|name| case.id.contains(name)));
        }
        Ok(cases)
    }
}

fn number(text: Option<String>) -> Option<u64> {
    let text = text?;
    let number = text.parse().ok();
    assert!(number.is_some(), "expected a number, found {text:?}");
    number
}
