//! Defaults, and what `Input()` says about an input besides its type.

use std::collections::BTreeMap;

use rustpython_parser::ast::{self, Arguments, Expr, Operator, Stmt};
use serde_json::{Map, Value, json};

use super::annotation::dotted;
use super::literal;
use super::module::{ModuleId, Modules, assignment};

/// So many attributes may stand for each other: one that stands for itself has no end.
const ATTRIBUTES: usize = 32;

/// What is wrong with a default, and what to do about it.
type Problem = (String, String);

/// What `Input()` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) default: Option<Value>,
    pub(super) choices: Vec<Value>,
    /// Keys of the schema, by their names there.
    pub(super) schema: Map<String, Value>,
}

impl Options {
    /// Whether there are choices or bounds.
    pub(super) fn is_bounded(&self) -> bool {
        let bounds = ["minimum", "maximum", "minLength", "maxLength", "pattern"];
        !self.choices.is_empty() || bounds.iter().any(|key| self.schema.contains_key(*key))
    }
}

/// Where the names in `Input()` come from: a module, and the parameters of the method that returns it.
struct Scope {
    module: ModuleId,
    locals: BTreeMap<String, Value>,
}

impl Modules<'_> {
    /// The default of a parameter: a literal, `Input()`, or an attribute or a method of a class that holds `Input()`.
    pub(super) fn options(
        &mut self,
        module: ModuleId,
        name: &str,
        default: &Expr,
    ) -> Result<Options, Problem> {
        self.options_of(module, name, default, ATTRIBUTES)
    }

    /// The same, with so many attributes left that may stand for each other.
    fn options_of(
        &mut self,
        module: ModuleId,
        name: &str,
        default: &Expr,
        left: usize,
    ) -> Result<Options, Problem> {
        match default {
            Expr::Call(call) if self.is_input(module, &call.func) => {
                let locals = BTreeMap::new();
                self.input(&Scope { module, locals }, name, call)
            }
            Expr::Call(call) => self
                .returned_input(module, call)
                .ok_or_else(not_literal)
                .and_then(|(scope, input)| self.input(&scope, name, &input)),
            Expr::Attribute(attribute) if left > 0 => {
                let found = self
                    .class(module, &dotted(&attribute.value))
                    .and_then(|class| {
                        let mut statements = class.definition.body.iter();
                        let value = statements.find_map(|statement| {
                            assignment(statement)
                                .filter(|(name, _)| *name == attribute.attr.as_str())
                                .map(|(_, value)| value)
                        });
                        value.map(|value| (class.module, value.clone()))
                    });
                match found {
                    Some((module, value)) => self.options_of(module, name, &value, left - 1),
                    None => Err(not_literal()),
                }
            }
            other => {
                let default = self.value(module, other).ok_or_else(not_literal)?;
                Ok(Options {
                    default: Some(default),
                    ..Options::default()
                })
            }
        }
    }

    fn is_input(&self, module: ModuleId, function: &Expr) -> bool {
        let name = dotted(function);
        name == "Input"
            || self
                .origin(module, &name)
                .is_some_and(|(from, original)| from == "cog" && original == "Input")
    }

    /// The `Input()` that a method of a class returns, and the values of its parameters.
    fn returned_input(
        &mut self,
        module: ModuleId,
        call: &ast::ExprCall,
    ) -> Option<(Scope, ast::ExprCall)> {
        let Expr::Attribute(attribute) = call.func.as_ref() else {
            return None;
        };
        let class = self.class(module, &dotted(&attribute.value))?;
        let method = class
            .definition
            .body
            .iter()
            .find_map(|statement| match statement {
                Stmt::FunctionDef(method) if method.name == attribute.attr => Some(method),
                _ => None,
            })?;
        let input = method.body.iter().find_map(|statement| match statement {
            Stmt::Return(returned) => match returned.value.as_deref() {
                Some(Expr::Call(call)) if self.is_input(class.module, &call.func) => Some(call),
                _ => None,
            },
            _ => None,
        })?;
        let locals = self.bound((class.module, &method.args), (module, call));
        let module = class.module;
        Some((Scope { module, locals }, input.clone()))
    }

    /// Values of the parameters of a call, as far as they are known: what is handed over, or their defaults.
    fn bound(
        &self,
        (module, parameters): (ModuleId, &Arguments),
        (caller, call): (ModuleId, &ast::ExprCall),
    ) -> BTreeMap<String, Value> {
        let positional = parameters.posonlyargs.iter().chain(&parameters.args);
        let mut known = BTreeMap::new();
        for parameter in positional.clone().chain(&parameters.kwonlyargs) {
            let default = parameter.default.as_deref();
            if let Some(value) = default.and_then(|default| self.value(module, default)) {
                known.insert(parameter.def.arg.to_string(), value);
            }
        }
        let names = positional
            .map(|parameter| parameter.def.arg.to_string())
            .filter(|name| name != "self" && name != "cls");
        let named = call.keywords.iter().filter_map(|keyword| {
            let name = keyword.arg.as_ref()?;
            Some((name.to_string(), &keyword.value))
        });
        for (name, argument) in names.zip(&call.args).chain(named) {
            match self.value(caller, argument) {
                Some(value) => known.insert(name, value),
                None => known.remove(&name),
            };
        }
        known
    }

    fn input(&self, scope: &Scope, name: &str, call: &ast::ExprCall) -> Result<Options, Problem> {
        let mut options = Options::default();
        for keyword in &call.keywords {
            if let Some(key) = keyword.arg.as_ref() {
                self.option(scope, name, key.as_str(), &keyword.value, &mut options)?;
            }
        }
        // `Input(50)` is `Input(default=50)`.
        if let Some(first) = call.args.first() {
            options.default = Some(self.known(scope, first).unwrap_or(Value::Null));
        }
        Ok(options)
    }

    fn known(&self, scope: &Scope, expression: &Expr) -> Option<Value> {
        let local = match expression {
            Expr::Name(name) => scope.locals.get(name.id.as_str()).cloned(),
            _ => None,
        };
        local.or_else(|| self.value(scope.module, expression))
    }

    fn option(
        &self,
        scope: &Scope,
        name: &str,
        key: &str,
        value: &Expr,
        options: &mut Options,
    ) -> Result<(), Problem> {
        let found = self.known(scope, value);
        let (schema_key, found) = match key {
            "default" => {
                options.default = Some(found.unwrap_or(Value::Null));
                return Ok(());
            }
            "default_factory" => {
                return Err((
                    format!("`default_factory` of `{name}` would have to be run"),
                    "write the value as `default`".into(),
                ));
            }
            "choices" => {
                options.choices = self.choices(scope, value).ok_or_else(|| {
                    (
                        format!("`choices` of `{name}` would have to be computed"),
                        "write them as a list, or name a list of the same file".to_owned(),
                    )
                })?;
                return Ok(());
            }
            "description" => ("description", found.filter(Value::is_string)),
            "ge" => ("minimum", found.filter(Value::is_number)),
            "le" => ("maximum", found.filter(Value::is_number)),
            "min_length" => ("minLength", found.as_ref().and_then(length)),
            "max_length" => ("maxLength", found.as_ref().and_then(length)),
            "regex" => ("pattern", found.filter(Value::is_string)),
            "deprecated" => ("deprecated", found.filter(|found| *found == json!(true))),
            "accept" => ("x-cog-accept", found.filter(Value::is_string)),
            _ => return Ok(()),
        };
        if let Some(found) = found {
            options.schema.insert(schema_key.to_owned(), found);
        }
        Ok(())
    }

    /// A list of literals, a name of one, keys or values of a dict, or several of these added up.
    fn choices(&self, scope: &Scope, expression: &Expr) -> Option<Vec<Value>> {
        match expression {
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                let mut choices = self.choices(scope, &sum.left)?;
                choices.extend(self.choices(scope, &sum.right)?);
                Some(choices)
            }
            Expr::Call(call) if dotted(&call.func) == "list" => {
                let [argument] = call.args.as_slice() else {
                    return None;
                };
                let Expr::Call(inner) = argument else {
                    let keys = self.keys(scope.module, argument);
                    return keys.or_else(|| self.choices(scope, argument));
                };
                let Expr::Attribute(method) = inner.func.as_ref() else {
                    return None;
                };
                match method.attr.as_str() {
                    "keys" => self.keys(scope.module, &method.value),
                    "values" => match self.value(scope.module, &method.value)? {
                        Value::Object(map) => Some(map.values().cloned().collect()),
                        _ => None,
                    },
                    _ => None,
                }
            }
            other => match self.known(scope, other)? {
                Value::Array(items) => Some(items),
                _ => None,
            },
        }
    }

    /// The keys of a dict, whose values need not be known.
    fn keys(&self, module: ModuleId, expression: &Expr) -> Option<Vec<Value>> {
        match expression {
            Expr::Name(name) => self.named_keys(module, name.id.as_str()).cloned(),
            other => literal::keys(other),
        }
    }
}

/// A length: a whole number from 0 on.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole and not negative by then"
)]
fn length(value: &Value) -> Option<Value> {
    let whole = value.as_f64().filter(|length| *length >= 0.0)?.trunc();
    Some(json!(whole as u64))
}

fn not_literal() -> Problem {
    (
        "the default would have to be computed".into(),
        "write a string, a number, True, False, None, a list or `Input(…)`".into(),
    )
}
