//! Brings forks together: their files in layers over each other, and what travels along three-way.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;

use super::budget;
use super::lineage::{Lineage, difference, key};
use super::three_way::{Change, ThreeWay, Values};
use super::writes::{self, Declared};
use super::{Fork, State};
use crate::constraints::{Constrain, Constraints};
use crate::error::{ErrorKind, Problem};
use crate::op::Op;
use crate::state::{Diff, Merge};

/// What happens when two forks change the same value of the environment or image config differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MergePolicy {
    /// It is a mistake that names the value and both forks.
    #[default]
    Deny,
    /// The change of the fork that is merged first stays. Files are not concerned.
    FirstWins,
    /// The change of the fork that is merged last stays, as it does with files.
    LastWins,
}

/// A merge of forks with options; made by [`State::joining`]. Without, see [`State::merge`].
#[derive(Clone, Debug)]
#[must_use = "a join is a state only after `state`"]
pub struct Join {
    base: State,
    forks: Vec<Fork>,
    policy: MergePolicy,
    overlaps: bool,
    /// The number of layers over the base.
    budget: Option<usize>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// Two states and the steps between them, which belong to one fork or to several that share it.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) before: State,
    pub(super) after: State,
    pub(super) title: String,
    pub(super) name: Option<Arc<str>>,
    pub(super) declared: Vec<Declared>,
    pub(super) reads: Vec<String>,
    pub(super) location: &'static Location<'static>,
    /// The segment that this one goes on from.
    pub(super) parent: Option<usize>,
    /// The positions of the first and the last fork that it is part of.
    first: usize,
    last: usize,
    /// Whether the files are in the base already.
    contained: bool,
}

impl Join {
    pub(super) fn new(base: State, forks: Vec<Fork>, location: &'static Location<'static>) -> Self {
        Self {
            base,
            forks,
            policy: MergePolicy::default(),
            overlaps: false,
            budget: None,
            constraints: Constraints::default(),
            location,
        }
    }

