//! Goes through a graph from the sources up and makes the new one.

use std::collections::{BTreeMap, BTreeSet};

use super::apply;
use super::chain;
use super::draft::{Beside, Draft, Output};
use super::layers::{self, Edge, Layer, Layers, Stack};
use super::missing;
use super::policy::{Policy, Unproven};
use super::prove::{Branch, Proof};
use super::report::{Effect, Lowering, Replacement};
use super::rewire::rewire;
use super::view::Graph;
use super::{Declared, Lowered};
use crate::definition::Definition;
use crate::error::{Error, ErrorKind, Problem};
use crate::inspect::canonical;
use crate::proto::pb;
use crate::value::{Capability, CapabilitySet};

/// Where the result of a graph is read.
const RESULT: usize = usize::MAX;

pub(super) struct Walk<'g> {
    definition: &'g Definition,
    pub(super) graph: &'g Graph<'g>,
    pub(super) caps: CapabilitySet,
    pub(super) policy: &'g Policy,
    pub(super) layers: Layers,
    pub(super) draft: Draft,
    /// What ops have become: their position in the draft, or one output.
    kept: BTreeMap<usize, usize>,
    lowered: BTreeMap<usize, Output>,
    /// The output that holds the files of a stack.
    states: BTreeMap<usize, Output>,
    /// Who reads an op.
    readers: BTreeMap<usize, BTreeSet<usize>>,
    notes: Vec<Note>,
}

/// Something to report, if it concerns an op that the result needs.
struct Note {
    about: Output,
    position: usize,
    kind: NoteKind,
}

enum NoteKind {
    Lowered(Lowering),
    Refused(Problem),
}

/// What an input of a merge brings, as far as it is not there yet.
pub(super) struct Group {
    pub(super) layers: Vec<Layer>,
}

