//! One request to a server, over TLS or without.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderMap, HeaderName, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::ca;
use crate::cli::Failure;
use crate::http::{HttpError, ask};

/// Largest answer that is read, in bytes: documents, never layers.
const ANSWER_LIMIT: usize = 16 << 20;
/// Longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is trusted to be who he says.
pub(super) struct Trust(Arc<RootCertStore>);

impl Trust {
    /// The certificates of this machine, and those that are named.
    pub(super) fn find(certificates: Option<&str>, only: bool) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = ca::roots(&ca::Disk, certificates, only)? {
            let found = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
            roots.add_parsable_certificates(found);
        }
        Ok(Self(Arc::new(roots)))
    }
}

/// What a server says.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// The address is not one of HTTP.
    #[error("`{0}` is no address of HTTP")]
    Address(String),
    /// The registry gives none.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// TLS cannot be spoken.
    #[error("no TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// It takes too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Sends a request and reads the whole answer.
pub(super) async fn send(
    trust: &Trust,
    method: Method,
    address: &Uri,
    headers: &[(HeaderName, String)],
    body: Vec<u8>,
) -> Result<Answer, AnswerError> {
    let wrong = || AnswerError::Address(address.to_string());
    let authority = address.authority().ok_or_else(wrong)?;
    let path = address.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, "cog-python");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(HttpError::from)?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let is_secure = match address.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong()),
    };
    let port = authority
        .port_u16()
        .unwrap_or(if is_secure { 443 } else { 80 });
    let asked = async {
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(HttpError::from)?;
        if !is_secure {
            return Ok(ask(stream, request, ANSWER_LIMIT).await?.into());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&trust.0))
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(HttpError::from)?;
        Ok(ask(stream, request, ANSWER_LIMIT).await?.into())
    };
    timeout(PATIENCE, asked)
        .await
        .map_err(|_| AnswerError::Late)?
}

/// Fields as a form or a query has them.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                // Writing to a text cannot fail.
                byte => {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
    }
    text
}
