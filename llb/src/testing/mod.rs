//! Snapshots of graphs, for the tests of your own builds.
//!
//! A snapshot holds the text form of a graph ([`Definition::to_text`]), so that a change of the build shows in review
//! as the lines that it changes. [`assert_graph_snapshot!`](crate::assert_graph_snapshot) compares a graph with the
//! snapshot kept by [`insta`]:
//!
//! ```
//! use llb::prelude::*;
//!
//! fn server() -> State {
//!     image("alpine:3.22").run(sh("apk add nginx"))
//! }
//!
//! llb::assert_graph_snapshot!(server(), @r#"
//! platform linux/amd64
//! %alpine = source "docker-image://docker.io/library/alpine:3.22"
//! %apk-add-nginx = exec "/bin/sh" "-c" "apk add nginx" cwd=/ {
//!   / = %alpine -> out0
//! }
//! return %apk-add-nginx
//! "#);
//! ```
//!
//! What moves without a change of the build can be masked: [`Snapshot::without_tags`] and
//! [`Snapshot::without_digests`] for base images that a bot updates, [`Snapshot::replace`] for anything else.
//!
//! ```
//! use llb::prelude::*;
//! use llb::testing::snapshot;
//!
//! let base = image(format!("debian:bookworm-20261116@sha256:{}", "0".repeat(64)));
//! assert_eq!(
//!     snapshot(base).without_tags().without_digests().to_string(),
//!     r#"
//! platform linux/amd64
//! %debian = source "docker-image://docker.io/library/debian:[tag]@sha256:[digest]"
//! return %debian
//! "#.trim_start());
//! ```
//!
//! A [`Snapshot`] prints as text, so it goes into any other kind of assertion as well.

#[cfg(feature = "gateway")]
mod double;
#[cfg(feature = "gateway")]
mod recording;
mod redact;

use std::fmt;

#[cfg(feature = "gateway")]
pub use double::{Built, CommandResult, Double};
#[cfg(feature = "gateway")]
pub use recording::{Recording, RecordingError};

#[doc(hidden)]
pub use insta;

use crate::constraints::Constrain;
use crate::definition::{Definition, MarshalOptions};
use crate::error::Error;
use crate::state::State;
use crate::value::Platform;

/// Compares a graph with its snapshot, as `insta::assert_snapshot!` does with text.
///
/// The graph is a [`State`](crate::State), a [`Definition`](crate::Definition), a reference to either, or a
/// [`Snapshot`](crate::testing::Snapshot) with masks. Before it may come a name for the snapshot, behind it the
/// snapshot itself:
///
/// ```no_run
/// use llb::prelude::*;
/// use llb::testing::snapshot;
///
/// let state = image("alpine").mkdir("/data", 0o755);
/// llb::assert_graph_snapshot!(&state);
/// llb::assert_graph_snapshot!("with data", &state);
/// llb::assert_graph_snapshot!(snapshot(&state).without_tags(), @r#"
/// platform linux/amd64
/// %alpine = source "docker-image://docker.io/library/alpine:[tag]"
/// %mkdir-data = file {
///   on %alpine
///   mkdir "/data" 0755
/// }
/// return %mkdir-data
/// "#);
/// ```
///
/// A graph with mistakes fails the test with all of them, each with its line.
#[macro_export]
macro_rules! assert_graph_snapshot {
    ($name:literal, $graph:expr $(,)?) => {
        $crate::testing::insta::assert_snapshot!($name, $crate::testing::snapshot($graph).text())
    };
    ($graph:expr, @$snapshot:literal $(,)?) => {
        $crate::testing::insta::assert_snapshot!($crate::testing::snapshot($graph).text(), @$snapshot)
    };
    ($graph:expr $(,)?) => {
        $crate::testing::insta::assert_snapshot!($crate::testing::snapshot($graph).text())
    };
}

/// A graph as it is to be compared: which print of the text form, for which platform, with what masked.
#[derive(Clone, Debug)]
pub struct Snapshot {
    graph: Graph,
    options: MarshalOptions,
    is_full: bool,
    masks: Vec<Mask>,
}

#[derive(Clone, Debug)]
enum Graph {
    State(State),
    Definition(Definition),
}

#[derive(Clone, Debug)]
enum Mask {
    Tags,
    Digests,
    Text(String, String),
}

/// A graph as a snapshot, for `linux/amd64` if it is a state.
pub fn snapshot(graph: impl Into<Snapshot>) -> Snapshot {
    graph.into()
}

