//! Definitions as states, to build on: `client/llb`'s `NewDefinitionOp`.

use std::collections::BTreeMap;
use std::panic::Location;

use prost::Message as _;

use super::VertexCache;
use super::{Definition, OpDigest};
use crate::constraints::{Constraints, Options};
use crate::error::{ErrorKind, Problem};
use crate::graph::{Output, Vertex, VertexData};
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
        if self
            .ops
            .iter()
            .any(|op| *op.metadata() != crate::OpMetadata::default())
        {
            return state;
        }
        // A definition without metadata was put together by hand, and BuildKit refuses to run it.
        let message = format!(
            "invalid definition op with no ops {} 0: the definition has no metadata",
            self.ops.len()
        );
        state.record(Problem::at(ErrorKind::Definition, message, location))
    }
}

struct Embedding<'d> {
    definition: &'d Definition,
    location: &'static Location<'static>,
    maps: Vec<SourceMap>,
    /// Where each op stands in the definition.
    positions: BTreeMap<OpDigest, usize>,
    vertices: BTreeMap<OpDigest, Vertex>,
}

impl<'d> Embedding<'d> {
    fn new(definition: &'d Definition, location: &'static Location<'static>) -> Self {
        let maps = definition.infos.iter().map(|info| {
            let map = SourceMap::new(&*info.filename, &*info.language, &*info.data);
            info.definition
                .as_ref()
                .map_or(map.clone(), |definition| map.with_state(definition.state()))
        });
        let positions = definition
            .ops
            .iter()
            .enumerate()
            .map(|(position, op)| (op.digest(), position));
        Self {
            definition,
            location,
            maps: maps.collect(),
            positions: positions.collect(),
            vertices: BTreeMap::new(),
        }
    }

    /// Makes vertices of `head` and all it reads, without using the call stack for depth.
    fn embed(mut self, head: OpDigest) -> Option<Vertex> {
        let mut stack = vec![head];
        while let Some(&digest) = stack.last() {
            // Several ops may have waited for it.
            if self.vertices.contains_key(&digest) {
                stack.pop();
                continue;
            }
            let op = &self.definition.ops[*self.positions.get(&digest)?];
            let message = pb::Op::decode(op.bytes()).ok()?;
            let inputs: Vec<(OpDigest, u32)> = message
                .inputs
                .iter()
                .map(|input| {
                    Some((
                        OpDigest::parse(&input.digest)?,
                        u32::try_from(input.index).ok()?,
                    ))
                })
                .collect::<Option<_>>()?;
            let missing = inputs
                .iter()
                .map(|(input, _)| *input)
                .filter(|input| !self.vertices.contains_key(input));
            let waiting = stack.len();
            stack.extend(missing);
            if stack.len() > waiting {
                continue;
            }
            stack.pop();
            let outputs = inputs
                .iter()
                .map(|(input, index)| self.vertices[input].output(*index))
                .collect();
            let vertex = self.vertex(digest, message.platform, outputs)?;
            self.vertices.insert(digest, vertex);
        }
        self.vertices.remove(&head)
    }

    fn vertex(
        &self,
        digest: OpDigest,
        platform: Option<pb::Platform>,
        inputs: Vec<Output>,
    ) -> Option<Vertex> {
        let op = &self.definition.ops[*self.positions.get(&digest)?];
        let locations = op.locations().map(|(info, ranges)| SourceLocation {
            map: self.maps[info as usize].clone(),
            ranges: ranges.to_vec(),
        });
        Some(Vertex::new(VertexData {
            op: Op::Embedded(Box::new(EmbeddedOp {
                bytes: op.shared_bytes(),
                metadata: op.metadata().clone(),
                platform: platform.map(read_platform),
            })),
            inputs: inputs.into(),
            constraints: Constraints::from(Options {
                locations: locations.collect(),
                ..Options::default()
            }),
            location: self.location,
            frame: None,
            problems: Vec::new(),
            cache: VertexCache::default(),
        }))
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
    use crate::prelude::*;

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
