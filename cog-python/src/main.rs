//! The program `cog-python`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cog_python::cli::main()
}
