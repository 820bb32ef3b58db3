//! Inputs: parameters, their types and what `Input()` says about them.

use rustpython_parser::ast::{Expr, Operator};
use serde_json::{Map, Value, json};

use super::annotation::{Annotation, dotted};
use super::module::{Function, ModuleId, Modules, range};

/// One input.
pub(super) struct Parameter {
    name: String,
    kind: Kind,
    options: Options,
}

/// What an input holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    shape: Shape,
    nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Primitive(Primitive),
    /// Anything that is JSON.
    Any,
    List(Box<Kind>),
    Union(Vec<Kind>),
}

/// Types that Cog knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Bool,
    Float,
    Integer,
    String,
    Path,
    Secret,
    Any,
}

impl Primitive {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "float" => Self::Float,
            "int" => Self::Integer,
            "str" => Self::String,
            "Path" | "File" => Self::Path,
            "Secret" => Self::Secret,
            "Any" => Self::Any,
            _ => return None,
        })
    }

    pub(super) fn schema(self) -> Map<String, Value> {
        let schema = match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::Float => json!({"type": "number"}),
            Self::Integer => json!({"type": "integer"}),
            Self::String => json!({"type": "string"}),
            Self::Path => json!({"type": "string", "format": "uri"}),
            Self::Secret => {
                json!({"type": "string", "format": "password", "writeOnly": true, "x-cog-secret": true})
            }
            Self::Any => json!({"type": "object"}),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }
}

/// What `Input()` says.
#[derive(Clone, Debug, Default)]
struct Options {
    default: Option<Value>,
    choices: Option<Vec<Value>>,
    /// Keys of the schema, by their names there.
    schema: Map<String, Value>,
}

impl Kind {
    fn of(shape: Shape) -> Self {
        Self {
            shape,
            nullable: false,
        }
    }

    fn is_union(&self) -> bool {
        matches!(self.shape, Shape::Union(_))
    }

    fn schema(&self) -> Map<String, Value> {
        let mut schema = match &self.shape {
            Shape::Primitive(primitive) => primitive.schema(),
            Shape::Any => Primitive::Any.schema(),
            Shape::List(items) => {
                let mut schema = Map::new();
                schema.insert("type".into(), json!("array"));
                schema.insert("items".into(), Value::Object(items.schema()));
                schema
            }
            Shape::Union(variants) => {
                let variants = variants.iter().map(|variant| {
                    let mut schema = variant.schema();
                    if self.nullable {
                        schema.insert("nullable".into(), json!(true));
                    }
                    Value::Object(schema)
                });
                let mut schema = Map::new();
                schema.insert("anyOf".into(), variants.collect());
                schema
            }
        };
        if self.nullable {
            schema.insert("nullable".into(), json!(true));
        }
        schema
    }
}

/// The schema of all inputs, and of the choices among them.
pub(super) fn schema(parameters: &[Parameter]) -> (Map<String, Value>, Vec<(String, Value)>) {
    let (mut properties, mut required, mut enums) = (Map::new(), Vec::new(), Vec::new());
    for (order, parameter) in parameters.iter().enumerate() {
        let Parameter {
            name,
            kind,
            options,
        } = parameter;
        let mut property = Map::new();
        property.insert("x-order".into(), json!(order));
        match &options.choices {
            Some(choices) if !choices.is_empty() => {
                let of = match &kind.shape {
                    Shape::Primitive(primitive) => primitive.schema()["type"].clone(),
                    _ => json!("string"),
                };
                enums.push((
                    name.clone(),
                    json!({"title": name, "description": "An enumeration.", "enum": choices, "type": of}),
                ));
                property.insert(
                    "allOf".into(),
                    json!([{"$ref": format!("#/components/schemas/{name}")}]),
                );
            }
            _ => {
                property.insert("title".into(), json!(title(name)));
                property.extend(kind.schema());
            }
        }
        let none = options.default == Some(Value::Null);
        // `Secret = None` means that there may be none; for other types None stands for a value made later.
        let nullable = kind.nullable || (none && kind.shape == Shape::Primitive(Primitive::Secret));
        let default = options.default.as_ref().filter(|_| !none || nullable);
        if default.is_none() && (kind.is_union() || !kind.nullable) {
            required.push(name.clone());
        }
        if let Some(default) = default {
            property.insert("default".into(), default.clone());
        }
        if nullable {
            property.insert("nullable".into(), json!(true));
        }
        property.extend(options.schema.clone());
        properties.insert(name.clone(), Value::Object(property));
    }
    let mut schema = Map::new();
    schema.insert("title".into(), json!("Input"));
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    (schema, enums)
}

