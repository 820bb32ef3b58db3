//! What an exec is told before it is put on a state.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{CommandLine, Device, Mount, Secret, Ssh};
use crate::constraints::Constraints;
use crate::op::exec::ProxyEnv;
use crate::state::State;
use crate::state::context::{Context, Environment, Network, Security, Ulimit};

/// What an exec is told, until it is put on a state.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Its variables are set after all changes.
    pub(crate) line: CommandLine,
    /// In the order of their targets; those of one target in the order in which they were given.
    mounts: SmallVec<[Mount; 1]>,
    pub(crate) readonly_rootfs: bool,
    pub(crate) constraints: Constraints,
    pub(crate) location: &'static Location<'static>,
    extras: Option<Box<Extras>>,
}

/// What few execs are told: that of the others takes little room and time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) changes: Vec<Change>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) ssh: Vec<Ssh>,
    pub(crate) devices: Vec<Device>,
    pub(crate) proxy: Option<ProxyEnv>,
    pub(crate) valid_exit_codes: Vec<i32>,
}

/// A change to the state that holds for one exec.
#[derive(Clone)]
pub(crate) enum Change {
    Env(Environment),
    Dir(SmolStr),
    User(SmolStr),
    Hostname(SmolStr),
    CgroupParent(SmolStr),
    Network(Network),
    Security(Security),
    ExtraHost(SmolStr, SmolStr),
    Ulimit(Ulimit),
    With(Arc<dyn Fn(State) -> State + Send + Sync>),
}

impl Command {
    pub(super) fn new(location: &'static Location<'static>) -> Self {
        Self {
            line: CommandLine::new(),
            mounts: SmallVec::new(),
            readonly_rootfs: false,
            constraints: Constraints::default(),
            location,
            extras: None,
        }
    }

    /// Adds a mount, where it is among the others on the wire.
    pub(super) fn mount(&mut self, mount: Mount) {
        let place = self
            .mounts
            .partition_point(|other| other.target <= mount.target);
        self.mounts.insert(place, mount);
    }

    /// The mounts in the order that they have on the wire, without the root.
    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mounts, to change what is mounted.
    pub(crate) fn mounts_mut(&mut self) -> &mut [Mount] {
        &mut self.mounts
    }

    /// Takes the mounts.
    pub(crate) fn take_mounts(&mut self) -> SmallVec<[Mount; 1]> {
        std::mem::take(&mut self.mounts)
    }

    pub(crate) fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}

impl Change {
    pub(crate) fn apply(&self, state: &mut State) {
        if let Self::With(change) = self {
            *state = change(state.clone());
            return;
        }
        if state.is_deferred() {
            let change = self.clone();
            *state = state.context(move |context| change.apply_to(context));
        } else {
            self.apply_to(state.context.make_mut());
        }
    }

    fn apply_to(&self, context: &mut Context) {
        match self {
            Self::Env(env) => env
                .iter()
                .for_each(|(name, value)| context.env.set(name, value)),
            Self::Dir(path) => context.change_dir(path),
            Self::User(user) => context.user = Some(user.clone()),
            Self::Hostname(name) => context.hostname = Some(name.clone()),
            Self::CgroupParent(parent) => context.cgroup_parent = Some(parent.clone()),
            Self::Network(network) => context.network = Some(*network),
            Self::Security(security) => context.security = Some(*security),
            Self::ExtraHost(host, address) => {
                context.extra_hosts.push((host.clone(), address.clone()));
            }
            Self::Ulimit(ulimit) => context.ulimits.push(ulimit.clone()),
            Self::With(_) => {}
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(env) => env
                .iter()
                .try_for_each(|(name, value)| write!(formatter, "env {name}={value} ")),
            Self::Dir(path) => write!(formatter, "dir {path}"),
            Self::User(user) => write!(formatter, "user {user}"),
            Self::Hostname(name) => write!(formatter, "hostname {name}"),
            Self::CgroupParent(parent) => write!(formatter, "cgroup parent {parent}"),
            Self::Network(network) => write!(formatter, "network {network:?}"),
            Self::Security(security) => write!(formatter, "security {security:?}"),
            Self::ExtraHost(host, address) => write!(formatter, "host {host}={address}"),
            Self::Ulimit(ulimit) => write!(
                formatter,
                "ulimit {}={}:{}",
                ulimit.name, ulimit.soft, ulimit.hard
            ),
            Self::With(_) => formatter.write_str("with"),
        }
    }
}
