//! What to build, and with what of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use prost::Message as _;

use super::cache::CacheOption;
use super::cancel::Cancel;
use super::error::{Error, ErrorKind};
use super::export::Export;
use crate::lower::Policy;
use crate::proto::pb;
use crate::session::{LocalDirectory, Login, Secret, SshAgent, Upload};
use crate::{Definition, MarshalOptions, State};

/// One build: a definition or a frontend, and everything it is given.
///
/// ```
/// use llb::client::{Export, Secret, Solve};
///
/// let build = Solve::frontend("dockerfile.v0")
///     .attribute("filename", "Dockerfile")
///     .local("context", ".")
///     .local("dockerfile", ".")
///     .secret("token", Secret::bytes("..."))
///     .export(Export::image("me/model"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Solve {
    pub(crate) definition: Option<pb::Definition>,
    pub(crate) problem: Option<String>,
    pub(crate) frontend: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) inputs: BTreeMap<String, pb::Definition>,
    pub(crate) directories: BTreeMap<String, LocalDirectory>,
    pub(crate) layouts: BTreeMap<String, PathBuf>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) agents: BTreeMap<String, SshAgent>,
    pub(crate) logins: BTreeMap<String, Login>,
    pub(crate) exports: Vec<Export>,
    pub(crate) entitlements: Vec<Entitlement>,
    pub(crate) cache_to: Vec<CacheOption>,
    pub(crate) cache_from: Vec<CacheOption>,
    pub(crate) docker_proxies: bool,
    pub(crate) no_cache: bool,
    pub(crate) epoch: Option<i64>,
    pub(crate) session_key: Option<String>,
    pub(crate) cancel: Cancel,
    pub(crate) lowering: Option<Policy>,
    #[cfg(feature = "gateway")]
    pub(crate) on_failure: Option<crate::gateway::OnFailure>,
    #[cfg(feature = "gateway")]
    pub(crate) check_merges: bool,
}

/// A privilege of a build that has to be allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Entitlement {
    /// Steps may use the network of the host.
    NetworkHost,
    /// Steps may be privileged.
    SecurityInsecure,
    /// Steps may use devices.
    Device,
}

impl Entitlement {
    const ALL: [Self; 3] = [Self::NetworkHost, Self::SecurityInsecure, Self::Device];

    /// BuildKit's name of the privilege: `network.host`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetworkHost => "network.host",
            Self::SecurityInsecure => "security.insecure",
            Self::Device => "device",
        }
    }
}

impl FromStr for Entitlement {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            let text = format!("unknown privilege `{name}`, expected one of: {names}");
            Error::new(ErrorKind::Request, text)
        })
    }
}

/// # What to build
impl Solve {
    /// Builds a state.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the graph.
    pub fn state(state: &State, options: &MarshalOptions) -> Result<Self, crate::Error> {
        Ok(Self::definition(state.marshal(options)?))
    }

    /// Builds a graph.
    ///
    /// Local sources without a unique id get one that is the session's: two builds that run at once never share a
    /// folder by its name. What a folder contains decides about the cache, so that costs none. Progress, outcome and
    /// errors name ops by the digests they have in the definition.
    pub fn definition(definition: impl Into<pb::Definition>) -> Self {
        Self {
            definition: Some(definition.into()),
            ..Self::default()
        }
    }

    /// Builds a graph in its wire form. What is no definition is refused by the solve.
    pub fn definition_bytes(bytes: &[u8]) -> Self {
        match pb::Definition::decode(bytes) {
            Ok(definition) => Self::definition(definition),
            Err(error) => Self {
                problem: Some(format!("the definition cannot be decoded: {error}")),
                ..Self::default()
            },
        }
    }

    /// Builds with a frontend of the daemon: `dockerfile.v0`, or `gateway.v0` with the attribute
    /// `source` for one from an image.
    pub fn frontend(name: impl Into<String>) -> Self {
        Self {
            frontend: name.into(),
            ..Self::default()
        }
    }

    /// Builds what a build function makes: see [`Client::build`](super::Client::build).
    #[cfg(feature = "gateway")]
    pub fn build() -> Self {
        Self::default()
    }

    /// An attribute for the frontend.
    #[must_use = "the settings are in the value returned"]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// A graph for the frontend, by the name it asks for.
    #[must_use = "the settings are in the value returned"]
    pub fn input(mut self, name: impl Into<String>, definition: impl Into<pb::Definition>) -> Self {
        self.inputs.insert(name.into(), definition.into());
        self
    }

