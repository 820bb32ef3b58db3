//! Reading requirements: checks every line, follows local `-r` and `-c` files.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::logical_lines;
use super::line::{
    Line, behind_options, classify, has_credentials, is_archive, is_built, is_remote, variables,
};
use super::lock;
use super::package::{Package, Parsed, Wanted};
use super::{LOCAL_FOLDER, Requirements, requires_python};
use crate::config::PythonVersion;
use crate::diagnostic::{Place, Report, Source, Span};
use crate::files::ProjectFiles;

/// One requirement as written in `cog.yaml`.
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Span,
}

/// Where lines go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Requirements,
    Constraints,
}

/// Collects requirements and what is wrong with them.
pub(crate) struct Reader<'a> {
    files: &'a dyn ProjectFiles,
    report: &'a mut Report,
    requirements: Requirements,
    secrets: BTreeSet<String>,
    /// Files being read, outermost first: a file that includes itself would never end.
    open: Vec<String>,
    /// Where to name the SDK's version, for the warning about lines that do it.
    sdk: String,
    /// Python of the image.
    python: Option<PythonVersion>,
    /// Takes the files that are read, by name.
    sources: Option<&'a mut BTreeMap<String, Source>>,
}

impl<'a> Reader<'a> {
    /// A reader; `sdk` is the requirement that installs the runtime, for warnings.
    pub(crate) fn new(files: &'a dyn ProjectFiles, report: &'a mut Report, sdk: String) -> Self {
        Self {
            files,
            report,
            requirements: Requirements::default(),
            secrets: BTreeSet::new(),
            open: Vec::new(),
            sdk,
            python: None,
            sources: None,
        }
    }

    /// Keeps the files that are read, by name.
    pub(crate) fn collect(&mut self, sources: &'a mut BTreeMap<String, Source>) {
        self.sources = Some(sources);
    }

    /// Compares this version with those that files of a project, locks and scripts ask for.
    pub(crate) fn python(&mut self, version: PythonVersion) {
        self.python = Some(version);
    }

    /// Ends reading.
    pub(crate) fn finish(mut self) -> Requirements {
        self.requirements.secrets = self.secrets.into_iter().collect();
        self.requirements
    }

    /// Reads a requirements file whose text the caller has.
    pub(crate) fn file(&mut self, source: &Source) {
        self.lines(source, Target::Requirements);
    }

    /// Reads one requirement written in another file.
    pub(crate) fn statement(&mut self, source: &Source, statement: &Statement<'_>) {
        for line in logical_lines(statement.text) {
            self.line(source, &line.text, statement.span, Target::Requirements);
        }
    }

    fn lines(&mut self, source: &Source, target: Target) {
        self.open.push(source.name().to_owned());
        if let Some(sources) = &mut self.sources {
            sources.insert(source.name().to_owned(), source.clone());
        }
        match lock::lines(source.name(), source.text()) {
            None => {
                for line in logical_lines(source.text()) {
                    self.line(source, &line.text, line.span, target);
                }
            }
            Some(Ok(lines)) => {
                if let Some(python) = self.python {
                    let finding = requires_python::check(source, python);
                    self.report.extend(finding);
                }
                // Nothing but the file itself says what is installed.
                let alone = self.open.len() == 1 && self.requirements.lines.is_empty();
                self.requirements.lock = alone
                    .then(|| lock::locked(source.name(), source.text()))
                    .flatten();
                for line in lines {
                    self.line(source, &line.text, place(source, line.offset), target);
                }
            }
            Some(Err(error)) => {
                let span = place(source, error.offset);
                self.report.push(source.error(
                    span,
                    format!("`{}` is not understood: {}", source.name(), error.message),
                ));
            }
        }
        self.open.pop();
    }

