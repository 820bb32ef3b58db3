//! The text of the program's files, for graphs that name them.

use std::path::{Component, Path};

use super::solve::Solve;

impl Solve {
    /// Adds to the graph the text of the program's files that it names without their text, read from a folder or, if
    /// they are not there, from the folders above it. What is not found stays without text.
    ///
    /// A graph names the program's files when it was marshalled with
    /// [`CallerLocations::Positions`](crate::CallerLocations::Positions), by names that are relative to the workspace.
    /// With the text, whoever shows the failed step can show its lines; provenance publishes it.
    ///
    /// ```no_run
    /// use llb::client::Solve;
    /// use llb::prelude::*;
    /// use llb::CallerLocations;
    ///
    /// let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
    /// let state = image("debian").run(sh("make"));
    /// let solve = Solve::state(&state, &options)?.source_texts(env!("CARGO_MANIFEST_DIR"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[must_use = "the settings are in the value returned"]
    pub fn source_texts(mut self, folder: impl AsRef<Path>) -> Self {
        let source = self.definition.as_mut().and_then(|it| it.source.as_mut());
        for info in source.into_iter().flat_map(|source| &mut source.infos) {
            let name = Path::new(&info.filename);
            let is_below = |part: Component<'_>| matches!(part, Component::Normal(_));
            if !info.data.is_empty() || !name.components().all(is_below) {
                continue;
            }
            let mut folders = folder.as_ref().ancestors();
            if let Some(text) = folders.find_map(|folder| std::fs::read(folder.join(name)).ok()) {
                info.data = text.into();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pb;

    #[test]
    fn texts_are_read_from_the_folder_and_those_above_and_nowhere_else() {
        let home = tempfile::tempdir().unwrap();
        let package = home.path().join("package");
        std::fs::create_dir(&package).unwrap();
        std::fs::write(home.path().join("main.rs"), "fn main() {}\n").unwrap();
        let info = |filename: String, data: &'static [u8]| pb::SourceInfo {
            filename,
            data: data.into(),
            ..pb::SourceInfo::default()
        };
        let absolute = home.path().join("main.rs").display().to_string();
        let definition = pb::Definition {
            source: Some(pb::Source {
                infos: vec![
                    info("main.rs".into(), b""),
                    info("main.rs".into(), b"given"),
                    info("../main.rs".into(), b""),
                    info(absolute, b""),
                    info("missing.rs".into(), b""),
                ],
                ..pb::Source::default()
            }),
            ..pb::Definition::default()
        };
        let solve = Solve::definition(definition).source_texts(&package);
        let source = solve.definition.and_then(|it| it.source).unwrap();
        let texts: Vec<_> = source.infos.iter().map(|info| &*info.data).collect();
        let nothing: &[u8] = b"";
        assert_eq!(
            texts,
            [
                b"fn main() {}\n",
                b"given".as_slice(),
                nothing,
                nothing,
                nothing
            ]
        );
    }
}
