//! Outputs that are pydantic's models with `arbitrary_types_allowed`, which Cog's own `BaseModel` needs not.

use std::ops::Range;

use rustpython_parser::ast::{Constant, Expr, Ranged, Stmt, StmtClassDef};

use super::OfFile;
use super::script::{Edit, Import, Script, bytes, contains, of};
use crate::diagnostic::Severity;

/// What the model is called here when pydantic's is used as well.
const OTHER_NAME: &str = "CogBaseModel";

/// A class to be changed.
struct Model<'s> {
    class: &'s StmtClassDef,
    base: Range<usize>,
    /// `model_config = …`.
    config: &'s Stmt,
}

pub(super) fn look(script: &Script) -> OfFile {
    let imports = script.imports();
    let models: Vec<Model<'_>> = script
        .statements
        .iter()
        .filter_map(|statement| match statement {
            Stmt::ClassDef(class) => model(class, &imports),
            _ => None,
        })
        .collect();
    let findings = models.iter().map(|model| {
        script.finding(
            Severity::Error,
            &model.base,
            format!(
                "`{}` is a model of pydantic that allows any type: Cog has a `BaseModel` of its own for outputs",
                model.class.name
            ),
            "derive it from `cog.BaseModel`, and leave `arbitrary_types_allowed` out",
        )
    });
    let findings = findings.collect();
    let text = edits(script, &imports, &models).and_then(|edits| script.with(edits));
    (findings, text)
}