/// `guidance_scale` as `Guidance Scale`.
pub(super) fn title(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(chars).collect()
        })
    };
    name.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

impl Modules<'_> {
    /// The parameters of a function that are inputs.
    pub(super) fn parameters(&mut self, function: &Function) -> Vec<Parameter> {
        let module = function.module;
        let all = function
            .arguments
            .posonlyargs
            .iter()
            .chain(&function.arguments.args)
            .chain(&function.arguments.kwonlyargs);
        let mut parameters = Vec::new();
        for (index, argument) in all.enumerate() {
            let name = argument.def.arg.to_string();
            if index == 0 && (name == "self" || name == "cls") {
                continue;
            }
            let Some(annotation) = &argument.def.annotation else {
                self.error(
                    module,
                    argument.def.range,
                    format!("parameter `{name}` of `{}` has no annotation, so nothing is known of its input", function.name),
                    format!("write for example `{name}: str`"),
                );
                continue;
            };
            let kind = self.kind(module, &Annotation::of(annotation));
            let options = argument
                .default
                .as_deref()
                .map(|default| self.options(module, &name, default));
            match (kind, options.transpose()) {
                (Ok(kind), Ok(options)) => {
                    let options = options.unwrap_or_default();
                    let bound = ["minimum", "maximum", "minLength", "maxLength", "pattern"];
                    if kind.is_union()
                        && (options.choices.is_some()
                            || bound.iter().any(|key| options.schema.contains_key(*key)))
                    {
                        self.error(module, range(annotation), format!("input `{name}` of several types can have neither choices nor bounds"), "give it one type");
                    }
                    parameters.push(Parameter {
                        name,
                        kind,
                        options,
                    });
                }
                (kind, options) => {
                    for (problem, hint) in [kind.err(), options.err()].into_iter().flatten() {
                        self.error(
                            module,
                            argument.def.range,
                            format!("input `{name}`: {problem}"),
                            hint,
                        );
                    }
                }
            }
        }
        parameters
    }

    fn kind(
        &mut self,
        module: ModuleId,
        annotation: &Annotation,
    ) -> Result<Kind, (String, String)> {
        let unsupported = |text: String| {
            (text, "inputs are str, int, float, bool, Path, File, Secret, list, dict, Optional and unions of these".to_owned())
        };
        match annotation {
            Annotation::Name(name) => {
                let plain = self.plain(module, name);
                if matches!(plain.as_str(), "dict" | "Dict" | "Any")
                    || self.is_typed_dict(module, name)
                {
                    return Ok(Kind::of(Shape::Any));
                }
                match Primitive::of(&plain) {
                    Some(primitive) => Ok(Kind::of(Shape::Primitive(primitive))),
                    None => Err(self.unknown_type(module, name)),
                }
            }
            Annotation::Generic(name, arguments) => {
                let plain = self.plain(module, name);
                match (plain.as_str(), arguments.as_slice()) {
                    ("dict" | "Dict", _) => Ok(Kind::of(Shape::Any)),
                    ("Optional", [inner]) => {
                        let inner = self.kind(module, inner)?;
                        Ok(Kind {
                            nullable: true,
                            ..inner
                        })
                    }
                    ("Union", members) => self.union(module, members),
                    ("Annotated", [inner, metadata @ ..]) => {
                        if self.is_opaque(module, metadata) {
                            return Ok(self.opaque(module, inner));
                        }
                        self.kind(module, inner)
                    }
                    ("list" | "List", [inner]) => {
                        let inner = self.kind(module, inner)?;
                        match inner.shape {
                            Shape::Primitive(_) | Shape::Any if !inner.nullable => {
                                Ok(Kind::of(Shape::List(Box::new(inner))))
                            }
                            _ => Err(unsupported(
                                "a list can hold neither lists, nor unions, nor None".into(),
                            )),
                        }
                    }
                    _ => Err(unsupported(format!("`{name}[…]` is no type of an input"))),
                }
            }
            Annotation::Union(members) => self.union(module, members),
        }
    }

    fn union(
        &mut self,
        module: ModuleId,
        members: &[Annotation],
    ) -> Result<Kind, (String, String)> {
        let hint = || "a union is made of str, int, float, bool, list, dict and None".to_owned();
        let nullable = members.iter().any(Annotation::is_none);
        let mut kinds = Vec::new();
        for member in members.iter().filter(|member| !member.is_none()) {
            kinds.push(self.kind(module, member)?);
        }
        if kinds.len() < 2 {
            let only = kinds
                .pop()
                .ok_or_else(|| ("None alone is no type of an input".to_owned(), hint()))?;
            return Ok(Kind {
                nullable: only.nullable || nullable,
                ..only
            });
        }
        let plain = |kind: &Kind| match &kind.shape {
            Shape::Primitive(Primitive::Path | Primitive::Secret) | Shape::Union(_) => false,
            Shape::List(inner) => !matches!(
                inner.shape,
                Shape::Primitive(Primitive::Path | Primitive::Secret)
            ),
            _ => true,
        };
        if kinds.iter().any(|kind| kind.nullable || !plain(kind)) {
            return Err((
                "a union can hold neither Path, File, Secret nor other unions".to_owned(),
                hint(),
            ));
        }
        Ok(Kind {
            shape: Shape::Union(kinds),
            nullable,
        })
    }

    /// What `Annotated[X, Opaque]` is: JSON, as a list or optional where `X` is.
    fn opaque(&mut self, module: ModuleId, inner: &Annotation) -> Kind {
        let any = || Kind::of(Shape::Any);
        match inner {
            Annotation::Name(name) | Annotation::Generic(name, _)
                if matches!(self.plain(module, name).as_str(), "list" | "List") =>
            {
                Kind::of(Shape::List(Box::new(any())))
            }
            Annotation::Generic(name, arguments) if self.plain(module, name) == "Optional" => {
                match arguments.as_slice() {
                    [inner] => Kind {
                        nullable: true,
                        ..self.opaque(module, inner)
                    },
                    _ => any(),
                }
            }
            Annotation::Union(members) if members.iter().any(Annotation::is_none) => Kind {
                nullable: true,
                ..any()
            },
            _ => any(),
        }
    }

    pub(super) fn is_opaque(&self, module: ModuleId, metadata: &[Annotation]) -> bool {
        metadata.iter().any(|metadata| match metadata {
            Annotation::Name(name) => self
                .origin(module, name)
                .is_some_and(|(from, original)| from == "cog" && original == "Opaque"),
            _ => false,
        })
    }

    pub(super) fn unknown_type(&self, module: ModuleId, name: &str) -> (String, String) {
        match self.origin(module, name) {
            Some((from, original)) if !original.is_empty() => (
                format!("type `{name}` comes from `{from}`, and only files of the project are read"),
                format!("if it is JSON, write `Annotated[{name}, Opaque]` with `Opaque` of `cog`; else take a type of Cog"),
            ),
            _ => (
                format!("type `{name}` is not known"),
                "types are str, int, float, bool, Path, File, Secret, list, dict, and classes derived from `BaseModel`".into(),
            ),
        }
    }

    /// The default of a parameter: a literal, or `Input()`.
    fn options(
        &mut self,
        module: ModuleId,
        name: &str,
        default: &Expr,
    ) -> Result<Options, (String, String)> {
        match default {
            Expr::Call(call) if self.is_input(module, &call.func) => {
                let mut options = Options::default();
                for keyword in &call.keywords {
                    let Some(key) = keyword.arg.as_ref() else {
                        continue;
                    };
                    self.option(module, name, key.as_str(), &keyword.value, &mut options)?;
                }
                // `Input(50)` is `Input(default=50)`.
                if let Some(first) = call.args.first() {
                    options.default = Some(self.value(module, first).unwrap_or(Value::Null));
                }
                Ok(options)
            }
            Expr::Attribute(attribute) => {
                let class = dotted(&attribute.value);
                let field = attribute.attr.to_string();
                let found = self.class(module, &class).and_then(|class| {
                    let value = class
                        .definition
                        .body
                        .iter()
                        .find_map(|statement| assigned(statement, &field));
                    value.map(|value| (class.module, value))
                });
                match found {
                    Some((module, value)) => self.options(module, name, &value),
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

    fn option(
        &self,
        module: ModuleId,
        name: &str,
        key: &str,
        value: &Expr,
        options: &mut Options,
    ) -> Result<(), (String, String)> {
        let found = self.value(module, value);
        let schema_key = match key {
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
                options.choices = Some(self.choices(module, value).ok_or_else(|| {
                    (
                        format!("`choices` of `{name}` would have to be computed"),
                        "write them as a list, or name a list of the same file".to_owned(),
                    )
                })?);
                return Ok(());
            }
            "description" => "description",
            "ge" => "minimum",
            "le" => "maximum",
            "min_length" => "minLength",
            "max_length" => "maxLength",
            "regex" => "pattern",
            "deprecated" => "deprecated",
            "accept" => "x-cog-accept",
            _ => return Ok(()),
        };
        if let Some(found) = found.filter(|found| !found.is_null() && *found != json!(false)) {
            options.schema.insert(schema_key.to_owned(), found);
        }
        Ok(())
    }

    /// A list of literals, a name of one, keys or values of a dict, or several of these added up.
    fn choices(&self, module: ModuleId, expression: &Expr) -> Option<Vec<Value>> {
        match expression {
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                let mut choices = self.choices(module, &sum.left)?;
                choices.extend(self.choices(module, &sum.right)?);
                Some(choices)
            }
            Expr::Call(call) if dotted(&call.func) == "list" => {
                let [argument] = call.args.as_slice() else {
                    return None;
                };
                let Expr::Call(inner) = argument else {
                    return match self.value(module, argument)? {
                        Value::Object(map) => Some(map.keys().map(|key| json!(key)).collect()),
                        Value::Array(items) => Some(items),
                        _ => None,
                    };
                };
                let Expr::Attribute(method) = inner.func.as_ref() else {
                    return None;
                };
                let map = self.value(module, &method.value)?;
                let map = map.as_object()?;
                match method.attr.as_str() {
                    "keys" => Some(map.keys().map(|key| json!(key)).collect()),
                    "values" => Some(map.values().cloned().collect()),
                    _ => None,
                }
            }
            other => match self.value(module, other)? {
                Value::Array(items) => Some(items),
                _ => None,
            },
        }
    }
}

fn not_literal() -> (String, String) {
    (
        "the default would have to be computed".into(),
        "write a string, a number, True, False, None, a list or `Input(…)`".into(),
    )
}

fn assigned(statement: &rustpython_parser::ast::Stmt, field: &str) -> Option<Expr> {
    use rustpython_parser::ast::Stmt;
    match statement {
        Stmt::Assign(assign) => match assign.targets.as_slice() {
            [Expr::Name(name)] if name.id.as_str() == field => Some((*assign.value).clone()),
            _ => None,
        },
        Stmt::AnnAssign(assign) => match assign.target.as_ref() {
            Expr::Name(name) if name.id.as_str() == field => assign.value.as_deref().cloned(),
            _ => None,
        },
        _ => None,
    }
}
