//! Build caches outside of the daemon.

mod environment;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::attribute;
use super::error::{Error, ErrorKind};
use crate::proto::moby::buildkit::v1::CacheOptionsEntry;
use crate::session::{Layout, ManifestName};

/// The tag of a cache in a directory, unless another is given.
const TAG: &str = "latest";

/// Where a build cache is kept.
///
/// ```
/// use llb::client::CacheOption;
///
/// let shared = CacheOption::registry("registry.example/me/cache").attribute("mode", "max");
/// let here = CacheOption::local("target/cache");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct CacheOption {
    kind: String,
    attributes: BTreeMap<String, String>,
    directory: Option<PathBuf>,
}

/// Whether a cache is written or read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Direction {
    Write,
    Read,
}

/// A cache that is ready to be sent.
#[derive(Debug)]
pub(super) struct OpenCache {
    pub(super) entry: CacheOptionsEntry,
    pub(super) layout: Option<OpenLayout>,
}

/// A layout of this machine that takes part in a build.
#[derive(Debug)]
pub(super) struct OpenLayout {
    /// The name the daemon calls it by.
    pub(super) store: String,
    pub(super) layout: Arc<Layout>,
    /// Names for the manifest that the build writes into it.
    pub(super) names: Vec<ManifestName>,
}

