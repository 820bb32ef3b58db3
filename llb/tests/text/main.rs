//! The text form: what it says, that it reads back, and what its reader says of mistakes.

#![expect(
    clippy::disallowed_methods,
    reason = "the golden definitions are files"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "../vectors/support/load.rs"]
#[allow(dead_code, reason = "this needs the bytes only")]
mod load;

mod mistakes;
mod roundtrip;
mod stable;
mod views;
