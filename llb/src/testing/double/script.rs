//! What a double was told.

use std::collections::BTreeMap;

use tonic::Status;

use super::tree::{Tree, normal};
use crate::proto::pb;
use crate::session::PatternSet;
use crate::value::ImageRef;

/// What a double answers with.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// By normalized reference.
    pub(super) images: BTreeMap<String, ScriptedImage>,
    /// Local directories by name.
    pub(super) directories: BTreeMap<String, Tree>,
    /// Git repositories, downloads and the like by identifier.
    pub(super) sources: BTreeMap<String, Tree>,
    /// Patterns of commands, the latest last.
    pub(super) commands: Vec<(String, CommandResult)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ScriptedImage {
    pub(super) config: Vec<u8>,
    pub(super) digest: String,
    pub(super) files: Tree,
}

/// What a command does in a [`Double`](super::Double): how it ends, what it says, which files it writes.
///
/// ```
/// use llb::testing::CommandResult;
///
/// let locked = CommandResult::success().file("/src/uv.lock", "version = 1\n");
/// let refused = CommandResult::exit(2).stderr("no such package: flask2\n");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CommandResult {
    pub(super) code: u32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl CommandResult {
    /// It ends well.
    pub fn success() -> Self {
        Self::default()
    }

    /// It ends with this exit code.
    pub fn exit(code: u32) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// What it writes to its standard output.
    #[must_use = "this returns the changed result"]
    pub fn stdout(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdout = text.into();
        self
    }

    /// What it writes to its standard error output.
    #[must_use = "this returns the changed result"]
    pub fn stderr(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stderr = text.into();
        self
    }

    /// A file that it writes, by its absolute path.
    #[must_use = "this returns the changed result"]
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }
}

impl Script {
    /// The image behind a reference, whether it names a digest or not.
    pub(super) fn image(&self, reference: &str) -> Option<&ScriptedImage> {
        let plain = reference.split('@').next().unwrap_or_default();
        let normalized = ImageRef::parse(plain).ok()?;
        self.images.get(normalized.as_str())
    }

    /// The files of a source.
    pub(super) fn source(&self, source: &pb::SourceOp) -> Result<Tree, Status> {
        let identifier = source.identifier.as_str();
        if let Some(reference) = identifier.strip_prefix("docker-image://") {
            let image = self.image(reference).ok_or_else(|| no_image(reference))?;
            return Ok(image.files.clone());
        }
        if let Some(name) = identifier.strip_prefix("local://") {
            let directory = self.directories.get(name).ok_or_else(|| {
                Status::not_found(format!(
                    "no directory {name:?} in the double: add it with `Double::local`"
                ))
            })?;
            return filtered(directory, source);
        }
        self.sources.get(identifier).cloned().ok_or_else(|| {
            Status::not_found(format!(
                "no source {identifier:?} in the double: add it with `Double::source`"
            ))
        })
    }

    /// What a command does.
    pub(super) fn command(&self, args: &[String]) -> Result<&CommandResult, Status> {
        let command = match args {
            [shell, flag, line] if shell == "/bin/sh" && flag == "-c" => line.clone(),
            args => args.join(" "),
        };
        let mut latest = self.commands.iter().rev();
        latest
            .find(|(pattern, _)| is_match(pattern, &command))
            .map(|(_, result)| result)
            .ok_or_else(|| {
                Status::unimplemented(format!(
                    "no result for the command {command:?} in the double: add it with `Double::command`"
                ))
            })
    }
}

pub(super) fn no_image(reference: &str) -> Status {
    Status::not_found(format!(
        "{reference}: not found, no such image in the double: add it with `Double::image`"
    ))
}

/// What a session would send of a directory.
fn filtered(directory: &Tree, source: &pb::SourceOp) -> Result<Tree, Status> {
    let list = |name: &str| -> Vec<String> {
        let value = source.attrs.get(name);
        value
            .and_then(|value| serde_json::from_str(value).ok())
            .unwrap_or_default()
    };
    let set = |name: &str| {
        PatternSet::new(list(name).iter().map(String::as_str))
            .map_err(|error| Status::invalid_argument(error.to_string()))
    };
    let (include, exclude) = (set("local.includepattern")?, set("local.excludepatterns")?);
    let follow: Vec<_> = list("local.followpaths")
        .iter()
        .map(|path| normal(path))
        .collect();
    Ok(directory.only(|path| {
        let is_followed = follow.is_empty()
            || follow
                .iter()
                .any(|kept| path == kept || path.starts_with(&format!("{kept}/")));
        is_followed && (include.is_empty() || include.matches(path)) && !exclude.matches(path)
    }))
}

/// Whether a command is one that a pattern means; `*` stands for anything.
fn is_match(pattern: &str, command: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| command.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, command, expected) in [
            ("uv lock", "uv lock", true),
            ("uv lock", "uv lock --upgrade", false),
            ("uv lock*", "uv lock --upgrade", true),
            ("*lock*", "uv lock --upgrade", true),
            ("uv * x", "uv lock --upgrade", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_match(pattern, command), expected, "{pattern} {command}");
        }
    }
}
