//! Byte pipes to a daemon, and what has to be said on them before gRPC can start.
//!
//! buildkitd speaks HTTP/2 on its socket from the first byte. A Docker engine speaks HTTP/1.1 and
//! hands the connection over on `POST /grpc` with `Upgrade: h2c`; it is a hijack, after which HTTP/2
//! starts with its preface, not the upgrade RFC 7540 describes. Engines from API 1.53 on also take
//! HTTP/2 directly. Two rules of the hijack, both found by experiment on Docker 28.5:
//!
//! - the preface must not be sent before the `101` has arrived: the engine throws away what its
//!   HTTP/1 reader has buffered, and closes the connection ten seconds later;
//! - nothing behind the blank line of the `101` may be swallowed: the first HTTP/2 frames can come
//!   in the same segment. So the answer is read byte by byte.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::address::Address;
use super::tls;

/// Anything bytes go through in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A pipe to a daemon.
pub(crate) type Pipe = Box<dyn Io>;

/// How long a socket or port may take to accept a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what listens may take to answer at all. A program such as ssh has to connect first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const DIAL_TIMEOUT: Duration = Duration::from_secs(40);
const LONGEST_ANSWER: usize = 64 * 1024;

/// How gRPC is reached on a pipe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// HTTP/2 from the first byte.
    Direct,
    /// HTTP/2 after `POST /grpc` with `Upgrade: h2c`.
    Upgrade,
}

/// What answers at an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// HTTP/1.1: a Docker engine, with its API version if it told.
    Http { api_version: Option<(u32, u32)> },
    /// Anything else: buildkitd closes such a connection or answers HTTP/2 frames.
    Other,
}

/// Opens the bare pipe.
pub(crate) async fn open(address: &Address) -> io::Result<Pipe> {
    let connecting = async {
        Ok::<Pipe, io::Error>(match address {
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Address::Tcp(authority) => Box::new(open_tcp(authority).await?),
            Address::Tls(authority, tls) => {
                let stream = open_tcp(authority).await?;
                Box::new(tls::secure(stream, authority, tls).await?)
            }
            Address::Dial(dial) => Box::new(dial.open()?),
            // They are followed to what they name before anything is opened.
            Address::Context(_) | Address::Builder(_) => {
                return Err(io::Error::other(format!("{address} was not looked up")));
            }
        })
    };
    timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| timed_out("it does not accept connections"))?
}

async fn open_tcp(authority: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a pipe on which gRPC can start.
pub(crate) async fn open_grpc(address: &Address, protocol: Protocol) -> io::Result<Pipe> {
    let mut pipe = open(address).await?;
    if protocol == Protocol::Upgrade {
        timeout(patience(address), upgrade(&mut pipe))
            .await
            .map_err(|_| timed_out("it did not answer the upgrade to gRPC"))??;
    }
    Ok(pipe)
}

/// Asks what listens at an address, in a connection of its own.
pub(crate) async fn ask(address: &Address) -> io::Result<Answer> {
    if let Address::Dial(dial) = address
        && !dial.is_engine()
    {
        // `buildctl dial-stdio` leads to a buildkitd, and each connection costs a program.
        return Ok(Answer::Other);
    }
    let mut pipe = open(address).await?;
    let broken = std::sync::Mutex::new(None);
    let asking = async {
        // A daemon that closes at once may do so before the request is through.
        let request = b"GET /version HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        if pipe.write_all(request).await.is_ok() {
            let mut part = [0; 4096];
            while answer.len() < LONGEST_ANSWER {
                match pipe.read(&mut part).await {
                    Ok(0) => break,
                    Err(error) => {
                        // A program that leads nowhere says why.
                        if let (Address::Dial(_), Ok(mut broken)) = (address, broken.lock()) {
                            *broken = Some(error);
                        }
                        break;
                    }
                    Ok(length) => answer.extend_from_slice(&part[..length]),
                }
                if !b"HTTP/1.".starts_with(&answer[..answer.len().min(7)]) {
                    break;
                }
            }
        }
        answer
    };
    let answer = timeout(patience(address), asking)
        .await
        .map_err(|_| timed_out("it accepts connections but does not answer"))?;
    if let Some(error) = broken.into_inner().ok().flatten() {
        return Err(error);
    }
    if !answer.starts_with(b"HTTP/1.") {
        return Ok(Answer::Other);
    }
    Ok(Answer::Http {
        api_version: api_version(&String::from_utf8_lossy(&answer)),
    })
}

