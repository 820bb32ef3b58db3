//! Indexes that want a login, which the build is given as secrets: on both engines, from requirements and from a lock.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tempfile::TempDir;

use crate::server::{Answer, Request, Server, wheel};
use crate::sources::{SITE, project};
use crate::support::{ENGINES, Project, Run, Testbed, push, unique};

/// The one who may ask.
const USER: &str = "builder";

/// An index with one package, and who has asked it for the wheel.
struct Index {
    server: Server,
    package: String,
    /// Its password; what is special in an URL is in it.
    password: String,
    fetched: Arc<Mutex<usize>>,
    /// Where secrets are: outside of what is built.
    secrets: TempDir,
}

impl Index {
    fn start() -> Self {
        Self::of(&format!("private_{}", unique()))
    }

    fn of(package: &str) -> Self {
        let package = package.to_owned();
        let password = format!("p@ss/{}", unique());
        let (file, content) = wheel(&package, "1.0", "VALUE = 1\n");
        let digest = sha256(&content);
        let page = format!("/simple/{}/", package.replace('_', "-"));
        let expected = header(&password);
        let fetched = Arc::new(Mutex::new(0));
        let count = Arc::clone(&fetched);
        let server = Server::start(move |request: &Request| {
            if request.authorization.as_ref() != Some(&expected) {
                return Answer::unauthorized();
            }
            if request.target == page {
                return Answer::page(&format!(
                    "<a href=\"/files/{file}#sha256={digest}\">{file}</a>"
                ));
            }
            if request.target == format!("/files/{file}") {
                *count.lock().unwrap() += 1;
                return Answer::found(content.clone());
            }
            Answer::missing()
        });
        Self {
            server,
            package,
            password,
            fetched,
            secrets: TempDir::with_prefix("cog-python-secrets-").unwrap(),
        }
    }

    /// A project that needs the package.
    fn project(&self, engine: &str) -> Project {
        let address = self.server.address;
        let lines = format!(
            "--extra-index-url http://${{INDEX_USER}}:${{INDEX_TOKEN}}@{address}/simple\n{}\n",
            self.package
        );
        project(engine, "", &lines)
    }

    /// Options that give the login, with a password as URLs have it.
    fn login(&self, password: &str) -> [String; 2] {
        let escaped = password.replace('@', "%40").replace('/', "%2F");
        [
            self.secret("INDEX_USER", USER),
            self.secret("INDEX_TOKEN", &escaped),
        ]
    }

    /// The option that gives the login as a netrc.
    fn netrc(&self, password: &str) -> String {
        let host = self.server.address.ip();
        self.secret(
            "netrc",
            &format!("machine {host}\n  login {USER}\n  password {password}"),
        )
    }

    /// The option that gives a secret.
    fn secret(&self, id: &str, value: &str) -> String {
        let path = self.secrets.path().join(id);
        fs::write(&path, format!("{value}\n")).unwrap();
        format!("--secret=id={id},src={}", path.display())
    }

    fn fetched(&self) -> usize {
        *self.fetched.lock().unwrap()
    }
}

/// Nothing that somebody might read has the password, in any of its forms.
#[track_caller]
fn assert_kept(password: &str, text: &str) {
    let escaped = password.replace('@', "%40").replace('/', "%2F");
    let encoded = header(password);
    for form in [password, &escaped, encoded.trim_start_matches("Basic ")] {
        assert!(!text.contains(form), "{form} is in {text}");
    }
}

/// What a client says of itself that has a password.
fn header(password: &str) -> String {
    let encoded = BASE64_STANDARD.encode(format!("{USER}:{password}"));
    format!("Basic {encoded}")
}

