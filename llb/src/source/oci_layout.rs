//! Images from an OCI layout that the client serves.

use std::panic::Location;

use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;

/// An image of an OCI layout, by its reference, taken as given.
///
/// ```
/// use llb::prelude::*;
///
/// let base = oci_layout("base:latest").store("session-id", "layouts").state();
/// ```
#[track_caller]
pub fn oci_layout(reference: impl Into<String>) -> OciLayout {
    OciLayout {
        reference: reference.into(),
        session: String::new(),
        store: String::new(),
        layer_limit: None,
        constraints: Constraints::default(),
        location: Location::caller(),
    }
}

/// An image of an OCI layout; made by [`oci_layout`].
///
/// ```
/// use llb::prelude::*;
///
/// let source = oci_layout("base:latest").store("session", "layouts").layer_limit(1);
/// assert_eq!(source.state().to_text(), r#"
/// platform linux/amd64
/// %base = source "oci-layout://base:latest" oci.layerlimit="1" oci.session="session" oci.store="layouts"
/// return %base
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct OciLayout {
    reference: String,
    session: String,
    store: String,
    layer_limit: Option<u32>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl OciLayout {
    /// The session that serves the layout, and the name it has there; either may be empty.
    #[must_use = "this returns the changed source"]
    pub fn store(mut self, session: impl Into<String>, store: impl Into<String>) -> Self {
        (self.session, self.store) = (session.into(), store.into());
        self
    }

    /// Uses only the first layers of the image.
    #[must_use = "this returns the changed source"]
    pub fn layer_limit(mut self, layers: u32) -> Self {
        self.layer_limit = Some(layers);
        self
    }

    /// The image's file system.
    pub fn state(self) -> State {
        let mut op = SourceOp::new(format!("oci-layout://{}", self.reference));
        op.cap(Capability::SourceOciLayout);
        set_store(&mut op, self.session, self.store);
        if let Some(layers) = self.layer_limit {
            op.attr("oci.layerlimit", layers.to_string());
        }
        source_state(op, self.constraints, Vec::new(), self.location)
    }
}

source_builder!(OciLayout);

pub(super) fn set_store(op: &mut SourceOp, session: String, store: String) {
    for (name, value) in [("oci.session", session), ("oci.store", store)] {
        if !value.is_empty() {
            op.attr(name, value);
        }
    }
}
