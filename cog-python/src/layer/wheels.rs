//! Installing wheels without an index, a network or a base image.

use llb::lower::Helper;
use llb::{Constrain, Exec, Network, State, args, bind, scratch, tmpfs};

use super::{Interpreter, StepOptions, Tree};
use crate::lock::DirectUrl;

/// A wheel: a file in a state.
#[derive(Clone, Debug)]
pub struct WheelFile {
    /// The state.
    pub state: State,
    /// Its absolute path there.
    pub path: String,
    /// Its file name.
    pub name: String,
    /// Where its package is from, if no index has it.
    pub direct_url: Option<DirectUrl>,
}

/// The environment that wheels are installed into.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// Absolute path of the virtual environment.
    pub path: &'a str,
    /// Release line of its Python, such as `3.12`.
    pub python: &'a str,
    /// Whether its programs and libraries have no debug information.
    pub stripped: bool,
}

/// Where wheels are mounted.
const WHEELS: &str = "/w";
/// What stands for `/` while wheels are installed.
const ROOT: &str = "/out";
/// Where the helper is mounted into a file system that is not its own.
const HELPER: &str = "/run/cog-python/bin/llb-helper";
/// The list of collisions, in the state that [`inspect`] gives.
pub const COLLISIONS_FILE: &str = "/collisions";
/// The list of distributions, as `pip freeze` writes it, in the state that [`inspect`] gives.
pub const DISTRIBUTIONS_FILE: &str = "/packages";

/// The arguments are the interpreter, the program that compiles, then the helper's command.
const COMPILE_SCRIPT: &str = r#"python="$1"
compile="$2"
shift 2
"$@"
exec "$python" -B -c "$compile" /out /out"#;

/// Compiles every module below a folder, the first argument. A compiled file holds a digest of the source instead of its
/// time, and the path that it will have: without the folder that the second argument is, if it is one.
pub(crate) const COMPILE: &str = r#"import compileall, os, py_compile, sys
tree, root = sys.argv[1], sys.argv[2] or None
compileall.compile_dir(tree, quiet=2, stripdir=root, prependdir=root and "/", force=True, workers=0,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
for folder, _, files in os.walk(tree, topdown=False):
    for file in files:
        path = os.path.join(folder, file)
        if path.endswith(".pyc"):
            os.chmod(path, 0o644)
            os.utime(path, (0, 0))
    if os.path.basename(folder) == "__pycache__":
        os.chmod(folder, 0o755)
    os.utime(folder, (0, 0))
"#;

/// Installs wheels: a tree that holds them and nothing else.
///
/// The step runs on the helper's own file system, without a network: a change of the base image does not touch it, and
/// the same wheels give the same bytes. Of two wheels with a file in common, the one whose name sorts last has it.
#[track_caller]
pub fn wheels(
    helper: &Helper,
    files: &[WheelFile],
    environment: Environment<'_>,
    name: &str,
    options: &StepOptions,
) -> Tree {
    let command = install(helper.path(), files, environment);
    let exec = mounted(args(command), files)
        .readonly_rootfs()
        .name(format!("wheels: {name}"));
    let state = helper.state().exec(options.offline(exec)).get_mount(ROOT);
    Tree::new(state, environment.path)
}

/// Installs wheels and compiles their modules, with the interpreter of a file system.
#[track_caller]
pub fn compiled_wheels(
    ground: &State,
    interpreter: &Interpreter,
    helper: &Helper,
    files: &[WheelFile],
    environment: Environment<'_>,
    name: &str,
    options: &StepOptions,
) -> Tree {
    let mut command: Vec<String> = ["/bin/sh", "-ec", COMPILE_SCRIPT, "compile"]
        .map(String::from)
        .to_vec();
    command.extend([interpreter.command.clone(), COMPILE.to_owned()]);
    command.extend(install(HELPER, files, environment));
    let exec = mounted(args(command), files)
        .mount(
            bind(HELPER, helper.state())
                .selector(helper.path())
                .readonly(),
        )
        .name(format!("wheels, compiled: {name}"));
    let exec = match &interpreter.tree {
        Some(tree) => tree.lend(exec),
        None => exec,
    };
    let state = ground.exec(options.offline(exec)).get_mount(ROOT);
    Tree::new(state, environment.path)
}

/// Looks into wheels without unpacking them: a state with [`COLLISIONS_FILE`], which lists wheels that have different
/// content for one path, and [`DISTRIBUTIONS_FILE`].
#[track_caller]
pub fn inspect(helper: &Helper, files: &[WheelFile], environment: Environment<'_>) -> State {
    let mut command = vec![
        helper.path().to_owned(),
        "inspect".to_owned(),
        "--prefix".to_owned(),
        environment.path.to_owned(),
        "--python".to_owned(),
        environment.python.to_owned(),
        "--output".to_owned(),
        ROOT.to_owned(),
    ];
    command.extend(files.iter().map(|file| format!("{WHEELS}/{}", file.name)));
    let exec = mounted(args(command), files)
        .readonly_rootfs()
        .network(Network::None)
        .name("look into the wheels");
    helper.state().exec(exec).get_mount(ROOT)
}

fn install(helper: &str, files: &[WheelFile], environment: Environment<'_>) -> Vec<String> {
    let options = [
        helper,
        "install",
        "--prefix",
        environment.path,
        "--python",
        environment.python,
        "--root",
        ROOT,
        "--epoch",
        "0",
    ];
    let origins = files.iter().filter_map(|file| {
        let origin = file.direct_url.as_ref()?;
        let origin = format!("{}={}", file.name, origin.to_json());
        Some(["--direct-url".to_owned(), origin])
    });
    let strip = environment.stripped.then(|| "--strip".to_owned());
    let wheels = files.iter().map(|file| format!("{WHEELS}/{}", file.name));
    options
        .map(String::from)
        .into_iter()
        .chain(origins.flatten())
        .chain(strip)
        .chain(wheels)
        .collect()
}

fn mounted(exec: Exec, files: &[WheelFile]) -> Exec {
    let exec = exec.mount(bind(ROOT, scratch())).mount(tmpfs("/tmp"));
    files.iter().fold(exec, |exec, file| {
        let target = format!("{WHEELS}/{}", file.name);
        exec.mount(bind(target, &file.state).selector(&file.path).readonly())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So the cache tells stripped packages from others.
    #[test]
    fn stripping_is_a_part_of_the_command() {
        let helper = Helper::from_bytes(Helper::example_bytes()).unwrap();
        let file = WheelFile {
            state: llb::image("example.com/wheels"),
            path: "/six-1.17.0-py2.py3-none-any.whl".into(),
            name: "six-1.17.0-py2.py3-none-any.whl".into(),
            direct_url: None,
        };
        let text = |stripped| {
            let environment = Environment {
                path: "/opt/venv",
                python: "3.12",
                stripped,
            };
            let options = StepOptions::default();
            let tree = wheels(
                &helper,
                std::slice::from_ref(&file),
                environment,
                "six",
                &options,
            );
            tree.state().to_text()
        };
        let (plain, stripped) = (text(false), text(true));
        assert_eq!(stripped.replacen("\"--strip\" ", "", 1), plain);
        assert_ne!(stripped, plain);
    }
}
