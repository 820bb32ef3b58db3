//! Contexts: the files a build is given by its user.
//!
//! The rules are those of the Dockerfile frontend (BuildKit's `frontend/dockerui`, August 2026), so that a frontend of
//! one's own takes what `docker build` sends: a local directory, a Git or HTTP address, a graph, and contexts by name.

use super::address::{GitAddress, is_http};
use super::build::Build;
use super::dockerignore;
use super::error::{Error, Result};
use super::reference::Ref;
use super::transport::Method;
use crate::client::{resolve_image_request, resolved_image};
use crate::source::{Differ, Local, ResolveMode, http, local, oci_layout};
use crate::sourcemap::SourceMap;
use crate::state::State;
use crate::value::{ImageRef, Platform};
use crate::{Constrain as _, file};

const IGNORE_FILE: &str = ".dockerignore";
/// The file that a download is, if it is no archive.
const DOWNLOAD: &str = "context";
/// Bytes that tell an archive.
const MAGIC: u64 = 1024;

/// A text file of the author, such as a Dockerfile; made by [`Build::source_file`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceFile {
    /// Its name, as the author knows it.
    pub name: String,
    /// Its content.
    pub text: String,
    /// For places in it: of ops, errors and warnings.
    pub map: SourceMap,
}

/// The main context before anything is left out of it; made by [`Build::main_context`].
#[derive(Clone, Debug)]
pub enum MainContext {
    /// A directory of the client. Patterns decide what of it is sent.
    Directory(Local),
    /// Files of another kind: of a repository, a download or an input.
    Files(State),
}

/// # Files it was given
impl Build {
    /// The main context as it is, whatever its `.dockerignore` says: for looking at single files of it, or for leaving
    /// out something else.
    ///
    /// ```
    /// use llb::gateway::{Build, MainContext, Result};
    ///
    /// async fn model(cx: &mut Build) -> Result<Vec<u8>> {
    ///     let files = match cx.main_context().await? {
    ///         // Nothing else of the directory is sent.
    ///         MainContext::Directory(directory) => directory.follow_paths(["model.toml"]).state(),
    ///         MainContext::Files(state) => state,
    ///     };
    ///     cx.filesystem(files).read_file("model.toml").await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The address cannot be read.
    pub async fn main_context(&self) -> Result<MainContext> {
        if let Some(state) = self.remote_context().await? {
            return Ok(MainContext::Files(state));
        }
        let name = self.option("contextkey").unwrap_or("context");
        let directory = self.local(name, name, "[internal] load build context");
        Ok(MainContext::Directory(directory))
    }

    /// The main context (`docker build PATH` or `URL`): a local directory without what its `.dockerignore` names, a
    /// Git repository, a download, or the input `context`.
    ///
    /// # Errors
    ///
    /// The address cannot be read, or `.dockerignore` has a mistake.
    pub async fn context(&self) -> Result<State> {
        let context = match self.main_context().await? {
            MainContext::Files(state) => return Ok(state),
            MainContext::Directory(directory) => directory,
        };
        let name = self.option("contextkey").unwrap_or("context");
        if self.transport().is_offline() {
            // Nobody can read `.dockerignore` now.
            return Ok(context.state());
        }
        let own = match &self.ignore_file_of_source().await? {
            Some(text) => Some(dockerignore::patterns(text)?),
            None => None,
        };
        let excludes = match own {
            Some(patterns) => patterns,
            None => {
                self.ignored(
                    name,
                    &format!("{name}-{IGNORE_FILE}"),
                    "[internal] load .dockerignore",
                )
                .await?
            }
        };
        Ok(context.exclude(excludes).state())
    }

    /// The file that says what to build (`docker build --file`): that of the option `filename`, or of this name. It is
    /// read from the directory `dockerfile`, or from a remote context.
    ///
    /// # Errors
    ///
    /// There is no such file ([`Error::is_not_found`]), or it is not UTF-8.
    pub async fn source_file(&self, default: &str) -> Result<SourceFile> {
        let name = self.source_name(default);
        let (state, solved) = self.source_directory(&name).await?;
        let text = match solved.read_to_string(&name).await {
            Err(error) if error.is_not_found() => {
                return Err(
                    error.hint(format!("name another file with `--file`, or make `{name}`"))
                );
            }
            text => text?,
        };
        let language = name.rsplit(['/', '.']).next().unwrap_or_default();
        let map = SourceMap::new(&name, language, text.as_bytes()).with_state(state);
        Ok(SourceFile { name, text, map })
    }

    /// The names of the contexts beside the main one (`docker build --build-context name=...`).
    pub fn named_contexts(&self) -> impl Iterator<Item = &str> {
        self.with_prefix("context:").map(|(name, _)| name)
    }

