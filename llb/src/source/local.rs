//! Folders of the client, sent when the daemon asks for them.

use std::panic::Location;

use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;
use crate::value::json::string_array;

/// A folder that the client offers under a name.
///
/// ```
/// use llb::prelude::*;
///
/// let app = image("debian").copy(local("context").exclude([".git", "**/__pycache__"]), "/", "/src");
/// ```
#[track_caller]
pub fn local(name: impl Into<String>) -> Local {
    Local {
        name: name.into(),
        session: None,
        include: Vec::new(),
        exclude: Vec::new(),
        follow: Vec::new(),
        shared_key_hint: None,
        differ: None,
        metadata_only: None,
        constraints: Constraints::default(),
        location: Location::caller(),
    }
}

/// A folder of the client; made by [`local`].
///
/// ```
/// use llb::prelude::*;
/// use llb::Differ;
///
/// let source = local("context")
///     .include(["src/**"])
///     .exclude(["**/*.log"])
///     .follow_paths(["src/link"])
///     .session("session")
///     .shared_key_hint("app")
///     .differ(Differ::Metadata, true)
///     .metadata_only(["src/*.toml"]);
/// assert_eq!(source.state().to_text(), r#"
/// %context = local "context" local.differ="metadata" local.excludepatterns="[\"**/*.log\"]" local.followpaths="[\"src/link\"]" local.includepattern="[\"src/**\"]" local.metadatatransfer="true" local.metadatatransferexclude="[\"src/*.toml\"]" local.session="session" local.sharedkeyhint="app"
/// return %context
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Local {
    name: String,
    session: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
    shared_key_hint: Option<String>,
    differ: Option<(Differ, bool)>,
    metadata_only: Option<Vec<String>>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// How the daemon finds out which files changed since the last build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Differ {
    /// It does not: everything is sent.
    None,
    /// By the files' metadata.
    Metadata,
}

impl Local {
    /// Takes the folder from a session other than the build's own.
    #[must_use = "this returns the changed source"]
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.session = Some(id.into());
        self
    }

    /// Sends only what matches one of these patterns (`.dockerignore` syntax); none is everything.
    #[must_use = "this returns the changed source"]
    pub fn include<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.include = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sends nothing that matches one of these patterns (`.dockerignore` syntax).
    #[must_use = "this returns the changed source"]
    pub fn exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sends only these paths, and what symbolic links in them lead to.
    #[must_use = "this returns the changed source"]
    pub fn follow_paths<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.follow = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Lets sources with the same hint reuse what was sent before.
    #[must_use = "this returns the changed source"]
    pub fn shared_key_hint(mut self, hint: impl Into<String>) -> Self {
        self.shared_key_hint = Some(hint.into());
        self
    }

    /// How changes are found; `required` fails on a daemon that cannot do it.
    #[must_use = "this returns the changed source"]
    pub fn differ(mut self, differ: Differ, required: bool) -> Self {
        self.differ = Some((differ, required));
        self
    }

    /// Sends names and metadata of files but not their content, except for these patterns.
    #[must_use = "this returns the changed source"]
    pub fn metadata_only<S: Into<String>>(mut self, except: impl IntoIterator<Item = S>) -> Self {
        self.metadata_only = Some(except.into_iter().map(Into::into).collect());
        self
    }

    /// The folder's content as a state.
    pub fn state(self) -> State {
        let mut op = SourceOp::new(format!("local://{}", self.name));
        op.cap(Capability::SourceLocal);
        if let Some(session) = self.session.filter(|session| !session.is_empty()) {
            op.attr("local.session", session);
            op.cap(Capability::SourceLocalSessionId);
        }
        for (name, capability, patterns) in [
            (
                "local.includepattern",
                Capability::SourceLocalIncludePatterns,
                &self.include,
            ),
            (
                "local.followpaths",
                Capability::SourceLocalFollowPaths,
                &self.follow,
            ),
            (
                "local.excludepatterns",
                Capability::SourceLocalExcludePatterns,
                &self.exclude,
            ),
        ] {
            if !patterns.is_empty() {
                op.attr(name, string_array(patterns));
                op.cap(capability);
            }
        }
        if let Some(hint) = self.shared_key_hint.filter(|hint| !hint.is_empty()) {
            op.attr("local.sharedkeyhint", hint);
            op.cap(Capability::SourceLocalSharedKeyHint);
        }
        if let Some((differ, required)) = self.differ {
            op.attr(
                "local.differ",
                match differ {
                    Differ::None => "none",
                    Differ::Metadata => "metadata",
                },
            );
            if required {
                op.cap(Capability::SourceLocalDiffer);
            }
        }
        if let Some(except) = self.metadata_only {
            op.attr("local.metadatatransfer", "true");
            if !except.is_empty() {
                op.attr("local.metadatatransferexclude", string_array(&except));
            }
            op.cap(Capability::SourceLocalMetadataTransfer);
        }
        source_state(op, self.constraints, Vec::new(), self.location)
    }
}

source_builder!(Local);
