//! The names that predictions had: the key `predict`, and `Predictor`, `BasePredictor` and `predict()` in code.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use rustpython_parser::Tok;
use rustpython_parser::ast::{Ranged, Stmt, StmtClassDef};

use super::script::{Edit, Script, bytes, contains, of};
use super::{Changes, Look};
use crate::config::RunReference;
use crate::diagnostic::Severity;
use crate::files::{FileProblem, ProjectFiles};

/// Where the code was, and where it is now.
const OLD: &str = "predict.py";
const NEW: &str = "run.py";

/// The old key, at the top of the configuration.
static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^predict([ \t]*:)").expect("a valid pattern"));
/// Either key with the reference to the old file.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)^(?:predict|run)([ \t]*:[ \t]*["']?)(?:\./)?predict\.py:Predictor(["']?[ \t]*(?:#.*?)?\r?)$"#)
        .expect("a valid pattern")
});

/// What the migration has to know of the project.
pub(crate) struct Surroundings<'a> {
    /// Name of the configuration file.
    pub(crate) config: &'a str,
    /// `run`, or `predict`.
    pub(crate) reference: Option<&'a RunReference>,
    /// Whether Cog's package in the image is known to have the new names.
    pub(crate) has_new_names: bool,
    /// The files of the project.
    pub(crate) files: &'a dyn ProjectFiles,
    /// Python files of the project by their path, to find those that use the old ones.
    pub(crate) scripts: &'a dyn Fn() -> Result<Vec<String>, String>,
}

/// Looks for the old names: in the code if it is where models have it at their beginning, and as a key.
pub(crate) fn migration(around: &Surroundings<'_>) -> Look {
    let mut look = Look::default();
    let config = around.files.read(around.config).unwrap_or_default();
    let is_usual =
        |reference: &&RunReference| (reference.file(), reference.name()) == (OLD, "Predictor");
    let code = around
        .files
        .read(OLD)
        .ok()
        .filter(|_| around.reference.as_ref().is_some_and(is_usual));
    let script = code.and_then(|text| Script::read(OLD, &text));
    if let Some(script) = &script
        && let Some(class) = predictor(script)
    {
        let range = bytes(class.range());
        let at = script.defined(&Tok::Class, &range).unwrap_or(range);
        look.findings.push(script.finding(
            Severity::Warning,
            &at,
            "`Predictor`, `BasePredictor` and `predict()` are the old names of `Runner`, `BaseRunner` and `run()`",
            format!("rename them, and `{OLD}` to `{NEW}`"),
        ));
        match changes(script, class, &config, around) {
            Ok(changes) => look.changes = changes,
            Err(reason) => look.unsure = Some(format!("`{OLD}`: {reason}")),
        }
    }
    // The key has the same meaning by both names, wherever it leads to.
    if !look.changes.contains_key(around.config) && KEY.find_iter(&config).count() == 1 {
        let text = KEY.replace(&config, "run$1").into_owned();
        look.changes.insert(around.config.to_owned(), Some(text));
    }
    look
}

/// The class, if its file has exactly one of that name and it uses an old name.
fn predictor(script: &Script) -> Option<&StmtClassDef> {
    let mut classes = script
        .statements
        .iter()
        .filter_map(|statement| match statement {
            Stmt::ClassDef(class) if class.name.as_str() == "Predictor" => Some(class),
            _ => None,
        });
    classes.next().filter(|_| classes.next().is_none())
}

