//! Git repositories.

use std::panic::Location;

use super::oci_layout::set_store;
use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;
use crate::value::git::{GitUrl, split_fragment};

/// The secret that BuildKit takes a token for HTTPS from, unless told otherwise.
const AUTH_TOKEN_SECRET: &str = "GIT_AUTH_TOKEN";
/// The secret that BuildKit takes an `Authorization` header for HTTPS from, unless told otherwise.
const AUTH_HEADER_SECRET: &str = "GIT_AUTH_HEADER";

/// A checkout of a repository: any URL that `git clone` takes, or `host/path` for HTTPS.
///
/// A fragment of the URL is dropped; use [`Git::fragment`], or [`Git::reference`] and [`Git::subdir`].
///
/// ```
/// use llb::prelude::*;
///
/// let source = git("https://github.com/moby/buildkit").reference("v0.20.0").subdir("docs");
/// let image = image("debian").copy(source, "/", "/docs");
/// ```
#[track_caller]
pub fn git(url: impl AsRef<str>) -> Git {
    Git {
        url: url.as_ref().to_owned(),
        reference: String::new(),
        subdir: String::new(),
        keep_git_dir: false,
        auth_token_secret: None,
        auth_header_secret: None,
        known_ssh_hosts: String::new(),
        mount_ssh_sock: None,
        checksum: None,
        skip_submodules: false,
        mtime: None,
        fetch_by_commit: false,
        bundle: None,
        bundle_store: (String::new(), String::new()),
        checkout_bundle: false,
        constraints: Constraints::default(),
        location: Location::caller(),
    }
}

