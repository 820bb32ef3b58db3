//! What a frontend tells about itself (`docker build --call=outline`).
//!
//! Names, versions and fields are those of BuildKit's `frontend/subrequests`, August 2026. A client shows `result.txt`
//! and reads `result.json`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tonic::Code;

use super::build::Build;
use super::error::{Error, Result};
use super::image::Image;
use super::inspection::Inspection;

const DESCRIBE: &str = "frontend.subrequests.describe";
pub(super) const OUTLINE: &str = "frontend.outline";
pub(super) const LINT: &str = "frontend.lint";
const TARGETS: &str = "frontend.targets";
const VERSION: &str = "1.0.0";

/// What a frontend says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    pub(super) description: String,
    /// Name, default and meaning.
    pub(super) arguments: Vec<(String, String, String)>,
    /// Id, and whether it is needed.
    pub(super) secrets: Vec<(String, bool)>,
    /// Id, and whether it is needed.
    pub(super) agents: Vec<(String, bool)>,
    /// Name and meaning; the first one is the default.
    pub(super) targets: Vec<(String, String)>,
}

impl Outline {
    /// The answer to a subrequest, if the build is one. The inspection is there if that was made for it, and known if
    /// the frontend makes any.
    pub(super) fn answer(
        &self,
        build: &Build,
        inspection: Option<&Inspection>,
        is_known: bool,
    ) -> Result<Option<Image>> {
        let (value, text) = match (build.option("requestid"), inspection) {
            (None, _) => return Ok(None),
            (Some(LINT), Some(inspection)) => return inspection.answer(VERSION).map(Some),
            (Some(DESCRIBE), _) => describe(is_known),
            (Some(OUTLINE), inspection) => {
                self.check_target(build)?;
                let mut outline = self.clone();
                if let Some(inspection) = inspection {
                    outline.secrets.extend(inspection.secrets.iter().cloned());
                    outline.agents.extend(inspection.agents.iter().cloned());
                }
                outline.outline(build)
            }
            (Some(TARGETS), _) => self.targets(),
            (Some(other), _) => {
                let message = format!("this frontend does not know the request {other}");
                let name = json!({"name": other});
                let code = Code::Unimplemented;
                return Err(Error::typed(code, "errdefs.Subrequest", &name, &message));
            }
        };
        let json = serde_json::to_string_pretty(&value)?;
        Ok(Some(Image::texts([
            ("result.json", json),
            ("result.txt", text),
            ("version", VERSION.to_owned()),
        ])))
    }

    /// A target that was named must be one of those there are, if any were said.
    pub(super) fn check_target(&self, build: &Build) -> Result<()> {
        let Some(target) = build.target() else {
            return Ok(());
        };
        let names: Vec<_> = self.targets.iter().map(|(name, _)| name.as_str()).collect();
        if names.is_empty() || names.contains(&target) {
            return Ok(());
        }
        let message = format!("there is no target {target:?}");
        Err(Error::msg(message).hint(format!("targets are {}", names.join(", "))))
    }

    fn outline(&self, build: &Build) -> (Value, String) {
        let name = build
            .target()
            .or(self.targets.first().map(|(name, _)| name.as_str()))
            .unwrap_or_default();
        let of_target = self.targets.iter().find(|(target, _)| target == name);
        let description = match of_target {
            Some((_, description)) if !description.is_empty() => description,
            _ => &self.description,
        };
        let mut value = json!({});
        let mut text = String::new();
        let mut set = |key: &str, entry: Value| value[key] = entry;
        if !name.is_empty() {
            set("name", json!(name));
        }
        if !description.is_empty() {
            set("description", json!(description));
        }
        if !name.is_empty() || !description.is_empty() {
            let shown = if name.is_empty() { "(default)" } else { name };
            let rows = [["TARGET:", shown], ["DESCRIPTION:", description]];
            let rows = &rows[..if description.is_empty() { 1 } else { 2 }];
            text += &table(rows, 1);
            text.push('\n');
        }
        if !self.arguments.is_empty() {
            let arguments: Vec<[&str; 3]> = self
                .arguments
                .iter()
                .map(|(name, default, meaning)| {
                    [name, build.build_arg(name).unwrap_or(default), meaning]
                })
                .collect();
            let entries = arguments.iter().map(|[name, value, meaning]| {
                json!({"name": name, "value": value, "description": meaning})
            });
            set("args", entries.collect());
            let head = [["BUILD ARG", "VALUE", "DESCRIPTION"]];
            text += &table(&[&head[..], &arguments].concat(), 3);
            text.push('\n');
        }
        for (key, head, list) in [
            ("secrets", "SECRET", &self.secrets),
            ("ssh", "SSH", &self.agents),
        ] {
            if list.is_empty() {
                continue;
            }
            let entries = list
                .iter()
                .map(|(name, required)| json!({"name": name, "required": required}));
            set(key, entries.collect());
            let mut rows = vec![[head, "REQUIRED"]];
            rows.extend(
                list.iter().map(|(name, required)| {
                    [name.as_str(), if *required { "true" } else { "false" }]
                }),
            );
            text += &table(&rows, 3);
            text.push('\n');
        }
        (value, text)
    }

