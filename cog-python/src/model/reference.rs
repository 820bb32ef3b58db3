//! The reference a model is pushed to: `model` of `cog.yaml` and the `COG_MODEL` variables.

use crate::config::ImageName;

/// Registry of references that name none.
const REGISTRY: &str = "r8.im";
/// What Docker calls its own registry.
const DOCKER: &str = "index.docker.io";
/// Beginning of tags that are made, not given.
const RESERVED: &str = "cog-";

/// Where a model goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReference {
    /// Registry host.
    pub registry: String,
    /// Repository, without the host.
    pub repository: String,
    /// Tag or digest; nothing when the tag is to be the time of the push.
    pub version: Option<Version>,
}

/// What a reference names in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A tag.
    Tag(String),
    /// A digest, `sha256:…`.
    Digest(String),
}

/// The variables that overrule `model`; empty ones count as not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `COG_MODEL`: the whole reference.
    pub model: String,
    /// `COG_MODEL_REGISTRY`.
    pub registry: String,
    /// `COG_MODEL_REPO`.
    pub repository: String,
    /// `COG_MODEL_TAG`.
    pub tag: String,
    /// `COG_REGISTRY_HOST`: the registry where nothing else names one, in the place of Cog's own.
    pub default_registry: String,
}

/// Why there is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Nothing names the model.
    #[error("nothing names the model: set 'model' in cog.yaml, or COG_MODEL")]
    Missing,
    /// `image` and the variables exclude each other.
    #[error(
        "'image' in cog.yaml and the variables COG_MODEL, COG_MODEL_REGISTRY, COG_MODEL_REPO, COG_MODEL_TAG exclude each other: write 'model' instead of 'image', or unset them"
    )]
    Image,
    /// A variable holds something else than it should.
    #[error("{name} must be {expected}, found \"{found}\"")]
    Variable {
        /// The variable, or `model`.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl ModelReference {
    /// Puts the reference together: `COG_MODEL` alone, or `model` with each part that a variable overrules.
    pub fn resolve(
        image: Option<&str>,
        model: Option<&str>,
        variables: &Variables,
    ) -> Result<Self, ModelError> {
        let reference = if variables.model.is_empty() {
            Self::of_parts(model, variables)?
        } else {
            Self::of_text(&variables.model)?
        };
        match image {
            Some(_) => Err(ModelError::Image),
            None => Ok(reference),
        }
    }

    fn of_text(text: &str) -> Result<Self, ModelError> {
        let error = || ModelError::Variable {
            name: "COG_MODEL",
            expected: "a reference such as registry.example.com/owner/name:tag",
            found: text.to_owned(),
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:").ok_or_else(error)?;
            if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
        }
        let name: ImageName = name.parse().map_err(|_| error())?;
        let tag = name.tag().map(|tag| Version::Tag(tag.to_owned()));
        let version = digest
            .map(|digest| Version::Digest(digest.to_owned()))
            .or(tag);
        let bare = match name.tag() {
            Some(tag) => &name.as_str()[..name.as_str().len() - tag.len() - 1],
            None => name.as_str(),
        };
        let (registry, repository) = split(bare);
        Ok(Self {
            registry: host(registry).to_owned(),
            repository: of_docker(registry, repository),
            version,
        })
    }

    fn of_parts(model: Option<&str>, variables: &Variables) -> Result<Self, ModelError> {
        let Variables {
            registry,
            repository,
            tag,
            default_registry,
            ..
        } = variables;
        let variable = |name, expected, found: &str| ModelError::Variable {
            name,
            expected,
            found: found.to_owned(),
        };
        if registry.contains(['/', '@'])
            || (!registry.is_empty() && format!("{registry}/x").parse::<ImageName>().is_err())
        {
            return Err(variable("COG_MODEL_REGISTRY", "a host alone", registry));
        }
        if repository.contains([':', '@'])
            || (!repository.is_empty() && repository.parse::<ImageName>().is_err())
        {
            return Err(variable(
                "COG_MODEL_REPO",
                "a repository without host, tag and digest",
                repository,
            ));
        }
        if tag.starts_with(RESERVED) {
            return Err(variable(
                "COG_MODEL_TAG",
                "a tag that does not start with \"cog-\", which is reserved",
                tag,
            ));
        }
        if !tag.is_empty() && format!("x:{tag}").parse::<ImageName>().is_err() {
            return Err(variable("COG_MODEL_TAG", "a tag", tag));
        }
        let base = model
            .map(|model| {
                model
                    .parse::<ImageName>()
                    .ok()
                    .filter(|name| name.tag().is_none())
                    .ok_or_else(|| variable("model", "a repository without tag and digest", model))
            })
            .transpose()?;
        let base = base.as_ref().map(|name| split(name.as_str()));
        let registry_of_base = base.map(|(registry, _)| host(registry));
        let or = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let repository = or(repository)
            .or_else(|| base.map(|(registry, repository)| of_docker(registry, repository)))
            .ok_or(ModelError::Missing)?;
        Ok(Self {
            registry: or(registry)
                .or(registry_of_base.map(str::to_owned))
                .or_else(|| or(default_registry))
                .unwrap_or_else(|| REGISTRY.to_owned()),
            repository,
            version: or(tag).map(Version::Tag),
        })
    }
}