    /// A context by its name: an image with its config, a local directory, a Git repository, a download, or an input.
    /// `None` if none of that name was given.
    ///
    /// # Errors
    ///
    /// What was given cannot be read or is not there.
    pub async fn named_context(&self, name: &str) -> Result<Option<State>> {
        self.named_context_for(name, self.platform()).await
    }

    /// A context by its name, for a platform.
    ///
    /// # Errors
    ///
    /// As [`named_context`](Self::named_context).
    pub async fn named_context_for(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Result<Option<State>> {
        let name = match ImageRef::parse(name) {
            Ok(reference) => familiar(&reference),
            Err(_) => name.to_owned(),
        };
        let with_platform = format!("{name}::{platform}");
        let found = [with_platform, name]
            .into_iter()
            .find_map(|name| Some((self.option(&format!("context:{name}"))?, name)));
        let Some((given, name)) = found else {
            return Ok(None);
        };
        let state = self.load(&name, given, platform).await;
        state
            .map(Some)
            .map_err(|error| error.context(format!("context {name}")))
    }

    async fn load(&self, name: &str, given: &str, platform: &Platform) -> Result<State> {
        let (kind, rest) = given
            .split_once(':')
            .ok_or_else(|| unknown_context(given))?;
        match kind {
            "docker-image" => match rest.trim_start_matches("//") {
                "scratch" => Ok(State::scratch()),
                reference => self.pinned_image(reference, platform).await,
            },
            "local" => {
                let hint = format!("context:{name}-{IGNORE_FILE}");
                let excludes = self
                    .ignored(rest, &hint, &format!("[context {name}] load {IGNORE_FILE}"))
                    .await?;
                let hint = format!("context:{name}");
                let directory =
                    self.local(rest, &hint, &format!("[context {name}] load from client"));
                Ok(directory.exclude(excludes).state())
            }
            "input" => self
                .input(rest)
                .await?
                .ok_or_else(|| Error::msg(format!("there is no input {rest:?}"))),
            "oci-layout" => {
                self.layout(name, rest.trim_start_matches("//"), platform)
                    .await
            }
            _ => match GitAddress::parse(given)? {
                Some(address) => Ok(address.state(given)),
                None if is_http(given) => Ok(http(given)
                    .filename(DOWNLOAD)
                    .name(format!("[context {name}] {given}"))
                    .state()),
                None => Err(unknown_context(given)),
            },
        }
    }

    /// An image of a layout that the client serves.
    async fn layout(&self, name: &str, reference: &str, platform: &Platform) -> Result<State> {
        let (store, digest) = reference
            .rsplit_once('@')
            .ok_or_else(|| Error::msg(format!("the OCI layout {reference:?} has no digest")))?;
        // The tag that the client has found the digest by says nothing more.
        let store = store_name(store);
        let named = ImageRef::parse(name)?;
        let pinned = format!("{}@{digest}", named.name());
        let parsed = ImageRef::parse(&pinned)?;
        let mut request = resolve_image_request(&parsed, platform, ResolveMode::Default);
        // 1 is the layout of a session, 0 a registry.
        request.resolver_type = 1;
        self.session_id().clone_into(&mut request.session_id);
        store.clone_into(&mut request.store_id);
        let what = || format!("looking up {digest} in the OCI layout");
        let answer = self.call(Method::ResolveImageConfig, &request, what).await;
        let answer = answer.map_err(|error| {
            if error.to_string().contains("unknown scheme oci-layout") {
                return error.hint("Docker engines read OCI layouts only with containerd's image store; give the image as docker-image://NAME");
            }
            error
        })?;
        let found = resolved_image(parsed.as_str(), answer);
        let image = oci_layout(parsed.as_str())
            .store(self.session_id(), store)
            .platform(platform.clone())
            .name(format!("[context {name}] OCI load from client"));
        Ok(image.state().with_image_config(&found.config)?)
    }

    /// The main context if it is no local directory.
    async fn remote_context(&self) -> Result<Option<State>> {
        let key = self.option("contextkey").unwrap_or("context");
        let given = self.option(key).unwrap_or_default();
        let state = if let Some(address) = GitAddress::parse(given)? {
            let address = match self.build_arg("BUILDKIT_CONTEXT_KEEP_GIT_DIR") {
                Some("1" | "true") => address.keep_git_dir(),
                _ => address,
            };
            address.state(&format!("[internal] load git source {given}"))
        } else if is_http(given) {
            self.download(given).await?
        } else {
            match self.input("context").await? {
                Some(state) => state,
                None => return Ok(None),
            }
        };
        Ok(Some(match self.option("contextsubdir") {
            Some(directory) => {
                State::scratch().file(file::copy(state, directory, "/").contents_only())
            }
            None => state,
        }))
    }

    /// A download: the files of an archive, or the one file it is.
    async fn download(&self, url: &str) -> Result<State> {
        let state = http(url)
            .filename(DOWNLOAD)
            .name("[internal] load remote build context")
            .state();
        let start = self
            .filesystem(&state)
            .read_range(DOWNLOAD, ..MAGIC)
            .await?;
        if is_archive(&start) {
            let unpacked = file::copy(state, format!("/{DOWNLOAD}"), "/").attempt_unpack();
            return Ok(State::scratch().file(unpacked));
        }
        Ok(state)
    }

    fn source_name(&self, default: &str) -> String {
        let url = self.option(self.option("contextkey").unwrap_or("context"));
        match self.option("filename").filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            // A download that is no archive is the file itself.
            None if url.is_some_and(is_http) && default.is_empty() => DOWNLOAD.to_owned(),
            None => default.to_owned(),
        }
    }