    fn line(&mut self, source: &Source, text: &str, span: Span, target: Target) {
        if has_credentials(text) {
            self.report.push(
                source
                    .error(span, "an URL holds a user name with a password or a token")
                    .without_excerpt()
                    .hint(
                        "write `${NAME}` in its place and give the value with \
                         `--secret id=NAME,env=NAME`",
                    ),
            );
            return;
        }
        if let Some((options, requirement)) = behind_options(text) {
            self.report.push(
                source
                    .warning(
                        span,
                        format!("pip does not see `{requirement}` behind options; it is taken for a line of its own"),
                    )
                    .hint("write the options and the requirement on lines of their own"),
            );
            for option in &options {
                self.line(source, option, span, target);
            }
            self.line(source, requirement, span, target);
            return;
        }
        let line = match classify(text) {
            // A lock has all that its packages need.
            Line::Named { name, .. }
                if matches!(name.as_str(), "cog" | "coglet") && self.is_locked_with_sdk() =>
            {
                None
            }
            Line::Named { name, .. } if matches!(name.as_str(), "cog" | "coglet") => {
                self.report.push(
                    source
                        .warning(
                            span,
                            format!("`{name}` is installed by the builder, as `{}`; this line is left out", self.sdk),
                        )
                        .hint("choose the version with `build.sdk_version` or `--sdk-version`"),
                );
                None
            }
            Line::Named { .. } => self.named(source, span, text, target),
            Line::Unnamed(location) => self
                .location(source, span, location)
                .or_else(|| is_remote(location).then(|| text.to_owned())),
            Line::Editable(location) if is_remote(location) => {
                self.requirements.needs_tools = true;
                Some(text.to_owned())
            }
            Line::Editable(location) => self.editable(source, span, location),
            Line::FindLinks(location) if is_remote(location) => Some(text.to_owned()),
            Line::FindLinks(location) => self.find_links(source, span, location),
            Line::Include(path) => self
                .include(source, span, path, target)
                .then(|| text.to_owned()),
            Line::Constraint(path) => self
                .include(source, span, path, Target::Constraints)
                .then(|| text.to_owned()),
            Line::Option(name) => {
                self.requirements.hashed |= name == "--require-hashes";
                Some(text.to_owned())
            }
        };
        if let Some(line) = line {
            self.secrets.extend(variables(&line));
            match target {
                Target::Requirements => {
                    self.requirements.hashed |= line.contains(" --hash");
                    self.requirements.needs_tools |=
                        line.starts_with("--no-binary") || line.starts_with("--only-binary=:none:");
                    self.requirements.lines.push(line);
                }
                Target::Constraints => self.requirements.constraints.push(line),
            }
        }
    }

    /// Whether there is a lock with the SDK that is installed.
    fn is_locked_with_sdk(&self) -> bool {
        let lock = self.requirements.lock.as_ref();
        let version = lock.and_then(|lock| lock.version("cog"));
        version.is_some_and(|version| self.sdk == format!("cog=={version}"))
    }

    /// A line that starts with the name of a package.
    fn named(&mut self, source: &Source, span: Span, text: &str, target: Target) -> Option<String> {
        let place = Place {
            file: source.name().to_owned(),
            span,
        };
        let parsed = match Package::parse(text, self.requirements.lines.len(), place) {
            Ok(parsed) => parsed,
            Err(error) => {
                let span = Span {
                    column: span.column + error.start,
                    length: span.length.saturating_sub(error.start).max(1),
                    ..span
                };
                self.report.push(
                    source
                        .error(
                            span,
                            format!("`{text}` is no requirement: {}", error.message),
                        )
                        .hint("the form is `name[extra]==1.2.3 ; marker`, or `name @ https://…`"),
                );
                return None;
            }
        };
        let Parsed {
            mut package,
            find_links,
        } = parsed;
        let changed = !package.indexes.is_empty() || !find_links.is_empty();
        if changed {
            self.report.push(
                source
                    .warning(span, format!("pip knows no index on the line of `{}`; it is given to all lines", package.name))
                    .hint("write `--extra-index-url URL` and `--find-links URL` on lines of their own"),
            );
        }
        for link in find_links {
            let option = format!("--find-links {link}");
            if !self.requirements.lines.contains(&option) {
                self.requirements.lines.push(option);
            }
        }
        package.line = self.requirements.lines.len();
        let mut line = package.cleaned(text, changed);
        if let Wanted::Location(location) = &package.wanted {
            self.requirements.needs_tools |= is_built(location);
            if !is_remote(location) {
                let local = self.local(source, span, location)?;
                line = package.located(&format!("file://{local}"));
            }
        }
        if target == Target::Requirements {
            self.requirements.packages.push(package);
        }
        Some(line)
    }

