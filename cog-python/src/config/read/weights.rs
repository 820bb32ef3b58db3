//! `weights`.

use super::Reader;
use super::node::Entries;
use crate::config::keys;
use crate::config::weight::{Weight, WeightSource, clean, is_name, overlaps};
use crate::diagnostic::Spanned;
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn weights(&mut self, entries: &Entries<'_>) -> Vec<Weight> {
        let Some(node) = entries.value("weights") else {
            return Vec::new();
        };
        let items = self.list(node, "weights");
        if !items.is_empty() && entries.value("model").is_none() {
            let (span, found) = match entries.get("image") {
                Some((key, _)) => (key.span, "`weights` belong to a `model`, not to an `image`"),
                None => (
                    node.span,
                    "`weights` belong to a `model`, and there is none",
                ),
            };
            self.error_hint(
                span,
                found,
                "name the repository with `model: host/owner/name`",
            );
        }
        if let Some((key, _)) = entries.get("weights").filter(|_| !items.is_empty()) {
            self.warn(
                key.span,
                "weights are no part of the image unless `--include-weights` asks for it: it names them, and they are mounted when it runs",
                "fetch them into a folder, and mount each at its `target`",
            );
        }
        let mut weights: Vec<Weight> = Vec::new();
        for item in items {
            if let Some(weight) = self.weight(item, &weights) {
                weights.push(weight);
            }
        }
        weights
    }

    fn weight(&mut self, node: &Node, before: &[Weight]) -> Option<Weight> {
        let entries = self.mapping(node, "weights item", &keys::WEIGHT)?;
        let name = self.required(&entries, "name", node.span);
        if let Some(name) = &name {
            if !is_name(&name.value) {
                self.error_hint(
                    name.span,
                    format!("name `{}` of weights must be lowercase letters and digits with single `.`, `_` or `-` between them", name.value),
                    "it becomes part of a tag, for example `my-model-weights`",
                );
            } else if before.iter().any(|other| other.name == name.value) {
                self.error(
                    name.span,
                    format!("weights `{}` are given twice", name.value),
                );
            }
        }
        let target = self.required(&entries, "target", node.span);
        let target = target.and_then(|target| self.weight_target(&target, before));
        let sources = self.weight_sources(&entries, node);
        Some(Weight {
            name: name?.value,
            target: target?,
            sources,
            span: node.span,
        })
    }

    fn weight_target(&mut self, target: &Spanned<String>, before: &[Weight]) -> Option<String> {
        if !target.value.starts_with('/') {
            self.error_hint(
                target.span,
                format!(
                    "`target` of weights must be an absolute path, found `{}`",
                    target.value
                ),
                format!(
                    "for example `/src/{}`",
                    target.value.trim_start_matches("./")
                ),
            );
            return None;
        }
        let path = clean(&target.value);
        if path == "/" {
            self.error(
                target.span,
                "`target` of weights must not be `/`, which would hide everything else",
            );
            return None;
        }
        if let Some(other) = before
            .iter()
            .find(|other| other.target == path || overlaps(&other.target, &path))
        {
            self.error_hint(
                target.span,
                format!(
                    "`target` `{}` and `{}` of weights `{}` lie in each other",
                    target.value, other.target, other.name
                ),
                "give each weights a folder of their own",
            );
            return None;
        }
        Some(path)
    }

    fn weight_sources(&mut self, entries: &Entries<'_>, weight: &Node) -> Vec<WeightSource> {
        let Some(node) = entries.value("source") else {
            let span = entries
                .get("source")
                .map_or(weight.span, |(key, _)| key.span);
            self.error(span, "`source` of weights is required");
            return Vec::new();
        };
        let single = std::slice::from_ref(node);
        let items = match &node.value {
            Value::List(items) if items.is_empty() => {
                self.error(
                    node.span,
                    "`source` of weights must name at least one place",
                );
                return Vec::new();
            }
            Value::List(items) => items,
            _ => single,
        };
        items
            .iter()
            .filter_map(|item| self.weight_source(item))
            .collect()
    }

    fn weight_source(&mut self, node: &Node) -> Option<WeightSource> {
        let entries = self.mapping(node, "source", &keys::WEIGHT_SOURCE)?;
        let uri = self.required(&entries, "uri", node.span)?;
        match uri.value.split_once("://") {
            Some(("hf" | "file" | "https" | "oci" | "oci+artifact", rest)) if !rest.is_empty() => {}
            None if !uri.value.is_empty() => {}
            _ => {
                self.error_hint(
                    uri.span,
                    format!(
                        "`uri` of weights must be hf://, https://, oci://, oci+artifact://, file:// or a path, found `{}`",
                        uri.value
                    ),
                    "for example `hf://owner/name` or `weights/`",
                );
                return None;
            }
        }
        Some(WeightSource {
            uri: uri.value,
            include: self.weight_patterns(&entries, "include"),
            exclude: self.weight_patterns(&entries, "exclude"),
        })
    }

    fn weight_patterns(&mut self, entries: &Entries<'_>, name: &str) -> Vec<String> {
        let mut patterns = Vec::new();
        for text in self.texts(entries, name, name) {
            let pattern = text.value.trim();
            let problem = if pattern.is_empty() {
                Some("must not be empty")
            } else if pattern.starts_with('!') {
                Some("must not start with `!`: what stays out belongs to `exclude`")
            } else if pattern.contains('\\') {
                Some("must have `/` between folders, not `\\`")
            } else {
                None
            };
            match problem {
                Some(problem) => self.error(text.span, format!("a pattern of `{name}` {problem}")),
                None => patterns.push(pattern.to_owned()),
            }
        }
        patterns
    }
}