    /// The directory that has the file which says what to build.
    async fn source_directory(&self, name: &str) -> Result<(State, Ref)> {
        let forced = self.option("dockerfilekey");
        if forced.is_none() {
            let mut given = self.input("dockerfile").await?;
            let key = self.option("contextkey").unwrap_or("context");
            let context = self.option(key).unwrap_or_default();
            let is_remote = GitAddress::parse(context)?.is_some() || is_http(context);
            if given.is_none() && is_remote {
                given = self.remote_context().await?;
            }
            if let Some(state) = given {
                let solved = self.solve(&state).await?;
                return Ok((state, solved));
            }
        }
        let key = forced.unwrap_or("dockerfile");
        let state = self
            .local(
                key,
                key,
                &format!("[internal] load build definition from {name}"),
            )
            .follow_paths([name.to_owned(), format!("{name}{IGNORE_FILE}")])
            .differ(Differ::None, false)
            .state();
        let solved = self.solve(&state).await?;
        Ok((state, solved))
    }

    /// The ignore file that belongs to the file which says what to build: `Dockerfile.dockerignore`.
    async fn ignore_file_of_source(&self) -> Result<Option<String>> {
        let Some(name) = self.option("filename").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let name = name.to_owned();
        let (_, solved) = self.source_directory(&name).await?;
        match solved.read_to_string(&format!("{name}{IGNORE_FILE}")).await {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the ignore file of a local directory names.
    async fn ignored(&self, directory: &str, hint: &str, name: &str) -> Result<Vec<String>> {
        let file = self
            .local(directory, hint, name)
            .follow_paths([IGNORE_FILE])
            .differ(Differ::None, false);
        let solved = self.solve(file).await?;
        // A directory that is not there is a mistake, a file in it that is not there is none.
        solved.evaluate().await?;
        match solved.read_to_string(IGNORE_FILE).await {
            Ok(text) => dockerignore::patterns(&text),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn local(&self, name: &str, hint: &str, title: &str) -> Local {
        let directory = local(name).shared_key_hint(hint).name(title);
        match self.option(&format!("local-sessionid:{name}")) {
            Some(session) => directory.session(session),
            None => directory,
        }
    }
}

fn unknown_context(given: &str) -> Error {
    Error::msg(format!("{given:?} is no context")).hint(
        "a context is docker-image://NAME, oci-layout://NAME@DIGEST, local:NAME, input:NAME, or an address of Git or HTTP",
    )
}

/// A reference as people write it: without `docker.io/library/` and `:latest`.
fn familiar(reference: &ImageRef) -> String {
    let text = reference.as_str();
    let text = text.strip_prefix("docker.io/").unwrap_or(text);
    let text = text.strip_prefix("library/").unwrap_or(text);
    text.strip_suffix(":latest").unwrap_or(text).to_owned()
}

/// The name of a store, without a tag behind it.
fn store_name(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => text,
    }
}

/// Whether bytes begin an archive that a context can be: compressed, or tar as it is.
fn is_archive(start: &[u8]) -> bool {
    const COMPRESSED: [&[u8]; 3] = [b"BZh", &[0x1f, 0x8b, 8], &[0xfd, b'7', b'z', b'X', b'Z', 0]];
    COMPRESSED.iter().any(|magic| start.starts_with(magic)) || start.get(257..262) == Some(b"ustar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_people_write() {
        for (name, expected) in [
            ("debian", "debian"),
            ("debian:latest", "debian"),
            ("docker.io/library/debian:12", "debian:12"),
            ("me/app", "me/app"),
            ("example.com/a:latest", "example.com/a"),
        ] {
            assert_eq!(familiar(&ImageRef::parse(name).unwrap()), expected);
        }
    }

    #[test]
    fn stores_are_named_without_tags() {
        for (text, name) in [
            ("voqe56mr:latest", "voqe56mr"),
            ("images", "images"),
            ("host:5000/images", "host:5000/images"),
        ] {
            assert_eq!(store_name(text), name);
        }
    }

    #[test]
    fn archives_are_told_by_their_first_bytes() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(is_archive(&tar) && is_archive(b"\x1f\x8b\x08x") && is_archive(b"BZh9"));
        assert!(!is_archive(b"FROM debian") && !is_archive(b""));
    }
}
