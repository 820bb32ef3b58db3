//! The `llb` tool against the engines of the testbed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(
    clippy::disallowed_methods,
    reason = "files, environment and clock are what the tool is about"
)]

#[path = "client/testbed.rs"]
#[expect(dead_code, reason = "shared with the tests of the client")]
mod testbed;

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use testbed::{Testbed, unique};

/// The tool, for one engine.
fn llb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llb"));
    command
        .args(arguments)
        .env(
            "BUILDKIT_HOST",
            Testbed::find().address("containerd").to_string(),
        )
        .env_remove("BUILDKIT_PROGRESS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = llb(arguments).spawn().unwrap();
    // A tool that stops at a mistake reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A graph that runs a script in Debian, without a network.
fn script(script: &str) -> String {
    format!(
        "platform linux/amd64\n\
         %debian = source \"docker-image://docker.io/library/debian:bookworm-slim\"\n\
         %step = exec \"/bin/sh\" \"-c\" {script:?} cwd=/ network=none name=\"the step\" {{\n\
         \x20 env PATH=\"/usr/sbin:/usr/bin:/sbin:/bin\"\n\
         \x20 / = %debian -> out0\n\
         }}\n\
         return %step\n"
    )
}

/// Reads from a running tool until it has said something.
fn read_until(child: &mut Child, part: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    let stderr = child.stderr.as_mut().unwrap();
    while !text(&said).contains(part) {
        assert!(stderr.read(&mut byte).unwrap() == 1, "{}", text(&said));
        said.extend(byte);
    }
    text(&said)
}

#[test]
fn a_graph_is_built_from_its_text_with_what_it_needs() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    fs::create_dir(at("in")).unwrap();
    fs::write(at("in/file"), "content").unwrap();
    let graph = format!(
        "%in = local \"context\"\n\
         %out = file {{\n  copy %in \"/file\" => \"/{}\"\n}}\n\
         return %out\n",
        unique()
    );
    fs::write(at("graph.llb"), graph).unwrap();
    let built = run(
        &[
            "solve",
            &at("graph.llb"),
            "--local",
            &format!("context={}", at("in")),
            "--output",
            &format!("type=local,dest={}", at("out")),
            "--output",
            &format!("type=oci,dest={}", at("image.tar")),
            "--metadata-file",
            &at("metadata.json"),
            "--progress",
            "rawjson",
        ],
        "",
    );
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert!(built.stdout.is_empty());
    let file = fs::read_dir(at("out")).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "content");
    let metadata = fs::read(at("metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert!(metadata["containerimage.digest"].is_string(), "{metadata}");
    for line in text(&built.stderr).lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event.as_object().unwrap().len(), 1, "{event}");
    }
}

#[test]
fn an_archive_goes_to_standard_output_and_a_secret_nowhere() {
    let script = script(&format!(
        "cat /run/secrets/token | wc -c > /count; : {}",
        unique()
    ));
    let script = script.replace(
        "-> out0\n",
        "-> out0\n  /run/secrets/token = secret \"token\"\n",
    );
    let built = Command::new("sh")
        .arg("-c")
        .arg("exec \"$0\" \"$@\" --output type=tar,dest=- 2>&1")
        .arg(env!("CARGO_BIN_EXE_llb"))
        .args([
            "solve",
            "--progress",
            "quiet",
            "--secret",
            "id=token,env=TOKEN",
        ])
        .env(
            "BUILDKIT_HOST",
            Testbed::find().address("containerd").to_string(),
        )
        .env("TOKEN", "hunter2-hunter2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut built = built.unwrap();
    built
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let built = built.wait_with_output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stdout));
    let mut archive = tar::Archive::new(&*built.stdout);
    let mut entries = archive.entries().unwrap();
    let count = entries.find(|entry| entry.as_ref().unwrap().path().unwrap().ends_with("count"));
    let mut counted = String::new();
    count
        .unwrap()
        .unwrap()
        .read_to_string(&mut counted)
        .unwrap();
    assert_eq!(counted, "15\n");
    let secret = b"hunter2-hunter2";
    assert!(
        !built
            .stdout
            .windows(secret.len())
            .any(|part| part == secret)
    );
}

