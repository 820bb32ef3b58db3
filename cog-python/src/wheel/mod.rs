//! Wheels: which file of a release fits an interpreter, and which wheels share a layer.
//!
//! Everything here is a function of names and sizes: nothing is opened and nobody is asked.
//!
//! | Module | Answers |
//! |---|---|
//! | `target` | does a wheel fit an interpreter, and which of several fits best |
//! | `group` | which wheels are installed together, into one layer |
//! | `collision` | which wheels have a file in common |

mod collision;
mod group;
mod target;

pub use collision::{Collision, CollisionError, collisions, ties};
pub use group::{Grouping, Member, group};
pub use target::{Fit, Target, TargetError};
