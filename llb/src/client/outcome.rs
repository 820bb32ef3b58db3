//! What a successful build gives back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lower::Lowering;
use crate::progress::Summary;
use crate::session::base64_decode;

/// The outcome of a build.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    exporter_response: BTreeMap<String, String>,
    summary: Summary,
    lowerings: Vec<Lowering>,
}

impl Outcome {
    pub(crate) fn new(exporter_response: BTreeMap<String, String>, summary: Summary) -> Self {
        Self {
            exporter_response,
            summary,
            lowerings: Vec::new(),
        }
    }

    pub(crate) fn with_lowerings(self, lowerings: Vec<Lowering>) -> Self {
        Self { lowerings, ..self }
    }

    /// What was replaced in the graph because the daemon cannot run it; empty for most builds. Ops that took another
    /// one's place have digests of their own in progress and summary.
    pub fn lowerings(&self) -> &[Lowering] {
        &self.lowerings
    }

    /// All that the exporters answered, by BuildKit's names.
    pub fn exporter_response(&self) -> &BTreeMap<String, String> {
        &self.exporter_response
    }

    /// What the build did, step by step.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Digest of the image's manifest or index. On a Docker engine without an image store of
    /// containerd's kind it is the digest of the config, which is the image's id there.
    pub fn image_digest(&self) -> Option<&str> {
        self.text("containerimage.digest")
    }

    /// Digest of the image's config.
    pub fn config_digest(&self) -> Option<&str> {
        self.text("containerimage.config.digest")
    }

    /// The names the image was given, separated by commas.
    pub fn image_name(&self) -> Option<&str> {
        self.text("image.name")
    }

    /// The OCI descriptor of the image.
    pub fn image_descriptor(&self) -> Option<Value> {
        let encoded = self.text("containerimage.descriptor")?;
        serde_json::from_slice(&base64_decode(encoded)?).ok()
    }

    /// What the exporters answered, as buildctl writes it to its metadata file: values that are JSON in base64 are
    /// the JSON.
    pub fn metadata(&self) -> Value {
        let entries = self.exporter_response.iter().map(|(key, value)| {
            let decoded = base64_decode(value)
                .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
                .filter(Value::is_object);
            let value = decoded.unwrap_or_else(|| Value::from(value.as_str()));
            (key.clone(), value)
        });
        Value::Object(entries.collect())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.exporter_response
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_exporters_are_read() {
        // `eyJzaXplIjo3fQ==` is `{"size":7}`.
        let response = [
            ("containerimage.digest", "sha256:a"),
            ("containerimage.config.digest", ""),
            ("containerimage.descriptor", "eyJzaXplIjo3fQ=="),
        ];
        let response = response.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let outcome = Outcome::new(response.into(), Summary::default());
        assert_eq!(outcome.image_digest(), Some("sha256:a"));
        assert_eq!(outcome.config_digest(), None);
        assert_eq!(outcome.image_descriptor().unwrap()["size"], 7);
        assert_eq!(
            outcome.metadata().to_string(),
            r#"{"containerimage.config.digest":"","containerimage.descriptor":{"size":7},"containerimage.digest":"sha256:a"}"#
        );
    }
}
