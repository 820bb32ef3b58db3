//! The programs of the vectors, in Rust: every one must give what BuildKit's Go client gives, to the byte.
//!
//! `data/` holds a file for each Go program, with the definition, the error or the values that it gives; `data/INDEX.md`
//! says what each is about. The programs here are the same ones in the words of this crate, by area. A test compares
//! op bytes, digests, their order, metadata, source maps and the whole definition.

#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod accident;
mod build;
mod coverage;
mod deferred;
mod definition;
mod exec;
mod file;
mod git;
mod graph;
mod image;
mod merge;
mod metadata;
mod mount;
mod passthrough;
mod platform;
mod roundtrip;
mod sourcemap;
mod state;
mod support;
mod transfer;
