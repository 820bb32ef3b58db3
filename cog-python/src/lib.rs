//! From cog.yaml to a graph.
pub mod config;
pub mod diagnostic;
pub mod files;
pub mod requirement;
pub mod sdk;
mod suggest;
mod yaml;
