//! A small HTTP/1.1 client for daemons on this machine.
//!
//! The testbed asks its registry (TCP on loopback) and its engines (unix sockets) a handful of
//! questions and uploads files. One request per connection and no TLS are all this takes, and a
//! client of our own keeps the task's build small.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Where a daemon listens.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A port of 127.0.0.1.
    Loopback(u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// These bytes, with their media type.
    Bytes(&'a [u8], &'a str),
    /// The content of a file, as `application/octet-stream`.
    File(&'a Path),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// Body; empty for `HEAD`.
    pub(crate) body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Response {
    /// The first header of this name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Fails with the body's text unless the status is one of `expected`.
    pub(crate) fn expect(self, expected: &[u16], what: &str) -> Result<Response> {
        ensure!(
            expected.contains(&self.status),
            "{what}: expected status {expected:?}, found {}: {}",
            self.status,
            String::from_utf8_lossy(&self.body).trim()
        );
        Ok(self)
    }
}

/// Sends one request and reads the whole answer; each read and write may take `patience`.
pub(crate) fn request(
    endpoint: &Endpoint,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Body<'_>,
    patience: Duration,
) -> Result<Response> {
    match endpoint {
        Endpoint::Loopback(port) => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            let stream = TcpStream::connect_timeout(&address, patience)
                .with_context(|| format!("cannot connect to {address}"))?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            exchange(&stream, &stream, method, target, headers, body)
        }
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)
                .with_context(|| format!("cannot connect to {}", path.display()))?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            exchange(&stream, &stream, method, target, headers, body)
        }
    }
    .with_context(|| format!("failed to {method} {target}"))
}

fn exchange(
    mut to: impl Write,
    from: impl Read,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Body<'_>,
) -> Result<Response> {
    let (length, kind) = match body {
        Body::Empty => (0, None),
        Body::Bytes(bytes, kind) => (bytes.len() as u64, Some(kind)),
        Body::File(path) => (
            path.metadata()
                .with_context(|| format!("cannot read {}", path.display()))?
                .len(),
            Some("application/octet-stream"),
        ),
    };
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    if let Some(kind) = kind {
        write!(head, "Content-Type: {kind}\r\n")?;
    }
    if !matches!(method, "GET" | "HEAD") {
        write!(head, "Content-Length: {length}\r\n")?;
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    write!(head, "\r\n")?;
    to.write_all(head.as_bytes())?;
    match body {
        Body::Empty => {}
        Body::Bytes(bytes, _) => to.write_all(bytes)?,
        Body::File(path) => {
            std::io::copy(&mut File::open(path)?, &mut to)?;
        }
    }
    to.flush()?;
    read_response(BufReader::new(from), method == "HEAD")
}

fn read_response(mut from: impl BufRead, head_only: bool) -> Result<Response> {
    let line = read_line(&mut from)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("expected an HTTP/1 status line, found {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(&mut from)?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            bail!("expected a header, found {line:?}");
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    if head_only || status == 204 || status == 304 {
        return Ok(response);
    }
    let chunked = response
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        response.body = read_chunks(&mut from)?;
    } else if let Some(length) = response.header("content-length") {
        let length: usize = length
            .parse()
            .with_context(|| format!("expected a content length, found {length:?}"))?;
        response.body = vec![0; length];
        from.read_exact(&mut response.body)?;
    } else {
        from.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn read_chunks(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .with_context(|| format!("expected the size of a chunk, found {line:?}"))?;
        if size == 0 {
            return Ok(body);
        }
        let read = from.by_ref().take(size).read_to_end(&mut body)?;
        ensure!(read as u64 == size, "the answer ended inside a chunk");
        read_line(from)?;
    }
}

fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(from.read_line(&mut line)? > 0, "the answer ended early");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Response> {
        read_response(text.as_bytes(), false)
    }

    #[test]
    fn a_body_with_a_length_is_read_exactly() {
        let response =
            read("HTTP/1.1 201 Created\r\nLOCATION: /x\r\nContent-Length: 2\r\n\r\nokNO");
        let response = response.unwrap();
        assert_eq!((response.status, response.body), (201, b"ok".to_vec()));
    }

    #[test]
    fn chunks_are_joined() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(read(text).unwrap().body, b"abcde");
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").is_err());
        assert!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab").is_err());
        assert!(read("").is_err());
    }

    #[test]
    fn header_names_have_no_case() {
        let response = read("HTTP/1.1 204 No Content\r\nLOCATION: /x\r\n\r\n").unwrap();
        assert_eq!(response.header("location"), Some("/x"));
    }

    #[test]
    fn an_unexpected_status_quotes_the_answer() {
        let response = read("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nwhy?").unwrap();
        let error = response.expect(&[201], "create").unwrap_err().to_string();
        assert!(error.contains("500") && error.contains("why?"), "{error}");
    }
}
