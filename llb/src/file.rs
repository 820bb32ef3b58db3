//! Actions on files: make, copy, link and remove without running a command.
//!
//! A chain of actions is one op. Relative paths are joined to the working directory of the state the chain is applied
//! to; see [`State::file`](crate::State::file).
//!
//! ```
//! use llb::prelude::*;
//!
//! let etc = mkdir("/etc/app", 0o755).parents().mkfile("/etc/app/config", 0o644, "debug = false\n").owner("app");
//! let state = image("debian").file(etc);
//! ```

use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crate::constraints::{Constrain, Constraints};
use crate::state::State;
use crate::value::user::Owner;

/// A chain of file actions; `Last` is the kind of the last one, which options apply to.
///
/// ```
/// use llb::prelude::*;
///
/// let files = mkdir("/srv/app", 0o750).parents().owner("app:app").created(0)
///     .mkfile("/srv/app/env", 0o600, "DEBUG=1\n").owner((1000, 1000))
///     .symlink("../app/env", "/srv/env")
///     .rm("/srv/*.tmp").allow_wildcard().allow_not_found();
/// assert_eq!(image("debian").file(files).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %mkdir-app = file {
///   on %debian
///   mkdir "/srv/app" 0750 parents owner=app:app created=0
///   mkfile "/srv/app/env" 0600 owner=1000:1000 "DEBUG=1\n"
///   symlink "/srv/env" => "../app/env"
///   rm "/srv/*.tmp" allow-not-found allow-wildcard
/// }
/// return %mkdir-app
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
#[must_use = "actions do nothing until they are applied with `State::file`"]
pub struct FileActions<Last> {
    pub(crate) actions: Vec<Action>,
    pub(crate) constraints: Constraints,
    pub(crate) location: &'static Location<'static>,
    last: PhantomData<fn() -> Last>,
}

/// Marks a chain that ends in a new directory.
#[derive(Clone, Copy, Debug)]
pub enum Mkdir {}

/// Marks a chain that ends in a new file.
#[derive(Clone, Copy, Debug)]
pub enum Mkfile {}

/// Marks a chain that ends in a symbolic link.
#[derive(Clone, Copy, Debug)]
pub enum Symlink {}

/// Marks a chain that ends in a removal.
#[derive(Clone, Copy, Debug)]
pub enum Rm {}

/// Marks a chain that ends in a copy.
#[derive(Clone, Copy, Debug)]
pub enum Copy {}

/// Marks a chain that ends in any action, or has none yet.
#[derive(Clone, Copy, Debug)]
pub enum Any {}

/// Kinds of actions whose result has an owner and a time.
pub trait MakesFiles: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! makes_files {
    ($($kind:ty),*) => {$(
        impl sealed::Sealed for $kind {}
        impl MakesFiles for $kind {}
    )*};
}
makes_files!(Mkdir, Mkfile, Symlink, Copy);

/// One action as the user said it; paths are resolved when it is applied.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) kind: ActionKind,
    pub(crate) owner: Option<Owner>,
    pub(crate) created: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) enum ActionKind {
    Mkdir {
        path: String,
        mode: u32,
        parents: bool,
    },
    Mkfile {
        path: String,
        mode: u32,
        data: Vec<u8>,
    },
    Symlink {
        old: String,
        new: String,
    },
    Rm {
        path: String,
        allow_not_found: bool,
        allow_wildcard: bool,
    },
    Copy(Box<CopyOptions>),
}

#[derive(Clone, Debug)]
pub(crate) struct CopyOptions {
    pub(crate) from: CopySource,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) mode: Option<i32>,
    pub(crate) mode_text: String,
    pub(crate) follow_symlinks: bool,
    pub(crate) contents_only: bool,
    pub(crate) attempt_unpack: bool,
    pub(crate) create_destination: bool,
    pub(crate) allow_wildcard: bool,
    pub(crate) allow_empty_wildcard: bool,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) always_replace: bool,
    pub(crate) required: Vec<String>,
}

/// Where a chain without actions begins: this one, or one that it copies from.
pub(crate) fn empty_chain(
    actions: &[Action],
    location: &'static Location<'static>,
) -> Option<&'static Location<'static>> {
    if actions.is_empty() {
        return Some(location);
    }
    actions.iter().find_map(|action| match &action.kind {
        ActionKind::Copy(copy) => match &copy.from {
            CopySource::Actions(bound) => empty_chain(&bound.0.actions, bound.0.location),
            CopySource::State(_) => None,
        },
        _ => None,
    })
}

