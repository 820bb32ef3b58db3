//! Certificate bundles for build steps behind a proxy that inspects TLS.
//!
//! In such a place every download of a step fails unless the step trusts the proxy's certificate.
//! The graph must not differ between places with and without one, or nothing could be cached and
//! shared. So every step that uses the network carries the same optional secrets
//! ([`BUNDLE_SECRET`] as a file, [`VARIABLES`] as variables); where a bundle is found, the client
//! gives their values ([`Bundle::secrets`]), elsewhere it gives none and the step sees nothing of
//! it. Secrets are no part of cache keys, layers or image configs: the bundle never ends up in the
//! image.
//!
//! [`find`] looks, in this order, for
//!
//! 1. the certificate of `--ca-cert` or `COG_CA_CERT`: a file, a folder with `*.crt` and `*.pem`
//!    files, PEM text, or base64 of PEM text. It is added to the host's own bundle;
//! 2. the host's own bundle, if one of the variables that programs read names it:
//!    `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `PIP_CERT`, `GIT_SSL_CAINFO`. One
//!    that names no usable file is passed over with a warning;
//! 3. the certificates of `NODE_EXTRA_CA_CERTS`, added to the system's bundle: Node takes them as
//!    additional ones.
//!
//! apt reads none of these variables; its steps test for the file and pass
//! `Acquire::https::CaInfo` when it is there, which matters only for mirrors over https.

mod find;
mod pem;

pub use find::{Disk, Found, Host, find, read, roots};
pub use pem::{Certificates, PemError};

/// Name of the secret that holds the bundle.
pub const BUNDLE_SECRET: &str = "ca-bundle";

/// Where steps find the bundle.
pub const BUNDLE_PATH: &str = "/run/secrets/ca-bundle.crt";

/// Name of the secret whose value is [`BUNDLE_PATH`].
pub const PATH_SECRET: &str = "ca-bundle.path";

/// Name of the secret whose value is `true`, for programs that want a switch.
pub const SWITCH_SECRET: &str = "ca-bundle.enabled";

/// Variables of steps and the secret that gives each its value.
pub const VARIABLES: [(&str, &str); 7] = [
    ("SSL_CERT_FILE", PATH_SECRET),
    ("PIP_CERT", PATH_SECRET),
    ("REQUESTS_CA_BUNDLE", PATH_SECRET),
    ("CURL_CA_BUNDLE", PATH_SECRET),
    ("GIT_SSL_CAINFO", PATH_SECRET),
    ("NODE_EXTRA_CA_CERTS", PATH_SECRET),
    ("UV_NATIVE_TLS", SWITCH_SECRET),
];

/// Most bytes BuildKit takes as one secret.
pub const SECRET_LIMIT: usize = 500 * 1024;

/// A bundle that fits into a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pem: String,
    certificates: usize,
    origin: String,
}

impl Bundle {
    /// The certificates as PEM, nothing between them.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// How many certificates there are.
    pub fn certificates(&self) -> usize {
        self.certificates
    }

    /// Where they were found, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The secrets to give to a build: name and value.
    pub fn secrets(&self) -> [(&'static str, &[u8]); 3] {
        [
            (BUNDLE_SECRET, self.pem.as_bytes()),
            (PATH_SECRET, BUNDLE_PATH.as_bytes()),
            (SWITCH_SECRET, b"true"),
        ]
    }
}

/// Why there is no usable bundle although one was named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The value is neither a path that exists nor certificates.
    #[error(
        "{origin}: the value is neither a file, a folder, PEM certificates nor base64 of PEM \
         certificates"
    )]
    Unusable {
        /// Where the value comes from: a flag or a variable.
        origin: String,
    },
    /// A file could not be read.
    #[error("{origin}: cannot read `{path}`: {reason}")]
    Read {
        /// Where the path comes from.
        origin: String,
        /// The path.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A text is not a bundle.
    #[error("{origin}: {problem}")]
    Pem {
        /// Where the text comes from.
        origin: String,
        /// What is wrong with it.
        problem: PemError,
    },
    /// The bundle is larger than a secret may be.
    #[error(
        "{origin}: the {certificates} certificates have {bytes} bytes, and a build secret can have \
         {SECRET_LIMIT}\n = hint: name a file with only the certificates your network needs, with \
         `--ca-cert FILE --ca-only`"
    )]
    TooLarge {
        /// Where the certificates come from.
        origin: String,
        /// How many there are.
        certificates: usize,
        /// Their size.
        bytes: usize,
    },
}
