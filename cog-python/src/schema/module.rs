//! Python files of the project: what they define and what they import.

use std::collections::BTreeMap;

use rustpython_parser::ast::{self, Expr, Ranged, Stmt};
use rustpython_parser::text_size::{TextRange, TextSize};
use serde_json::Value;

use super::annotation::dotted;
use super::{Mode, fstring, literal, nesting};
use crate::config::RunReference;
use crate::diagnostic::{Diagnostic, Report, Source, Span, Topic};
use crate::files::ProjectFiles;

/// A module, by its place in the list of those that were read.
pub(super) type ModuleId = usize;

/// The modules that were read, and what is wrong with them.
pub(super) struct Modules<'f> {
    files: &'f dyn ProjectFiles,
    all: Vec<Module>,
    by_path: BTreeMap<String, Option<ModuleId>>,
    pub(super) report: Report,
}

struct Module {
    path: String,
    source: Source,
    statements: Vec<Stmt>,
    /// Module and name there of every imported name; the name is empty for a module itself.
    imports: BTreeMap<String, (String, String)>,
    /// Values of names that are assigned literals.
    values: BTreeMap<String, Value>,
    /// Keys of names that are assigned dicts.
    keys: BTreeMap<String, Vec<Value>>,
}

/// A class of a module.
#[derive(Clone)]
pub(super) struct Class {
    pub(super) module: ModuleId,
    pub(super) definition: ast::StmtClassDef,
}

/// A function or method.
pub(super) struct Function {
    pub(super) module: ModuleId,
    pub(super) name: String,
    pub(super) arguments: ast::Arguments,
    pub(super) returns: Option<Expr>,
    pub(super) decorators: Vec<Expr>,
    pub(super) is_async: bool,
    /// Whether its first parameter is the object or the class it belongs to.
    pub(super) is_method: bool,
    pub(super) range: TextRange,
}

impl Function {
    fn of(module: ModuleId, statement: &Stmt) -> Option<Self> {
        let (name, arguments, returns, decorators, is_async, range) = match statement {
            Stmt::FunctionDef(function) => (
                &function.name,
                &function.args,
                &function.returns,
                &function.decorator_list,
                false,
                function.range,
            ),
            Stmt::AsyncFunctionDef(function) => (
                &function.name,
                &function.args,
                &function.returns,
                &function.decorator_list,
                true,
                function.range,
            ),
            _ => return None,
        };
        Some(Self {
            module,
            name: name.to_string(),
            arguments: arguments.as_ref().clone(),
            returns: returns.as_deref().cloned(),
            decorators: decorators.clone(),
            is_async,
            is_method: false,
            range,
        })
    }
}

impl<'f> Modules<'f> {
    pub(super) fn new(files: &'f dyn ProjectFiles) -> Self {
        Self {
            files,
            all: Vec::new(),
            by_path: BTreeMap::new(),
            report: Report::new(),
        }
    }

    pub(super) fn error(
        &mut self,
        module: ModuleId,
        range: TextRange,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let source = &self.all[module].source;
        let finding = source.error(span(source.text(), range), message).hint(hint);
        self.report.push(finding);
    }

    /// The function or method that a reference names.
    pub(super) fn target(&mut self, reference: &RunReference, mode: Mode) -> Option<Function> {
        let file = reference.file();
        if let Err(problem) = self.files.check_file(file) {
            let finding = Diagnostic::without_place(format!("file `{file}` {problem}"));
            self.report.push(finding.about(Topic::Reference));
            return None;
        }
        let module = self.load(file)?;
        let name = reference.name();
        for statement in self.all[module].statements.clone() {
            match &statement {
                Stmt::ClassDef(class) if class.name.as_str() == name => {
                    let class = Class {
                        module,
                        definition: class.clone(),
                    };
                    return self.method(&class, mode);
                }
                _ => {}
            }
            if let Some(function) =
                Function::of(module, &statement).filter(|function| function.name == name)
            {
                return Some(function);
            }
        }
        let source = &self.all[module].source;
        let defined: Vec<&str> = self.all[module]
            .statements
            .iter()
            .filter_map(defined_name)
            .collect();
        let hint = match crate::suggest::nearest(name, defined.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if defined.is_empty() => "it defines none at all".to_owned(),
            None => format!("it defines {}", defined.join(", ")),
        };
        let start = Span {
            line: 1,
            column: 1,
            length: 1,
        };
        let finding = source.error(
            start,
            format!("`{file}` defines no class or function `{name}`"),
        );
        let finding = finding.without_excerpt().hint(hint);
        self.report.push(finding.about(Topic::Reference));
        None
    }