/// Whether any of the actions copies from a state that is not known yet.
pub(crate) fn reads_deferred(actions: &[Action]) -> bool {
    actions.iter().any(|action| match &action.kind {
        ActionKind::Copy(copy) => match &copy.from {
            CopySource::State(state) => state.is_deferred(),
            CopySource::Actions(bound) => {
                bound.0.state.is_deferred() || reads_deferred(&bound.0.actions)
            }
        },
        _ => false,
    })
}

/// What a copy reads: a state, or the result of other actions on a state.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// The file system of a state.
    State(State),
    /// The result of actions, in the same op; made by [`FileActions::on`].
    Actions(BoundActions),
}

/// Actions applied to a state inside the op that copies from them. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct BoundActions(pub(crate) Arc<Bound>);

#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) state: State,
    pub(crate) actions: Vec<Action>,
    pub(crate) location: &'static Location<'static>,
}

/// No actions yet: the beginning of a chain whose length is not known.
///
/// ```
/// use llb::file;
/// use llb::prelude::*;
///
/// let hosts = ["a", "b"];
/// let files = hosts.iter().fold(file::actions(), |files, host| {
///     files.mkfile(format!("/etc/hosts.d/{host}"), 0o644, "").any()
/// });
/// assert_eq!(scratch().file(files).to_text(), r#"
/// %mkfile-a = file {
///   mkfile "/etc/hosts.d/a" 0644 ""
///   mkfile "/etc/hosts.d/b" 0644 ""
/// }
/// return %mkfile-a
/// "#.trim_start());
/// ```
///
/// A chain that still has no actions when it is applied is a mistake.
#[track_caller]
pub fn actions() -> FileActions<Any> {
    FileActions::empty()
}

/// Makes a directory with these permission bits (octal).
#[track_caller]
pub fn mkdir(path: impl Into<String>, mode: u32) -> FileActions<Mkdir> {
    FileActions::<Mkdir>::empty().mkdir(path, mode)
}

/// Makes a file with these permission bits (octal) and this content.
#[track_caller]
pub fn mkfile(path: impl Into<String>, mode: u32, data: impl Into<Vec<u8>>) -> FileActions<Mkfile> {
    FileActions::<Mkfile>::empty().mkfile(path, mode, data)
}

/// Makes a symbolic link at `new` that leads to `old`; neither path is changed.
#[track_caller]
pub fn symlink(old: impl Into<String>, new: impl Into<String>) -> FileActions<Symlink> {
    FileActions::<Symlink>::empty().symlink(old, new)
}

/// Removes a file, or a directory with all that is in it.
#[track_caller]
pub fn rm(path: impl Into<String>) -> FileActions<Rm> {
    FileActions::<Rm>::empty().rm(path)
}

/// Copies a path of a state.
///
/// A destination that ends in `/` is a directory to copy into.
#[track_caller]
pub fn copy(
    from: impl Into<CopySource>,
    source: impl Into<String>,
    destination: impl Into<String>,
) -> FileActions<Copy> {
    FileActions::<Copy>::empty().copy(from, source, destination)
}

/// # Chaining
impl<Last> FileActions<Last> {
    #[track_caller]
    fn empty() -> Self {
        Self {
            actions: Vec::new(),
            constraints: Constraints::default(),
            location: Location::caller(),
            last: PhantomData,
        }
    }

    fn push<Next>(mut self, kind: ActionKind) -> FileActions<Next> {
        self.actions.push(Action {
            kind,
            owner: None,
            created: None,
        });
        self.ending_in()
    }

    fn ending_in<Next>(self) -> FileActions<Next> {
        FileActions {
            actions: self.actions,
            constraints: self.constraints,
            location: self.location,
            last: PhantomData,
        }
    }

    /// The same chain, whatever it ends in, for variables that hold chains of several kinds.
    pub fn any(self) -> FileActions<Any> {
        self.ending_in()
    }

    /// Then makes a directory with these permission bits (octal).
    pub fn mkdir(self, path: impl Into<String>, mode: u32) -> FileActions<Mkdir> {
        self.push(ActionKind::Mkdir {
            path: path.into(),
            mode,
            parents: false,
        })
    }

