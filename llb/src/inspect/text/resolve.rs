//! Puts the ops of a text together: names become digests.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::draft::Draft;
use super::lex::Fault;
use super::parse::{Parser, Statements};
use super::print::Printer;
use super::print_op::OpPrinter;
use super::suggest::nearest;
use crate::definition::OpDigest;
use crate::inspect::canonical;
use crate::proto::pb;
use crate::value::{Capability, CapabilitySet};

/// An op with its bytes.
struct Resolved {
    digest: String,
    bytes: Vec<u8>,
}

impl<'t> Parser<'t> {
    /// The definition that the statements say; an empty one if there are mistakes.
    pub(super) fn assemble(
        &mut self,
        statements: Statements<'t>,
        has_problems: bool,
    ) -> pb::Definition {
        let before = self.problems.len();
        let places = self.check_names(&statements);
        if has_problems || self.problems.len() > before {
            return pb::Definition::default();
        }
        let Statements {
            infos,
            mut drafts,
            result,
            ..
        } = statements;
        let Some(mut result) = result.filter(|result| !result.inputs.is_empty()) else {
            return pb::Definition {
                source: (!infos.is_empty()).then(|| pb::Source {
                    infos,
                    ..pb::Source::default()
                }),
                ..pb::Definition::default()
            };
        };
        let mut resolved: Vec<Option<Resolved>> = Vec::new();
        resolved.resize_with(drafts.len(), || None);
        for place in 0..drafts.len() {
            self.resolve(place, &mut drafts, &places, &mut resolved);
            if self.problems.len() > before {
                return pb::Definition::default();
            }
        }
        self.check_twins(&drafts, &resolved);
        result.message = pb::Op {
            inputs: inputs_of(&result, &places, &resolved),
            ..pb::Op::default()
        };
        let last = self.encode(&result);
        if self.problems.len() > before {
            return pb::Definition::default();
        }
        definition(infos, drafts, resolved, result, last)
    }

