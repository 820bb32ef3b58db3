//! Kinds about requirement lines.

use cog_python::cog::requirement as cog;
use serde_json::{Value, json};

use super::Answer;

pub fn file(input: &Value) -> Answer {
    let mut answer = Answer::new();
    answer.set(
        "lines",
        json!(cog::lines(input["content"].as_str().unwrap_or_default())),
    );
    let content = input["content"].as_str().unwrap_or_default();
    let fragment = content.match_indices('#').any(|(index, _)| {
        content[..index]
            .chars()
            .next_back()
            .is_some_and(|before| !before.is_whitespace())
    });
    if fragment {
        answer.differs_because(
            &["lines"],
            "B16: a `#` without a blank before it belongs to an URL",
        );
    }
    answer
}

pub fn line(input: &Value) -> Answer {
    let line = input["line"].as_str().unwrap_or_default();
    let name = cog::package_name(line);
    let mut answer = Answer::new();
    answer
        .set("package_name", name)
        .set("normalized_name", cog::normalized_name(name))
        .set("versions", json!(cog::versions(line)))
        .set("exact_version", json!(cog::exact_version(line)))
        .set(
            "pinned",
            json!(cog::pinned(line).map(|pinned| json!({
                "name": pinned.name,
                "version": pinned.version,
                "find_links": pinned.find_links,
                "extra_index_urls": pinned.extra_index_urls,
            }))),
        );
    match cog::local_artifact(line) {
        Ok(path) => answer.set("local_artifact", json!(path)),
        Err(error) => answer.refuse(&error),
    };
    answer
}
