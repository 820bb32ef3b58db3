//! `--secret id=NAME[,src=FILE|,env=VARIABLE][,version=TEXT]`.

use std::path::PathBuf;
use std::str::FromStr;

/// A secret of the command line: its name and where its value is, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretOption {
    /// Name that steps know it by.
    pub id: String,
    /// Where its value is.
    pub origin: SecretOrigin,
    /// What the user calls this value. Steps run again when it is another one; the value itself never decides that.
    pub version: Option<String>,
}

/// Where the value of a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretOrigin {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

/// Why a text is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A part without `=`.
    #[error("every part must be `key=value`, part {part} is not")]
    Part {
        /// Number of the part, from 1. Its text is not repeated: it may be the secret itself.
        part: usize,
    },
    /// An unknown key.
    #[error("unknown key `{0}`; known keys are `id`, `src`, `env`, `type` and `version`")]
    Key(String),
    /// Two origins.
    #[error("`src` and `env` cannot both be given")]
    Both,
    /// A type that is neither `file` nor `env`.
    #[error("unknown type `{0}`; known types are `file` and `env`")]
    Type(String),
    /// No name.
    #[error("`id` is missing; write `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`")]
    Id,
}

impl FromStr for SecretOption {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut id, mut src, mut env, mut kind, mut version) = (None, None, None, None, None);
        for (index, part) in text.split(',').enumerate() {
            let (key, value) = part
                .split_once('=')
                .ok_or(SecretError::Part { part: index + 1 })?;
            match key.trim().to_ascii_lowercase().as_str() {
                "id" => id = Some(value),
                "src" | "source" => src = Some(value),
                "env" => env = Some(value),
                "type" => kind = Some(value),
                "version" => version = Some(value),
                _ => return Err(SecretError::Key(key.to_owned())),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or(SecretError::Id)?;
        // `type=env,src=NAME` is how Docker's own command line names a variable.
        let origin = match (kind, src, env) {
            (_, Some(_), Some(_)) => return Err(SecretError::Both),
            (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => {
                SecretOrigin::Variable(name.to_owned())
            }
            (None | Some("env"), None, None) => SecretOrigin::Variable(id.to_owned()),
            (None | Some("file"), Some(path), None) => SecretOrigin::File(path.into()),
            (Some("file"), None, _) => return Err(SecretError::Type("file without `src`".into())),
            (Some(kind), ..) => return Err(SecretError::Type(kind.to_owned())),
        };
        Ok(Self {
            id: id.to_owned(),
            origin,
            version: version.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(id: &str, name: &str) -> SecretOption {
        SecretOption {
            id: id.into(),
            origin: SecretOrigin::Variable(name.into()),
            version: None,
        }
    }

    #[test]
    fn files_and_variables_are_named() {
        for (text, secret) in [
            ("id=a,env=B", variable("a", "B")),
            ("type=env,id=a,src=B", variable("a", "B")),
            ("id=A", variable("A", "A")),
        ] {
            assert_eq!(text.parse::<SecretOption>().unwrap(), secret, "{text}");
        }
        let file = SecretOption {
            id: "a".into(),
            origin: SecretOrigin::File("x/y".into()),
            version: None,
        };
        for text in ["id=a,src=x/y", "source=x/y,id=a", "type=file,id=a,src=x/y"] {
            assert_eq!(text.parse::<SecretOption>().unwrap(), file, "{text}");
        }
    }

    #[test]
    fn mistakes_do_not_repeat_what_may_be_a_secret() {
        assert_eq!(
            "id=a,hunter2".parse::<SecretOption>(),
            Err(SecretError::Part { part: 2 })
        );
        assert_eq!("src=x".parse::<SecretOption>(), Err(SecretError::Id));
        assert_eq!(
            "id=a,src=x,env=y".parse::<SecretOption>(),
            Err(SecretError::Both)
        );
        assert_eq!(
            "id=a,typ=env".parse::<SecretOption>(),
            Err(SecretError::Key("typ".into()))
        );
        assert!("id=a,type=ssh,src=x".parse::<SecretOption>().is_err());
    }
}