impl<'g> Walk<'g> {
    pub(super) fn new(
        definition: &'g Definition,
        graph: &'g Graph<'g>,
        caps: CapabilitySet,
        policy: &'g Policy,
    ) -> Self {
        Self {
            definition,
            graph,
            caps,
            policy,
            layers: Layers::default(),
            draft: Draft::default(),
            kept: BTreeMap::new(),
            lowered: BTreeMap::new(),
            states: BTreeMap::new(),
            readers: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Lowered, Error> {
        let Some((head, index)) = self.graph.head() else {
            return Ok(Lowered {
                definition: self.definition.clone(),
                report: Vec::new(),
            });
        };
        let order = self.order(head);
        self.readers.entry(head).or_default().insert(RESULT);
        let merges = CapabilitySet::new()
            .with(Capability::MergeOp)
            .with(Capability::DiffOp);
        let lowers_merges = !merges.difference(self.caps).is_empty();
        for position in order {
            if lowers_merges && self.is_merge_or_diff(position) {
                self.lower(position);
            } else {
                self.keep(position, lowers_merges);
            }
        }
        let head = self.output((head, index));
        self.finish(head)
    }

    /// All that the result needs, each op after everything it reads.
    fn order(&mut self, head: usize) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::from([head]);
        let mut stack = vec![(head, 0)];
        while let Some((position, next)) = stack.last_mut() {
            let position = *position;
            let inputs = &self.graph.ops[position].message.inputs;
            let Some(input) = inputs.get(*next) else {
                order.push(position);
                stack.pop();
                continue;
            };
            *next += 1;
            if let Some(read) = self.graph.position_of(input) {
                self.readers.entry(read).or_default().insert(position);
                if seen.insert(read) {
                    stack.push((read, 0));
                }
            }
        }
        order
    }

    pub(super) fn is_merge_or_diff(&self, position: usize) -> bool {
        matches!(
            self.graph.ops[position].message.op,
            Some(pb::op::Op::Merge(_) | pb::op::Op::Diff(_))
        )
    }

    /// Who reads an op; the result counts as one that no op is.
    pub(super) fn readers(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        self.readers.get(&position).into_iter().flatten().copied()
    }

    /// What an output has become.
    pub(super) fn output(&self, edge: Edge) -> Output {
        match self.lowered.get(&edge.0) {
            Some(output) => *output,
            None => self.kept.get(&edge.0).map(|position| (*position, edge.1)),
        }
    }

    /// What the inputs of an op have become.
    pub(super) fn inputs(&self, position: usize) -> Vec<Output> {
        let inputs = &self.graph.ops[position].message.inputs;
        let inputs = inputs.iter().map(|input| {
            let position = self.graph.position_of(input)?;
            self.output((position, input.index))
        });
        inputs.collect()
    }

    /// Takes over an op, with the inputs that it has now.
    fn keep(&mut self, position: usize, counts_layers: bool) {
        let graph = self.graph;
        let op = &graph.ops[position];
        if counts_layers {
            for input in &op.message.inputs {
                let Some(read) = graph.position_of(input) else {
                    continue;
                };
                // Too many layers are a matter of the merge that lays them.
                let edge = (read, input.index);
                if let Ok(Some(stack)) = self.layers.of(graph, edge) {
                    let output = self.output(edge);
                    self.states.entry(stack).or_insert(output);
                }
            }
        }
        let inputs = self.inputs(position);
        let is_same = inputs
            .iter()
            .zip(&op.message.inputs)
            .all(|(output, input)| output.is_some_and(|output| self.draft.input(output) == *input));
        let mut beside = Beside::of(op.definition_op);
        let replaced = missing::replace(self, position, &mut beside);
        let (message, lowerings) = match replaced {
            Ok(replaced) => replaced,
            Err(problem) => {
                let at = self.draft.keep(op.definition_op, &op.message);
                self.kept.insert(position, at);
                self.note(Some((at, 0)), position, NoteKind::Refused(problem));
                return;
            }
        };
        let at = if is_same && lowerings.is_empty() {
            self.draft.keep(op.definition_op, &op.message)
        } else {
            match self.rewired(position, &message, &inputs, None) {
                Ok(message) => self.draft.add(&message, beside),
                Err(what) => {
                    let problem = self.refusal(position, &what);
                    let at = self.draft.keep(op.definition_op, &op.message);
                    self.note(Some((at, 0)), position, NoteKind::Refused(problem));
                    at
                }
            }
        };
        self.kept.insert(position, at);
        for lowering in lowerings {
            self.note(Some((at, 0)), position, NoteKind::Lowered(lowering));
        }
    }

    /// An op with other inputs.
    pub(super) fn rewired(
        &self,
        position: usize,
        message: &pb::Op,
        inputs: &[Output],
        base: Option<(usize, Output)>,
    ) -> Result<pb::Op, String> {
        let op = &self.graph.ops[position];
        if canonical::encode(&op.message) != op.definition_op.bytes() {
            return Err(
                "it has fields that are not known here, which would be lost with other inputs"
                    .to_owned(),
            );
        }
        rewire(message, inputs, base, &self.draft).map_err(str::to_owned)
    }

    /// Replaces a merge or a difference.
    fn lower(&mut self, position: usize) {
        let only_merged = !matches!(
            self.graph.ops[position].message.op,
            Some(pb::op::Op::Merge(_))
        ) && self.readers(position).all(|reader| {
            reader != RESULT
                && matches!(
                    self.graph.ops[reader].message.op,
                    Some(pb::op::Op::Merge(_))
                )
        });
        let stacks = self.stacks(position);
        if only_merged {
            // Its layers are looked at by the merge; nobody reads it as a state.
            self.lowered.insert(position, None);
            return;
        }
        let lowered = match stacks {
            Ok((stack, inputs)) => self.replace(position, stack, &inputs),
            Err(layers::TooMany) => Err(
                "it has more than a hundred thousand layers, which no engine can stack".to_owned(),
            ),
        };
        match lowered {
            Ok(output) => drop(self.lowered.insert(position, output)),
            Err(what) => {
                let op = &self.graph.ops[position];
                let problem = self.refusal(position, &what);
                // Left as it is, so that it can be told whether the result needs it.
                let at = self.draft.keep(op.definition_op, &pb::Op::default());
                self.lowered.insert(position, Some((at, 0)));
                self.note(Some((at, 0)), position, NoteKind::Refused(problem));
            }
        }
    }

    /// The stack of a merge or difference, and those of its inputs.
    fn stacks(&mut self, position: usize) -> Result<(Stack, Vec<Stack>), layers::TooMany> {
        let graph = self.graph;
        let mut inputs = Vec::new();
        for input in &graph.ops[position].message.inputs {
            let Some(read) = graph.position_of(input) else {
                continue;
            };
            let edge = (read, input.index);
            let stack = self.layers.of(graph, edge)?;
            if let Some(number) = stack
                && !self.is_diff(read)
            {
                let output = self.output(edge);
                self.states.entry(number).or_insert(output);
            }
            inputs.push(stack);
        }
        let stack = self.layers.of(graph, (position, 0))?;
        Ok((stack, inputs))
    }

    fn is_diff(&self, position: usize) -> bool {
        matches!(
            self.graph.ops[position].message.op,
            Some(pb::op::Op::Diff(_))
        )
    }

    /// The output that holds the files of a stack, of a merge or difference at a position.
    fn replace(
        &mut self,
        position: usize,
        stack: Stack,
        inputs: &[Stack],
    ) -> Result<Output, String> {
        let Some(number) = stack else {
            self.lowering(
                position,
                None,
                Replacement::State,
                Effect::Same,
                "nothing is left of it",
            );
            return Ok(None);
        };
        let (start, groups) = self.groups(position, stack, inputs);
        let base = start.and_then(|start| self.states.get(&start).copied().flatten());
        if groups.is_empty() {
            self.lowering(
                position,
                base,
                Replacement::State,
                Effect::Same,
                "another state is made of the same layers",
            );
            return Ok(base);
        }
        let branches = self.branches(position, inputs);
        let helper = self.helper();
        let steps = self.steps_of_squashes(&groups);
        let (steps, effect, reason) = match &steps {
            Some(steps) => (steps, Effect::Layers, "steps of a squash keep a layer each"),
            None => (
                &groups,
                Effect::Same,
                "file actions and declared paths that never meet",
            ),
        };
        let proof = Proof::new(self, position, &branches).chain(start, steps);
        // Of a squash, only the helper makes one layer.
        if proof.is_ok() && (effect == Effect::Same || helper.is_none()) {
            let output = chain::run_again(self, base, steps)?;
            self.lowering(position, output, Replacement::Chain, effect, reason);
            self.states.insert(number, output);
            return Ok(output);
        }
        if let Some(helper) = helper {
            let (output, effect, reason) = apply::apply(self, position, helper, base, &groups);
            self.lowering(position, output, Replacement::Apply, effect, reason);
            self.states.insert(number, output);
            return Ok(output);
        }
        let unproven = proof.err().unwrap_or_default();
        if self.policy.unproven == Unproven::Chain {
            let output = chain::run_again(self, base, steps)
                .map_err(|what| format!("{unproven}; and as a chain, {what}"))?;
            let reason = format!("later inputs run on top of earlier ones: {unproven}");
            self.lowering(
                position,
                output,
                Replacement::Chain,
                Effect::MayDiffer,
                reason,
            );
            self.states.insert(number, output);
            return Ok(output);
        }
        Err(unproven)
    }

    /// The stack to start from, the highest that some output holds, and what each input lays over it.
    fn groups(&self, position: usize, stack: Stack, inputs: &[Stack]) -> (Stack, Vec<Group>) {
        let mut start = stack;
        while let Some(number) = start
            && !self.states.contains_key(&number)
        {
            start = self.layers.top(start).and_then(|(below, _)| below);
        }
        let mut rest = self.layers.over(start, stack).into_iter();
        let mut left = rest.len();
        let heights: Vec<usize> = match &self.graph.ops[position].message.op {
            Some(pb::op::Op::Merge(_)) => inputs
                .iter()
                .map(|input| self.layers.height(*input))
                .collect(),
            _ => vec![left],
        };
        let mut groups = Vec::new();
        // What is there already are the lowest layers, so of each input the highest are left.
        let mut over: usize = heights.iter().sum();
        for height in heights {
            over -= height;
            let count = left.saturating_sub(over);
            left -= count;
            let layers: Vec<Layer> = rest.by_ref().take(count).collect();
            if !layers.is_empty() {
                groups.push(Group { layers });
            }
        }
        (start, groups)
    }

    /// The inputs of a merge of which something is declared.
    fn branches(&self, position: usize, inputs: &[Stack]) -> Vec<Branch> {
        let metadata = self.graph.ops[position].definition_op.metadata();
        let declared = inputs.iter().enumerate().filter_map(|(input, stack)| {
            Some(Branch {
                declared: Declared::read(metadata, input)?,
                layers: self.layers.over(None, *stack),
            })
        });
        declared.collect()
    }

    fn helper(&self) -> Option<&'g super::Helper> {
        if !self.caps.contains(Capability::ExecMountContentCache) {
            // Files would come with the times and links of other builds.
            return None;
        }
        let helpers = &self.policy.helpers;
        let platforms = self
            .graph
            .ops
            .iter()
            .filter_map(|op| op.message.platform.as_ref());
        let graph = platforms.into_iter().next();
        let suits = |helper: &&super::Helper| {
            graph.is_some_and(|platform| {
                platform.os == helper.platform.os
                    && platform.architecture == helper.platform.architecture
            })
        };
        helpers.iter().find(suits).or_else(|| helpers.first())
    }

