//! Differences between small trees, applied to a third one. What needs another user than the one of the test is tried on
//! real engines (`llb/tests/merge_cases`).

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Three trees that begin the same.
struct Trees {
    home: TempDir,
}

impl Trees {
    fn new(make: impl Fn(&Path)) -> Self {
        let trees = Self {
            home: tempfile::tempdir().unwrap(),
        };
        for name in ["lower", "upper", "target"] {
            fs::create_dir(trees.at(name)).unwrap();
            make(&trees.at(name));
        }
        trees
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn apply(&self) {
        let output = run(&["apply", "target", "lower", "upper"], self.home.path());
        assert!(output.status.success(), "{}", error(&output));
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at("target").join(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.at("target").join(path).symlink_metadata().is_ok()
    }
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llb-helper"));
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes a file and gives it a time.
fn write(path: PathBuf, content: &str, time: Duration) {
    fs::write(&path, content).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + time).unwrap();
}

const WHOLE: Duration = Duration::from_secs(981_173_106);
const FRACTION: Duration = Duration::new(981_173_106, 123_456_789);

#[test]
fn files_come_go_and_change() {
    let trees = Trees::new(|root| {
        fs::create_dir(root.join("d")).unwrap();
        for name in ["d/gone", "d/changed", "d/same"] {
            write(root.join(name), name, WHOLE);
        }
    });
    fs::remove_file(trees.at("upper/d/gone")).unwrap();
    write(trees.at("upper/d/changed"), "new", FRACTION);
    write(trees.at("upper/added"), "added", WHOLE);
    // What others did to the target stays, where the difference says nothing of it.
    write(trees.at("target/d/same"), "others", WHOLE);
    write(trees.at("target/d/theirs"), "theirs", WHOLE);
    trees.apply();
    assert!(!trees.has("d/gone"));
    assert_eq!(trees.read("d/changed"), "new");
    assert_eq!(trees.read("added"), "added");
    assert_eq!(trees.read("d/same"), "others");
    assert_eq!(trees.read("d/theirs"), "theirs");
    let changed = fs::metadata(trees.at("target/d/changed")).unwrap();
    assert_eq!(
        (changed.mtime(), changed.mtime_nsec()),
        (981_173_106, 123_456_789)
    );
}

#[test]
fn bytes_decide_where_times_may_be_truncated() {
    let trees = Trees::new(|root| {
        write(root.join("whole"), "one", WHOLE);
        write(root.join("fraction"), "one", FRACTION);
    });
    write(trees.at("upper/whole"), "two", WHOLE);
    write(trees.at("upper/fraction"), "two", FRACTION);
    trees.apply();
    assert_eq!(trees.read("whole"), "two");
    // No engine sees it.
    assert_eq!(trees.read("fraction"), "one");
}

#[test]
fn a_change_brings_the_directories_above_it_along() {
    let mode = |path: &str, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for deletes in [false, true] {
        let trees = Trees::new(|root| {
            fs::create_dir_all(root.join("a/b")).unwrap();
            write(root.join("a/b/file"), "", WHOLE);
        });
        let at = |path: &str| trees.at(path).to_str().unwrap().to_owned();
        mode(&at("target/a"), 0o700);
        fs::remove_dir_all(trees.at("target/a/b")).unwrap();
        if deletes {
            fs::remove_file(trees.at("upper/a/b/file")).unwrap();
        } else {
            write(trees.at("upper/a/b/new"), "", WHOLE);
        }
        mode(&at("upper/a/b"), 0o711);
        mode(&at("lower/a/b"), 0o711);
        trees.apply();
        let mode =
            |path: &str| fs::metadata(trees.at("target").join(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("a"), mode("a/b")), (0o755, 0o711));
        assert_eq!(trees.has("a/b/new"), !deletes);
    }
}

#[test]
fn kinds_change_and_links_stay_links() {
    let trees = Trees::new(|root| {
        fs::create_dir(root.join("directory")).unwrap();
        write(root.join("directory/in"), "", WHOLE);
        write(root.join("file"), "", WHOLE);
        symlink("directory", root.join("link")).unwrap();
    });
    fs::remove_dir_all(trees.at("upper/directory")).unwrap();
    write(trees.at("upper/directory"), "now a file", WHOLE);
    fs::remove_file(trees.at("upper/file")).unwrap();
    fs::create_dir(trees.at("upper/file")).unwrap();
    write(trees.at("upper/file/in"), "in", WHOLE);
    fs::remove_file(trees.at("upper/link")).unwrap();
    symlink("file", trees.at("upper/link")).unwrap();
    write(trees.at("upper/one"), "pair", WHOLE);
    fs::hard_link(trees.at("upper/one"), trees.at("upper/two")).unwrap();
    trees.apply();
    assert_eq!(trees.read("directory"), "now a file");
    assert_eq!(trees.read("file/in"), "in");
    assert_eq!(
        fs::read_link(trees.at("target/link")).unwrap(),
        Path::new("file")
    );
    let inode = |path: &str| fs::metadata(trees.at("target").join(path)).unwrap().ino();
    assert_eq!(inode("one"), inode("two"));
}

#[test]
fn a_link_of_the_target_is_replaced_and_not_followed() {
    let trees = Trees::new(|root| fs::create_dir(root.join("d")).unwrap());
    fs::create_dir(trees.at("outside")).unwrap();
    fs::remove_dir(trees.at("target/d")).unwrap();
    symlink(trees.at("outside"), trees.at("target/d")).unwrap();
    write(trees.at("upper/d/new"), "new", WHOLE);
    trees.apply();
    assert_eq!(trees.read("d/new"), "new");
    assert!(fs::read_dir(trees.at("outside")).unwrap().next().is_none());
}

#[test]
fn pairs_are_applied_in_turn_and_nothing_is_a_tree() {
    let trees = Trees::new(|_| {});
    write(trees.at("upper/made"), "made", WHOLE);
    let turns = ["apply", "target", "-", "upper", "upper", "-"];
    let output = run(&turns, trees.home.path());
    assert!(output.status.success(), "{}", error(&output));
    assert!(!trees.has("made"));
}

#[test]
fn mistakes_say_what_is_expected() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&[][..], "expected a subcommand: llb-helper apply"),
        (
            &["apply"],
            "no target is given; expected: llb-helper apply TARGET LOWER UPPER",
        ),
        (&["apply", "t", "l"], "trees come in pairs: before, after"),
        (
            &["apply", ".", "-", "missing"],
            "cannot apply missing: not a directory",
        ),
    ] {
        let output = run(arguments, home.path());
        assert!(!output.status.success());
        assert!(error(&output).contains(part), "{}", error(&output));
    }
}
