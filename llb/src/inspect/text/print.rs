//! Prints a definition: everything around the ops.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::print_op::OpPrinter;
use super::words::{quoted, quoted_bytes, word};
use crate::definition::{Definition, DefinitionOp, SourceInfo};
use crate::inspect::canonical;
use crate::inspect::graph::{Graph, GraphOp};
use crate::metadata::{CUSTOM_NAME, OpMetadata};
use crate::proto::pb;
use crate::sourcemap::{Position, Range};

/// Data of up to this many bytes is shown in the default form, longer data by its size and digest.
pub(super) const SHOWN_DATA: usize = 2048;

/// The text so far, and how to go on.
pub(super) struct Printer {
    pub(super) text: String,
    pub(super) is_full: bool,
    /// Blanks before each line.
    pub(super) indent: usize,
    /// The platform of ops whose text does not say another.
    pub(super) platform: Option<pb::Platform>,
}

impl Printer {
    pub(super) fn new(is_full: bool) -> Self {
        Self {
            text: String::new(),
            is_full,
            indent: 0,
            platform: None,
        }
    }

    pub(super) fn definition(&mut self, definition: &Definition) {
        let graph = Graph::new(definition);
        let outer = std::mem::replace(&mut self.platform, usual_platform(&graph));
        if let Some(platform) = self.platform.take() {
            self.start_line();
            self.text.push_str("platform ");
            self.platform_value(&platform);
            self.text.push('\n');
            self.platform = Some(platform);
        }
        if self.is_full {
            for info in definition.source_infos() {
                self.source_info(info);
            }
        }
        let mut names = Vec::new();
        for op in &graph.ops {
            names.clear();
            let message = op.message();
            names.extend(message.inputs.iter().map(|input| {
                match graph.position_of(input) {
                    Some(position) => graph.output(position, input.index),
                    // Reading a definition refuses such inputs.
                    None => format!("%{}", input.digest),
                }
            }));
            self.op(op, &message, &names);
        }
        self.start_line();
        match graph.head {
            None => self.text.push_str("return scratch"),
            Some((position, index)) => {
                let head = graph.output(position, index.into());
                self.push(format_args!("return {head}"));
            }
        }
        if let Some(last) = graph.last {
            self.last(last, &graph);
        }
        self.text.push('\n');
        self.platform = outer;
    }

    pub(super) fn push(&mut self, text: fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("writing to a string does not fail");
    }

    pub(super) fn start_line(&mut self) {
        self.text.extend(std::iter::repeat_n(' ', self.indent));
    }

    fn op(&mut self, op: &GraphOp<'_>, message: &pb::Op, names: &[String]) {
        let metadata = op.definition_op.metadata();
        OpPrinter::new(self, message, op.definition_op.bytes(), names).print(&op.name, |printer| {
            printer.metadata(metadata);
            if printer.is_full {
                printer.caps(metadata);
                printer.locations(op.definition_op);
            }
        });
    }

    /// What travels beside the op that names the result.
    fn last(&mut self, last: &DefinitionOp, graph: &Graph<'_>) {
        self.metadata(last.metadata());
        let mut message = pb::Op::default();
        if let Some((position, index)) = graph.head {
            let digest = graph.ops[position].definition_op.digest().to_string();
            let index = index.into();
            message.inputs.push(pb::Input { digest, index });
        }
        let is_plain = canonical::encode(&message) == last.bytes();
        if self.is_full {
            self.caps(last.metadata());
            self.locations(last);
        }
        if !is_plain {
            self.bytes(last.bytes());
        }
    }

