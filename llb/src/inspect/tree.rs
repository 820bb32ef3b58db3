//! A graph as a tree: what was done last on top, what it was done to below.

use super::graph::Graph;
use super::label::{label, main_input, roles};
use crate::definition::Definition;
use crate::proto::pb;

/// Branches in branches are drawn to this depth; those below it get a tree of their own.
const DEEPEST: usize = 12;

impl Definition {
    /// The graph as a tree for terminals.
    ///
    /// It begins with the result and goes down to the sources. What an op goes on with (the root of an exec, the base
    /// of file actions, the bottom of a merge, the upper of a diff) stands right below it; whatever else it reads
    /// branches off. An op that was drawn already is only named. The size of the text is linear in the graph.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("golang").run(sh("go build ./...").mount(bind("/src", local("context")).readonly()));
    /// let definition = state.marshal(&MarshalOptions::linux_amd64())?;
    /// assert_eq!(definition.to_tree(), "
    /// %go-build  exec /bin/sh -c go build ./...
    /// ├─ /src: %context  source local://context
    /// %golang  source docker-image://docker.io/library/golang:latest
    /// ".trim_start());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn to_tree(&self) -> String {
        let graph = Graph::new(self);
        let Some((head, index)) = graph.head else {
            return "scratch\n".to_owned();
        };
        let mut tree = Tree {
            is_drawn: vec![false; graph.ops.len()],
            graph,
            text: String::new(),
            later: Vec::new(),
        };
        if index != 0 {
            let output = tree.graph.output(head, index.into());
            tree.text = format!("{output}\n");
        }
        tree.draw(head);
        while let Some(next) = tree.later.pop() {
            if !tree.is_drawn[next] {
                tree.text.push('\n');
                tree.draw(next);
            }
        }
        tree.text
    }
}

struct Tree<'d> {
    graph: Graph<'d>,
    text: String,
    is_drawn: Vec<bool>,
    /// Ops that are named at the deepest place, to be drawn on their own.
    later: Vec<usize>,
}

/// An op to draw.
struct Line {
    op: usize,
    depth: usize,
    /// What it is to the op that reads it beside its main input.
    role: String,
    /// Whether this is its place, and not yet to be found out.
    is_placed: bool,
}

impl Tree<'_> {
    fn draw(&mut self, start: usize) {
        // What is to be drawn next is at the end.
        let mut waiting = vec![Line {
            op: start,
            depth: 0,
            role: String::new(),
            is_placed: false,
        }];
        while let Some(line) = waiting.pop() {
            if line.is_placed {
                let op = self.graph.ops[line.op].message();
                let (label, branches) = (label(&op), self.branches(&line, &op));
                self.line(&line, Some(&label));
                waiting.extend(branches);
            } else if self.is_drawn[line.op] {
                self.line(&line, None);
            } else if line.depth > DEEPEST {
                self.later.push(line.op);
                self.line(&line, None);
            } else {
                self.place(line, &mut waiting);
            }
        }
    }

    /// Places an op and all it goes on with below each other, before any branch can take them.
    fn place(&mut self, first: Line, waiting: &mut Vec<Line>) {
        let depth = first.depth;
        let before = waiting.len();
        let mut next = Some(first);
        while let Some(mut line) = next.take() {
            let op = line.op;
            line.is_placed = !std::mem::replace(&mut self.is_drawn[op], true);
            if line.is_placed {
                let op = self.graph.ops[op].message();
                let read = main_input(&op).map(|input| &op.inputs[input]);
                next = read
                    .and_then(|input| self.graph.position_of(input))
                    .map(|op| Line {
                        op,
                        depth,
                        role: String::new(),
                        is_placed: false,
                    });
            }
            waiting.push(line);
        }
        waiting[before..].reverse();
    }

    /// What an op reads beside its main input, the first of it last.
    fn branches(&self, line: &Line, op: &pb::Op) -> Vec<Line> {
        let main = main_input(op);
        let inputs = op.inputs.iter().zip(roles(op)).enumerate();
        let beside = inputs.filter(|(position, _)| Some(*position) != main);
        let branches = beside.filter_map(|(_, (input, role))| {
            Some(Line {
                op: self.graph.position_of(input)?,
                depth: line.depth + 1,
                role,
                is_placed: false,
            })
        });
        let mut branches: Vec<_> = branches.collect();
        branches.reverse();
        branches
    }

    /// One line: an op with its label, or the name alone of one that is drawn elsewhere.
    fn line(&mut self, line: &Line, label: Option<&str>) {
        for _ in 1..line.depth {
            self.text.push_str("│  ");
        }
        // What a branch goes on with has no role of its own.
        match (line.depth, line.role.is_empty()) {
            (0, _) => {}
            (_, true) => self.text.push_str("│  "),
            (_, false) => {
                self.text.push_str("├─ ");
                self.text.push_str(&line.role);
                self.text.push_str(": ");
            }
        }
        self.text.push('%');
        self.text.push_str(&self.graph.ops[line.op].name);
        match label {
            Some(label) => {
                self.text.push_str("  ");
                self.text.push_str(label);
            }
            None => self.text.push_str(" …"),
        }
        self.text.push('\n');
    }
}
