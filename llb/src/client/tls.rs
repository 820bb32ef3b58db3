//! TLS to daemons: who they have to be, and who this is.

use std::path::{Path, PathBuf};

/// Certificates for a TCP address.
///
/// ```
/// use llb::client::{Address, Tls};
///
/// let tls = Tls::new().ca("ca.pem").certificate("cert.pem", "key.pem");
/// let address = "tcp://builder.example:1234".parse::<Address>()?.with_tls(tls)?;
/// # Ok::<(), llb::client::Error>(())
/// ```
///
/// Needs feature `tls`; without it connecting is an error that says so.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    pub(super) server_name: Option<String>,
}

impl Tls {
    /// The certificate authorities of this machine, and no certificate of one's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The certificates that Docker and buildctl find in a directory: `ca.pem`, `cert.pem`, `key.pem`. What is not
    /// there is not used.
    pub fn directory(directory: &Path) -> Self {
        let file = |name: &str| Some(directory.join(name)).filter(|path| path.is_file());
        Self {
            ca: file("ca.pem"),
            certificate: file("cert.pem").zip(file("key.pem")),
            server_name: None,
        }
    }

    /// The authorities that may have signed the daemon's certificate, as PEM, instead of those of this machine.
    #[must_use = "the settings are in the value returned"]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// The certificate this client shows, and its private key, as PEM.
    #[must_use = "the settings are in the value returned"]
    pub fn certificate(mut self, file: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((file.into(), key.into()));
        self
    }

    /// The name that the daemon's certificate has to have, instead of the host of the address.
    #[must_use = "the settings are in the value returned"]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

#[cfg(feature = "tls")]
pub(super) use with::secure;

/// Without the feature there is no TLS.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the same call with the feature waits")]
pub(super) async fn secure(
    _: tokio::net::TcpStream,
    _: &str,
    _: &Tls,
) -> std::io::Result<tokio::net::TcpStream> {
    Err(std::io::Error::other(
        "it wants TLS, and this program was built without feature `tls` of `llb`",
    ))
}

#[cfg(feature = "tls")]
mod with {
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::Tls;

    /// Where systems keep the authorities they trust.
    const BUNDLES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];

    /// Makes a connection secure.
    pub(in crate::client) async fn secure(
        stream: TcpStream,
        authority: &str,
        tls: &Tls,
    ) -> io::Result<TlsStream<TcpStream>> {
        let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone())
            .map_err(|_| io::Error::other(format!("`{name}` is no name of a server")))?;
        let config = Arc::new(config(tls)?);
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| io::Error::other(format!("TLS failed: {error}")))
    }

    fn config(tls: &Tls) -> io::Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots(tls)?);
        let mut config = match &tls.certificate {
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| {
                        let (certificate, key) = (certificate.display(), key.display());
                        io::Error::other(format!(
                            "{certificate} and {key} do not work together: {error}"
                        ))
                    })?
            }
            None => builder.with_no_client_auth(),
        };
        // buildkitd speaks the first; Docker engines insist on the second and upgrade from it.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(tls: &Tls) -> io::Result<RootCertStore> {
        let file = match &tls.ca {
            Some(file) => file.clone(),
            None => bundle().ok_or_else(|| {
                io::Error::other("this machine has no certificate authorities; name a CA file")
            })?,
        };
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates(&file)?);
        if added == 0 {
            return Err(io::Error::other(format!(
                "{} has no certificate",
                file.display()
            )));
        }
        Ok(roots)
    }

    fn bundle() -> Option<PathBuf> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let known = BUNDLES.iter().map(PathBuf::from);
        named.into_iter().chain(known).find(|file| file.is_file())
    }

    fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
        let text = fs::read(file).map_err(|error| unreadable(file, &error))?;
        CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| unreadable(file, &error))
    }

    fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
        io::Error::other(format!("cannot read {}: {error}", file.display()))
    }
}
