//! The file name of a wheel.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, ErrorKind};

/// What the file name of a wheel says.
///
/// ```
/// use llb_helper::wheel::WheelName;
///
/// let name: WheelName = "ruamel.yaml.clib-0.2.12-cp312-cp312-manylinux_2_17_x86_64.whl".parse()?;
/// assert_eq!(name.distribution(), "ruamel.yaml.clib");
/// assert_eq!(name.version(), "0.2.12");
/// # Ok::<(), llb_helper::wheel::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WheelName {
    file_name: String,
    distribution: usize,
    version: usize,
}

impl WheelName {
    /// The name of the distribution as it is written, such as `PyYAML`.
    pub fn distribution(&self) -> &str {
        &self.file_name[..self.distribution]
    }

    /// The version as it is written, such as `6.0.2`.
    pub fn version(&self) -> &str {
        &self.file_name[self.distribution + 1..self.version]
    }

    /// The whole file name.
    pub fn as_str(&self) -> &str {
        &self.file_name
    }
}

impl FromStr for WheelName {
    type Err = Error;

    fn from_str(file_name: &str) -> Result<Self, Error> {
        let wrong = || Error::new(file_name, ErrorKind::Name);
        let stem = file_name.strip_suffix(".whl").ok_or_else(wrong)?;
        let parts: Vec<&str> = stem.split('-').collect();
        let is_plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._+!".contains(&byte))
        };
        let has_build = parts.len() == 6;
        let starts_with_digit = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
        if !matches!(parts.len(), 5 | 6)
            || !parts.iter().all(is_plain)
            || (has_build && !starts_with_digit(parts[2]))
            || !parts[0].starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return Err(wrong());
        }
        let distribution = parts[0].len();
        Ok(Self {
            distribution,
            version: distribution + 1 + parts[1].len(),
            file_name: file_name.to_owned(),
        })
    }
}

impl fmt::Display for WheelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file_name)
    }
}

/// A distribution's name in the form in which names are compared: lower case, each run of `-`, `_` and `.` one `-`.
///
/// ```
/// assert_eq!(llb_helper::wheel::normalized("Ruamel._yaml"), "ruamel-yaml");
/// ```
pub fn normalized(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(character.to_ascii_lowercase());
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_tag_is_not_part_of_the_version() {
        let name: WheelName = "pkg-1.0-2b-py3-none-any.whl".parse().unwrap();
        assert_eq!((name.distribution(), name.version()), ("pkg", "1.0"));
    }

    #[test]
    fn what_is_no_wheel_name_is_refused() {
        for name in [
            "pkg-1.0.tar.gz",
            "pkg-1.0-py3-none.whl",
            "pkg-1.0-b-py3-none-any.whl",
            "../pkg-1.0-py3-none-any.whl",
            "pkg-1.0-py3-none-any.whl/x",
            "pkg--py3-none-any.whl",
            "..-1.0-py3-none-any.whl",
            ".whl",
        ] {
            let error = name.parse::<WheelName>().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Name), "{name}");
        }
    }
}