fn changes(
    script: &Script,
    class: &StmtClassDef,
    config: &str,
    around: &Surroundings<'_>,
) -> Result<Changes, String> {
    if !around.has_new_names {
        return Err("the `sdk_version` of this project may not have the new names".to_owned());
    }
    if around.files.check_file(NEW) != Err(FileProblem::Missing) {
        return Err(format!("there is a `{NEW}` already"));
    }
    let new_config = REFERENCE.replace_all(config, |found: &Captures<'_>| {
        format!("run{}run.py:Runner{}", &found[1], &found[2])
    });
    if REFERENCE.find_iter(config).count() != 1 || new_config.contains(OLD) {
        return Err(format!("`{}` names it in other ways", around.config));
    }
    let ignore = around.files.read(".dockerignore").unwrap_or_default();
    if ignore.contains(OLD) || ignore.contains(NEW) {
        return Err("`.dockerignore` names the file".to_owned());
    }
    let code = script.with(edits(script, class)?)?;
    for path in (around.scripts)()? {
        if path == OLD {
            continue;
        }
        let text = around.files.read(&path);
        let text = text.map_err(|problem| format!("`{path}` {problem}"))?;
        if !text.contains("predict") {
            continue;
        }
        let other = Script::read(&path, &text).filter(Script::has_words);
        let other = other.ok_or_else(|| format!("`{path}` may use it, and cannot be read"))?;
        if let Some(line) = other.uses_module("predict") {
            return Err(format!("`{path}` uses it in line {line}"));
        }
    }
    Ok(Changes::from([
        (around.config.to_owned(), Some(new_config.into_owned())),
        (OLD.to_owned(), None),
        (NEW.to_owned(), Some(code)),
    ]))
}

