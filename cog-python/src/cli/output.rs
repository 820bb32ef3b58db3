//! `--output type=KIND[,dest=PATH][,name=NAME][,push=true]`, as Docker's build command has it.

use std::path::PathBuf;
use std::str::FromStr;

use crate::config::ImageName;

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutputOption {
    /// The image store of the engine; pushed from there when asked for.
    Image {
        /// Name, if not the plan's.
        name: Option<ImageName>,
        /// Whether it is pushed.
        push: bool,
    },
    /// An OCI archive.
    Oci(PathBuf),
    /// An archive for `docker load`.
    Docker(PathBuf),
    /// The files as a tar archive.
    Tar(PathBuf),
    /// The files in a folder.
    Local(PathBuf),
}

/// Why a text names no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputError {
    /// A part without `=`.
    #[error("every part must be `key=value`, found `{0}`")]
    Part(String),
    /// An unknown key.
    #[error("unknown key `{0}`; known keys are `type`, `dest`, `name` and `push`")]
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
        key: &'static str,
        /// The type.
        kind: String,
    },
    /// `dest=-`.
    #[error("writing to standard output is not supported; name a file")]
    Stdout,
    /// `push` is neither true nor false.
    #[error("`push` must be true or false, found `{0}`")]
    Push(String),
    /// `name` is no image name.
    #[error("`name` {0}")]
    Name(#[from] crate::config::ImageNameError),
}

impl FromStr for OutputOption {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `-o folder` is short for `-o type=local,dest=folder`.
        if !text.contains('=') && !text.is_empty() && text != "-" {
            return Ok(Self::Local(text.into()));
        }
        let (mut kind, mut dest, mut name, mut push) = (None, None, None, None);
        for part in text.split(',') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| OutputError::Part(part.to_owned()))?;
            match key.trim() {
                "type" => kind = Some(value.to_owned()),
                "dest" => dest = Some(value.to_owned()),
                "name" => name = Some(value.parse::<ImageName>()?),
                "push" => {
                    let value = value
                        .parse()
                        .map_err(|_| OutputError::Push(value.to_owned()))?;
                    push = Some(value);
                }
                key => return Err(OutputError::Key(key.to_owned())),
            }
        }
        if dest.as_deref() == Some("-") {
            return Err(OutputError::Stdout);
        }
        let kind = kind.unwrap_or_else(|| "local".to_owned());
        let meaningless = |key| OutputError::Meaningless {
            key,
            kind: kind.clone(),
        };
        match kind.as_str() {
            "image" | "registry" => {
                if dest.is_some() {
                    return Err(meaningless("dest"));
                }
                return Ok(Self::Image {
                    name,
                    push: push.unwrap_or(kind == "registry"),
                });
            }
            "docker" if dest.is_none() => {
                return Ok(Self::Image {
                    name,
                    push: push.unwrap_or(false),
                });
            }
            "oci" | "docker" | "tar" | "local" => {}
            _ => return Err(OutputError::Type(kind)),
        }
        if push.is_some() {
            return Err(meaningless("push"));
        }
        if name.is_some() {
            return Err(meaningless("name"));
        }
        let path = PathBuf::from(dest.ok_or_else(|| OutputError::NoPath(kind.clone()))?);
        Ok(match kind.as_str() {
            "oci" => Self::Oci(path),
            "docker" => Self::Docker(path),
            "tar" => Self::Tar(path),
            _ => Self::Local(path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_docker_are_understood() {
        let image = |name: Option<&str>, push| OutputOption::Image {
            name: name.map(|name| name.parse().unwrap()),
            push,
        };
        for (text, output) in [
            ("type=image", image(None, false)),
            ("type=docker", image(None, false)),
            ("type=registry", image(None, true)),
            (
                "type=image,name=a/b:c,push=true",
                image(Some("a/b:c"), true),
            ),
            ("type=oci,dest=x.tar", OutputOption::Oci("x.tar".into())),
            (
                "type=docker,dest=x.tar",
                OutputOption::Docker("x.tar".into()),
            ),
            ("dest=x,type=tar", OutputOption::Tar("x".into())),
            ("out", OutputOption::Local("out".into())),
            ("dest=out", OutputOption::Local("out".into())),
        ] {
            assert_eq!(text.parse::<OutputOption>(), Ok(output), "{text}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, part) in [
            ("type=zip", "unknown type `zip`"),
            ("type=oci", "needs `dest=PATH`"),
            ("type=image,dest=x", "`dest` has no meaning"),
            ("type=tar,dest=x,push=true", "`push` has no meaning"),
            ("type=image,push=maybe", "must be true or false"),
            ("type=image,tag=x", "unknown key `tag`"),
            ("type=image,name=Hello", "lowercase"),
            ("-", "`key=value`"),
            ("type=tar,dest=-", "standard output"),
        ] {
            let error = text.parse::<OutputOption>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
