//! Build functions without a daemon.

use llb::gateway::{Build, Error, Frontend, Image, Inspection, Result, Warning};
use llb::prelude::*;
use llb::testing::{CommandResult, Double, Recording};
use llb::value::{Capability, CapabilitySet, Platform};

/// Looks for the version that a project asks for, and installs what it locks.
async fn build(cx: &mut Build) -> Result<Image> {
    let context = cx.context().await?;
    let files = cx.filesystem(&context);
    let version = if files.exists("/.python-version").await? {
        files.read_to_string("/.python-version").await?
    } else {
        cx.warn(Warning::new("no .python-version, taking 3.13"))
            .await?;
        "3.13".to_owned()
    };
    let base = cx.image(&format!("python:{}-slim", version.trim())).await?;
    let found = cx
        .run(&base, args(["python", "--version"]))
        .await?
        .check()?;
    let label = found.stdout_text()?.to_owned();
    Ok(base
        .copy(context, "/", "/src")
        .label("python", label)
        .into())
}

fn double() -> Double {
    Double::new()
        .image("python:3.13-slim", "{}")
        .image("python:3.12-slim", r#"{"config":{"Env":["A=1"]}}"#)
        .local("context", [("main.py", "print()")])
        .command(
            "python --version",
            CommandResult::success().stdout("Python 3.x\n"),
        )
}

#[tokio::test]
async fn what_is_there_decides_what_is_built() {
    let made = double().run(build).await.unwrap();
    assert_eq!(made.warnings, ["no .python-version, taking 3.13"]);
    assert!(
        made.image
            .state()
            .to_text()
            .contains("python:3.13-slim@sha256:")
    );
    assert_eq!(
        made.image.state().image_config().labels["python"],
        "Python 3.x"
    );

    let pinned = [("main.py", ""), (".python-version", "3.12\n")];
    let made = double().local("context", pinned).run(build).await.unwrap();
    assert_eq!(made.warnings, [""; 0]);
    assert!(made.image.state().to_text().contains("python:3.12-slim@"));
    assert_eq!(made.image.state().environment().get("A"), Some("1"));
    let files = made.files().walk("/").await.unwrap();
    let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["src", "src/.python-version", "src/main.py"]);
}