impl Snapshot {
    fn new(graph: Graph) -> Self {
        Self {
            graph,
            options: MarshalOptions::linux_amd64(),
            is_full: false,
            masks: Vec::new(),
        }
    }

    /// The graph for another platform; nothing for a definition, which has its platforms.
    #[must_use = "this returns the changed snapshot"]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.options = self.options.platform(platform);
        self
    }

    /// The graph as other options marshal it; nothing for a definition.
    #[must_use = "this returns the changed snapshot"]
    pub fn options(mut self, options: MarshalOptions) -> Self {
        self.options = options;
        self
    }

    /// Everything that is in the graph, also capabilities and places in source files.
    #[must_use = "this returns the changed snapshot"]
    pub fn full(mut self) -> Self {
        self.is_full = true;
        self
    }

    /// Masks the tags of images as `[tag]`.
    #[must_use = "this returns the changed snapshot"]
    pub fn without_tags(mut self) -> Self {
        self.masks.push(Mask::Tags);
        self
    }

    /// Masks digests as `[digest]`, wherever they are: of images, of downloads, of long files.
    #[must_use = "this returns the changed snapshot"]
    pub fn without_digests(mut self) -> Self {
        self.masks.push(Mask::Digests);
        self
    }

    /// Replaces a text, wherever it is in the print.
    ///
    /// ```
    /// use llb::prelude::*;
    /// use llb::testing::snapshot;
    ///
    /// let version = "1.4.2-rc.3";
    /// let state = scratch().mkfile("/VERSION", 0o644, version);
    /// assert!(snapshot(state).replace(version, "[version]").to_string().contains("0644 \"[version]\""));
    /// ```
    #[must_use = "this returns the changed snapshot"]
    pub fn replace(mut self, text: impl Into<String>, with: impl Into<String>) -> Self {
        self.masks.push(Mask::Text(text.into(), with.into()));
        self
    }

    /// The text that is compared.
    ///
    /// # Panics
    ///
    /// The graph has mistakes; the message lists all of them. [`Snapshot::try_text`] gives them instead.
    #[track_caller]
    pub fn text(&self) -> String {
        match self.try_text() {
            Ok(text) => text,
            Err(error) => panic!("failed to marshal the graph: {error}"),
        }
    }

    /// The text that is compared, or the mistakes in the graph.
    pub fn try_text(&self) -> Result<String, Error> {
        let print = |definition: &Definition| {
            if self.is_full {
                definition.to_full_text()
            } else {
                definition.to_text()
            }
        };
        let text = match &self.graph {
            Graph::State(state) => print(&state.marshal(&self.options)?),
            Graph::Definition(definition) => print(definition),
        };
        Ok(self.masks.iter().fold(text, |text, mask| match mask {
            Mask::Tags => redact::tags(&text),
            Mask::Digests => redact::digests(&text),
            Mask::Text(from, _) if from.is_empty() => text,
            Mask::Text(from, to) => text.replace(from, to),
        }))
    }
}

impl fmt::Display for Snapshot {
    /// The text that is compared; for a graph with mistakes, the mistakes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_text() {
            Ok(text) => formatter.write_str(&text),
            Err(error) => writeln!(formatter, "error: {error}"),
        }
    }
}

impl From<State> for Snapshot {
    fn from(state: State) -> Self {
        Self::new(Graph::State(state))
    }
}

impl From<&State> for Snapshot {
    fn from(state: &State) -> Self {
        state.clone().into()
    }
}

impl From<Definition> for Snapshot {
    fn from(definition: Definition) -> Self {
        Self::new(Graph::Definition(definition))
    }
}

impl From<&Definition> for Snapshot {
    fn from(definition: &Definition) -> Self {
        definition.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_platform_is_that_of_the_whole_graph() {
        let text = snapshot(image("alpine"))
            .platform(Platform::LINUX_ARM64)
            .text();
        assert!(text.starts_with("platform linux/arm64\n"));
    }

    #[test]
    fn a_graph_with_mistakes_has_no_text() {
        let error = snapshot(image("Debian")).try_text().unwrap_err();
        assert_eq!(error.problems().len(), 1);
    }

    #[test]
    fn mistakes_print_as_such() {
        let shown = snapshot(image("Debian")).to_string();
        assert!(shown.starts_with("error: image \"Debian\""), "{shown}");
    }
}
