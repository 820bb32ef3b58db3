//! What every op can be told besides what it does: platform, worker filters, metadata, place in a source file.

use std::sync::Arc;

use crate::metadata::{CUSTOM_NAME, LinuxResources, OpMetadata, ProgressGroup};
use crate::sourcemap::SourceLocation;
use crate::value::platform::Platform;

/// Options that every op takes; [`Constrain`] sets them.
///
/// Most ops have none, which takes no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints(Option<Box<Options>>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) platform: Option<Platform>,
    pub(crate) filters: Vec<String>,
    pub(crate) metadata: OpMetadata,
    pub(crate) local_unique_id: Option<String>,
    pub(crate) locations: Vec<SourceLocation>,
}

/// What ops without options have.
static NO_OPTIONS: Options = Options {
    platform: None,
    filters: Vec::new(),
    metadata: OpMetadata::new(),
    local_unique_id: None,
    locations: Vec::new(),
};

impl From<Options> for Constraints {
    fn from(options: Options) -> Self {
        Self(Some(Box::new(options)))
    }
}

impl Constraints {
    pub(crate) fn options(&self) -> &Options {
        self.0.as_deref().unwrap_or(&NO_OPTIONS)
    }

    /// The options, if any were set.
    pub(crate) fn given(&self) -> Option<&Options> {
        self.0.as_deref()
    }

    pub(crate) fn options_mut(&mut self) -> &mut Options {
        self.0.get_or_insert_default()
    }
}

/// Setters of the options that every source, exec, file op, merge and diff takes.
///
/// None but [`platform`](Self::platform), [`require`](Self::require) and, for local sources,
/// [`local_unique_id`](Self::local_unique_id) enters an op's digest.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("alpine").run(sh("make").name("compile").ignore_cache());
/// let definition = state.marshal(&MarshalOptions::linux_amd64())?;
/// let metadata = definition.metadata(definition.head()).unwrap();
/// assert!(metadata.ignore_cache);
/// assert_eq!(metadata.description["llb.customname"], "compile");
/// # Ok::<(), llb::Error>(())
/// ```
///
/// In the text form:
///
/// ```
/// use llb::prelude::*;
/// use llb::ProgressGroup;
/// use llb::value::Platform;
///
/// let step = sh("make")
///     .name("compile")
///     .description("com.example.step", "1")
///     .ignore_cache()
///     .export_cache(false)
///     .progress_group(ProgressGroup { id: "build".into(), name: "building".into(), weak: false })
///     .memory_limit(1 << 30)
///     .cpu_shares(512)
///     .cpuset_cpus("0-3")
///     .require("worker.gpu==true")
///     .platform(Platform::LINUX_ARM64);
/// assert_eq!(image("debian").run(step).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %compile = exec "/bin/sh" "-c" "make" cwd=/ platform=linux/arm64 require="worker.gpu==true" description com.example.step="1" name="compile" group="building" ignore-cache no-export-cache limits memory=1073741824 cpu-shares=512 cpus=0-3 {
///   / = %debian -> out0
/// }
/// return %compile
/// "#.trim_start());
/// ```
pub trait Constrain: Sized {
    /// The options to change.
    fn constraints_mut(&mut self) -> &mut Constraints;

    /// The platform of this op, written as given. File ops, merges and diffs have none and ignore it.
    #[must_use = "this returns the changed op"]
    fn platform(mut self, platform: Platform) -> Self {
        self.constraints_mut().options_mut().platform = Some(platform);
        self
    }

    /// A filter that the worker of this op must match.
    #[must_use = "this returns the changed op"]
    fn require(mut self, filter: impl Into<String>) -> Self {
        self.constraints_mut()
            .options_mut()
            .filters
            .push(filter.into());
        self
    }

    /// Runs the op even when its result is cached.
    #[must_use = "this returns the changed op"]
    fn ignore_cache(mut self) -> Self {
        self.constraints_mut().options_mut().metadata.ignore_cache = true;
        self
    }

