//! Whether a wheel fits an interpreter.
//!
//! The order of preference is that of [platform compatibility tags], as pip and uv have it for `CPython` on Linux with glibc.
//!
//! [platform compatibility tags]: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/

use std::str::FromStr;

/// An interpreter and the machine it runs on: `CPython` on Linux with glibc.
///
/// ```
/// use cog_python::wheel::Target;
///
/// let target = Target::new("3.12", "x86_64", "2.36")?;
/// assert!(target.fit("numpy-2.1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").is_some());
/// assert!(target.fit("numpy-2.1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").is_none());
/// let plain = target.fit("six-1.17.0-py2.py3-none-any.whl");
/// assert!(target.fit("six-1.17.0-cp312-none-any.whl") < plain);
/// # Ok::<(), cog_python::wheel::TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    minor: u32,
    machine: String,
    glibc: u32,
}

/// How well a wheel fits: the smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    kind: Kind,
    python: u32,
    platform: u32,
}

/// What the tags of a wheel promise, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Stable,
    NoAbi,
    OlderStable,
    Platform,
    Interpreter,
    Pure,
}

/// Why facts are no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The interpreter is no `CPython` 3.
    #[error("Python `{0}` is not understood: expected a version such as 3.12")]
    Python(String),
    /// The C library is not glibc 2.
    #[error(
        "the C library `{0}` is not glibc 2: wheels of the index for Linux do not run with others"
    )]
    Glibc(String),
}

impl Target {
    /// An interpreter by its version (`3.12` or `3.12.4`), its machine as Python names it (`x86_64`), and glibc's version.
    pub fn new(python: &str, machine: &str, glibc: &str) -> Result<Self, TargetError> {
        let minor = pair(python).filter(|(major, _)| *major == 3);
        let (_, minor) = minor.ok_or_else(|| TargetError::Python(python.to_owned()))?;
        let found = pair(glibc).filter(|(major, _)| *major == 2);
        let (_, glibc) = found.ok_or_else(|| TargetError::Glibc(glibc.to_owned()))?;
        Ok(Self {
            minor,
            machine: machine.to_owned(),
            glibc,
        })
    }

    /// How well a wheel of this file name fits; `None` if it does not, or if this is no wheel's name.
    pub fn fit(&self, file_name: &str) -> Option<Fit> {
        let stem = file_name.strip_suffix(".whl")?;
        let mut parts = stem.rsplit('-');
        let (platforms, abis, pythons) = (parts.next()?, parts.next()?, parts.next()?);
        let each = pythons
            .split('.')
            .flat_map(|python| abis.split('.').map(move |abi| (python, abi)))
            .flat_map(|(python, abi)| {
                let platforms = platforms.split('.');
                platforms.map(move |platform| (python, abi, platform))
            });
        each.filter_map(|(python, abi, platform)| self.tag(python, abi, platform))
            .min()
    }

    fn tag(&self, python: &str, abi: &str, platform: &str) -> Option<Fit> {
        let fit = |kind, python, platform| {
            Some(Fit {
                kind,
                python,
                platform,
            })
        };
        if platform == "any" {
            if abi != "none" {
                return None;
            }
            return match Python::parse(python)? {
                Python::CPython(minor) if minor == self.minor => fit(Kind::Interpreter, 0, 0),
                Python::CPython(_) => None,
                Python::Any(minor) => fit(Kind::Pure, self.age(minor)?, 0),
            };
        }
        let platform = self.platform(platform)?;
        match (Python::parse(python)?, abi) {
            (Python::CPython(minor), "abi3") if minor == self.minor => {
                fit(Kind::Stable, 0, platform)
            }
            (Python::CPython(minor), "abi3") if minor < self.minor => {
                fit(Kind::OlderStable, self.minor - minor, platform)
            }
            (Python::CPython(minor), "none") if minor == self.minor => {
                fit(Kind::NoAbi, 0, platform)
            }
            (Python::CPython(minor), abi)
                if minor == self.minor && abi == format!("cp3{}", self.minor) =>
            {
                fit(Kind::Exact, 0, platform)
            }
            (Python::Any(minor), "none") => fit(Kind::Platform, self.age(minor)?, platform),
            _ => None,
        }
    }

