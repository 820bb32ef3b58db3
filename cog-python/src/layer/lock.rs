//! Choosing the files of all packages, with uv.

use llb::{Constrain, State, args, bind, cache, file, scratch, secret};

use super::source::writable_project;
use super::{Interpreter, Program, StepOptions};
use crate::lock::dialect;
use crate::plan::LockPackages;
use crate::requirement::LOCAL_FOLDER;

/// The file with the lock, in the state that [`lock`] gives.
pub const LOCK_FILE: &str = "/pylock.toml";
/// The file with what is known of the interpreter.
pub const FACTS_FILE: &str = "/facts.json";

/// Where the requirements files are mounted.
pub(crate) const REQUIREMENTS_FOLDER: &str = "/run/cog-python/requirements";
/// Where the lock is made: paths in it are relative to this folder.
pub const LOCK_FOLDER: &str = "/run/cog-python/lock";
/// Where uv is mounted.
const UV: &str = "/run/cog-python/bin/uv";

/// What is known of the interpreter, as [`Facts`](crate::lock::Facts) reads it. The argument says whether packages that it
/// has are among the facts.
const FACTS: &str = r#"import json, os, platform, sys
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, ValueError, OSError):
    libc = ""
facts = {
    "python": "%d.%d.%d" % sys.version_info[:3],
    "machine": platform.machine(),
    "glibc": libc.replace("glibc ", "") or "of another kind",
}
if sys.argv[1] == "yes":
    import re
    from importlib.metadata import distributions
    found = {(re.sub("[-_.]+", "-", d.metadata["Name"]).lower(), d.version) for d in distributions()}
    facts["installed"] = sorted(found)
json.dump(facts, sys.stdout)
"#;

/// Says which indexes of a requirements file refuse whoever asks: to uv, they are indexes that lack the package. The argument
/// is the file; logins are not repeated.
const REFUSED: &str = r#"import base64, netrc, os, re, sys
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen
option = re.compile(r"(?:-i|-f|--index-url|--extra-index-url|--find-links)[ =]+(\S+)")
def known(host):
    try:
        found = netrc.netrc(os.environ["NETRC"]).authenticators(host)
        return (found[0] or "") + ":" + (found[2] or "")
    except Exception:
        return None
for found in filter(None, map(option.match, open(sys.argv[1]))):
    url = re.sub(r"\$\{(\w+)\}", lambda name: os.environ.get(name[1], ""), found[1])
    try:
        parts = urlsplit(url)
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/") + "/"
        request = Request(plain)
        login = known(parts.hostname)
        if parts.username is not None:
            login = unquote(parts.username) + ":" + unquote(parts.password or "")
        if login is not None:
            header = base64.b64encode(login.encode()).decode()
            request.add_unredirected_header("Authorization", "Basic " + header)
        urlopen(request, timeout=10)
    except HTTPError as error:
        if error.code in (401, 403):
            who = "wants a login" if login is None else "refuses the login"
            print(f"error: {plain} {who} ({error.code} {error.reason})", file=sys.stderr)
    except Exception:
        pass
"#;

/// The arguments are the interpreter, the program of the facts and its argument, then options of uv.
const SCRIPT: &str = r#"python="$(command -v "$1")" || {
  echo "error: there is no $1 in the base image" >&2
  exit 1
}
"$python" -c "$2" "$3" > /run/cog-python/lock/facts.json
shift 3
cd /run/cog-python/lock
/run/cog-python/bin/uv pip compile --quiet --python "$python" --format pylock.toml --output-file pylock.toml --index-strategy unsafe-best-match "$@" || {
  code=$?
  "$python" /run/cog-python/requirements/refused.py /run/cog-python/requirements/requirements.txt
  exit $code
}"#;

/// Makes a lock: a state with [`LOCK_FILE`] and [`FACTS_FILE`].
///
/// The order of indexes does not matter, as with pip: the best release of all wins. Downloads are kept in a cache mount.
#[track_caller]
pub fn lock(
    ground: &State,
    interpreter: &Interpreter,
    packages: &LockPackages,
    uv: &Program,
    options: &StepOptions,
) -> State {
    let lines = |lines: &[String]| lines.join("\n") + "\n";
    let told = dialect(&packages.requirements);
    let mut files = file::mkfile("/requirements.txt", 0o644, lines(&told.lines)).mkfile(
        "/refused.py",
        0o644,
        REFUSED,
    );
    let required = format!("{REQUIREMENTS_FOLDER}/requirements.txt");
    let constrained = format!("{REQUIREMENTS_FOLDER}/constraints.txt");
    let mut command: Vec<&str> = vec![
        "/bin/sh",
        "-ec",
        SCRIPT,
        "lock",
        &interpreter.command,
        FACTS,
        if packages.site_packages { "yes" } else { "no" },
    ];
    command.extend(told.options.iter().map(String::as_str));
    if !packages.constraints.is_empty() {
        files = files.mkfile(
            "/constraints.txt",
            0o644,
            lines(&dialect(&packages.constraints).lines),
        );
        command.extend(["--constraints", &constrained]);
    }
    command.push(&required);
    let files = scratch().file(files.name("requirements"));
    let mut exec = args(command)
        .env("UV_NO_CONFIG", "1")
        .env("UV_PYTHON_DOWNLOADS", "never")
        .env("UV_CACHE_DIR", "/root/.cache/uv")
        .mount(bind(REQUIREMENTS_FOLDER, files).readonly())
        .mount(cache("/root/.cache/uv", "cog-python-uv"))
        .mount(bind(LOCK_FOLDER, scratch()))
        .name(format!("lock: {}", summary(&packages.requirements)));
    if packages.needs_agent() {
        exec = StepOptions::over_ssh(exec);
    }
    for (name, value) in &packages.environment {
        exec = exec.env(name.as_str(), value.as_str());
        // What pip reads from its own variables, uv has other names for.
        let name = match name.as_str() {
            "PIP_INDEX_URL" => "UV_DEFAULT_INDEX",
            "PIP_EXTRA_INDEX_URL" => "UV_INDEX",
            "PIP_FIND_LINKS" => "UV_FIND_LINKS",
            _ => continue,
        };
        exec = exec.env(name, value.as_str());
    }
    for name in &packages.secrets {
        exec = exec.mount(secret(name.as_str()).as_env(name.as_str()));
    }
    if !packages.local.is_empty() {
        // Not read-only: asking a folder for its metadata writes next to it. What is written is dropped.
        exec = exec.mount(
            bind(
                LOCAL_FOLDER,
                writable_project(options.project(), &packages.local),
            )
            .no_output(),
        );
    }
    exec = uv.lend(exec, UV);
    if let Some(tree) = &interpreter.tree {
        exec = tree.lend(exec);
    }
    ground.exec(options.indexed(exec)).get_mount(LOCK_FOLDER)
}

/// The first requirements, for people who watch a build.
fn summary(lines: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut packages = lines.iter().filter(|line| !line.starts_with('-'));
    let names: Vec<&str> = packages
        .by_ref()
        .take(SHOWN)
        .map(|line| line.split(" --hash").next().unwrap_or(line))
        .collect();
    match packages.count() {
        0 => names.join(" "),
        more => format!("{} and {more} more", names.join(" ")),
    }
}
