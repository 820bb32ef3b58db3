//! Local directories: what arrives, and what cannot be sent.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use llb::client::{Client, ErrorKind, Export, LocalDirectory, Solve};

use super::graph::{Graph, script};
use super::testbed::{containerd, engine, unique};

/// Sends a directory, and brings back what of it arrived.
async fn mirror(
    client: &Client,
    directory: impl Into<LocalDirectory>,
    attributes: &[(&str, &str)],
    out: &Path,
) -> Result<(), llb::client::Error> {
    let mut graph = Graph::default();
    let source = graph.source("local://context", attributes);
    let copy = graph.copy(source, "/");
    let solve = Solve::definition(graph.definition(copy, 0))
        .local("context", directory)
        .export(Export::local(out));
    client.solve(solve, &mut ()).await.map(drop)
}

fn write(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
}

/// All paths below a directory, in order.
fn paths(root: &Path) -> Vec<String> {
    fn collect(root: &Path, directory: &Path, paths: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            paths.push(
                path.strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                collect(root, &path, paths);
            }
        }
    }
    let mut paths = Vec::new();
    collect(root, root, &mut paths);
    paths.sort();
    paths
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        let (context, out) = (home.path().join("in"), home.path().join("out"));
        write(
            &context,
            &["sub/z", "sub-x", "sub.y/a", "run.sh", "Zoë ☺/ü"],
        );
        fs::write(context.join("id"), unique()).unwrap();
        fs::write(context.join("empty"), "").unwrap();
        fs::write(context.join("big"), vec![7; 3 << 20]).unwrap();
        fs::create_dir(context.join("hollow")).unwrap();
        fs::set_permissions(context.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(context.join("hollow"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::hard_link(context.join("sub/z"), context.join("twin")).unwrap();
        symlink("../nowhere", context.join("link")).unwrap();
        symlink("sub", context.join("sub-link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(context.join("socket")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(context.join("pipe"))
            .status();
        assert!(pipe.unwrap().success());

        mirror(&client, &context, &[], &out).await.unwrap();
        let mut expected = paths(&context);
        expected.retain(|path| path != "socket" && path != "pipe");
        assert_eq!(paths(&out), expected, "{name}");
        for path in expected {
            let (before, after) = (context.join(&path), out.join(&path));
            let (old, new) = (
                fs::symlink_metadata(&before).unwrap(),
                fs::symlink_metadata(&after).unwrap(),
            );
            assert_eq!(old.mode(), new.mode(), "{name}: mode of {path}");
            assert_eq!(old.mtime(), new.mtime(), "{name}: time of {path}");
            if old.is_symlink() {
                assert_eq!(
                    fs::read_link(before).unwrap(),
                    fs::read_link(after).unwrap()
                );
            } else if old.is_file() {
                assert_eq!(
                    fs::read(before).unwrap(),
                    fs::read(after).unwrap(),
                    "{path}"
                );
            }
        }
        let twins =
            [out.join("sub/z"), out.join("twin")].map(|path| fs::metadata(path).unwrap().ino());
        assert_eq!(twins[0], twins[1], "{name}: hard links stay linked");
    }
}

#[tokio::test]
async fn patterns_of_the_program_and_of_the_graph_both_apply() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let (context, out) = (home.path().join("in"), home.path().join("out"));
    write(
        &context,
        &[
            "src/a.py",
            "src/b.txt",
            "src/deep/c.py",
            "test/d.py",
            "e.py",
            "other/f",
            ".git/g.py",
        ],
    );
    fs::write(context.join("id"), unique()).unwrap();
    let directory = LocalDirectory::new(&context).exclude([".git", "src/deep"]);
    let attributes = [
        ("local.includepattern", r#"["**/*.py","other"]"#),
        ("local.excludepatterns", r#"["test"]"#),
    ];
    mirror(&client, directory, &attributes, &out).await.unwrap();
    assert_eq!(paths(&out), ["e.py", "other", "other/f", "src", "src/a.py"]);
}

#[tokio::test]
async fn followed_paths_bring_what_their_links_lead_to() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let (context, out) = (home.path().join("in"), home.path().join("out"));
    write(&context, &["releases/7/app", "releases/6/app", "other"]);
    symlink("releases/7", context.join("current")).unwrap();
    let attributes = [("local.followpaths", r#"["current/app"]"#)];
    mirror(&client, &context, &attributes, &out).await.unwrap();
    assert_eq!(
        paths(&out),
        ["current", "releases", "releases/7", "releases/7/app"]
    );
}

#[tokio::test]
async fn only_what_changed_is_sent_again() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let context = home.path().join("in");
    write(&context, &["a", "b/c"]);
    fs::write(context.join("id"), unique()).unwrap();
    for (change, expected) in [("one", "one"), ("three", "three")] {
        let out = home.path().join(format!("out-{change}"));
        fs::write(context.join("b/c"), change).unwrap();
        mirror(&client, &context, &[], &out).await.unwrap();
        assert_eq!(fs::read_to_string(out.join("b/c")).unwrap(), expected);
    }
    fs::remove_dir_all(context.join("b")).unwrap();
    let out = home.path().join("out");
    mirror(&client, &context, &[], &out).await.unwrap();
    assert_eq!(paths(&out), ["a", "id"]);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_fails_the_build() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let (context, out) = (home.path().join("in"), home.path().join("out"));
    fs::create_dir(&context).unwrap();
    let growing = context.join("growing.log");
    let file = fs::File::create(&growing).unwrap();
    file.set_len(64 << 20).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut length = 64 << 20;
            while !stop.load(Ordering::Relaxed) {
                length += 1;
                file.set_len(length).unwrap();
            }
        }
    });
    let error = mirror(&client, &context, &[], &out).await.unwrap_err();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("growing.log") && text.contains("changed"),
        "{text}"
    );
    assert!(!out.exists());

    // The daemon must not have kept a torn file under this name.
    let file = fs::File::options().write(true).open(&growing).unwrap();
    file.set_len(5).unwrap();
    mirror(&client, &context, &[], &out).await.unwrap();
    assert_eq!(fs::read(out.join("growing.log")).unwrap(), [0; 5]);
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let (context, out) = (home.path().join("in"), home.path().join("out"));
    write(&context, &["a/b"]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(context.join("a").join(name), "").unwrap();
    let error = mirror(&client, &context, &[], &out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
    assert!(error.to_string().contains("caf"), "{error}");
    let without = LocalDirectory::new(&context).exclude(["a/caf*"]);
    mirror(&client, without, &[], &out).await.unwrap();
}

#[tokio::test]
async fn directories_that_are_missing_are_told_before_the_build() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("missing");
    let error = mirror(&client, &missing, &[], home.path())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
    assert!(error.to_string().contains("`context`"), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    // The tests run as root, who may read any file; not these, which the kernel takes writes to only.
    let unreadable = LocalDirectory::new("/sys/bus/cpu").include(["drivers_probe"]);
    let error = mirror(&client, unreadable, &[], &out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
    let text = error.to_string();
    assert!(text.contains("/sys/bus/cpu/drivers_probe"), "{text}");
    assert!(text.to_lowercase().contains("permission denied"), "{text}");
    assert!(!out.exists());
}

/// A daemon whose queue of requests is full reads no more of them until it can send content, and who is stuck with a
/// request then takes no content: a receiver that asks for every file as it is named never ends with this many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_very_many_files_comes_to_its_end() {
    const FILES: usize = 12_000;
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let text = format!(
        "head -c {} /dev/zero | split --bytes=4096 --suffix-length=5 - /out/; : {}",
        FILES * 4096,
        unique()
    );
    let client = containerd().await;
    let solve = Solve::definition(script(&text)).export(Export::local(&out));
    // Seconds, if it ends at all.
    let ended = tokio::time::timeout(Duration::from_secs(600), client.solve(solve, &mut ())).await;
    ended.expect("the transfer hangs").unwrap();
    let files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap());
    let lengths = files.map(|file| file.metadata().unwrap().len());
    assert!(lengths.eq(std::iter::repeat_n(4096, FILES)));
}
