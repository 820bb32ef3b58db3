//! Cog's own shape: what Cog itself makes of a project, for comparison.
//!
//! The rest of this crate decides in its own way. This module answers how Cog 0.22 would build the same project, so that
//! the two can be measured against each other on one daemon, and so that worked cases of Cog can be tried:
//!
//! * [`dockerfile`] writes the Dockerfile of Cog's shape: one pip step for all packages, copied files in `/tmp`, and all;
//! * [`requirement`] reads a requirement line as Cog does, by patterns instead of PEP 508;
//! * [`wheel`] reads `COG_SDK_WHEEL` and `COGLET_WHEEL`.
//!
//! Choices of versions, wheels and base images are those of [`Resolution`](crate::Resolution): where Cog has a defect, the
//! Dockerfile has the right answer in its place.

pub mod dockerfile;
pub mod requirement;
pub mod wheel;
