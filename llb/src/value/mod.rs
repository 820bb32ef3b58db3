//! Leaf values of a graph: paths, image references, digests, platforms, owners, words.
//!
//! Each module holds one standard or one rule of BuildKit's client and knows nothing of graphs. What these functions
//! return goes into op bytes, and so into digests: they follow the Go client to the letter where it has a rule.
//!
//! **Invariants.** Nothing here looks at the machine: no files, no environment, no clock. Whatever may be written as a
//! literal is checked by a `const fn` that the run-time parser shares, so a constant and a run-time value cannot be
//! judged differently.

pub mod capability;
pub mod digest;
pub mod git;
pub mod host;
pub mod json;
pub mod mode;
pub mod path;
pub mod platform;
pub mod reference;
pub(crate) mod shared;
pub mod shell;
pub mod user;

pub use capability::{Capability, CapabilitySet};
pub use digest::{Algorithm, Digest};
pub use git::GitUrl;
pub use platform::Platform;
pub use reference::ImageRef;
pub use user::{Owner, UserOpt};
