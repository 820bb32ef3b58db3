//! A BuildKit in the process of a test.

mod evaluate;
mod script;
mod transport;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use script::CommandResult;

use script::{Script, ScriptedImage};
use tree::Tree;

use crate::gateway::transport::Transport;
use crate::gateway::{Build, Given, Image, Result};
use crate::session::hex;
use crate::state::State;
use crate::value::{CapabilitySet, ImageRef, Platform};

/// A BuildKit for tests: it answers a build function from a script, without a daemon, files or a network.
///
/// Images, local directories and other sources are what the script says they are; file ops, merges and differences are
/// carried out; commands do what their [`CommandResult`] says. What the script does not know is an error that says how
/// to add it, so a test cannot pass by accident.
///
/// ```
/// use llb::gateway::{Build, Image, Result};
/// use llb::prelude::*;
/// use llb::testing::{CommandResult, Double};
///
/// /// Locks the project if it has no lock file yet.
/// async fn build(cx: &mut Build) -> Result<Image> {
///     let source = cx.context().await?;
///     let base = cx.image("python:3.13-slim").await?;
///     let source = match cx.filesystem(&source).exists("/uv.lock").await? {
///         true => source,
///         false => base.exec(sh("uv lock").output("/src", source).dir("/src")).output("/src"),
///     };
///     Ok(base.copy(source, "/", "/src").run(sh("uv sync").dir("/src")).into())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let double = Double::new()
///     .image("python:3.13-slim", r#"{"config":{"Env":["PATH=/usr/bin"]}}"#)
///     .local("context", [("pyproject.toml", "[project]")])
///     .command("uv *", CommandResult::success());
/// let unlocked = double.build(build).await.unwrap();
/// assert!(unlocked.state().to_text().contains("uv lock"));
///
/// let locked = double.local("context", [("uv.lock", "")]).build(build).await.unwrap();
/// llb::assert_graph_snapshot!(llb::testing::snapshot(&locked.state()).without_digests(), @r#"
/// platform linux/amd64
/// %python = source "docker-image://docker.io/library/python:3.13-slim@sha256:[digest]"
/// %internal-load-build-context = local "context" local.sharedkeyhint="context" name="[internal] load build context"
/// %copy-src = file {
///   on %python
///   copy %internal-load-build-context "/" => "/src" contents-only create-destination
/// }
/// %uv-sync = exec "/bin/sh" "-c" "uv sync" cwd=/src {
///   env PATH="/usr/bin"
///   / = %copy-src -> out0
/// }
/// return %uv-sync
/// "#);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Double {
    script: Script,
    options: BTreeMap<String, String>,
    inputs: BTreeMap<String, State>,
    platform: Platform,
    capabilities: CapabilitySet,
}

impl Default for Double {
    fn default() -> Self {
        Self {
            script: Script::default(),
            options: BTreeMap::new(),
            inputs: BTreeMap::new(),
            platform: Platform::LINUX_AMD64,
            capabilities: CapabilitySet::all(),
        }
    }
}

/// # What it answers
impl Double {
    /// A daemon for `linux/amd64` that can do everything and knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An image by its reference, with its config as JSON. Its digest is made of both.
    #[must_use = "this returns the changed double"]
    pub fn image(mut self, reference: &str, config: impl Into<Vec<u8>>) -> Self {
        let reference = normalized(reference);
        let image = self.script.images.entry(reference.clone()).or_default();
        image.config = config.into();
        image.digest = digest_of(&reference, &image.config);
        self
    }

    /// The files of an image, added to those it has.
    #[must_use = "this returns the changed double"]
    pub fn image_files<P: AsRef<str>, C: Into<Vec<u8>>>(
        mut self,
        reference: &str,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        let reference = normalized(reference);
        let image = self
            .script
            .images
            .entry(reference.clone())
            .or_insert_with(|| ScriptedImage {
                config: b"{}".to_vec(),
                digest: digest_of(&reference, b"{}"),
                files: Tree::default(),
            });
        image.files.overlay(&Tree::of(files));
        self
    }

    /// A local directory by its name: `context`, `dockerfile`, or what the graph calls it.
    #[must_use = "this returns the changed double"]
    pub fn local<P: AsRef<str>, C: Into<Vec<u8>>>(
        mut self,
        name: impl Into<String>,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        self.script.directories.insert(name.into(), Tree::of(files));
        self
    }

    /// Any other source by BuildKit's identifier, as it stands in the text of a graph: `git://...`, `https://...`.
    #[must_use = "this returns the changed double"]
    pub fn source<P: AsRef<str>, C: Into<Vec<u8>>>(
        mut self,
        identifier: impl Into<String>,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        self.script
            .sources
            .insert(identifier.into(), Tree::of(files));
        self
    }

    /// What a command does, in a step or in a container: its line for the shell, or its arguments with spaces between
    /// them. `*` stands for anything. Of several that match, the latest counts.
    #[must_use = "this returns the changed double"]
    pub fn command(mut self, pattern: impl Into<String>, result: CommandResult) -> Self {
        self.script.commands.push((pattern.into(), result));
        self
    }
}

/// # What a build is given
impl Double {
    /// An option by BuildKit's name: `build-arg:VERSION`, `target`, `platform`, `filename`.
    #[must_use = "this returns the changed double"]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// A graph by its name.
    #[must_use = "this returns the changed double"]
    pub fn input(mut self, name: impl Into<String>, state: impl Into<State>) -> Self {
        self.inputs.insert(name.into(), state.into());
        self
    }

    /// The platform that the daemon runs on.
    #[must_use = "this returns the changed double"]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// What the daemon can do; all that is known here if not said.
    #[must_use = "this returns the changed double"]
    pub fn capabilities(mut self, capabilities: CapabilitySet) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// # Running a build function
impl Double {
    /// Runs a build function.
    ///
    /// # Errors
    ///
    /// Those of the function, and what the script does not know.
    pub async fn build<F, T>(&self, build: F) -> Result<Image>
    where
        F: AsyncFnOnce(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        Ok(self.run(build).await?.image)
    }

    /// Runs a build function, and solves what it makes as well: steps of the image whose commands fail, fail here.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub async fn run<F, T>(&self, build: F) -> Result<Built>
    where
        F: AsyncFnOnce(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        let answering = Arc::new(transport::Answering::new(self.clone()));
        let transport: Arc<dyn Transport> = answering.clone();
        let given = Given {
            options: self.options.clone(),
            session: String::new(),
            ..Given::default()
        };
        let mut context = Build::start(transport, given).await?;
        let image: Image = build(&mut context).await?.into();
        Ok(Built {
            image,
            context,
            warnings: answering.warnings(),
        })
    }
}

/// What a build function did with a [`Double`]; made by [`Double::run`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The image it made.
    pub image: Image,
    /// Its warnings, each in one line.
    pub warnings: Vec<String>,
    context: Build,
}

impl Built {
    /// The files of the image, as far as the script says what its commands write.
    pub fn files(&self) -> crate::gateway::Filesystem {
        self.context.filesystem(self.image.state())
    }
}

fn normalized(reference: &str) -> String {
    match ImageRef::parse(reference) {
        Ok(reference) => reference.as_str().to_owned(),
        // The build function names it in the same way, and hears what is wrong with it.
        Err(_) => reference.to_owned(),
    }
}

fn digest_of(reference: &str, config: &[u8]) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(reference);
    hash.update([0]);
    hash.update(config);
    format!("sha256:{}", hex(&hash.finalize()))
}
