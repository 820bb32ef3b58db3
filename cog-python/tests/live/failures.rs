//! Builds that fail, and what they say.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::{ENGINES, Project, unique};

#[test]
fn a_failed_step_is_reported_at_its_line_with_its_output() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "mkdir -p /etc/hello &&",
            "echo this is wrong >&2; exit 3 #",
        );
        let run = project.run(&["build", "--progress", "quiet"]);
        assert_eq!(run.code, Some(1));
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains("exited with code 3"), "{}", run.stderr);
        assert!(run.stderr.contains("--> cog.yaml:9\n"), "{}", run.stderr);
        assert_eq!(
            run.stderr.matches("  | this is wrong\n").count(),
            1,
            "{}",
            run.stderr
        );
    }
}

/// What the daemon says of a failed step has its command in it, several times.
#[test]
fn a_failed_step_with_a_long_command_is_reported_at_its_line() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let long = format!("echo {} > /dev/null; exit 3 #", "x".repeat(20_000));
        project.edit("cog.yaml", "mkdir -p /etc/hello &&", &long);
        let run = project.run(&["build", "--progress", "quiet"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("exited with code 3"), "{}", run.stderr);
        assert!(run.stderr.contains("--> cog.yaml:9\n"), "{}", run.stderr);
    }
}

#[test]
fn a_base_with_another_python_is_refused() {
    let project = Project::new("containerd");
    project.edit("cog.yaml", "\"3.11\"", "\"3.13\"");
    let run = project.run(&["build", "--progress", "quiet", "--base", "python:3.11-slim"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("and build.python_version is 3.13"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--> cog.yaml:"), "{}", run.stderr);
}

/// Runs a build that must fail with a message and leave no output behind.
#[track_caller]
fn fails(project: &Project, arguments: &[&str], expected: &[&str]) {
    let folder = project.folder.path().join("out");
    fs::create_dir(&folder).unwrap();
    let output = "type=oci,dest=out/image.tar";
    let build = ["build", "--progress", "quiet", "--output", output];
    let run = project.run(&[&build, arguments].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    for part in expected {
        assert!(run.stderr.contains(part), "no {part:?} in\n{}", run.stderr);
    }
    let left = fs::read_dir(folder).unwrap().count();
    assert_eq!(left, 0, "something was left behind");
}

#[test]
fn packages_that_do_not_exist_are_named_at_their_line() {
    let project = Project::new("containerd");
    project.edit("requirements.txt", "humanize", "no-such-package-of-anyone");
    let expected = ["no-such-package-of-anyone", "--> cog.yaml:5\n"];
    fails(&project, &[], &expected);

    let project = Project::new("containerd");
    project.edit("cog.yaml", "fortune-mod", "no-such-package-of-anyone");
    let expected = [
        "Unable to locate package no-such-package-of-anyone",
        "--> cog.yaml:7\n",
    ];
    fails(&project, &[], &expected);
}

#[test]
fn a_base_image_that_does_not_exist_is_named() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let base = "debian:no-such-tag";
        let output = "type=tar,dest=image.tar";
        let arguments = [
            "build",
            "--progress",
            "quiet",
            "--output",
            output,
            "--base",
            base,
        ];
        let run = project.run(&arguments);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        for part in ["debian:no-such-tag", "not found"] {
            assert!(run.stderr.contains(part), "{}", run.stderr);
        }
        assert!(!project.folder.path().join("image.tar").exists());
    }
}

#[test]
fn a_builder_that_stops_in_mid_build_ends_the_build() {
    let project = Project::new("containerd");
    let begun = format!("begun-{}", unique());
    project.edit(
        "cog.yaml",
        "mkdir -p /etc/hello &&",
        &format!("echo {begun}; sleep 600;"),
    );
    // Stands between the program and the engine, and cuts the line when it is told to.
    let socket = project.folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let engine = project.engine.strip_prefix("unix://").unwrap().to_owned();
    let lines: &'static Mutex<Vec<UnixStream>> = Box::leak(Box::default());
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), UnixStream::connect(&engine).unwrap());
            for (mut from, mut to) in [(&near, &far), (&far, &near)]
                .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
            lines.lock().unwrap().extend([near, far]);
        }
    });
    let address = format!("unix://{}", socket.display());
    let output = "type=oci,dest=image.tar";
    let mut child = project.spawn(&["build", "--addr", &address, "--output", output]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut before = Vec::new();
    while !before
        .last()
        .is_some_and(|line: &String| line.ends_with(&begun))
    {
        let line = stderr.next();
        before.push(
            line.unwrap_or_else(|| panic!("the step has not begun: {before:#?}"))
                .unwrap(),
        );
    }
    for line in lines.lock().unwrap().iter() {
        line.shutdown(Shutdown::Both).unwrap_or_default();
    }
    let start = Instant::now();
    let rest: Vec<String> = stderr.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{rest:#?}");
    assert!(start.elapsed() < Duration::from_secs(60));
    let message = rest.join("\n");
    assert!(
        message.contains("connection to the daemon was lost"),
        "{message}"
    );
    assert!(message.contains("hint:"), "{message}");
    assert!(!project.folder.path().join("image.tar").exists());
}

#[test]
fn a_shell_can_be_opened_in_a_step_that_failed() {
    use std::io::Write as _;
    use std::process::Stdio;

    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "mkdir -p /etc/hello &&",
            "echo left behind > /left; exit 3 #",
        );
        let mut command = project.command(&["build", "--progress", "plain", "--on-error", "shell"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"cat /left | tr a-z A-Z\n").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stdout.contains("LEFT BEHIND") || stderr.contains("LEFT BEHIND"),
            "{engine}: {stdout}\n{stderr}"
        );
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("exited with code 3"), "{stderr}");
    }
}
