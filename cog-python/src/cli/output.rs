//! `--output type=KIND[,dest=PATH][,name=NAME][,push=true][,…]`, as Docker's build command has it.

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use llb::client::{Engine, Export};

use crate::config::ImageName;

/// What exporters take besides, by BuildKit's names; values are BuildKit's to judge.
const ATTRIBUTES: &[&str] = &[
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "push-by-digest",
    "registry.insecure",
    "rewrite-timestamp",
    "store",
    "tar",
    "unpack",
];

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputOption {
    /// What it is there.
    pub(crate) kind: OutputKind,
    /// File or folder; `-` is standard output. Images of an engine have none.
    pub(crate) dest: Option<PathBuf>,
    /// Name of the image, if not the plan's.
    pub(crate) name: Option<ImageName>,
    /// Whether it is pushed.
    pub(crate) push: bool,
    /// Attributes for the exporter.
    pub(crate) attributes: Vec<(String, String)>,
}

/// What a result becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// An image in the store of the engine.
    Image,
    /// An OCI archive.
    Oci,
    /// An archive for `docker load`.
    Docker,
    /// The files as a tar archive.
    Tar,
    /// The files in a folder.
    Local,
}

impl OutputOption {
    /// Whether the engine keeps the result as an image, as opposed to handing it over or to sending it to a registry only.
    pub(crate) fn is_kept_by(&self, engine: &Engine) -> bool {
        // An engine with a graph driver has its images nowhere else, also those that it pushes.
        let has_graph_driver = matches!(
            engine,
            Engine::Docker {
                image_store: false,
                ..
            }
        );
        self.kind == OutputKind::Image && (has_graph_driver || !self.has("store", "false"))
    }
}

impl OutputKind {
    /// Whether it is an image, which has a configuration, as opposed to files.
    pub(crate) fn is_image(self) -> bool {
        !matches!(self, Self::Tar | Self::Local)
    }
}

/// Why a text names no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputError {
    /// A part without `=`.
    #[error("every part must be `key=value`, found `{0}`")]
    Part(String),
    /// An unknown key.
    #[error("unknown key `{0}`; known keys are `type`, `dest`, `name`, `push`, `annotation.NAME`, {known}", known = known())]
    Key(String),
    /// An unknown type.
    #[error("unknown type `{0}`; known types are `image`, `docker`, `oci`, `tar` and `local`")]
    Type(String),
    /// A type that writes to a path.
    #[error("`type={0}` needs `dest=PATH`")]
    NoPath(String),
    /// A key that has no meaning for the type.
    #[error("`{key}` has no meaning for `type={kind}`")]
    Meaningless {
        /// The key.
        key: String,
        /// The type.
        kind: String,
    },
    /// `dest=-` for a folder, or for a terminal.
    #[error("{0}; name a file")]
    Stdout(&'static str),
    /// `push` is neither true nor false.
    #[error("`push` must be true or false, found `{0}`")]
    Push(String),
    /// `name` is no image name.
    #[error("`name` {0}")]
    Name(#[from] crate::config::ImageNameError),
}

fn known() -> String {
    let known: Vec<_> = ATTRIBUTES.iter().map(|key| format!("`{key}`")).collect();
    known.join(", ")
}

impl OutputOption {
    /// An image with the plan's name.
    pub(crate) fn image(push: bool) -> Self {
        Self {
            kind: OutputKind::Image,
            dest: None,
            name: None,
            push,
            attributes: Vec::new(),
        }
    }

    /// An image with the plan's name, in its registry only: an engine that keeps images need not fetch and unpack
    /// layers that it took from a cache.
    pub(crate) fn pushed() -> Self {
        Self {
            attributes: vec![("store".to_owned(), "false".to_owned())],
            ..Self::image(true)
        }
    }

    /// Whether it has an attribute of this value.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|(key, found)| key == name && found == value)
    }

    /// Whether the result is written to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.dest.as_deref() == Some(Path::new("-"))
    }

    /// The export; images have the names, separated by commas, unless they have one of their own.
    pub(crate) fn export(&self, names: &str) -> Export {
        let names = self.name.as_ref().map_or(names, ImageName::as_str);
        let unpacked = self.attributes.contains(&("tar".into(), "false".into()));
        let path = self.dest.clone().unwrap_or_default();
        let export = match self.kind {
            OutputKind::Image => Export::image(names).push(self.push),
            OutputKind::Oci if unpacked => Export::oci_directory(path).name(names),
            OutputKind::Docker if unpacked => Export::docker_directory(path).name(names),
            OutputKind::Oci if self.is_stdout() => Export::oci_to(stdout()).name(names),
            OutputKind::Docker if self.is_stdout() => {
                Export::docker_archive_to(stdout()).name(names)
            }
            OutputKind::Oci => Export::oci(path).name(names),
            OutputKind::Docker => Export::docker_archive(path).name(names),
            OutputKind::Tar if self.is_stdout() => Export::tar_to(stdout()),
            OutputKind::Tar => Export::tar(path),
            OutputKind::Local => Export::local(path),
        };
        self.attributes
            .iter()
            .filter(|(key, _)| key != "tar")
            .fold(export, |export, (key, value)| export.attribute(key, value))
    }

    fn check(&self, kind: &str) -> Result<(), OutputError> {
        let meaningless = |key: &str| OutputError::Meaningless {
            key: key.to_owned(),
            kind: kind.to_owned(),
        };
        if self.kind == OutputKind::Image {
            return match self.dest {
                Some(_) => Err(meaningless("dest")),
                None => Ok(()),
            };
        }
        if self.push {
            return Err(meaningless("push"));
        }
        let is_files = !self.kind.is_image();
        if is_files && self.name.is_some() {
            return Err(meaningless("name"));
        }
        if let (true, Some((key, _))) = (is_files, self.attributes.first()) {
            return Err(meaningless(key));
        }
        let unpacked = self.attributes.contains(&("tar".into(), "false".into()));
        if self.is_stdout() && (self.kind == OutputKind::Local || unpacked) {
            return Err(OutputError::Stdout("a folder is no stream"));
        }
        if self.is_stdout() && stdout().is_terminal() {
            return Err(OutputError::Stdout("an archive is nothing for a terminal"));
        }
        match self.dest {
            Some(_) => Ok(()),
            None => Err(OutputError::NoPath(kind.to_owned())),
        }
    }
}

