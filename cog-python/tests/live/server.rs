//! A server on this machine, as small as tests need one, and wheels to serve.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What somebody asks for.
pub(crate) struct Request {
    /// Path, with what follows it.
    pub(crate) target: String,
    /// Who asks, as the header `Authorization` says it.
    pub(crate) authorization: Option<String>,
}

/// Status, kind and body of an answer.
pub(crate) struct Answer {
    status: &'static str,
    kind: &'static str,
    challenge: String,
    body: Vec<u8>,
}

impl Answer {
    /// What was asked for.
    pub(crate) fn found(body: Vec<u8>) -> Self {
        Self {
            status: "200 OK",
            kind: "application/octet-stream",
            challenge: String::new(),
            body,
        }
    }

    /// A page.
    pub(crate) fn page(body: &str) -> Self {
        Self {
            kind: "text/html",
            ..Self::found(body.into())
        }
    }

    /// There is no such thing.
    pub(crate) fn missing() -> Self {
        Self {
            status: "404 Not Found",
            ..Self::found(b"not here\n".to_vec())
        }
    }

    /// Nobody gets it without a login.
    pub(crate) fn unauthorized() -> Self {
        Self::challenge("Basic realm=\"packages\"")
    }

    /// Nobody gets it without what this names.
    pub(crate) fn challenge(challenge: &str) -> Self {
        Self {
            status: "401 Unauthorized",
            challenge: challenge.to_owned(),
            ..Self::found(b"who are you?\n".to_vec())
        }
    }
}

/// A server that answers until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            is_over: Arc::default(),
        };
        let is_over = Arc::clone(&server.is_over);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, Arc::clone(&answer)) else {
                    continue;
                };
                // A client that goes away has its reasons.
                thread::spawn(move || serve(&stream, &*answer));
            }
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one question and closes the connection.
fn serve(stream: &TcpStream, answer: impl Fn(&Request) -> Answer) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut parts = first.split(' ');
    let (method, target) = (parts.next()?, parts.next()?);
    let mut request = Request {
        target: target.to_owned(),
        authorization: None,
    };
    for line in lines {
        let line = line.ok()?;
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                request.authorization = Some(value.to_owned());
            }
            _ => {}
        }
    }
    let answer = answer(&request);
    let challenge = if answer.challenge.is_empty() {
        String::new()
    } else {
        format!("WWW-Authenticate: {}\r\n", answer.challenge)
    };
    let head = format!(
        "HTTP/1.1 {}\r\n{challenge}Content-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    if method != "HEAD" {
        stream.write_all(&answer.body).ok()?;
    }
    stream.flush().ok()
}

/// A wheel of one module; gives its file name and its bytes.
pub(crate) fn wheel(name: &str, version: &str, module: &str) -> (String, Vec<u8>) {
    let module = (format!("{name}.py"), module.as_bytes().to_vec());
    wheel_of(name, version, [module])
}

/// A wheel of files; gives its file name and its bytes.
pub(crate) fn wheel_of(
    name: &str,
    version: &str,
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> (String, Vec<u8>) {
    let info = format!("{name}-{version}.dist-info");
    let mut files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    files.insert(
        format!("{info}/METADATA"),
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n").into_bytes(),
    );
    files.insert(
        format!("{info}/WHEEL"),
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_vec(),
    );
    let record = format!("{info}/RECORD");
    let mut listed = String::new();
    for path in files.keys().chain([&record]) {
        listed.push_str(path);
        listed.push_str(",,\n");
    }
    let files = files.into_iter().chain([(record, listed.into_bytes())]);
    (
        format!("{name}-{version}-py3-none-any.whl"),
        archive(files.collect()),
    )
}

/// A zip archive whose files are stored as they are.
fn archive(files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let count = u16::try_from(files.len()).unwrap();
    for (path, content) in files {
        let offset = u32::try_from(archive.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        // Version 2.0, no flags, stored, at the start of 1980.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(checksum(&content).to_le_bytes());
        common.extend(size);
        common.extend(size);
        common.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(path.as_bytes());
        archive.extend(&content);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        // No comment, on the first disk, of no kind, a regular file of mode 644.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let start = u32::try_from(archive.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(size.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// CRC-32 as zip archives have it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}
