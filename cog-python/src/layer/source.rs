//! The project's own files.

use llb::{Constrain, Local, State, file, local};

use super::Tree;

/// Where the files of a project are. The default is the client's folder `context`.
#[derive(Clone, Debug)]
pub enum Context {
    /// A folder of the client; only what a step asks for is sent.
    Folder(Local),
    /// Files that the builder has: of a repository, of an archive, of another build.
    Files(State),
}

impl Context {
    /// Nothing but these paths, for reading them.
    #[track_caller]
    pub(super) fn only(&self, paths: &[String], name: &str) -> State {
        match self {
            Self::Folder(folder) => {
                // A hint of its own: what was sent of the whole folder stays what it is.
                let hint = paths.join(" ");
                let paths = paths.iter().map(String::as_str);
                let folder = folder.clone().include(paths).shared_key_hint(hint);
                folder.name(name).state()
            }
            Self::Files(files) => files.clone(),
        }
    }

    /// Everything but what matches a pattern (`.dockerignore` form).
    #[track_caller]
    fn without<S: Into<String>>(&self, patterns: impl IntoIterator<Item = S>, name: &str) -> State {
        match self {
            Self::Folder(folder) => folder.clone().exclude(patterns).name(name).state(),
            Self::Files(files) => {
                let copy = file::copy(files, "/", "/").contents_only();
                llb::scratch().file(copy.exclude(patterns).name(name))
            }
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::from("context")
    }
}

impl From<&str> for Context {
    /// A folder of the client, by the name that the client has for it.
    fn from(name: &str) -> Self {
        Self::Folder(local(name).shared_key_hint(name))
    }
}

/// Files and folders of a project, to be mounted into a step; a change of others does not touch it.
///
/// An empty path is all of it, except for what never belongs to an image.
#[track_caller]
pub fn project(context: impl Into<Context>, paths: &[String]) -> State {
    const NAME: &str = "read files of the project";
    let context = context.into();
    if paths.iter().any(String::is_empty) {
        return context.without(crate::plan::EXCLUDED, NAME);
    }
    context.only(paths, NAME)
}

/// The same, for steps that write next to them; what they write is dropped. A step is cached by the content of what it
/// mounts only where it cannot write to it, or where a file operation made it.
#[track_caller]
pub(super) fn writable_project(context: Context, paths: &[String]) -> State {
    let files = project(context, paths);
    let copy = file::copy(&files, "/", "/").contents_only();
    llb::scratch().file(copy.name("copy files of the project for a step"))
}

/// A tree that holds one file (mode 0644), made of a text.
#[track_caller]
pub fn write(path: &str, text: &str) -> Tree {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let files = file::mkdir(folder, 0o755)
        .parents()
        .mkfile(path, 0o644, text);
    let files = llb::scratch().file(files.name(format!("write {path}")));
    Tree::new(files, folder).settled()
}

/// The files of a project as the builder gets them, without what matches a pattern.
#[track_caller]
pub(super) fn read_project(context: &Context, exclude: &[String]) -> State {
    context.without(exclude.iter().map(String::as_str), "read the project")
}

/// Copies a project, without what matches a pattern (`.dockerignore` form).
///
/// What is left out of a folder of the client is not sent to the builder at all. Files get a fixed time: that of a checkout
/// says nothing, and would make another image of the same project. `config_file`, when it is not called
/// `cog.yaml`, is copied under that name, too.
#[track_caller]
pub fn source(
    context: impl Into<Context>,
    exclude: &[String],
    destination: &str,
    config_file: Option<&str>,
) -> Tree {
    let context = read_project(&context.into(), exclude);
    let mut copy = file::copy(&context, "/", destination)
        .contents_only()
        .create_destination()
        .created(0);
    if let Some(name) = config_file {
        let target = format!("{destination}/cog.yaml");
        copy = copy
            .copy(&context, format!("/{name}"), target)
            .create_destination()
            .created(0);
    }
    Tree::copied(
        copy.name(format!("copy the project to {destination}")),
        destination,
    )
}
