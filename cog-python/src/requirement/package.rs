//! One named package of a requirements file: PEP 508 with the options pip allows behind it.

use std::str::FromStr;

use pep508_rs::pep440_rs::{Operator, Version, VersionSpecifiers};
use pep508_rs::{MarkerEnvironment, MarkerTree, Requirement, VerbatimUrl, VersionOrUrl};

use crate::diagnostic::Place;

/// A named package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name, normalized: lowercase, `-` between words.
    pub name: String,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// When it is wanted at all.
    pub marker: MarkerTree,
    /// Its line in [`Requirements::lines`](super::Requirements::lines).
    pub line: usize,
    /// Where it was written.
    pub place: Place,
    /// Indexes named on the same line, which pip does not know, but Cog reads.
    pub indexes: Vec<String>,
    /// Name and extras as written.
    head: String,
    /// `; marker` as written, or nothing.
    tail: String,
    /// Options as written, such as hashes.
    options: String,
}

/// What is wanted of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A version within bounds; without any, every version.
    Versions(VersionSpecifiers),
    /// What an URL or a path gives.
    Location(String),
}

/// What is wrong with a text, and from which character on.
pub(super) struct PackageError {
    pub(super) message: String,
    pub(super) start: usize,
}

/// A package and what else its line says.
pub(super) struct Parsed {
    pub(super) package: Package,
    /// `--find-links` of the line, to be given to pip on a line of its own.
    pub(super) find_links: Vec<String>,
}

impl Package {
    /// Parses a line; the text starts with the name of the package.
    pub(super) fn parse(text: &str, line: usize, place: Place) -> Result<Parsed, PackageError> {
        let (core, options) = split_options(text);
        let (core, location, tail) = split_location(core);
        let tail = tail.trim();
        // The URL is left out: the parser would put variables of this machine into it.
        let standard = format!("{core} {tail}");
        let parsed =
            Requirement::<VerbatimUrl>::from_str(standard.trim_end()).map_err(|error| {
                PackageError {
                    message: first_sentence(&error.message.to_string()),
                    start: text
                        .chars()
                        .take(error.start)
                        .count()
                        .min(text.chars().count()),
                }
            })?;
        let end = core
            .find(['<', '>', '=', '!', '~', '(', ';'])
            .unwrap_or(core.len());
        let wanted = match (location, parsed.version_or_url) {
            (Some(location), _) => Wanted::Location(location.to_owned()),
            (None, Some(VersionOrUrl::VersionSpecifier(versions))) => Wanted::Versions(versions),
            (None, _) => Wanted::Versions(VersionSpecifiers::empty()),
        };
        let (kept, indexes, find_links) = sort_options(options);
        let tail = match (tail, core.split_once(';')) {
            ("", Some((_, marker))) => format!("; {}", marker.trim()),
            (tail, _) => tail.to_owned(),
        };
        Ok(Parsed {
            package: Self {
                name: parsed.name.to_string(),
                wanted,
                marker: parsed.marker,
                line,
                place,
                indexes,
                head: core[..end].trim().to_owned(),
                tail,
                options: kept,
            },
            find_links,
        })
    }

    /// The one version that is wanted, if there is only one: `==2.4.1`, not `>=2.4` and not `==2.4.*`.
    pub fn pin(&self) -> Option<&Version> {
        let Wanted::Versions(versions) = &self.wanted else {
            return None;
        };
        let mut versions = versions.iter();
        match (versions.next(), versions.next()) {
            (Some(only), None)
                if matches!(only.operator(), Operator::Equal | Operator::ExactEqual) =>
            {
                Some(only.version())
            }
            _ => None,
        }
    }

    /// Whether any version will do.
    pub fn is_unbound(&self) -> bool {
        matches!(&self.wanted, Wanted::Versions(versions) if versions.is_empty())
    }

    /// Whether a version is wanted.
    pub fn allows(&self, version: &str) -> bool {
        match (&self.wanted, Version::from_str(version)) {
            (Wanted::Versions(versions), Ok(version)) => versions.contains(&version),
            _ => false,
        }
    }

    /// Whether the marker holds in an environment.
    pub fn applies(&self, environment: &MarkerEnvironment) -> bool {
        self.marker.evaluate(environment, &[])
    }

    /// The line with this version pinned: name, extras, marker and hashes stay as written.
    pub fn pinned(&self, version: &str) -> String {
        self.with(&format!("=={version}"))
    }

    /// The line without what pip refuses on it, or nothing when it was fine.
    pub(super) fn cleaned(&self, text: &str, changed: bool) -> String {
        if !changed {
            return text.to_owned();
        }
        match &self.wanted {
            Wanted::Versions(versions) => {
                let versions = versions.to_string().replace(", ", ",");
                self.with(&versions)
            }
            Wanted::Location(location) => self.with(&format!(" @ {location}")),
        }
    }

    /// The line with another location.
    pub(super) fn located(&self, location: &str) -> String {
        self.with(&format!(" @ {location}"))
    }

    fn with(&self, wanted: &str) -> String {
        let mut line = format!("{}{wanted}", self.head);
        for part in [&self.tail, &self.options] {
            if !part.is_empty() {
                line.push(' ');
                line.push_str(part);
            }
        }
        line
    }
}