    fn method(&mut self, class: &Class, mode: Mode) -> Option<Function> {
        let names: &[&str] = match mode {
            Mode::Predict => &["run", "predict"],
            Mode::Train => &["train"],
        };
        for name in names {
            if let Some(function) = self.find_method(class, name, 0) {
                return Some(function);
            }
        }
        let name = class.definition.name.to_string();
        let wanted = names.join("()` or `");
        self.error(
            class.module,
            class.definition.range,
            format!("class `{name}` has no method `{wanted}()`"),
            format!("add `def {}(self, …) -> …`", names[0]),
        );
        None
    }

    /// A method of a class or of the classes it is derived from.
    fn find_method(&mut self, class: &Class, name: &str, depth: usize) -> Option<Function> {
        const DEPTH: usize = 32;
        let own = class
            .definition
            .body
            .iter()
            .filter_map(|statement| Function::of(class.module, statement));
        if let Some(function) = own.rev().find(|function| function.name == name) {
            let mut decorators = function.decorators.iter().map(dotted);
            return Some(Function {
                is_method: !decorators.any(|decorator| decorator == "staticmethod"),
                ..function
            });
        }
        if depth > DEPTH {
            return None;
        }
        let bases: Vec<String> = class.definition.bases.iter().map(dotted).collect();
        bases.iter().find_map(|base| {
            let base = self.class(class.module, base)?;
            self.find_method(&base, name, depth + 1)
        })
    }

    /// The class that a name means in a module, here or in another file of the project.
    pub(super) fn class(&mut self, module: ModuleId, name: &str) -> Option<Class> {
        let here = self.all[module]
            .statements
            .iter()
            .rev()
            .find_map(|statement| match statement {
                Stmt::ClassDef(class) if class.name.as_str() == name => Some(class.clone()),
                _ => None,
            });
        if let Some(definition) = here {
            return Some(Class { module, definition });
        }
        let (from, original) = self.origin(module, name)?;
        let path = self.all[module].path.clone();
        // A name may be that of a module, too: `from . import types`.
        if let Some(other) = self.load_module(&path, &from) {
            return (other != module)
                .then(|| self.class(other, &original))
                .flatten();
        }
        None
    }

    /// Module and name of an imported name; of a qualified one, with what comes before the last dot resolved.
    pub(super) fn origin(&self, module: ModuleId, name: &str) -> Option<(String, String)> {
        let imports = &self.all[module].imports;
        if let Some((from, original)) = imports.get(name) {
            return Some((from.clone(), original.clone()));
        }
        let (qualifier, last) = name.rsplit_once('.')?;
        let (from, original) = imports.get(qualifier)?;
        let from = match (original.as_str(), from.ends_with('.')) {
            ("", _) => from.clone(),
            (original, true) => format!("{from}{original}"),
            (original, false) => format!("{from}.{original}"),
        };
        Some((from, last.to_owned()))
    }

    /// What a name stands for, without aliases and without the module it comes from.
    pub(super) fn plain(&self, module: ModuleId, name: &str) -> String {
        const KNOWN: [&str; 7] = [
            "typing",
            "typing_extensions",
            "collections.abc",
            "cog",
            "pathlib",
            "builtins",
            "pydantic",
        ];
        match self.origin(module, name) {
            Some((from, original)) if KNOWN.contains(&from.as_str()) && !original.is_empty() => {
                original
            }
            _ => name.to_owned(),
        }
    }

    /// The value of a name that is assigned a literal.
    pub(super) fn named_value(&self, module: ModuleId, name: &str) -> Option<&Value> {
        self.all[module].values.get(name)
    }

    /// The keys of a name that is assigned a dict.
    pub(super) fn named_keys(&self, module: ModuleId, name: &str) -> Option<&Vec<Value>> {
        self.all[module].keys.get(name)
    }

    /// The literal value of an expression, names of literals included.
    pub(super) fn value(&self, module: ModuleId, expression: &Expr) -> Option<Value> {
        literal::value(expression).or_else(|| match expression {
            Expr::Name(name) => self.named_value(module, name.id.as_str()).cloned(),
            _ => None,
        })
    }