/// The class if it is derived from pydantic's model and allows arbitrary types.
fn model<'s>(class: &'s StmtClassDef, imports: &[Import<'_>]) -> Option<Model<'s>> {
    let base = class
        .bases
        .iter()
        .find(|base| is_of_pydantic(base, "BaseModel", imports))?;
    let config = class.body.iter().find(|statement| {
        config_call(statement).is_some_and(|call| {
            call.keywords.iter().any(|keyword| {
                keyword.arg.as_ref().is_some_and(|name| name.as_str() == "arbitrary_types_allowed")
                    && matches!(&keyword.value, Expr::Constant(value) if value.value == Constant::Bool(true))
            })
        })
    })?;
    Some(Model {
        class,
        base: of(base),
        config,
    })
}

/// The call whose result is `model_config`.
fn config_call(statement: &Stmt) -> Option<&rustpython_parser::ast::ExprCall> {
    let (target, value) = match statement {
        Stmt::Assign(assign) => (assign.targets.first()?, assign.value.as_ref()),
        Stmt::AnnAssign(assign) => (assign.target.as_ref(), assign.value.as_deref()?),
        _ => return None,
    };
    match (target, value) {
        (Expr::Name(name), Expr::Call(call)) if name.id.as_str() == "model_config" => Some(call),
        _ => None,
    }
}

fn is_of_pydantic(expression: &Expr, name: &str, imports: &[Import<'_>]) -> bool {
    let found = |local: &str| imports.iter().rev().find(|import| import.local == local);
    match expression {
        Expr::Name(local) => found(local.id.as_str()).is_some_and(|import| {
            import.module == "pydantic" && import.name.as_deref() == Some(name)
        }),
        Expr::Attribute(attribute) => match attribute.value.as_ref() {
            Expr::Name(module) => {
                attribute.attr.as_str() == name
                    && found(module.id.as_str())
                        .is_some_and(|import| import.module == "pydantic" && import.name.is_none())
            }
            _ => false,
        },
        _ => false,
    }
}

fn edits(
    script: &Script,
    imports: &[Import<'_>],
    models: &[Model<'_>],
) -> Result<Vec<Edit>, String> {
    let Some(first) = models.first() else {
        return Ok(Vec::new());
    };
    if !script.has_words() {
        return Err("it has strings that hide where names are used".to_owned());
    }
    if let Some((name, at)) = script
        .attributes()
        .find(|(name, _)| name.starts_with("model_"))
    {
        let line = script.line(at.start);
        return Err(format!(
            "line {line} uses `{name}`, which Cog's model has not"
        ));
    }
    let mut edits = Vec::new();
    let mut gone: Vec<Range<usize>> = Vec::new();
    for model in models {
        edits.push(without_config(script, imports, model)?);
        gone.push(bytes(model.config.range()));
        gone.push(model.base.clone());
    }
    // Whether nothing but what is changed uses a name.
    let is_free = |local: &str| {
        let is_import = |used: &Range<usize>| {
            let mut statements = imports.iter().map(|import| bytes(import.statement.range()));
            statements.any(|statement| contains(&statement, used))
        };
        let is_gone = |used: &Range<usize>| gone.iter().any(|range| contains(range, used));
        script
            .names(local)
            .iter()
            .all(|used| is_import(used) || is_gone(used))
            && script.in_strings(local).is_none()
    };
    let of_pydantic = |import: &&Import<'_>| import.module == "pydantic";
    let dropped: Vec<&str> = imports
        .iter()
        .filter(of_pydantic)
        .filter(|import| {
            import
                .name
                .as_deref()
                .is_none_or(|name| matches!(name, "BaseModel" | "ConfigDict"))
        })
        .map(|import| import.local.as_str())
        .filter(|local| is_free(local))
        .collect();
    let known = imports
        .iter()
        .find(|import| import.module == "cog" && import.name.as_deref() == Some("BaseModel"));
    let target = match known {
        Some(import) => import.local.as_str(),
        None if is_free("BaseModel") => "BaseModel",
        None if script.words(OTHER_NAME).is_empty() => OTHER_NAME,
        None => {
            return Err(format!(
                "`BaseModel` and `{OTHER_NAME}` are names of others in it"
            ));
        }
    };
    for model in models {
        edits.push(Edit::new(model.base.clone(), target));
    }
    let added = match (known, target) {
        (Some(_), _) => None,
        (None, "BaseModel") => Some("BaseModel".to_owned()),
        (None, local) => Some(format!("BaseModel as {local}")),
    };
    edits.extend(import_edits(script, imports, &dropped, added, first.class)?);
    Ok(edits)
}

/// The class without its `model_config`; an error if the class uses more of pydantic.
fn without_config(
    script: &Script,
    imports: &[Import<'_>],
    model: &Model<'_>,
) -> Result<Edit, String> {
    let class = model.class;
    let name = &class.name;
    let range = bytes(class.range());
    let config = bytes(model.config.range());
    if class.bases.len() != 1 || !class.keywords.is_empty() || !class.decorator_list.is_empty() {
        return Err(format!(
            "`{name}` is more than a model: it has other bases or decorators"
        ));
    }
    let call = config_call(model.config).filter(|call| {
        call.keywords.len() == 1
            && call.args.is_empty()
            && is_of_pydantic(&call.func, "ConfigDict", imports)
    });
    if call.is_none() {
        return Err(format!(
            "`{name}` has other settings, which Cog's model does not know"
        ));
    }
    for import in imports
        .iter()
        .filter(|import| import.module.split('.').next() == Some("pydantic"))
    {
        let other = script.names(&import.local).into_iter().find(|used| {
            contains(&range, used) && !contains(&model.base, used) && !contains(&config, used)
        });
        if let Some(used) = other {
            return Err(format!(
                "`{name}` uses `{}` of pydantic in line {}",
                import.local,
                script.line(used.start)
            ));
        }
    }
    let lines = script.lines(model.config).ok_or_else(|| {
        format!(
            "line {} holds more than `model_config`",
            script.line(config.start)
        )
    })?;
    Ok(if class.body.len() == 1 {
        Edit::new(config, "pass")
    } else {
        Edit::new(lines, "")
    })
}

/// The imports without the names that nothing uses any more, and with Cog's model.
fn import_edits(
    script: &Script,
    imports: &[Import<'_>],
    dropped: &[&str],
    mut added: Option<String>,
    before: &StmtClassDef,
) -> Result<Vec<Edit>, String> {
    let mut edits: Vec<Edit> = Vec::new();
    let of_cog = imports.iter().find(|import| {
        import.module == "cog"
            && import.name.is_some()
            && import.statement.range().end() <= before.range.start()
            && script.rewritten(import.statement, &|_| true, &[]).is_ok()
    });
    if let (Some(import), Some(name)) = (of_cog, &added) {
        edits.push(script.rewritten(import.statement, &|_| true, std::slice::from_ref(name))?);
        added = None;
    }
    let mut seen: Vec<Range<usize>> = Vec::new();
    for import in imports.iter().filter(|import| import.module == "pydantic") {
        let range = bytes(import.statement.range());
        if seen.contains(&range) {
            continue;
        }
        seen.push(range.clone());
        let locals = imports
            .iter()
            .filter(|other| bytes(other.statement.range()) == range);
        let drops = locals
            .clone()
            .any(|other| dropped.contains(&other.local.as_str()));
        let mut edit = match import.statement {
            Stmt::Import(names) if drops && names.names.len() == 1 => script
                .lines(import.statement)
                .map(|lines| Edit::new(lines, "")),
            Stmt::ImportFrom(_) if drops => {
                Some(script.rewritten(import.statement, &|local| !dropped.contains(&local), &[])?)
            }
            _ => None,
        };
        if let Some(name) = added.take() {
            let edit = edit.get_or_insert_with(|| Edit::new(range.start..range.start, ""));
            edit.text = format!("from cog import {name}\n{}", edit.text);
        }
        edits.extend(edit);
    }
    match added {
        Some(_) => Err("there is no import at its top to put Cog's model next to".to_owned()),
        None => Ok(edits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Result<String, String> {
        let (findings, fixed) = look(&Script::read("run.py", text).unwrap());
        assert!(!findings.is_empty());
        fixed
    }

    const CONFIG: &str = "    model_config = ConfigDict(arbitrary_types_allowed=True)\n";

    #[test]
    fn the_base_becomes_that_of_cog() {
        let text = format!(
            "\"\"\"Doc.\"\"\"\nfrom __future__ import annotations\nfrom cog import Path\n\
             from pydantic import BaseModel, ConfigDict\n\n\nclass Output(BaseModel):\n{CONFIG}    file: Path\n"
        );
        assert_eq!(
            fixed(&text).unwrap(),
            "\"\"\"Doc.\"\"\"\nfrom __future__ import annotations\nfrom cog import Path, BaseModel\n\n\n\
             class Output(BaseModel):\n    file: Path\n"
        );
    }

    #[test]
    fn other_models_keep_that_of_pydantic() {
        let text = format!(
            "from pydantic import BaseModel, ConfigDict\nclass A(BaseModel):\n    x: int\nclass B(BaseModel):\n{CONFIG}"
        );
        assert_eq!(
            fixed(&text).unwrap(),
            "from cog import BaseModel as CogBaseModel\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    x: int\n\
             class B(CogBaseModel):\n    pass\n"
        );
    }

    #[test]
    fn modules_and_other_names_are_followed() {
        let text = "import pydantic\nclass A(pydantic.BaseModel):\n    \
                    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)\n    x: int\n";
        let expected = "from cog import BaseModel\nclass A(BaseModel):\n    x: int\n";
        assert_eq!(fixed(text).unwrap(), expected);
        let text = format!(
            "from pydantic import BaseModel as PBM\nfrom pydantic import ConfigDict\nclass A(PBM):\n{CONFIG}    x: int\n"
        );
        assert_eq!(fixed(&text).unwrap(), expected);
    }

    #[test]
    fn what_needs_pydantic_stays() {
        for (class, reason) in [
            (
                "class A(BaseModel):\n    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)\n",
                "other settings",
            ),
            (
                "class A(BaseModel):\n    model_config = ConfigDict(arbitrary_types_allowed=True)\n    x: int = Field(1)\n",
                "`Field` of pydantic in line 4",
            ),
            (
                "class A(BaseModel, X):\n    model_config = ConfigDict(arbitrary_types_allowed=True)\n",
                "other bases",
            ),
            (
                "class A(BaseModel):\n    model_config = ConfigDict(arbitrary_types_allowed=True)\nA().model_dump()\n",
                "`model_dump`",
            ),
        ] {
            let text = format!("from pydantic import BaseModel, ConfigDict, Field\n{class}");
            let error = fixed(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn models_of_cog_and_models_that_check_types_are_no_finding() {
        for text in [
            "from cog import BaseModel\nclass A(BaseModel):\n    model_config = ConfigDict(arbitrary_types_allowed=True)\n",
            "from pydantic import BaseModel\nclass A(BaseModel):\n    model_config = ConfigDict(arbitrary_types_allowed=False)\n",
            "from pydantic import BaseModel\nclass A(BaseModel):\n    x: int\n",
        ] {
            assert_eq!(look(&Script::read("run.py", text).unwrap()).0, [], "{text}");
        }
    }
}
