//! Contexts: the files a build is given by its user.
//!
//! The rules are those of the Dockerfile frontend (BuildKit's `frontend/dockerui`, August 2026), so that a frontend of
//! one's own takes what `docker build` sends: a local directory, a Git or HTTP address, a graph, and contexts by name.

use super::build::Build;
use super::error::{Error, Result};
use crate::session::PatternSet;
use crate::source::{Differ, Image, Local, OciLayout, git, http, local};
use crate::sourcemap::SourceMap;
use crate::state::State;
use crate::value::git::is_git_url;
use crate::{Constrain as _, file};

/// A text file of the author, such as a Dockerfile; made by [`Build::source_file`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceFile {
    /// Its name, as the author knows it.
    pub name: String,
    /// Its content.
    pub text: String,
    /// For the places of ops, errors and warnings in it.
    pub map: SourceMap,
}
