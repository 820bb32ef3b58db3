//! Where the files of a wheel go.

use std::fmt;

use super::name::normalized;

/// The folders of a virtual environment, as Python's `venv` scheme has them on Linux.
///
/// ```
/// use llb_helper::wheel::Layout;
///
/// let layout = Layout::new("/venv", "3.12");
/// assert_eq!(layout.site_packages(), "lib/python3.12/site-packages");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
    python: String,
}

impl Layout {
    /// An environment that a program will see at `prefix`, for a Python of this minor version: `3.12`, or `3.13t` for
    /// one without the global interpreter lock.
    pub fn new(prefix: impl Into<String>, python: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            python: python.into(),
        }
    }

    /// The absolute path of the environment.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where packages are, relative to the environment.
    pub fn site_packages(&self) -> String {
        format!("lib/python{}/site-packages", self.python)
    }

    /// The interpreter that scripts name.
    pub(super) fn interpreter(&self) -> String {
        format!("{}/bin/python", self.prefix.trim_end_matches('/'))
    }

    /// The folder of a scheme, relative to the environment.
    pub(super) fn folder(&self, scheme: Scheme, distribution: &str) -> String {
        match scheme {
            Scheme::Packages => self.site_packages(),
            Scheme::Scripts => "bin".to_owned(),
            Scheme::Headers => format!(
                "include/site/python{}/{}",
                self.python.trim_end_matches('t'),
                normalized(distribution)
            ),
            Scheme::Data => String::new(),
        }
    }
}

/// A kind of folder that a wheel has files for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `purelib` and `platlib`: one folder in an environment.
    Packages,
    Scripts,
    Headers,
    Data,
}

impl Scheme {
    /// The kind that a folder below `.data` names.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "purelib" | "platlib" => Self::Packages,
            "scripts" => Self::Scripts,
            "headers" => Self::Headers,
            "data" => Self::Data,
            _ => return None,
        })
    }
}

/// A path below one folder of a wheel's own: no parent, no root, nothing that another system reads differently.
pub(super) fn check_relative(path: &str) -> Result<(), Unsafe> {
    let has_drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with('/') || has_drive {
        return Err(Unsafe("is absolute"));
    }
    if path.contains('\\') {
        return Err(Unsafe("has a backslash"));
    }
    if path.contains('\0') {
        return Err(Unsafe("has a zero byte"));
    }
    for component in path.trim_end_matches('/').split('/') {
        match component {
            "" => return Err(Unsafe("has an empty component")),
            "." | ".." => return Err(Unsafe("leaves its folder")),
            _ if component.len() > 255 => return Err(Unsafe("has a name of more than 255 bytes")),
            _ => {}
        }
    }
    Ok(())
}

/// Why a path is not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsafe(&'static str);

impl fmt::Display for Unsafe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// A path as seen from another folder; both relative to the same one.
pub(super) fn relative_to(path: &str, folder: &str) -> String {
    let (from, to): (Vec<&str>, Vec<&str>) =
        (folder.split('/').collect(), path.split('/').collect());
    let common = from
        .iter()
        .zip(&to)
        .take_while(|(one, other)| one == other)
        .count();
    let up = vec![".."; from.len() - common];
    up.iter()
        .chain(&to[common..])
        .copied()
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_escape_are_refused() {
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "c:/x",
            "a\\..\\b",
            "a//b",
            "./a",
            "",
            "a/..",
        ] {
            assert!(check_relative(path).is_err(), "{path:?}");
        }
        for path in ["a", "a/b.py", "a..b/c", "folder/"] {
            assert_eq!(check_relative(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn records_name_files_relative_to_site_packages() {
        let site = "lib/python3.12/site-packages";
        assert_eq!(relative_to("bin/x", site), "../../../bin/x");
        assert_eq!(
            relative_to("lib/python3.12/site-packages/a.py", site),
            "a.py"
        );
        assert_eq!(relative_to("lib/x", site), "../../x");
    }
}
