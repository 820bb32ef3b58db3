//! Our answer, and how it is compared with a recorded one.

use serde_json::{Map, Value, json};

/// What this crate answers.
#[derive(Default)]
pub struct Answer {
    values: Map<String, Value>,
    /// Everything that was refused, in our words.
    refusal: Option<String>,
    /// Everything that was said besides, in our words.
    said: String,
    /// Defects of Cog that this answer does not share, with the keys they show in; no keys means all.
    on_purpose: Vec<(&'static [&'static str], &'static str)>,
}

/// Keys whose value is a text for people: compared by what it names.
const TEXTS: [&str; 6] = [
    "error",
    "generator_error",
    "local_artifact_error",
    "cuda_base_image_error",
    "latest_cudnn_error",
    "console",
];

/// Keys whose value is a set of versions.
const ONCE: [&str; 2] = ["cudas", "compatible_cudnns"];

impl Answer {
    pub fn new() -> Self {
        Self::default()
    }

    /// A refusal.
    pub fn refused(text: &impl ToString) -> Self {
        Self {
            values: Map::from_iter([("ok".to_owned(), json!(false))]),
            refusal: Some(text.to_string()),
            ..Self::default()
        }
    }

    pub fn is_refusal(&self) -> bool {
        self.refusal.is_some()
    }

    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }

    pub fn set_some(&mut self, key: &str, value: Option<impl Into<Value>>) -> &mut Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// A refusal of one part of the answer.
    pub fn refuse(&mut self, text: &impl ToString) -> &mut Self {
        self.refusal = Some(text.to_string());
        self
    }

    pub fn say(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.said.push_str(text.as_ref());
        self.said.push('\n');
        self
    }

    /// Names a defect of Cog that this answer does not share, and the keys it shows in; no keys means all.
    pub fn differs_because(
        &mut self,
        keys: &'static [&'static str],
        why: &'static str,
    ) -> &mut Self {
        self.on_purpose.push((keys, why));
        self
    }

    /// The defect that explains all differences.
    pub fn on_purpose(&self, differences: &[String]) -> Option<&'static str> {
        let explained = |keys: &[&str]| {
            keys.is_empty()
                || differences.iter().all(|difference| {
                    difference
                        .split(':')
                        .next()
                        .is_some_and(|key| keys.contains(&key))
                })
        };
        self.on_purpose
            .iter()
            .find(|(keys, _)| explained(keys))
            .map(|(_, why)| *why)
    }

    /// The answer on one line.
    pub fn summary(&self) -> String {
        match &self.refusal {
            Some(refusal) if self.values.len() <= 1 => {
                let mut lines = refusal.lines();
                let first = lines.next().unwrap_or_default();
                let line = lines
                    .find(|line| line.starts_with("error: "))
                    .unwrap_or(first);
                let line = if first.starts_with("warning: ") {
                    line
                } else {
                    first
                };
                format!("refused: {line}")
            }
            _ => Value::Object(self.values.clone()).to_string(),
        }
    }

    /// What differs from a recorded answer.
    pub fn differences(&self, expect: &Map<String, Value>) -> Vec<String> {
        let mut differences = Vec::new();
        // Cog finds this late; we refuse the project when we read it.
        if let Some(late) = expect.get("generator_error") {
            return self
                .compare_text("generator_error", late)
                .into_iter()
                .collect();
        }
        for (key, expected) in expect {
            let difference = match key.as_str() {
                "ok" => self.compare_ok(expected),
                "deprecations" | "findings" => self.compare_list(key, expected),
                key if TEXTS.contains(&key) => self.compare_text(key, expected),
                key => self.compare_value(key, expected),
            };
            differences.extend(difference);
        }
        differences
    }

    fn compare_ok(&self, expected: &Value) -> Option<String> {
        let ours = self.values.get("ok").cloned().unwrap_or(json!(true));
        let said = self.refusal.as_deref().unwrap_or_default();
        (ours != *expected).then(|| format!("ok: recorded {expected}, ours {ours} {said}"))
    }

    fn compare_value(&self, key: &str, expected: &Value) -> Option<String> {
        let ours = self.values.get(key).unwrap_or(&Value::Null);
        // B5: Cog names a version once per row of its table.
        let once = ONCE.contains(&key).then(|| once(expected));
        let expected = once.as_ref().unwrap_or(expected);
        // A refusal inside of a value.
        if let (Some(expected), Some(ours)) = (expected.as_str(), ours.as_str())
            && let (Some(expected), Some(ours)) = (
                expected.strip_prefix("error: "),
                ours.strip_prefix("error: "),
            )
        {
            return missing(expected, ours)
                .map(|name| format!("{key}: `{name}` is not named in `{ours}`"));
        }
        (normal(ours) != normal(expected))
            .then(|| format!("{key}: recorded {expected}, ours {ours}"))
    }

    /// A text is right when we refuse or warn as well, and name what it names.
    fn compare_text(&self, key: &str, expected: &Value) -> Option<String> {
        let expected = match expected {
            Value::Array(lines) => lines
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        let ours = if key == "console" {
            &self.said
        } else {
            match &self.refusal {
                Some(refusal) => refusal,
                None => {
                    return Some(format!(
                        "{key}: recorded `{expected}`, and ours is no refusal"
                    ));
                }
            }
        };
        missing(&expected, ours)
            .map(|name| format!("{key}: `{name}` is not named in `{}`", ours.trim()))
    }

    fn compare_list(&self, key: &str, expected: &Value) -> Option<String> {
        let empty = Vec::new();
        let expected = expected.as_array().unwrap_or(&empty);
        if key == "findings" {
            let ours = self
                .values
                .get(key)
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            if ours != expected.len() {
                return Some(format!(
                    "{key}: recorded {} of them, ours are {ours}",
                    expected.len()
                ));
            }
        }
        expected.iter().find_map(|item| {
            let text = match item {
                Value::Object(item) => item
                    .values()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join("\n"),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            missing(&text, &self.said)
                .map(|name| format!("{key}: `{name}` is not named in `{}`", self.said.trim()))
        })
    }
}

/// A list without what it repeats.
fn once(list: &Value) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Value::Array(kept)
}

