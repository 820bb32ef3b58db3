//! Wheels as layers, on both engines of `cargo xtask testbed up`: what is installed, what is built first, what is installed
//! again, and that it is the same bytes each time.
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use cog_python::ca;

use llb::client::{Export, Solve};
use llb::{Constrain as _, MarshalOptions, State, secret, sh};

use crate::support::{ENGINES, Project, Run, solve, unique};

/// A file of an image: kind, mode, owner, and its content or where it points to.
type Entry = (u8, u32, u64, u64, Vec<u8>);

/// The environment of an image, by path. Compiled modules and what uv keeps for itself are left out.
fn environment(archive: &Path) -> BTreeMap<String, Entry> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let path = path.trim_end_matches('/').to_owned();
        let is_left_out = path.contains("__pycache__") || path == "opt/venv/.lock";
        if !path.starts_with("opt/venv") || is_left_out {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if let Some(target) = entry.link_name_bytes() {
            content = target.into_owned();
        }
        let header = entry.header();
        let kind = header.entry_type().as_byte();
        let (mode, owner) = (header.mode().unwrap() & 0o7777, header.uid().unwrap());
        files.insert(path, (kind, mode, owner, header.gid().unwrap(), content));
    }
    files
}

/// A project with these requirements and nothing that needs more.
fn project(engine: &str, requirements: &str) -> Project {
    let project = Project::new(engine);
    let write = |name: &str, text: &str| {
        fs::write(project.folder.path().join(name), text).unwrap();
    };
    write(
        "cog.yaml",
        "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n",
    );
    write("requirements.txt", requirements);
    write(
        "run.py",
        "from cog import BaseRunner\n\n\nclass Runner(BaseRunner):\n    def run(self, name: str) -> str:\n        return name\n",
    );
    project
}

/// Builds the project into an archive and reads its environment.
fn built(project: &Project, arguments: &[&str]) -> (Run, BTreeMap<String, Entry>) {
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    let run = project.run(&[&["build", "-o", &output], arguments].concat());
    let run = run.succeeded();
    let files = environment(&archive);
    fs::remove_file(&archive).unwrap();
    (run, files)
}