    /// An URL or a path without a name; `None` when it is remote or wrong.
    fn location(&mut self, source: &Source, span: Span, text: &str) -> Option<String> {
        self.requirements.needs_tools |= is_built(text);
        if is_remote(text) {
            return None;
        }
        // What follows a path stays behind it: extras, a marker, options.
        let end = text
            .find(" ;")
            .into_iter()
            .chain(text.find(" --"))
            .chain(text.find("; "))
            .chain(text.find('['))
            .min()
            .unwrap_or(text.len());
        let local = self.local(source, span, text[..end].trim_end())?;
        Some(format!("{local}{}", &text[end..]))
    }

    /// `-e PATH`: a folder of the project is installed as any other; the project itself is in the image anyway.
    fn editable(&mut self, source: &Source, span: Span, location: &str) -> Option<String> {
        let path = location.split('[').next().unwrap_or_default();
        let project = relative_to(source.name(), path.trim_end_matches('/'));
        if project.is_empty() || project == "." {
            self.report.push(
                source
                    .warning(span, "the project is not installed: it is copied to /src, where its modules are found")
                    .hint("to install what it depends on, name its pyproject.toml with `python_requirements`"),
            );
            return None;
        }
        let local = self.location(source, span, location)?;
        self.report.push(
            source
                .warning(span, format!("`{location}` is installed as it is now, not linked: the image has no folder to edit"))
                .hint("write the path without `-e`"),
        );
        Some(local)
    }

    /// `--find-links PATH`: a folder of the project that holds wheels.
    fn find_links(&mut self, source: &Source, span: Span, location: &str) -> Option<String> {
        let path = self.inside(source, span, location)?;
        self.requirements.local.insert(path.clone());
        Some(format!("--find-links {LOCAL_FOLDER}/{path}"))
    }

    /// A wheel, an archive or a folder of the project, as the path it has while packages are installed.
    fn local(&mut self, source: &Source, span: Span, location: &str) -> Option<String> {
        let path = self.inside(source, span, location)?;
        let found = if is_archive(&path) {
            self.files.check_file(&path)
        } else {
            let builds = ["pyproject.toml", "setup.py", "setup.cfg"];
            if builds
                .iter()
                .any(|file| self.files.check_file(&format!("{path}/{file}")).is_ok())
            {
                Ok(())
            } else {
                self.report.push(
                    source
                        .error(span, format!("`{location}` is neither a wheel or archive nor a folder with a pyproject.toml or setup.py"))
                        .hint("a path is relative to the file that names it; a package of an index has no `/`"),
                );
                return None;
            }
        };
        if let Err(problem) = found {
            self.report.push(
                source
                    .error(span, format!("file `{location}` {problem}"))
                    .hint("the path is relative to the file that names it"),
            );
            return None;
        }
        // A source archive or a folder is built, maybe with a compiler.
        self.requirements.needs_tools |= !path.to_ascii_lowercase().ends_with(".whl");
        self.requirements.local.insert(path.clone());
        Some(format!("{LOCAL_FOLDER}/{path}"))
    }

