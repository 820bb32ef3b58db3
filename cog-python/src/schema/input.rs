//! Inputs: parameters, their types and what `Input()` says about them.

use serde_json::{Map, Value, json};

use super::annotation::Annotation;
use super::module::{Function, ModuleId, Modules, range};
use super::options::Options;

/// Key of what files an input takes.
const ACCEPT: &str = "x-cog-accept";

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

    /// What it is, or what its items are.
    fn primitive(&self) -> Primitive {
        match &self.shape {
            Shape::Primitive(primitive) => *primitive,
            Shape::List(items) => items.primitive(),
            Shape::Any | Shape::Union(_) => Primitive::Any,
        }
    }

    /// Whether it is a file, or a list of files.
    fn is_file(&self) -> bool {
        self.primitive() == Primitive::Path
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
        if options.choices.is_empty() {
            property.insert("title".into(), json!(title(name)));
            property.extend(kind.schema());
        } else {
            let (of, choices) = (kind.primitive().schema(), &options.choices);
            enums.push((
                name.clone(),
                json!({"title": name, "description": "An enumeration.", "enum": choices, "type": of["type"]}),
            ));
            property.insert(
                "allOf".into(),
                json!([{"$ref": format!("#/components/schemas/{name}")}]),
            );
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

/// Whether the first parameter is the object that a method belongs to.
fn is_self(function: &Function, name: &str) -> bool {
    let arguments = &function.arguments;
    let first = arguments.posonlyargs.iter().chain(&arguments.args).next();
    first.is_some_and(|first| {
        name == "self" || name == "cls" || function.is_method && first.def.annotation.is_none()
    })
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
            if index == 0 && is_self(function, &name) {
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
                    if kind.is_union() && options.is_bounded() {
                        self.error(module, range(annotation), format!("input `{name}` of several types can have neither choices nor bounds"), "give it one type");
                    }
                    if options.schema.contains_key(ACCEPT) && !kind.is_file() {
                        self.error(
                            module,
                            range(annotation),
                            format!("input `{name}` is no file, so `accept` says nothing about it"),
                            "use `accept` with Path or File alone",
                        );
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
        let variadic = [&function.arguments.vararg, &function.arguments.kwarg];
        for argument in variadic.into_iter().flatten() {
            if argument.annotation.is_some() {
                let name = &argument.arg;
                self.error(
                    module,
                    argument.range,
                    format!("`{name}` of `{}` takes any number of values, which is no input", function.name),
                    format!("write `{name}: list[…]` without the star, or no annotation if it is not meant as an input"),
                );
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
                        if metadata.iter().any(Annotation::is_unknown) {
                            return Err((
                                "what `Annotated[…]` says by a call is not read".to_owned(),
                                "write it as the default, as in `steps: int = Input(ge=1)`"
                                    .to_owned(),
                            ));
                        }
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
    fn opaque(&self, module: ModuleId, inner: &Annotation) -> Kind {
        if let Some(inner) = self.optional(module, inner) {
            return Kind {
                nullable: true,
                ..self.opaque(module, &inner)
            };
        }
        let any = Kind::of(Shape::Any);
        match inner {
            Annotation::Generic(name, arguments) if self.plain(module, name) == "Annotated" => {
                arguments
                    .first()
                    .map_or(any, |inner| self.opaque(module, inner))
            }
            _ if self.is_list(module, inner) => Kind::of(Shape::List(Box::new(any))),
            _ => any,
        }
    }

    /// Whether a type is Python's own list.
    pub(super) fn is_list(&self, module: ModuleId, annotation: &Annotation) -> bool {
        let (Annotation::Name(name) | Annotation::Generic(name, _)) = annotation else {
            return false;
        };
        let own = self.origin(module, name).is_none_or(|(from, _)| {
            ["typing", "typing_extensions", "builtins"].contains(&from.as_str())
        });
        own && matches!(self.plain(module, name).as_str(), "list" | "List")
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
}
