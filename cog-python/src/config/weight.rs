//! `weights`: files that a model needs and that are not part of its source.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;

/// One entry of `weights`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Name, once per file; part of tags in registries.
    pub name: String,
    /// Absolute path of the folder in the container, cleaned.
    pub target: String,
    /// Where the files come from, in order.
    pub sources: Vec<WeightSource>,
    /// Where the entry was written.
    pub span: Span,
}

/// Where files of weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightSource {
    /// `hf://OWNER/NAME`, `https://…`, `oci://IMAGE`, `oci+artifact://ARTIFACT`, `file://…` or a path of the project.
    pub uri: String,
    /// Patterns of files that are taken; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Patterns of files that stay out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Whether a name can be part of a tag: lowercase letters and digits with single `.`, `_` or `-` between them.
pub(super) fn is_name(text: &str) -> bool {
    text.split(['.', '_', '-']).all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// Whether one folder lies inside the other. Both are cleaned.
pub(super) fn overlaps(left: &str, right: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    inside(left, right) || inside(right, left)
}

/// Removes `.`, `..` and repeated `/` of an absolute path.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
