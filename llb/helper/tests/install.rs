//! Wheels, installed and refused. What is expected is what `uv pip install` (0.13.9) made of the same wheels, but for
//! its own droppings and for the times.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use llb_helper::wheel::{self, Error, ErrorKind, Installation, Layout, RecordLine, WheelName};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const EPOCH: i64 = 1_577_836_800;

struct Entry {
    path: &'static str,
    content: Vec<u8>,
    mode: u32,
}

fn entry(path: &'static str, content: impl Into<Vec<u8>>) -> Entry {
    Entry {
        path,
        content: content.into(),
        mode: 0o644,
    }
}

impl Entry {
    fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }
}

/// The bytes of a wheel `odd_pkg-1.0` with these files and a `RECORD` of them.
fn wheel(files: Vec<Entry>) -> Vec<u8> {
    let info = entry(
        "odd_pkg-1.0.dist-info/WHEEL",
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    );
    recorded(
        files.into_iter().chain([info]).collect(),
        "odd_pkg-1.0.dist-info/RECORD",
    )
}

/// The bytes of an archive of files and a `RECORD` of them.
fn recorded(mut files: Vec<Entry>, path: &'static str) -> Vec<u8> {
    let mut record = String::new();
    for file in &files {
        let line = RecordLine::of(file.path, &file.content);
        writeln!(record, "{},{},{}", line.path, line.hash, line.size).unwrap();
    }
    record.push_str(path);
    record.push_str(",,\n");
    files.push(entry(path, record));
    archive(files)
}

fn archive(files: Vec<Entry>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let options = SimpleFileOptions::default().unix_permissions(file.mode);
        zip.start_file(file.path, options).unwrap();
        zip.write_all(&file.content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn install_into(root: &Path, bytes: Vec<u8>) -> Result<(), Error> {
    let name: WheelName = "odd_pkg-1.0-py3-none-any.whl".parse().unwrap();
    let layout = Layout::new("/opt/venv", "3.12");
    let mut installation = Installation::new(root, layout, EPOCH);
    wheel::install(&mut installation, &name, Cursor::new(bytes))?;
    installation.finish().unwrap();
    Ok(())
}

/// Every path below a folder with its mode; text of files.
fn tree(root: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!(metadata.mtime(), EPOCH, "{}", path.display());
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                found.insert(name, (mode, "folder".to_owned()));
                folders.push(path);
            } else {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                found.insert(name, (mode, text));
            }
        }
    }
    found
}

fn odd() -> Vec<u8> {
    wheel(vec![
        entry("odd_pkg/__init__.py", "x=1\n"),
        entry("odd_pkg/tool.bin", "bin").mode(0o755),
        entry("odd_pkg/secret.txt", "s").mode(0o600),
        entry("odd_pkg/exec.py", "print(1)").mode(0o111),
        entry(
            "odd_pkg-1.0.data/scripts/run-odd",
            "#!python\nprint('hi')\n",
        )
        .mode(0o755),
        entry("odd_pkg-1.0.data/scripts/shell-odd", "#!/bin/sh\necho\n"),
        entry(
            "odd_pkg-1.0.data/scripts/odd",
            "#!/bin/sh\necho gives way\n",
        ),
        entry("odd_pkg-1.0.data/headers/sub/odd.h", "int x;\n"),
        entry("odd_pkg-1.0.data/data/etc/x.conf", "c").mode(0o600),
        entry("odd_pkg-1.0.data/purelib/odd_pure/__init__.py", "y=1\n"),
        entry("odd_pkg-1.0.data/platlib/odd_pkg/__init__.py", "over=1\n"),
        entry("ns/odd/mod.py", ""),
        entry(
            "odd_pkg-1.0.dist-info/entry_points.txt",
            "[console_scripts]\nodd = odd_pkg.sub:Cls.method [extra]\n[gui_scripts]\nodd-gui = odd_pkg:gui\n",
        ),
    ])
}

