//! Checks of graphs: what BuildKit would refuse, and what is most likely not meant.
//!
//! [`Definition::verify`] looks at any definition, built here or read, and gives all findings at once. A finding has a
//! code that stays the same, the op it is about, the reason, and the nearest way out. Each rule is a file in `rules`,
//! with its page of documentation beside it; [`explain`] gives the page.
//!
//! **Invariant.** A rule sees the graph alone: it asks no daemon, no registry and no clock, and no finding shows a value
//! that looks like a secret.
//!
//! # Errors: BuildKit refuses the graph, or does something else than it says
//!
//! | code | finds |
//! |---|---|
//! | `bad-input` | a mount or action that reads an input the op does not have |
//! | `bad-output` | a read of an output that the other op does not have |
//! | `missing-cap` | an op that does not ask the daemon for what it needs |
//! | `no-args` | an exec without arguments, root or working directory |
//! | `readonly-output` | a mount that is read-only and has a result |
//! | `unknown-op` | an op that is none |
//!
//! # Warnings: it works, but likely not as meant
//!
//! | code | finds |
//! |---|---|
//! | `duplicate-target` | two mounts of an exec on one target |
//! | `meeting-deletions` | a merge in which one input deletes below what another one deleted |
//! | `moving-tag` | an image without a digest, by the tag `latest` |
//! | `relative-path` | a path that depends on a directory that is not in the graph |
//! | `secret-in-graph` | a value that looks like a secret |
//! | `unused-op` | an op that the result does not need |

mod finding;
mod rules;

pub use finding::{Finding, Severity};

use std::sync::Arc;

use crate::definition::Definition;
use crate::inspect::graph::Graph;
use crate::proto::pb;

impl Definition {
    /// Checks the graph against all rules; the findings are in the order of the ops.
    ///
    /// ```
    /// use llb::prelude::*;
    /// use llb::verify::Severity;
    ///
    /// let state = image("alpine").run(sh("login").env("REGISTRY_PASSWORD", "hunter2"));
    /// let findings = state.marshal(&MarshalOptions::linux_amd64())?.verify();
    /// let codes: Vec<&str> = findings.iter().map(|finding| finding.code()).collect();
    /// assert_eq!(codes, ["moving-tag", "secret-in-graph"]);
    /// assert_eq!(findings[1].severity(), Severity::Warning);
    /// assert_eq!(findings[1].op(), "%login");
    /// assert!(!findings[1].to_string().contains("hunter2"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn verify(&self) -> Vec<Finding> {
        let infos = self.source_infos().iter();
        let mut report = Report {
            graph: &Graph::new(self),
            files: infos.map(|info| info.filename().into()).collect(),
            rule: &rules::RULES[0],
            findings: Vec::new(),
        };
        for (position, op) in report.graph.ops.iter().enumerate() {
            let message = &op.message();
            let subject = Subject { position, message };
            for rule in rules::RULES {
                if let Check::Op(check) = rule.check {
                    report.rule = rule;
                    check(&mut report, &subject);
                }
            }
        }
        for rule in rules::RULES {
            if let Check::Graph(check) = rule.check {
                report.rule = rule;
                check(&mut report);
            }
        }
        let mut findings = report.findings;
        findings.sort_by_key(|(position, finding)| (*position, finding.code));
        findings.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// The page of documentation of a code; none if no rule has it.
///
/// ```
/// let page = llb::verify::explain("moving-tag").unwrap();
/// assert!(page.starts_with("# `moving-tag`"));
/// ```
pub fn explain(code: &str) -> Option<&'static str> {
    rules::RULES
        .iter()
        .find(|rule| rule.code == code)
        .map(|rule| rule.page)
}

/// The codes of all rules, sorted.
pub fn codes() -> impl Iterator<Item = &'static str> {
    rules::RULES.iter().map(|rule| rule.code)
}

/// Something to look for.
struct Rule {
    code: &'static str,
    severity: Severity,
    page: &'static str,
    check: Check,
}

/// How a rule looks at a graph.
enum Check {
    /// At each op on its own.
    Op(fn(&mut Report<'_>, &Subject<'_>)),
    /// At all ops together.
    Graph(fn(&mut Report<'_>)),
}

/// An op that rules look at.
struct Subject<'o> {
    position: usize,
    message: &'o pb::Op,
}

/// What rules look at, and what they found.
struct Report<'d> {
    graph: &'d Graph<'d>,
    /// The names of the source files.
    files: Vec<Arc<str>>,
    rule: &'static Rule,
    /// With the position of the op.
    findings: Vec<(usize, Finding)>,
}

impl Report<'_> {
    /// Adds a finding about the op at a position.
    fn find(&mut self, position: usize, reason: impl Into<String>, hint: impl Into<String>) {
        let op = &self.graph.ops[position];
        let place = op
            .definition_op
            .locations()
            .next()
            .and_then(|(info, ranges)| {
                let file = self.files.get(info as usize)?;
                let line = ranges.first()?.start?.line;
                Some((Arc::clone(file), line))
            });
        self.findings.push((
            position,
            Finding {
                code: self.rule.code,
                severity: self.rule.severity,
                op: format!("%{}", op.name),
                digest: op.definition_op.digest(),
                place,
                reason: reason.into(),
                hint: hint.into(),
            },
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        assert!(codes().is_sorted());
        let overview = include_str!("mod.rs");
        for rule in rules::RULES {
            let heading = format!("# `{}`\n", rule.code);
            assert!(rule.page.starts_with(&heading), "{}", rule.code);
            assert!(
                rule.page.contains("```text"),
                "{} has an example",
                rule.code
            );
            assert!(
                overview.contains(&format!("| `{}` |", rule.code)),
                "{}",
                rule.code
            );
        }
    }

    #[test]
    fn every_page_shows_what_its_rule_finds() {
        for rule in rules::RULES {
            let example = rule.page.split("```text\n").nth(1).unwrap();
            let example = example.split("```").next().unwrap();
            let definition = Definition::from_text(example).unwrap();
            let found = definition.verify();
            let codes: Vec<_> = found.iter().map(Finding::code).collect();
            assert!(codes.contains(&rule.code), "{}: {codes:?}", rule.code);
            assert!(found.iter().all(|finding| !finding.hint().is_empty()));
        }
    }
}
