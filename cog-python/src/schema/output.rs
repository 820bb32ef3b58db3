//! Outputs: what a return annotation says.

use rustpython_parser::ast::{Expr, Stmt};
use serde_json::{Map, Value, json};

use super::annotation::{Annotation, dotted};
use super::input::{Primitive, title};
use super::module::{Class, ModuleId, Modules, range};

/// What is wrong with a type, and what to do about it.
type Problem = (String, String);

/// A field of a class.
struct Field {
    name: String,
    annotation: Annotation,
    has_default: bool,
    /// Whether the key of a `TypedDict` is always there.
    required: Option<bool>,
}

impl Modules<'_> {
    /// The schema of what a function returns.
    pub(super) fn output(&mut self, module: ModuleId, annotation: &Expr) -> Option<Value> {
        match self.returned(module, &Annotation::of(annotation), &mut Vec::new()) {
            Ok(mut schema) => {
                schema.insert("title".into(), json!("Output"));
                Some(Value::Object(schema))
            }
            Err((problem, hint)) => {
                self.error(
                    module,
                    range(annotation),
                    format!("output: {problem}"),
                    hint,
                );
                None
            }
        }
    }

    /// `open` are the classes being resolved, by the names they are written as: one that contains itself is an object of any shape.
    fn returned(
        &mut self,
        module: ModuleId,
        annotation: &Annotation,
        open: &mut Vec<(ModuleId, String)>,
    ) -> Result<Map<String, Value>, Problem> {
        let object = || Primitive::Any.schema();
        let list = |items: Map<String, Value>| {
            let mut schema = Map::new();
            schema.insert("type".into(), json!("array"));
            schema.insert("items".into(), Value::Object(items));
            schema
        };
        match annotation {
            Annotation::Name(name) => {
                if let Some(class) = self.model(module, name) {
                    return self.class_schema(&class, name, open);
                }
                let plain = self.plain(module, name);
                match plain.as_str() {
                    "Any" | "dict" | "Dict" => return Ok(object()),
                    "list" | "List" => return Ok(list(object())),
                    _ => {}
                }
                Primitive::of(&plain)
                    .map(Primitive::schema)
                    .ok_or_else(|| self.unknown_type(module, name))
            }
            Annotation::Generic(name, arguments) => {
                let plain = self.plain(module, name);
                match (plain.as_str(), arguments.as_slice()) {
                    ("dict" | "Dict", [_, value]) => {
                        let value = self.returned(module, value, open)?;
                        let mut schema = object();
                        schema.insert("additionalProperties".into(), Value::Object(value));
                        Ok(schema)
                    }
                    ("list" | "List", [inner]) => Ok(list(self.returned(module, inner, open)?)),
                    ("Iterator" | "AsyncIterator", [inner]) => {
                        let mut schema = list(self.returned(module, inner, open)?);
                        schema.insert("x-cog-array-type".into(), json!("iterator"));
                        Ok(schema)
                    }
                    ("ConcatenateIterator" | "AsyncConcatenateIterator", [inner]) => {
                        if !matches!(inner, Annotation::Name(name) if name == "str") {
                            return Err((
                                format!("`{plain}` joins text, so it must be `{plain}[str]`"),
                                "use `Iterator[…]` for other types".into(),
                            ));
                        }
                        let mut schema = list(Primitive::String.schema());
                        schema.insert("x-cog-array-type".into(), json!("iterator"));
                        schema.insert("x-cog-array-display".into(), json!("concatenate"));
                        Ok(schema)
                    }
                    ("Annotated", [inner, metadata @ ..]) => {
                        if !self.is_opaque(module, metadata) {
                            return self.returned(module, inner, open);
                        }
                        if self.optional(module, inner).is_some() {
                            return Err(optional());
                        }
                        Ok(self.opaque_output(module, inner))
                    }
                    ("Optional", _) => Err(optional()),
                    ("Union", members) => Err(union(members)),
                    _ => Err((
                        format!("`{name}[…]` is no type of an output"),
                        "outputs are str, int, float, bool, Path, list, dict, Iterator, ConcatenateIterator and classes derived from `BaseModel`".into(),
                    )),
                }
            }
            Annotation::Union(members) => Err(union(members)),
        }
    }

    fn opaque_output(&self, module: ModuleId, inner: &Annotation) -> Map<String, Value> {
        let mut schema = Primitive::Any.schema();
        if self.is_list(module, inner) {
            schema.insert("type".into(), json!("array"));
            schema.insert("items".into(), Value::Object(Primitive::Any.schema()));
        }
        schema
    }

    /// The type within `Optional[X]`, `Union[X, None]` and `X | None`, also where these are annotated.
    pub(super) fn optional(&self, module: ModuleId, annotation: &Annotation) -> Option<Annotation> {
        let members = match annotation {
            Annotation::Union(members) => members,
            Annotation::Generic(name, arguments) => {
                match (self.plain(module, name).as_str(), arguments.as_slice()) {
                    ("Optional", [inner]) => return Some(inner.clone()),
                    ("Annotated", [inner, metadata @ ..]) => {
                        let mut arguments = vec![self.optional(module, inner)?];
                        arguments.extend_from_slice(metadata);
                        return Some(Annotation::Generic(name.clone(), arguments));
                    }
                    ("Union", _) => arguments,
                    _ => return None,
                }
            }
            Annotation::Name(_) => return None,
        };
        let (none, some): (Vec<_>, Vec<_>) = members.iter().cloned().partition(Annotation::is_none);
        match (none.len(), some.as_slice()) {
            (1.., [only]) => Some(only.clone()),
            _ => None,
        }
    }

    fn class_schema(
        &mut self,
        class: &Class,
        name: &str,
        open: &mut Vec<(ModuleId, String)>,
    ) -> Result<Map<String, Value>, Problem> {
        let key = (class.module, name.to_owned());
        if open.contains(&key) {
            return Ok(Primitive::Any.schema());
        }
        open.push(key);
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (module, field) in self.fields(class, 0) {
            let inner = self.optional(module, &field.annotation);
            let is_optional = inner.is_some();
            let annotation = inner.unwrap_or(field.annotation);
            let mut property = self
                .returned(module, &annotation, open)
                .map_err(|(problem, hint)| (format!("field `{}`: {problem}", field.name), hint))?;
            if is_optional {
                property.insert("nullable".into(), json!(true));
            }
            property.insert("title".into(), json!(title(&field.name)));
            if !field.has_default && field.required.unwrap_or(!is_optional) {
                required.push(field.name.clone());
            }
            properties.insert(field.name, Value::Object(property));
        }
        open.pop();
        let mut schema = Primitive::Any.schema();
        schema.insert("properties".into(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        Ok(schema)
    }

    /// Fields of a class, those it is derived from first.
    fn fields(&mut self, class: &Class, depth: usize) -> Vec<(ModuleId, Field)> {
        const DEPTH: usize = 32;
        let mut fields: Vec<(ModuleId, Field)> = Vec::new();
        if depth > DEPTH {
            return fields;
        }
        for base in class
            .definition
            .bases
            .iter()
            .map(dotted)
            .collect::<Vec<_>>()
        {
            if let Some(base) = self.model(class.module, &base) {
                fields.extend(self.fields(&base, depth + 1));
            }
        }
        let is_typed_dict = self.derives(class, &["TypedDict"], 0);
        let partial = class.definition.keywords.iter().any(|keyword| {
            keyword
                .arg
                .as_ref()
                .is_some_and(|name| name.as_str() == "total")
                && super::literal::value(&keyword.value) == Some(json!(false))
        });
        for statement in &class.definition.body {
            let Stmt::AnnAssign(assign) = statement else {
                continue;
            };
            let Expr::Name(name) = assign.target.as_ref() else {
                continue;
            };
            let name = name.id.to_string();
            let mut annotation = Annotation::of(&assign.annotation);
            // Keys of a `TypedDict` are there unless it says otherwise, even if they may be None.
            let mut required = is_typed_dict.then_some(!partial);
            if let Annotation::Generic(outer, arguments) = &annotation
                && let [inner] = arguments.as_slice()
            {
                match self.plain(class.module, outer).as_str() {
                    "ClassVar" => continue,
                    qualifier @ ("Required" | "NotRequired") if is_typed_dict => {
                        required = Some(qualifier == "Required");
                        annotation = inner.clone();
                    }
                    _ => {}
                }
            }
            let field = Field {
                name: name.clone(),
                annotation,
                has_default: assign.value.as_deref().is_some_and(is_default),
                required,
            };
            match fields.iter_mut().find(|(_, other)| other.name == name) {
                Some(known) => *known = (class.module, field),
                None => fields.push((class.module, field)),
            }
        }
        fields
    }

    /// The class a name means, if it is one with fields: derived from `BaseModel` or `TypedDict`.
    fn model(&mut self, module: ModuleId, name: &str) -> Option<Class> {
        let class = self.class(module, name)?;
        self.derives(&class, &["BaseModel", "TypedDict"], 0)
            .then_some(class)
    }

    pub(super) fn is_typed_dict(&mut self, module: ModuleId, name: &str) -> bool {
        self.class(module, name)
            .is_some_and(|class| self.derives(&class, &["TypedDict"], 0))
    }

    fn derives(&mut self, class: &Class, roots: &[&str], depth: usize) -> bool {
        const DEPTH: usize = 32;
        let bases: Vec<String> = class.definition.bases.iter().map(dotted).collect();
        bases.iter().any(|base| {
            let last = base.rsplit('.').next().unwrap_or(base);
            if roots.contains(&last) || roots.contains(&self.plain(class.module, base).as_str()) {
                return true;
            }
            depth < DEPTH
                && self
                    .class(class.module, base)
                    .is_some_and(|base| self.derives(&base, roots, depth + 1))
        })
    }
}

/// Whether what is assigned to a field is a default; `Field(…)` alone says nothing.
fn is_default(value: &Expr) -> bool {
    match value {
        Expr::Call(call) if dotted(&call.func).ends_with("Field") => {
            let names = ["default", "default_factory"];
            let named = call.keywords.iter().any(|keyword| {
                keyword
                    .arg
                    .as_ref()
                    .is_some_and(|name| names.contains(&name.as_str()))
            });
            let first = call.args.first().is_some_and(|first| !is_ellipsis(first));
            named || first
        }
        value => !is_ellipsis(value),
    }
}

fn is_ellipsis(value: &Expr) -> bool {
    matches!(value, Expr::Constant(constant) if constant.value.is_ellipsis())
}

fn optional() -> Problem {
    (
        "it must not be Optional: a model always answers".into(),
        "return an empty value, or raise an exception".into(),
    )
}

fn union(members: &[Annotation]) -> Problem {
    if members.len() == 2 && members.iter().any(Annotation::is_none) {
        return optional();
    }
    (
        "it must be one type, not a union".into(),
        "return a class derived from `BaseModel` with a field for each".into(),
    )
}
