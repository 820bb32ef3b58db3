//! Macros of `llb`.