    /// A path relative to the project, which it must not leave.
    fn inside(&mut self, source: &Source, span: Span, location: &str) -> Option<String> {
        let path = location.strip_prefix("file:").unwrap_or(location);
        let path = path
            .strip_prefix("//")
            .map_or(path, |path| if path.starts_with('/') { path } else { "/" });
        let inside = relative_to(source.name(), path);
        if inside.is_empty()
            || inside.starts_with('/')
            || inside.starts_with("../")
            || inside == ".."
        {
            self.report.push(
                source
                    .error(span, format!("`{location}` is outside of the project, which is all that the builder is given"))
                    .hint("copy it into the project and name it by a path relative to this file"),
            );
            return None;
        }
        Some(inside)
    }

    /// Reads a local file in place; `true` when the line stays because it names an URL.
    fn include(&mut self, source: &Source, span: Span, path: &str, target: Target) -> bool {
        if is_remote(path) {
            return true;
        }
        let path = relative_to(source.name(), path);
        if self.open.contains(&path) {
            self.report
                .push(source.error(span, format!("`{path}` includes itself")));
            return false;
        }
        match self.files.read(&path) {
            Ok(text) => self.lines(&Source::new(path, text), target),
            Err(problem) => {
                self.report
                    .push(source.error(span, format!("file `{path}` {problem}")));
            }
        }
        false
    }
}

/// The line of a byte.
pub(super) fn place(source: &Source, offset: usize) -> Span {
    let before = source.text().get(..offset).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    Span {
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
        length: 1,
    }
}

