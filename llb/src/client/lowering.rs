//! Fits a build to what the daemon can run, before it is sent.

use std::path::{Path, PathBuf};

use prost::Message as _;

use super::Client;
use super::capability::Capabilities;
use super::error::{Error, ErrorKind};
use super::solve::Solve;
use crate::Definition;
use crate::lower::{Helper, Lowering, Policy, may_need};
use crate::progress::{Event, Progress, Warning};
use crate::proto::pb;
use crate::value::{Capability, CapabilitySet};

/// Names the helper program.
const VARIABLE: &str = "LLB_HELPER";

/// The warnings of frontends that people should see have this level.
const LEVEL: i64 = 1;

impl Capabilities {
    /// The LLB capabilities whose names are known here, as [`Definition::lower`](crate::Definition::lower) takes them.
    pub fn known(&self) -> CapabilitySet {
        let known = self.llb().iter();
        known
            .filter_map(|name| Capability::from_name(name))
            .collect()
    }
}

impl Helper {
    /// A helper from a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no helper.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| {
            let message = format!("cannot read the helper {}: {error}", path.display());
            Error::new(ErrorKind::LocalFile, message)
        })?;
        Self::from_bytes(bytes).map_err(|error| {
            Error::new(
                ErrorKind::LocalFile,
                format!("{} cannot be used: {error}", path.display()),
            )
        })
    }

    /// The helpers of this machine: the file that the environment variable `LLB_HELPER` names, else those beside the
    /// running program, `llb-helper-linux-amd64` and so on.
    ///
    /// # Errors
    ///
    /// A file that is there cannot be read, or is no helper.
    pub fn find_all() -> Result<Vec<Self>, Error> {
        Self::files().into_iter().map(Self::from_path).collect()
    }

    /// The files of [`find_all`](Self::find_all), all in one folder.
    pub fn files() -> Vec<PathBuf> {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return vec![PathBuf::from(path)];
        }
        let program = std::env::current_exe().ok();
        let Some(folder) = program.as_deref().and_then(Path::parent) else {
            return Vec::new();
        };
        Self::ARCHITECTURES
            .iter()
            .map(|architecture| folder.join(format!("llb-helper-linux-{architecture}")))
            .filter(|path| path.is_file())
            .collect()
    }
}

impl Client {
    /// Lowers the graphs of a build if the daemon lacks something that they need, and says so.
    pub(super) async fn lower<P>(
        &self,
        solve: &mut Solve,
        progress: &mut P,
    ) -> Result<Vec<Lowering>, Error>
    where
        P: Progress + ?Sized,
    {
        let mut graphs: Vec<&mut pb::Definition> = solve
            .definition
            .iter_mut()
            .chain(solve.inputs.values_mut())
            .filter(|graph| {
                let ops = graph.def.iter();
                ops.filter_map(|op| pb::Op::decode(op.clone()).ok())
                    .any(|op| may_need(&op))
            })
            .collect();
        if graphs.is_empty() {
            return Ok(Vec::new());
        }
        let caps = self.known_capabilities().await?.known();
        let mut policy = None;
        let mut report = Vec::new();
        for graph in &mut graphs {
            let definition =
                Definition::from_bytes(&graph.encode_to_vec()).map_err(|error| refused(&error))?;
            if !definition.needs_lowering(caps) {
                continue;
            }
            if policy.is_none() {
                policy = Some(match solve.lowering.clone() {
                    Some(policy) => policy,
                    None => Helper::find_all()?
                        .into_iter()
                        .fold(Policy::new(), Policy::helper),
                });
            }
            let Some(policy) = &policy else { continue };
            let lowered = definition
                .lower(caps, policy)
                .map_err(|error| refused(&error))?;
            **graph = lowered.definition.into();
            report.extend(lowered.report);
        }
        for lowering in report.iter().filter(|lowering| lowering.is_warning()) {
            progress.event(&Event::Warning(Warning {
                vertex: lowering.digest.to_string(),
                level: LEVEL,
                short: lowering.to_string(),
                ..Warning::default()
            }));
        }
        Ok(report)
    }

    /// What the daemon can do, asked once for a connection.
    async fn known_capabilities(&self) -> Result<&Capabilities, Error> {
        self.capabilities
            .get_or_try_init(|| self.capabilities())
            .await
    }
}

fn refused(error: &crate::Error) -> Error {
    Error::new(ErrorKind::Request, error.to_string())
}
