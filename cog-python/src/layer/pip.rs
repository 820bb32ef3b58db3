//! Python packages by pip.

use indexmap::IndexMap;
use llb::{Constrain, State, args, bind, cache, file, scratch, secret};

use super::{StepOptions, Tree, project};
use crate::requirement::LOCAL_FOLDER;

/// Where the requirements files are mounted.
const FOLDER: &str = "/run/cog-python/requirements";

/// What pip installs.
#[derive(Clone, Debug, Default)]
pub struct Requirements<'a> {
    /// Lines of the requirements file.
    pub lines: &'a [String],
    /// Lines of the constraints file.
    pub constraints: &'a [String],
    /// Names of secrets that lines use as `${NAME}`; a build without one of them fails.
    pub secrets: &'a [String],
    /// Files and folders of the project that lines name below [`LOCAL_FOLDER`].
    pub local: &'a [String],
}

/// Installs packages into a virtual environment.
///
/// `others` are trees that pip needs besides, such as the interpreter's. Downloads and wheels
/// built on the way are kept in a cache mount.
#[track_caller]
pub fn pip<'t>(
    ground: &State,
    venv: &Tree,
    others: impl IntoIterator<Item = &'t Tree>,
    requirements: &Requirements<'_>,
    environment: &IndexMap<String, String>,
    options: &StepOptions,
) -> Tree {
    let lines = |lines: &[String]| {
        lines.join(
            "
",
        ) + "
"
    };
    let mut files = file::mkfile("/requirements.txt", 0o644, lines(requirements.lines));
    let python = format!("{}/bin/python", venv.path());
    let required = format!("{FOLDER}/requirements.txt");
    let constrained = format!("{FOLDER}/constraints.txt");
    let mut command = vec![
        python.as_str(),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--requirement",
        &required,
    ];
    if !requirements.constraints.is_empty() {
        files = files.mkfile("/constraints.txt", 0o644, lines(requirements.constraints));
        command.extend(["--constraint", &constrained]);
    }
    let files = scratch().file(files.name("requirements"));
    let mut exec = args(command)
        .env("PIP_CACHE_DIR", "/root/.cache/pip")
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .mount(bind(FOLDER, files).readonly())
        .mount(cache("/root/.cache/pip", "cog-python-pip"))
        .name(format!("pip: {}", summary(requirements.lines)));
    for (name, value) in environment {
        exec = exec.env(name.as_str(), value.as_str());
    }
    for name in requirements.secrets {
        exec = exec.mount(secret(name.as_str()).as_env(name.as_str()));
    }
    if !requirements.local.is_empty() {
        // Not read-only: building a package of a folder writes next to it. What is written is dropped.
        exec = exec.mount(bind(
            LOCAL_FOLDER,
            project(options.project(), requirements.local),
        ));
    }
    for tree in others {
        exec = tree.lend(exec);
    }
    // Building a package may start programs that an earlier one has installed.
    let programs = format!("{}/bin", venv.path());
    let exec = exec
        .env("VIRTUAL_ENV", venv.path())
        .with(move |state| state.prepend_path(&programs));
    venv.change(ground, options.connected(exec))
}

/// The first requirements, for people who watch a build.
fn summary(lines: &[String]) -> String {
    const SHOWN: usize = 4;
    let packages: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with('-'))
        .collect();
    let mut text = packages
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    if packages.len() > SHOWN {
        text = format!("{text} and {} more", packages.len() - SHOWN);
    }
    text
}