/// pip resolves included files against the file that names them.
fn relative_to(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = match file.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => {
            folder.split('/').filter(|part| *part != ".").collect()
        }
        _ => Vec::new(),
    };
    for part in path.split('/') {
        match part {
            "." => {}
            "" if !parts.is_empty() => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, ".." | "")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_their_file() {
        for (file, path, relative) in [
            ("r.txt", "./x", "x"),
            ("./r.txt", "lib/x", "lib/x"),
            ("./r.txt", "../x", "../x"),
            ("./req/./r.txt", "../x", "x"),
        ] {
            assert_eq!(relative_to(file, path), relative, "{file} {path}");
        }
    }

    fn read(files: &[(&str, &str)]) -> (Requirements, String) {
        let files: BTreeMap<String, String> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let mut report = Report::new();
        let mut reader = Reader::new(&files, &mut report, "cog==0.23.1".into());
        reader.file(&Source::new(
            "requirements.txt",
            files["requirements.txt"].clone(),
        ));
        (reader.finish(), report.to_string())
    }

    #[test]
    fn lines_stay_as_written_and_comments_go() {
        let (requirements, report) = read(&[(
            "requirements.txt",
            "--extra-index-url https://example.com/simple\n# why\nnumpy>=2 ; python_version > '3.9'\nSix\n",
        )]);
        assert_eq!(
            requirements.lines,
            [
                "--extra-index-url https://example.com/simple",
                "numpy>=2 ; python_version > '3.9'",
                "Six"
            ]
        );
        assert_eq!(report, "");
    }

    #[test]
    fn the_sdk_is_left_out_with_a_warning() {
        let (requirements, report) = read(&[(
            "requirements.txt",
            "Cog==0.9\ncoglet\ncog[tracing] >= 1\ncogs\n",
        )]);
        assert_eq!(requirements.lines, ["cogs"]);
        assert_eq!(report.matches("warning: ").count(), 3, "{report}");
    }

    #[test]
    fn included_files_are_read_in_place_relative_to_their_file() {
        let (requirements, report) = read(&[
            (
                "requirements.txt",
                "a\n-r sub/more.txt\nz\n-c constraints.txt\n",
            ),
            ("sub/more.txt", "b\n-r ../last.txt\n"),
            ("last.txt", "c\n"),
            ("constraints.txt", "b<2\n"),
        ]);
        assert_eq!(requirements.lines, ["a", "b", "c", "z"]);
        assert_eq!(requirements.constraints, ["b<2"]);
        assert_eq!(report, "");
    }

    #[test]
    fn a_file_that_includes_itself_is_refused() {
        let (_, report) = read(&[
            ("requirements.txt", "-r a.txt\n"),
            ("a.txt", "-r ./requirements.txt\n"),
        ]);
        assert!(
            report.contains("`requirements.txt` includes itself"),
            "{report}"
        );
    }

    #[test]
    fn missing_paths_and_passwords_are_refused_together() {
        let (requirements, report) = read(&[(
            "requirements.txt",
            "./pkg\n-e .\nx @ file:///x.whl\nwheels/a.whl\n--index-url https://me:hunter2@host/\n-r gone.txt\n../up.whl\nsix six\nok\n",
        )]);
        assert_eq!(requirements.lines, ["ok"]);
        assert_eq!(report.matches("error: ").count(), 7, "{report}");
        assert_eq!(report.matches("warning: ").count(), 1, "{report}");
        assert!(!report.contains("hunter2"));
    }

    /// Wheels, archives, folders and editable folders of the project, which Cog refuses in part.
    #[test]
    fn local_packages_are_given_to_pip_by_the_path_they_are_mounted_at() {
        let (requirements, report) = read(&[
            (
                "requirements.txt",
                "-r sub/more.txt\nwheels/a-1-py3-none-any.whl ; python_version > '3'\n-f wheels\n",
            ),
            (
                "sub/more.txt",
                "./pkg[extra]\nb @ file:../c.tar.gz\n-e ./pkg\n./my pkg.zip\n",
            ),
            ("sub/pkg/pyproject.toml", ""),
            ("sub/my pkg.zip", ""),
            ("c.tar.gz", ""),
            ("wheels/a-1-py3-none-any.whl", ""),
        ]);
        assert_eq!(report.matches("error: ").count(), 0, "{report}");
        assert_eq!(
            requirements.lines,
            [
                "/run/cog-python/project/sub/pkg[extra]",
                "b @ file:///run/cog-python/project/c.tar.gz",
                "/run/cog-python/project/sub/pkg",
                "/run/cog-python/project/sub/my pkg.zip",
                "/run/cog-python/project/wheels/a-1-py3-none-any.whl ; python_version > '3'",
                "--find-links /run/cog-python/project/wheels",
            ]
        );
        let local: Vec<&str> = requirements.local.iter().map(String::as_str).collect();
        assert_eq!(
            local,
            [
                "c.tar.gz",
                "sub/my pkg.zip",
                "sub/pkg",
                "wheels",
                "wheels/a-1-py3-none-any.whl"
            ]
        );
        assert!(requirements.needs_tools);
    }

    #[test]
    fn variables_are_secrets_and_hashes_are_noticed() {
        let (requirements, _) = read(&[(
            "requirements.txt",
            "--index-url https://${USER}:${TOKEN}@host/simple\nsix==1 --hash=sha256:00\n",
        )]);
        assert_eq!(requirements.secrets, ["TOKEN", "USER"]);
        assert!(requirements.hashed);
        assert!(!requirements.needs_tools);
        for (line, is_built) in [
            ("git+https://x/y", true),
            ("a @ https://x/a-1.tar.gz#sha256=00", true),
            ("https://x/a-1.zip ; python_version > '3'", true),
            ("a @ https://x/a-1-py3-none-any.WHL#sha256=00", false),
            (
                "https://x/a-1-py3-none-any.whl ; python_version > '3'",
                false,
            ),
        ] {
            let (requirements, _) = read(&[("requirements.txt", &format!("{line}\n"))]);
            assert_eq!(requirements.needs_tools, is_built, "{line}");
        }
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(relative_to("requirements.txt", "./a.txt"), "a.txt");
        assert_eq!(relative_to("a/b.txt", "../../c.txt"), "../c.txt");
        assert_eq!(relative_to("a/b.txt", "/c/d.txt"), "/c/d.txt");
    }
}