    /// In which place a tag of any implementation comes: `py312`, `py3`, `py311`, ...
    fn age(&self, minor: Option<u32>) -> Option<u32> {
        match minor {
            Some(minor) if minor == self.minor => Some(0),
            None => Some(1),
            Some(minor) if minor < self.minor => Some(1 + self.minor - minor),
            Some(_) => None,
        }
    }

    fn platform(&self, tag: &str) -> Option<u32> {
        /// Behind every glibc.
        const PLAIN: u32 = 10_000;
        let tag = tag.strip_suffix(self.machine.as_str())?.strip_suffix('_')?;
        let needed = match tag {
            "linux" => return Some(PLAIN),
            "manylinux1" => 5,
            "manylinux2010" => 12,
            "manylinux2014" => 17,
            tag => {
                let version = tag.strip_prefix("manylinux_2_")?;
                u32::from_str(version).ok()?
            }
        };
        self.glibc.checked_sub(needed)
    }
}

/// A Python tag.
enum Python {
    CPython(u32),
    /// `py3`, or `py312`.
    Any(Option<u32>),
}

impl Python {
    fn parse(tag: &str) -> Option<Self> {
        if tag == "py3" {
            return Some(Self::Any(None));
        }
        let number = |text: &str| text.parse::<u32>().ok();
        match (tag.strip_prefix("cp3"), tag.strip_prefix("py3")) {
            (Some(minor), _) => number(minor).map(Self::CPython),
            (_, Some(minor)) => number(minor).map(|minor| Self::Any(Some(minor))),
            _ => None,
        }
    }
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::new("3.11.7", "x86_64", "2.36").unwrap()
    }

    /// From the best to the worst, as `packaging.tags` orders them.
    #[test]
    fn wheels_are_preferred_as_pip_prefers_them() {
        let names = [
            "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-linux_x86_64.whl",
            "a-1-cp311-abi3-manylinux_2_28_x86_64.whl",
            "a-1-cp311-none-manylinux_2_28_x86_64.whl",
            "a-1-cp310-abi3-manylinux_2_28_x86_64.whl",
            "a-1-cp37-abi3-manylinux1_x86_64.whl",
            "a-1-py311-none-manylinux2014_x86_64.whl",
            "a-1-py3-none-manylinux2014_x86_64.whl",
            "a-1-py310-none-manylinux2014_x86_64.whl",
            "a-1-cp311-none-any.whl",
            "a-1-py3-none-any.whl",
        ];
        let fits: Vec<_> = names
            .iter()
            .map(|name| target().fit(name).unwrap_or_else(|| panic!("{name}")))
            .collect();
        assert!(fits.windows(2).all(|pair| pair[0] < pair[1]), "{fits:?}");
    }

    #[test]
    fn what_does_not_run_here_does_not_fit() {
        for name in [
            "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_38_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_17_aarch64.whl",
            "a-1-cp311-cp311-musllinux_1_2_x86_64.whl",
            "a-1-cp311-cp311-macosx_11_0_arm64.whl",
            "a-1-cp311-cp311-win_amd64.whl",
            "a-1-cp312-abi3-manylinux2014_x86_64.whl",
            "a-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl",
            "a-1-py2-none-any.whl",
            "a-1-py312-none-any.whl",
            "a-1.tar.gz",
            "a.whl",
        ] {
            assert_eq!(target().fit(name), None, "{name}");
        }
    }

    #[test]
    fn other_libraries_are_refused() {
        assert!(matches!(
            Target::new("3.12", "x86_64", "musl 1.2"),
            Err(TargetError::Glibc(_))
        ));
        assert!(matches!(
            Target::new("2.7", "x86_64", "2.36"),
            Err(TargetError::Python(_))
        ));
    }
}
