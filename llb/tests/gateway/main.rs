//! Build functions against real daemons: the engines of the testbed.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]
#![expect(
    clippy::disallowed_methods,
    reason = "files, environment and clock are what the client is about"
)]

mod container;
mod image;
mod look;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../client/testbed.rs"]
mod testbed;

/// A command without the network, which the engines of the testbed have none of.
#[track_caller]
fn offline(script: impl AsRef<str>) -> llb::Exec {
    llb::sh(script).network(llb::Network::None)
}

/// Both kinds of engines.
const ENGINES: [&str; 2] = ["containerd", "graphdriver"];
