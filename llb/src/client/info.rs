//! What a daemon is and keeps: versions, workers, its build cache.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Client;
use super::error::Error;
use super::failure::call_error;
use crate::proto::moby::buildkit::v1 as wire;

/// Versions of a daemon. Docker engines leave them empty; ask
/// [`Client::capabilities`] for what can be relied on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DaemonInfo {
    /// Go package of the daemon.
    pub package: String,
    /// Version of BuildKit.
    pub version: String,
    /// Commit of BuildKit.
    pub revision: String,
}

/// A worker of a daemon.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Worker {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The platforms it builds for, as `os/architecture[/variant]`, its own first.
    pub platforms: Vec<String>,
}

/// A record of the build cache.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheRecord {
    /// Its id.
    pub id: String,
    /// Size in bytes.
    pub size: u64,
    /// What made it.
    pub description: String,
    /// Its kind: `regular`, `source.local`, `exec.cachemount`, ...
    pub kind: String,
    /// The records it was made from.
    pub parents: Vec<String>,
    /// Whether it may still change, as a cache mount may.
    pub mutable: bool,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// Whether other records or images share its content.
    pub shared: bool,
    /// How often it was used.
    pub usage_count: u64,
    /// When it was last used.
    pub last_used: Option<SystemTime>,
}

/// What to remove from the build cache. By default everything nobody uses.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    filters: Vec<String>,
    all: bool,
    keep: Duration,
    reserved_space: u64,
    max_used_space: u64,
    min_free_space: u64,
}

impl Prune {
    /// Everything that no build uses now.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only records a filter matches, in containerd's syntax: `type==source.local`.
    #[must_use = "the settings are in the value returned"]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filters.push(filter.into());
        self
    }

    /// Also internal records and frontend images.
    #[must_use = "the settings are in the value returned"]
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// Keeps what was used within this time.
    #[must_use = "the settings are in the value returned"]
    pub fn keep_used_within(mut self, time: Duration) -> Self {
        self.keep = time;
        self
    }

    /// Always keeps this much, in bytes.
    #[must_use = "the settings are in the value returned"]
    pub fn reserved_space(mut self, bytes: u64) -> Self {
        self.reserved_space = bytes;
        self
    }

    /// Keeps at most this much, in bytes.
    #[must_use = "the settings are in the value returned"]
    pub fn max_used_space(mut self, bytes: u64) -> Self {
        self.max_used_space = bytes;
        self
    }

    /// Removes until this much of the disk is free, in bytes.
    #[must_use = "the settings are in the value returned"]
    pub fn min_free_space(mut self, bytes: u64) -> Self {
        self.min_free_space = bytes;
        self
    }
}

impl Client {
    /// Asks for the daemon's versions.
    pub async fn info(&self) -> Result<DaemonInfo, Error> {
        let response = self
            .control()
            .info(wire::InfoRequest {})
            .await
            .map_err(|status| call_error("asking for versions", &status))?;
        let version = response.into_inner().buildkit_version.unwrap_or_default();
        Ok(DaemonInfo {
            package: version.package,
            version: version.version,
            revision: version.revision,
        })
    }

    /// Asks for the daemon's workers.
    pub async fn list_workers(&self) -> Result<Vec<Worker>, Error> {
        let response = self
            .control()
            .list_workers(wire::ListWorkersRequest::default())
            .await
            .map_err(|status| call_error("listing workers", &status))?;
        let workers = response.into_inner().record.into_iter();
        Ok(workers
            .map(|record| Worker {
                id: record.id,
                labels: record.labels,
                platforms: record
                    .platforms
                    .into_iter()
                    .map(|platform| {
                        let variant = match platform.variant.as_str() {
                            "" => String::new(),
                            variant => format!("/{variant}"),
                        };
                        format!("{}/{}{variant}", platform.os, platform.architecture)
                    })
                    .collect(),
            })
            .collect())
    }

    /// Lists the build cache; of it what a filter matches, if there are any.
    pub async fn disk_usage(&self, filters: &[&str]) -> Result<Vec<CacheRecord>, Error> {
        let request = wire::DiskUsageRequest {
            filter: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            ..wire::DiskUsageRequest::default()
        };
        let response = self
            .control()
            .disk_usage(request)
            .await
            .map_err(|status| call_error("listing the build cache", &status))?;
        Ok(response
            .into_inner()
            .record
            .into_iter()
            .map(record)
            .collect())
    }

    /// Removes records of the build cache; gives what was removed.
    pub async fn prune(&self, prune: Prune) -> Result<Vec<CacheRecord>, Error> {
        let fail = |status| call_error("pruning the build cache", &status);
        let request = wire::PruneRequest {
            filter: prune.filters,
            all: prune.all,
            keep_duration: i64::try_from(prune.keep.as_nanos()).unwrap_or(i64::MAX),
            reserved_space: bytes(prune.reserved_space),
            max_used_space: bytes(prune.max_used_space),
            min_free_space: bytes(prune.min_free_space),
        };
        let mut stream = self
            .control()
            .prune(request)
            .await
            .map_err(fail)?
            .into_inner();
        let mut removed = Vec::new();
        while let Some(next) = stream.message().await.map_err(fail)? {
            removed.push(record(next));
        }
        Ok(removed)
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn record(record: wire::UsageRecord) -> CacheRecord {
    CacheRecord {
        id: record.id,
        size: u64::try_from(record.size).unwrap_or(0),
        description: record.description,
        kind: record.record_type,
        parents: record.parents,
        mutable: record.mutable,
        created: record
            .created_at
            .and_then(|time| SystemTime::try_from(time).ok()),
        in_use: record.in_use,
        shared: record.shared,
        usage_count: u64::try_from(record.usage_count).unwrap_or(0),
        last_used: record
            .last_used_at
            .and_then(|time| SystemTime::try_from(time).ok()),
    }
}