#[test]
fn a_failed_step_is_told_once_with_all_that_helps() {
    let script = script(&format!("echo before >&2; nosuchcommand # {}", unique()));
    let failed = run(&["solve", "--progress", "quiet"], &script);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    let said = said.split(" # ").collect::<Vec<_>>().join("\n# ");
    let said: Vec<_> = said.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        said,
        [
            "error: build failed: step `the step` exited with code 127 (the command was not found)",
            "command: /bin/sh -c 'echo before >&2; nosuchcommand",
            "last output:",
            "  before",
            "  /bin/sh: 1: nosuchcommand: not found",
        ]
    );
}

#[test]
fn a_shell_opens_in_a_failed_step() {
    let home = tempfile::tempdir().unwrap();
    let graph = home.path().join("graph.llb");
    let id = unique();
    let failing = script(&format!("cd /srv; echo {id} > left; WHERE=x; exit 7"));
    fs::write(&graph, failing.replace("cwd=/", "cwd=/srv")).unwrap();
    let graph = graph.display().to_string();
    let shell = ["solve", &graph, "--on-error=shell", "--progress=plain"];
    // Parts of the answers are not in the question, so that only a shell can have said them.
    let typed = "echo \"$(cat left):$(pwd):$((40 + 2))\"; echo \"to$(echo err)\" >&2; exit 3\n";
    for engine in ["containerd", "graphdriver"] {
        let mut child = llb(&shell)
            .env("BUILDKIT_HOST", Testbed::find().address(engine).to_string())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(typed.as_bytes())
            .unwrap();
        let failed = child.wait_with_output().unwrap();
        let (stdout, stderr) = (text(&failed.stdout), text(&failed.stderr));
        assert_eq!(failed.status.code(), Some(1), "{engine}: {stderr}");
        assert_eq!(stdout, format!("{id}:/srv:42\n"), "{engine}: {stderr}");
        assert!(stderr.contains("\ntoerr\n"), "{engine}: {stderr}");
        let announced = stderr.find("\n`the step` exited with code 7\nThis is a shell in the step");
        let told = stderr.find("error: build failed: step `the step` exited with code 7");
        assert!(
            announced.is_some() && announced < told,
            "{engine}: {stderr}"
        );
    }
    // The end of the input is the end of the shell.
    let failed = run(&shell, "");
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stdout.is_empty());

    let refused = run(&["solve", "-", "--on-error=shell"], &script("exit 1"));
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("hint: give the graph as a file"), "{told}");
}

#[test]
fn a_shell_in_a_step_has_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let graph = home.path().join("graph.llb");
    fs::write(
        &graph,
        script(&format!("echo said; exit 7; : {}", unique())),
    )
    .unwrap();
    let tool = llb(&[]);
    let command = format!(
        "stty rows 41 columns 97; {} solve {} --on-error=shell; echo code $?; stty -a",
        tool.get_program().display(),
        graph.display()
    );
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
        .envs(
            tool.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let mut output = terminal.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut read_until = |part: &str| {
        let mut byte = [0];
        while !text(&said).contains(part) {
            assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", text(&said));
            said.extend(byte);
        }
        text(&said)
    };
    let before = read_until("# ");
    // What the step said stands above, in the rows of the terminal.
    assert!(
        before.contains("│ said") && before.contains("This is a shell"),
        "{before}"
    );
    let mut typed = terminal.stdin.take().unwrap();
    typed.write_all(b"echo $(stty size):$((40 + 2))\n").unwrap();
    read_until("41 97:42");
    // The key that stops programs stops one in the step.
    typed
        .write_all(b"echo wait-$((1 + 1)); sleep 600\n")
        .unwrap();
    read_until("wait-2");
    typed.write_all(b"\x03").unwrap();
    typed.write_all(b"echo $?-after; exit\n").unwrap();
    read_until("130-after");
    let after = read_until("code 1");
    assert!(after.contains("exited with code 7"), "{after}");
    // The terminal is as it was.
    read_until(" icanon ");
    drop(typed);
    assert!(terminal.wait().unwrap().success());
}

