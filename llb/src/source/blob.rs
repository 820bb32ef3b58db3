//! Single blobs of a registry or of an OCI layout, as files.

use std::panic::Location;

use super::http::FileInfo;
use super::oci_layout::set_store;
use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;
use crate::value::reference::ImageRef;

/// A blob of a registry, as a file: a repository and a digest.
///
/// ```
/// use llb::prelude::*;
/// use llb::ImageBlob;
///
/// let digest = "sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c";
/// let weights = ImageBlob::new(format!("example.com/weights@{digest}"))
///     .filename("weights.bin")
///     .chmod(0o444)
///     .chown(1000, 1000);
/// assert_eq!(weights.state().to_text(), format!(r#"
/// %weights = source "docker-image+blob://example.com/weights@{digest}" http.filename="weights.bin" http.gid="1000" http.perm="0444" http.uid="1000"
/// return %weights
/// "#).trim_start());
/// ```
///
/// A reference with a tag, or without a digest, is a mistake.
#[derive(Clone, Debug)]
pub struct ImageBlob {
    reference: String,
    file: FileInfo,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// A blob of an OCI layout, as a file: a repository and a digest.
///
/// ```
/// use llb::OciLayoutBlob;
///
/// let digest = "sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c";
/// let weights = OciLayoutBlob::new(format!("store/weights@{digest}")).store("session", "layouts");
/// assert_eq!(weights.state().to_text(), format!(r#"
/// %weights = source "oci-layout+blob://docker.io/store/weights@{digest}" oci.session="session" oci.store="layouts"
/// return %weights
/// "#).trim_start());
/// ```
///
/// A reference with a tag, or without a digest, is a mistake.
#[derive(Clone, Debug)]
pub struct OciLayoutBlob {
    blob: ImageBlob,
    session: String,
    store: String,
    constraints: Constraints,
}

impl ImageBlob {
    /// A blob by repository and digest.
    #[track_caller]
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            file: FileInfo::default(),
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The name of the file in the state; the hexadecimal digits of the digest if not given or empty.
    #[must_use = "this returns the changed source"]
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.file.filename = Some(name.into());
        self
    }

    /// Permission bits of the file (octal, the low nine bits); `0o600` if not given or 0.
    #[must_use = "this returns the changed source"]
    pub fn chmod(mut self, mode: u32) -> Self {
        self.file.mode = mode & 0o777;
        self
    }

    /// Numeric owner of the file; 0 if not given.
    #[must_use = "this returns the changed source"]
    pub fn chown(mut self, uid: u32, gid: u32) -> Self {
        (self.file.uid, self.file.gid) = (uid, gid);
        self
    }

    /// A state with the one file.
    pub fn state(self) -> State {
        let location = self.location;
        let (op, problems) = self.op("docker-image+blob://");
        source_state(op.0, op.1, problems, location)
    }

    fn op(self, scheme: &str) -> ((SourceOp, Constraints), Vec<Problem>) {
        let mut problems = Vec::new();
        let reference = match ImageRef::parse_blob(&self.reference) {
            Ok(reference) => reference.without_default_tag().to_owned(),
            Err(error) => {
                let message = format!("blob {:?}: {error}", self.reference);
                problems.push(Problem::at(ErrorKind::Source, message, self.location));
                self.reference.clone()
            }
        };
        let mut op = SourceOp::new(format!("{scheme}{reference}"));
        op.cap(Capability::SourceImageBlob);
        self.file.set_attrs(&mut op);
        ((op, self.constraints), problems)
    }
}

impl OciLayoutBlob {
    /// A blob by repository and digest.
    #[track_caller]
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            blob: ImageBlob::new(reference),
            session: String::new(),
            store: String::new(),
            constraints: Constraints::default(),
        }
    }

    /// The session that serves the layout, and the name it has there; either may be empty.
    #[must_use = "this returns the changed source"]
    pub fn store(mut self, session: impl Into<String>, store: impl Into<String>) -> Self {
        (self.session, self.store) = (session.into(), store.into());
        self
    }

    /// The name of the file in the state; the hexadecimal digits of the digest if not given or empty.
    #[must_use = "this returns the changed source"]
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.blob = self.blob.filename(name);
        self
    }

    /// Permission bits of the file (octal, the low nine bits); `0o600` if not given or 0.
    #[must_use = "this returns the changed source"]
    pub fn chmod(mut self, mode: u32) -> Self {
        self.blob = self.blob.chmod(mode);
        self
    }

    /// Numeric owner of the file; 0 if not given.
    #[must_use = "this returns the changed source"]
    pub fn chown(mut self, uid: u32, gid: u32) -> Self {
        self.blob = self.blob.chown(uid, gid);
        self
    }

    /// A state with the one file.
    pub fn state(self) -> State {
        let location = self.blob.location;
        let ((mut op, _), problems) = self.blob.op("oci-layout+blob://");
        set_store(&mut op, self.session, self.store);
        source_state(op, self.constraints, problems, location)
    }
}

source_builder!(ImageBlob);
source_builder!(OciLayoutBlob);
