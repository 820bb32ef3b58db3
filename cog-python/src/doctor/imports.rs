//! Names that Cog's package has no longer.

use rustpython_parser::ast::{Expr, Ranged, Stmt};

use super::OfFile;
use super::script::{Edit, Script, bytes, contains, of};
use crate::diagnostic::Severity;

/// Module, name, and the release of Cog that left it out.
const REMOVED: [(&str, &str, &str); 1] = [("cog.types", "ExperimentalFeatureWarning", "0.17")];

pub(super) fn look(script: &Script) -> OfFile {
    let mut findings = Vec::new();
    let imports = script.imports();
    for import in &imports {
        let removed = REMOVED.iter().find(|(module, name, _)| {
            import.module == *module && import.name.as_deref() == Some(name)
        });
        if let Some((module, name, release)) = removed {
            findings.push(script.finding(
                Severity::Error,
                &bytes(import.statement.range()),
                format!("`{module}` has no `{name}` since Cog {release}: the import fails"),
                "remove it, and the statements that use it",
            ));
        }
    }
    let text = edits(script).and_then(|edits| script.with(edits));
    (findings, text)
}

fn edits(script: &Script) -> Result<Vec<Edit>, String> {
    if !script.has_words() {
        return Err("it has strings that hide where names are used".to_owned());
    }
    let imports = script.imports();
    let is_removed = |module: &str, name: Option<&str>| {
        REMOVED
            .iter()
            .any(|removed| (removed.0, Some(removed.1)) == (module, name))
    };
    let mut edits: Vec<Edit> = Vec::new();
    for import in &imports {
        if !is_removed(&import.module, import.name.as_deref()) {
            continue;
        }
        let statement = bytes(import.statement.range());
        let keeps = |local: &str| {
            !imports.iter().any(|other| {
                other.local == local
                    && bytes(other.statement.range()) == statement
                    && is_removed(&other.module, other.name.as_deref())
            })
        };
        let edit = script.rewritten(import.statement, &keeps, &[])?;
        if !edits.contains(&edit) {
            edits.push(edit);
        }
        for used in script.names(&import.local) {
            if contains(&statement, &used) || edits.iter().any(|edit| contains(&edit.range, &used))
            {
                continue;
            }
            let filter = script
                .statements
                .iter()
                .find(|filter| is_filter(filter, &used));
            let lines = filter
                .and_then(|filter| script.lines(filter))
                .ok_or_else(|| {
                    format!(
                        "`{}` is used in line {}",
                        import.local,
                        script.line(used.start)
                    )
                })?;
            edits.push(Edit::new(lines, ""));
        }
        if let Some(text) = script.in_strings(&import.local) {
            return Err(format!(
                "the string in line {} names it",
                script.line(text.start)
            ));
        }
    }
    // `import warnings` may have been there for the filter alone.
    for import in imports.iter().filter(|import| import.module == "warnings") {
        let statement = bytes(import.statement.range());
        let used = script.names(&import.local);
        let is_left = used.iter().any(|used| {
            !contains(&statement, used) && !edits.iter().any(|edit| contains(&edit.range, used))
        });
        let names = matches!(import.statement, Stmt::Import(names) if names.names.len() == 1);
        let had_uses = used.iter().any(|used| !contains(&statement, used));
        if names && had_uses && !is_left && script.in_strings(&import.local).is_none() {
            edits.extend(
                script
                    .lines(import.statement)
                    .map(|lines| Edit::new(lines, "")),
            );
        }
    }
    Ok(edits)
}

/// Whether a statement does nothing but set up how warnings are shown, and names the warning here.
fn is_filter(statement: &Stmt, used: &std::ops::Range<usize>) -> bool {
    let Stmt::Expr(expression) = statement else {
        return false;
    };
    let Expr::Call(call) = expression.value.as_ref() else {
        return false;
    };
    let Expr::Attribute(function) = call.func.as_ref() else {
        return false;
    };
    matches!(function.value.as_ref(), Expr::Name(module) if module.id.as_str() == "warnings")
        && matches!(function.attr.as_str(), "filterwarnings" | "simplefilter")
        && contains(&of(&expression.value), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Result<String, String> {
        let (findings, fixed) = look(&Script::read("run.py", text).unwrap());
        assert_eq!(findings.len(), 1);
        fixed
    }

    #[test]
    fn the_import_and_its_filter_are_removed() {
        let text = "import warnings\nfrom cog.types import ExperimentalFeatureWarning, Path as P\n\
                    warnings.filterwarnings(\n    \"ignore\", category=ExperimentalFeatureWarning\n)\nx = P\n";
        assert_eq!(
            fixed(text).unwrap(),
            "from cog.types import Path as P\nx = P\n"
        );
        let text = "import warnings\nfrom cog.types import (\n    ExperimentalFeatureWarning as W,\n)\n\
                    warnings.simplefilter(\"ignore\", W)\nwarnings.warn(\"x\")\n";
        assert_eq!(
            fixed(text).unwrap(),
            "import warnings\nwarnings.warn(\"x\")\n"
        );
    }

    #[test]
    fn other_uses_and_comments_leave_the_file_alone() {
        for (rest, reason) in [
            (
                "try: pass\nexcept ExperimentalFeatureWarning: pass\n",
                "is used in line 3",
            ),
            ("x = 'ExperimentalFeatureWarning'\n", "the string in line 2"),
        ] {
            let text = format!("from cog.types import ExperimentalFeatureWarning\n{rest}");
            let error = fixed(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let text = "from cog.types import (\n    ExperimentalFeatureWarning,  # old\n    X,\n)\n";
        assert!(fixed(text).unwrap_err().contains("comments"));
    }

    #[test]
    fn other_names_are_no_finding() {
        let script = Script::read("run.py", "from cog.types import Path\n").unwrap();
        assert_eq!(look(&script).0, []);
    }
}
