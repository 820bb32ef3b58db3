//! The project's own files.

use llb::{Constrain, State, file, local};

use super::Tree;

/// Files and folders of the client, to be mounted into a step; a change of others does not touch it.
///
/// An empty path is all of it, except for what never belongs to an image.
#[track_caller]
pub fn project(context: &str, paths: &[String]) -> State {
    let files = local(context)
        .shared_key_hint(context)
        .name("read files of the project");
    if paths.iter().any(String::is_empty) {
        return files.exclude(crate::plan::EXCLUDED).state();
    }
    files.include(paths.iter().map(String::as_str)).state()
}

/// A tree that holds one file (mode 0644), made of a text.
#[track_caller]
pub fn write(path: &str, text: &str) -> Tree {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let files = file::mkdir(folder, 0o755)
        .parents()
        .mkfile(path, 0o644, text);
    Tree::new(
        llb::scratch().file(files.name(format!("write {path}"))),
        folder,
    )
}

/// Copies a folder of the client, without what matches a pattern (`.dockerignore` form).
///
/// What is left out is not sent to the builder at all. `config_file`, when it is not called
/// `cog.yaml`, is copied under that name, too.
#[track_caller]
pub fn source(
    context: &str,
    exclude: &[String],
    destination: &str,
    config_file: Option<&str>,
) -> Tree {
    let context = local(context)
        .exclude(exclude.iter().map(String::as_str))
        .shared_key_hint(context)
        .name("read the project")
        .state();
    let mut copy = file::copy(&context, "/", destination)
        .contents_only()
        .create_destination();
    if let Some(name) = config_file {
        let target = format!("{destination}/cog.yaml");
        copy = copy
            .copy(&context, format!("/{name}"), target)
            .create_destination();
    }
    Tree::copied(
        copy.name(format!("copy the project to {destination}")),
        destination,
    )
}
