//! Files fetched over HTTP.

use std::panic::Location;

use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;

/// A file by its URL.
///
/// ```
/// use llb::prelude::*;
///
/// let tini = http("https://example.com/tini").checksum("sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c")
///     .filename("tini")
///     .chmod(0o755);
/// let image = image("debian").copy(tini, "/tini", "/usr/bin/tini");
/// ```
#[track_caller]
pub fn http(url: impl Into<String>) -> Http {
    Http {
        url: url.into(),
        checksum: None,
        filename: None,
        mode: 0,
        uid: 0,
        gid: 0,
        auth_header_secret: None,
        accept_header: None,
        user_agent_header: None,
        signature: None,
        constraints: Constraints::default(),
        location: Location::caller(),
    }
}

/// A file fetched over HTTP; made by [`http`].
///
/// ```
/// use llb::prelude::*;
/// use llb::HttpSignature;
///
/// let source = http("https://example.com/tool")
///     .filename("tool")
///     .chmod(0o755)
///     .chown(1000, 1000)
///     .checksum("sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c")
///     .auth_header_secret("AUTH")
///     .accept_header("application/octet-stream")
///     .user_agent_header("builder/1")
///     .verify_pgp_signature(HttpSignature { public_key: "KEY".into(), signature: "SIGNATURE".into() });
/// assert_eq!(source.state().to_text(), r#"
/// %tool = source "https://example.com/tool" http.authheadersecret="AUTH" http.checksum="sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c" http.filename="tool" http.gid="1000" http.header.accept="application/octet-stream" http.header.user-agent="builder/1" http.perm="0755" http.sig.pubkey="KEY" http.sig.signature="SIGNATURE" http.uid="1000"
/// return %tool
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Http {
    url: String,
    checksum: Option<String>,
    filename: Option<String>,
    mode: u32,
    uid: u32,
    gid: u32,
    auth_header_secret: Option<String>,
    accept_header: Option<String>,
    user_agent_header: Option<String>,
    signature: Option<HttpSignature>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// An armored PGP signature that a fetched file must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSignature {
    /// The public key.
    pub public_key: String,
    /// The detached signature.
    pub signature: String,
}

impl Http {
    /// The digest that the file must have: `sha256:` and 64 hexadecimal digits.
    #[must_use = "this returns the changed source"]
    pub fn checksum(mut self, digest: impl Into<String>) -> Self {
        self.checksum = Some(digest.into());
        self
    }

    /// The name of the file in the state; the last part of the URL if not given.
    #[must_use = "this returns the changed source"]
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }

    /// Permission bits of the file (octal, the low nine bits); `0o600` if not given.
    #[must_use = "this returns the changed source"]
    pub fn chmod(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Numeric owner of the file; 0 if not given.
    #[must_use = "this returns the changed source"]
    pub fn chown(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// The secret whose content is sent as `Authorization` header.
    #[must_use = "this returns the changed source"]
    pub fn auth_header_secret(mut self, secret: impl Into<String>) -> Self {
        self.auth_header_secret = Some(secret.into());
        self
    }

    /// The `Accept` header.
    #[must_use = "this returns the changed source"]
    pub fn accept_header(mut self, value: impl Into<String>) -> Self {
        self.accept_header = Some(value.into());
        self
    }

    /// The `User-Agent` header.
    #[must_use = "this returns the changed source"]
    pub fn user_agent_header(mut self, value: impl Into<String>) -> Self {
        self.user_agent_header = Some(value.into());
        self
    }

    /// Fails unless the file has this signature.
    #[must_use = "this returns the changed source"]
    pub fn verify_pgp_signature(mut self, signature: HttpSignature) -> Self {
        self.signature = Some(signature);
        self
    }

    /// A state with the one file.
    pub fn state(self) -> State {
        let mut problems = Vec::new();
        if self.url.is_empty() {
            let message = "source identifier can't be empty: expected the URL of a file";
            problems.push(Problem::at(ErrorKind::Source, message, self.location));
        }
        let mut op = SourceOp::new(self.url);
        op.cap(Capability::SourceHttp);
        if let Some(digest) = self.checksum.filter(|digest| !digest.is_empty()) {
            op.attr("http.checksum", digest);
            op.cap(Capability::SourceHttpChecksum);
        }
        let file = FileInfo {
            filename: self.filename,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
        };
        if file.mode != 0 {
            op.cap(Capability::SourceHttpPerm);
        }
        if file.uid != 0 || file.gid != 0 {
            op.cap(Capability::SourceHttpUidGid);
        }
        file.set_attrs(&mut op);
        if let Some(secret) = self.auth_header_secret.filter(|secret| !secret.is_empty()) {
            op.attr("http.authheadersecret", secret);
            op.cap(Capability::SourceHttpAuth);
        }
        if self.accept_header.is_some() || self.user_agent_header.is_some() {
            op.cap(Capability::SourceHttpHeader);
        }
        for (name, value) in [
            ("http.header.accept", self.accept_header),
            ("http.header.user-agent", self.user_agent_header),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                op.attr(name, value);
            }
        }
        if let Some(signature) = self.signature {
            for (name, value) in [
                ("http.sig.pubkey", signature.public_key),
                ("http.sig.signature", signature.signature),
            ] {
                if !value.is_empty() {
                    op.attr(name, value);
                }
            }
            op.cap(Capability::SourceHttpSignatureVerify);
        }
        source_state(op, self.constraints, problems, self.location)
    }
}

source_builder!(Http);

/// Name, mode and owner of the one file that a source gives.
#[derive(Clone, Debug, Default)]
pub(super) struct FileInfo {
    pub(super) filename: Option<String>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl FileInfo {
    pub(super) fn set_attrs(&self, op: &mut SourceOp) {
        if let Some(name) = self.filename.as_ref().filter(|name| !name.is_empty()) {
            op.attr("http.filename", name);
        }
        if self.mode != 0 {
            op.attr("http.perm", format!("0{:o}", self.mode));
        }
        if self.uid != 0 {
            op.attr("http.uid", self.uid.to_string());
        }
        if self.gid != 0 {
            op.attr("http.gid", self.gid.to_string());
        }
    }
}