impl FromStr for OutputOption {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `-o folder` is short for `-o type=local,dest=folder`, and `-o -` for an archive of files.
        if !text.contains('=') && !text.is_empty() {
            let kind = if text == "-" { "tar" } else { "local" };
            return format!("type={kind},dest={text}").parse();
        }
        let (mut kind, mut dest, mut name, mut push) = (None, None, None, None);
        let mut attributes = Vec::new();
        for part in text.split(',') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| OutputError::Part(part.to_owned()))?;
            match key.trim() {
                "type" => kind = Some(value.to_owned()),
                "dest" => dest = Some(PathBuf::from(value)),
                "name" => name = Some(value.parse::<ImageName>()?),
                "push" => {
                    let value = value
                        .parse()
                        .map_err(|_| OutputError::Push(value.to_owned()))?;
                    push = Some(value);
                }
                key if ATTRIBUTES.contains(&key) || key.starts_with("annotation") => {
                    attributes.push((key.to_owned(), value.to_owned()));
                }
                key => return Err(OutputError::Key(key.to_owned())),
            }
        }
        let word = kind.unwrap_or_else(|| "local".to_owned());
        let kind = match word.as_str() {
            "image" | "registry" => OutputKind::Image,
            "docker" if dest.is_none() => OutputKind::Image,
            "docker" => OutputKind::Docker,
            "oci" => OutputKind::Oci,
            "tar" => OutputKind::Tar,
            "local" => OutputKind::Local,
            _ => return Err(OutputError::Type(word)),
        };
        let mut output = Self {
            kind,
            dest,
            name,
            push: push.unwrap_or(word == "registry"),
            attributes,
        };
        let names_store = output.attributes.iter().any(|(key, _)| key == "store");
        if word == "registry" && !names_store {
            output.attributes.extend(Self::pushed().attributes);
        }
        output.check(&word)?;
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(kind: OutputKind, path: &str) -> OutputOption {
        OutputOption {
            kind,
            dest: Some(path.into()),
            ..OutputOption::image(false)
        }
    }

    #[test]
    fn outputs_of_docker_are_understood() {
        let named = |text: &str, push| OutputOption {
            name: Some(text.parse().unwrap()),
            ..OutputOption::image(push)
        };
        for (text, output) in [
            ("type=image", OutputOption::image(false)),
            ("type=docker", OutputOption::image(false)),
            ("type=registry", OutputOption::pushed()),
            ("type=image,name=a/b:c,push=true", named("a/b:c", true)),
            ("type=oci,dest=x.tar", to(OutputKind::Oci, "x.tar")),
            ("type=docker,dest=x.tar", to(OutputKind::Docker, "x.tar")),
            ("dest=x,type=tar", to(OutputKind::Tar, "x")),
            ("out", to(OutputKind::Local, "out")),
            ("dest=out", to(OutputKind::Local, "out")),
        ] {
            assert_eq!(text.parse::<OutputOption>(), Ok(output), "{text}");
        }
        let output: OutputOption = "type=image,compression=zstd,annotation.a=b"
            .parse()
            .unwrap();
        let attribute = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let attributes = [
            attribute("compression", "zstd"),
            attribute("annotation.a", "b"),
        ];
        assert_eq!(output.attributes, attributes);
    }

    #[test]
    fn what_goes_to_a_registry_only_is_kept_by_graph_drivers() {
        let docker = |image_store| Engine::Docker {
            api_version: Some((1, 51)),
            image_store,
        };
        let kept =
            |text: &str, engine: &Engine| text.parse::<OutputOption>().unwrap().is_kept_by(engine);
        for (text, expected) in [
            ("type=registry", [false, false, true]),
            ("type=registry,store=true", [true, true, true]),
            ("type=image,push=true", [true, true, true]),
            ("type=oci,dest=x.tar", [false, false, false]),
        ] {
            let engines = [Engine::BuildKit, docker(true), docker(false)];
            assert_eq!(
                engines.map(|engine| kept(text, &engine)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, part) in [
            ("type=zip", "unknown type `zip`"),
            ("type=oci", "needs `dest=PATH`"),
            ("type=image,dest=x", "`dest` has no meaning"),
            ("type=tar,dest=x,push=true", "`push` has no meaning"),
            (
                "type=tar,dest=x,compression=zstd",
                "`compression` has no meaning",
            ),
            ("type=image,push=maybe", "must be true or false"),
            ("type=image,tag=x", "unknown key `tag`"),
            ("type=image,name=Hello", "lowercase"),
            ("type=local,dest=-", "no stream"),
        ] {
            let error = text.parse::<OutputOption>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
