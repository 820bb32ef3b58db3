//! From a reference to a model: in the engine, in the registry, or in one after the other.

use std::collections::BTreeMap;
use std::fmt;

use llb::value::ImageRef;
use llb::value::reference::ReferenceError;

use super::{Model, NoModel, Origin};

/// Where images are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResolveMode {
    /// In the engine, then in the registry.
    #[default]
    PreferLocal,
    /// In the registry, then in the engine.
    PreferRemote,
    /// In the engine only.
    Local,
    /// In the registry only.
    Remote,
}

impl ResolveMode {
    fn order(self) -> &'static [Origin] {
        match self {
            Self::PreferLocal => &[Origin::Local, Origin::Remote],
            Self::PreferRemote => &[Origin::Remote, Origin::Local],
            Self::Local => &[Origin::Local],
            Self::Remote => &[Origin::Remote],
        }
    }
}

/// What is known of an image that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundImage {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Digest of its manifest or index.
    pub digest: Option<String>,
    /// Size of its layers in bytes.
    pub size: Option<u64>,
}

/// A place where images are.
pub trait ImageStore {
    /// Why nothing can be said about an image.
    type Error;

    /// Looks an image up. That there is none is no error.
    fn find(
        &self,
        reference: &ImageRef,
    ) -> impl Future<Output = Result<Option<FoundImage>, Self::Error>> + Send;
}

/// Why there is no model.
#[derive(Debug)]
pub enum ResolveError<E> {
    /// The text is no reference.
    Reference(ReferenceError),
    /// A store could not be asked. Others are not tried then: what they have may be another image.
    Store(E),
    /// No store has it.
    NotFound {
        /// The reference.
        reference: String,
        /// Where it was looked for.
        looked: &'static [Origin],
    },
    /// The image is no model.
    NoModel(NoModel),
}

impl<E: fmt::Display> fmt::Display for ResolveError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(error) => error.fmt(formatter),
            Self::Store(error) => error.fmt(formatter),
            Self::NoModel(error) => error.fmt(formatter),
            Self::NotFound { reference, looked } => {
                let places: Vec<_> = looked
                    .iter()
                    .map(|origin| match origin {
                        Origin::Local => "in the engine",
                        Origin::Remote => "in its registry",
                    })
                    .collect();
                write!(
                    formatter,
                    "there is no image `{reference}` {}",
                    places.join(" or ")
                )
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ResolveError<E> {}

/// Finds models.
#[derive(Clone, Debug)]
pub struct Resolver<L, R> {
    local: L,
    remote: R,
    mode: ResolveMode,
    default_registry: Option<String>,
}

impl<L, R> Resolver<L, R>
where
    L: ImageStore + Sync,
    R: ImageStore<Error = L::Error> + Sync,
{
    /// A resolver over two stores.
    pub fn new(local: L, remote: R, mode: ResolveMode) -> Self {
        Self {
            local,
            remote,
            mode,
            default_registry: None,
        }
    }

    /// The registry of references that name none, instead of Docker's.
    #[must_use = "returns the changed resolver"]
    pub fn default_registry(mut self, host: impl Into<String>) -> Self {
        self.default_registry = Some(host.into());
        self
    }

    /// Finds a model. The text is read once, and every store is asked for the same reference.
    pub async fn resolve(&self, text: &str) -> Result<Model, ResolveError<L::Error>> {
        let reference = self.reference(text).map_err(ResolveError::Reference)?;
        let looked = self.mode.order();
        for origin in looked {
            let found = match origin {
                Origin::Local => self.local.find(&reference).await,
                Origin::Remote => self.remote.find(&reference).await,
            };
            if let Some(found) = found.map_err(ResolveError::Store)? {
                return Model::of_image(&reference, *origin, found).map_err(ResolveError::NoModel);
            }
        }
        Err(ResolveError::NotFound {
            reference: reference.as_str().to_owned(),
            looked,
        })
    }

    fn reference(&self, text: &str) -> Result<ImageRef, ReferenceError> {
        let reference = ImageRef::parse(text)?;
        match &self.default_registry {
            Some(host) if !names_host(text) => ImageRef::parse(&format!("{host}/{text}")),
            _ => Ok(reference),
        }
    }
}

/// Whether a reference that can be read starts with a host.
fn names_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(first, _)| {
        first == "localhost"
            || first.contains(['.', ':'])
            || first.chars().any(|c| c.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one image, with none, or out of order.
    #[derive(Clone, Copy)]
    struct Store(Result<Option<&'static str>, &'static str>);

    impl ImageStore for Store {
        type Error = &'static str;

        async fn find(&self, reference: &ImageRef) -> Result<Option<FoundImage>, &'static str> {
            assert_eq!(reference.as_str(), "registry.example.com/acme/m:latest");
            let config = ("run.cog.config".to_owned(), "{}".to_owned());
            Ok(self.0?.map(|digest| FoundImage {
                labels: BTreeMap::from([config]),
                digest: Some(digest.to_owned()),
                size: None,
            }))
        }
    }

    const HERE: Store = Store(Ok(Some("sha256:here")));
    const THERE: Store = Store(Ok(Some("sha256:there")));
    const NOWHERE: Store = Store(Ok(None));
    const BROKEN: Store = Store(Err("no login"));

    fn resolve(local: Store, remote: Store, mode: ResolveMode) -> Result<(Origin, String), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let resolver = Resolver::new(local, remote, mode).default_registry("registry.example.com");
        runtime
            .block_on(resolver.resolve("acme/m"))
            .map(|model| (model.origin, model.digest.unwrap()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn stores_are_asked_in_the_order_of_the_mode() {
        let here = Ok((Origin::Local, "sha256:here".to_owned()));
        let there = Ok((Origin::Remote, "sha256:there".to_owned()));
        for (local, remote, mode, expected) in [
            (HERE, THERE, ResolveMode::PreferLocal, &here),
            (NOWHERE, THERE, ResolveMode::PreferLocal, &there),
            (HERE, THERE, ResolveMode::PreferRemote, &there),
            (HERE, NOWHERE, ResolveMode::PreferRemote, &here),
            (HERE, BROKEN, ResolveMode::Local, &here),
            (BROKEN, THERE, ResolveMode::Remote, &there),
        ] {
            assert_eq!(&resolve(local, remote, mode), expected);
        }
    }

    #[test]
    fn only_what_is_not_there_is_looked_for_elsewhere() {
        for (local, remote, mode, expected) in [
            (BROKEN, THERE, ResolveMode::PreferLocal, "no login"),
            (HERE, BROKEN, ResolveMode::PreferRemote, "no login"),
            (
                NOWHERE,
                NOWHERE,
                ResolveMode::PreferLocal,
                "there is no image `registry.example.com/acme/m:latest` in the engine or in its registry",
            ),
            (
                NOWHERE,
                THERE,
                ResolveMode::Local,
                "there is no image `registry.example.com/acme/m:latest` in the engine",
            ),
        ] {
            assert_eq!(resolve(local, remote, mode), Err(expected.to_owned()));
        }
    }
}
