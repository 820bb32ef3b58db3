//! Python and the virtual environment.

use llb::{Constrain, State, args, cache};

use super::{Joining, Program, StepOptions, Tree, overlay};
use crate::config::PythonVersion;

/// An interpreter and what it must be.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Path, or a name to look for in `PATH`.
    pub command: String,
    /// Version or release line it must have.
    pub version: PythonVersion,
    /// The tree it lies in, if it is not part of the file system.
    pub tree: Option<Tree>,
}

impl Interpreter {
    /// `python3` of the file system.
    pub fn in_path(version: PythonVersion) -> Self {
        Self {
            command: "python3".into(),
            version,
            tree: None,
        }
    }
}

/// The uv program, and what it chooses from.
#[derive(Clone, Copy, Debug)]
pub struct Uv<'a> {
    /// The program.
    pub program: &'a Program,
    /// Address of the list of Pythons, instead of uv's own.
    pub downloads: Option<&'a str>,
}

/// The arguments are version, folder and the program that settles times. The link is the path that [`Interpreter`] names, whatever
/// folder uv chooses for a release.
pub(crate) const UV_SCRIPT: &str = r#"uv python install --no-bin "$1"
mkdir -p "$2/bin"
ln -s "$(readlink -f "$(uv python find "$1")")" "$2/bin/python3"
"$2/bin/python3" -B -c "$3" "$2""#;

/// Gives everything below a folder a fixed time, so that it is the same in every build. Compiled modules go: they hold the
/// time of their source.
pub(crate) const SETTLE: &str = r#"import os, shutil, sys
for folder, folders, files in os.walk(sys.argv[1], topdown=False):
    if "__pycache__" in folders:
        shutil.rmtree(os.path.join(folder, "__pycache__"))
    for name in files + folders:
        if name != "__pycache__":
            os.utime(os.path.join(folder, name), (0, 0), follow_symlinks=False)
    os.utime(folder, (0, 0))
"#;

/// A layer with a Python that uv installs into a folder, first in `PATH`.
///
/// ```
/// use cog_python::layer::{Program, StepOptions, Uv, uv_python};
///
/// // The program may come from anywhere: its image, or its wheel.
/// let program = Program::new(llb::image("ghcr.io/astral-sh/uv:0.9.26"), "/uv");
/// let uv = Uv { program: &program, downloads: None };
/// let image = llb::image("debian:bookworm-slim")
///     .layer(uv_python("3.12".parse()?, "/opt/python", uv, &StepOptions::default()));
/// let text = image.to_text();
/// assert!(text.contains("python 3.12 by uv"));
/// assert!(image.environment().get("PATH").is_some_and(|path| path.starts_with("/opt/python/bin:")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[llb::layer]
pub fn uv_python(
    base: State,
    version: PythonVersion,
    folder: &str,
    #[layer(skip)] uv: Uv<'_>,
    #[layer(skip)] options: &StepOptions,
) -> State {
    let interpreter = uv_python_tree(&base, version, uv, folder, options);
    overlay(&base, interpreter.tree, Joining::Merge).prepend_path(&format!("{folder}/bin"))
}

/// Installs a Python with uv into a folder of its own.
#[track_caller]
pub fn uv_python_tree(
    ground: &State,
    version: PythonVersion,
    uv: Uv<'_>,
    folder: &str,
    options: &StepOptions,
) -> Interpreter {
    let exec = args([
        "/bin/sh",
        "-ec",
        UV_SCRIPT,
        "uv",
        &version.to_string(),
        folder,
        SETTLE,
    ])
    .env("UV_PYTHON_INSTALL_DIR", folder)
    .env("UV_PYTHON_PREFERENCE", "only-managed")
    .env("UV_NO_CONFIG", "1")
    .env("UV_CACHE_DIR", "/root/.cache/uv")
    .mount(cache("/root/.cache/uv", "cog-python-uv"))
    .name(format!("python {version} by uv"));
    let exec = match uv.downloads {
        Some(list) => exec.env("UV_PYTHON_DOWNLOADS_JSON_URL", list),
        None => exec,
    };
    let exec = uv.program.lend(exec, "/usr/local/bin/uv");
    let tree = Tree::empty(folder).change(ground, options.connected(exec));
    let tree = tree.settled();
    Interpreter {
        command: format!("{folder}/bin/python3"),
        version,
        tree: Some(tree),
    }
}