    pub(super) fn decorator<'a>(&self, function: &'a Function, name: &str) -> Option<&'a Expr> {
        function.decorators.iter().find(|decorator| {
            let called = match decorator {
                Expr::Call(call) => dotted(&call.func),
                other => dotted(other),
            };
            self.origin(function.module, &called)
                .is_some_and(|(from, original)| from == "cog" && original == name)
        })
    }

    pub(super) fn is_decorated(&self, function: &Function, name: &str) -> bool {
        self.decorator(function, name).is_some()
    }

    fn load_module(&mut self, importer: &str, module: &str) -> Option<ModuleId> {
        let level = module.len() - module.trim_start_matches('.').len();
        let mut parts: Vec<&str> = Vec::new();
        if level > 0 {
            parts = importer.split('/').collect();
            parts.truncate(parts.len().saturating_sub(level));
        }
        parts.extend(
            module
                .trim_start_matches('.')
                .split('.')
                .filter(|part| !part.is_empty()),
        );
        let path = parts.join("/");
        let candidates = [format!("{path}.py"), format!("{path}/__init__.py")];
        let found = candidates
            .into_iter()
            .find(|path| self.files.check_file(path).is_ok())?;
        self.load(&found)
    }

    fn load(&mut self, path: &str) -> Option<ModuleId> {
        if let Some(known) = self.by_path.get(path) {
            return *known;
        }
        self.by_path.insert(path.to_owned(), None);
        let text = match self.files.read(path) {
            Ok(text) => text,
            Err(problem) => {
                self.report.push(Diagnostic::without_place(format!(
                    "file `{path}` {problem}"
                )));
                return None;
            }
        };
        let source = Source::new(path, text);
        if let Some(offset) = nesting::too_deep(source.text()) {
            let range = TextRange::empty(TextSize::try_from(offset).unwrap_or_default());
            let finding = source.error(
                span(source.text(), range),
                format!("`{path}` is nested too deeply to be read"),
            );
            let hint = "move what is computed here into a module that the signature does not need";
            self.report.push(finding.hint(hint));
            return None;
        }
        let statements = match fstring::parse(source.text(), path) {
            Ok(statements) => statements,
            Err(error) => {
                let range = TextRange::empty(error.offset);
                let finding = source.error(
                    span(source.text(), range),
                    format!("`{path}` is not valid Python: {}", error.error),
                );
                self.report.push(finding);
                return None;
            }
        };
        let mut module = Module {
            path: path.to_owned(),
            source,
            statements,
            imports: BTreeMap::new(),
            values: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        for statement in &module.statements {
            collect_imports(statement, &mut module.imports);
            if let Some((name, value)) = assignment(statement) {
                let (value, keys) = (literal::value(value), literal::keys(value));
                module
                    .values
                    .extend(value.map(|value| (name.to_owned(), value)));
                module.keys.extend(keys.map(|keys| (name.to_owned(), keys)));
            }
        }
        self.all.push(module);
        let id = self.all.len() - 1;
        self.by_path.insert(path.to_owned(), Some(id));
        Some(id)
    }
}

fn collect_imports(statement: &Stmt, imports: &mut BTreeMap<String, (String, String)>) {
    match statement {
        Stmt::Import(import) => {
            for alias in &import.names {
                let module = alias.name.to_string();
                let name = alias
                    .asname
                    .as_ref()
                    .map_or_else(|| module.clone(), ToString::to_string);
                imports.insert(name, (module, String::new()));
            }
        }
        Stmt::ImportFrom(import) => {
            let level = import.level.map_or(0, |level| level.to_usize());
            let module = import
                .module
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            for alias in &import.names {
                let name = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
                imports.insert(
                    name,
                    (
                        format!("{}{module}", ".".repeat(level)),
                        alias.name.to_string(),
                    ),
                );
            }
        }
        // `if TYPE_CHECKING:` and `try: import …` hold imports as well.
        Stmt::If(branch) => branch
            .body
            .iter()
            .for_each(|inner| collect_imports(inner, imports)),
        Stmt::Try(attempt) => attempt
            .body
            .iter()
            .for_each(|inner| collect_imports(inner, imports)),
        _ => {}
    }
}

/// The name and the value of an assignment to one name.
pub(super) fn assignment(statement: &Stmt) -> Option<(&str, &Expr)> {
    let (target, value) = match statement {
        Stmt::Assign(assign) => match assign.targets.as_slice() {
            [target] => (target, assign.value.as_ref()),
            _ => return None,
        },
        Stmt::AnnAssign(assign) => (assign.target.as_ref(), assign.value.as_deref()?),
        _ => return None,
    };
    match target {
        Expr::Name(name) => Some((name.id.as_str(), value)),
        _ => None,
    }
}

fn defined_name(statement: &Stmt) -> Option<&str> {
    match statement {
        Stmt::ClassDef(class) => Some(class.name.as_str()),
        Stmt::FunctionDef(function) => Some(function.name.as_str()),
        Stmt::AsyncFunctionDef(function) => Some(function.name.as_str()),
        _ => None,
    }
}

/// Where a range of bytes lies; of several lines, the first.
pub(crate) fn span(text: &str, range: TextRange) -> Span {
    let start = range.start().to_usize().min(text.len());
    let end = range.end().to_usize().min(text.len()).max(start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let shown = text
        .get(start..end)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    Span {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        length: shown.chars().count().max(1),
    }
}

/// The range of an expression.
pub(super) fn range(expression: &Expr) -> TextRange {
    expression.range()
}
