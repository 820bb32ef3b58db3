//! Reading requirements: checks every line, follows local `-r` and `-c` files.

use std::collections::BTreeSet;

use super::Requirements;
use super::lexer::logical_lines;
use super::line::{Line, classify, has_credentials, is_remote, is_version_control, variables};
use crate::diagnostic::{Report, Source, Span};
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
        }
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
        for line in logical_lines(source.text()) {
            self.line(source, &line.text, line.span, target);
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
        let keep = match classify(text) {
            Line::Named { name, .. } if matches!(name.as_str(), "cog" | "coglet") => {
                self.report.push(
                    source
                        .warning(
                            span,
                            format!("`{name}` is installed by the builder, as `{}`; this line is left out", self.sdk),
                        )
                        .hint("choose the version with `build.sdk_version` or `--sdk-version`"),
                );
                false
            }
            Line::Named {
                url: Some(location),
                ..
            }
            | Line::Unnamed(location) => {
                self.requirements.needs_tools |= is_version_control(location);
                self.remote(source, span, location)
            }
            Line::Editable(location) => {
                self.requirements.needs_tools |= is_version_control(location);
                if is_remote(location) {
                    true
                } else {
                    self.report.push(
                        source
                            .error(
                                span,
                                format!("editable install of `{location}` is not possible"),
                            )
                            .hint(
                                "the project is copied to /src after packages are installed; \
                                 modules next to the `run` file can be imported without installing",
                            ),
                    );
                    false
                }
            }
            Line::FindLinks(location) => self.remote(source, span, location),
            Line::Include(path) => self.include(source, span, path, target),
            Line::Constraint(path) => self.include(source, span, path, Target::Constraints),
            Line::Option(name) => {
                self.requirements.hashed |= name == "--require-hashes";
                true
            }
            Line::Named { url: None, .. } => true,
        };
        if keep {
            self.secrets.extend(variables(text));
            match target {
                Target::Requirements => {
                    self.requirements.hashed |= text.contains(" --hash");
                    self.requirements.needs_tools |=
                        text.starts_with("--no-binary") || text.starts_with("--only-binary=:none:");
                    self.requirements.lines.push(text.to_owned());
                }
                Target::Constraints => self.requirements.constraints.push(text.to_owned()),
            }
        }
    }

    /// Whether a location is remote; a local one is reported.
    fn remote(&mut self, source: &Source, span: Span, location: &str) -> bool {
        if is_remote(location) {
            return true;
        }
        self.report.push(
            source
                .error(span, format!("`{location}` is a local path, which pip can not see in the build"))
                .hint("publish the package to an index, or give an URL (`https://…`, `git+https://…`)"),
        );
        false
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

/// pip resolves included files against the file that names them.
fn relative_to(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = match file.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => folder.split('/').collect(),
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
    use std::collections::BTreeMap;

    use super::*;

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
    fn local_paths_and_passwords_are_refused_together() {
        let (requirements, report) = read(&[(
            "requirements.txt",
            "./pkg\n-e .\nx @ file:///x.whl\nwheels/a.whl\n--index-url https://me:hunter2@host/\n-r gone.txt\nok\n",
        )]);
        assert_eq!(requirements.lines, ["ok"]);
        assert_eq!(report.matches("error: ").count(), 6, "{report}");
        assert!(!report.contains("hunter2"));
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
        assert!(
            read(&[("requirements.txt", "git+https://x/y\n")])
                .0
                .needs_tools
        );
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(relative_to("requirements.txt", "./a.txt"), "a.txt");
        assert_eq!(relative_to("a/b.txt", "../../c.txt"), "../c.txt");
        assert_eq!(relative_to("a/b.txt", "/c/d.txt"), "/c/d.txt");
    }
}
