//! The project's own files.

use llb::{Constrain, file, local};

use super::Tree;

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
