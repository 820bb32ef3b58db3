//! The OpenAPI schema of a model, read from its signature without running it.
//!
//! Cog's tools show a model's inputs and outputs from this schema. Running the model to ask it would need everything it
//! imports, and often a GPU; the signature says the same:
//!
//! ```
//! use std::collections::BTreeMap;
//! use cog_python::schema::Schema;
//!
//! let files = BTreeMap::from([(
//!     "run.py".to_owned(),
//!     "class Runner:\n    def run(self, prompt: str, steps: int = 50) -> str: ...\n".to_owned(),
//! )]);
//! let schema = Schema::read(Some(&"run.py:Runner".parse()?), None, &files, "0.23.1").unwrap();
//! let steps = &schema.document["components"]["schemas"]["Input"]["properties"]["steps"];
//! assert_eq!(steps["default"], 50);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What cannot be read is an error with its place, all of them at once: a parameter without an annotation, a type of
//! another package, a default that is computed.

mod annotation;
mod document;
mod fstring;
mod input;
mod literal;
mod module;
mod nesting;
mod options;
mod output;

#[cfg(feature = "cli")]
pub(crate) use fstring::parse;
#[cfg(feature = "cli")]
pub(crate) use module::span;

use rustpython_parser::ast;
use serde_json::{Map, Value};

use crate::config::RunReference;
use crate::diagnostic::{Report, Topic};
use crate::files::ProjectFiles;
use input::Parameter;
use module::{Function, Modules};

/// What a signature says.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The OpenAPI document.
    pub document: Value,
    /// Most predictions at once, by `@cog.concurrent(max=N)`.
    pub concurrency: Option<u32>,
    /// Whether predictions are made by an `async` function.
    pub is_async: bool,
}

/// Which of the two a callable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Predict,
    Train,
}

/// The parts of a document that a signature decides.
struct Part {
    mode: Mode,
    input: Map<String, Value>,
    /// Choices, by the name of their parameter.
    enums: Vec<(String, Value)>,
    output: Value,
    streaming: bool,
}

impl Schema {
    /// Reads the signatures that `run` and `train` name. `version` is that of Cog, which the document repeats.
    pub fn read(
        run: Option<&RunReference>,
        train: Option<&RunReference>,
        files: &dyn ProjectFiles,
        version: &str,
    ) -> Result<Self, Report> {
        let mut modules = Modules::new(files);
        let mut parts = Vec::new();
        let (mut concurrency, mut is_async) = (None, false);
        for (reference, mode) in [(run, Mode::Predict), (train, Mode::Train)] {
            let Some(reference) = reference else { continue };
            let Some(function) = modules.target(reference, mode) else {
                continue;
            };
            let max = modules.concurrency(&function);
            if mode == Mode::Predict {
                is_async = function.is_async;
                concurrency = max;
            }
            parts.extend(modules.part(&function, mode));
        }
        if run.is_none() && train.is_none() {
            modules
                .report
                .push(crate::diagnostic::Diagnostic::without_place(
                    "neither `run` nor `train` of cog.yaml names code to read the schema from",
                ));
        }
        if modules.report.has_errors() {
            return Err(modules.report.about(Topic::Signature));
        }
        Ok(Self {
            document: document::document(&parts, version),
            concurrency,
            is_async,
        })
    }
}

impl Modules<'_> {
    fn part(&mut self, function: &Function, mode: Mode) -> Option<Part> {
        let inputs: Vec<Parameter> = self.parameters(function);
        let Some(annotation) = &function.returns else {
            self.error(
                function.module,
                function.range,
                format!(
                    "`{}` has no return annotation, which the schema of its output comes from",
                    function.name
                ),
                "write for example `-> str`",
            );
            return None;
        };
        let output = self.output(function.module, annotation);
        let streaming = self.is_decorated(function, "streaming");
        let streams = |output: &Value| output.get("x-cog-array-type").is_some();
        if streaming && output.as_ref().is_some_and(|output| !streams(output)) {
            self.error(
                function.module,
                function.range,
                format!("`{}` returns no iterator, so `@streaming` has nothing to stream", function.name),
                "return for example `Iterator[str]` or `ConcatenateIterator[str]`, or leave `@streaming` out",
            );
        }
        let (input, enums) = input::schema(&inputs);
        Some(Part {
            mode,
            input,
            enums,
            output: output?,
            streaming,
        })
    }

    /// `@cog.concurrent(max=N)`.
    fn concurrency(&mut self, function: &Function) -> Option<u32> {
        let decorator = self.decorator(function, "concurrent")?;
        let ast::Expr::Call(call) = decorator else {
            return Some(1);
        };
        let (range, value) = match (call.args.as_slice(), call.keywords.as_slice()) {
            ([], []) => return Some(1),
            ([], [only]) if only.arg.as_ref().is_some_and(|name| name.as_str() == "max") => {
                (call.range, literal::value(&only.value))
            }
            _ => (call.range, None),
        };
        let max = value
            .and_then(|value| value.as_u64())
            .and_then(|max| u32::try_from(max).ok())
            .filter(|max| *max > 0);
        if max.is_none() {
            self.error(
                function.module,
                range,
                "`@concurrent` takes `max` alone, a whole number from 1 on",
                "write `@cog.concurrent(max=4)`",
            );
        }
        if max.is_some_and(|max| max > 1) && !function.is_async {
            self.error(
                function.module,
                function.range,
                format!(
                    "`{}` must be `async` to make several predictions at once",
                    function.name
                ),
                "write `async def`, or set `max` to 1",
            );
        }
        max
    }
}