    /// What may take the place of ops that the daemon cannot run, such as merges on a Docker engine without the containerd
    /// image store. See [`lower`](crate::lower).
    ///
    /// By default, what provably makes the same files, and everything else by the
    /// [helpers of this machine](crate::lower::Helper::find_all); without one it is refused, before the build. What was
    /// replaced is in the [outcome](super::Outcome::lowerings), and progress shows a warning where files may differ.
    ///
    /// ```no_run
    /// use llb::client::Solve;
    /// use llb::lower::{Helper, Policy};
    /// # fn solve(definition: llb::Definition) -> Result<Solve, llb::client::Error> {
    /// let helper = Helper::from_path("/usr/lib/my-builder/llb-helper-linux-amd64")?;
    /// let solve = Solve::definition(definition).lowering(Policy::new().helper(helper));
    /// # Ok(solve)
    /// # }
    /// ```
    #[must_use = "the settings are in the value returned"]
    pub fn lowering(mut self, policy: Policy) -> Self {
        self.lowering = Some(policy);
        self
    }

    /// Looks for paths that several forks of a merge wrote, once the graph is solved, and warns of each: a merge lays the
    /// later fork over the earlier one without a word.
    ///
    /// All files that forks added are listed for it, so it is for a check, not for each build. The daemon must offer
    /// diffs. A build function asks with [`Build::conflicts`](crate::gateway::Build::conflicts).
    #[cfg(feature = "gateway")]
    #[must_use = "the settings are in the value returned"]
    pub fn check_merges(mut self) -> Self {
        self.check_merges = true;
        self
    }

    /// The time that images say they were made at, in seconds since 1970, instead of now; files no later with
    /// [`Export::rewrite_timestamp`]. Frontends get it as `SOURCE_DATE_EPOCH`.
    #[must_use = "the settings are in the value returned"]
    pub fn source_date_epoch(mut self, seconds: i64) -> Self {
        self.epoch = Some(seconds);
        self
    }

    /// Gives a frontend, or a build function, the proxies that the Docker configuration of this user has for this daemon or
    /// for all (`proxies` in `config.json`), as `docker build` and buildx do: as build arguments such as `HTTP_PROXY`,
    /// unless there is an [attribute](Self::attribute) for the same one.
    ///
    /// ```
    /// use llb::client::Solve;
    ///
    /// let build = Solve::frontend("dockerfile.v0")
    ///     .attribute("build-arg:NO_PROXY", "registry.example")
    ///     .docker_proxies();
    /// ```
    ///
    /// A password in the address of a proxy is as public as build arguments are: steps see it, and the daemon keeps it in
    /// the history of builds.
    #[must_use = "the settings are in the value returned"]
    pub fn docker_proxies(mut self) -> Self {
        self.docker_proxies = true;
        self
    }

    /// Attaches an attestation to images: `provenance` (options such as `mode=max`) or `sbom`
    /// (`generator=IMAGE`). The options are BuildKit's and may be empty.
    #[must_use = "the settings are in the value returned"]
    pub fn attest(self, kind: &str, options: impl Into<String>) -> Self {
        self.attribute(format!("attest:{kind}"), options)
    }

    /// Runs every step again, whatever the cache holds.
    #[must_use = "the settings are in the value returned"]
    pub fn no_cache(mut self) -> Self {
        self.no_cache = true;
        self
    }
}

/// # What it is given
impl Solve {
    /// A directory of this machine, by the name the graph has for it (`local://name`). Give a path,
    /// or a [`LocalDirectory`] with patterns.
    #[must_use = "the settings are in the value returned"]
    pub fn local(mut self, name: impl Into<String>, directory: impl Into<LocalDirectory>) -> Self {
        self.directories.insert(name.into(), directory.into());
        self
    }

    /// An OCI layout of this machine, by the name of the store that the graph has for it
    /// ([`OciLayout::store`](crate::OciLayout::store)).
    #[must_use = "the settings are in the value returned"]
    pub fn oci_layout(mut self, name: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        self.layouts.insert(name.into(), directory.into());
        self
    }

    /// A stream that the daemon downloads, by the name in its [address](Upload::url). Names are letters, digits, `-`,
    /// `_` and `.`.
    #[must_use = "the settings are in the value returned"]
    pub fn upload(mut self, name: impl Into<String>, upload: Upload) -> Self {
        self.uploads.insert(name.into(), upload);
        self
    }

    /// A secret, by the id the graph has for it.
    #[must_use = "the settings are in the value returned"]
    pub fn secret(mut self, id: impl Into<String>, secret: Secret) -> Self {
        self.secrets.insert(id.into(), secret);
        self
    }

    /// An ssh agent, by the id the graph has for it; mounts without one mean `default`.
    #[must_use = "the settings are in the value returned"]
    pub fn ssh(mut self, id: impl Into<String>, agent: SshAgent) -> Self {
        self.agents.insert(id.into(), agent);
        self
    }

    /// The login of a registry, before those of the Docker configuration. The host is as in image
    /// names: `docker.io`, `registry.example:5000`.
    #[must_use = "the settings are in the value returned"]
    pub fn login(mut self, host: impl Into<String>, login: Login) -> Self {
        self.logins.insert(host.into(), login);
        self
    }