#[test]
fn every_kind_of_file_goes_to_its_place() {
    let root = tempfile::tempdir().unwrap();
    install_into(root.path(), odd()).unwrap();
    let tree = tree(root.path());
    let site = "opt/venv/lib/python3.12/site-packages";
    let mode_and_text = |path: &str| {
        let (mode, text) = tree
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        (*mode, text.as_str())
    };
    for (path, mode, text) in [
        ("odd_pkg/__init__.py", 0o644, "over=1\n"),
        ("odd_pkg/tool.bin", 0o755, "bin"),
        ("odd_pkg/secret.txt", 0o644, "s"),
        ("odd_pkg/exec.py", 0o755, "print(1)"),
        ("odd_pure/__init__.py", 0o644, "y=1\n"),
        ("ns/odd/mod.py", 0o644, ""),
        ("odd_pkg-1.0.dist-info/INSTALLER", 0o644, "uv"),
        ("odd_pkg-1.0.dist-info/REQUESTED", 0o644, ""),
    ] {
        assert_eq!(
            mode_and_text(&format!("{site}/{path}")),
            (mode, text),
            "{path}"
        );
    }
    for (path, mode, text) in [
        (
            "bin/run-odd",
            0o755,
            "#!/opt/venv/bin/python\nprint('hi')\n",
        ),
        ("bin/shell-odd", 0o755, "#!/bin/sh\necho\n"),
        ("etc/x.conf", 0o644, "c"),
        (
            "include/site/python3.12/odd-pkg/sub/odd.h",
            0o644,
            "int x;\n",
        ),
    ] {
        assert_eq!(
            mode_and_text(&format!("opt/venv/{path}")),
            (mode, text),
            "{path}"
        );
    }
    let (mode, launcher) = mode_and_text("opt/venv/bin/odd");
    assert_eq!(mode, 0o755);
    assert!(launcher.starts_with(
        "#!/opt/venv/bin/python\n# -*- coding: utf-8 -*-\nimport sys\nfrom odd_pkg.sub import Cls\n"
    ));
    assert!(launcher.ends_with("    sys.exit(Cls.method())\n"));
    assert!(tree.contains_key("opt/venv/bin/odd-gui"));
    assert!(!tree.keys().any(|path| path.contains(".data")));
    assert!(
        tree.values()
            .filter(|(_, text)| text == "folder")
            .all(|(mode, _)| *mode == 0o755)
    );
}

#[test]
fn the_record_lists_what_is_there_sorted() {
    let root = tempfile::tempdir().unwrap();
    install_into(root.path(), odd()).unwrap();
    let tree = tree(root.path());
    let site = "opt/venv/lib/python3.12/site-packages";
    let (_, record) = &tree[&format!("{site}/odd_pkg-1.0.dist-info/RECORD")];
    let lines: Vec<&str> = record.lines().collect();
    assert!(lines.is_sorted());
    for line in &lines {
        let record = wheel::Record::parse(line);
        let [listed] = record.lines.as_slice() else {
            panic!("{line}");
        };
        let from_site = root.path().join(site).join(&listed.path);
        let content = fs::read(&from_site).unwrap();
        if !listed.hash.is_empty() {
            assert_eq!(*listed, RecordLine::of(listed.path.as_str(), &content));
        }
    }
    let files = tree.values().filter(|(_, text)| text != "folder").count();
    assert_eq!(lines.len(), files);
}

/// PEP 610: a file beside the metadata, which the record lists.
#[test]
fn the_program_says_where_a_wheel_is_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = "odd_pkg-1.0-py3-none-any.whl";
    fs::write(folder.path().join(file), odd()).unwrap();
    let install = |origin: &str| {
        fs::create_dir_all(folder.path().join("out")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_llb-helper"))
            .args(["install", "--prefix", "/opt/venv", "--python", "3.12"])
            .args(["--root", "out", "--direct-url", origin, file])
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let json = r#"{"url":"file:///src/odd","dir_info":{}}"#;
    let output = install(&format!("{file}={json}"));
    assert!(output.status.success(), "{output:?}");
    let info = "out/opt/venv/lib/python3.12/site-packages/odd_pkg-1.0.dist-info";
    let read = |name: &str| fs::read_to_string(folder.path().join(info).join(name)).unwrap();
    assert_eq!(read("direct_url.json"), json);
    let line = RecordLine::of("odd_pkg-1.0.dist-info/direct_url.json", json.as_bytes());
    assert!(wheel::Record::parse(&read("RECORD")).lines.contains(&line));

    for wrong in [json, "other.whl={}"] {
        let output = install(wrong);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("expected the file name of a wheel"), "{said}");
    }
}

