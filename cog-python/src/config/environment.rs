//! The `environment` list: `NAME=value`, with names the runtime needs refused.

/// Names that the image or the platform sets itself.
const RESERVED: &[&str] = &[
    "HF_ENDPOINT",
    "HF_HUB_ENABLE_HF_TRANSFER",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "VIRTUAL_ENV",
];

/// Beginnings of names that the image or the platform sets itself.
const RESERVED_PREFIXES: &[&str] = &[
    "CUDA_",
    "KUBERNETES_",
    "NVIDIA_",
    "NV_",
    "PGET_",
    "R8_",
    "REPLICATE_",
];

/// Ends of names that usually hold a secret.
const SECRET_SUFFIXES: &[&str] = &[
    "API_KEY",
    "CREDENTIALS",
    "PASSWD",
    "PASSWORD",
    "PRIVATE_KEY",
    "SECRET",
    "TOKEN",
];

/// Splits `NAME=value`; `None` when there is no `=` or the name is not one of the shell.
pub(super) fn split(entry: &str) -> Option<(&str, &str)> {
    let (name, value) = entry.split_once('=')?;
    is_name(name).then_some((name, value))
}

/// Whether the text is a variable name: letters, digits and `_`, not starting with a digit.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether the name belongs to the image or the platform.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Whether the name sounds like a secret, which an image must not hold.
pub(crate) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_SUFFIXES.iter().any(|suffix| {
        name.strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_empty_and_hold_equal_signs() {
        assert_eq!(split("A="), Some(("A", "")));
        assert_eq!(split("A=b=c"), Some(("A", "b=c")));
        for bad in ["A", "=b", "1A=b", "A B=c", "Ä=b", "A-B=c"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn reserved_names_are_case_sensitive() {
        for name in ["PATH", "CUDA_HOME", "R8_X", "PYTHONPATH"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["path", "MY_PATH", "CUDA", "HF_TOKEN"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn names_of_secrets_are_noticed() {
        for name in ["HF_TOKEN", "TOKEN", "aws_secret", "OPENAI_API_KEY"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["TOKENIZERS_PARALLELISM", "MONKEY", "BETOKEN"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