/// Compares two environments, and says where they differ without printing files.
#[track_caller]
fn assert_same(one: &BTreeMap<String, Entry>, other: &BTreeMap<String, Entry>) {
    let paths = one.keys().chain(other.keys());
    let mut differences: Vec<String> = paths
        .filter(|path| one.get(*path) != other.get(*path))
        .map(|path| {
            let shown = |files: &BTreeMap<String, Entry>| {
                files.get(path).map(|(kind, mode, user, group, content)| {
                    let text = String::from_utf8_lossy(&content[..content.len().min(300)]);
                    format!("{} {mode:o} {user}:{group} {text:?}", char::from(*kind))
                })
            };
            format!("{path}: {:?} / {:?}", shown(one), shown(other))
        })
        .collect();
    differences.sort();
    differences.dedup();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Runs a state's build on an engine into an archive.
fn export(project: &Project, state: &State, archive: &Path) {
    let build = Solve::state(state, &MarshalOptions::linux_amd64()).unwrap();
    solve(&project.engine, build.export(Export::tar(archive)));
}

/// Compiled and pure wheels, scripts, data files and namespace packages.
const PACKAGES: &str = "numpy==2.2.6\nPyYAML==6.0.2\nmarkdown-it-py==3.0.0\nPygments==2.19.2\nopentelemetry-api==1.38.0\nopentelemetry-semantic-conventions==0.59b0\ntqdm==4.67.1\njsonschema==4.25.1\n";

/// What uv itself makes of the same packages in one step, file by file.
#[test]
fn the_tree_is_that_of_one_uv_pip_install() {
    for engine in ENGINES {
        let project = project(engine, PACKAGES);
        let (_, files) = built(&project, &[]);
        let install = sh(format!(
            "pip install --quiet --target /uv uv==0.9.26 && \
             \"$(readlink -f \"$(command -v python3)\")\" -m venv /opt/venv && \
             printf '{}cog==0.23.1\\n' > /requirements.txt && \
             /uv/bin/uv pip install --quiet --no-config --no-cache --link-mode copy --python /opt/venv/bin/python -r /requirements.txt",
            PACKAGES.replace('\n', "\\n")
        ))
        .network(llb::Network::Host)
        .mount(secret(ca::BUNDLE_PATH).id(ca::BUNDLE_SECRET).optional());
        let install = ca::VARIABLES.iter().fold(install, |install, (name, id)| {
            install.mount(secret(*id).as_env(*name).optional())
        });
        let whole = llb::image("python:3.11-slim").run(install.name("uv in one step"));
        let archive = project.folder.path().with_extension("whole.tar");
        export(&project, &whole, &archive);
        let expected = environment(&archive);
        fs::remove_file(&archive).unwrap();
        assert!(files.len() > 1500, "{}", files.len());
        assert_same(&files, &expected);
    }
}

/// What commands change, replace and remove of wheels, large and small ones, is so in the image, and nothing else is.
#[test]
fn what_commands_do_to_wheels_is_in_the_image() {
    const PACKAGES: &str = "/opt/venv/lib/python3.11/site-packages";
    for engine in ENGINES {
        let project = project(engine, "Pygments==2.19.2\nsix==1.17.0\n");
        let (_, mut expected) = built(&project, &[]);
        let in_packages = |path: &str| format!("{PACKAGES}/{path}")[1..].to_owned();
        assert!(expected.remove(&in_packages("six.py")).is_some());
        let changed = expected.get_mut(&in_packages("pygments/console.py"));
        changed.unwrap().4 = b"changed".to_vec();
        let folder = in_packages("pygments/lexers/");
        assert!(expected.keys().any(|path| path.starts_with(&folder)));
        expected.retain(|path, _| !path.starts_with(&folder));

        let commands = [
            format!("rm {PACKAGES}/six.py && printf changed > {PACKAGES}/pygments/console.py"),
            format!("rm -r {PACKAGES}/pygments/lexers && mkdir {PACKAGES}/pygments/lexers"),
            format!("grep changed {PACKAGES}/pygments/console.py && test ! -e {PACKAGES}/six.py"),
        ];
        let commands = commands
            .map(|command| format!("    - {command}\n"))
            .concat();
        project.edit(
            "cog.yaml",
            "run: run.py:Runner\n",
            &format!("  run:\n{commands}run: run.py:Runner\n"),
        );
        let (_, files) = built(&project, &[]);
        assert_same(&files, &expected);
    }
}

/// Nothing of the second build comes from a cache.
#[test]
fn two_builds_from_nothing_give_one_image() {
    for engine in ENGINES {
        let project = project(engine, PACKAGES);
        let build = || {
            let run = project.run(&["build", "--no-cache"]).succeeded();
            assert!(run.stdout.contains("@sha256:"), "{}", run.stdout);
            (run.stdout, project.layers(&project.tag))
        };
        let (first, second) = (build(), build());
        assert_eq!(first.1, second.1, "{engine}");
        // An engine with a graph driver writes the time of the build into the configuration.
        if engine == "containerd" {
            assert_eq!(first.0, second.0);
        }
    }
}

/// A lock that is written down gives the same image, without choosing packages or looking into wheels again.
#[test]
fn a_written_lock_gives_the_same_image() {
    let project = project("containerd", "PyYAML==6.0.2\nhumanize\n");
    let packages = || project.labels(&project.tag)["run.cog.pip_freeze"].clone();
    let open = project.run(&["build"]).succeeded();
    assert!(
        open.stderr.contains("look into the wheels"),
        "{}",
        open.stderr
    );
    let chosen = packages();
    assert!(chosen.contains("PyYAML==6.0.2\n"), "{chosen}");
    project.run(&["lock"]).succeeded();
    project.edit("cog.yaml", "requirements.txt", "pylock.toml");
    // What is copied into the image is not to differ.
    fs::write(project.folder.path().join(".dockerignore"), "*\n!run.py\n").unwrap();
    let plan = project.run(&["plan"]).succeeded().stdout;
    assert!(plan.contains("wheels into /opt/venv, in"), "{plan}");
    project.runs_alone();
    let frozen = project.run(&["build"]).succeeded();
    for step in ["lock: ", "look into the wheels"] {
        assert!(!frozen.stderr.contains(step), "{}", frozen.stderr);
    }
    assert_eq!(packages(), chosen);
    assert_eq!(frozen.steps_run("wheels: "), [""; 0], "{}", open.stderr);
}

/// A lock with the digest of the base image: that is what a build takes, and no other.
#[test]
fn a_lock_has_the_digest_of_the_base_image() {
    for engine in ENGINES {
        let project = project(engine, "humanize\n");
        let written = project.run(&["lock", "--pin-images"]).succeeded();
        let lock = fs::read_to_string(project.folder.path().join("pylock.toml")).unwrap();
        let line = lock
            .lines()
            .find_map(|line| line.strip_prefix("\"python:3.11-slim\" = "));
        let digest = line
            .unwrap_or_else(|| panic!("{lock}\n{}", written.stderr))
            .trim_matches('"')
            .to_owned();
        project.edit("cog.yaml", "requirements.txt", "pylock.toml");
        let plan = project.run(&["plan"]).succeeded().stdout;
        let pinned = format!("python:3.11-slim@{digest}");
        assert!(plan.contains(&pinned), "{plan}");
        let built = project.run(&["build", "--json"]).succeeded();
        let info: serde_json::Value = serde_json::from_str(&built.stdout).unwrap();
        let base = info["base"].as_str().unwrap();
        assert!(base.ends_with(&digest), "{base} is not {pinned}");
        let by_dockerfile = project.run(&["build", "--backend", "dockerfile"]);
        by_dockerfile.succeeded();
        let none = format!("sha256:{}", "0".repeat(64));
        project.edit("pylock.toml", &digest, &none);
        let refused = project.run(&["build"]);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(&none), "{}", refused.stderr);
    }
}

