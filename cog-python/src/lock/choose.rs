//! From a lock to the files that one interpreter gets.

use std::collections::BTreeMap;
use std::str::FromStr;

use pep508_rs::MarkerTree;

use super::{Facts, FactsError, Lock, LockedFile, LockedPackage, Origin};
use crate::wheel::Target;

/// What a package is installed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen<'l> {
    /// The package.
    pub package: &'l LockedPackage,
    /// Its file, or what a wheel is built of.
    pub found: Found<'l>,
}

/// A wheel, or what becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'l> {
    /// A wheel.
    Wheel(&'l LockedFile),
    /// A source archive.
    Archive(&'l LockedFile),
    /// A folder.
    Directory(&'l str),
    /// A repository.
    Repository {
        /// `git`, ...
        kind: &'l str,
        /// Its URL.
        url: &'l str,
        /// The commit.
        commit: &'l str,
        /// The folder of the package in it.
        subdirectory: Option<&'l str>,
    },
}

/// Why a lock cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// The interpreter is none that there are wheels for.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// Packages that have nothing for this interpreter, or nothing with an allowed hash; a line each.
    #[error("{0}")]
    Packages(String),
}

impl Lock {
    /// What fits an interpreter: the wheel that pip would take of each package whose marker holds, or what a wheel is
    /// built of.
    ///
    /// `hashes` are the SHA-256 digests that the requirements allow, by package; packages that are not in it may have any.
    pub fn choose(
        &self,
        facts: &Facts,
        hashes: &BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<Chosen<'_>>, ChooseError> {
        let target = facts.target()?;
        let environment = facts.environment()?;
        let mut chosen = Vec::new();
        let mut problems = Vec::new();
        for package in &self.packages {
            let applies = match &package.marker {
                None => true,
                Some(text) => {
                    if let Ok(marker) = MarkerTree::from_str(text) {
                        marker.evaluate(&environment, &[])
                    } else {
                        problems.push(format!(
                            "the marker `{text}` of `{}` is not understood",
                            package.name
                        ));
                        continue;
                    }
                }
            };
            let is_there = facts.installed.iter().any(|(name, version)| {
                *name == package.name && Some(version) == package.version.as_ref()
            });
            if !applies || is_there {
                continue;
            }
            let allowed = hashes.get(&package.name).map(Vec::as_slice);
            match find(package, &target, allowed) {
                Ok(found) => chosen.push(Chosen { package, found }),
                Err(problem) => problems.push(format!(
                    "`{}` {} {problem}, for Python {} on {} with glibc {}",
                    package.name,
                    package.version.as_deref().unwrap_or("without a version"),
                    facts.python,
                    facts.machine,
                    facts.glibc
                )),
            }
        }
        if problems.is_empty() {
            Ok(chosen)
        } else {
            Err(ChooseError::Packages(problems.join("\n")))
        }
    }
}

fn find<'l>(
    package: &'l LockedPackage,
    target: &Target,
    allowed: Option<&[String]>,
) -> Result<Found<'l>, &'static str> {
    let is_allowed = |file: &&LockedFile| match (allowed, &file.sha256) {
        (None, _) => true,
        (Some(allowed), Some(hash)) => allowed.contains(hash),
        (Some(_), None) => false,
    };
    match &package.origin {
        Some(Origin::Directory(path)) => return Ok(Found::Directory(path)),
        Some(Origin::Repository {
            kind,
            url,
            commit,
            subdirectory,
        }) => {
            return Ok(Found::Repository {
                kind,
                url,
                commit,
                subdirectory: subdirectory.as_deref(),
            });
        }
        Some(Origin::Archive(file)) if !is_allowed(&file) => {
            return Err("has another hash than the requirements say");
        }
        Some(Origin::Archive(file)) if !is_wheel(file) => return Ok(Found::Archive(file)),
        Some(Origin::Archive(file)) => {
            return match target.fit(&file.name) {
                Some(_) => Ok(Found::Wheel(file)),
                None => Err("is a wheel for others"),
            };
        }
        None => {}
    }
    let fitting = package.wheels.iter().filter(is_allowed).filter_map(|file| {
        let fit = target.fit(&file.name)?;
        Some(((fit, build_tag(&file.name), file.name.as_str()), file))
    });
    let best = fitting.min_by(|(one, _), (other, _)| one.cmp(other));
    if let Some((_, file)) = best {
        return Ok(Found::Wheel(file));
    }
    match package.sdist.as_ref() {
        Some(file) if is_allowed(&file) => Ok(Found::Archive(file)),
        _ if allowed.is_some() => Err("has no file with a hash that the requirements allow"),
        _ => Err("has neither a wheel nor a source archive"),
    }
}