/// The environment that markers are evaluated in: the usual Python on Linux.
pub(crate) fn environment(python: &str, machine: &str) -> Option<MarkerEnvironment> {
    let full = if python.matches('.').count() > 1 {
        python.to_owned()
    } else {
        format!("{python}.0")
    };
    let line: Vec<&str> = python.splitn(3, '.').take(2).collect();
    pep508_rs::MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name: "posix",
        platform_machine: machine,
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: &full,
        python_version: &line.join("."),
        sys_platform: "linux",
    }
    .try_into()
    .ok()
}

/// Splits where the first option starts.
fn split_options(text: &str) -> (&str, &str) {
    let start = text
        .match_indices(char::is_whitespace)
        .find(|(index, _)| {
            let rest = text[*index..].trim_start();
            rest.starts_with("--") || rest.starts_with("-f ")
        })
        .map_or(text.len(), |(index, _)| index);
    (text[..start].trim_end(), text[start..].trim())
}

/// Splits `name @ location ; marker`; a marker needs a blank before its `;` there.
fn split_location(core: &str) -> (&str, Option<&str>, &str) {
    let before_marker = core.split(';').next().unwrap_or_default();
    let Some(at) = before_marker.find('@') else {
        return (core, None, "");
    };
    let (head, rest) = (&core[..at], core[at + 1..].trim_start());
    match rest.find(" ;") {
        Some(end) => (head.trim_end(), Some(rest[..end].trim_end()), &rest[end..]),
        None => (head.trim_end(), Some(rest), ""),
    }
}

/// Options that stay, and the indexes and `--find-links` that pip wants on lines of their own.
fn sort_options(options: &str) -> (String, Vec<String>, Vec<String>) {
    let (mut kept, mut indexes, mut find_links) = (Vec::new(), Vec::new(), Vec::new());
    let mut words = options.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut value = |name: &str| match word.strip_prefix(name)?.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None if word == name => words.next().map(str::to_owned),
            None => None,
        };
        if let Some(index) = value("--extra-index-url") {
            indexes.push(index);
        } else if let Some(link) = value("--find-links").or_else(|| value("-f")) {
            find_links.push(link);
        } else {
            kept.push(word);
        }
    }
    (kept.join(" "), indexes, find_links)
}

/// What the parser says, in the form of our messages.
fn first_sentence(message: &str) -> String {
    let line = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let mut chars = line.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "the text is not understood".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;

    fn parse(text: &str) -> Package {
        let place = Place {
            file: "requirements.txt".into(),
            span: Span {
                line: 1,
                column: 1,
                length: 1,
            },
        };
        match Package::parse(text, 0, place) {
            Ok(parsed) => parsed.package,
            Err(error) => panic!("{text}: {}", error.message),
        }
    }

    /// B7: extras, case and separators hid torch from the choice of CUDA.
    #[test]
    fn names_are_normalized_and_extras_are_no_part_of_them() {
        for text in [
            "torch[opt]==2.4.1",
            "Torch == 2.4.1",
            "torch (==2.4.1)",
            "torch===2.4.1",
        ] {
            let package = parse(text);
            assert_eq!(package.name, "torch", "{text}");
            assert_eq!(package.pin().unwrap().to_string(), "2.4.1", "{text}");
        }
    }

    /// B8: any operator was taken for a pin.
    #[test]
    fn ranges_are_no_pins() {
        for text in [
            "torch>=2.1",
            "torch<2.7.0",
            "torch~=2.4",
            "torch==2.4.*",
            "torch",
            "torch!=2.4.1",
        ] {
            assert_eq!(parse(text).pin(), None, "{text}");
        }
        assert!(parse("torch<2.7.0").allows("2.6.0"));
        assert!(!parse("torch<2.7.0").allows("2.7.0"));
    }

    /// B13: a marker that touches the version became part of it, and was lost.
    #[test]
    fn markers_stay_where_they_are() {
        let package = parse("torch==2.4; python_version >= \"3.10\" --hash=sha256:aa");
        assert_eq!(
            package.pinned("2.4.1"),
            "torch==2.4.1 ; python_version >= \"3.10\" --hash=sha256:aa"
        );
        let environment = |python| environment(python, "x86_64").unwrap();
        assert!(package.applies(&environment("3.12")));
        assert!(!parse("torch==2.4.1; python_version < '3.10'").applies(&environment("3.12.4")));
        assert!(!parse("x ; sys_platform == 'win32'").applies(&environment("3.12")));
    }

    #[test]
    fn locations_keep_their_text() {
        let package =
            parse("six[a] @ https://${TOKEN}@host/six.whl#sha256=00 ; python_version > '3'");
        assert_eq!(
            package.wanted,
            Wanted::Location("https://${TOKEN}@host/six.whl#sha256=00".into())
        );
        assert_eq!(
            package.located("file:///x"),
            "six[a] @ file:///x ; python_version > '3'"
        );
    }

    #[test]
    fn options_that_pip_wants_elsewhere_are_taken_off_the_line() {
        let package = parse("torch==2.7.0 --extra-index-url=https://a --hash=sha256:00");
        assert_eq!(package.indexes, ["https://a"]);
        assert_eq!(package.cleaned("", true), "torch==2.7.0 --hash=sha256:00");
    }
}
