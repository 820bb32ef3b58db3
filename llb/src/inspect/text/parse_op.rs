//! Reads one op, and what any op can have.

use super::draft::{Collect, Draft};
use super::lex::{Fault, Token};
use super::parse::{Key, Parser, unknown};
use super::suggest::nearest;
use crate::inspect::canonical::{self, DEFINITION_INPUT};
use crate::inspect::name::output_suffix;
use crate::metadata::CUSTOM_NAME;
use crate::proto::pb;

const KINDS: &[&str] = &[
    "source",
    "local",
    "exec",
    "file",
    "merge",
    "diff",
    "build",
    "passthrough",
    "unknown",
];

/// The attributes that any op can have.
const COMMON: &[&str] = &[
    "platform",
    "require",
    "no-constraints",
    "name",
    "description",
    "group",
    "group-id",
    "weak-group",
    "ignore-cache",
    "export-cache",
    "no-export-cache",
    "limits",
    "caps",
    "at",
    "bytes",
];

impl<'t> Parser<'t> {
    /// What comes after `%name`.
    pub(super) fn op(&mut self, name: &'t str, offset: usize) -> Result<Draft<'t>, Fault> {
        if let Some((base, _)) = output_suffix(name) {
            let message =
                format!("`%{name}` names an output of `%{base}`, so no op can have that name");
            return Err(Fault::new(offset, message));
        }
        self.expect("=")?;
        let mut draft = Draft::new(name, offset);
        let kind_offset = self.offset;
        let kind = match self.peek()? {
            Token::Word(word) => *word,
            _ => return Err(self.unexpected("the kind of an op")),
        };
        self.advance();
        if matches!(kind, "merge" | "diff" | "passthrough") {
            draft.collect = Collect::Each;
        }
        if kind != "passthrough" && matches!(self.peek()?, Token::Word("inputs")) {
            self.inputs(&mut draft)?;
        }
        match kind {
            "source" => self.source(&mut draft, "")?,
            "local" => self.source(&mut draft, "local://")?,
            "exec" => self.exec(&mut draft)?,
            "file" => self.file(&mut draft)?,
            "merge" => self.merge(&mut draft)?,
            "diff" => self.diff(&mut draft)?,
            "build" => self.build(&mut draft)?,
            "passthrough" => self.passthrough(&mut draft)?,
            "unknown" => self.attributes(&mut draft, &[], |_, _, _| Ok(false))?,
            _ => {
                let fault = Fault::new(kind_offset, format!("unknown kind of op `{kind}`"));
                return Err(match nearest(kind, KINDS.iter().copied()) {
                    Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
                    None => fault.hint(format!("there are: {}", KINDS.join(", "))),
                });
            }
        }
        if !draft.says_platform && canonical::takes_platform(&draft.message) {
            draft.message.platform.clone_from(&self.platform);
        }
        Ok(draft)
    }

    /// `inputs=[%a, %b]`
    fn inputs(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        self.advance();
        self.expect("=")?;
        self.list(|parser| {
            let input = parser.input_name()?;
            draft.add(input);
            Ok(())
        })?;
        draft.collect = Collect::Listed;
        Ok(())
    }

    /// `[a, b]`
    pub(super) fn list(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect("[")?;
        while !self.is("]")? {
            element(self)?;
            if !self.take(",")? {
                break;
            }
        }
        self.expect("]")
    }

    /// An output of another op, `scratch`, or the number of an input.
    pub(super) fn reference(&mut self, draft: &mut Draft<'t>) -> Result<i64, Fault> {
        let offset = self.offset;
        match self.peek()? {
            Token::Name(_) => {
                let input = self.input_name()?;
                draft.position(input)
            }
            Token::Word("scratch") => {
                self.advance();
                Ok(-1)
            }
            Token::Input(number) => {
                let number = number.parse();
                self.advance();
                number.map_err(|_| Fault::new(offset, "expected a number after `@`"))
            }
            _ => Err(self.unexpected("the name of an op, such as `%name`, or `scratch`")),
        }
    }

    fn references(&mut self, draft: &mut Draft<'t>) -> Result<Vec<i64>, Fault> {
        let mut references = Vec::new();
        let begins = |token: &Token<'_>| {
            matches!(
                token,
                Token::Name(_) | Token::Input(_) | Token::Word("scratch")
            )
        };
        if begins(self.peek()?) {
            references.push(self.reference(draft)?);
            while self.take(",")? {
                references.push(self.reference(draft)?);
            }
        }
        Ok(references)
    }