/// A library of gcc goes without its debug information, and the record knows.
#[test]
fn the_program_strips_libraries_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("odd.c"), "int odd(int number) { return number; }\n").unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-shared", "-nostdlib", "-o", "odd.so", "odd.c"]);
    assert!(gcc.current_dir(folder.path()).status().unwrap().success());
    let library = fs::read(path("odd.so")).unwrap();
    let file = "odd_pkg-1.0-py3-none-any.whl";
    let files = vec![
        entry("odd_pkg/odd.so", library.clone()).mode(0o755),
        entry("odd_pkg/text.so", "no library"),
        entry("odd_pkg-1.0.data/data/lib/odd.so.1", library.clone()),
        entry("odd_pkg-1.0.data/scripts/odd", library.clone()),
        entry("odd_pkg-1.0.data/scripts/odd.sh", "#!/bin/sh\n"),
    ];
    fs::write(path(file), wheel(files)).unwrap();
    let install = |root: &str, options: &[&str]| {
        fs::create_dir(path(root)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_llb-helper"));
        command.args(["install", "--prefix", "/opt/venv", "--python", "3.12"]);
        command.args(["--root", root, "--epoch", &EPOCH.to_string()]);
        let output = command.args(options).arg(file).current_dir(folder.path());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        tree(&path(root))
    };
    let plain = install("plain", &[]);
    let stripped = install("stripped", &["--strip"]);
    assert_eq!(install("again", &["--strip"]), stripped);
    let site = "opt/venv/lib/python3.12/site-packages";
    let info = format!("{site}/odd_pkg-1.0.dist-info");
    let own = format!("{site}/odd_pkg/odd.so");
    let shared = "opt/venv/lib/odd.so.1".to_owned();
    let program = "opt/venv/bin/odd".to_owned();
    let record = format!("{info}/RECORD");
    for (path, found) in &plain {
        let is_changed = [&own, &shared, &program, &record].contains(&path);
        assert_eq!(stripped.get(path) != Some(found), is_changed, "{path}");
    }
    assert_eq!((stripped[&own].0, stripped[&program].0), (0o755, 0o755));
    let record = fs::read_to_string(path("stripped").join(info).join("RECORD")).unwrap();
    let lines = wheel::Record::parse(&record).lines;
    for (line, there) in [
        ("odd_pkg/odd.so", own),
        ("../../odd.so.1", shared),
        ("../../../bin/odd", program),
    ] {
        let content = fs::read(path("stripped").join(there)).unwrap();
        assert!(content.len() < library.len(), "{}", content.len());
        assert!(lines.contains(&RecordLine::of(line, &content)), "{record}");
    }
}

#[test]
fn two_installations_are_the_same() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for root in [&one, &other] {
        install_into(root.path(), odd()).unwrap();
    }
    assert_eq!(tree(one.path()), tree(other.path()));
}

