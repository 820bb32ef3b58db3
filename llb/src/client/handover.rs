//! Results with an image config.
//!
//! Exporters of buildkitd take the config as an attribute; the one of Docker engines with graph
//! drivers does not look there (moby `builder-next/exporter/mobyexporter`, of August 2026). All of
//! them take it from the result of a build that ran through the gateway, so that is how it goes.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use tonic::Status;

use super::ask::Bridge;
use super::error::Error;
use super::export::IMAGE_CONFIG;
use super::failure::call_error;
use crate::proto::google::rpc;
use crate::proto::moby::buildkit::v1 as wire;
use crate::proto::moby::buildkit::v1::frontend::{
    CacheOptionsEntry, Result as BuildResult, ReturnRequest, SolveRequest,
};
use crate::proto::pb;

/// What a build gives back through its gateway.
pub(super) struct Handover {
    pub(super) definition: pb::Definition,
    pub(super) config: String,
    pub(super) cache_from: Vec<wire::CacheOptionsEntry>,
}

impl Handover {
    /// Ends the build with the graph's result and its config, or with the reason why there is none.
    ///
    /// The graph is not run here: the exporters ask for it.
    pub(super) async fn run(self, mut bridge: Bridge) -> Result<(), Error> {
        let end = match self.solve(&mut bridge).await {
            Ok(result) => ReturnRequest {
                result: Some(result),
                error: None,
            },
            // The daemon gives it back as the error of the build, with its details.
            Err(status) => ReturnRequest {
                result: None,
                error: Some(to_message(&status)),
            },
        };
        let fail = |status: Status| call_error("handing over the result", &status);
        let request = bridge.request(end).map_err(fail)?;
        bridge.calls.r#return(request).await.map_err(fail)?;
        Ok(())
    }

    async fn solve(self, bridge: &mut Bridge) -> Result<BuildResult, Status> {
        let request = bridge.request(SolveRequest {
            definition: Some(self.definition),
            allow_result_return: true,
            allow_result_array_ref: true,
            cache_imports: self
                .cache_from
                .into_iter()
                .map(|entry| CacheOptionsEntry {
                    r#type: entry.r#type,
                    attrs: entry.attrs,
                })
                .collect(),
            ..SolveRequest::default()
        })?;
        let response = bridge.calls.solve(request).await?.into_inner();
        let mut result = response.result.unwrap_or_default();
        let config = BTreeMap::from([(IMAGE_CONFIG.to_owned(), Bytes::from(self.config))]);
        result.metadata.extend(config);
        Ok(result)
    }
}

/// The status as gRPC's own message, with the details it came with.
fn to_message(status: &Status) -> rpc::Status {
    let details = rpc::Status::decode(status.details()).unwrap_or_default();
    rpc::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        ..details
    }
}