    /// Where each op stands by its name; mistakes in names are reported.
    fn check_names(&mut self, statements: &Statements<'t>) -> BTreeMap<&'t str, usize> {
        let mut places = BTreeMap::new();
        for (place, draft) in statements.drafts.iter().enumerate() {
            if places.insert(draft.name, place).is_some() {
                let message = format!("there are two ops called `%{}`", draft.name);
                self.report(Fault::new(draft.offset, message).hint("give one another name"));
            }
        }
        // A text of many mistakes in names is reported up to a point.
        let mut reported = 0;
        for draft in statements.drafts.iter().chain(&statements.result) {
            for input in &draft.inputs {
                let is_known =
                    places.contains_key(input.name) || statements.broken.contains(&input.name);
                if is_known || reported == 20 {
                    continue;
                }
                reported += 1;
                let fault = Fault::new(
                    input.offset,
                    format!("there is no op called `%{}`", input.name),
                );
                self.report(match nearest(input.name, places.keys().copied()) {
                    Some(nearest) => fault.hint(format!("did you mean `%{nearest}`?")),
                    None => fault,
                });
            }
        }
        places
    }

    /// Encodes an op and before it what it reads, without using the call stack for depth.
    fn resolve(
        &mut self,
        start: usize,
        drafts: &mut [Draft<'t>],
        places: &BTreeMap<&'t str, usize>,
        resolved: &mut [Option<Resolved>],
    ) {
        // Each op on the way, with the input to look at next.
        let mut path = vec![(start, 0)];
        let mut is_on_path = BTreeSet::from([start]);
        while let Some((place, next)) = path.last_mut() {
            if resolved[*place].is_some() {
                is_on_path.remove(place);
                path.pop();
                continue;
            }
            if let Some(input) = drafts[*place].inputs.get(*next).copied() {
                *next += 1;
                let read = places[input.name];
                if resolved[read].is_some() {
                    continue;
                }
                if !is_on_path.insert(read) {
                    let message = format!("`%{}` reads its own result", input.name);
                    self.report(Fault::new(input.offset, message));
                    return;
                }
                path.push((read, 0));
                continue;
            }
            let place = *place;
            drafts[place].message.inputs = inputs_of(&drafts[place], places, resolved);
            let bytes = self.encode(&drafts[place]);
            let digest = OpDigest::of(&bytes).to_string();
            resolved[place] = Some(Resolved { digest, bytes });
        }
    }

    /// The bytes of an op whose inputs are known.
    fn encode(&mut self, draft: &Draft<'t>) -> Vec<u8> {
        let Some((offset, bytes)) = &draft.bytes else {
            return canonical::encode(&draft.message);
        };
        let name = draft.name;
        let hint = "take `bytes=` away to make the op what its text says";
        let message = match pb::Op::decode(&**bytes) {
            Err(error) => format!("the bytes of `%{name}` are no op: {error}"),
            Ok(op) if op.inputs != draft.message.inputs => {
                format!("the bytes of `%{name}` do not read the inputs that its text names")
            }
            Ok(op) if !self.says(draft, &op, bytes) => {
                format!("the bytes of `%{name}` say something else than its text")
            }
            Ok(_) => return bytes.clone(),
        };
        self.report(Fault::new(*offset, message).hint(hint));
        Vec::new()
    }

    /// Whether the text of the draft is what would be printed of the op, as far as text can say it.
    fn says(&self, draft: &Draft<'t>, op: &pb::Op, bytes: &[u8]) -> bool {
        if draft.name == "return" {
            return op.op.is_none();
        }
        let names: Vec<String> = draft
            .inputs
            .iter()
            .map(|input| match input.index {
                0 => format!("%{}", input.name),
                index => format!("%{}.out{index}", input.name),
            })
            .collect();
        let mut printer = Printer::new(true);
        printer.platform.clone_from(&self.platform);
        OpPrinter::new(&mut printer, op, bytes, &names).print("op", |_| {});
        let mut parser = Parser::new(&printer.text);
        parser.platform.clone_from(&self.platform);
        parser.advance();
        let Ok(printed) = parser.op("op", 0) else {
            return false;
        };
        let without_inputs = pb::Op {
            inputs: Vec::new(),
            ..draft.message.clone()
        };
        printed.message == without_inputs
    }

    /// Reports ops that are equal: they would be one op.
    fn check_twins(&mut self, drafts: &[Draft<'t>], resolved: &[Option<Resolved>]) {
        let mut known = BTreeMap::new();
        for (draft, op) in drafts.iter().zip(resolved) {
            let Some(op) = op else { continue };
            if let Some(first) = known.insert(&*op.digest, draft.name) {
                let message = format!("`%{}` is the same op as `%{first}`", draft.name);
                let hint = format!("use `%{first}` instead of it");
                self.report(Fault::new(draft.offset, message).hint(hint));
            }
        }
    }
}

fn inputs_of(
    draft: &Draft<'_>,
    places: &BTreeMap<&str, usize>,
    resolved: &[Option<Resolved>],
) -> Vec<pb::Input> {
    let inputs = draft.inputs.iter().filter_map(|input| {
        let read = resolved[places[input.name]].as_ref()?;
        Some(pb::Input {
            digest: read.digest.clone(),
            index: input.index.into(),
        })
    });
    inputs.collect()
}

fn definition(
    infos: Vec<pb::SourceInfo>,
    drafts: Vec<Draft<'_>>,
    resolved: Vec<Option<Resolved>>,
    result: Draft<'_>,
    last: Vec<u8>,
) -> pb::Definition {
    let mut definition = pb::Definition::default();
    let mut source = pb::Source {
        infos,
        ..pb::Source::default()
    };
    let mut last_caps = CapabilitySet::new()
        .with(Capability::Constraints)
        .with(Capability::Platform);
    for draft in &drafts {
        let metadata = &draft.metadata;
        last_caps = last_caps
            .with_if(metadata.ignore_cache, Capability::MetaIgnoreCache)
            .with_if(
                !metadata.description.is_empty(),
                Capability::MetaDescription,
            )
            .with_if(metadata.export_cache.is_some(), Capability::MetaExportCache);
    }
    let last = Resolved {
        digest: OpDigest::of(&last).to_string(),
        bytes: last,
    };
    let count = drafts.len();
    let ops = drafts.into_iter().chain([result]);
    let resolved = resolved.into_iter().flatten().chain([last]);
    for (place, (mut draft, op)) in ops.zip(resolved).enumerate() {
        if !draft.says_caps {
            let caps = if place == count {
                last_caps
            } else {
                let limits = draft.metadata.linux_resources.is_some()
                    && matches!(draft.message.op, Some(pb::op::Op::Exec(_)));
                canonical::capabilities(&draft.message)
                    .with_if(limits, Capability::ExecMetaLinuxResources)
            };
            let caps = caps.iter().map(|cap| (cap.name().to_owned(), true));
            draft.metadata.caps.extend(caps);
        }
        if !draft.locations.is_empty() {
            let locations = std::mem::take(&mut draft.locations);
            source
                .locations
                .insert(op.digest.clone(), pb::Locations { locations });
        }
        definition.metadata.insert(op.digest, draft.metadata);
        definition.def.push(op.bytes.into());
    }
    definition.source = Some(source);
    definition
}