    /// The name that progress shows (`llb.customname`).
    #[must_use = "this returns the changed op"]
    fn name(self, name: impl Into<String>) -> Self {
        self.description(CUSTOM_NAME, name)
    }

    /// A text beside the op, by key.
    #[must_use = "this returns the changed op"]
    fn description(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.constraints_mut()
            .options_mut()
            .metadata
            .description
            .insert(key.into(), value.into());
        self
    }

    /// Whether the op's result goes into an exported cache; `None` leaves it to the daemon.
    #[must_use = "this returns the changed op"]
    fn export_cache(mut self, export: impl Into<Option<bool>>) -> Self {
        self.constraints_mut().options_mut().metadata.export_cache = export.into();
        self
    }

    /// The group under which progress shows the op.
    #[must_use = "this returns the changed op"]
    fn progress_group(mut self, group: impl Into<Arc<ProgressGroup>>) -> Self {
        self.constraints_mut().options_mut().metadata.progress_group = Some(group.into());
        self
    }

    /// Resource limits; replaces all that were set before.
    #[must_use = "this returns the changed op"]
    fn linux_resources(mut self, resources: LinuxResources) -> Self {
        self.constraints_mut()
            .options_mut()
            .metadata
            .linux_resources = Some(Box::new(resources));
        self
    }

    /// Memory limit in bytes.
    #[must_use = "this returns the changed op"]
    fn memory_limit(mut self, bytes: i64) -> Self {
        resources(&mut self).memory = bytes;
        self
    }

    /// Limit of memory and swap together in bytes; `-1` is unlimited.
    #[must_use = "this returns the changed op"]
    fn memory_swap_limit(mut self, bytes: i64) -> Self {
        resources(&mut self).memory_swap = bytes;
        self
    }

    /// Relative CPU weight.
    #[must_use = "this returns the changed op"]
    fn cpu_shares(mut self, shares: u64) -> Self {
        resources(&mut self).cpu_shares = shares;
        self
    }

    /// Length of a CPU period in microseconds.
    #[must_use = "this returns the changed op"]
    fn cpu_period(mut self, microseconds: u64) -> Self {
        resources(&mut self).cpu_period = microseconds;
        self
    }

    /// CPU time per period in microseconds.
    #[must_use = "this returns the changed op"]
    fn cpu_quota(mut self, microseconds: i64) -> Self {
        resources(&mut self).cpu_quota = microseconds;
        self
    }

    /// CPUs the exec may use, such as `0-3`.
    #[must_use = "this returns the changed op"]
    fn cpuset_cpus(mut self, cpus: impl Into<String>) -> Self {
        resources(&mut self).cpuset_cpus = cpus.into();
        self
    }

    /// Memory nodes the exec may use, such as `0,1`.
    #[must_use = "this returns the changed op"]
    fn cpuset_mems(mut self, nodes: impl Into<String>) -> Self {
        resources(&mut self).cpuset_mems = nodes.into();
        self
    }

    /// Where a user wrote the op; may be given several times. `None` is no place.
    #[must_use = "this returns the changed op"]
    fn location(mut self, location: impl Into<Option<SourceLocation>>) -> Self {
        if let Some(location) = location.into() {
            self.constraints_mut()
                .options_mut()
                .locations
                .push(location);
        }
        self
    }

    /// For a local source: keeps it apart from equally named ones of other builds.
    #[must_use = "this returns the changed op"]
    fn local_unique_id(mut self, id: impl Into<String>) -> Self {
        self.constraints_mut().options_mut().local_unique_id = Some(id.into());
        self
    }
}

impl Constrain for Constraints {
    fn constraints_mut(&mut self) -> &mut Constraints {
        self
    }
}

fn resources(op: &mut impl Constrain) -> &mut LinuxResources {
    op.constraints_mut()
        .options_mut()
        .metadata
        .linux_resources
        .get_or_insert_default()
}
