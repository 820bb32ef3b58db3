//! Definitions as states, to build on: `client/llb`'s `NewDefinitionOp`.

use std::panic::Location;

use super::decode::{inputs, platform};
use super::{Definition, DefinitionOp, OpDigest, Positions, VertexCache};
use crate::constraints::{Constraints, Options};
use crate::error::{ErrorKind, Problem};
use crate::graph::{Inputs, Problems, Vertex, VertexData};
use crate::op::{EmbeddedOp, Op};
use crate::proto::pb;
use crate::sourcemap::{SourceLocation, SourceMap};
use crate::state::State;
use crate::value::platform::Platform;

impl Definition {
    /// The result of this definition as a state, to go on from.
    ///
    /// Its ops keep their bytes, metadata and places: the options of a marshal reach only what is built on them. The
    /// state has the platform of the op it comes from, and else a fresh run context.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let options = MarshalOptions::linux_amd64();
    /// let definition = image("alpine").run(sh("apk add git")).marshal(&options)?;
    /// let further = definition.state().run(sh("git --version"));
    /// assert_eq!(further.marshal(&options)?.ops()[..2], definition.ops()[..2]);
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[track_caller]
    pub fn state(&self) -> State {
        let Some((head, index)) = self.head else {
            return State::scratch();
        };
        let location = Location::caller();
        let state = match Embedding::new(self, location).embed(head) {
            Some(vertex) => State::from_output(Some(vertex.output(index))),
            None => State::scratch(),
        };
        if !self.lacks_metadata {
            return state;
        }
        // A definition without metadata was put together by hand.
        let message = format!(
            "invalid definition op with no ops {} 0: the definition has no metadata",
            self.ops.len()
        );
        state.record(Problem::at(ErrorKind::Definition, message, location))
    }

    /// An output of one of the ops as a state, to go on from there: a vertex below the result of `client/llb`'s
    /// `NewDefinitionOp`.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let options = MarshalOptions::linux_amd64();
    /// let definition = image("alpine").run(sh("apk add git")).marshal(&options)?;
    /// let base = definition.state_of(definition.ops()[0].digest(), 0);
    /// assert_eq!(base.marshal(&options)?, image("alpine").marshal(&options)?);
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// An op that is not there, or the last one, which only names the result, is a mistake that marshalling reports.
    #[track_caller]
    pub fn state_of(&self, op: OpDigest, output: u32) -> State {
        let location = Location::caller();
        let last = self.ops.last().map(DefinitionOp::digest);
        let vertex = Some(op)
            .filter(|op| Some(*op) != last)
            .and_then(|op| Embedding::new(self, location).embed(op));
        if let Some(vertex) = vertex {
            return State::from_output(Some(vertex.output(output)));
        }
        let message = match self.ops.len() {
            0 => format!("cannot marshal empty definition op: there is no op {op}"),
            count => format!(
                "invalid definition op with unknown op {op}: it is none of the {} that have results",
                count - 1
            ),
        };
        State::scratch().record(Problem::at(ErrorKind::Definition, message, location))
    }
}

struct Embedding<'d> {
    ops: &'d [DefinitionOp],
    location: &'static Location<'static>,
    maps: Vec<SourceMap>,
    positions: Positions,
    /// What the ops became.
    vertices: Vec<Option<Vertex>>,
}

impl<'d> Embedding<'d> {
    fn new(definition: &'d Definition, location: &'static Location<'static>) -> Self {
        let maps = definition.infos.iter().map(|info| {
            let map = SourceMap::new(&*info.filename, &*info.language, &*info.data);
            info.definition
                .as_ref()
                .map_or(map.clone(), |definition| map.with_state(definition.state()))
        });
        let ops = definition.ops();
        Self {
            ops,
            location,
            maps: maps.collect(),
            positions: Positions::new(ops.iter().map(DefinitionOp::digest)),
            vertices: vec![None; ops.len()],
        }
    }

    fn position(&self, digest: OpDigest) -> Option<usize> {
        let digest_at = |position: usize| self.ops[position].digest();
        self.positions.find(digest, digest_at)
    }

    /// Makes vertices of `head` and all it reads, without using the call stack for depth.
    fn embed(mut self, head: OpDigest) -> Option<Vertex> {
        let head = self.position(head)?;
        let mut stack = vec![head];
        let mut outputs = Vec::new();
        while let Some(&position) = stack.last() {
            if self.vertices[position].is_some() {
                stack.pop();
                continue;
            }
            let waiting = stack.len();
            outputs.clear();
            for input in inputs(self.ops[position].bytes()) {
                let read = self.position(OpDigest::parse(input.digest)?)?;
                match &self.vertices[read] {
                    Some(vertex) => outputs.push(vertex.output(u32::try_from(input.index).ok()?)),
                    None => stack.push(read),
                }
            }
            if stack.len() > waiting {
                continue;
            }
            stack.pop();
            self.vertices[position] = Some(self.vertex(position, outputs.drain(..).collect()));
        }
        self.vertices[head].take()
    }

    fn vertex(&self, position: usize, inputs: Inputs) -> Vertex {
        let op = &self.ops[position];
        let locations = op.locations().map(|(info, ranges)| SourceLocation {
            map: self.maps[info as usize].clone(),
            ranges: ranges.to_vec(),
        });
        let locations: Vec<_> = locations.collect();
        let constraints = if locations.is_empty() {
            Constraints::default()
        } else {
            Constraints::from(Options {
                locations,
                ..Options::default()
            })
        };
        Vertex::new(VertexData {
            op: Op::Embedded(Box::new(EmbeddedOp {
                op: op.clone(),
                platform: platform(op.bytes()).map(read_platform),
            })),
            inputs,
            constraints,
            location: self.location,
            frame: None,
            problems: Problems::default(),
            cache: VertexCache::default(),
        })
    }
}

fn read_platform(platform: pb::Platform) -> Platform {
    Platform {
        os: platform.os.into(),
        architecture: platform.architecture.into(),
        variant: platform.variant.into(),
        os_version: platform.os_version.into(),
        os_features: platform.os_features.into_iter().map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use crate::prelude::*;
    use crate::proto::pb;

    #[test]
    fn an_op_that_several_read_becomes_one_vertex() {
        let file = crate::SourceMap::new("Dockerfile", "", "FROM alpine");
        let base = Image::new("alpine").location(file.location([])).state();
        let both = merge([&base, &base.run(sh("true"))]);
        let options = MarshalOptions::linux_amd64();
        let definition = both.marshal(&options).unwrap();
        let again = definition.state().marshal(&options).unwrap();
        assert_eq!(again.to_bytes(), definition.to_bytes());
    }

    #[test]
    fn a_definition_may_say_nothing_about_its_ops_but_must_list_them() {
        let options = MarshalOptions::linux_amd64();
        let definition = image("alpine").marshal(&options).unwrap();
        let mut message = pb::Definition::decode(&*definition.to_bytes()).unwrap();
        message
            .metadata
            .values_mut()
            .for_each(prost::Message::clear);
        let silent = Definition::from_bytes(&message.encode_to_vec()).unwrap();
        assert!(silent.state().marshal(&options).is_ok());
        message.metadata.clear();
        let unlisted = Definition::from_bytes(&message.encode_to_vec()).unwrap();
        assert!(unlisted.state().marshal(&options).is_err());
    }

    #[test]
    fn deep_definitions_need_no_stack() {
        let mut state = image("alpine");
        for step in 0..20_000 {
            state = state.run(sh(format!("step {step}")));
        }
        let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
        let again = definition
            .state()
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap();
        assert_eq!(again.to_bytes(), definition.to_bytes());
    }
}
