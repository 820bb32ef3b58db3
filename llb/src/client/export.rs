//! What becomes of a build's result.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Engine;
use super::attribute;
use super::error::{Error, ErrorKind};
use crate::proto::moby::buildkit::v1::Exporter;
use crate::session::{Sink, Target, TargetKind};

/// Name of the image config among the metadata of a result, and among the attributes of an export.
pub(super) const IMAGE_CONFIG: &str = "containerimage.config";

/// Attributes of BuildKit's exporters.
const KNOWN: &[&str] = &[
    "attestation-prefix",
    "buildinfo",
    "compression",
    "compression-level",
    "containerimage.config",
    "dangling-name-prefix",
    "force-compression",
    "mode",
    "name",
    "name-canonical",
    "oci-artifact",
    "oci-mediatypes",
    "platform-split",
    "prefer-nondist-layers",
    "push",
    "push-by-digest",
    "registry.insecure",
    "rewrite-timestamp",
    "source-date-epoch",
    "store",
    "tar",
    "unpack",
];

/// How the layers of an image are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    Uncompressed,
    /// gzip, what every registry and engine takes.
    Gzip,
    /// gzip that can be pulled file by file (stargz).
    Estargz,
    /// zstd, smaller and faster; for registries and engines of the last years.
    Zstd,
}

impl Compression {
    /// BuildKit's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Estargz => "estargz",
            Self::Zstd => "zstd",
        }
    }
}

/// One export of a build's result: an image, an archive, or files.
///
/// Local outputs appear under their name only when the whole build has succeeded; a failed build
/// leaves nothing behind.
///
/// ```
/// use llb::client::Export;
///
/// let pushed = Export::image("registry.example/me/model:1")
///     .push(true)
///     .config(br#"{"architecture":"amd64","os":"linux","config":{"Cmd":["serve"]}}"#.as_slice())
///     .annotation("org.opencontainers.image.title", "model");
/// let archive = Export::oci("model.tar");
/// let files = Export::local("out");
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    kind: Kind,
    output: Option<PathBuf>,
    sink: Option<Sink>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// An image in the daemon's own store: `moby` on Docker engines, `image` elsewhere.
    Image,
    Oci,
    OciDirectory,
    Docker,
    DockerDirectory,
    Tar,
    Local,
}

/// An export, made out for one daemon.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) exporter: Exporter,
    /// What to serve for it.
    pub(crate) target: Option<Target>,
    /// The directory that becomes an OCI layout.
    pub(crate) layout: Option<PathBuf>,
    /// The names the engine has to push when the build has succeeded.
    pub(crate) push: Vec<String>,
    /// The image config that has to come with the build's result.
    pub(crate) config: Option<String>,
    /// Whether the exporter takes the time of the image from its config alone.
    pub(crate) needs_time: bool,
}

