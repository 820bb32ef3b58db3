//! One HTTP request over a connection, and its whole answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nothing listens there, it hung up, or it is not who it should be.
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

/// Sends a request and reads the whole answer, of at most so many bytes.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends with the sender; its own error reaches the sender too.
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, limit).collect().await;
    driver.abort();
    let body = body.map_err(HttpError::Body)?.to_bytes();
    Ok(Response::from_parts(head, body))
}
