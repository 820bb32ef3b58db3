//! Capabilities: what a daemon must know to run an op.
//!
//! An op's metadata lists the capabilities it needs, and a daemon that lacks one refuses the build by its name. The
//! names are those of BuildKit's `solver/pb/caps.go` (August 2026), with its misspelling.
//!
//! **Invariant.** [`Capability`] is ordered as its names are, byte by byte, which is the order they are written in; so
//! a [`CapabilitySet`] is one number and comes out sorted.

use std::fmt;

macro_rules! capabilities {
    ($($(#[$documentation:meta])* $variant:ident = $name:literal,)*) => {
        /// A named ability of a daemon that an op may need.
        ///
        /// Some are known to daemons but never put on an op by BuildKit's Go client, so they are not by this one: the
        /// metadata of equal graphs is equal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[$documentation])* $variant,)*
        }

        impl Capability {
            /// All capabilities, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in metadata and on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

capabilities! {
    /// Ops may have worker constraints.
    Constraints = "constraints",
    /// A diff.
    DiffOp = "diffop",
    /// A cgroup file system in the container. Never put on an op.
    ExecCgroup = "exec.cgroup",
    /// An exec.
    ExecMetaBase = "exec.meta.base",
    /// CDI devices.
    ExecMetaCdi = "exec.meta.cdi",
    /// A cgroup parent. Never put on an op.
    ExecMetaCgroupParent = "exec.meta.cgroup.parent",
    /// Limits of memory or processors.
    ExecMetaLinuxResources = "exec.meta.linux.resources",
    /// A network other than the sandbox's.
    ExecMetaNetwork = "exec.meta.network",
    /// A network proxy of the daemon. Never put on an op.
    ExecMetaNetworkProxy = "exec.meta.network.proxy",
    /// A proxy.
    ExecMetaProxyEnv = "exec.meta.proxyenv",
    /// Mount points removed with their parents. Never put on an op.
    ExecMetaRemoveMountStubsRecursive = "exec.meta.removemountstubs.recursive",
    /// An insecure exec.
    ExecMetaSecurity = "exec.meta.security",
    /// Devices of an exec. Never put on an op.
    ExecMetaSecurityDevicesV1 = "exec.meta.security.devices.v1",
    /// A daemon that sets `PATH` where an exec does not.
    ExecMetaSetsDefaultPath = "exec.meta.setsdefaultpath",
    /// Ulimits.
    ExecMetaUlimit = "exec.meta.ulimit",
    /// A mount of another output.
    ExecMountBind = "exec.mount.bind",
    /// A writable mount without output. Never put on an op.
    ExecMountBindReadWriteNoOutput = "exec.mount.bind.readwrite-nooutput",
    /// A cache mount.
    ExecMountCache = "exec.mount.cache",
    /// A rule for caching a mount by content.
    ExecMountContentCache = "exec.mount.cache.content",
    /// A sharing mode of a cache mount.
    ExecMountCacheSharing = "exec.mount.cache.sharing",
    /// A secret.
    ExecMountSecret = "exec.mount.secret",
    /// A mount of a path inside its source.
    ExecMountSelector = "exec.mount.selector",
    /// An SSH agent socket.
    ExecMountSsh = "exec.mount.ssh",
    /// A mount in memory.
    ExecMountTmpfs = "exec.mount.tmpfs",
    /// A mount in memory with a size.
    ExecMountTmpfsSize = "exec.mount.tmpfs.size",
    /// A secret as environment variable.
    ExecSecretEnv = "exec.secretenv",
    /// Accepted exit codes.
    ExecValidExitCode = "exec.validexitcode",
    /// A file op.
    FileBase = "file.base",
    /// A copy that replaces what is there. Never put on an op.
    FileCopyAlwaysReplaceExistingDestPaths = "file.copy.alwaysreplaceexistingdestpaths",
    /// A copy with patterns. Never put on an op.
    FileCopyIncludeExcludePatterns = "file.copy.includeexcludepatterns",
    /// A copy with a symbolic mode. Never put on an op.
    FileCopyModeString = "file.copy.modestring",
    /// A copy with required paths. Never put on an op.
    FileCopyRequiredPaths = "file.copy.requiredpaths",
    /// A removal that does not follow links. Never put on an op.
    FileRmNoFollowSymlink = "file.rm.nofollowsymlink",
    /// A removal by wildcard. Never put on an op.
    FileRmWildcard = "file.rm.wildcard",
    /// A symbolic link. Never put on an op.
    FileSymlinkCreate = "file.symlink.create",
    /// A merge.
    MergeOp = "mergeop",
    /// Some op has a description.
    MetaDescription = "meta.description",
    /// Some op says whether its cache is exported.
    MetaExportCache = "meta.exportcache",
    /// Some op ignores the cache.
    MetaIgnoreCache = "meta.ignorecache",
    /// A passthrough.
    PassthroughOp = "passthroughop",
    /// Ops may have a platform.
    Platform = "platform",
    /// A download with an owner; the name is misspelt in BuildKit.
    SourceHttpUidGid = "soruce.http.uidgid",
    /// A nested build.
    SourceBuildOpLlbFileName = "source.buildop.llbfilename",
    /// A Git repository.
    SourceGit = "source.git",
    /// A Git bundle as the source.
    SourceGitBundle = "source.git.bundle",
    /// A Git bundle as the result.
    SourceGitCheckoutBundle = "source.git.checkoutbundle",
    /// An expected commit.
    SourceGitChecksum = "source.git.checksum",
    /// A fetch by commit.
    SourceGitFetchByCommit = "source.git.fetchbycommit",
    /// A Git repository with its full URL.
    SourceGitFullUrl = "source.git.fullurl",
    /// Named secrets for Git over HTTP.
    SourceGitHttpAuth = "source.git.httpauth",
    /// A checkout that keeps `.git`.
    SourceGitKeepGitDir = "source.git.keepgitdir",
    /// Known hosts for Git over SSH.
    SourceGitKnownSshHosts = "source.git.knownsshhosts",
    /// An agent socket for Git over SSH.
    SourceGitMountSshSock = "source.git.mountsshsock",
    /// A rule for the times of checked out files.
    SourceGitMtime = "source.git.mtime",
    /// A checked signature of a commit or tag. Never put on an op.
    SourceGitSignatureVerify = "source.git.signatureverify",
    /// A checkout without submodules.
    SourceGitSkipSubmodules = "source.git.skipsubmodules",
    /// A subdirectory of a repository. Never put on an op.
    SourceGitSubdir = "source.git.subdir",
    /// A download.
    SourceHttp = "source.http",
    /// A download with a secret header.
    SourceHttpAuth = "source.http.auth",
    /// A download with an expected digest.
    SourceHttpChecksum = "source.http.checksum",
    /// A download with request headers.
    SourceHttpHeader = "source.http.header",
    /// A download with file permissions.
    SourceHttpPerm = "source.http.perm",
    /// A download with a checked signature.
    SourceHttpSignatureVerify = "source.http.signatureverify",
    /// An image.
    SourceImage = "source.image",
    /// An image with an expected digest.
    SourceImageChecksum = "source.image.checksum",
    /// Only the first layers of an image.
    SourceImageLayerLimit = "source.image.layerlimit",
    /// An image that is always looked up again.
    SourceImageResolveMode = "source.image.resolvemode",
    /// A single blob of a registry or an OCI layout.
    SourceImageBlob = "source.imageblob",
    /// A directory of the client.
    SourceLocal = "source.local",
    /// A local source that must be compared in a given way.
    SourceLocalDiffer = "source.local.differ",
    /// A local source with exclude patterns.
    SourceLocalExcludePatterns = "source.local.excludepatterns",
    /// A local source with followed paths.
    SourceLocalFollowPaths = "source.local.followpaths",
    /// A local source with include patterns.
    SourceLocalIncludePatterns = "source.local.includepatterns",
    /// A local source of metadata only.
    SourceLocalMetadataTransfer = "source.local.metadatatransfer",
    /// A local source of a given session.
    SourceLocalSessionId = "source.local.sessionid",
    /// A local source with a hint for reuse.
    SourceLocalSharedKeyHint = "source.local.sharedkeyhint",
    /// A local source with a unique id.
    SourceLocalUnique = "source.local.unique",
    /// An image of an OCI layout.
    SourceOciLayout = "source.ocilayout",
}

impl Capability {
    /// The capability of that name; `None` for a name that is not known here, which a newer daemon may well have.
    ///
    /// ```
    /// use llb::value::Capability;
    ///
    /// assert_eq!(Capability::from_name("mergeop"), Some(Capability::MergeOp));
    /// assert_eq!(Capability::from_name("teleport"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let place = Self::ALL
            .binary_search_by(|capability| capability.name().cmp(name))
            .ok()?;
        Some(Self::ALL[place])
    }

    const fn bit(self) -> u128 {
        1 << self as u32
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A set of capabilities, small enough to copy.
///
/// ```
/// use llb::value::{Capability, CapabilitySet};
///
/// let needed = CapabilitySet::new().with(Capability::MergeOp).with(Capability::DiffOp);
/// assert!(needed.contains(Capability::MergeOp));
/// assert_eq!(needed.iter().map(Capability::name).collect::<Vec<_>>(), ["diffop", "mergeop"]);
/// ```
// Vertices and metadata have one, and would be larger if it had to be at a multiple of 16 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(Rust, packed(8))]
pub struct CapabilitySet(u128);

impl CapabilitySet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The set of all capabilities known here.
    #[must_use]
    pub const fn all() -> Self {
        Self(u128::MAX >> (u128::BITS as usize - Capability::ALL.len()))
    }

    /// The same set with one more capability.
    #[must_use = "this returns a new set"]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// The same set with one more capability if `condition` holds.
    #[must_use = "this returns a new set"]
    pub const fn with_if(self, condition: bool, capability: Capability) -> Self {
        if condition {
            self.with(capability)
        } else {
            self
        }
    }

    /// Adds a capability.
    pub const fn insert(&mut self, capability: Capability) {
        self.0 |= capability.bit();
    }

    /// The capabilities of either set.
    #[must_use = "this returns a new set"]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The capabilities of this set that the other lacks.
    #[must_use = "this returns a new set"]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the capability is in the set.
    #[must_use]
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of capabilities.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The capabilities in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let lowest = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            Capability::ALL.get(lowest).copied()
        })
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::new(), Self::with)
    }
}

impl Extend<Capability> for CapabilitySet {
    fn extend<I: IntoIterator<Item = Capability>>(&mut self, capabilities: I) {
        *self = self.union(capabilities.into_iter().collect());
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.iter().map(Capability::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_ordered_by_name() {
        assert!(Capability::ALL.is_sorted_by_key(|capability| capability.name().as_bytes()));
        for (place, &capability) in Capability::ALL.iter().enumerate() {
            assert_eq!(capability as usize, place);
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
    }

    #[test]
    fn sets_come_out_sorted_and_whole() {
        let set: CapabilitySet = [
            Capability::SourceImage,
            Capability::MergeOp,
            Capability::Constraints,
        ]
        .into_iter()
        .collect();
        assert_eq!(
            format!("{set:?}"),
            r#"{"constraints", "mergeop", "source.image"}"#
        );
        assert_eq!(set.len(), 3);
        assert!(
            CapabilitySet::all()
                .iter()
                .eq(Capability::ALL.iter().copied())
        );
        assert_eq!(
            CapabilitySet::all().difference(set).len(),
            Capability::ALL.len() - 3
        );
        assert!(CapabilitySet::new().iter().next().is_none());
    }
}
