//! Sources as the wire has them: an identifier and attributes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::value::{Capability, CapabilitySet};

/// `SourceOp`: where bytes come from.
#[derive(Debug, Default)]
pub(crate) struct SourceOp {
    pub(crate) identifier: String,
    pub(crate) attrs: BTreeMap<Cow<'static, str>, String>,
    pub(crate) caps: CapabilitySet,
    /// A local source without a unique id of its own takes the one of the marshal options.
    pub(crate) takes_unique_id: bool,
}

impl SourceOp {
    pub(crate) fn new(identifier: String) -> Self {
        Self {
            identifier,
            ..Self::default()
        }
    }

    pub(crate) fn attr(&mut self, name: &'static str, value: impl Into<String>) {
        self.attrs.insert(Cow::Borrowed(name), value.into());
    }

    pub(crate) fn cap(&mut self, capability: Capability) {
        self.caps.insert(capability);
    }

    /// Whether the op is written with a platform.
    pub(crate) fn has_platform(&self) -> bool {
        self.identifier.starts_with("docker-image://")
            || self.identifier.starts_with("oci-layout://")
    }
}