    fn source(&mut self, draft: &mut Draft<'t>, scheme: &str) -> Result<(), Fault> {
        let mut source = pb::SourceOp {
            identifier: scheme.to_owned() + &self.string("an identifier")?,
            ..pb::SourceOp::default()
        };
        let attrs = &mut source.attrs;
        self.attributes(draft, &[], |parser, _, key| parser.attr(attrs, key))?;
        if !scheme.is_empty() && !source.attrs.contains_key("local.session") {
            source.attrs.entry("local.unique".to_owned()).or_default();
        }
        draft.message.op = Some(pb::op::Op::Source(source));
        Ok(())
    }

    /// An attribute of a source or build; those of ops in general have no dot.
    fn attr(
        &mut self,
        attrs: &mut std::collections::BTreeMap<String, String>,
        key: &Key,
    ) -> Result<bool, Fault> {
        if !key.has_value || !(key.is_quoted || key.name.contains('.')) {
            return Ok(false);
        }
        let value = self.value()?;
        if attrs.insert(key.name.clone(), value).is_some() {
            let message = format!("the attribute `{}` is there twice", key.name);
            return Err(Fault::new(key.offset, message));
        }
        Ok(true)
    }

    fn merge(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        let inputs = self.references(draft)?;
        let inputs = inputs.into_iter().map(|input| pb::MergeInput { input });
        draft.message.op = Some(pb::op::Op::Merge(pb::MergeOp {
            inputs: inputs.collect(),
        }));
        self.attributes(draft, &[], |_, _, _| Ok(false))
    }

    fn diff(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        let lower = self.side(draft)?;
        self.expect("->")?;
        let upper = self.side(draft)?;
        draft.message.op = Some(pb::op::Op::Diff(pb::DiffOp {
            lower: lower.map(|input| pb::LowerDiffInput { input }),
            upper: upper.map(|input| pb::UpperDiffInput { input }),
        }));
        self.attributes(draft, &[], |_, _, _| Ok(false))
    }

    fn side(&mut self, draft: &mut Draft<'t>) -> Result<Option<i64>, Fault> {
        if matches!(self.peek()?, Token::Word("none")) {
            self.advance();
            return Ok(None);
        }
        self.reference(draft).map(Some)
    }

    fn build(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        let input = self.reference(draft)?;
        let mut build = pb::BuildOp {
            builder: -1,
            ..pb::BuildOp::default()
        };
        build
            .inputs
            .insert(DEFINITION_INPUT.to_owned(), pb::BuildInput { input });
        let attrs = &mut build.attrs;
        self.attributes(draft, &[], |parser, _, key| parser.attr(attrs, key))?;
        draft.message.op = Some(pb::op::Op::Build(build));
        Ok(())
    }

    fn passthrough(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        let id = self.string("an id")?;
        if matches!(self.peek()?, Token::Name(_)) {
            let input = self.input_name()?;
            draft.add(input);
            while self.take(",")? {
                let input = self.input_name()?;
                draft.add(input);
            }
        }
        self.expect("->")?;
        draft.collect = Collect::Listed;
        let outputs = self.references(draft)?;
        draft.message.op = Some(pb::op::Op::Passthrough(pb::PassthroughOp { id, outputs }));
        self.attributes(draft, &[], |_, _, _| Ok(false))
    }
}