/// The arguments are interpreter, version, the program that settles times, folder, packages to remove with blanks between,
/// and options of venv.
///
/// An environment looks for the standard library next to the path that its Python was started as,
/// so that must not be a link from another folder.
pub(crate) const VENV_SCRIPT: &str = r#"command -v "$1" >/dev/null || {
  echo "error: there is no $1 in the base image" >&2
  exit 1
}
found="$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
case "$found." in
  "$2".*) ;;
  *) echo "error: $1 is Python $found, and build.python_version is $2" >&2; exit 1 ;;
esac
python="$(readlink -f "$(command -v "$1")")"
settle="$3"
folder="$4"
removed="$5"
shift 5
"$python" -m venv "$@" "$folder"
if [ -n "$removed" ]; then
  "$folder/bin/python" -m pip --quiet --disable-pip-version-check uninstall --yes --root-user-action ignore $removed
fi
"$python" -B -c "$settle" "$folder""#;

/// Installs packages in one step, for Dockerfiles. The arguments are the program that settles times, the environment and
/// its interpreter, then options of uv, which is mounted as a program or as its wheel.
///
/// What uv leaves for itself goes; all else is what the steps of the graph install.
pub(crate) const INSTALL_SCRIPT: &str = r#"settle="$1"
venv="$2"
python="$3"
shift 3
uv=/run/cog-python/uv
if "$python" -m zipfile --test "$uv" >/dev/null 2>&1; then
  "$python" -m zipfile --extract "$uv" /tmp/uv
  uv="$(echo /tmp/uv/*.data/scripts/uv)"
  chmod 755 "$uv"
fi
"$uv" pip install --quiet --python "$python" "$@"
rm -f "$venv/.lock"
"$python" -B -c "$settle" "$venv""#;

/// A layer with a virtual environment that has pip, first in `PATH`. The build fails when the interpreter has another
/// version than it must have; one in a tree of its own becomes a part of the image, too.
///
/// ```
/// use cog_python::layer::{Interpreter, StepOptions, venv};
///
/// let python = Interpreter::in_path("3.12".parse()?);
/// let image = llb::image("python:3.12-slim").layer(venv("/opt/venv", &python, &StepOptions::default()));
/// assert!(image.to_text().contains("venv /opt/venv"));
/// assert_eq!(image.environment().get("VIRTUAL_ENV"), Some("/opt/venv"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[llb::layer]
pub fn venv(
    base: State,
    folder: &str,
    #[layer(skip)] interpreter: &Interpreter,
    #[layer(skip)] options: &StepOptions,
) -> State {
    let tree = venv_tree(&base, interpreter, folder, false, &[], options);
    let trees = interpreter.tree.clone().into_iter().chain([tree]);
    overlay(&base, trees, Joining::Merge)
        .prepend_path(&format!("{folder}/bin"))
        .env("VIRTUAL_ENV", folder)
}

/// Makes a virtual environment with pip; fails when the interpreter has another version than it
/// must have. With `site_packages` it sees the packages of the interpreter, too. `replaced` names packages that every
/// environment starts with (`pip`, `setuptools`) and this one does not, because wheels bring them.
#[track_caller]
pub fn venv_tree(
    ground: &State,
    interpreter: &Interpreter,
    folder: &str,
    site_packages: bool,
    replaced: &[String],
    options: &StepOptions,
) -> Tree {
    let version = interpreter.version.to_string();
    let replaced = replaced.join(" ");
    let mut command = vec![
        "/bin/sh",
        "-ec",
        VENV_SCRIPT,
        "venv",
        &interpreter.command,
        &version,
        SETTLE,
        folder,
        &replaced,
    ];
    if site_packages {
        command.push("--system-site-packages");
    }
    let exec = args(command).name(format!("venv {folder}"));
    let exec = match &interpreter.tree {
        Some(tree) => tree.lend(exec),
        None => exec,
    };
    Tree::empty(folder)
        .change(ground, options.offline(exec))
        .settled()
}