    /// ` bytes=` for an op whose text does not say everything.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if !self.is_full {
            self.text.push_str(" bytes=omitted");
            return;
        }
        self.text.push_str(" bytes=");
        for byte in bytes {
            self.push(format_args!("{byte:02x}"));
        }
    }

    pub(super) fn platform_value(&mut self, platform: &pb::Platform) {
        // An op with such a part has its bytes beside it.
        let part = |part: &str| part.replace('/', ":");
        let mut text = format!("{}/{}", part(&platform.os), part(&platform.architecture));
        if !platform.variant.is_empty() {
            text.push('/');
            text += &part(&platform.variant);
        }
        self.text += &word(&text);
        if !platform.os_version.is_empty() {
            self.push(format_args!(" os-version={}", word(&platform.os_version)));
        }
        for feature in &platform.os_features {
            self.push(format_args!(" os-feature={}", word(feature)));
        }
    }

    fn metadata(&mut self, metadata: &OpMetadata) {
        for (key, value) in &metadata.description {
            let value = quoted(value, self.indent);
            if key == CUSTOM_NAME {
                self.push(format_args!(" name={value}"));
            } else {
                self.push(format_args!(" description {}={value}", word(key)));
            }
        }
        if let Some(group) = &metadata.progress_group {
            self.push(format_args!(" group={}", quoted(&group.name, self.indent)));
            if self.is_full && group.id != group.name {
                self.push(format_args!(" group-id={}", word(&group.id)));
            }
            if self.is_full && group.weak {
                self.text.push_str(" weak-group");
            }
        }
        if metadata.ignore_cache {
            self.text.push_str(" ignore-cache");
        }
        match metadata.export_cache {
            Some(true) => self.text.push_str(" export-cache"),
            Some(false) => self.text.push_str(" no-export-cache"),
            None => {}
        }
        if let Some(limits) = &metadata.linux_resources {
            self.text.push_str(" limits");
            for (name, value) in [
                ("memory", i128::from(limits.memory)),
                ("memory-swap", limits.memory_swap.into()),
                ("cpu-shares", limits.cpu_shares.into()),
                ("cpu-period", limits.cpu_period.into()),
                ("cpu-quota", limits.cpu_quota.into()),
            ] {
                if value != 0 {
                    self.push(format_args!(" {name}={value}"));
                }
            }
            for (name, value) in [("cpus", &limits.cpuset_cpus), ("mems", &limits.cpuset_mems)] {
                if !value.is_empty() {
                    self.push(format_args!(" {name}={}", word(value)));
                }
            }
        }
    }

    fn caps(&mut self, metadata: &OpMetadata) {
        let known = metadata.caps.iter().map(|cap| (cap.name(), true));
        let others = metadata.other_caps.iter();
        let all: BTreeMap<&str, bool> = others
            .map(|(name, needed)| (&**name, *needed))
            .chain(known)
            .collect();
        self.text.push_str(" caps=[");
        for (position, (name, needed)) in all.into_iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            let not = if needed { "" } else { "!" };
            self.push(format_args!("{comma}{not}{}", word(name)));
        }
        self.text.push(']');
    }

    fn locations(&mut self, op: &DefinitionOp) {
        for (info, ranges) in op.locations() {
            self.push(format_args!(" at {info}=["));
            for (position, range) in ranges.iter().enumerate() {
                let comma = if position > 0 { ", " } else { "" };
                self.push(format_args!("{comma}{}", RangeText(range)));
            }
            self.text.push(']');
        }
    }

    fn source_info(&mut self, info: &SourceInfo) {
        self.start_line();
        self.push(format_args!(
            "file {}",
            quoted(info.filename(), self.indent)
        ));
        if !info.language().is_empty() {
            self.push(format_args!(" language={}", word(info.language())));
        }
        if !info.data().is_empty() {
            let data = quoted_bytes(info.data(), self.indent);
            self.push(format_args!(" data={data}"));
        }
        if let Some(definition) = info.definition() {
            self.text.push_str(" {\n");
            self.indent += 2;
            self.definition(definition);
            self.indent -= 2;
            self.start_line();
            self.text.push('}');
        }
        self.text.push('\n');
    }
}

/// `3:0..3:12`, either end of which may be missing.
struct RangeText<'r>(&'r Range);

impl fmt::Display for RangeText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, character }) = self.0.start {
            write!(formatter, "{line}:{character}")?;
        }
        formatter.write_str("..")?;
        if let Some(Position { line, character }) = self.0.end {
            write!(formatter, "{line}:{character}")?;
        }
        Ok(())
    }
}

/// The platform that most ops have; the first of several.
fn usual_platform(graph: &Graph<'_>) -> Option<pb::Platform> {
    let is_sayable = |platform: &pb::Platform| {
        let parts = [&platform.os, &platform.architecture, &platform.variant];
        parts.iter().all(|part| !part.contains('/'))
    };
    let platforms = graph.platforms.iter();
    platforms
        .rev()
        .filter(|(platform, _)| is_sayable(platform))
        .max_by_key(|(_, count)| *count)
        .map(|(platform, _)| platform.clone())
}
