//! Registries that want a login, which the builder has from Docker's own configuration.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tempfile::TempDir;

use crate::support::{ENGINES, Project, Testbed};

const LOGIN: &str = "somebody:s3cret";

/// A registry with the images of the testbed's, for those who log in.
fn private() -> SocketAddr {
    let open = Testbed::find().registry();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let open = open.clone();
            // A client that goes away has its reasons.
            thread::spawn(move || answer(&stream.ok()?, &open));
        }
    });
    address
}

/// Answers one request, and closes the connection.
fn answer(mut stream: &TcpStream, open: &str) -> Option<()> {
    const CLOSED: &str = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let mut reader = BufReader::new(stream);
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).ok()?;
    let Some((method, path)) = request(&first) else {
        // Somebody begins with TLS.
        let refusal = format!("HTTP/1.1 400 Bad Request\r\n{CLOSED}");
        return stream.write_all(refusal.as_bytes()).ok();
    };
    let (mut wanted, mut is_known) = (String::new(), false);
    for line in reader.lines() {
        let line = line.ok()?;
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                is_known = value == format!("Basic {}", BASE64_STANDARD.encode(LOGIN));
            }
            Some((name, _)) if name.eq_ignore_ascii_case("accept") => wanted += &(line + "\r\n"),
            _ => {}
        }
    }
    if !is_known {
        let refusal = format!(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"images\"\r\n{CLOSED}"
        );
        return stream.write_all(refusal.as_bytes()).ok();
    }
    let mut behind = TcpStream::connect(open).ok()?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {open}\r\n{wanted}Connection: close\r\n\r\n");
    behind.write_all(request.as_bytes()).ok()?;
    copy(&mut behind, &mut stream).ok().map(drop)
}

/// Method and path of a request.
fn request(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut parts = line.strip_suffix(" HTTP/1.1\r\n")?.split(' ');
    Some((parts.next()?, parts.next()?))
}

#[test]
fn a_private_base_image_is_had_with_the_login_of_docker() {
    for engine in ENGINES {
        let address = private();
        let base = format!("{address}/library/python:3.11-slim");
        let project = Project::new(engine);
        let run = project.run(&["build", "--base", &base]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("401 Unauthorized"), "{}", run.stderr);
        assert!(
            run.stderr.contains("hint: log in with `docker login`"),
            "{}",
            run.stderr
        );

        let image = format!("{address}/library/python:none");
        let run = project.run(&["predict", &image, "-i", "name=x", "--resolve", "remote"]);
        let told = format!("error: cannot look `{image}` up in its registry: failed to resolve");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);

        let docker = TempDir::new().unwrap();
        let login = BASE64_STANDARD.encode(LOGIN);
        let config = format!(r#"{{"auths":{{"{address}":{{"auth":"{login}"}}}}}}"#);
        fs::write(docker.path().join("config.json"), config).unwrap();
        let mut command = project.command(&["build", "--base", &base]);
        let output = command
            .env("DOCKER_CONFIG", docker.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("s3cret") && !said.contains(&login), "{said}");
        // What is read of the image that was built needs the login, too.
        let labels = project.labels(&project.tag);
        assert!(labels["run.cog.pip_freeze"].contains("humanize==4.17.0"));
    }
}
