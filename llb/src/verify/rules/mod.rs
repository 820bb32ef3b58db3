//! The rules, one in each file.

mod bad_input;
mod bad_output;
mod duplicate_target;
mod meeting_deletions;
mod missing_cap;
mod moving_tag;
mod no_args;
mod readonly_output;
mod relative_path;
mod secret_in_graph;
mod unknown_op;
mod unused_op;

use super::{Check, Report, Rule, Severity, Subject};
use crate::proto::pb;

/// All rules, by code.
pub(super) const RULES: &[Rule] = &[
    bad_input::RULE,
    bad_output::RULE,
    duplicate_target::RULE,
    meeting_deletions::RULE,
    missing_cap::RULE,
    moving_tag::RULE,
    no_args::RULE,
    readonly_output::RULE,
    relative_path::RULE,
    secret_in_graph::RULE,
    unknown_op::RULE,
    unused_op::RULE,
];

impl<'o> Subject<'o> {
    fn source(&self) -> Option<&'o pb::SourceOp> {
        match &self.message.op {
            Some(pb::op::Op::Source(source)) => Some(source),
            _ => None,
        }
    }

    fn exec(&self) -> Option<&'o pb::ExecOp> {
        match &self.message.op {
            Some(pb::op::Op::Exec(exec)) => Some(exec),
            _ => None,
        }
    }

    fn file(&self) -> Option<&'o pb::FileOp> {
        match &self.message.op {
            Some(pb::op::Op::File(file)) => Some(file),
            _ => None,
        }
    }
}

/// Runs a rule over a text, and gives the op and the reason of what it finds.
#[cfg(test)]
#[track_caller]
fn found(code: &str, text: &str) -> Vec<String> {
    let definition = crate::Definition::from_text(text).unwrap();
    let findings = definition.verify();
    let findings = findings.iter().filter(|finding| finding.code() == code);
    findings
        .map(|finding| format!("{}: {}", finding.op(), finding.reason()))
        .collect()
}
