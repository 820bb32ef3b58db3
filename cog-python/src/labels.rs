//! The labels that Cog's tools read from an image.

use indexmap::IndexMap;

/// What the labels of an image say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version of the SDK.
    pub version: String,
    /// The configuration as JSON, see [`config::label`](crate::config::label()).
    pub config: String,
    /// The OpenAPI schema as JSON; empty when it was not made.
    pub schema: Option<String>,
    /// What `pip freeze` prints in the image.
    pub pip_freeze: Option<String>,
    /// Whether the entrypoint is an init program.
    pub has_init: bool,
    /// Cog's base image, when it is the base.
    pub cog_base: Option<CogBase>,
    /// Commit the project is at.
    pub revision: Option<String>,
    /// Name of the release or branch.
    pub release: Option<String>,
    /// Id of the push.
    pub push: Option<String>,
}

/// One of Cog's base images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CogBase {
    /// Full reference.
    pub name: String,
    /// Digests of its layers' content (diff ids), bottom first.
    pub layers: Vec<String>,
}

impl CogBase {
    /// Label that names the image.
    pub const NAME_LABEL: &str = "run.cog.cog-base-image-name";

    /// The labels about the image.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, String)> {
        let last = self.layers.iter().enumerate().next_back();
        let last = last.into_iter().flat_map(|(index, layer)| {
            [
                ("run.cog.cog-base-image-last-layer-sha", layer.clone()),
                ("run.cog.cog-base-image-last-layer-idx", index.to_string()),
            ]
        });
        std::iter::once((Self::NAME_LABEL, self.name.clone())).chain(last)
    }
}

impl Facts {
    /// The labels, in Cog's order. What is not known has none.
    pub fn labels(&self) -> IndexMap<String, String> {
        let mut labels = IndexMap::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                labels.insert(name.to_owned(), value);
            }
        };
        add("run.cog.version", Some(self.version.clone()));
        add("run.cog.config", Some(self.config.clone()));
        add("run.cog.openapi_schema", self.schema.clone());
        add("run.cog.pip_freeze", self.pip_freeze.clone());
        add("run.cog.has_init", self.has_init.then(|| "true".to_owned()));
        if let Some(base) = &self.cog_base {
            for (name, value) in base.labels() {
                add(name, Some(value));
            }
        }
        add("org.opencontainers.image.revision", self.revision.clone());
        add("org.opencontainers.image.version", self.release.clone());
        add("run.cog.push_id", self.push.clone());
        labels
    }
}
