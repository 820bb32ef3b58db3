//! A model in an image.

use std::collections::BTreeMap;

use llb::value::ImageRef;
use serde_json::Value;

use super::FoundImage;

/// Prefixes of the labels, the present one first.
const PREFIXES: [&str; 2] = ["run.cog.", "org.cogmodel."];

/// Where an image was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the image store of the engine.
    Local,
    /// In its registry.
    Remote,
}

/// A model, as its image tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The image.
    pub reference: ImageRef,
    /// Where it was found.
    pub origin: Origin,
    /// `cog.yaml` as JSON, as it was resolved.
    pub config: Value,
    /// The OpenAPI document; nothing if the image tells none.
    pub schema: Option<Value>,
    /// Version of Cog that made the image.
    pub version: Option<String>,
    /// Digest of the manifest or index, where it is known.
    pub digest: Option<String>,
    /// Size of the layers in bytes, where it is known: unpacked in an engine, packed in a registry.
    pub size: Option<u64>,
}

/// Why an image is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoModel {
    /// It has none of the labels.
    #[error(
        "image `{0}` is no Cog model: it has neither the label `run.cog.config` nor the older `org.cogmodel.config`"
    )]
    Label(String),
    /// A label is not JSON.
    #[error("label `{label}` of image `{image}` is not JSON: {reason}")]
    Form {
        /// The image.
        image: String,
        /// The label.
        label: String,
        /// What is wrong.
        reason: String,
    },
}

impl Model {
    /// Reads the labels of an image.
    pub fn of_image(
        reference: &ImageRef,
        origin: Origin,
        found: FoundImage,
    ) -> Result<Self, NoModel> {
        let config = label(&found.labels, &["config"])
            .ok_or_else(|| NoModel::Label(reference.as_str().to_owned()))?;
        let json = |(label, text): (String, &str)| {
            serde_json::from_str(text).map_err(|error| NoModel::Form {
                image: reference.as_str().to_owned(),
                label,
                reason: error.to_string(),
            })
        };
        let schema = label(&found.labels, &["openapi_schema"]);
        // Cog writes an empty one where it was told to make none.
        let schema = schema.filter(|(_, text)| !text.trim().is_empty());
        Ok(Self {
            reference: reference.clone(),
            origin,
            config: json(config)?,
            schema: schema.map(json).transpose()?,
            version: label(&found.labels, &["version", "cog_version"])
                .map(|(_, version)| version.to_owned()),
            digest: found.digest,
            size: found.size,
        })
    }

    /// The repository without host, tag and digest.
    pub fn name(&self) -> &str {
        self.reference.path()
    }

    /// Whether the model wants a GPU.
    pub fn gpu(&self) -> bool {
        self.config["build"]["gpu"].as_bool().unwrap_or(false)
    }
}

/// The first label of these names, under either prefix.
fn label<'l>(labels: &'l BTreeMap<String, String>, names: &[&str]) -> Option<(String, &'l str)> {
    PREFIXES
        .iter()
        .flat_map(|prefix| names.iter().map(move |name| format!("{prefix}{name}")))
        .find_map(|name| {
            let value = labels.get(&name)?;
            Some((name, value.as_str()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[(&str, &str)]) -> Result<Model, NoModel> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = FoundImage {
            labels,
            ..FoundImage::default()
        };
        Model::of_image(&ImageRef::parse("acme/m:1").unwrap(), Origin::Local, found)
    }

    #[test]
    fn labels_of_today_and_of_earlier_are_read() {
        let model = read(&[
            ("run.cog.config", r#"{"build":{"gpu":true}}"#),
            ("run.cog.version", "0.23.1"),
            ("run.cog.openapi_schema", ""),
        ])
        .unwrap();
        assert!(model.gpu());
        assert_eq!(model.name(), "acme/m");
        assert_eq!(model.version.as_deref(), Some("0.23.1"));
        assert_eq!(model.schema, None);

        let model = read(&[
            ("org.cogmodel.config", "{}"),
            ("org.cogmodel.cog_version", "0.1.0"),
            ("org.cogmodel.openapi_schema", r#"{"openapi":"3.0.2"}"#),
        ])
        .unwrap();
        assert!(!model.gpu());
        assert_eq!(model.version.as_deref(), Some("0.1.0"));
        assert_eq!(model.schema.unwrap()["openapi"], "3.0.2");
    }

    #[test]
    fn images_without_labels_are_refused() {
        let error = read(&[("maintainer", "me")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image `docker.io/acme/m:1` is no Cog model: it has neither the label \
             `run.cog.config` nor the older `org.cogmodel.config`"
        );
        let error = read(&[("run.cog.config", "{")]).unwrap_err();
        assert!(error.to_string().contains("`run.cog.config`"), "{error}");
    }
}