/// # Attributes of any op
impl<'t> Parser<'t> {
    /// Reads attributes up to the end of the line or a block; `own` takes those that the kind of op has.
    pub(super) fn attributes(
        &mut self,
        draft: &mut Draft<'t>,
        own_names: &[&str],
        mut own: impl FnMut(&mut Self, &mut Draft<'t>, &Key) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        // The platform that `os-version` and `os-feature` go on with.
        draft.message.constraints = Some(pb::WorkerConstraints::default());
        while let Some(key) = self.key()? {
            if !own(self, draft, &key)? && !self.common(draft, &key)? {
                let known: Vec<_> = own_names.iter().chain(COMMON).copied().collect();
                return Err(unknown(&key, "attribute", &known));
            }
        }
        Ok(())
    }

    fn common(&mut self, draft: &mut Draft<'t>, key: &Key) -> Result<bool, Fault> {
        if key.is_quoted {
            return Ok(false);
        }
        let metadata = &mut draft.metadata;
        match (&*key.name, key.has_value) {
            ("platform", true) => {
                draft.says_platform = true;
                if matches!(self.peek()?, Token::Word("none")) {
                    self.advance();
                } else {
                    draft.message.platform = Some(self.platform()?);
                }
            }
            ("require", true) => {
                let filter = self.value()?;
                let constraints = draft.message.constraints.get_or_insert_default();
                constraints.filter.push(filter);
            }
            ("no-constraints", false) => draft.message.constraints = None,
            ("name", true) => {
                let name = self.value()?;
                metadata.description.insert(CUSTOM_NAME.to_owned(), name);
            }
            ("description", false) => {
                let name = self.value()?;
                self.expect("=")?;
                let value = self.value()?;
                metadata.description.insert(name, value);
            }
            ("group", true) => {
                let name = self.value()?;
                metadata.progress_group = Some(pb::ProgressGroup {
                    id: name.clone(),
                    name,
                    weak: false,
                });
            }
            ("group-id", true) => {
                metadata.progress_group.get_or_insert_default().id = self.value()?;
            }
            ("weak-group", false) => metadata.progress_group.get_or_insert_default().weak = true,
            ("ignore-cache", false) => metadata.ignore_cache = true,
            ("export-cache", false) => {
                metadata.export_cache = Some(pb::ExportCache { value: true });
            }
            ("no-export-cache", false) => {
                metadata.export_cache = Some(pb::ExportCache { value: false });
            }
            ("limits", false) => {
                metadata.linux_resources = Some(self.limits()?);
            }
            ("caps", true) => {
                draft.says_caps = true;
                let caps = &mut metadata.caps;
                self.list(|parser| {
                    let is_needed = !parser.take("!")?;
                    caps.insert(parser.value()?, is_needed);
                    Ok(())
                })?;
            }
            ("at", false) => {
                let location = self.location()?;
                draft.locations.push(location);
            }
            ("bytes", true) => draft.bytes = Some((key.offset, self.bytes()?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `linux/arm/v7`, and what may come after it
    pub(super) fn platform(&mut self) -> Result<pb::Platform, Fault> {
        let offset = self.offset;
        let text = self.value()?;
        let mut parts = text.split('/');
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let message = format!("expected a platform such as `linux/amd64`, found {text:?}");
            return Err(Fault::new(offset, message));
        };
        let mut platform = pb::Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.unwrap_or_default().to_owned(),
            ..pb::Platform::default()
        };
        loop {
            let is_version = match self.peek()? {
                Token::Word("os-version") => true,
                Token::Word("os-feature") => false,
                _ => return Ok(platform),
            };
            self.advance();
            self.expect("=")?;
            let value = self.value()?;
            if is_version {
                platform.os_version = value;
            } else {
                platform.os_features.push(value);
            }
        }
    }

    fn limits(&mut self) -> Result<pb::LinuxResources, Fault> {
        let mut limits = pb::LinuxResources::default();
        loop {
            let name = match self.peek()? {
                Token::Word(
                    word @ ("memory" | "memory-swap" | "cpu-shares" | "cpu-period" | "cpu-quota"
                    | "cpus" | "mems"),
                ) => *word,
                _ => return Ok(limits),
            };
            self.advance();
            self.expect("=")?;
            match name {
                "memory" => limits.memory = self.number()?,
                "memory-swap" => limits.memory_swap = self.number()?,
                "cpu-shares" => limits.cpu_shares = self.number()?,
                "cpu-period" => limits.cpu_period = self.number()?,
                "cpu-quota" => limits.cpu_quota = self.number()?,
                "cpus" => limits.cpuset_cpus = self.value()?,
                _ => limits.cpuset_mems = self.value()?,
            }
        }
    }

    /// `0=[3:0..3:12]`
    fn location(&mut self) -> Result<pb::Location, Fault> {
        let source_index = self.number()?;
        self.expect("=")?;
        let mut ranges = Vec::new();
        self.list(|parser| {
            ranges.push(parser.parsed("a range such as `3:0..3:12`", range)?);
            Ok(())
        })?;
        Ok(pb::Location {
            source_index,
            ranges,
        })
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        if matches!(self.peek()?, Token::Word("omitted")) {
            let message = "the bytes of this op are left out, and its text does not say all of it";
            return Err(Fault::new(self.offset, message).hint("print the graph in full"));
        }
        self.parsed("bytes as pairs of hexadecimal digits", |word| {
            let pairs = word.as_bytes().chunks(2);
            let byte = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair)
                    .ok()
                    .filter(|pair| pair.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            };
            pairs.map(byte).collect()
        })
    }
}

fn range(word: &str) -> Option<pb::Range> {
    let position = |text: &str| match text {
        "" => Some(None),
        text => {
            let (line, character) = text.split_once(':')?;
            Some(Some(pb::Position {
                line: line.parse().ok()?,
                character: character.parse().ok()?,
            }))
        }
    };
    let (start, end) = word.split_once("..")?;
    Some(pb::Range {
        start: position(start)?,
        end: position(end)?,
    })
}