#[test]
fn merges_are_checked_when_that_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let graph = home.path().join("graph.llb").display().to_string();
    let id = unique();
    let fork = |name: &str, path: &str, text: &str| {
        format!(
            "%{name} = file {{\n  on %base\n  mkfile \"{path}\" 0644 \"{text}\"\n}}\n%d{name} = diff %base -> %{name}\n"
        )
    };
    let text_of_graph = format!(
        "platform linux/amd64\n%base = file {{\n  mkfile \"/base\" 0644 \"{id}\"\n}}\n{}{}{}\
         %all = merge %base, %da, %db, %dc name=\"all of it\"\nreturn %all\n",
        fork("a", "/same", "1"),
        fork("b", "/other", "2"),
        fork("c", "/same", "3"),
    );
    fs::write(&graph, text_of_graph).unwrap();
    let checked = run(&["solve", &graph, "--check-merges", "--progress=plain"], "");
    let said = text(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains("merge `all of it`: /same: fork 3 covers what fork 1 wrote"),
        "{said}"
    );
    assert!(!said.contains("/other: "), "{said}");
    let unchecked = run(&["solve", &graph, "--progress=plain"], "");
    assert!(!text(&unchecked.stderr).contains("/same: "), "{said}");

    let socket = Testbed::find().address("graphdriver").to_string();
    let refused = llb(&["solve", &graph, "--check-merges"])
        .env("BUILDKIT_HOST", socket)
        .output()
        .unwrap();
    let said = text(&refused.stderr);
    assert!(said.contains("error: this daemon has no diffs"), "{said}");
}

#[test]
fn a_shell_opens_in_the_failed_step_of_a_dockerfile() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().display().to_string();
    let file = format!(
        "FROM debian:bookworm-slim AS base\nRUN echo {0} > /kept\n\
         FROM debian:bookworm-slim\nWORKDIR /srv\nENV WORD=inside\n\
         RUN --network=none --mount=from=base,target=/base echo {0} > left && false\n",
        unique()
    );
    fs::write(home.path().join("Dockerfile"), file).unwrap();
    let typed = "cmp left /base/kept && echo \"$WORD-$((40 + 2))\"\n";
    let failed = run(
        &[
            "solve",
            "--frontend=dockerfile.v0",
            "--opt=force-network-mode=none",
            &format!("--local=context={directory}"),
            &format!("--local=dockerfile={directory}"),
            &format!("--output=type=local,dest={directory}/out"),
            "--on-error=shell",
        ],
        typed,
    );
    let stderr = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    assert_eq!(text(&failed.stdout), "inside-42\n", "{stderr}");
    assert!(stderr.contains("Dockerfile:6"), "{stderr}");
    assert!(!home.path().join("out").exists());
}

#[test]
fn an_interrupt_stops_the_build_on_the_daemon() {
    let mut child = llb(&["solve", "--progress", "plain"]).spawn().unwrap();
    let script = script(&format!("echo begun; sleep 600; : {}", unique()));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    read_until(&mut child, " begun\n");
    let start = Instant::now();
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let said = text(&ended.stderr);
    assert!(said.contains("CANCELED"), "{said}");
    assert!(
        said.ends_with("error: the build was canceled, and the daemon has stopped it\n"),
        "{said}"
    );
    assert!(start.elapsed() < Duration::from_secs(120));
}

