//! Vertices and the outputs that join them.

mod vertex;

pub(crate) use vertex::{Inputs, Output, Problems, Vertex, VertexData};
