//! `init`: the files of a new model.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{Failure, print};

const CONFIG: &str = "\
# The keys are described by `cog-python schema`; `cog-python plan` shows what they lead to.
build:
  # gpu: true
  python_version: \"3.13\"
  python_requirements: requirements.txt
  # system_packages:
  #   - ffmpeg
run: run.py:Runner
";

const REQUIREMENTS: &str = "\
# One package per line, pinned, such as:
# numpy==2.1.0
";

const RUN: &str = "\
from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        \"\"\"Load the model into memory, once.\"\"\"

    def run(
        self,
        name: str = Input(description=\"Who to greet\", default=\"world\"),
    ) -> str:
        \"\"\"Make one prediction.\"\"\"
        return f\"hello {name}\"
";

const IGNORE: &str = "\
# What is not copied into the image.
.git
.venv
**/__pycache__
";

/// Writes the files that are not there yet, and says of each what happened.
pub(crate) fn init() -> Result<(), Failure> {
    let files = [
        ("cog.yaml", CONFIG),
        ("requirements.txt", REQUIREMENTS),
        ("run.py", RUN),
        (".dockerignore", IGNORE),
    ];
    let mut report = String::new();
    for (name, text) in files {
        let written = write(Path::new(name), text)?;
        let word = if written { "wrote" } else { "kept" };
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{word} {name}");
    }
    print(&report)
}

/// Whether the file was written; one that is there is left alone.
fn write(path: &Path, text: &str) -> Result<bool, Failure> {
    let failure =
        |error: std::io::Error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(failure)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failure(error)),
    }
}
