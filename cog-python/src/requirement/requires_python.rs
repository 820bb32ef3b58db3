//! `requires-python`: the versions of Python that a project, a lock or a script is for.

use std::str::FromStr;

use pep508_rs::pep440_rs::{Version, VersionSpecifiers};
use serde::Deserialize;
use toml::Spanned;

use super::read::place;
use super::script;
use crate::config::PythonVersion;
use crate::diagnostic::{Report, Source};

/// Where each kind of file has the key: at its top, or in `[project]`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    requires_python: Option<Spanned<String>>,
    #[serde(default)]
    project: Project,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    requires_python: Option<Spanned<String>>,
}

/// Whether the image's Python is one that a file is for. Files that are not understood are told of where they are read.
pub(super) fn check(source: &Source, python: PythonVersion) -> Report {
    let mut report = Report::new();
    let Some((wanted, offset)) = wanted(source) else {
        return report;
    };
    let mut span = place(source, offset);
    // With its quotes.
    span.length = wanted.chars().count() + 2;
    let name = source.name();
    match VersionSpecifiers::from_str(&wanted) {
        Ok(versions) if fits(&versions, python) => {}
        Ok(versions) => {
            let message =
                format!("`{name}` is for Python {wanted}, and the image's Python is {python}");
            report.push(source.error(span, message).hint(advice(&versions, python)));
        }
        Err(_) => {
            let message =
                format!("`requires-python` must be versions such as `>=3.12`, found `{wanted}`");
            report.push(source.error(span, message));
        }
    }
    report
}

/// The text of the key, and where it is.
fn wanted(source: &Source) -> Option<(String, usize)> {
    let is_script = std::path::Path::new(source.name())
        .extension()
        .is_some_and(|it| it == "py");
    let block = is_script.then(|| script::block(source.text()).ok());
    let block = block.unwrap_or_default();
    let file: File = toml::from_str(block.as_deref().unwrap_or(source.text())).ok()?;
    let key = file.project.requires_python.or(file.requires_python)?;
    let offset = key.span().start;
    Some((key.into_inner(), offset))
}

/// Whether a release of this version can be among them: without a third number, any release of the line is.
fn fits(versions: &VersionSpecifiers, python: PythonVersion) -> bool {
    const RELEASES: u8 = 50;
    let releases = match python.patch() {
        Some(release) => release..=release,
        None => 0..=RELEASES,
    };
    let minor = u64::from(python.minor());
    releases
        .into_iter()
        .any(|release| versions.contains(&Version::new([3, minor, u64::from(release)])))
}

/// The version that fits and is nearest to what was chosen.
fn advice(versions: &VersionSpecifiers, python: PythonVersion) -> String {
    const NEWEST: u8 = 20;
    let lines = (0..=NEWEST).filter_map(|minor| format!("3.{minor}").parse().ok());
    let nearest = lines
        .filter(|line: &PythonVersion| fits(versions, *line))
        .min_by_key(|line| line.minor().abs_diff(python.minor()));
    match nearest {
        Some(line) => format!("set `build.python_version` to one of them, such as \"{line}\""),
        None => "none of these is a version that Cog runs with".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, text: &str, python: &str) -> String {
        check(&Source::new(name, text), python.parse().unwrap()).to_string()
    }

    #[test]
    fn each_kind_of_file_has_its_key() {
        let script = "# é\n# /// script\n# requires-python = \">=3.13\"\n# ///\n";
        for (name, text, place) in [
            (
                "a/pyproject.toml",
                "[project]\nrequires-python = \">=3.13\"\n",
                "2:19",
            ),
            ("uv.lock", "requires-python = \">=3.13\"\n", "1:19"),
            ("pylock.toml", "requires-python = \">=3.13\"\n", "1:19"),
            ("run.py", script, "3:21"),
        ] {
            let report = told(name, text, "3.11");
            let message =
                format!("error: `{name}` is for Python >=3.13, and the image's Python is 3.11");
            assert!(report.starts_with(&message), "{report}");
            assert!(
                report.contains(&format!("--> {name}:{place}\n")),
                "{report}"
            );
            assert!(report.contains("such as \"3.13\""), "{report}");
            assert_eq!(told(name, text, "3.13"), "");
        }
    }

    #[test]
    fn a_line_of_releases_fits_if_one_of_them_does() {
        for (wanted, python, fine) in [
            (">=3.12.4,<3.13", "3.12", true),
            ("==3.12.4", "3.12", true),
            ("==3.12.*", "3.12.1", true),
            (">=3.12.4", "3.12.3", false),
            ("<3.12", "3.12", false),
            ("~=3.11", "3.13", true),
            ("", "3.13", true),
        ] {
            let text = format!("requires-python = \"{wanted}\"\n");
            let report = told("uv.lock", &text, python);
            assert_eq!(report.is_empty(), fine, "{wanted} {python} {report}");
        }
    }

    #[test]
    fn other_texts_and_old_versions_are_told() {
        let report = told("uv.lock", "requires-python = \"^3.9\"\n", "3.12");
        assert!(
            report.contains("such as `>=3.12`, found `^3.9`"),
            "{report}"
        );
        let report = told("uv.lock", "requires-python = \"<3.10\"\n", "3.12");
        assert!(report.contains("none of these"), "{report}");
    }
}
