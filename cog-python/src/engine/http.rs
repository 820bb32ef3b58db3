//! One HTTP request to a server on this computer.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::net::TcpStream;

use crate::http::{HttpError, ask};

/// Largest answer that is read: outputs may hold files as text.
const ANSWER_LIMIT: usize = 1 << 30;

/// Sends a request and reads the whole answer. A body makes it a POST of JSON.
pub(super) async fn request(
    address: SocketAddr,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(u16, Bytes), HttpError> {
    let stream = TcpStream::connect(address).await?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    let answer = ask(stream, request, ANSWER_LIMIT).await?;
    Ok((answer.status().as_u16(), answer.into_body()))
}
