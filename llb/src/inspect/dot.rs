//! A graph for Graphviz.

use std::fmt::Write as _;

use super::graph::Graph;
use super::label::{label, roles};
use crate::definition::Definition;
use crate::proto::pb;

impl Definition {
    /// The graph in Graphviz's DOT language, for `dot -Tsvg`.
    ///
    /// Arrows go from what is read to what reads it, and say what it is there: the target of a mount, a side of a diff.
    /// Labels are escaped, whatever the ops hold.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("alpine").run(sh("echo \"hello\"")).marshal(&MarshalOptions::linux_amd64())?;
    /// assert_eq!(definition.to_dot(), r#"
    /// digraph llb {
    ///   rankdir=BT;
    ///   node [shape=box, fontname="monospace"];
    ///   edge [fontname="monospace"];
    ///   op0 [label="%alpine\lsource docker-image://docker.io/library/alpine:latest\l", style=rounded];
    ///   op1 [label="%echo-hello\lexec /bin/sh -c echo \"hello\"\l"];
    ///   op0 -> op1 [label="/"];
    ///   result [shape=doublecircle, label=""];
    ///   op1 -> result [label="0"];
    /// }
    /// "#.trim_start());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let graph = Graph::new(self);
        let mut dot = String::from(
            "digraph llb {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n  edge [fontname=\"monospace\"];\n",
        );
        let mut write = |line: std::fmt::Arguments<'_>| {
            writeln!(dot, "  {line}").expect("writing to a string does not fail");
        };
        for (number, op) in graph.ops.iter().enumerate() {
            let message = op.message();
            let is_source = matches!(message.op, Some(pb::op::Op::Source(_)));
            let style = if is_source { ", style=rounded" } else { "" };
            let (name, label) = (&op.name, escaped(&label(&message)));
            write(format_args!(
                "op{number} [label=\"%{name}\\l{label}\\l\"{style}];"
            ));
            for (input, role) in message.inputs.iter().zip(roles(&message)) {
                let Some(read) = graph.position_of(input) else {
                    continue;
                };
                let role = escaped(&role);
                write(format_args!("op{read} -> op{number} [label=\"{role}\"];"));
            }
        }
        if let Some((head, index)) = graph.head {
            write(format_args!("result [shape=doublecircle, label=\"\"];"));
            write(format_args!("op{head} -> result [label=\"{index}\"];"));
        }
        dot.push_str("}\n");
        dot
    }
}

/// Text inside a quoted label: quotes and backslashes would end it or mean something.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escaped(r#"a"]; b [label="\"#), r#"a\"]; b [label=\"\\"#);
    }
}
