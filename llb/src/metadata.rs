//! What travels beside an op and never enters its digest: names, progress groups, cache flags, resource limits, and
//! the capabilities that the daemon needs.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::value::CapabilitySet;
use crate::value::shared::{Shared, Usual};
use crate::wire::Writer;

/// The key of [`OpMetadata::description`] that progress displays show as an op's name.
pub const CUSTOM_NAME: &str = "llb.customname";

/// Metadata of one op, as it stands in a [`Definition`](crate::Definition).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpMetadata {
    /// Run the op even when its result is cached.
    pub ignore_cache: bool,
    /// Free text by key; [`CUSTOM_NAME`] is what progress shows.
    pub description: Description,
    /// Whether the op's result goes into an exported cache; the daemon decides when unset.
    pub export_cache: Option<bool>,
    /// The capabilities that the daemon must have to run the op.
    pub caps: CapabilitySet,
    /// In a definition that was read: capabilities by names that are not known here, and any that are marked as not
    /// needed.
    pub other_caps: BTreeMap<String, bool>,
    /// The group under which progress shows the op.
    pub progress_group: Option<Arc<ProgressGroup>>,
    /// Limits of an exec; not part of its digest, so changing one re-runs nothing.
    pub linux_resources: Option<Box<LinuxResources>>,
}

/// Texts by key: a map whose clones are one until they are changed.
///
/// ```
/// let mut description = llb::Description::default();
/// description.insert("key".to_owned(), "text".to_owned());
/// assert_eq!(description["key"], "text");
/// ```
#[derive(Clone, PartialEq)]
pub struct Description(Shared<BTreeMap<String, String>>);

/// A group of ops that progress shows as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressGroup {
    /// Ops with the same id are one group.
    pub id: String,
    /// What progress shows.
    pub name: String,
    /// A weak group gives way to another one when an op is in both.
    pub weak: bool,
}

/// Resource limits of an exec (`LinuxResources`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxResources {
    /// Memory limit in bytes.
    pub memory: i64,
    /// Memory and swap together in bytes; `-1` is unlimited.
    pub memory_swap: i64,
    /// Relative CPU weight.
    pub cpu_shares: u64,
    /// Length of a CPU period in microseconds.
    pub cpu_period: u64,
    /// CPU time per period in microseconds.
    pub cpu_quota: i64,
    /// CPUs the exec may use, such as `0-3` or `0,2`.
    pub cpuset_cpus: String,
    /// Memory nodes the exec may use, such as `0-3` or `0,1`.
    pub cpuset_mems: String,
}

impl Default for Description {
    fn default() -> Self {
        Self(Shared::USUAL)
    }
}

impl Eq for Description {}

impl Deref for Description {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Description {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.make_mut()
    }
}

impl<'a> IntoIterator for &'a Description {
    type Item = (&'a String, &'a String);
    type IntoIter = btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// No texts.
impl Usual for BTreeMap<String, String> {
    fn usual() -> &'static Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        &NONE
    }
}

impl OpMetadata {
    pub(crate) const fn new() -> Self {
        Self {
            ignore_cache: false,
            description: Description(Shared::USUAL),
            export_cache: None,
            caps: CapabilitySet::new(),
            other_caps: BTreeMap::new(),
            progress_group: None,
            linux_resources: None,
        }
    }

    /// Lays `over` on top: flags add up, texts and capabilities unite, and what `over` sets wins.
    pub(crate) fn overlay(&mut self, over: &Self) {
        self.ignore_cache |= over.ignore_cache;
        if self.description.is_empty() {
            self.description.clone_from(&over.description);
        } else {
            let over = over.description.iter();
            self.description
                .extend(over.map(|(key, value)| (key.clone(), value.clone())));
        }
        if over.export_cache.is_some() {
            self.export_cache = over.export_cache;
        }
        self.caps = self.caps.union(over.caps);
        for (name, needed) in &over.other_caps {
            self.other_caps.insert(name.clone(), *needed);
        }
        if over.progress_group.is_some() {
            self.progress_group.clone_from(&over.progress_group);
        }
        if over.linux_resources.is_some() {
            self.linux_resources.clone_from(&over.linux_resources);
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bool(1, self.ignore_cache);
        for (key, value) in &self.description {
            writer.string_entry(2, key, value);
        }
        if let Some(value) = self.export_cache {
            writer.message(4, |export_cache| export_cache.bool(1, value));
        }
        let mut write_cap = |name: &str, needed: bool| {
            writer.message(5, |entry| {
                entry.string_always(1, name);
                entry.unsigned_always(2, u64::from(needed));
            });
        };
        if self.other_caps.is_empty() {
            self.caps
                .iter()
                .for_each(|capability| write_cap(capability.name(), true));
        } else {
            let others = self
                .other_caps
                .iter()
                .map(|(name, needed)| (&**name, *needed));
            let caps = self.caps.iter().map(|capability| (capability.name(), true));
            for (name, needed) in others.chain(caps).collect::<BTreeMap<_, _>>() {
                write_cap(name, needed);
            }
        }
        if let Some(group) = &self.progress_group {
            writer.message(6, |writer| {
                writer.string(1, &group.id);
                writer.string(2, &group.name);
                writer.bool(3, group.weak);
            });
        }
        if let Some(resources) = &self.linux_resources {
            writer.message(7, |writer| {
                writer.signed(1, resources.memory);
                writer.signed(2, resources.memory_swap);
                writer.unsigned(3, resources.cpu_shares);
                writer.unsigned(4, resources.cpu_period);
                writer.signed(5, resources.cpu_quota);
                writer.string(6, &resources.cpuset_cpus);
                writer.string(7, &resources.cpuset_mems);
            });
        }
    }
}
