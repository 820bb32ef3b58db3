//! What `llb-helper` does inside a build, as a library: so that what plans a build judges a wheel by the same rules as
//! what installs it.

pub mod strip;
pub mod wheel;