/// A checkout of a repository; made by [`git`].
///
/// ```
/// use llb::prelude::*;
///
/// let source = git("https://github.com/moby/buildkit")
///     .reference("v0.20.0")
///     .subdir("docs")
///     .keep_git_dir()
///     .skip_submodules()
///     .checksum("73ed6825c4b7569379ef89df0aedcdbe64473d31")
///     .fetch_by_commit()
///     .mtime("commit")
///     .auth_token_secret("TOKEN")
///     .auth_header_secret("");
/// assert_eq!(source.state().to_text(), r#"
/// %buildkit = source "git://github.com/moby/buildkit#v0.20.0:docs" git.authtokensecret="TOKEN" git.checksum="73ed6825c4b7569379ef89df0aedcdbe64473d31" git.fetchbycommit="true" git.fullurl="https://github.com/moby/buildkit" git.keepgitdir="true" git.mtime="commit" git.skipsubmodules="true"
/// return %buildkit
/// "#.trim_start());
/// ```
///
/// Over ssh, keys of the host and an agent matter:
///
/// ```
/// use llb::prelude::*;
///
/// let source = git("git@github.com:me/repo.git")
///     .fragment("main:src")
///     .known_ssh_hosts("github.com ssh-ed25519 AAAA")
///     .mount_ssh_sock("work");
/// assert_eq!(source.state().to_text(), r#"
/// %repo.git = source "git://github.com/me/repo.git#main:src" git.authheadersecret="GIT_AUTH_HEADER" git.authtokensecret="GIT_AUTH_TOKEN" git.fullurl="git@github.com:me/repo.git" git.knownsshhosts="github.com ssh-ed25519 AAAA\n" git.mountsshsock="work"
/// return %repo.git
/// "#.trim_start());
/// ```
///
/// From a bundle, and as one:
///
/// ```
/// use llb::prelude::*;
///
/// let source = git("https://github.com/me/repo")
///     .checksum("73ed6825c4b7569379ef89df0aedcdbe64473d31")
///     .bundle("oci-layout+blob://x/y@sha256:93dc")
///     .bundle_store("session", "store")
///     .checkout_bundle();
/// assert_eq!(source.state().to_text(), r#"
/// %repo = source "git://github.com/me/repo" git.authheadersecret="GIT_AUTH_HEADER" git.authtokensecret="GIT_AUTH_TOKEN" git.bundle="oci-layout+blob://x/y@sha256:93dc" git.checkoutbundle="true" git.checksum="73ed6825c4b7569379ef89df0aedcdbe64473d31" git.fullurl="https://github.com/me/repo" oci.session="session" oci.store="store"
/// return %repo
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Git {
    url: String,
    reference: String,
    subdir: String,
    keep_git_dir: bool,
    auth_token_secret: Option<String>,
    auth_header_secret: Option<String>,
    known_ssh_hosts: String,
    mount_ssh_sock: Option<String>,
    checksum: Option<String>,
    skip_submodules: bool,
    mtime: Option<String>,
    fetch_by_commit: bool,
    bundle: Option<String>,
    bundle_store: (String, String),
    checkout_bundle: bool,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl Git {
    /// Branch, tag or commit, and a subdirectory behind `:`, as in the fragment of a Docker build context.
    #[must_use = "this returns the changed source"]
    pub fn fragment(mut self, fragment: &str) -> Self {
        let (reference, subdir) = split_fragment(fragment);
        self.subdir = subdir.into_owned();
        reference.clone_into(&mut self.reference);
        self
    }

    /// Branch, tag or commit; the default branch if not given.
    #[must_use = "this returns the changed source"]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    /// Only this directory of the repository.
    #[must_use = "this returns the changed source"]
    pub fn subdir(mut self, subdir: impl Into<String>) -> Self {
        self.subdir = subdir.into();
        self
    }

    /// Keeps the `.git` directory.
    #[must_use = "this returns the changed source"]
    pub fn keep_git_dir(mut self) -> Self {
        self.keep_git_dir = true;
        self
    }

    /// The secret that holds a token for HTTPS; `GIT_AUTH_TOKEN` if not given, none if empty.
    #[must_use = "this returns the changed source"]
    pub fn auth_token_secret(mut self, secret: impl Into<String>) -> Self {
        self.auth_token_secret = Some(secret.into());
        self
    }

    /// The secret that holds an `Authorization` header for HTTPS; `GIT_AUTH_HEADER` if not given, none if empty.
    #[must_use = "this returns the changed source"]
    pub fn auth_header_secret(mut self, secret: impl Into<String>) -> Self {
        self.auth_header_secret = Some(secret.into());
        self
    }

    /// Host keys for ssh, as lines of a `known_hosts` file. Adds to those given before.
    ///
    /// Without them the daemon trusts whatever key it meets: nothing is looked up while a graph is built.
    #[must_use = "this returns the changed source"]
    pub fn known_ssh_hosts(mut self, hosts: impl AsRef<str>) -> Self {
        self.known_ssh_hosts
            .push_str(hosts.as_ref().strip_suffix('\n').unwrap_or(hosts.as_ref()));
        self.known_ssh_hosts.push('\n');
        self
    }

    /// The ssh agent to use, by the id under which the client offers it; `default` if not given.
    #[must_use = "this returns the changed source"]
    pub fn mount_ssh_sock(mut self, id: impl Into<String>) -> Self {
        self.mount_ssh_sock = Some(id.into());
        self
    }

    /// The commit, or the beginning of it, that the reference must lead to.
    #[must_use = "this returns the changed source"]
    pub fn checksum(mut self, commit: impl Into<String>) -> Self {
        self.checksum = Some(commit.into());
        self
    }

    /// Leaves submodules out.
    #[must_use = "this returns the changed source"]
    pub fn skip_submodules(mut self) -> Self {
        self.skip_submodules = true;
        self
    }

    /// Which time files get: `checkout` or `commit`.
    #[must_use = "this returns the changed source"]
    pub fn mtime(mut self, mode: impl Into<String>) -> Self {
        self.mtime = Some(mode.into());
        self
    }

    /// Fetches the commit of [`checksum`](Self::checksum) itself, and not the reference.
    #[must_use = "this returns the changed source"]
    pub fn fetch_by_commit(mut self) -> Self {
        self.fetch_by_commit = true;
        self
    }

    /// Takes the repository from a bundle at this place instead of from its own URL.
    #[must_use = "this returns the changed source"]
    pub fn bundle(mut self, location: impl Into<String>) -> Self {
        self.bundle = Some(location.into());
        self
    }

    /// The session that serves the OCI layout with the bundle, and the name it has there.
    #[must_use = "this returns the changed source"]
    pub fn bundle_store(mut self, session: impl Into<String>, store: impl Into<String>) -> Self {
        self.bundle_store = (session.into(), store.into());
        self
    }

    /// Gives a bundle of the repository instead of a checkout.
    #[must_use = "this returns the changed source"]
    pub fn checkout_bundle(mut self) -> Self {
        self.checkout_bundle = true;
        self
    }

    /// The checkout as a state.
    pub fn state(self) -> State {
        let mut problems = Vec::new();
        let url = GitUrl::parse(&self.url);
        let (identifier, remote, is_ssh) = match &url {
            Ok(url) => (
                url.identifier(&self.reference, &self.subdir),
                url.remote(),
                url.is_ssh(),
            ),
            Err(error) => {
                problems.push(Problem::at(
                    ErrorKind::Source,
                    error.to_string(),
                    self.location,
                ));
                (String::from("git://"), "", false)
            }
        };
        let mut op = SourceOp::new(identifier);
        op.cap(Capability::SourceGit);
        op.cap(Capability::SourceGitFullUrl);
        op.attr("git.fullurl", remote);
        self.set_auth(&mut op);
        if self.keep_git_dir {
            op.attr("git.keepgitdir", "true");
            op.cap(Capability::SourceGitKeepGitDir);
        }
        if is_ssh {
            if !self.known_ssh_hosts.is_empty() {
                op.attr("git.knownsshhosts", &self.known_ssh_hosts);
            }
            op.cap(Capability::SourceGitKnownSshHosts);
            let agent = self.mount_ssh_sock.filter(|agent| !agent.is_empty());
            op.attr("git.mountsshsock", agent.as_deref().unwrap_or("default"));
            op.cap(Capability::SourceGitMountSshSock);
        }
        for (name, capability, value) in [
            (
                "git.checksum",
                Capability::SourceGitChecksum,
                &self.checksum,
            ),
            ("git.mtime", Capability::SourceGitMtime, &self.mtime),
            ("git.bundle", Capability::SourceGitBundle, &self.bundle),
        ] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                op.attr(name, value);
                op.cap(capability);
            }
        }
        for (name, capability, is_set) in [
            (
                "git.skipsubmodules",
                Capability::SourceGitSkipSubmodules,
                self.skip_submodules,
            ),
            (
                "git.fetchbycommit",
                Capability::SourceGitFetchByCommit,
                self.fetch_by_commit,
            ),
            (
                "git.checkoutbundle",
                Capability::SourceGitCheckoutBundle,
                self.checkout_bundle,
            ),
        ] {
            if is_set {
                op.attr(name, "true");
                op.cap(capability);
            }
        }
        let (session, store) = self.bundle_store;
        set_store(&mut op, session, store);
        source_state(op, self.constraints, problems, self.location)
    }

    fn set_auth(&self, op: &mut SourceOp) {
        let token = self
            .auth_token_secret
            .as_deref()
            .unwrap_or(AUTH_TOKEN_SECRET);
        let header = self
            .auth_header_secret
            .as_deref()
            .unwrap_or(AUTH_HEADER_SECRET);
        for (name, secret) in [
            ("git.authtokensecret", token),
            ("git.authheadersecret", header),
        ] {
            if !secret.is_empty() {
                op.attr(name, secret);
            }
        }
        let is_chosen = self.auth_token_secret.is_some() || self.auth_header_secret.is_some();
        if is_chosen && !(token.is_empty() && header.is_empty()) {
            op.cap(Capability::SourceGitHttpAuth);
        }
    }
}

source_builder!(Git);