/// Packages that are no wheels are built first. The C extension is there: no flags come along that drop it.
#[test]
fn archives_and_folders_are_built_to_wheels_first() {
    for engine in ENGINES {
        let project = project(
            engine,
            "--no-binary markupsafe\nmarkupsafe==3.0.3\n./pkg\ndocopt==0.6.2\n",
        );
        project.edit(
            "cog.yaml",
            "build:\n",
            "build:\n  system_packages: [gcc, libc6-dev]\n",
        );
        let pkg = project.folder.path().join("pkg");
        fs::create_dir(&pkg).unwrap();
        let setup = "[project]\nname = \"own-package\"\nversion = \"0.1\"\n[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n[tool.setuptools]\npy-modules = [\"own_package\"]\n";
        fs::write(pkg.join("pyproject.toml"), setup).unwrap();
        fs::write(pkg.join("own_package.py"), "VALUE = 1\n").unwrap();
        let (first, files) = built(&project, &[]);
        let site = "opt/venv/lib/python3.11/site-packages";
        let has = |part: &str| files.keys().any(|path| path.contains(part));
        assert!(has("/markupsafe/_speedups.cpython-311"), "{}", first.stderr);
        assert!(files.contains_key(&format!("{site}/own_package.py")));
        assert!(files.contains_key(&format!("{site}/docopt.py")));
        // A change of the folder builds the folder.
        let changed = format!("VALUE = {}\n", unique());
        fs::write(pkg.join("own_package.py"), &changed).unwrap();
        project.runs_alone();
        let (second, files) = built(&project, &[]);
        let mut steps = second.steps_run("build wheel: ");
        steps.retain(|step| step != "build wheel: own-package");
        assert_eq!(steps, [""; 0], "{}", second.stderr);
        let content = &files[&format!("{site}/own_package.py")].4;
        assert_eq!(content, changed.as_bytes(), "{}", second.stderr);
    }
}

/// Both have a package `jwt`.
#[test]
fn wheels_with_files_in_common_are_told_at_their_line() {
    for engine in ENGINES {
        let project = project(engine, "six\nPyJWT==2.10.1\njwt==1.3.1\n");
        let (run, files) = built(&project, &[]);
        let told = "have 3 files in common with other content, such as";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert!(
            run.stderr.contains("requirements.txt:3: `pyjwt`"),
            "{}",
            run.stderr
        );
        // One step installs both, in the order of their names.
        let together = |name: &String| name.contains("jwt") && name.contains("pyjwt");
        let steps = run.steps_run("wheels: ");
        assert!(steps.is_empty() || steps.iter().any(together), "{steps:?}");
        let init = &files["opt/venv/lib/python3.11/site-packages/jwt/__init__.py"].4;
        let init = String::from_utf8_lossy(init);
        assert!(!init.contains("2.10.1"), "{init}");
    }
}

/// Compiled modules hold digests of their sources, so that they are the same each time.
#[test]
fn compiled_modules_are_the_same_each_time() {
    let project = project("containerd", "humanize==4.17.0\n");
    let digest = |run: Run| run.succeeded().stdout;
    let first = digest(project.run(&["build", "--no-cache", "--precompile"]));
    let second = digest(project.run(&["build", "--no-cache", "--precompile"]));
    assert_eq!(first, second);
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    project
        .run(&["build", "--precompile", "-o", &output])
        .succeeded();
    let mut archive = tar::Archive::new(fs::File::open(&archive).unwrap());
    let mut flags = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let is_compiled = Path::new(&path).extension().is_some_and(|end| end == "pyc");
        if is_compiled && path.contains("site-packages/humanize/__pycache__/") {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            flags.push(content[4]);
            let own = b"/opt/venv/lib/python3.11/site-packages/humanize/";
            assert!(
                content.windows(own.len()).any(|window| window == own),
                "{path}"
            );
        }
    }
    fs::remove_file(project.folder.path().with_extension("tar")).unwrap();
    // PEP 552: bit 0 says that there is a digest, bit 1 that it is looked at.
    assert!(
        flags.len() > 5 && flags.iter().all(|flag| *flag == 1),
        "{flags:?}"
    );
}
