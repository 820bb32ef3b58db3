//! LLB graphs.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod progress;
pub mod proto;
#[cfg(feature = "client")]
pub mod session;
