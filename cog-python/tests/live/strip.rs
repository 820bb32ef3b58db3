//! Packages without debug information, on both engines and by both backends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::process::Command;

use llb_helper::wheel::{Record, RecordLine};

use crate::server::wheel_of;
use crate::support::{ENGINES, Project, unique};

const SITE: &str = "opt/venv/lib/python3.11/site-packages";

/// A project with a wheel of this name, which has a library that gcc has put debug information into.
fn project(engine: &str, name: &str) -> Project {
    let project = Project::new(engine);
    let folder = project.folder.path();
    let source = folder.join("twice.c");
    fs::write(&source, "int twice(int number) { return number * 2; }\n").unwrap();
    let library = folder.join("twice.so");
    let mut gcc = Command::new("gcc");
    gcc.args(["-g3", "-shared", "-fPIC", "-nostdlib", "-o"]);
    assert!(gcc.args([&library, &source]).status().unwrap().success());
    let module = "import ctypes, os\ntwice = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'twice.so')).twice\n";
    let files = [
        (format!("{name}/__init__.py"), module.as_bytes().to_vec()),
        (format!("{name}/twice.so"), fs::read(&library).unwrap()),
    ];
    let (file, content) = wheel_of(name, "1.0", files);
    fs::write(folder.join(&file), content).unwrap();
    fs::write(folder.join("requirements.txt"), format!("./{file}\n")).unwrap();
    fs::write(
        folder.join("cog.yaml"),
        "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n",
    )
    .unwrap();
    fs::write(
        folder.join("run.py"),
        "from cog import BaseRunner\n\n\nclass Runner(BaseRunner):\n    def run(self) -> str:\n        return \"\"\n",
    )
    .unwrap();
    project
}

/// Builds the project; gives the files of its packages, and the absolute paths of all others.
fn built(project: &Project, arguments: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    let run = project.run(&[&["build", "-o", &output], arguments].concat());
    run.succeeded();
    let mut files = BTreeMap::new();
    let mut entries = tar::Archive::new(fs::File::open(&archive).unwrap());
    for entry in entries.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let is_file = entry.header().entry_type().is_file();
        let own = path.strip_prefix(&format!("{SITE}/")).filter(|_| is_file);
        let mut content = Vec::new();
        if own.is_some() {
            entry.read_to_end(&mut content).unwrap();
        }
        files.insert(own.map_or(format!("/{path}"), str::to_owned), content);
    }
    fs::remove_file(&archive).unwrap();
    files
}

/// What readelf says of the sections of a library.
fn sections(project: &Project, library: &[u8]) -> String {
    let path = project.folder.path().join("sections.so");
    fs::write(&path, library).unwrap();
    let mut readelf = Command::new("readelf");
    readelf.args(["--sections", "--wide"]).arg(&path);
    let output = readelf.output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    fs::remove_file(&path).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Looks at the library and at what the record says of it.
fn assert_stripped(project: &Project, name: &str, files: &BTreeMap<String, Vec<u8>>) {
    let path = format!("{name}/twice.so");
    let library = &files[&path];
    let sections = sections(project, library);
    assert!(!sections.contains(".debug_"), "{sections}");
    assert!(sections.contains(".symtab"), "{sections}");
    let record = &files[&format!("{name}-1.0.dist-info/RECORD")];
    let record = String::from_utf8_lossy(record);
    let line = RecordLine::of(path, library);
    assert!(Record::parse(&record).lines.contains(&line), "{record}");
}

/// The module of the wheel when it is compiled.
fn module_of(name: &str) -> String {
    format!("{name}/__pycache__/__init__.cpython-311.pyc")
}

/// A module that is compiled has a digest of its source, which Python does not compare (PEP 552), and its path.
fn assert_compiled(name: &str, files: &BTreeMap<String, Vec<u8>>) {
    let compiled = &files[&module_of(name)];
    assert_eq!(compiled[4..8], [1, 0, 0, 0]);
    let path = format!("/{SITE}/{name}/__init__.py");
    let mut windows = compiled.windows(path.len());
    assert!(windows.any(|part| part == path.as_bytes()), "{path}");
}

#[test]
fn debug_information_is_left_out_of_packages() {
    for engine in ENGINES {
        let name = format!("own_{}", unique());
        let project = project(engine, &name);
        let plain = built(&project, &[]);
        let library = format!("{name}/twice.so");
        let before = sections(&project, &plain[&library]);
        assert!(before.contains(".debug_info"), "{before}");

        let stripped = built(&project, &["--strip"]);
        assert_stripped(&project, &name, &stripped);
        assert!(stripped[&library].len() < plain[&library].len());
        let module = format!("{name}/__init__.py");
        assert_eq!(stripped[&module], plain[&module]);
        let script = format!("import {name}; print({name}.twice(21))");
        let run = project.run_command(&["exec", "--strip"], &["python", "-c", &script]);
        assert_eq!(run.succeeded().stdout, "42\n");
        // What is compiled is stripped, too.
        let compiled = built(&project, &["--strip", "--precompile"]);
        assert_eq!(compiled[&library], stripped[&library]);
        assert_compiled(&name, &compiled);
        assert!(!stripped.contains_key(&module_of(&name)));
    }
}

/// Where no helper is carried along, binutils strip.
#[test]
fn the_dockerfile_leaves_debug_information_out_as_well() {
    let name = format!("own_{}", unique());
    let project = project("containerd", &name);
    let files = built(
        &project,
        &["--strip", "--precompile", "--backend", "dockerfile"],
    );
    assert_stripped(&project, &name, &files);
    assert_compiled(&name, &files);
    let tools = files.keys().filter(|path| path.ends_with("/strip"));
    assert_eq!(tools.count(), 0);
}