fn edits(script: &Script, class: &StmtClassDef) -> Result<Vec<Edit>, String> {
    if !script.has_words() {
        return Err("it has strings that hide where names are used".to_owned());
    }
    let range = bytes(class.range());
    let mut edits = Vec::new();
    for taken in ["Runner", "BaseRunner"] {
        if let Some(at) = script.words(taken).first() {
            return Err(format!(
                "line {} has a `{taken}` already",
                script.line(at.start)
            ));
        }
    }
    // Everything that is called like what is renamed must be what is renamed.
    let mut rename = |old: &str, new: &str, wanted: &[std::ops::Range<usize>]| {
        let other = script
            .words(old)
            .into_iter()
            .find(|at| !wanted.contains(at));
        let other = other.or_else(|| script.in_strings(old).filter(|_| old != "predict").cloned());
        if let Some(at) = other {
            return Err(format!("`{old}` is used in line {}", script.line(at.start)));
        }
        edits.extend(wanted.iter().map(|at| Edit::new(at.clone(), new)));
        Ok(())
    };
    let methods: Vec<_> = class
        .body
        .iter()
        .filter_map(|statement| match statement {
            Stmt::FunctionDef(method) => Some((method.name.as_str(), bytes(method.range()))),
            Stmt::AsyncFunctionDef(method) => Some((method.name.as_str(), bytes(method.range()))),
            _ => None,
        })
        .collect();
    let [(_, method)] = &methods
        .iter()
        .filter(|(name, _)| *name == "predict")
        .collect::<Vec<_>>()[..]
    else {
        return Err("its class has not exactly one `predict()`".to_owned());
    };
    if methods.iter().any(|(name, _)| *name == "run") {
        return Err("its class has a `run()` already".to_owned());
    }
    let found = || "its names are written in an unknown way".to_owned();
    rename(
        "Predictor",
        "Runner",
        &[script.defined(&Tok::Class, &range).ok_or_else(found)?],
    )?;
    rename(
        "predict",
        "run",
        &[script.defined(&Tok::Def, method).ok_or_else(found)?],
    )?;
    let imports = script.imports();
    let of_cog = |import: &&super::script::Import<'_>| {
        import.local == "BasePredictor" && matches!(import.module.as_str(), "cog" | "cog.predictor")
    };
    let statements: Vec<_> = imports
        .iter()
        .filter(of_cog)
        .map(|import| bytes(import.statement.range()))
        .collect();
    let is_known = imports
        .iter()
        .any(|import| import.local == "cog" && import.name.is_none());
    let words = script.words("BasePredictor");
    let wanted: Vec<_> = words
        .iter()
        .filter(|at| {
            let is_import = statements.iter().any(|statement| contains(statement, at));
            let is_base = class.bases.iter().any(|base| contains(&of(base), at));
            let is_of_cog = if script.is_attribute(at) {
                is_known
            } else {
                !statements.is_empty()
            };
            is_import || is_base && is_of_cog
        })
        .cloned()
        .collect();
    rename("BasePredictor", "BaseRunner", &wanted)?;
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const CODE: &str = "from cog import BasePredictor, Input\n\n\nclass Predictor(BasePredictor):\n    \
                        def predict(self, n: int = Input(default=1)) -> int:\n        return n\n";
    const CONFIG: &str =
        "build:\n  python_version: \"3.12\"\npredict: \"predict.py:Predictor\"  # here\n";

    fn look(files: &[(&str, &str)]) -> Look {
        let files: BTreeMap<String, String> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let paths = || {
            Ok(files
                .keys()
                .filter(|path| {
                    std::path::Path::new(path)
                        .extension()
                        .is_some_and(|it| it == "py")
                })
                .cloned()
                .collect())
        };
        migration(&Surroundings {
            config: "cog.yaml",
            reference: Some(&"predict.py:Predictor".parse().unwrap()),
            has_new_names: true,
            files: &files,
            scripts: &paths,
        })
    }

    #[test]
    fn names_key_and_file_move_together() {
        let found = look(&[("cog.yaml", CONFIG), ("predict.py", CODE)]);
        assert_eq!((found.findings.len(), found.unsure), (1, None));
        assert_eq!(found.changes["predict.py"], None);
        assert_eq!(
            found.changes["cog.yaml"].as_deref().unwrap(),
            "build:\n  python_version: \"3.12\"\nrun: \"run.py:Runner\"  # here\n"
        );
        let code = found.changes["run.py"].as_deref().unwrap();
        assert_eq!(
            code,
            "from cog import BaseRunner, Input\n\n\nclass Runner(BaseRunner):\n    \
             def run(self, n: int = Input(default=1)) -> int:\n        return n\n"
        );
        let qualified =
            "import cog\nclass Predictor(cog.BasePredictor):\n    def predict(self) -> int: ...\n";
        let found = look(&[("cog.yaml", CONFIG), ("predict.py", qualified)]);
        assert_eq!(
            found.changes["run.py"].as_deref(),
            Some("import cog\nclass Runner(cog.BaseRunner):\n    def run(self) -> int: ...\n")
        );
    }

    #[test]
    fn where_others_use_the_names_only_the_key_changes() {
        let called = format!("{CODE}\nprint(Predictor().predict())\n");
        let aliased = CODE
            .replace("BasePredictor", "BasePredictor as Base")
            .replace("(BasePredictor as Base)", "(Base)");
        for (files, reason) in [
            (
                &[("cog.yaml", CONFIG), ("predict.py", &called)][..],
                "`Predictor` is used in line 8",
            ),
            (
                &[("cog.yaml", CONFIG), ("predict.py", &aliased)],
                "`BasePredictor` is used in line 1",
            ),
            (
                &[("cog.yaml", CONFIG), ("predict.py", CODE), ("run.py", "")],
                "already",
            ),
            (
                &[
                    ("cog.yaml", CONFIG),
                    ("predict.py", CODE),
                    ("a/b.py", "\nfrom predict import x\n"),
                ],
                "`a/b.py` uses it in line 2",
            ),
            (
                &[
                    ("cog.yaml", CONFIG),
                    ("predict.py", CODE),
                    (".dockerignore", "!predict.py\n"),
                ],
                ".dockerignore",
            ),
            (
                &[
                    ("cog.yaml", &format!("{CONFIG}train: predict.py:train\n")),
                    ("predict.py", CODE),
                ],
                "in other ways",
            ),
        ] {
            let found = look(files);
            let unsure = found.unsure.unwrap();
            assert!(unsure.contains(reason), "{unsure}");
            let keys: Vec<_> = found.changes.keys().collect();
            assert_eq!(keys, ["cog.yaml"], "{reason}");
            let text = found.changes["cog.yaml"].as_deref().unwrap();
            assert!(
                text.contains("\nrun: \"predict.py:Predictor\"  # here\n"),
                "{text}"
            );
        }
    }
}
