//! Which keys `cog.yaml` has, and what to say about the others.
//!
//! A key is never ignored: it is read, refused because this program does not build it yet,
//! refused because Cog itself removed it, or refused as unknown with the nearest known key.

use crate::diagnostic::{Diagnostic, Source, Spanned};
use crate::suggest;

/// One mapping of the file: its name for messages and the keys it knows.
pub(super) struct Mapping {
    /// How messages call the mapping.
    name: &'static str,
    /// Keys that are read.
    supported: &'static [&'static str],
    /// Keys Cog has and this program does not build yet, each with the way out.
    not_yet: &'static [(&'static str, &'static str)],
    /// Keys Cog had once, each with its replacement.
    removed: &'static [(&'static str, &'static str)],
}

/// The file itself.
pub(super) const ROOT: Mapping = Mapping {
    name: "cog.yaml",
    supported: &["build", "environment", "image", "predict", "run"],
    not_yet: &[
        (
            "concurrency",
            "remove it to build an image that serves one prediction at a time",
        ),
        ("model", "name the image with `image` instead"),
        ("train", "remove it to build an image that only predicts"),
        (
            "weights",
            "download the weights in `setup()` or keep them in the project folder",
        ),
    ],
    removed: &[("tests", "tests run outside of cog.yaml; remove the key")],
};

/// `build`.
pub(super) const BUILD: Mapping = Mapping {
    name: "build",
    supported: &[
        "gpu",
        "pre_install",
        "python_packages",
        "python_requirements",
        "python_version",
        "run",
        "sdk_version",
        "system_packages",
    ],
    not_yet: &[
        ("cuda", "the image runs on CPU; remove the key"),
        ("cudnn", "the image runs on CPU; remove the key"),
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
    supported: &["command", "mounts"],
    not_yet: &[],
    removed: &[],
};

/// One entry of `mounts` of a `build.run` entry.
pub(super) const MOUNT: Mapping = Mapping {
    name: "build.run mount",
    supported: &["id", "target", "type"],
    not_yet: &[],
    removed: &[],
};

impl Mapping {
    /// Whether a key is read; otherwise the finding to report.
    pub(super) fn check(&self, source: &Source, key: &Spanned<String>) -> Result<(), Diagnostic> {
        let name = key.value.as_str();
        if self.supported.contains(&name) {
            return Ok(());
        }
        let lookup = |table: &[(&'static str, &'static str)]| {
            table
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, text)| *text)
        };
        if let Some(way_out) = lookup(self.not_yet) {
            let message = format!("`{name}` is a key of Cog that this program does not build yet");
            return Err(source.error(key.span, message).hint(way_out));
        }
        if let Some(replacement) = lookup(self.removed) {
            let message = format!("`{name}` was removed from Cog");
            return Err(source.error(key.span, message).hint(replacement));
        }
        let unknown = source.error(key.span, format!("unknown key `{name}` in `{}`", self.name));
        Err(match self.advice(name) {
            Some(advice) => unknown.hint(advice),
            None => unknown.hint(format!("known keys are {}", list(self.supported))),
        })
    }

    fn advice(&self, name: &str) -> Option<String> {
        let known = |mapping: &Self| {
            mapping.supported.contains(&name) || mapping.not_yet.iter().any(|(key, _)| *key == name)
        };
        if self.name == ROOT.name && known(&BUILD) {
            return Some(format!("`{name}` belongs under `build`"));
        }
        if self.name == BUILD.name && known(&ROOT) {
            return Some(format!("`{name}` belongs to the top level of the file"));
        }
        suggest::nearest(name, self.supported.iter().copied())
            .map(|near| format!("did you mean `{near}`?"))
    }
}

/// Names in backquotes, separated by commas.
fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