#[tokio::test]
async fn what_the_script_does_not_know_is_an_error_that_says_how_to_add_it() {
    let other = double().local("context", [(".python-version", "2.7")]);
    let error = other.build(build).await.unwrap_err().to_string();
    assert!(
        error.contains("python:2.7-slim") && error.contains("Double::image"),
        "{error}"
    );
    let error = Double::new().build(build).await.unwrap_err().to_string();
    assert!(
        error.contains("\"context\"") && error.contains("Double::local"),
        "{error}"
    );
    let mute = Double::new()
        .image("python:3.13-slim", "{}")
        .local("context", [("a", "")]);
    let error = mute.build(build).await.unwrap_err().to_string();
    assert!(
        error.contains("python --version") && error.contains("Double::command"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_fails_fails_as_on_a_daemon() {
    let failing = double().command("python*", CommandResult::exit(127).stderr("not found\n"));
    let error = failing.build(build).await.unwrap_err().to_string();
    assert!(
        error.contains("exit code 127") && error.contains("not found"),
        "{error}"
    );
    let step = async |cx: &mut Build| {
        let solved = cx.solve(image("debian").run(sh("make"))).await?;
        solved.evaluate().await?;
        Ok(scratch())
    };
    let double = Double::new()
        .image("debian", "{}")
        .command("make", CommandResult::exit(2));
    let error = double.build(step).await.unwrap_err();
    assert_eq!(error.exit_code(), Some(2));
}

#[tokio::test]
async fn file_ops_merges_and_commands_make_files() {
    let double = Double::new()
        .image_files(
            "debian",
            [("/etc/hosts", "localhost"), ("/usr/bin/env", "")],
        )
        .local("src", [("a/one.txt", "1"), ("a/two.log", "2"), ("b", "3")])
        .command(
            "make",
            CommandResult::success()
                .file("/out/app", "binary")
                .file("/tmp/x", ""),
        );
    let look = async |cx: &mut Build| {
        let base = image("debian");
        let built = base
            .exec(sh("make").output("/out", scratch()))
            .output("/out");
        let left = base
            .mkdir("/data", 0o700)
            .mkfile("/data/file", 0o600, "x")
            .rm("/etc/hosts");
        let right = base
            .file(
                copy(local("src"), "a/*.txt", "/texts/")
                    .allow_wildcard()
                    .create_destination(),
            )
            .file(copy(local("src").exclude(["**/*.log"]), "/", "/all").create_destination())
            .file(symlink("/texts/one.txt", "/link"));
        let all = merge([diff(&base, &left), diff(&base, &right), built]);
        let files = cx.filesystem(merge([base, all]));
        let found = files.walk("/").await?;
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            "all",
            "all/a",
            "all/a/one.txt",
            "all/b",
            "app",
            "data",
            "data/file",
            "etc",
            "link",
            "texts",
            "texts/one.txt",
            "usr",
            "usr/bin",
            "usr/bin/env",
        ];
        assert_eq!(paths, expected);
        assert_eq!(files.read_to_string("/link").await?, "1");
        assert_eq!(files.stat("/data/file").await?.mode, 0o600);
        assert_eq!(files.read_range("/app", 1..3).await?, b"in");
        assert!(
            files
                .read_file("/nothing")
                .await
                .unwrap_err()
                .is_not_found()
        );
        Ok(scratch())
    };
    double.build(look).await.unwrap();
}

#[tokio::test]
async fn options_inputs_and_capabilities_are_those_of_the_script() {
    let double = Double::new()
        .option("build-arg:A", "1")
        .option("platform", "linux/arm64")
        .input("base", scratch().mkfile("/a", 0o644, "input"))
        .capabilities(
            CapabilitySet::all().difference(CapabilitySet::new().with(Capability::MergeOp)),
        );
    let look = async |cx: &mut Build| {
        assert_eq!(cx.build_arg("A"), Some("1"));
        assert_eq!(cx.platforms(), [Platform::LINUX_ARM64]);
        assert!(!cx.capabilities().has_merge() && cx.capabilities().has_diff());
        let base = cx.input("base").await?.unwrap();
        assert_eq!(cx.filesystem(base).read_to_string("/a").await?, "input");
        Ok(scratch())
    };
    double.build(look).await.unwrap();
}

#[tokio::test]
async fn named_contexts_replace_images() {
    let double = Double::new()
        .image("me/base:2", r#"{"config":{"Env":["B=2"]}}"#)
        .local(
            "files",
            [("x.log", ""), ("y", ""), (".dockerignore", "*.log\n")],
        )
        .option("context:debian", "docker-image://me/base:2")
        .option("context:assets", "local:files");
    let look = async |cx: &mut Build| {
        let base = cx.image("debian:latest").await?;
        assert_eq!(base.environment().get("B"), Some("2"));
        let assets = cx.named_context("assets").await?.unwrap();
        let names = cx.filesystem(assets).walk("/").await?;
        let names: Vec<_> = names.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, [".dockerignore", "y"]);
        assert!(cx.named_context("other").await?.is_none());
        Ok(scratch())
    };
    double.build(look).await.unwrap();
}

#[tokio::test]
async fn a_recording_answers_the_same_questions() {
    let mut kept = None;
    let record = async |cx: &mut Build| {
        let (image, recording) = Recording::record(cx, build).await?;
        kept = Some(recording);
        Ok(image)
    };
    let first = double().build(record).await.unwrap();
    let text = kept.unwrap().to_json();
    let recording = Recording::from_json(&text).unwrap();
    assert_eq!(recording.to_json(), text);
    let again = recording.replay(build).await.unwrap();
    assert_eq!(again.state().to_text(), first.state().to_text());
    let other = async |cx: &mut Build| cx.image("node").await;
    let error = recording.replay(other).await.unwrap_err().to_string();
    assert!(error.contains("record it again"), "{error}");
    for broken in ["", "{}", r#"{"version":1,"session":""}"#] {
        assert!(Recording::from_json(broken).is_err());
    }
}

#[tokio::test]
async fn a_frontend_looks_at_a_project_without_building_it() {
    let build = async |_: &mut Build| -> Result<Image> { Err(Error::msg("it was built")) };
    let inspect = async |cx: &mut Build| {
        let context = cx.context().await?;
        let is_there = cx.filesystem(&context).exists("/.python-version").await?;
        let inspection = Inspection::new()
            .secret("token", true)
            .ssh("default", false);
        Ok(if is_there {
            inspection
        } else {
            inspection.warning("Version", Warning::new("no .python-version, taking 3.13"))
        })
    };
    let frontend = Frontend::new(build).inspect(inspect);
    let ask = async |double: Double, request: &str, name: &str| {
        let asked = double.option("requestid", request);
        let image = asked.build(async |cx: &mut Build| frontend.build(cx).await);
        let image = image.await.unwrap();
        String::from_utf8(image.metadata_value(name).unwrap().to_vec()).unwrap()
    };
    let text = ask(double(), "frontend.lint", "result.txt").await;
    assert_eq!(
        text,
        "\nWARNING: Version\nno .python-version, taking 3.13\n"
    );
    let status = ask(double(), "frontend.lint", "result.statuscode").await;
    assert_eq!(status, "1");
    let pinned = double().local("context", [(".python-version", "3.12\n")]);
    assert_eq!(ask(pinned, "frontend.lint", "result.statuscode").await, "0");
    let outline = ask(double(), "frontend.outline", "result.json").await;
    assert!(
        outline.contains("token") && outline.contains("default"),
        "{outline}"
    );
    let known = ask(double(), "frontend.subrequests.describe", "result.txt").await;
    assert!(known.contains("lint"), "{known}");
}
