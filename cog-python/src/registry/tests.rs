//! A registry in the process of the test, which wants a token.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::*;

/// Answers until the test ends; gives its host.
fn registry(answers: BTreeMap<&'static str, String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let own = host.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(&stream, &own, &answers);
        }
    });
    host
}

fn answer(
    mut stream: &TcpStream,
    host: &str,
    answers: &BTreeMap<&'static str, String>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap()?;
    let target = first.split(' ').nth(1).unwrap().to_owned();
    let mut is_known = false;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        is_known |= line == "authorization: bearer let-me";
        if line.is_empty() {
            break;
        }
    }
    let (status, header, body) = if target.starts_with("/token") {
        assert_eq!(
            target,
            "/token?scope=repository%3Ateam%2Fm%3Apull&service=test"
        );
        (
            "200 OK",
            String::new(),
            json!({"token": "let-me"}).to_string(),
        )
    } else if !is_known {
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"test\"\r\n");
        ("401 Unauthorized", challenge, String::new())
    } else if let Some(path) = target.strip_prefix("/v2/team/m/blobs/") {
        // Blobs are elsewhere.
        let location = format!("Location: /elsewhere/{path}\r\n");
        ("307 Temporary Redirect", location, String::new())
    } else {
        let name = target.rsplit('/').next().unwrap();
        match answers.get(name) {
            Some(body) => ("200 OK", String::new(), body.clone()),
            None => ("404 Not Found", String::new(), String::new()),
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn image() -> BTreeMap<&'static str, String> {
    let platform = |architecture: &str, digest: &str| json!({"digest": digest, "platform": {"os": "linux", "architecture": architecture}});
    let manifest = |config: &str, sizes: [u64; 2]| json!({"config": {"digest": config}, "layers": sizes.map(|size| json!({"size": size}))});
    let statement = json!({"digest": "sha256:none", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}});
    let index = json!({"manifests": [platform("amd64", "sha256:amd"), platform("arm64", "sha256:arm"), {"digest": "sha256:index"}, statement]});
    [
        ("sha256:index", index),
        ("sha256:amd", manifest("sha256:c", [10, 20])),
        ("sha256:arm", manifest("sha256:c", [1, 2])),
        ("sha256:c", json!({"os": "linux"})),
    ]
    .map(|(name, document)| (name, document.to_string()))
    .into()
}

fn open(host: &str) -> (tokio::runtime::Runtime, Repository) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let image = ImageRef::parse(&format!("{host}/team/m:1")).unwrap();
    let access = Access::default();
    let opened = runtime.block_on(Repository::open(&image, &access));
    let repository = opened.unwrap();
    (runtime, repository)
}

#[test]
fn documents_are_read_with_a_token() {
    let (runtime, mut repository) = open(&registry(image()));
    let documents = runtime.block_on(repository.documents("sha256:index"));
    let documents = documents.unwrap();
    let paths: Vec<&str> = documents.keys().map(String::as_str).collect();
    let blobs = ["amd", "arm", "c", "index"].map(|name| format!("blobs/sha256/{name}"));
    assert_eq!(paths[..4], blobs);
    assert_eq!(paths[4], "index.json");
}

#[test]
fn the_size_is_that_of_the_platform() {
    let (runtime, mut repository) = open(&registry(image()));
    let mut size = |reference: &str, platform: &str| {
        let platform = platform.parse().unwrap();
        runtime.block_on(repository.size(reference, &platform))
    };
    assert_eq!(size("sha256:index", "linux/amd64").unwrap(), 30);
    assert_eq!(size("sha256:index", "linux/arm64").unwrap(), 3);
    assert_eq!(size("sha256:arm", "linux/arm64").unwrap(), 3);
    let error = size("sha256:index", "linux/s390x").unwrap_err().to_string();
    assert!(error.contains("no image for linux/s390x"), "{error}");
    let error = size("sha256:gone", "linux/amd64").unwrap_err().to_string();
    assert!(error.contains("answered 404"), "{error}");
}

#[test]
fn a_login_goes_nowhere_without_tls() {
    let (_, mut repository) = open("registry.example.com");
    assert_eq!(repository.origin, "https://registry.example.com");
    repository.login = Some(Login::password("me", "hunter2"));
    for safe in ["https://auth.example.com/token", "http://localhost:1/token"] {
        assert!(repository.realm(safe).is_ok(), "{safe}");
    }
    let error = repository.realm("http://auth.example.com/token");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("without TLS"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