impl CacheOption {
    /// A cache of any kind the daemon knows: `registry`, `local`, `inline`, `gha`, `s3`, `azblob`, ...
    ///
    /// Attributes that are not given are taken from the environment, as buildx does:
    ///
    /// - `gha`: `ACTIONS_CACHE_URL`, `ACTIONS_RESULTS_URL`, `ACTIONS_RUNTIME_TOKEN`, `ACTIONS_CACHE_SERVICE_V2`
    /// - `s3`: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`
    ///
    /// Bucket, region and the account of `azblob` are attributes, or in the environment of the daemon.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            attributes: BTreeMap::new(),
            directory: None,
        }
    }

    /// A cache in a registry.
    pub fn registry(reference: impl Into<String>) -> Self {
        Self::new("registry").attribute("ref", reference)
    }

    /// A cache in a directory of this machine, an OCI layout. Written, it is made if it is not there; read, a directory
    /// that is not there yet is no mistake: nothing is read from it, and progress has a warning.
    pub fn local(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            ..Self::new("local")
        }
    }

    /// A cache inside the image that is exported. It has what the image needs, and is read with
    /// [`CacheOption::registry`].
    pub fn inline() -> Self {
        Self::new("inline")
    }

    /// An attribute of the cache, by BuildKit's name: `mode` (`min`, only what the result needs, or `max`),
    /// `compression`, `ignore-error`, ...
    #[must_use = "the settings are in the value returned"]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// Opens the cache; a text instead of it says why it is passed over.
    pub(super) fn open(&self, direction: Direction) -> Result<Result<OpenCache, String>, Error> {
        self.open_in(direction, |name| std::env::var(name).ok())
    }

    /// Opens the cache in an environment.
    fn open_in(
        &self,
        direction: Direction,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Result<OpenCache, String>, Error> {
        let mut attributes = self.attributes.clone();
        if self.kind == "s3" {
            environment::add_aws(&mut attributes, &variable);
        }
        self.check(direction, &attributes)?;
        match self.kind.as_str() {
            "gha" => environment::add_actions(&mut attributes, &variable)?,
            "local" => return self.open_local(direction, attributes),
            _ => {}
        }
        if direction == Direction::Write && self.kind != "inline" {
            attributes
                .entry("mode".into())
                .or_insert_with(|| "min".into());
        }
        Ok(Ok(OpenCache {
            entry: CacheOptionsEntry {
                r#type: self.kind.clone(),
                attrs: attributes,
            },
            layout: None,
        }))
    }

    fn open_local(
        &self,
        direction: Direction,
        mut attributes: BTreeMap<String, String>,
    ) -> Result<Result<OpenCache, String>, Error> {
        let key = match direction {
            Direction::Write => "dest",
            Direction::Read => "src",
        };
        let directory = match (&self.directory, attributes.get(key)) {
            (Some(directory), _) => directory.clone(),
            (None, Some(directory)) => directory.into(),
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::Request,
                    format!("cache of kind `local` lacks its directory, the attribute `{key}`"),
                ));
            }
        };
        let tag = attributes.remove("tag").unwrap_or_else(|| TAG.to_owned());
        let shown = directory.display().to_string();
        let layout = match direction {
            Direction::Write => Layout::write(&directory).map_err(|error| {
                let text = format!("cannot write a cache to {shown}: {error}");
                Error::new(ErrorKind::Export, text).caused_by(error)
            })?,
            Direction::Read => {
                let digest = attributes.get("digest").map(String::as_str);
                match open_to_read(&directory, &tag, digest) {
                    Ok((layout, digest)) => {
                        attributes.insert("digest".into(), digest);
                        layout
                    }
                    Err(reason) => {
                        return Ok(Err(format!("cache at {shown} is not read: {reason}")));
                    }
                }
            }
        };
        if direction == Direction::Write {
            attributes
                .entry("mode".into())
                .or_insert_with(|| "min".into());
        }
        attributes.insert(key.to_owned(), shown.clone());
        Ok(Ok(OpenCache {
            entry: CacheOptionsEntry {
                r#type: self.kind.clone(),
                attrs: attributes,
            },
            layout: Some(OpenLayout {
                store: format!("local:{shown}"),
                layout: Arc::new(layout),
                names: match direction {
                    Direction::Write => vec![ManifestName::Tag(tag)],
                    Direction::Read => Vec::new(),
                },
            }),
        }))
    }

    fn check(
        &self,
        direction: Direction,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let refuse = |what: String| {
            let kind = &self.kind;
            Error::new(ErrorKind::Request, format!("cache of kind `{kind}` {what}"))
        };
        let Some(known) = known_attributes(&self.kind) else {
            // Kinds that only a newer daemon knows are for it to check.
            return match attribute::nearest(&self.kind, KINDS) {
                Some(kind) if kind != self.kind => {
                    Err(refuse(format!("is none, did you mean `{kind}`?")))
                }
                _ => Ok(()),
            };
        };
        let all: Vec<&str> = known.iter().chain(COMMON).copied().collect();
        attribute::check(attributes, &all).map_err(&refuse)?;
        let lacks = |key: &str| attributes.get(key).is_none_or(String::is_empty);
        match (self.kind.as_str(), direction) {
            ("registry", _) if lacks("ref") => Err(refuse(
                "lacks the image it is kept in, the attribute `ref`".into(),
            )),
            ("s3", _) if lacks("access_key_id") != lacks("secret_access_key") => Err(refuse(
                "has one of `access_key_id` and `secret_access_key`, expected both or none".into(),
            )
            .hint("without them the daemon takes what its own environment has")),
            ("azblob", _) if attributes.get("account_url").is_some_and(|url| !is_address(url)) => Err(refuse(
                "has an `account_url` that is no address, expected something like `https://account.blob.core.windows.net`".into(),
            )),
            ("inline", Direction::Read) => Err(refuse("is written only".into())
                .hint("read it from its image, with a cache of kind `registry`")),
            _ => Ok(()),
        }
    }
}

/// Tokens are attributes too, so only the names of attributes are shown.
impl fmt::Debug for CacheOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CacheOption")
            .field("kind", &self.kind)
            .field("directory", &self.directory)
            .field("attributes", &self.attributes.keys())
            .finish()
    }
}

const KINDS: &[&str] = &["registry", "local", "inline", "gha", "s3", "azblob"];

/// Attributes of all caches.
const COMMON: &[&str] = &[
    "mode",
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "image-manifest",
    "ignore-error",
];