/// Whether HTTP/2 may be spoken directly: the answer to its preface is a SETTINGS frame.
pub(crate) async fn speaks_http2(address: &Address) -> bool {
    let trial = async {
        let mut pipe = open(address).await.ok()?;
        pipe.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .ok()?;
        let mut header = [0; 9];
        pipe.read_exact(&mut header).await.ok()?;
        Some(header[3] == 4 && &header[..4] != b"HTTP")
    };
    matches!(timeout(patience(address), trial).await, Ok(Some(true)))
}

async fn upgrade(pipe: &mut Pipe) -> io::Result<()> {
    let request =
        b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    pipe.write_all(request).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_ANSWER {
            return Err(io::Error::other(
                "it answered the upgrade to gRPC with endless headers",
            ));
        }
        head.push(pipe.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("101") {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "it refused the upgrade to gRPC with `{status}`; a Docker engine of version 18.09 or later is needed"
        )))
    }
}

fn api_version(answer: &str) -> Option<(u32, u32)> {
    let (_, rest) = answer.split_once("\"ApiVersion\":")?;
    let version = rest.trim_start().strip_prefix('"')?.split('"').next()?;
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn patience(address: &Address) -> Duration {
    match address {
        Address::Dial(_) => DIAL_TIMEOUT,
        _ => ANSWER_TIMEOUT,
    }
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_version_is_found_in_the_answer() {
        let answer =
            "HTTP/1.1 200 OK\r\n\r\n{\"Components\":[],\"ApiVersion\":\"1.51\",\"Os\":\"linux\"}";
        assert_eq!(api_version(answer), Some((1, 51)));
        assert_eq!(api_version("HTTP/1.1 403 Forbidden\r\n\r\n"), None);
    }

    /// A listener that answers the first bytes it gets with `answer` and keeps what it got.
    fn listener(
        directory: &tempfile::TempDir,
        answer: &'static [u8],
    ) -> (Address, tokio::task::JoinHandle<Vec<u8>>) {
        let path = directory.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = vec![0; 4096];
            let length = stream.read(&mut got).await.unwrap();
            got.truncate(length);
            stream.write_all(answer).await.unwrap();
            got
        });
        (Address::Unix(path), task)
    }

    #[tokio::test]
    async fn the_first_frames_behind_the_101_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (address, task) = listener(
            &directory,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nframes",
        );
        let mut pipe = open_grpc(&address, Protocol::Upgrade).await.unwrap();
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "frames");
        let sent = task.await.unwrap();
        assert!(sent.starts_with(b"POST /grpc HTTP/1.1\r\n"));
        assert!(sent.ends_with(b"\r\n\r\n"), "no preface before the 101");
    }

    #[tokio::test]
    async fn a_refused_upgrade_is_an_error_with_the_answer() {
        let directory = tempfile::tempdir().unwrap();
        let (address, _task) = listener(&directory, b"HTTP/1.1 404 Not Found\r\n\r\n");
        let error = open_grpc(&address, Protocol::Upgrade).await.err().unwrap();
        assert!(error.to_string().contains("404 Not Found"), "{error}");
    }

    #[tokio::test]
    async fn engines_and_buildkitd_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let (address, _task) = listener(
            &directory,
            b"HTTP/1.1 200 OK\r\n\r\n{\"ApiVersion\":\"1.53\"}",
        );
        let answer = ask(&address).await.unwrap();
        assert_eq!(
            answer,
            Answer::Http {
                api_version: Some((1, 53))
            }
        );
        let directory = tempfile::tempdir().unwrap();
        let (address, _task) = listener(&directory, b"\0\0\x06\x04\0\0\0\0\0");
        assert_eq!(ask(&address).await.unwrap(), Answer::Other);
        let directory = tempfile::tempdir().unwrap();
        let (address, _task) = listener(&directory, b"\0\0\x06\x04\0\0\0\0\0");
        assert!(speaks_http2(&address).await);
        let directory = tempfile::tempdir().unwrap();
        let (address, _task) = listener(&directory, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(!speaks_http2(&address).await);
    }
}