#[test]
fn who_does_not_read_progress_does_not_stall_the_build() {
    let noise = script(&format!(
        "head -c 3000000 /dev/zero | tr '\\0' '\\n'; : {}",
        unique()
    ));
    for (progress, closed) in [("plain", false), ("rawjson", false), ("plain", true)] {
        let home = tempfile::tempdir().unwrap();
        let metadata = home.path().join("metadata.json").display().to_string();
        let arguments = [
            "solve",
            "--no-cache",
            "--progress",
            progress,
            "--metadata-file",
            &metadata,
        ];
        let mut child = llb(&arguments).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(noise.as_bytes())
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        if closed {
            drop(stderr);
        }
        let start = Instant::now();
        let status = child.wait().unwrap();
        assert!(status.success(), "{progress} {closed}: {status}");
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_daemon_tells_what_it_is_and_keeps() {
    let info = text(&run(&["info"], "").stdout);
    assert!(info.contains("\nengine: Docker, API 1."), "{info}");
    assert!(info.contains("\nmerge ops: yes\n"), "{info}");
    let workers = text(&run(&["workers"], "").stdout);
    assert!(workers.contains("platforms: linux/"), "{workers}");
    let usage = text(&run(&["du"], "").stdout);
    assert!(
        usage.lines().last().unwrap().starts_with("total: "),
        "{usage}"
    );
    let nothing = run(&["prune", "--filter", "id==no-such-record"], "");
    assert_eq!(text(&nothing.stdout), "removed: 0 B in 0 records\n");
}

#[test]
fn mistakes_on_the_command_line_are_told_without_a_daemon() {
    for (arguments, part) in [
        (&["--output", "type=locl,dest=x"][..], "unknown type `locl`"),
        (&["--output", "type=local"], "lacks `dest=`"),
        (&["--output", "dest=x"], "lacks `type=`"),
        (&["--secret", "id=x"], "comes from nowhere"),
        (&["--local", "context"], "expected `name=value`"),
        (&["--allow", "everything"], "expected one of: network.host"),
        (&["--import-cache", "ref=x"], "lacks `type=`"),
        (&["--opt", "a=b"], "name one with --frontend"),
    ] {
        let mut command = llb(&["solve", "-"]);
        command
            .args(arguments)
            .env("BUILDKIT_HOST", "unix:///nowhere");
        let mut child = command.spawn().unwrap();
        drop(child.stdin.take().unwrap().write_all(b"return scratch\n"));
        let ended = child.wait_with_output().unwrap();
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

/// A registry that wants a token, gives it for the right login, and then refuses to take anything.
fn refusing_registry(login: &'static str) -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead as _, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (sender, mut stream) = (sender.clone(), stream.unwrap());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut first, mut authorization) = (String::new(), String::new());
                if reader.read_line(&mut first).is_err() {
                    // TLS, which daemons try first; they go on without it when they read this.
                    drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
                    return;
                }
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let lower = line.to_lowercase();
                    if lower.starts_with("authorization:") {
                        line.trim().clone_into(&mut authorization);
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let challenge = format!(
                    "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"test\"\r\n"
                );
                let denied = r#"{"errors":[{"code":"DENIED","message":"quota is used up"}]}"#;
                let (status, header, body) = if first.contains(" /token") {
                    if authorization.ends_with(login) {
                        ("200 OK", "", r#"{"token":"the-token"}"#)
                    } else {
                        ("401 Unauthorized", "", "{}")
                    }
                } else if authorization.ends_with("Bearer the-token") {
                    ("403 Forbidden", "", denied)
                } else {
                    ("401 Unauthorized", challenge.as_str(), "{}")
                };
                sender
                    .send(format!("{} {authorization}", first.trim()))
                    .ok();
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{header}Content-Type: application/json\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            });
        }
    });
    (port, requests)
}

#[test]
fn a_registry_gets_the_login_of_a_helper_and_its_refusal_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    // `me:hunter2-hunter2` in base64.
    let (port, requests) = refusing_registry("Basic bWU6aHVudGVyMi1odW50ZXIy");
    let home = tempfile::tempdir().unwrap();
    let helper = home.path().join("docker-credential-fake");
    let answer = r#"{"Username":"me","Secret":"hunter2-hunter2"}"#;
    fs::write(
        &helper,
        format!("#!/bin/sh\ncat > /dev/null\necho '{answer}'\n"),
    )
    .unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(r#"{{"credHelpers":{{"127.0.0.1:{port}":"fake"}}}}"#);
    fs::write(home.path().join("config.json"), config).unwrap();
    let graph = format!(
        "%a = file {{\n  mkfile \"/id\" 0644 \"{}\"\n}}\nreturn %a\n",
        unique()
    );
    let path = format!("{}:/usr/bin:/bin", home.path().display());
    let output = format!("type=image,name=127.0.0.1:{port}/me/model,push=true");
    let mut child = llb(&["solve", "--output", &output, "--progress", "plain"])
        .env("PATH", path)
        .env("DOCKER_CONFIG", home.path())
        .spawn()
        .unwrap();
    drop(child.stdin.take().unwrap().write_all(graph.as_bytes()));
    let start = Instant::now();
    let ended = child.wait_with_output().unwrap();
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("403 Forbidden") || said.contains("quota is used up"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    assert!(
        start.elapsed() < Duration::from_secs(300),
        "{:?}",
        start.elapsed()
    );
    let requests: Vec<_> = requests.try_iter().collect();
    assert!(
        requests
            .iter()
            .any(|request| request.contains("Bearer the-token")),
        "{requests:#?}"
    );
}