/// The attributes of a kind, from BuildKit's `cache/remotecache`.
fn known_attributes(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "registry" => &["ref", "registry.insecure"],
        "local" => &["src", "dest", "digest", "tag"],
        "inline" => &[],
        "gha" => &[
            "scope",
            "timeout",
            "token",
            "url",
            "url_v2",
            "repository",
            "ghtoken",
            "version",
        ],
        "s3" => &[
            "bucket",
            "region",
            "prefix",
            "manifests_prefix",
            "blobs_prefix",
            "name",
            "touch_refresh",
            "endpoint_url",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "use_path_style",
            "upload_parallelism",
            "disable_accept_encoding",
            "retry_mode",
            "retry_max_attempts",
        ],
        "azblob" => &[
            "account_url",
            "account_name",
            "secret_access_key",
            "container",
            "prefix",
            "manifests_prefix",
            "blobs_prefix",
            "name",
        ],
        _ => return None,
    })
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty())
}

fn open_to_read(
    directory: &Path,
    tag: &str,
    digest: Option<&str>,
) -> Result<(Layout, String), String> {
    let layout = Layout::read(directory).map_err(|error| error.to_string())?;
    let digest = if let Some(digest) = digest {
        digest.to_owned()
    } else {
        let found = layout.find(tag).map_err(|error| error.to_string())?;
        let found = found.as_ref().and_then(|found| found["digest"].as_str());
        let found = found.ok_or_else(|| format!("its index has no tag `{tag}`"))?;
        found.to_owned()
    };
    let is_there = layout.blob(&digest).is_some_and(|blob| blob.is_file());
    if is_there {
        Ok((layout, digest))
    } else {
        Err(format!("it has no blob {digest}"))
    }
}

