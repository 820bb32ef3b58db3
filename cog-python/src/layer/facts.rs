//! What is asked of a finished file system, on the side: nothing of it is in the image.

use indexmap::IndexMap;
use llb::{Constrain, Exec, State, args, scratch};

use super::{StepOptions, Tree};

/// Folder that the answer is written into.
const FOLDER: &str = "/run/cog-python/facts";
const PACKAGES_SCRIPT: &str = include_str!("facts.py");

/// File with the packages, in the state of [`packages`].
pub const PACKAGES_FILE: &str = "/packages.txt";

/// Lists the Python packages of a file system as `pip freeze` does, by the `python` that the folders of `path` have first.
/// Gives a state with nothing but [`PACKAGES_FILE`].
#[track_caller]
pub fn packages(ground: &State, path: &[String], options: &StepOptions) -> State {
    let file = format!("{FOLDER}{PACKAGES_FILE}");
    let exec = args(["python", "-I", "-c", PACKAGES_SCRIPT, &file])
        .output(FOLDER, scratch())
        .name("list the Python packages");
    let exec = with_path(exec, path);
    ground.exec(options.offline(exec)).output(FOLDER)
}

/// Asks the model for its OpenAPI document: its code is imported, without a network. `file` is where the document goes, in
/// a tree of its folder; a model that cannot be imported fails the step with its traceback.
#[track_caller]
pub fn ask_schema(
    ground: &State,
    working_directory: &str,
    file: &str,
    path: &[String],
    environment: &IndexMap<String, String>,
    options: &StepOptions,
) -> Tree {
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let mut exec = args(["/bin/sh", "-ec", ASK_SCRIPT, "schema", file])
        .dir(working_directory)
        .name("ask the model for its OpenAPI schema");
    for (name, value) in environment {
        exec = exec.env(name.as_str(), value.as_str());
    }
    let exec = with_path(exec, path);
    Tree::empty(folder)
        .change(ground, options.offline(exec))
        .settled()
}

/// The argument is the file.
pub(crate) const ASK_SCRIPT: &str = r#"python -m cog.command.openapi_schema > "$1"
chmod 0644 "$1""#;

fn with_path(exec: Exec, path: &[String]) -> Exec {
    let path = path.to_vec();
    exec.with(move |state| {
        path.iter()
            .rev()
            .fold(state, |state, folder| state.prepend_path(folder))
    })
}
