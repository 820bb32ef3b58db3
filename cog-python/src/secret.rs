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
    /// A quote that is not closed, or in the middle of a part.
    #[error("a quote must be around a whole part, as in `id=NAME,\"src=a,b\"`")]
    Quote,
    /// No name.
    #[error("`id` is missing; write `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`")]
    Id,
}

impl FromStr for SecretOption {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut id, mut src, mut env, mut kind, mut version) = (None, None, None, None, None);
        for (index, part) in fields(text)?.into_iter().enumerate() {
            let (key, value) = part
                .split_once('=')
                .map(|(key, value)| (key, value.to_owned()))
                .ok_or(SecretError::Part { part: index + 1 })?;
            match key.to_ascii_lowercase().as_str() {
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
        let origin = match (kind.as_deref(), src, env) {
            (_, Some(_), Some(_)) | (Some("file"), None, Some(_)) => return Err(SecretError::Both),
            (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => {
                SecretOrigin::Variable(name)
            }
            (None | Some("env"), None, None) => SecretOrigin::Variable(id.clone()),
            (None | Some("file"), Some(path), None) => SecretOrigin::File(path.into()),
            // Without an origin, the file is named as the secret is.
            (Some("file"), None, None) => SecretOrigin::File(id.clone().into()),
            (Some(kind), ..) => return Err(SecretError::Type(kind.to_owned())),
        };
        Ok(Self {
            id,
            origin,
            version,
        })
    }
}

/// The parts of a line of CSV: a part in quotes may hold commas, and quotes doubled.
fn fields(text: &str) -> Result<Vec<String>, SecretError> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let field = &rest[..end];
                if field.contains('"') {
                    return Err(SecretError::Quote);
                }
                (field.to_owned(), &rest[end..])
            }
            Some(quoted) => in_quotes(quoted)?,
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if behind.is_empty() => return Ok(fields),
            None => return Err(SecretError::Quote),
        }
    }
}

/// The part up to the closing quote, and what is behind it.
fn in_quotes(mut text: &str) -> Result<(String, &str), SecretError> {
    let mut field = String::new();
    loop {
        let (before, behind) = text.split_once('"').ok_or(SecretError::Quote)?;
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                text = behind;
            }
            None => return Ok((field, behind)),
        }
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
    fn parts_in_quotes_may_hold_commas() {
        for (text, path) in [
            ("id=a,\"src=x,y\"", "x,y"),
            ("\"src=say \"\"hi\"\"\",id=a", "say \"hi\""),
            ("type=file,id=a", "a"),
        ] {
            let found = text.parse::<SecretOption>().unwrap();
            assert_eq!(found.origin, SecretOrigin::File(path.into()), "{text}");
        }
        for text in ["id=a,src=\"x\"", "\"id=a", "\"id=a\"b", "\"id=a\"\","] {
            assert_eq!(
                text.parse::<SecretOption>(),
                Err(SecretError::Quote),
                "{text}"
            );
        }
        assert_eq!(
            "id=a, env=X".parse::<SecretOption>(),
            Err(SecretError::Key(" env".into()))
        );
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
