//! What steps have in common: network, trust, and the line that asked for them.

use std::collections::BTreeMap;

use llb::{Constrain, Exec, ProxyEnv, SourceLocation, State, secret, ssh};

use super::Context;
use crate::ca;
use crate::config::AptSnapshot;
use crate::netrc;
use crate::plan::Network;

/// How git starts ssh. A step has no file of known hosts.
pub(crate) const SSH_COMMAND: &str = "ssh -o StrictHostKeyChecking=accept-new";

/// Circumstances of a step. The default is the builder's network, no known line, and a project in the client's folder
/// `context`.
///
/// A step with a network always names the same optional secrets (see [`ca`]), whether there is a
/// certificate bundle or not, so that the graph is the same everywhere.
#[derive(Clone, Debug, Default)]
pub struct StepOptions {
    network: Network,
    location: Option<SourceLocation>,
    context: Context,
    contexts: BTreeMap<String, State>,
    proxy: Option<ProxyEnv>,
    apt_snapshot: Option<AptSnapshot>,
}

impl StepOptions {
    /// A step with this network, if it needs one at all.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            ..Self::default()
        }
    }

    /// A step that was asked for on a line of a file; a failure is reported there.
    #[must_use = "returns the changed options"]
    pub fn location(mut self, location: SourceLocation) -> Self {
        self.location = Some(location);
        self
    }

    /// A step that reads files of this project.
    #[must_use = "returns the changed options"]
    pub fn context(mut self, context: impl Into<Context>) -> Self {
        self.context = context.into();
        self
    }

    /// A command that mounts these by their names; a name that is not among them is that of an image.
    ///
    /// ```
    /// use cog_python::layer::{StepOptions, run};
    /// use cog_python::plan::Mount;
    ///
    /// let mounts = [Mount::Bind { source: "a".into(), target: "/a".into(), from: Some("models".into()) }];
    /// let options = StepOptions::default().contexts([("models", llb::local("shared").state())]);
    /// let environment = Default::default();
    /// let image = llb::image("alpine").layer(run("ls /a", &[], &mounts, None, &environment, &options));
    /// let text = image.to_text();
    /// assert!(text.contains("local \"shared\""), "{text}");
    /// ```
    #[must_use = "returns the changed options"]
    pub fn contexts<N: Into<String>>(
        mut self,
        contexts: impl IntoIterator<Item = (N, State)>,
    ) -> Self {
        let contexts = contexts.into_iter();
        self.contexts
            .extend(contexts.map(|(name, state)| (name.into(), state)));
        self
    }

    /// The context of this name, or the image.
    pub(super) fn named(&self, name: &str) -> State {
        match self.contexts.get(name) {
            Some(state) => state.clone(),
            None => llb::Image::new(name)
                .name(format!("files of {name}"))
                .state(),
        }
    }

    /// The project.
    pub(super) fn project(&self) -> Context {
        self.context.clone()
    }

    /// A step that installs system packages as they were on a day: those of Debian's and Ubuntu's archives.
    #[must_use = "returns the changed options"]
    pub fn apt_snapshot(mut self, snapshot: impl Into<Option<AptSnapshot>>) -> Self {
        self.apt_snapshot = snapshot.into();
        self
    }

    /// The day that system packages are taken of.
    pub(super) fn day(&self) -> Option<&AptSnapshot> {
        self.apt_snapshot.as_ref()
    }

    /// Proxies of a step that fetches something; they are no part of its cache key.
    #[must_use = "returns the changed options"]
    pub fn proxy(mut self, proxy: Option<ProxyEnv>) -> Self {
        self.proxy = proxy;
        self
    }

    /// A step that fetches something: gives it the network and the secrets that go with it.
    pub(super) fn connected(&self, exec: Exec) -> Exec {
        let exec = self.located(exec);
        let exec = match self.network {
            Network::Default => exec,
            Network::Host => exec.network(llb::Network::Host),
            Network::None => return exec.network(llb::Network::None),
        };
        let exec = match &self.proxy {
            Some(proxy) => exec.proxy(proxy.clone()),
            None => exec,
        };
        // Programs such as apt read the bundle under another user than root.
        let bundle = secret(ca::BUNDLE_PATH)
            .id(ca::BUNDLE_SECRET)
            .file(0, 0, 0o444)
            .optional();
        ca::VARIABLES
            .iter()
            .fold(exec.mount(bundle), |exec, (name, id)| {
                exec.mount(secret(*id).as_env(*name).optional())
            })
    }

    /// A step that asks indexes of packages: connected, with the logins of hosts that whoever builds may have.
    pub(super) fn indexed(&self, exec: Exec) -> Exec {
        let exec = self.connected(exec);
        if self.network == Network::None {
            return exec;
        }
        let logins = secret(netrc::PATH).id(netrc::SECRET).optional();
        exec.mount(logins).env(netrc::VARIABLE, netrc::PATH)
    }

    /// A step that fetches repositories over SSH: gives it the agent, and the key of a host that it sees for the first time
    /// is taken as it is. `GIT_SSH_COMMAND` among the variables of the step decides otherwise.
    pub(super) fn over_ssh(exec: Exec) -> Exec {
        exec.env("GIT_SSH_COMMAND", SSH_COMMAND).mount(ssh())
    }

    /// A step that needs no network and gets none.
    pub(super) fn offline(&self, exec: Exec) -> Exec {
        self.located(exec).network(llb::Network::None)
    }

    /// An op that knows its line.
    pub(super) fn located<C: Constrain>(&self, op: C) -> C {
        match &self.location {
            Some(location) => op.location(location.clone()),
            None => op,
        }
    }
}