/// The manifest of a cache that a build has written.
pub(super) fn manifest(answers: &BTreeMap<String, String>) -> Option<Value> {
    serde_json::from_str(answers.get("cache.manifest")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn caches_that_cannot_work_are_refused() {
        for (cache, direction, part) in [
            (CacheOption::new("registry"), Direction::Read, "`ref`"),
            (CacheOption::new("local"), Direction::Read, "`src`"),
            (CacheOption::new("local"), Direction::Write, "`dest`"),
            (CacheOption::inline(), Direction::Read, "written only"),
            (
                CacheOption::new("registri"),
                Direction::Read,
                "did you mean `registry`",
            ),
            (
                CacheOption::registry("a/b").attribute("mode", "maximal"),
                Direction::Write,
                "expected min or max",
            ),
            (
                CacheOption::new("s3").attribute("buckt", "a"),
                Direction::Write,
                "did you mean `bucket`",
            ),
            (
                CacheOption::new("s3").attribute("access_key_id", "a"),
                Direction::Read,
                "`access_key_id` and `secret_access_key`, expected both or none",
            ),
            (
                CacheOption::new("s3").attribute("upload_parallelism", "0"),
                Direction::Write,
                "expected a number above 0",
            ),
            (
                CacheOption::new("s3").attribute("retry_mode", "often"),
                Direction::Write,
                "expected standard or adaptive",
            ),
            (
                CacheOption::new("azblob").attribute("account_url", "account"),
                Direction::Write,
                "no address",
            ),
            (
                CacheOption::new("azblob").attribute("acount_name", "a"),
                Direction::Read,
                "did you mean `account_name`",
            ),
            (
                CacheOption::new("gha").attribute("scop", "a"),
                Direction::Read,
                "did you mean `scope`",
            ),
            (
                CacheOption::registry("a/b").attribute("ignore-error", "maybe"),
                Direction::Write,
                "expected true or false",
            ),
        ] {
            let error = cache.open_in(direction, nothing).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn attributes_of_services_are_passed_as_they_are() {
        let s3 = [
            ("bucket", "b"),
            ("region", "eu-west-1"),
            ("endpoint_url", "http://127.0.0.1:9000"),
            ("access_key_id", "a"),
            ("secret_access_key", "s"),
            ("use_path_style", "true"),
            ("upload_parallelism", "8"),
            ("retry_mode", "adaptive"),
        ];
        let azblob = [
            ("account_url", "https://a.blob.core.windows.net"),
            ("container", "cache"),
            ("secret_access_key", "s"),
        ];
        let gha = [("url", "https://cache"), ("token", "t"), ("scope", "main")];
        for (kind, attributes) in [("s3", &s3[..]), ("azblob", &azblob), ("gha", &gha)] {
            let cache = attributes
                .iter()
                .fold(CacheOption::new(kind), |cache, one| {
                    cache.attribute(one.0, one.1)
                });
            for (direction, mode) in [(Direction::Read, None), (Direction::Write, Some("min"))] {
                let entry = cache.open_in(direction, nothing).unwrap().unwrap().entry;
                assert_eq!(entry.r#type, kind);
                assert_eq!(entry.attrs.get("mode").map(String::as_str), mode);
                for (key, value) in attributes {
                    assert_eq!(entry.attrs[*key], *value, "{kind} {key}");
                }
            }
        }
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let cache = CacheOption::local(home.path().join("none"));
        let reason = cache.open(Direction::Read).unwrap().unwrap_err();
        assert!(reason.contains("is not read"), "{reason}");
        let open = cache.open(Direction::Write).unwrap().unwrap();
        assert_eq!(open.entry.attrs["mode"], "min");
        assert!(open.layout.unwrap().store.starts_with("local:/"));
    }

    type Attributes = &'static [(&'static str, &'static str)];

    /// What buildx sends for the same options, by reading its `util/buildflags` and BuildKit's `cache/remotecache`.
    #[test]
    fn caches_of_services_are_sent_as_buildx_sends_them() {
        let variable = |name: &str| {
            let value = match name {
                "ACTIONS_CACHE_URL" => "https://cache.example/",
                "ACTIONS_RESULTS_URL" => "https://results.example/",
                "ACTIONS_RUNTIME_TOKEN" => "runtime",
                "AWS_ACCESS_KEY_ID" => "id",
                "AWS_SECRET_ACCESS_KEY" => "secret",
                "AWS_SESSION_TOKEN" => "session",
                // Of the daemon's environment only.
                "AWS_REGION" | "AWS_BUCKET" | "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL" => "no",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let cases: [(&str, Attributes, Attributes); 6] = [
            (
                "gha",
                &[("scope", "main")],
                &[
                    ("scope", "main"),
                    ("token", "runtime"),
                    ("url", "https://cache.example/"),
                ],
            ),
            (
                "gha",
                &[("version", "2"), ("token", "mine")],
                &[
                    ("token", "mine"),
                    ("url", "https://cache.example/"),
                    ("url_v2", "https://results.example/"),
                    ("version", "2"),
                ],
            ),
            (
                "s3",
                &[("bucket", "b"), ("region", "r")],
                &[
                    ("access_key_id", "id"),
                    ("bucket", "b"),
                    ("region", "r"),
                    ("secret_access_key", "secret"),
                    ("session_token", "session"),
                ],
            ),
            (
                "s3",
                &[("access_key_id", "mine"), ("secret_access_key", "mine")],
                &[("access_key_id", "mine"), ("secret_access_key", "mine")],
            ),
            (
                "s3",
                &[("access_key_id", "mine")],
                &[
                    ("access_key_id", "mine"),
                    ("secret_access_key", "secret"),
                    ("session_token", "session"),
                ],
            ),
            ("azblob", &[("name", "a;b")], &[("name", "a;b")]),
        ];
        for (kind, given, sent) in cases {
            let cache = given.iter().fold(CacheOption::new(kind), |cache, one| {
                cache.attribute(one.0, one.1)
            });
            for (direction, mode) in [
                (Direction::Read, None),
                (Direction::Write, Some(("mode", "min"))),
            ] {
                let entry = cache.open_in(direction, variable).unwrap().unwrap().entry;
                let expected: BTreeMap<_, _> = sent.iter().copied().chain(mode).collect();
                let found: BTreeMap<_, _> = entry
                    .attrs
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                assert_eq!((entry.r#type.as_str(), found), (kind, expected));
            }
            assert!(!format!("{cache:?}").contains("mine"), "{cache:?}");
        }
    }
}
