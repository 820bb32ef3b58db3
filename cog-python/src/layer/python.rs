//! Python and the virtual environment.

use llb::{Constrain, Image, State, args, bind, cache};

use super::{StepOptions, Tree};
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
    /// Image that holds the program as `/uv`; it is mounted for the step and not part of its result.
    pub image: &'a str,
    /// Address of the list of Pythons, instead of uv's own.
    pub downloads: Option<&'a str>,
}

/// The arguments are version and folder. The link is the path that [`Interpreter`] names, whatever
/// folder uv chooses for a release.
pub(crate) const UV_SCRIPT: &str = r#"uv python install --no-bin "$1"
mkdir -p "$2/bin"
ln -s "$(readlink -f "$(uv python find "$1")")" "$2/bin/python3""#;

/// Installs a Python with uv into a folder of its own.
#[track_caller]
pub fn uv_python(
    ground: &State,
    version: PythonVersion,
    uv: Uv<'_>,
    folder: &str,
    options: &StepOptions,
) -> Interpreter {
    let program = Image::new(uv.image)
        .name(format!("uv {}", uv.image))
        .state();
    let exec = args([
        "/bin/sh",
        "-ec",
        UV_SCRIPT,
        "uv",
        &version.to_string(),
        folder,
    ])
    .env("UV_PYTHON_INSTALL_DIR", folder)
    .env("UV_PYTHON_PREFERENCE", "only-managed")
    .env("UV_NO_CONFIG", "1")
    .env("UV_CACHE_DIR", "/root/.cache/uv")
    .mount(
        bind("/usr/local/bin/uv", program)
            .selector("/uv")
            .readonly(),
    )
    .mount(cache("/root/.cache/uv", "cog-python-uv"))
    .name(format!("python {version} by uv"));
    let exec = match uv.downloads {
        Some(list) => exec.env("UV_PYTHON_DOWNLOADS_JSON_URL", list),
        None => exec,
    };
    let tree = Tree::empty(folder).change(ground, options.connected(exec));
    Interpreter {
        command: format!("{folder}/bin/python3"),
        version,
        tree: Some(tree),
    }
}

/// The arguments are interpreter, version, folder and options of venv.
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
shift 2
exec "$python" -m venv "$@""#;

/// Makes a virtual environment with pip; fails when the interpreter has another version than it
/// must have. With `site_packages` it sees the packages of the interpreter, too.
#[track_caller]
pub fn venv(
    ground: &State,
    interpreter: &Interpreter,
    folder: &str,
    site_packages: bool,
    options: &StepOptions,
) -> Tree {
    let version = interpreter.version.to_string();
    let mut command = vec![
        "/bin/sh",
        "-ec",
        VENV_SCRIPT,
        "venv",
        &interpreter.command,
        &version,
        folder,
    ];
    if site_packages {
        command.push("--system-site-packages");
    }
    let exec = args(command).name(format!("venv {folder}"));
    let exec = match &interpreter.tree {
        Some(tree) => tree.lend(exec),
        None => exec,
    };
    Tree::empty(folder).change(ground, options.offline(exec))
}
