//! What a definition tells of the program that made it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a definition tells of the lines of the program that made its ops.
///
/// Locations stand beside the ops and never change a digest.
///
/// ```
/// use llb::prelude::*;
/// use llb::CallerLocations;
///
/// fn tools(base: State) -> State {
///     base.run(sh("apt-get install -y git"))
/// }
/// let state = image("debian").layer(tools);
/// let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
/// let definition = state.marshal(&options)?;
/// let exec = &definition.ops()[1];
/// // The line that put the layer on the state, then the line in the layer.
/// let lines: Vec<_> = exec.locations().map(|(_, ranges)| ranges[0].start.unwrap().line).collect();
/// assert_eq!(lines.len(), 2);
/// assert!(lines[0] > lines[1]);
/// assert_eq!(definition.head(), state.marshal(&MarshalOptions::linux_amd64())?.head());
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallerLocations {
    /// Nothing.
    #[default]
    Off,
    /// File name, line and column: of the layers that the op is made in, outermost first, and of the op itself, last.
    ///
    /// File names are those that the compiler knows; files of crates from a registry are named by crate and version.
    Positions,
    /// As [`Positions`](Self::Positions), with the text of the program's files, so that whoever shows the failed step
    /// can show the lines. Provenance publishes the text.
    Full(SourceTexts),
}

/// The texts of a program's files, by the names that the compiler knows them by.
///
/// Building graphs reads no files, so the program hands them over: `include_str!` puts them into the program. Where the
/// program runs beside its sources, `Solve::source_texts` of the client reads them instead.
///
/// ```
/// use llb::prelude::*;
/// use llb::{CallerLocations, SourceTexts};
///
/// let text = "fn main() {}\n"; // In most programs: `include_str!("main.rs")`.
/// let texts = SourceTexts::new().with(file!(), text);
/// let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Full(texts));
/// let definition = image("debian").marshal(&options)?;
/// assert_eq!(definition.source_infos()[0].data(), text.as_bytes());
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTexts(Arc<BTreeMap<String, Vec<u8>>>);

impl SourceTexts {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of a file. Its name is what `file!()` gives in it.
    #[must_use = "this returns the larger collection"]
    pub fn with(mut self, filename: &str, text: impl Into<Vec<u8>>) -> Self {
        Arc::make_mut(&mut self.0).insert(public_name(filename).to_owned(), text.into());
        self
    }

    /// The text of a file.
    pub fn get(&self, filename: &str) -> Option<&[u8]> {
        self.0.get(public_name(filename)).map(Vec::as_slice)
    }
}

impl CallerLocations {
    /// The text of a file; empty if it is not to be told or not known.
    pub(crate) fn text(&self, filename: &str) -> &[u8] {
        match self {
            Self::Full(texts) => texts.get(filename).unwrap_or_default(),
            Self::Off | Self::Positions => &[],
        }
    }
}

/// The name of a file without what only this machine has: where Cargo keeps the sources of crates.
pub(crate) fn public_name(filename: &str) -> &str {
    for (kept, levels) in [("/registry/src/", 1), ("/git/checkouts/", 2)] {
        if let Some((_, rest)) = filename.split_once(kept) {
            return rest.splitn(levels + 1, '/').last().unwrap_or(rest);
        }
    }
    filename
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_crates_are_named_without_the_folders_of_this_machine() {
        for (known, public) in [
            ("src/main.rs", "src/main.rs"),
            (
                "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/apt-1.2.0/src/lib.rs",
                "apt-1.2.0/src/lib.rs",
            ),
            (
                "/home/me/.cargo/git/checkouts/layers-0123456789abcdef/89abcde/src/lib.rs",
                "src/lib.rs",
            ),
        ] {
            assert_eq!(public_name(known), public);
        }
    }
}