/// The first thing that a text names and ours does not: what is in quotes, and versions.
fn missing(expected: &str, ours: &str) -> Option<String> {
    let ours = ours.to_lowercase();
    names(expected)
        .into_iter()
        .find(|name| !ours.contains(&name.to_lowercase()))
}

fn names(text: &str) -> Vec<String> {
    // The syntax of YAML is refused by the parser, whatever it calls it; examples and patterns are the text's own.
    if text.contains("invalid YAML") || text.contains("no such file") && !text.contains("not found")
    {
        return Vec::new();
    }
    let mut names = Vec::new();
    for line in text.lines() {
        // Names that Python itself has are none of the project.
        let mut line = line.replace(" (imported from 'builtins')", "");
        for own in [
            "(e.g.",
            "e.g.",
            "in the form",
            "match pattern",
            "You might",
            "If that doesn't",
            "upgrade Cog",
            "set COG_SKIP",
            "; must be",
            "- external",
            ": lstat",
        ] {
            if let Some(start) = line.find(own) {
                line.truncate(start);
            }
        }
        let schema = line.starts_with("schema error in") || line.starts_with("deprecated field");
        // Quoted text of Go has its `\` doubled; the apostrophe of a word is no quote.
        let line = without_apostrophes(&line.replace("\\\\", "\\"));
        for quote in ['"', '\''] {
            let parts: Vec<&str> = line.split(quote).collect();
            let quoted = parts.iter().enumerate().filter(|(index, _)| index % 2 == 1);
            for (index, part) in quoted {
                if index + 1 < parts.len() && !part.is_empty() && part.len() < 120 {
                    let last = part.rsplit('.').find(|part| part.parse::<u32>().is_err());
                    let name = if schema { last.unwrap_or(part) } else { part };
                    if name != "cog.yaml" && name.contains(char::is_alphanumeric) {
                        names.push(name.to_owned());
                    }
                }
            }
        }
        names.extend(versions(&line));
    }
    names
}

fn without_apostrophes(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_letter = |index: usize| letters.get(index).is_some_and(|c| c.is_alphabetic());
    letters
        .iter()
        .enumerate()
        .filter(|(index, c)| {
            **c != '\'' || !(*index > 0 && is_letter(index - 1) && is_letter(index + 1))
        })
        .map(|(_, c)| *c)
        .collect()
}

fn versions(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Numbers are equal by value, whatever their form.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries
                .iter()
                .map(|(key, value)| (key.clone(), normal(value)))
                .collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(sorted.into_iter().collect())
        }
        other => other.clone(),
    }
}