    /// The groups with the steps of squashed differences in place of these; none if there are no such differences.
    fn steps_of_squashes(&self, groups: &[Group]) -> Option<Vec<Group>> {
        let mut found = false;
        let groups = groups.iter().map(|group| {
            let layers = group.layers.iter().flat_map(|layer| {
                let steps = self.steps_of_squash(*layer);
                found |= steps.is_some();
                steps.unwrap_or_else(|| vec![*layer])
            });
            Group {
                layers: layers.collect(),
            }
        });
        let groups = groups.collect();
        found.then_some(groups)
    }

    /// The steps between a state and one made from it, if a layer is the difference of the two as a squash makes it.
    pub(super) fn steps_of_squash(&self, layer: Layer) -> Option<Vec<Layer>> {
        let Layer::Net {
            lower: Some(lower),
            upper: Some(upper),
        } = layer
        else {
            return None;
        };
        let (below, layer) = self.layers.top(self.layers.known(lower))?;
        let above = self.layers.known(upper);
        let is_squash = self.layers.is_under(below, above) && makes_the_root(self.graph, layer);
        is_squash.then(|| self.layers.over(below, above))
    }

    pub(super) fn lowering(
        &mut self,
        position: usize,
        about: Output,
        to: Replacement,
        effect: Effect,
        reason: impl Into<String>,
    ) {
        let from = match self.graph.ops[position].message.op {
            Some(pb::op::Op::Diff(_)) => Capability::DiffOp,
            _ => Capability::MergeOp,
        };
        let lowering = self.note_of(position, from, to, effect, reason.into());
        self.note(about, position, NoteKind::Lowered(lowering));
    }

