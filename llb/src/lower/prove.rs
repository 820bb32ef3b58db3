//! Whether a chain is provably the same as a merge.
//!
//! A step that is made on another state does the same as before if nothing that it touches differs between the two
//! states. What differs are layers, and of file actions and declared forks it is known which paths those touch. Links
//! that lead from one path to another would make that knowledge wrong, so there must be none below, or the fork has
//! declared its paths, which says that they are the real ones.

use std::collections::BTreeMap;

use super::Declared;
use super::layers::{Layer, Stack};
use super::touch::{self, Touched};
use super::walk::{Group, Walk, makes_the_root};
use crate::proto::pb;

/// An input of a merge.
pub(super) struct Branch {
    pub(super) layers: Vec<Layer>,
    pub(super) declared: Option<Declared>,
    /// The merge.
    pub(super) merge: usize,
}

pub(super) struct Proof<'w, 'g> {
    walk: &'w Walk<'g>,
    branches: &'w [Branch],
    /// What is declared of the fork that a layer belongs to.
    declared: BTreeMap<Layer, &'w Declared>,
}

impl<'w, 'g> Proof<'w, 'g> {
    pub(super) fn new(walk: &'w Walk<'g>, branches: &'w [Branch]) -> Self {
        let mut declared = BTreeMap::new();
        for branch in branches {
            if let Some(of_branch) = &branch.declared {
                for layer in &branch.layers {
                    declared.insert(*layer, of_branch);
                    let steps = walk.steps_of_squash(*layer).unwrap_or_default();
                    declared.extend(steps.into_iter().map(|step| (step, of_branch)));
                }
            }
        }
        Self {
            walk,
            branches,
            declared,
        }
    }

    /// Whether the layers of all groups can be made again on top of a stack, one group after the other.
    ///
    /// # Errors
    ///
    /// The first reason why not, in words.
    pub(super) fn chain(&self, start: Stack, groups: &[Group]) -> Result<(), String> {
        // What has been made before the current group, over the stack to start from.
        let mut before: Vec<Layer> = Vec::new();
        for group in groups {
            self.are_steps(group)?;
            self.group(start, &before, &group.layers)?;
            before.extend(&group.layers);
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

    fn group(&self, start: Stack, before: &[Layer], steps: &[Layer]) -> Result<(), String> {
        let layers = &self.walk.layers;
        let graph = self.walk.graph;
        let Some(Layer::Step { lower, .. }) = steps.first() else {
            return Ok(());
        };
        // The state that the first step was made on, and what it shares with the one that it is made on now.
        let made_on = match lower {
            Some(lower) => layers.known(*lower),
            None => None,
        };
        let common = layers.common(start, made_on);
        let others: Vec<Layer> = layers
            .over(common, start)
            .into_iter()
            .chain(before.iter().copied())
            .chain(layers.over(common, made_on))
            .filter(|layer| !makes_the_root(graph, *layer))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        for step in steps {
            if let Layer::Step { upper, .. } = step
                && matches!(graph.ops[upper.0].message.op, Some(pb::op::Op::Exec(_)))
                && !self.is_only_here(upper.0)
            {
                let title = self.walk.title(upper.0);
                return Err(format!(
                    "the command {title} has a result that is used elsewhere, and would run twice"
                ));
            }
        }
        let own: Vec<_> = steps
            .iter()
            .map(|step| (*step, self.touched(*step)))
            .collect();
        let other: Vec<_> = others
            .iter()
            .map(|layer| (*layer, self.touched(*layer)))
            .collect();
        let involved = own.iter().chain(&other);
        let all_declared = involved
            .clone()
            .all(|(layer, _)| self.declared.contains_key(layer));
        for (_, touched) in involved {
            if let Touched::Anything(reason) = touched {
                return Err(reason.clone());
            }
        }
        if !all_declared && !self.has_no_links(common) {
            return Err(
                "what they are laid over may have links, so that two names are one path".to_owned(),
            );
        }
        let reads = self
            .declared
            .get(&steps[0])
            .map_or(&[][..], |own| &own.reads[..]);
        for (layer, touched) in &other {
            let Touched::Paths(theirs) = touched else {
                continue;
            };
            let ours = own.iter().filter_map(|(step, touched)| match touched {
                Touched::Paths(paths) => Some((*step, &paths[..])),
                Touched::Anything(_) => None,
            });
            for (step, paths) in ours.chain([(steps[0], reads)]) {
                if let Some((path, other)) = touch::meeting(paths, theirs) {
                    return Err(format!(
                        "{path:?} of {} meets {other:?} of {}",
                        self.title(step),
                        self.title(*layer)
                    ));
                }
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

    /// Whether nothing reads an op but the branches of this merge.
    fn is_only_here(&self, position: usize) -> bool {
        let merge = self.branches.first().map(|branch| branch.merge);
        let is_step = |reader: usize| {
            self.branches.iter().flat_map(|branch| &branch.layers).any(
                |layer| matches!(layer, Layer::Step { upper, lower: Some(lower) } if upper.0 == reader && lower.0 == position),
            )
        };
        let walk = self.walk;
        walk.readers(position).all(|reader| {
            Some(reader) == merge
                || reader < walk.graph.ops.len()
                    && (is_step(reader)
                        || walk.is_merge_or_diff(reader)
                            && walk.readers(reader).all(|reader| Some(reader) == merge))
        })
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