    fn targets(&self) -> (Value, String) {
        let one = [(String::new(), self.description.clone())];
        let targets = match self.targets.as_slice() {
            [] => &one[..],
            targets => targets,
        };
        let mut rows = vec![["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
        let mut entries = Vec::new();
        for (position, (name, description)) in targets.iter().enumerate() {
            let is_default = position == 0;
            entries.push(json!({"name": name, "default": is_default, "description": description}));
            let shown = match (name.as_str(), is_default) {
                ("", _) => "(default)".to_owned(),
                (name, true) => format!("{name} (default)"),
                (name, false) => name.to_owned(),
            };
            rows.push([shown, description.clone()]);
        }
        (json!({"targets": entries, "sources": []}), table(&rows, 1))
    }
}

fn describe(has_inspections: bool) -> (Value, String) {
    const REQUESTS: [(&str, &str); 4] = [
        (LINT, "Look for mistakes without building"),
        (OUTLINE, "List all parameters current build target supports"),
        (TARGETS, "List all targets current build supports"),
        (DESCRIBE, "List available subrequest types"),
    ];
    let requests = &REQUESTS[usize::from(!has_inspections)..];
    let entries = requests.iter().map(|&(name, description)| {
        let mut metadata = vec!["result.json", "result.txt"];
        if name == LINT {
            metadata.push("result.statuscode");
        }
        let metadata = metadata
            .iter()
            .map(|name| json!({"name": name, "description": ""}));
        json!({
            "name": name,
            "version": VERSION,
            "type": "rpc",
            "description": description,
            "opts": match name {
                OUTLINE => json!([{"name": "target", "description": "Target build stage"}]),
                _ => json!([]),
            },
            "inputs": [],
            "metadata": metadata.collect::<Vec<_>>(),
            "refs": [],
        })
    });
    let mut rows = vec![["NAME", "VERSION", "DESCRIPTION"]];
    for &(name, description) in requests {
        let short = name.strip_prefix("frontend.").unwrap_or(name);
        rows.push([short, VERSION, description]);
    }
    (json!(entries.collect::<Vec<_>>()), table(&rows, 1))
}

/// Rows with columns as wide as they need, as Go's `tabwriter` sets them.
fn table<const N: usize, S: AsRef<str>>(rows: &[[S; N]], padding: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_ref().chars().count());
        cells.max().unwrap_or(0) + padding
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let cell = cell.as_ref();
            let width = if column + 1 == N { 0 } else { width(column) };
            // Writing to a text never fails.
            let _ = write!(text, "{cell:width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [["A", "B"], ["longer", "x"]];
        assert_eq!(table(&rows, 1), "A      B\nlonger x\n");
    }

    #[test]
    fn all_requests_are_described() {
        let (value, _) = describe(true);
        assert_eq!(value.as_array().unwrap().len(), 4);
        assert_eq!(value[0]["metadata"][2]["name"], "result.statuscode");
        let (value, text) = describe(false);
        assert_eq!(value.as_array().unwrap().len(), 3);
        assert!(
            text.starts_with("NAME                 VERSION DESCRIPTION\noutline"),
            "{text}"
        );
    }
}