    /// What happens to values that forks changed differently; [`MergePolicy::Deny`] if not given.
    pub fn policy(mut self, policy: MergePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Takes forks that are known to write the same paths; what the later one writes is on top.
    pub fn allow_overlaps(mut self) -> Self {
        self.overlaps = true;
        self
    }

    /// Merges the files into at most this number of layers over the base: forks share layers in groups.
    ///
    /// The group of a fork depends on the number and on the fork's [name](Fork::named), else on the name of its layer,
    /// else on all that it is made of; never on other forks. So a fork that is added changes one layer, and all others
    /// stay as they are in caches and registries. The number is a maximum: two forks may share a layer while fewer are
    /// used.
    ///
    /// Groups, not forks, lie over each other in a fixed order. Forks that write the same path, which a merge without a
    /// budget lets the later one win, have to be merged into one fork first, or made forks of each other; where the graph
    /// says that they do so, it is a mistake.
    pub fn within(mut self, layers: usize) -> Self {
        self.budget = Some(layers);
        self
    }

    /// The merged state. Options of the op are lost if fewer than two forks have changed any files.
    pub fn state(mut self) -> State {
        let mut states = Vec::new();
        self.each_state(&mut |state| states.push(state.clone()));
        if states.iter().any(State::is_deferred) {
            let values = self.base.clone();
            return values.once_resolved(states, move |resolved| {
                let mut join = self.clone();
                let mut resolved = resolved.iter();
                join.each_state(&mut |state| {
                    if let Some(resolved) = resolved.next() {
                        state.clone_from(resolved);
                    }
                });
                join.state()
            });
        }
        let (segments, mut problems) = self.segments();
        if self.budget == Some(0) {
            let message = "a merge within 0 layers has no place for its forks: expected at least 1";
            problems.push(Problem::at(ErrorKind::Merge, message, self.location));
        }
        let files = self.files(&segments);
        problems.extend(self.overlaps(&segments));
        let values = self.values(&Values::from(&self.base), None, &segments, &mut problems);
        let mut context = (*self.base.context).clone();
        context.env = values.environment();
        let merged = State {
            output: files.output.clone(),
            context: context.into(),
            image_config: values.config,
            problems: files.problems,
        };
        // Forks that failed may have changed no files.
        let forks = self.forks.iter().map(|fork| &fork.state);
        let merged = merged.with_problems_of(forks.chain([&self.base]));
        problems.into_iter().fold(merged, State::record)
    }

    /// The base and every state of the forks, always in the same order.
    fn each_state(&mut self, visit: &mut impl FnMut(&mut State)) {
        visit(&mut self.base);
        for fork in &mut self.forks {
            fork.each_state(visit);
        }
    }

    /// The steps of all forks as a tree, in the order in which they are laid over each other. What several forks have in
    /// common is there once.
    fn segments(&self) -> (Vec<Segment>, Vec<Problem>) {
        let lineage = OnceCell::new();
        let mut segments: Vec<Segment> = Vec::new();
        let mut problems = Vec::new();
        for (position, fork) in self.forks.iter().enumerate() {
            let chain = match self.chain(fork, &lineage) {
                Ok(chain) => chain,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let mut parent = None;
            for mut segment in chain {
                let known = segments.iter().position(|known| {
                    known.parent == parent
                        && known.location == segment.location
                        && known.before.is_same(&segment.before)
                        && known.after.is_same(&segment.after)
                });
                if let Some(known) = known {
                    segments[known].last = position;
                    parent = Some(known);
                    continue;
                }
                segment.parent = parent;
                (segment.first, segment.last) = (position, position);
                segments.push(segment);
                parent = Some(segments.len() - 1);
            }
        }
        (segments, problems)
    }

    /// The steps from the base, or from the state before it that the fork left, to the end of a fork.
    fn chain(&self, fork: &Fork, lineage: &OnceCell<Lineage>) -> Result<Vec<Segment>, Problem> {
        let mut chain: Vec<Segment> =
            std::iter::successors(Some(fork), |fork| fork.parent.as_deref())
                .map(Segment::of)
                .collect();
        chain.reverse();
        let base = &self.base;
        let meets = |segment: &Segment| segment.before.is_same_output(base);
        if let Some(start) = chain.iter().position(meets) {
            return Ok(chain.split_off(start));
        }

        let left = chain[0].before.clone();
        let made_of = lineage.get_or_init(|| Lineage::of(base));
        if made_of.has(&left) {
            for segment in &mut chain {
                segment.contained = made_of.has_difference(&segment.before, &segment.after);
            }
            return Ok(chain);
        }
        if Lineage::of(&left).has(base) {
            let between = Segment {
                before: base.clone(),
                after: left,
                declared: Vec::new(),
                reads: Vec::new(),
                ..Segment::of(fork)
            };
            chain.insert(0, between);
            return Ok(chain);
        }
        let message = "a fork can be merged only into the state that it was forked from, or into one made from \
             it";
        let problem = Problem::at(ErrorKind::Merge, message, fork.location);
        Err(problem.hint(format!(
            "it is merged at {}; fork the state that both are made from, or, to lay unrelated states over each \
             other, use `llb::merge`",
            self.location
        )))
    }

    fn files(&self, segments: &[Segment]) -> State {
        let merge = if let Some(budget) = self.budget {
            budget::lay_within(&self.base, segments, budget, self.location)
        } else {
            let adding = segments.iter().filter(|segment| segment.adds());
            lay(&self.base, &adding.collect::<Vec<_>>())
        };
        merge
            .made_at(self.location)
            .constrained(self.constraints.clone())
            .state()
    }

    /// Forks that are known to write the same paths.
    fn overlaps(&self, segments: &[Segment]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if segments.len() < 2 || (self.overlaps && self.budget.is_none()) {
            return problems;
        }
        let groups = self.budget.map(|budget| budget::groups(segments, budget));
        let turned = |earlier: usize, later: usize| {
            let groups = groups.as_ref();
            groups.is_some_and(|groups| groups[earlier] > groups[later])
        };
        let written: Vec<_> = segments.iter().map(writes::of).collect();
        let goes_on = |from: usize, to: usize| {
            std::iter::successors(Some(to), |&number| segments[number].parent)
                .any(|number| number == from)
        };
        for later in 1..segments.len() {
            for earlier in 0..later {
                let allowed = self.overlaps && !turned(earlier, later);
                if allowed || goes_on(earlier, later) || goes_on(later, earlier) {
                    continue;
                }
                let Some((left, right)) = writes::meeting(&written[earlier], &written[later])
                else {
                    continue;
                };
                let message = format!(
                    "two forks write the same path: {:?} is written at {} in {}, and {:?} at {} in {}",
                    left.path,
                    left.location,
                    segments[earlier].title,
                    right.path,
                    right.location,
                    segments[later].title
                );
                let problem = Problem::at(ErrorKind::Merge, message, self.location);
                problems.push(problem.hint(if self.overlaps {
                    "groups of forks do not keep this order: make the later one a fork of the other (`Fork::fork`)"
                } else {
                    "give each fork paths of its own, make one a fork of the other (`Fork::fork`), or let the later \
                     one win: `joining(..).allow_overlaps()`"
                }));
            }
        }
        problems
    }

    /// The values of a segment, or of the base, with those of the segments that go on from it.
    fn values(
        &self,
        ours: &Values,
        parent: Option<usize>,
        segments: &[Segment],
        problems: &mut Vec<Problem>,
    ) -> Values {
        let mut changes = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            if segment.parent == parent {
                let after = Values::from(&segment.after);
                changes.push(Change {
                    before: Values::from(&segment.before),
                    after: self.values(&after, Some(number), segments, problems),
                    title: segment.title.clone(),
                    first: segment.first,
                    last: segment.last,
                });
            }
        }
        if changes.is_empty() {
            return ours.clone();
        }
        let (merged, conflicts) = ThreeWay::merge(ours, &changes, self.policy, self.location);
        problems.extend(conflicts);
        merged
    }
}

impl Segment {
    fn of(fork: &Fork) -> Self {
        Self {
            before: fork.base.clone(),
            after: fork.state.clone(),
            title: fork.title(),
            name: fork.name.clone(),
            declared: fork.declared.clone(),
            reads: fork.reads.clone(),
            location: fork.location,
            parent: None,
            first: 0,
            last: 0,
            contained: false,
        }
    }