fn is_wheel(file: &LockedFile) -> bool {
    file.name.to_ascii_lowercase().ends_with(".whl")
}

/// Of two wheels with the same tags, the one with the higher build number is newer.
fn build_tag(name: &str) -> std::cmp::Reverse<u64> {
    let parts: Vec<&str> = name.split('-').collect();
    let digits = match parts.as_slice() {
        [_, _, build, _, _, _] => {
            build
                .bytes()
                .take_while(u8::is_ascii_digit)
                .fold(0, |number: u64, digit| {
                    number
                        .saturating_mul(10)
                        .saturating_add(u64::from(digit - b'0'))
                })
        }
        _ => 0,
    };
    std::cmp::Reverse(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, hash: &str) -> LockedFile {
        LockedFile {
            name: name.to_owned(),
            sha256: Some(hash.to_owned()),
            ..LockedFile::default()
        }
    }

    fn package(name: &str, wheels: &[(&str, &str)], sdist: Option<&str>) -> LockedPackage {
        LockedPackage {
            name: name.to_owned(),
            version: Some("1".into()),
            wheels: wheels.iter().map(|(name, hash)| file(name, hash)).collect(),
            sdist: sdist.map(|name| file(name, "sd")),
            ..LockedPackage::default()
        }
    }

    fn facts() -> Facts {
        Facts {
            python: "3.12.1".into(),
            machine: "x86_64".into(),
            glibc: "2.36".into(),
            installed: Vec::new(),
        }
    }

    fn names(lock: &Lock, hashes: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, String> {
        let chosen = lock.choose(&facts(), hashes);
        let name = |chosen: Chosen<'_>| match chosen.found {
            Found::Wheel(file) | Found::Archive(file) => file.name.clone(),
            other => format!("{other:?}"),
        };
        match chosen {
            Ok(chosen) => Ok(chosen.into_iter().map(name).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_best_wheel_is_taken_and_an_archive_where_there_is_none() {
        let lock = Lock {
            packages: vec![
                package(
                    "a",
                    &[
                        ("a-1-py3-none-any.whl", "1"),
                        ("a-1-2-cp312-cp312-manylinux_2_28_x86_64.whl", "2"),
                        ("a-1-10-cp312-cp312-manylinux_2_28_x86_64.whl", "3"),
                        ("a-1-cp313-cp313-manylinux_2_28_x86_64.whl", "4"),
                    ],
                    Some("a-1.tar.gz"),
                ),
                package(
                    "b",
                    &[("b-1-cp311-cp311-win32.whl", "5")],
                    Some("b-1.tar.gz"),
                ),
                LockedPackage {
                    marker: Some("sys_platform == 'win32'".into()),
                    ..package("c", &[], None)
                },
            ],
            ..Lock::default()
        };
        assert_eq!(
            names(&lock, &BTreeMap::new()).unwrap(),
            ["a-1-10-cp312-cp312-manylinux_2_28_x86_64.whl", "b-1.tar.gz"]
        );
    }

    #[test]
    fn hashes_of_the_requirements_decide() {
        let lock = Lock {
            packages: vec![package(
                "a",
                &[
                    ("a-1-py3-none-any.whl", "1"),
                    ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "2"),
                ],
                Some("a-1.tar.gz"),
            )],
            ..Lock::default()
        };
        let allow = |hash: &str| BTreeMap::from([("a".to_owned(), vec![hash.to_owned()])]);
        assert_eq!(names(&lock, &allow("1")).unwrap(), ["a-1-py3-none-any.whl"]);
        assert_eq!(names(&lock, &allow("sd")).unwrap(), ["a-1.tar.gz"]);
        let error = names(&lock, &allow("9")).unwrap_err();
        assert!(error.contains("no file with a hash"), "{error}");
    }

    #[test]
    fn everything_that_is_missing_is_said_together() {
        let lock = Lock {
            packages: vec![package("a", &[], None), package("b", &[], None)],
            ..Lock::default()
        };
        let error = names(&lock, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.lines().count(), 2, "{error}");
        assert!(error.contains("glibc 2.36"), "{error}");
    }

    #[test]
    fn what_the_base_has_is_not_installed_again() {
        let lock = Lock {
            packages: vec![package("torch", &[("torch-1-py3-none-any.whl", "1")], None)],
            ..Lock::default()
        };
        let facts = Facts {
            installed: vec![("torch".into(), "1".into())],
            ..facts()
        };
        assert!(lock.choose(&facts, &BTreeMap::new()).unwrap().is_empty());
    }
}
