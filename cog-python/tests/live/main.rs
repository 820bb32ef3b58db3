//! Real builds and predictions on the engines of `cargo xtask testbed up`.
//!
//! Each test runs on both engines: `containerd`, where BuildKit merges trees, and `graphdriver`,
//! where it cannot and trees are copied. Nothing is mocked: packages come from Debian and PyPI, and
//! the prediction is made by Cog's own runtime inside the image.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[path = "../common/mod.rs"]
mod common;

mod artifacts;
mod backends;
mod builds;
mod caches;
mod comparisons;
mod compilers;
mod contexts;
mod failures;
mod indexes;
mod layers;
mod platforms;
mod predictions;
mod registries;
mod server;
mod sources;
mod strip;
mod support;
mod weights;
mod wheels;
