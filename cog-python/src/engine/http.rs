//! One HTTP request to a server on this computer.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Largest answer that is read: outputs may hold files as text.
const ANSWER_LIMIT: usize = 1 << 30;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nothing listens there, or it hung up.
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    /// What was said is not HTTP.
    #[error("broken connection: {0}")]
    Protocol(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("broken request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer ended early, or is larger than the limit.
    #[error("broken answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends a request and reads the whole answer. A body makes it a POST of JSON.
pub(super) async fn request(
    address: SocketAddr,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(u16, Bytes), HttpError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends with the sender; its own error reaches the sender too.
    let driver = tokio::spawn(connection);
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await
        .map_err(HttpError::Body)?
        .to_bytes();
    drop(sender);
    driver.abort();
    Ok((status, body))
}