/// Host and repository of a name.
fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host), rest)
        }
        _ => (None, name),
    }
}

/// The host of a registry; Docker's own, which names leave out, has two names.
fn host(registry: Option<&str>) -> &str {
    match registry {
        None | Some("docker.io") => DOCKER,
        Some(registry) => registry,
    }
}

/// Docker's registry keeps names without an owner below `library`.
fn of_docker(registry: Option<&str>, repository: &str) -> String {
    if host(registry) == DOCKER && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_overrule_parts() {
        let variables = Variables {
            tag: "v2".into(),
            ..Variables::default()
        };
        let found =
            ModelReference::resolve(None, Some("localhost:5000/acme/m"), &variables).unwrap();
        assert_eq!(
            (found.registry.as_str(), found.repository.as_str()),
            ("localhost:5000", "acme/m")
        );
        assert_eq!(found.version, Some(Version::Tag("v2".into())));
        let found = ModelReference::resolve(
            None,
            None,
            &Variables {
                repository: "a/x".into(),
                ..Variables::default()
            },
        );
        assert_eq!(found.unwrap().registry, "r8.im");
        let variables = Variables {
            repository: "a/x".into(),
            default_registry: "ghcr.io".into(),
            ..Variables::default()
        };
        let registry = |model| {
            let found = ModelReference::resolve(None, model, &variables);
            found.unwrap().registry
        };
        assert_eq!(registry(None), "ghcr.io");
        assert_eq!(registry(Some("localhost:5000/acme/m")), "localhost:5000");
    }

    #[test]
    fn registries_have_addresses_of_version_6() {
        let address = Some("[::1]:5000".to_owned());
        for (model, variables) in [
            (Some("[::1]:5000/a/b"), Variables::default()),
            (
                None,
                Variables {
                    model: "[::1]:5000/a/b".into(),
                    ..Variables::default()
                },
            ),
            (
                Some("a/b"),
                Variables {
                    registry: "[::1]:5000".into(),
                    ..Variables::default()
                },
            ),
        ] {
            let found = ModelReference::resolve(None, model, &variables).unwrap();
            assert_eq!(Some(found.registry), address);
            assert_eq!((found.repository.as_str(), found.version), ("a/b", None));
        }
        let variables = Variables {
            model: "[::1]/a/b:v1".into(),
            ..Variables::default()
        };
        let found = ModelReference::resolve(None, None, &variables).unwrap();
        assert_eq!(
            (found.registry.as_str(), found.repository.as_str()),
            ("[::1]", "a/b")
        );
        assert_eq!(found.version, Some(Version::Tag("v1".into())));
    }

    #[test]
    fn the_registry_of_docker_has_one_name() {
        for (model, repository) in [
            ("acme/m", "acme/m"),
            ("docker.io/acme/m", "acme/m"),
            ("index.docker.io/m", "library/m"),
            ("m", "library/m"),
        ] {
            let found = ModelReference::resolve(None, Some(model), &Variables::default()).unwrap();
            assert_eq!(
                (found.registry.as_str(), found.repository.as_str()),
                ("index.docker.io", repository),
                "{model}"
            );
        }
    }

    #[test]
    fn a_model_is_a_repository() {
        let error = ModelReference::resolve(None, Some("acme/m:v1"), &Variables::default());
        assert!(error.unwrap_err().to_string().contains("acme/m:v1"));
    }

    #[test]
    fn wrong_variables_are_named() {
        for (variables, name) in [
            (
                Variables {
                    tag: "cog-x".into(),
                    ..Variables::default()
                },
                "COG_MODEL_TAG",
            ),
            (
                Variables {
                    registry: "a/b".into(),
                    ..Variables::default()
                },
                "COG_MODEL_REGISTRY",
            ),
            (
                Variables {
                    repository: "a:v1".into(),
                    ..Variables::default()
                },
                "COG_MODEL_REPO",
            ),
            (
                Variables {
                    model: "A B".into(),
                    ..Variables::default()
                },
                "COG_MODEL",
            ),
        ] {
            let error = ModelReference::resolve(None, Some("a/m"), &variables).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        assert_eq!(
            ModelReference::resolve(None, None, &Variables::default()),
            Err(ModelError::Missing)
        );
    }
}