fn sha256(content: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(content);
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Runs a command of the project with more options.
fn run(project: &Project, command: &[&str], options: &[String]) -> Run {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    project.run(&[command, &options].concat())
}

/// All bytes of an archive, as text.
fn text(archive: &Path) -> String {
    let mut bytes = Vec::new();
    let mut file = fs::File::open(archive).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Builds the project into a layout, whose documents and files are looked through for the password.
#[track_caller]
fn builds(index: &Index, project: &Project) -> Run {
    builds_with(index, project, &index.login(&index.password))
}

/// The same with these options.
#[track_caller]
fn builds_with(index: &Index, project: &Project, login: &[String]) -> Run {
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    let run = run(project, &["build", "-o", &output], login).succeeded();
    let module = format!("{SITE}/{}.py", index.package);
    let mut entries = tar::Archive::new(fs::File::open(&archive).unwrap());
    let mut paths = entries.entries().unwrap().map(|entry| entry.unwrap());
    assert!(paths.any(|entry| entry.path().unwrap() == Path::new(&module)));
    assert_kept(&index.password, &text(&archive));
    assert_kept(&index.password, &(run.stdout.clone() + &run.stderr));
    let record = project
        .folder
        .path()
        .join(".cog/cog-python/last-build.json");
    assert_kept(&index.password, &fs::read_to_string(record).unwrap());
    fs::remove_file(&archive).unwrap();
    run
}

/// The lock of one engine is built on the other, which has to fetch the wheel itself.
#[test]
fn packages_of_an_index_with_a_login_are_installed() {
    for (engine, other) in [(ENGINES[0], ENGINES[1]), (ENGINES[1], ENGINES[0])] {
        let index = Index::start();
        let project = index.project(engine);
        let asked = run(&project, &["build"], &[]);
        let needed = "the build needs secrets that are not given: INDEX_TOKEN, INDEX_USER";
        assert!(asked.stderr.contains(needed), "{}", asked.stderr);
        builds(&index, &project);
        assert!(index.fetched() > 0);

        let lock = run(&project, &["lock"], &index.login(&index.password));
        assert_kept(&index.password, &lock.succeeded().stderr);
        let written = fs::read_to_string(project.folder.path().join("pylock.toml")).unwrap();
        let login = format!("${{INDEX_USER}}:${{INDEX_TOKEN}}@{}", index.server.address);
        assert!(written.contains(&login), "{written}");
        assert_kept(&index.password, &written);

        let locked = index.project(other);
        locked.edit("cog.yaml", "requirements.txt", "pylock.toml");
        fs::write(locked.folder.path().join("pylock.toml"), written).unwrap();
        let asked = run(&locked, &["build"], &[]);
        assert!(asked.stderr.contains(needed), "{}", asked.stderr);
        let plan = locked.run(&["plan"]).succeeded().stdout;
        assert!(
            plan.contains("\n            secret INDEX_TOKEN\n"),
            "{plan}"
        );
        refused(
            &index,
            &locked,
            &[
                "digest mismatch",
                "look at the user and the password",
                "cog.yaml:3",
            ],
        );
        let before = index.fetched();
        let run = builds(&index, &locked);
        assert!(index.fetched() > before, "{}", run.stderr);
        assert!(!run.stderr.contains("lock: "), "{}", run.stderr);
    }
}

/// A build with another password fails, says why, and tells nobody the one that it was given. What a builder fetches by its
/// digest it compares, whatever the server says of it.
#[track_caller]
fn refused(index: &Index, project: &Project, said: &[&str]) {
    let wrong = format!("wr@ng/{}", unique());
    refuses(project, &wrong, &index.login(&wrong), said);
}

/// A build with these options, which give a wrong password.
#[track_caller]
fn refuses(project: &Project, wrong: &str, login: &[String], said: &[&str]) {
    let run = run(project, &["build"], login);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for part in said {
        assert!(run.stderr.contains(part), "no {part} in {}", run.stderr);
    }
    assert_kept(wrong, &(run.stdout + &run.stderr));
}

/// A netrc is for indexes that are written without a login, from requirements and from a lock, and by both backends.
#[test]
fn a_netrc_is_the_login_of_indexes_without_one() {
    for (engine, other) in [(ENGINES[0], ENGINES[1]), (ENGINES[1], ENGINES[0])] {
        let index = Index::start();
        let plain = |engine: &str| {
            let project = index.project(engine);
            project.edit("requirements.txt", "${INDEX_USER}:${INDEX_TOKEN}@", "");
            project
        };
        let project = plain(engine);
        let address = format!("http://{}/simple/", index.server.address);
        let wrong = format!("wr@ng/{}", unique());
        let told = format!("error: {address} refuses the login (401 Unauthorized)");
        let said = [&*told, "hint: the index refuses the login"];
        refuses(&project, &wrong, &[index.netrc(&wrong)], &said);
        assert_eq!(index.fetched(), 0);
        let login = [index.netrc(&index.password)];
        builds_with(&index, &project, &login);
        assert!(index.fetched() > 0);
        let by_dockerfile = [&login[..], &["--backend=dockerfile".to_owned()]].concat();
        builds_with(&index, &project, &by_dockerfile);

        run(&project, &["lock"], &login).succeeded();
        let written = fs::read_to_string(project.folder.path().join("pylock.toml")).unwrap();
        assert_kept(&index.password, &written);
        let locked = plain(other);
        locked.edit("cog.yaml", "requirements.txt", "pylock.toml");
        fs::write(locked.folder.path().join("pylock.toml"), written).unwrap();
        let before = index.fetched();
        builds_with(&index, &locked, &login);
        assert!(index.fetched() > before);
    }
}

/// uv's own variables of an index with a name are secrets.
#[test]
fn the_variables_of_an_index_with_a_name_are_its_login() {
    for engine in ENGINES {
        let index = Index::start();
        let project = index.project(engine);
        project.edit("cog.yaml", "requirements.txt", "pyproject.toml");
        let text = format!(
            "[project]\nname = \"model\"\nversion = \"1\"\ndependencies = [\"{}\"]\n\n[[tool.uv.index]]\nname = \"the-team\"\nurl = \"http://{}/simple\"\n",
            index.package, index.server.address
        );
        fs::write(project.folder.path().join("pyproject.toml"), text).unwrap();
        let login = [
            index.secret("UV_INDEX_THE_TEAM_USERNAME", USER),
            index.secret("UV_INDEX_THE_TEAM_PASSWORD", &index.password),
        ];
        builds_with(&index, &project, &login);
        assert!(index.fetched() > 0);
    }
}

/// That wheels bring what the base image has is known when they are chosen, in mid-build.
#[test]
fn cuda_that_is_in_the_image_twice_is_told() {
    let testbed = Testbed::find();
    for engine in ENGINES {
        let number = unique();
        let index = Index::of(&format!("nvidia_test_{number}"));
        let name = format!("nvidia/cuda:12.4.1-{number}");
        let base = push(
            &testbed,
            "containerd",
            &name,
            &llb::image("python:3.11-slim"),
        );
        let project = index.project(engine);
        let login = index.login(&index.password);
        let run = run(&project, &["build", "--base", &base], &login).succeeded();
        let told = format!("CUDA is in the image twice: `nvidia-test-{number}` (");
        assert!(run.stderr.contains(&told), "no {told} in {}", run.stderr);
        // Another base image has none.
        let run = self::run(&project, &["build"], &login).succeeded();
        assert!(!run.stderr.contains("in the image twice"), "{}", run.stderr);
    }
}

#[test]
fn a_login_that_an_index_refuses_is_told() {
    for engine in ENGINES {
        let index = Index::start();
        let address = format!("http://{}/simple/", index.server.address);
        let told = format!("error: {address} refuses the login (401 Unauthorized)");
        let said = [&*told, "hint: the index refuses the login", "cog.yaml:3"];
        refused(&index, &index.project(engine), &said);
        assert_eq!(index.fetched(), 0);
        // The same address without a login.
        let project = index.project(engine);
        project.edit("requirements.txt", "${INDEX_USER}:${INDEX_TOKEN}@", "");
        let run = project.run(&["build"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let told = format!("error: {address} wants a login (401 Unauthorized)");
        let hint =
            "hint: an index wants a login: write its address as `https://${USER}:${TOKEN}@host/";
        for part in [&*told, hint] {
            assert!(run.stderr.contains(part), "no {part} in {}", run.stderr);
        }
    }
}