    /// Whether it has files that the base has not.
    pub(super) fn adds(&self) -> bool {
        !self.contained && !self.before.is_same_output(&self.after)
    }

    /// The files as layers to lay over others. Those of a merge are the layers that it was made of, so that what two
    /// merges have in common can be told.
    fn layers(&self) -> Vec<State> {
        let (Some(before), Some(after)) = (&self.before.output, &self.after.output) else {
            return vec![self.after.clone()];
        };
        let data = after.vertex.data();
        if let (Op::Merge(_), [first, rest @ ..]) = (&data.op, &data.inputs[..])
            && first.is_same(before)
            && data.problems.is_empty()
        {
            let layers = rest.iter().cloned();
            return layers
                .map(|output| self.before.with_output(Some(output)))
                .collect();
        }
        let difference = Diff::new(&self.before, &self.after);
        vec![difference.made_at(self.location).state()]
    }
}

/// Lays segments over a state.
pub(super) fn lay(base: &State, segments: &[&Segment]) -> Merge {
    let leaves_base = |segment: &Segment| segment.before.is_same_output(base);
    let mut start = base.clone();
    let mut rest = segments;
    // What all others go on from needs no difference.
    while let [first, others @ ..] = rest
        && first.before.is_same_output(&start)
        && !others
            .iter()
            .any(|other| other.before.is_same_output(&start) || leaves_base(other))
    {
        start = first.after.clone();
        rest = others;
    }
    let mut layers: Vec<State> = vec![start];
    let mut declared = BTreeMap::new();
    let each_layer = rest.iter().flat_map(|segment| {
        let layers = segment.layers().into_iter();
        layers.map(|layer| (layer, *segment))
    });
    for (layer, segment) in each_layer {
        let identity = |state: &State| {
            let output = state.output.as_ref();
            (key(output), output.and_then(difference))
        };
        let (address, between) = identity(&layer);
        let known = layers
            .iter()
            .skip(1)
            .map(identity)
            .any(|known| known.0 == address || (between.is_some() && known.1 == between));
        if !known {
            declared.extend(writes::declared(&[segment]).map(|declared| (layers.len(), declared)));
            layers.push(layer);
        }
    }
    Merge::new(layers).declaring(declared)
}

impl State {
    /// Whether files and all values are the same ones.
    fn is_same(&self, other: &Self) -> bool {
        self.is_same_output(other)
            && self.context.is_same(&other.context)
            && self.image_config.is_same(&other.image_config)
    }
}

impl Constrain for Join {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl From<Join> for State {
    fn from(join: Join) -> Self {
        join.state()
    }
}
