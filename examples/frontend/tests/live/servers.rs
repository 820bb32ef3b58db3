//! Servers that contexts come from.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Serves files over HTTP as long as the test runs; gives where.
pub(crate) fn http(files: BTreeMap<&'static str, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever goes away in mid-answer wants no more.
            drop(answer(&stream.unwrap(), &files));
        }
    });
    format!("http://{address}")
}

fn answer(stream: &TcpStream, files: &BTreeMap<&str, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (state, body) = match files.get(path.trim_start_matches('/')) {
        Some(body) => ("200 OK", &body[..]),
        None => ("404 Not Found", &b""[..]),
    };
    let mut stream = stream;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {state}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    // The head of an answer is all that some ask for.
    if request.starts_with("GET ") {
        stream.write_all(body)?;
    }
    Ok(())
}

/// A tar archive of files.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

/// A Git repository that is served as long as this lives.
pub(crate) struct Repository {
    server: Child,
    pub(crate) url: String,
}

impl Repository {
    /// A repository with files in its branch `main`.
    pub(crate) fn serve(home: &Path, files: &[(&str, &str)]) -> Self {
        let tree = home.join("work");
        for (path, text) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(&tree, &["init", "--quiet", "--initial-branch=main"]);
        git(&tree, &["add", "."]);
        git(
            &tree,
            &[
                "-c",
                "user.name=me",
                "-c",
                "user.email=me@example.com",
                "commit",
                "--quiet",
                "-m",
                "files",
            ],
        );
        git(
            home,
            &["clone", "--quiet", "--bare", "work", "served/app.git"],
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let programs = git(home, &["--exec-path"]);
        let server = Command::new(Path::new(programs.trim()).join("git-daemon"))
            .args(["--reuseaddr", "--export-all", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", home.join("served").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        let url = format!("git://127.0.0.1:{port}/app.git");
        Self { server, url }
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
