//! Paths that several forks of a merge wrote.
//!
//! A graph does not say which files a command writes, so a merge lays the later fork over the earlier one without a
//! word. Once the forks are solved it can be known: this reads what each of them added, and compares.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message as _;

use super::build::Build;
use super::error::{Error, Result};
use super::filesystem::Filesystem;
use super::reference::Stat;
use super::warning::Warning;
use crate::client;
use crate::definition::{Definition, DefinitionOp};
use crate::metadata::CUSTOM_NAME;
use crate::proto::pb;
use crate::session::FileKind;
use crate::state::{Fork, State, diff};

/// Files that are compared byte by byte, each at most this long; longer ones of one length count as different.
const COMPARED: u64 = 16 << 20;
/// Conflicts of a merge that are told one by one.
const SHOWN: usize = 20;

/// A path that two forks wrote differently; found by [`Build::conflicts`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Conflict {
    /// The path, with `/` in front.
    pub path: String,
    /// The position of the fork whose file is covered, counted from 0.
    pub lower: usize,
    /// The position of the fork whose file a merge shows.
    pub upper: usize,
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, lower, upper } = self;
        write!(
            formatter,
            "{path}: fork {} covers what fork {} wrote",
            upper + 1,
            lower + 1
        )
    }
}

/// # Checking merges
impl Build {
    /// The paths that several forks of one base wrote differently, in the order of the paths: what a
    /// [merge](State::merge) of them would decide without a word.
    ///
    /// Every fork is run and its files are listed, so this is for a check that was asked for, not for each build.
    /// Directories that several forks made are no conflict, nor are files that are equal. Files that a fork removed are
    /// not seen. The daemon must offer diffs, which Docker engines without containerd's image store do not.
    ///
    /// ```
    /// # use llb::gateway::{Build, Error, Image, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<Image> {
    /// let base = cx.image("debian:bookworm-slim").await?;
    /// let forks = [base.fork(|base| base.run(sh("make a"))), base.fork(|base| base.run(sh("make b")))];
    /// if cx.build_arg("CHECK_MERGES").is_some() {
    ///     if let Some(conflict) = cx.conflicts(&base, &forks).await?.first() {
    ///         return Err(Error::msg(conflict));
    ///     }
    /// }
    /// Ok(base.merge(forks).into())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A fork fails, or the daemon has no diffs.
    pub async fn conflicts<'f>(
        &self,
        base: &State,
        forks: impl IntoIterator<Item = &'f Fork>,
    ) -> Result<Vec<Conflict>> {
        if !self.capabilities().has_diff() {
            return Err(Error::msg(client::NO_DIFFS).hint(client::WHERE_DIFFS_ARE));
        }
        let added: Vec<_> = forks
            .into_iter()
            .map(|fork| self.filesystem(diff(base, fork.state())))
            .collect();
        compare(&added).await
    }

    /// Warns of what the merges of a graph decide without a word.
    pub(super) async fn warn_of_conflicts(&self, definition: &Definition) -> Result<()> {
        let names = definition.op_names();
        let digests = definition.ops().iter().map(DefinitionOp::digest);
        let digests: BTreeMap<_, _> = digests.map(|one| (one.to_string(), one)).collect();
        for (op, name) in definition.ops().iter().zip(&names) {
            let decoded = pb::Op::decode(op.bytes())?;
            let Some(pb::op::Op::Merge(_)) = decoded.op else {
                continue;
            };
            let name = op.metadata().description.get(CUSTOM_NAME).unwrap_or(name);
            let layers = decoded.inputs.iter().filter_map(|input| {
                let digest = digests.get(&input.digest)?;
                let output = u32::try_from(input.index).ok()?;
                Some(self.filesystem(definition.state_of(*digest, output)))
            });
            // What the first is, the others are laid over.
            let layers: Vec<_> = layers.skip(1).collect();
            let found = compare(&layers).await?;
            for conflict in found.iter().take(SHOWN) {
                let warning = format!("merge `{name}`: {conflict}");
                self.warn(Warning::new(warning)).await?;
            }
            if let Some(more @ 1..) = found.len().checked_sub(SHOWN) {
                let warning = format!("merge `{name}`: {more} more paths are written by two forks");
                self.warn(Warning::new(warning)).await?;
            }
        }
        Ok(())
    }
}

/// The paths that several layers have, and not the same.
async fn compare(added: &[Filesystem]) -> Result<Vec<Conflict>> {
    let mut last: BTreeMap<String, (usize, Stat)> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for (upper, files) in added.iter().enumerate() {
        for (path, stat) in files.walk("/").await? {
            if let Some((lower, covered)) = last.get(&path)
                && !is_same(&added[*lower], covered, files, &stat, &path).await?
            {
                conflicts.push(Conflict {
                    path: format!("/{path}"),
                    lower: *lower,
                    upper,
                });
            }
            last.insert(path, (upper, stat));
        }
    }
    conflicts.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(conflicts)
}

async fn is_same(
    lower: &Filesystem,
    covered: &Stat,
    upper: &Filesystem,
    stat: &Stat,
    path: &str,
) -> Result<bool> {
    if stat.is_dir() && covered.is_dir() {
        return Ok(true);
    }
    let of = |stat: &Stat| {
        (
            stat.kind,
            stat.mode,
            stat.uid,
            stat.gid,
            stat.size,
            stat.link.clone(),
        )
    };
    if of(stat) != of(covered) {
        return Ok(false);
    }
    if stat.kind != FileKind::Regular {
        return Ok(true);
    }
    if stat.size > COMPARED {
        return Ok(false);
    }
    let (lower, upper) = tokio::try_join!(lower.read_file(path), upper.read_file(path))?;
    Ok(lower == upper)
}