    pub(super) fn note_of(
        &self,
        position: usize,
        from: Capability,
        to: Replacement,
        effect: Effect,
        reason: String,
    ) -> Lowering {
        let op = &self.graph.ops[position];
        Lowering {
            op: format!("%{}", op.name),
            digest: op.definition_op.digest(),
            place: self.place(position),
            from,
            to,
            effect,
            reason,
        }
    }

    fn place(&self, position: usize) -> Option<(String, i32)> {
        let op = self.graph.ops[position].definition_op;
        let (info, ranges) = op.locations().next()?;
        let info = self.definition.source_infos().get(info as usize)?;
        Some((info.filename().to_owned(), ranges.first()?.start?.line))
    }

    /// How an op is named in a mistake.
    pub(super) fn title(&self, position: usize) -> String {
        let name = &self.graph.ops[position].name;
        match self.place(position) {
            Some((file, line)) => format!("`%{name}` ({file}:{line})"),
            None => format!("`%{name}`"),
        }
    }

    fn refusal(&self, position: usize, what: &str) -> Problem {
        let title = self.title(position);
        let (kind, hint) = match self.graph.ops[position].message.op {
            Some(pb::op::Op::Merge(_)) => ("merge", WAYS_OUT),
            Some(pb::op::Op::Diff(_)) => ("diff", WAYS_OUT),
            _ => ("op", "build it with an engine that has merges and diffs"),
        };
        let message = format!(
            "the engine has no mergeop or no diffop, and nothing can take the place of the {kind} {title}: {what}"
        );
        Problem::without_location(ErrorKind::Lowering, message).hint(hint)
    }

    fn note(&mut self, about: Output, position: usize, kind: NoteKind) {
        self.notes.push(Note {
            about,
            position,
            kind,
        });
    }

    fn finish(self, head: Output) -> Result<Lowered, Error> {
        let needed: BTreeSet<usize> = self.draft.needed(head).into_iter().collect();
        let mut report = Vec::new();
        let mut problems = Vec::new();
        for note in self.notes {
            if note.about.is_some_and(|(at, _)| !needed.contains(&at)) {
                continue;
            }
            match note.kind {
                NoteKind::Lowered(lowering) => report.push((note.position, lowering)),
                NoteKind::Refused(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(Error::new(problems));
        }
        report.sort_by_key(|(position, _)| *position);
        Ok(Lowered {
            definition: self.draft.finish(head, self.definition),
            report: report.into_iter().map(|(_, lowering)| lowering).collect(),
        })
    }
}

const WAYS_OUT: &str = "build with an engine that has them (a Docker engine with the containerd image store, or buildkitd); \
     or give the build an `llb::lower::Helper`, which makes the same files; \
     or declare what each fork writes (`Fork::writes`), if none depends on another; \
     or allow `Policy::chain_with_warning`";

/// Whether a layer only makes the root directory, which is there.
pub(super) fn makes_the_root(graph: &Graph<'_>, layer: Layer) -> bool {
    let Layer::Step { upper, .. } = layer else {
        return false;
    };
    let Some(pb::op::Op::File(file)) = &graph.ops[upper.0].message.op else {
        return false;
    };
    file.actions.iter().all(|action| {
        matches!(&action.action, Some(pb::file_action::Action::Mkdir(mkdir))
            if mkdir.path == "/" && mkdir.owner.is_none() && mkdir.timestamp < 0)
    })
}
