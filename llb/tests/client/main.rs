//! The client against real daemons: the engines of the testbed.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]
#![expect(
    clippy::disallowed_methods,
    reason = "files, environment and clock are what the client is about"
)]

mod attestations;
mod build;
mod caches;
mod connect;
mod exports;
mod failures;
mod faults;
mod files;
mod graph;
mod history;
mod images;
mod layouts;
mod locations;
mod lowering;
mod own_engine;
mod squash;
mod testbed;
mod uploads;
