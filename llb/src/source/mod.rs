//! Where file systems come from.
//!
//! Each source is a builder that turns into a [`State`](crate::State) wherever one is wanted. Mistakes are reported
//! when the graph is marshalled, with the line of the call that named the source.

mod blob;
mod git;
mod http;
mod image;
mod local;
mod oci_layout;
mod raw;
mod resolver;

use std::panic::Location;

pub use blob::{ImageBlob, OciLayoutBlob};
pub use git::{Git, git};
pub use http::{Http, HttpSignature, http};
pub use image::{Image, ResolveMode, image};
pub use local::{Differ, Local, local};
pub use oci_layout::{OciLayout, oci_layout};
pub use raw::Source;
pub use resolver::{ImageRequest, ResolvedImage};

use crate::constraints::Constraints;
use crate::definition::VertexCache;
use crate::error::Problem;
use crate::graph::{Inputs, Problems, Vertex, VertexData};
use crate::op::{Op, SourceOp};
use crate::state::State;
use crate::value::Capability;

/// What every source builder ends in.
fn source_state(
    mut op: SourceOp,
    constraints: Constraints,
    problems: Vec<Problem>,
    location: &'static Location<'static>,
) -> State {
    // Whoever made it: what tells equally named folders apart is the session, or the unique id of the marshal.
    if op.identifier.starts_with("local://") && !op.attrs.contains_key("local.session") {
        op.attrs.remove("local.unique");
        op.takes_unique_id = true;
        op.cap(Capability::SourceLocalUnique);
    }
    let vertex = Vertex::new(VertexData {
        op: Op::Source(Box::new(op)),
        inputs: Inputs::new(),
        constraints,
        location,
        frame: None,
        problems: Problems::from(problems),
        cache: VertexCache::default(),
    });
    State::from_output(Some(vertex.into_output(0)))
}

/// Gives a source builder its options and its way to become a state.
macro_rules! source_builder {
    ($name:ident) => {
        impl crate::constraints::Constrain for $name {
            fn constraints_mut(&mut self) -> &mut crate::constraints::Constraints {
                &mut self.constraints
            }
        }

        impl From<$name> for crate::state::State {
            fn from(source: $name) -> Self {
                source.state()
            }
        }
    };
}
use source_builder;