    /// Then makes a file with these permission bits (octal) and this content.
    pub fn mkfile(
        self,
        path: impl Into<String>,
        mode: u32,
        data: impl Into<Vec<u8>>,
    ) -> FileActions<Mkfile> {
        self.push(ActionKind::Mkfile {
            path: path.into(),
            mode,
            data: data.into(),
        })
    }

    /// Then makes a symbolic link at `new` that leads to `old`.
    pub fn symlink(self, old: impl Into<String>, new: impl Into<String>) -> FileActions<Symlink> {
        self.push(ActionKind::Symlink {
            old: old.into(),
            new: new.into(),
        })
    }

    /// Then removes a file, or a directory with all that is in it.
    pub fn rm(self, path: impl Into<String>) -> FileActions<Rm> {
        self.push(ActionKind::Rm {
            path: path.into(),
            allow_not_found: false,
            allow_wildcard: false,
        })
    }

    /// Then copies a path of a state.
    pub fn copy(
        self,
        from: impl Into<CopySource>,
        source: impl Into<String>,
        destination: impl Into<String>,
    ) -> FileActions<Copy> {
        self.push(ActionKind::Copy(Box::new(CopyOptions {
            from: from.into(),
            source: source.into(),
            destination: destination.into(),
            mode: None,
            mode_text: String::new(),
            follow_symlinks: false,
            contents_only: false,
            attempt_unpack: false,
            create_destination: false,
            allow_wildcard: false,
            allow_empty_wildcard: false,
            include: Vec::new(),
            exclude: Vec::new(),
            always_replace: false,
            required: Vec::new(),
        })))
    }

    /// These actions on a state, to copy from them in another chain: `FileAction.WithState` of `client/llb`.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let made = mkfile("/motd", 0o644, "hello\n").on(scratch());
    /// let state = image("debian").file(copy(made, "/motd", "/etc/motd"));
    /// assert_eq!(state.marshal(&MarshalOptions::linux_amd64())?.ops().len(), 3);
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn on(self, state: impl Into<State>) -> BoundActions {
        BoundActions(Arc::new(Bound {
            state: state.into(),
            actions: self.actions,
            location: self.location,
        }))
    }

    fn last(&mut self) -> &mut Action {
        self.actions
            .last_mut()
            .expect("a chain begins with an action")
    }
}

impl<Last> Constrain for FileActions<Last> {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

/// # Options of whatever makes files
impl<Last: MakesFiles> FileActions<Last> {
    /// Who owns the result: `user`, `user:group`, names or ids, as in `chown`; or an [`Owner`].
    pub fn owner(mut self, owner: impl IntoOwner) -> Self {
        self.last().owner = Some(owner.into_owner());
        self
    }

    /// The modification time, in nanoseconds since 1970; the time of the build if not given.
    pub fn created(mut self, nanoseconds: i64) -> Self {
        self.last().created = Some(nanoseconds);
        self
    }
}

/// What names an owner: text as in `chown`, a pair of ids, or an [`Owner`].
pub trait IntoOwner {
    /// The owner.
    fn into_owner(self) -> Owner;
}

impl IntoOwner for &str {
    fn into_owner(self) -> Owner {
        Owner::parse(self)
    }
}

impl IntoOwner for (u32, u32) {
    fn into_owner(self) -> Owner {
        Owner::ids(self.0, self.1)
    }
}

impl IntoOwner for Owner {
    fn into_owner(self) -> Owner {
        self
    }
}

/// # Options of `mkdir`
impl FileActions<Mkdir> {
    /// Makes missing parents too, and does not mind a directory that is there already.
    pub fn parents(mut self) -> Self {
        if let ActionKind::Mkdir { parents, .. } = &mut self.last().kind {
            *parents = true;
        }
        self
    }
}

/// # Options of `rm`
impl FileActions<Rm> {
    /// Does not mind a path that is not there.
    pub fn allow_not_found(mut self) -> Self {
        if let ActionKind::Rm {
            allow_not_found, ..
        } = &mut self.last().kind
        {
            *allow_not_found = true;
        }
        self
    }