#[test]
fn installed_paths_are_known_without_unpacking() {
    let root = tempfile::tempdir().unwrap();
    install_into(root.path(), odd()).unwrap();
    let name: WheelName = "odd_pkg-1.0-py3-none-any.whl".parse().unwrap();
    let layout = Layout::new("/opt/venv", "3.12");
    let paths = wheel::installed_paths(&name, Cursor::new(odd()), &layout).unwrap();
    let told: Vec<String> = paths
        .into_iter()
        .map(|path| format!("opt/venv/{}", path.path))
        .collect();
    let tree = tree(root.path());
    let there: Vec<&String> = tree
        .iter()
        .filter(|(_, (_, text))| text != "folder")
        .map(|(path, _)| path)
        .collect();
    assert_eq!(told.iter().collect::<Vec<_>>(), there);
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_written() {
    let metadata = || {
        vec![
            entry("odd_pkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            entry("odd_pkg-1.0.dist-info/RECORD", ""),
        ]
    };
    let with = |file: Entry| archive(metadata().into_iter().chain([file]).collect());
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            with(entry("../escape.py", "")),
            "\"../escape.py\" leaves its folder",
        ),
        (
            with(entry("/etc/cron.d/x", "")),
            "\"/etc/cron.d/x\" is absolute",
        ),
        (with(entry("a\\..\\b", "")), "has a backslash"),
        (
            with(entry("odd_pkg-1.0.data/data/../../../x", "")),
            "leaves its folder",
        ),
        (
            with(entry("odd_pkg-1.0.data/weird/x", "")),
            "is in no folder that .data may have",
        ),
        (
            with(entry("odd_pkg-1.0.data/scripts/sub/deep", "")),
            "is in a folder below scripts",
        ),
        (
            with(entry(
                "odd_pkg-1.0.dist-info/entry_points.txt",
                "[console_scripts]\n../../x = a:b\n",
            )),
            "the script \"../../x\" is no file name",
        ),
        (
            with(entry("odd_pkg-1.0.dist-info/RECORD/x", "")),
            "is a file and the folder of",
        ),
        (
            with(entry("other-1.0.dist-info/WHEEL", "")),
            "exactly one folder",
        ),
        (
            archive(vec![entry(
                "other-1.0.dist-info/WHEEL",
                "Wheel-Version: 1.0\n",
            )]),
            "named after odd_pkg, its content after other",
        ),
        (
            archive(vec![
                entry("odd_pkg-1.0.dist-info/WHEEL", "Wheel-Version: 2.0\n"),
                entry("odd_pkg-1.0.dist-info/RECORD", ""),
            ]),
            "has version 2.0, expected 1.x",
        ),
        (
            archive(vec![entry(
                "odd_pkg-1.0.dist-info/WHEEL",
                "Wheel-Version: 1.0\n",
            )]),
            "RECORD is missing",
        ),
        (b"PK no zip".to_vec(), "not a readable zip file"),
    ];
    for (bytes, part) in cases {
        let root = tempfile::tempdir().unwrap();
        let error = install_into(root.path(), bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(
            error.starts_with("odd_pkg-1.0-py3-none-any.whl: "),
            "{error}"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{part}");
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let root = tempfile::tempdir().unwrap();
    let zeros = vec![0_u8; 20 << 20];
    let error = install_into(root.path(), wheel(vec![entry("odd_pkg/zeros", zeros)])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Bomb(_)), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mut bytes = wheel(vec![entry(
        "odd_pkg/data.txt",
        "a long enough text ".repeat(40),
    )]);
    let name = b"odd_pkg/data.txt";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    bytes[at + name.len() + 4] ^= 0xff;
    let error = install_into(root.path(), bytes).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Archive(_)), "{error}");
    assert!(error.to_string().contains("odd_pkg/data.txt"), "{error}");
}

/// Both have `tool/__init__.py`; what is the same in both is no collision.
#[test]
fn the_program_lists_distributions_and_files_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let about = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let first = vec![
        entry("tool/__init__.py", "ONE = 1\n"),
        entry("tool/same.py", ""),
        entry(
            "tool_b-2.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Tool.B\nVersion: 2.0\n",
        ),
        entry("tool_b-2.0.dist-info/WHEEL", about),
    ];
    let second = vec![
        entry("tool/__init__.py", "TWO = 2\n"),
        entry("tool/same.py", ""),
        entry(
            "tool_a-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tool-a\nVersion: 1.0\n",
        ),
        entry("tool_a-1.0.dist-info/WHEEL", about),
    ];
    let path = |name: &str| folder.path().join(name);
    let (b, a) = ("tool_b-2.0-py3-none-any.whl", "tool_a-1.0-py3-none-any.whl");
    fs::write(path(b), recorded(first, "tool_b-2.0.dist-info/RECORD")).unwrap();
    fs::write(path(a), recorded(second, "tool_a-1.0.dist-info/RECORD")).unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_llb-helper"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let options = ["--prefix", "/opt/venv", "--python", "3.12"];
    let output = run(&[&["inspect"], &options[..], &["--output", ".", b, a]].concat());
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    assert_eq!(read("packages"), "tool-a==1.0\nTool.B==2.0\n");
    let example = "lib/python3.12/site-packages/tool/__init__.py";
    assert_eq!(read("collisions"), format!("1\t{a}\t{b}\t{example}\n"));

    let output = run(&[&["inspect"], &options[..], &[b, "--output"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--output lacks its value; expected: llb-helper inspect --prefix"),
        "{said}"
    );
}
