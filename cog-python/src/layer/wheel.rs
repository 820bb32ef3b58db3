//! Wheels of source archives, folders and repositories.

use llb::{Constrain, State, args, bind, cache, file, scratch, secret};

use super::program::remote_for;
use super::source::writable_project;
use super::{REQUIREMENTS_FOLDER, StepOptions, Tree};
use crate::plan::BuildWheel;
use crate::requirement::LOCAL_FOLDER;

/// Where a source archive is mounted.
pub const ARCHIVE_FOLDER: &str = "/run/cog-python/archive";
/// Where the wheel is written to.
const OUTPUT: &str = "/run/cog-python/wheel";
/// Times in wheels of what is built, in seconds since 1970: zip files know none before 1980.
const EPOCH: &str = "315532800";

/// Builds a wheel: a state with nothing but its file.
///
/// `others` are trees that the build needs besides, such as the interpreter's. Compilers get no flags but those of
/// `environment`.
#[track_caller]
pub fn wheel<'t>(
    ground: &State,
    venv: &'t Tree,
    others: impl IntoIterator<Item = &'t Tree>,
    build: &BuildWheel,
    options: &StepOptions,
) -> State {
    let mut lines = build.options.clone();
    lines.push(build.requirement.clone());
    let files = file::mkfile("/requirements.txt", 0o644, lines.join("\n") + "\n");
    let files = scratch().file(files.name("requirements"));
    let python = format!("{}/bin/python", venv.path());
    let required = format!("{REQUIREMENTS_FOLDER}/requirements.txt");
    let mut exec = args([
        python.as_str(),
        "-m",
        "pip",
        "wheel",
        "--no-input",
        "--disable-pip-version-check",
        // Older releases of pip would want the package `wheel` in the environment for a lone setup.py.
        "--use-pep517",
        "--no-deps",
        "--wheel-dir",
        OUTPUT,
        "--requirement",
        &required,
    ])
    .env("PIP_CACHE_DIR", "/root/.cache/pip")
    .env("PIP_ROOT_USER_ACTION", "ignore")
    .env("SOURCE_DATE_EPOCH", EPOCH)
    .mount(bind(REQUIREMENTS_FOLDER, files).readonly())
    .mount(cache("/root/.cache/pip", "cog-python-pip"))
    .mount(bind(OUTPUT, scratch()))
    .name(format!("build wheel: {}", build.package));
    if build.needs_agent() {
        exec = StepOptions::over_ssh(exec);
    }
    for (name, value) in &build.environment {
        exec = exec.env(name.as_str(), value.as_str());
    }
    for name in &build.secrets {
        exec = exec.mount(secret(name.as_str()).as_env(name.as_str()));
    }
    if let Some(archive) = &build.archive {
        let path = format!("{ARCHIVE_FOLDER}/{}", archive.name);
        let source = bind(path, remote_for(archive, options));
        exec = exec.mount(source.selector(format!("/{}", archive.name)).readonly());
    }
    if !build.local.is_empty() {
        // Not read-only: building a package of a folder writes next to it. What is written is dropped.
        exec = exec.mount(
            bind(
                LOCAL_FOLDER,
                writable_project(options.project(), &build.local),
            )
            .no_output(),
        );
    }
    for tree in others.into_iter().chain([venv]) {
        exec = tree.lend(exec);
    }
    ground.exec(options.indexed(exec)).get_mount(OUTPUT)
}