impl Export {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            output: None,
            sink: None,
            attributes: BTreeMap::new(),
        }
    }

    fn to(kind: Kind, output: impl Into<PathBuf>) -> Self {
        Self {
            output: Some(output.into()),
            ..Self::new(kind)
        }
    }

    fn into_sink(kind: Kind, writer: impl io::Write + Send + 'static) -> Self {
        Self {
            sink: Some(Sink::new(writer)),
            ..Self::new(kind)
        }
    }

    /// An image with a name: into the image store of a Docker engine, or for buildkitd into its
    /// own. Several names are separated by commas.
    pub fn image(name: impl Into<String>) -> Self {
        Self::new(Kind::Image).attribute("name", name)
    }

    /// An image without a name. On a Docker engine it is found by its digest.
    pub fn unnamed_image() -> Self {
        Self::new(Kind::Image)
    }

    /// An image as an OCI archive, in a file.
    pub fn oci(file: impl Into<PathBuf>) -> Self {
        Self::to(Kind::Oci, file)
    }

    /// An image as an OCI archive, to a writer such as standard output. It gets what there is also if the
    /// build fails later.
    pub fn oci_to(writer: impl io::Write + Send + 'static) -> Self {
        Self::into_sink(Kind::Oci, writer)
    }

    /// An image as an archive for `docker load`, in a file.
    pub fn docker_archive(file: impl Into<PathBuf>) -> Self {
        Self::to(Kind::Docker, file)
    }

    /// An image as an archive for `docker load`, to a writer such as standard output. It gets what there is also if the
    /// build fails later.
    pub fn docker_archive_to(writer: impl io::Write + Send + 'static) -> Self {
        Self::into_sink(Kind::Docker, writer)
    }

    /// An image as an OCI layout, in a directory. A layout that is there gets one more image. One for each build.
    pub fn oci_directory(directory: impl Into<PathBuf>) -> Self {
        Self::to(Kind::OciDirectory, directory).attribute("tar", "false")
    }

    /// An image as an OCI layout with Docker's media types, in a directory. One for each build.
    pub fn docker_directory(directory: impl Into<PathBuf>) -> Self {
        Self::to(Kind::DockerDirectory, directory).attribute("tar", "false")
    }

    /// The files of the result as a tar archive, in a file.
    pub fn tar(file: impl Into<PathBuf>) -> Self {
        Self::to(Kind::Tar, file)
    }

    /// The files of the result as a tar archive, to a writer such as standard output. It gets what there is also if the
    /// build fails later.
    pub fn tar_to(writer: impl io::Write + Send + 'static) -> Self {
        Self::into_sink(Kind::Tar, writer)
    }

    /// The files of the result, in a directory. What is there stays, unless a file of the result
    /// has the same name.
    pub fn local(directory: impl Into<PathBuf>) -> Self {
        Self::to(Kind::Local, directory)
    }

    /// Names the image of an archive.
    #[must_use = "the settings are in the value returned"]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.attribute("name", name)
    }

    /// Whether to push the image to its registry. Images only. A Docker engine without containerd's
    /// image store pushes it itself when the build has succeeded.
    #[must_use = "the settings are in the value returned"]
    pub fn push(self, push: bool) -> Self {
        self.attribute("push", push.to_string())
    }

    /// The image config as OCI JSON: what the image runs, its environment, its labels.
    #[must_use = "the settings are in the value returned"]
    pub fn config(self, json: impl Into<Vec<u8>>) -> Self {
        let json = String::from_utf8_lossy(&json.into()).into_owned();
        self.attribute(IMAGE_CONFIG, json)
    }

    /// An annotation of the image manifest. A Docker engine without containerd's image store has no
    /// manifests and drops it.
    #[must_use = "the settings are in the value returned"]
    pub fn annotation(self, key: &str, value: impl Into<String>) -> Self {
        self.attribute(format!("annotation.{key}"), value)
    }

    /// How new layers are compressed. Layers that are there, such as those of a base image, stay as they are, unless
    /// `force` is set.
    #[must_use = "the settings are in the value returned"]
    pub fn compression(self, kind: Compression, force: bool) -> Self {
        self.attribute("compression", kind.as_str())
            .attribute("force-compression", force.to_string())
    }

    /// Whether manifests and layers have OCI's media types, or Docker's.
    #[must_use = "the settings are in the value returned"]
    pub fn oci_media_types(self, oci: bool) -> Self {
        self.attribute("oci-mediatypes", oci.to_string())
    }

    /// Whether times of files are no later than [`Solve::source_date_epoch`](super::Solve::source_date_epoch), so that
    /// the same files give the same image.
    #[must_use = "the settings are in the value returned"]
    pub fn rewrite_timestamp(self, rewrite: bool) -> Self {
        self.attribute("rewrite-timestamp", rewrite.to_string())
    }

    /// Whether to push without a tag: the image is found by its digest only.
    #[must_use = "the settings are in the value returned"]
    pub fn push_by_digest(self, by_digest: bool) -> Self {
        self.attribute("push-by-digest", by_digest.to_string())
    }

    /// Any attribute of the exporter, by BuildKit's name: `compression`, `rewrite-timestamp`, ...
    #[must_use = "the settings are in the value returned"]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// Where the local output goes.
    pub fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// What the export is for a daemon. `position` is that of the export in the request.
    pub(crate) fn resolve(&self, engine: &Engine, position: usize) -> Result<Resolved, Error> {
        let (name, target) = match self.kind {
            Kind::Image if *engine == Engine::BuildKit => ("image", None),
            Kind::Image => ("moby", None),
            Kind::Oci => ("oci", Some(TargetKind::File)),
            Kind::OciDirectory => ("oci", None),
            Kind::Docker => ("docker", Some(TargetKind::File)),
            Kind::DockerDirectory => ("docker", None),
            Kind::Tar => ("tar", Some(TargetKind::File)),
            Kind::Local => ("local", Some(TargetKind::Directory)),
        };
        let refuse = |what: &str| {
            Error::new(
                ErrorKind::Request,
                format!("export {} (`{name}`) {what}", position + 1),
            )
        };
        let without_store = matches!(
            engine,
            Engine::Docker {
                image_store: false,
                ..
            }
        );
        let is_archive = matches!(
            self.kind,
            Kind::Oci | Kind::OciDirectory | Kind::Docker | Kind::DockerDirectory
        );
        if without_store && is_archive {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this Docker engine cannot export images as archives",
            )
            .hint("turn on its containerd image store, or export an image and use `docker save`"));
        }
        attribute::check(&self.attributes, KNOWN).map_err(|what| refuse(&what))?;
        let pushes = self
            .attributes
            .get("push")
            .is_some_and(|push| push != "false");
        if pushes && self.kind != Kind::Image {
            return Err(refuse("cannot be pushed").hint("push an `Export::image`"));
        }
        if pushes && self.attributes.get("name").is_none_or(String::is_empty) {
            return Err(refuse("is pushed without a name").hint("name it with `Export::image`"));
        }
        if let Some(config) = self.attributes.get(IMAGE_CONFIG) {
            if matches!(self.kind, Kind::Tar | Kind::Local) {
                return Err(refuse("has an image config, but is no image"));
            }
            if serde_json::from_str::<serde_json::Value>(config).is_err() {
                return Err(refuse("has an image config that is not JSON"));
            }
        }
        // Without a target the daemon would wait for ever, so a missing output ends here.
        let target = match (target, &self.output) {
            (Some(_), _) if self.sink.is_some() => self.sink.clone().map(Target::stream),
            (Some(kind), Some(output)) => Some(Target::new(kind, output)?),
            (Some(_), None) => return Err(refuse("has no output path")),
            (None, _) => None,
        };
        let layout = matches!(self.kind, Kind::OciDirectory | Kind::DockerDirectory)
            .then(|| self.output.clone())
            .flatten();
        let mut exporter = Exporter {
            r#type: name.to_owned(),
            attrs: self.attributes.clone(),
        };
        let mut push = Vec::new();
        let mut config = None;
        if without_store && self.kind == Kind::Image {
            // The exporter of such an engine ignores both attributes without a word.
            config = exporter.attrs.remove(IMAGE_CONFIG);
            if exporter.attrs.remove("push").is_some() && pushes {
                let names = self.attributes.get("name").map_or("", String::as_str);
                push.extend(names.split(',').map(str::to_owned));
            }
        }
        Ok(Resolved {
            exporter,
            target,
            layout,
            push,
            config,
            needs_time: without_store && self.kind == Kind::Image,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: Engine = Engine::Docker {
        api_version: None,
        image_store: true,
    };
    const OLD_DOCKER: Engine = Engine::Docker {
        api_version: None,
        image_store: false,
    };

    #[test]
    fn images_go_to_the_store_of_the_engine() {
        let export = Export::image("me/model");
        let resolved = export.resolve(&DOCKER, 0).unwrap();
        assert_eq!(resolved.exporter.r#type, "moby");
        assert!(resolved.target.is_none());
        let resolved = export.resolve(&Engine::BuildKit, 0).unwrap();
        assert_eq!(resolved.exporter.r#type, "image");
    }

    #[test]
    fn what_an_exporter_would_ignore_is_done_otherwise() {
        let export = Export::image("me/a,me/b").push(true);
        for (engine, push, names) in [
            (Engine::BuildKit, true, &[][..]),
            (DOCKER, true, &[]),
            (OLD_DOCKER, false, &["me/a", "me/b"]),
        ] {
            let resolved = export.resolve(&engine, 0).unwrap();
            assert_eq!(resolved.exporter.attrs.contains_key("push"), push);
            assert_eq!(resolved.push, names);
        }
        let archive = Export::oci("model.tar").resolve(&OLD_DOCKER, 0);
        assert_eq!(archive.unwrap_err().kind(), ErrorKind::Unsupported);
        let resolved = export.config("{}").resolve(&OLD_DOCKER, 0).unwrap();
        assert_eq!(resolved.config.as_deref(), Some("{}"));
    }

    #[test]
    fn exports_that_cannot_work_are_refused() {
        let home = tempfile::tempdir().unwrap();
        for (export, part) in [
            (
                Export::tar(home.path().join("x")).push(true),
                "cannot be pushed",
            ),
            (Export::unnamed_image().push(true), "without a name"),
            (Export::image("a").config("{"), "not JSON"),
            (Export::local(home.path()).config("{}"), "no image"),
            (Export::tar(home.path()), "is a directory"),
            (
                Export::image("a").attribute("compresion", "zstd"),
                "did you mean `compression`",
            ),
            (
                Export::image("a").attribute("compression", "lzma"),
                "expected uncompressed, gzip",
            ),
            (
                Export::image("a").attribute("push", "yes"),
                "expected true or false",
            ),
            (
                Export::oci(home.path().join("no/such/dir.tar")),
                "parent directory",
            ),
        ] {
            let error = export.resolve(&Engine::BuildKit, 0).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
