//! What holds for all graphs and all inputs, tried on generated ones.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod bodies;
mod bytes;
mod determinism;
mod graphs;
mod laws;
mod wire;