    /// Allows a privilege.
    #[must_use = "the settings are in the value returned"]
    pub fn allow(mut self, entitlement: Entitlement) -> Self {
        if !self.entitlements.contains(&entitlement) {
            self.entitlements.push(entitlement);
        }
        self
    }

    /// Names the cache of local directories on the daemon. Builds with the same key send only what
    /// changed since the last one. By default it is made of the directories' names and paths.
    #[must_use = "the settings are in the value returned"]
    pub fn session_key(mut self, key: impl Into<String>) -> Self {
        self.session_key = Some(key.into());
        self
    }
}

/// # What becomes of it
impl Solve {
    /// Exports the result. Several exports are allowed; without any, the build only fills the
    /// cache.
    #[must_use = "the settings are in the value returned"]
    pub fn export(mut self, export: Export) -> Self {
        self.exports.push(export);
        self
    }

    /// Writes a cache.
    #[must_use = "the settings are in the value returned"]
    pub fn cache_to(mut self, cache: CacheOption) -> Self {
        self.cache_to.push(cache);
        self
    }

    /// Reads a cache.
    #[must_use = "the settings are in the value returned"]
    pub fn cache_from(mut self, cache: CacheOption) -> Self {
        self.cache_from.push(cache);
        self
    }

    /// Lets the build be stopped from outside.
    #[must_use = "the settings are in the value returned"]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Contradictions that can be seen without the daemon.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Request, what));
        if let Some(problem) = &self.problem {
            return refuse(problem.clone());
        }
        #[cfg(feature = "gateway")]
        if self.check_merges && self.definition.is_none() {
            return refuse(
                "the merges of a graph can be checked, those that a frontend makes cannot"
                    .to_owned(),
            );
        }
        match (&self.definition, self.frontend.is_empty()) {
            (Some(_), false) => {
                return refuse("a build has a definition or a frontend, not both".to_owned());
            }
            (Some(definition), true) => {
                // Without ops the daemon would wait for a gateway client, for ever.
                if definition.def.is_empty() {
                    let error = Error::new(ErrorKind::Request, "the definition is empty (scratch)");
                    return Err(error.hint("add at least one op, such as a file or directory"));
                }
                self.check_locals(definition)?;
            }
            (None, true) => return refuse("a build needs a definition or a frontend".to_owned()),
            (None, false) => {}
        }
        Ok(())
    }

    /// Contradictions of a build with a function.
    #[cfg(feature = "gateway")]
    pub(crate) fn check_function(&self) -> Result<(), Error> {
        if self.check_merges {
            let message = "a build function checks its merges itself";
            return Err(Error::new(ErrorKind::Request, message).hint("use `Build::conflicts`"));
        }
        if self.definition.is_some() || self.problem.is_some() || !self.frontend.is_empty() {
            let message = "a build has a function, or a definition or a frontend, not both";
            return Err(Error::new(ErrorKind::Request, message).hint("start with `Solve::build()`"));
        }
        Ok(())
    }

    /// Every `local://name` of a graph needs its directory; a typing error shows here, not as a
    /// puzzle in mid-build.
    fn check_locals(&self, definition: &pb::Definition) -> Result<(), Error> {
        for op in &definition.def {
            let Ok(op) = pb::Op::decode(op.as_ref()) else {
                continue;
            };
            if let Some(pb::op::Op::Source(source)) = op.op
                && let Some(name) = source.identifier.strip_prefix("local://")
                && !self.directories.contains_key(name)
            {
                let given: Vec<_> = self.directories.keys().map(String::as_str).collect();
                return Err(Error::new(
                    ErrorKind::Request,
                    format!(
                        "the graph reads local directory `{name}`, given are: {}",
                        if given.is_empty() {
                            "none".to_owned()
                        } else {
                            given.join(", ")
                        }
                    ),
                )
                .hint(format!("add `.local(\"{name}\", path)` to the build")));
            }
        }
        Ok(())
    }
}

impl From<Definition> for pb::Definition {
    fn from(definition: Definition) -> Self {
        Self::decode(&*definition.to_bytes()).expect("a definition's own bytes can be decoded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_local(name: &str) -> pb::Definition {
        let op = pb::Op {
            op: Some(pb::op::Op::Source(pb::SourceOp {
                identifier: format!("local://{name}"),
                ..pb::SourceOp::default()
            })),
            ..pb::Op::default()
        };
        pb::Definition {
            def: vec![op.encode_to_vec().into()],
            ..pb::Definition::default()
        }
    }

    #[test]
    fn contradictions_are_refused_before_the_build() {
        let both = Solve {
            frontend: "dockerfile.v0".into(),
            ..Solve::definition(reads_local("a"))
        };
        for (solve, part) in [
            (both, "not both"),
            (Solve::definition_bytes(b"\xff"), "cannot be decoded"),
            (
                Solve::definition(reads_local("context")).local("src", "."),
                "`context`, given are: src",
            ),
            (Solve::definition(pb::Definition::default()), "empty"),
        ] {
            let error = solve.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
