//! Whether a chain is provably the same as a merge.
//!
//! A step that is made on another state does the same as before if nothing that it touches differs between the two
//! states. What differs are layers, and of file actions and declared forks it is known which paths those touch. Links
//! that lead from one path to another would make that knowledge wrong, so there must be none below, or the fork has
//! declared its paths, which says that they are the real ones.

use std::collections::BTreeMap;

use super::Declared;
use super::layers::{Layer, Stack};
use super::touch::{self, Paths, Touched};
use super::walk::{Group, Walk, makes_the_root};
use crate::proto::pb;

/// An input of a merge of which something is declared.
pub(super) struct Branch {
    pub(super) layers: Vec<Layer>,
    pub(super) declared: Declared,
}

/// What differs between the state that a step was made on and the one that it is made on again.
#[derive(Default)]
struct Others {
    count: usize,
    paths: Paths<Layer>,
    /// Why it may be anything.
    anything: Option<String>,
    all_declared: bool,
}

pub(super) struct Proof<'w, 'g> {
    walk: &'w Walk<'g>,
    /// The merge.
    merge: usize,
    /// What is declared of the fork that a layer belongs to.
    declared: BTreeMap<Layer, &'w Declared>,
}

impl Others {
    fn add(&mut self, proof: &Proof<'_, '_>, layer: Layer) {
        if makes_the_root(proof.walk.graph, layer) {
            return;
        }
        let is_declared = proof.declared.contains_key(&layer);
        self.all_declared = is_declared && (self.count == 0 || self.all_declared);
        self.count += 1;
        match proof.touched(layer) {
            Touched::Paths(paths) => paths
                .into_iter()
                .for_each(|path| self.paths.insert(path, layer)),
            Touched::Anything(reason) => {
                self.anything.get_or_insert(reason);
            }
        }
    }
}

impl<'w, 'g> Proof<'w, 'g> {
    /// Of the merge at a position.
    pub(super) fn new(walk: &'w Walk<'g>, merge: usize, branches: &'w [Branch]) -> Self {
        let mut declared = BTreeMap::new();
        for branch in branches {
            for layer in &branch.layers {
                declared.insert(*layer, &branch.declared);
                let steps = walk.steps_of_squash(*layer).unwrap_or_default();
                declared.extend(steps.into_iter().map(|step| (step, &branch.declared)));
            }
        }
        Self {
            walk,
            merge,
            declared,
        }
    }

    /// Whether the layers of all groups can be made again on top of a stack, one group after the other.
    ///
    /// # Errors
    ///
    /// The first reason why not, in words.
    pub(super) fn chain(&self, start: Stack, groups: &[Group]) -> Result<(), String> {
        // What differs for the forks that left the same state; most forks of a merge do.
        let mut others: Option<(Stack, Others)> = None;
        for group in groups {
            self.are_steps(group)?;
            let made_on = match group.layers.first() {
                Some(Layer::Step {
                    lower: Some(lower), ..
                }) => self.walk.layers.known(*lower),
                _ => None,
            };
            let common = self.walk.layers.common(start, made_on);
            let known = others.take().filter(|(known, _)| *known == made_on);
            let mut different = known.map_or_else(
                || {
                    let mut others = Others::default();
                    let before = groups
                        .iter()
                        .take_while(|before| !std::ptr::eq(*before, group));
                    let layers = &self.walk.layers;
                    let layers = layers
                        .over(common, start)
                        .into_iter()
                        .chain(layers.over(common, made_on))
                        .chain(before.flat_map(|before| before.layers.iter().copied()));
                    layers.for_each(|layer| others.add(self, layer));
                    others
                },
                |(_, others)| others,
            );
            self.group(common, &different, group, groups)?;
            for layer in &group.layers {
                different.add(self, *layer);
            }
            others = Some((made_on, different));
        }
        Ok(())
    }

    /// Whether all layers of a group can be made again.
    fn are_steps(&self, group: &Group) -> Result<(), String> {
        let mut others = group
            .layers
            .iter()
            .filter(|layer| !matches!(layer, Layer::Step { .. }));
        match others
            .next()
            .map(|layer| touch::of(self.walk.graph, *layer))
        {
            Some(Touched::Anything(reason)) => Err(reason),
            Some(Touched::Paths(_)) | None => Ok(()),
        }
    }

    fn group(
        &self,
        common: Stack,
        others: &Others,
        group: &Group,
        groups: &[Group],
    ) -> Result<(), String> {
        if others.count == 0 {
            return Ok(());
        }
        let graph = self.walk.graph;
        let mut all_declared = others.all_declared;
        let mut paths: Vec<(String, Layer)> = Vec::new();
        for step in &group.layers {
            if let Layer::Step { upper, .. } = step
                && matches!(graph.ops[upper.0].message.op, Some(pb::op::Op::Exec(_)))
                && !self.is_only_here(upper.0, groups)
            {
                let title = self.walk.title(upper.0);
                return Err(format!(
                    "the command {title} has a result that is used elsewhere, and would run twice"
                ));
            }
            match self.touched(*step) {
                Touched::Paths(touched) => {
                    paths.extend(touched.into_iter().map(|path| (path, *step)));
                }
                Touched::Anything(reason) => return Err(reason),
            }
            let declared = self.declared.get(step);
            all_declared &= declared.is_some();
            let reads = declared.map_or(&[][..], |declared| &declared.reads[..]);
            paths.extend(reads.iter().map(|path| (path.clone(), *step)));
        }
        if let Some(reason) = &others.anything {
            return Err(reason.clone());
        }
        if !all_declared && !self.has_no_links(common) {
            return Err(
                "what they are laid over may have links, so that two names are one path".to_owned(),
            );
        }
        for (path, step) in paths {
            if let Some((other, layer)) = others.paths.meeting(&path) {
                return Err(format!(
                    "{path:?} of {} meets {other:?} of {}",
                    self.title(step),
                    self.title(*layer)
                ));
            }
        }
        Ok(())
    }

    fn title(&self, layer: Layer) -> String {
        match layer {
            Layer::Step { upper, .. } | Layer::Whole(upper) => self.walk.title(upper.0),
            Layer::Net { .. } => "a difference".to_owned(),
        }
    }

    fn touched(&self, layer: Layer) -> Touched {
        let touched = touch::of(self.walk.graph, layer);
        match (self.declared.get(&layer), layer) {
            // The declaration is about all of the fork; what it makes on the way to its paths it shares with others.
            (Some(declared), Layer::Step { .. } | Layer::Net { .. }) => {
                Touched::Paths(declared.writes.clone())
            }
            _ => touched,
        }
    }

    /// Whether nothing reads an op but the steps that are made again, and the merge itself.
    fn is_only_here(&self, position: usize, groups: &[Group]) -> bool {
        let walk = self.walk;
        let is_step = |reader: usize| {
            groups.iter().flat_map(|group| &group.layers).any(
                |layer| matches!(layer, Layer::Step { upper, lower: Some(lower) } if upper.0 == reader && lower.0 == position),
            )
        };
        let is_side = |reader: usize| {
            reader < walk.graph.ops.len()
                && walk.is_merge_or_diff(reader)
                && walk.readers(reader).all(|reader| reader == self.merge)
        };
        walk.readers(position)
            .all(|reader| reader == self.merge || is_side(reader) || is_step(reader))
    }

    /// Whether all layers of a stack are known to make no links.
    fn has_no_links(&self, stack: Stack) -> bool {
        let graph = self.walk.graph;
        let layers = self.walk.layers.over(None, stack);
        layers
            .into_iter()
            .all(|layer| touch::makes_no_links(graph, layer))
    }
}