    /// Removes everything that matches the path as a pattern.
    pub fn allow_wildcard(mut self) -> Self {
        if let ActionKind::Rm { allow_wildcard, .. } = &mut self.last().kind {
            *allow_wildcard = true;
        }
        self
    }
}

/// # Options of `copy`
///
/// ```
/// use llb::prelude::*;
/// use llb::value::{Owner, UserOpt};
///
/// let files = copy(local("context"), "*.conf", "/etc/app/")
///     .allow_wildcard()
///     .allow_empty_wildcard()
///     .include(["*.conf"])
///     .exclude(["test.conf"])
///     .required_paths(["app.conf"])
///     .follow_symlinks()
///     .contents_only()
///     .create_destination()
///     .attempt_unpack()
///     .always_replace_existing()
///     .chmod("u=rw,go=r")
///     .owner(Owner { user: Some(UserOpt::Id(0)), group: Some(UserOpt::Name("adm".into())) })
///     .created(0);
/// assert_eq!(image("debian").file(files).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %context = local "context"
/// %copy-.conf = file {
///   on %debian
///   copy %context "/*.conf" => "/etc/app/" chmod="u=rw,go=r" owner=0:adm created=0 follow-symlinks contents-only attempt-unpack create-destination allow-wildcard allow-empty-wildcard always-replace include="*.conf" exclude="test.conf" required="app.conf"
/// }
/// return %copy-.conf
/// "#.trim_start());
/// ```
impl FileActions<Copy> {
    fn option(mut self, set: impl FnOnce(&mut CopyOptions)) -> Self {
        if let ActionKind::Copy(copy) = &mut self.last().kind {
            set(copy);
        }
        self
    }

    /// Permission bits of everything copied (octal); as in the source if not given. Replaces what
    /// [`chmod`](Self::chmod) said before.
    ///
    /// The number is written as given. Without bits for set-user-id, set-group-id and sticky it is what it is on Unix;
    /// those have places of their own in Go's file modes, which `client/llb` hands on: say them with `chmod`.
    pub fn mode(self, mode: i32) -> Self {
        self.option(|copy| {
            copy.mode = Some(mode);
            copy.mode_text.clear();
        })
    }

    /// Permissions of everything copied, as `chmod` takes them: `u=rw,go=r` or `0644`. Replaces what
    /// [`mode`](Self::mode) said before.
    pub fn chmod(self, mode: impl Into<String>) -> Self {
        self.option(|copy| {
            copy.mode = Some(0);
            copy.mode_text = mode.into();
        })
    }

    /// Copies what a symbolic link leads to instead of the link, if the source path is one.
    pub fn follow_symlinks(self) -> Self {
        self.option(|copy| copy.follow_symlinks = true)
    }

    /// Copies the content of the source directory instead of the directory.
    pub fn contents_only(self) -> Self {
        self.option(|copy| copy.contents_only = true)
    }

    /// Unpacks the source if it is an archive.
    pub fn attempt_unpack(self) -> Self {
        self.option(|copy| copy.attempt_unpack = true)
    }

    /// Makes missing parents of the destination.
    pub fn create_destination(self) -> Self {
        self.option(|copy| copy.create_destination = true)
    }

    /// Copies everything that matches the source path as a pattern.
    pub fn allow_wildcard(self) -> Self {
        self.option(|copy| copy.allow_wildcard = true)
    }

    /// Does not mind a pattern that matches nothing.
    pub fn allow_empty_wildcard(self) -> Self {
        self.option(|copy| copy.allow_empty_wildcard = true)
    }

    /// Copies only what matches one of these patterns (`.dockerignore` syntax). Adds to those given before.
    pub fn include<S: Into<String>>(self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.option(|copy| copy.include.extend(patterns.into_iter().map(Into::into)))
    }

    /// Copies nothing that matches one of these patterns (`.dockerignore` syntax). Adds to those given before.
    pub fn exclude<S: Into<String>>(self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.option(|copy| copy.exclude.extend(patterns.into_iter().map(Into::into)))
    }

    /// Fails unless these paths are there. Adds to those given before.
    pub fn required_paths<S: Into<String>>(self, paths: impl IntoIterator<Item = S>) -> Self {
        self.option(|copy| copy.required.extend(paths.into_iter().map(Into::into)))
    }

    /// Replaces what is at the destination, also a directory by a file.
    pub fn always_replace_existing(self) -> Self {
        self.option(|copy| copy.always_replace = true)
    }
}

impl<S: Into<State>> From<S> for CopySource {
    fn from(state: S) -> Self {
        Self::State(state.into())
    }
}

impl From<BoundActions> for CopySource {
    fn from(actions: BoundActions) -> Self {
        Self::Actions(actions)
    }
}
