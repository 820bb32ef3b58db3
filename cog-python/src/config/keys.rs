//! Which keys `cog.yaml` has, what they hold, and what to say about the others.
//!
//! The reader and the [schema](super::schema) for editors both take the keys from here, so that they never differ. A key
//! is never ignored: it is read, refused because Cog itself removed it, or refused as unknown with the nearest known key.

use crate::diagnostic::{Diagnostic, Source, Spanned};
use crate::suggest;

/// One mapping of the file: its name for messages and the keys it knows.
pub(super) struct Mapping {
    /// How messages call the mapping.
    pub(super) name: &'static str,
    /// Keys that are read.
    pub(super) keys: &'static [Key],
    /// Keys Cog had once, each with its replacement.
    removed: &'static [(&'static str, &'static str)],
}

/// A key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// One sentence for people who edit the file.
    pub(super) about: &'static str,
    /// What to write instead of a deprecated key.
    pub(super) instead: Option<&'static str>,
    pub(super) required: bool,
}

/// What a key holds.
pub(super) enum Shape {
    Boolean,
    /// A string.
    Text,
    /// A string, or a number taken as it is written.
    Version,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A string of this form (a regular expression).
    Form(&'static str),
    /// A whole number from this one on.
    Integer(u32),
    List(&'static Shape),
    Mapping(&'static Mapping),
    Either(&'static [Shape]),
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key {
        name,
        shape,
        about,
        instead: None,
        required: false,
    }
}

impl Key {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn deprecated(mut self, instead: &'static str) -> Self {
        self.instead = Some(instead);
        self
    }
}

const REFERENCE: Shape = Shape::Form(r"^.+\.py:[A-Za-z_][A-Za-z0-9_]*$");

/// The file itself.
pub(super) const ROOT: Mapping = Mapping {
    name: "cog.yaml",
    keys: &[
        key("build", Shape::Mapping(&BUILD), "How the image is built."),
        key(
            "concurrency",
            Shape::Mapping(&CONCURRENCY),
            "How many predictions run at once.",
        )
        .deprecated("decorate the async `run()` with `@cog.concurrent(max=N)`"),
        key(
            "environment",
            Shape::List(&Shape::Form("^[A-Za-z_][A-Za-z0-9_]*=")),
            "Variables of the build steps and of the image, each as NAME=value.",
        ),
        key(
            "image",
            Shape::Text,
            "Name of the image, such as registry.example.com/team/model.",
        ),
        key(
            "model",
            Shape::Text,
            "Repository that the model is pushed to, together with its weights; instead of `image`.",
        ),
        key("predict", REFERENCE, "The class or function that predicts.")
            .deprecated("call it `run`"),
        key(
            "run",
            REFERENCE,
            "The class or function that predicts, such as run.py:Runner.",
        ),
        key(
            "train",
            REFERENCE,
            "The class or function that trains, such as train.py:train.",
        ),
        key(
            "weights",
            Shape::List(&Shape::Mapping(&WEIGHT)),
            "Files that the model needs and that are not part of its source.",
        ),
        key(
            EXTENSION_KEY,
            Shape::Mapping(&EXTENSION),
            "What this program knows beyond Cog, which ignores the key.",
        ),
    ],
    removed: &[("tests", "tests run outside of cog.yaml; remove the key")],
};

/// Name of the key under which everything stands that Cog does not know.
pub(super) const EXTENSION_KEY: &str = "x-cog-python";

/// `build`.
pub(super) const BUILD: Mapping = Mapping {
    name: "build",
    keys: &[
        key(
            "cuda",
            Shape::Version,
            "CUDA, such as \"12.4\" [default: what the framework is built for].",
        ),
        key(
            "cudnn",
            Shape::Version,
            "Major version of cuDNN, such as \"9\" [default: the newest of the CUDA].",
        ),
        key(
            "gpu",
            Shape::Boolean,
            "Whether the model runs on a GPU [default: false].",
        ),
        key(
            "pre_install",
            Shape::List(&Shape::Text),
            "Commands that run after `run`, in spite of the name.",
        )
        .deprecated("move the commands to the end of `run`"),
        key(
            "python_packages",
            Shape::List(&Shape::Text),
            "Python packages.",
        )
        .deprecated("list the packages in a file and name it with `python_requirements`"),
        key(
            "python_requirements",
            Shape::Text,
            "File with the Python packages: requirements.txt, pyproject.toml, uv.lock, pylock.toml, or a script with metadata (PEP 723).",
        ),
        key(
            "python_version",
            Shape::Version,
            "Python, such as \"3.13\"; at least 3.10. Where the key is missing, `.python-version` says it.",
        ),
        key(
            "run",
            Shape::List(&Shape::Either(&[Shape::Text, Shape::Mapping(&RUN)])),
            "Commands that run after all packages are installed.",
        ),
        key(
            "sdk_version",
            Shape::Text,
            "Version of Cog's Python package, or `prerelease`.",
        ),
        key(
            "system_packages",
            Shape::List(&Shape::Text),
            "Debian packages.",
        ),
    ],
    removed: &[
        (
            "python_extra_index_urls",
            "write `--extra-index-url URL` lines into the file of `python_requirements`",
        ),
        (
            "python_find_links",
            "write `--find-links URL` lines into the file of `python_requirements`",
        ),
        (
            "fast",
            "builds need no such switch any more; remove the key",
        ),
    ],
};

/// One entry of `build.run`.
pub(super) const RUN: Mapping = Mapping {
    name: "build.run",
    keys: &[
        key(
            "command",
            Shape::Text,
            "Shell text; several lines are one script.",
        )
        .required(),
        key(
            "mounts",
            Shape::List(&Shape::Mapping(&MOUNT)),
            "Secrets that the command can read.",
        ),
    ],
    removed: &[],
};

/// One entry of `mounts` of a `build.run` entry.
pub(super) const MOUNT: Mapping = Mapping {
    name: "build.run mount",
    keys: &[
        key(
            "id",
            Shape::Text,
            "Name under which the secret is given: `--secret id=…`.",
        )
        .required(),
        key("target", Shape::Form("^/."), "Absolute path of the file.").required(),
        key("type", Shape::Word(&["secret"]), "What is mounted.").required(),
    ],
    removed: &[],
};

/// `concurrency`.
pub(super) const CONCURRENCY: Mapping = Mapping {
    name: "concurrency",
    keys: &[
        key(
            "default_target",
            Shape::Integer(1),
            "Read by nobody; Cog accepts it.",
        ),
        key(
            "max",
            Shape::Integer(1),
            "Most predictions at once; more than one needs Python 3.11 and an async `run()`.",
        )
        .required(),
    ],
    removed: &[],
};

/// One entry of `weights`.
pub(super) const WEIGHT: Mapping = Mapping {
    name: "weights",
    keys: &[
        key(
            "name",
            Shape::Form("^[a-z0-9]+([._-][a-z0-9]+)*$"),
            "Name of the weights, once per file.",
        )
        .required(),
        key(
            "source",
            Shape::Either(&[
                Shape::Mapping(&WEIGHT_SOURCE),
                Shape::List(&Shape::Mapping(&WEIGHT_SOURCE)),
            ]),
            "Where the files come from.",
        )
        .required(),
        key(
            "target",
            Shape::Form("^/."),
            "Absolute path of the folder in the container.",
        )
        .required(),
    ],
    removed: &[],
};

/// `source` of an entry of `weights`.
pub(super) const WEIGHT_SOURCE: Mapping = Mapping {
    name: "weights source",
    keys: &[
        key(
            "exclude",
            Shape::List(&Shape::Text),
            "Patterns of files that stay out.",
        ),
        key(
            "include",
            Shape::List(&Shape::Text),
            "Patterns of files that are taken [default: all].",
        ),
        key(
            "uri",
            Shape::Text,
            "hf://OWNER/NAME, https://…, oci://IMAGE, oci+artifact://ARTIFACT, file://… or a path of the project.",
        )
        .required(),
    ],
    removed: &[],
};

/// `x-cog-python`.
pub(super) const EXTENSION: Mapping = Mapping {
    name: EXTENSION_KEY,
    keys: &[
        key(
            "apt_snapshot",
            Shape::Text,
            "Day that system packages are taken of, such as 2025-08-01 [default: the day of the build].",
        ),
        key("base", Shape::Text, "Base image; what it lacks is added."),
        key(
            "ca_cert",
            Shape::Text,
            "File of the project with certificates (PEM) that programs in the image trust besides those of the base.",
        ),
        key(
            "compilers",
            Shape::Word(&["build", "image"]),
            "Where the compilers of a GPU build are: in the build alone, or in the image.",
        ),
        key(
            "driver",
            Shape::Version,
            "Version of the NVIDIA driver that the image must run with.",
        ),
        key(
            "gpu_architectures",
            Shape::List(&Shape::Version),
            "Compute capabilities that the image must run on, such as \"9.0\".",
        ),
        key(
            "pip",
            Shape::Word(&["none", "real", "shim"]),
            "What runs as pip in the image: nothing, pip, or a program that installs nothing and succeeds [default: none].",
        ),
        key(
            "python",
            Shape::Word(&["base", "uv"]),
            "Where Python comes from: the base image, or uv.",
        ),
        key(
            "run",
            Shape::List(&Shape::Mapping(&STEP)),
            "Commands that run after those of `build.run`, with more kinds of mounts.",
        ),
    ],
    removed: &[],
};

/// One entry of `x-cog-python.run`.
pub(super) const STEP: Mapping = Mapping {
    name: "x-cog-python.run",
    keys: &[
        key(
            "command",
            Shape::Text,
            "Shell text; several lines are one script.",
        )
        .required(),
        key(
            "mounts",
            Shape::List(&Shape::Mapping(&STEP_MOUNT)),
            "What the command sees besides the image.",
        ),
        key(
            "network",
            Shape::Word(&["default", "none"]),
            "Network of the command [default: the builder's].",
        ),
        key(
            "writes",
            Shape::Form("^/."),
            "The only folder that the image takes over; it is empty when the command starts.",
        ),
    ],
    removed: &[],
};

/// One entry of `mounts` of a `x-cog-python.run` entry.
pub(super) const STEP_MOUNT: Mapping = Mapping {
    name: "x-cog-python.run mount",
    keys: &[
        key(
            "from",
            Shape::Text,
            "Context by name (`--build-context`), or image, that a `bind` mount shows, read-only [default: the project].",
        ),
        key(
            "id",
            Shape::Text,
            "Name of a secret, an SSH agent or a cache.",
        ),
        key(
            "required",
            Shape::Boolean,
            "Whether the build fails without the secret or agent [default: true].",
        ),
        key(
            "source",
            Shape::Text,
            "Folder or file that a `bind` mount shows, of the project or of `from` [default: all of it].",
        ),
        key(
            "target",
            Shape::Form("^/."),
            "Absolute path; an `ssh` mount needs none.",
        ),
        key(
            "type",
            Shape::Word(&["bind", "cache", "secret", "ssh"]),
            "What is mounted.",
        )
        .required(),
    ],
    removed: &[],
};

impl Mapping {
    /// Whether a key is read; otherwise the finding to report.
    pub(super) fn check(&self, source: &Source, key: &Spanned<String>) -> Result<(), Diagnostic> {
        let name = key.value.as_str();
        if self.names().any(|known| known == name) {
            return Ok(());
        }
        if let Some((_, replacement)) = self.removed.iter().find(|(removed, _)| *removed == name) {
            let message = format!("`{name}` was removed from Cog");
            return Err(source.error(key.span, message).hint(*replacement));
        }
        let unknown = source.error(key.span, format!("unknown key `{name}` in `{}`", self.name));
        Err(match self.advice(name) {
            Some(advice) => unknown.hint(advice),
            None => unknown.hint(format!("known keys are {}", self.list())),
        })
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    fn advice(&self, name: &str) -> Option<String> {
        let knows = |mapping: &Self| mapping.names().any(|known| known == name);
        if self.name == ROOT.name && knows(&BUILD) {
            return Some(format!("`{name}` belongs under `build`"));
        }
        if self.name == BUILD.name && knows(&ROOT) {
            return Some(format!("`{name}` belongs to the top level of the file"));
        }
        if [ROOT.name, BUILD.name].contains(&self.name) && knows(&EXTENSION) {
            return Some(format!("`{name}` belongs under `{EXTENSION_KEY}`"));
        }
        suggest::nearest(name, self.names()).map(|near| format!("did you mean `{near}`?"))
    }

    /// Names in backquotes, separated by commas.
    fn list(&self) -> String {
        self.names()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_by_name() {
        for mapping in [
            &BUILD,
            &RUN,
            &MOUNT,
            &CONCURRENCY,
            &WEIGHT,
            &WEIGHT_SOURCE,
            &EXTENSION,
            &STEP,
            &STEP_MOUNT,
        ] {
            assert!(mapping.names().is_sorted(), "{}", mapping.name);
        }
    }
}
