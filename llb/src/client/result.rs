//! Builds that make their result over the gateway.
//!
//! An exporter finds an image's config in its own attributes or beside the result. The exporter of a
//! Docker engine without containerd's image store looks beside the result only, and a definition
//! sent for solving has nothing beside its result. So there the client does what a frontend would:
//! it starts an empty build, solves the definition in it, and returns the result with the config.

use std::collections::BTreeMap;

use prost::Message as _;
use tonic::Status;

use super::ask::Bridge;
use super::error::Error;
use super::export::IMAGE_CONFIG;
use super::failure::call_error;
use crate::proto::google::rpc;
use crate::proto::moby::buildkit::v1 as control;
use crate::proto::moby::buildkit::v1::frontend::{
    CacheOptionsEntry, Result as BuildResult, ReturnRequest, SolveRequest,
};
use crate::proto::pb;

/// What to build over the gateway.
pub(crate) struct Build {
    pub(super) definition: Option<pb::Definition>,
    pub(super) frontend: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) inputs: BTreeMap<String, pb::Definition>,
    pub(super) caches: Vec<control::CacheOptionsEntry>,
}

impl Build {
    /// The request for it.
    pub(crate) fn into_request(self) -> SolveRequest {
        SolveRequest {
            definition: self.definition,
            frontend: self.frontend,
            frontend_opt: self.attributes,
            frontend_inputs: self.inputs,
            allow_result_return: true,
            allow_result_array_ref: true,
            cache_imports: self
                .caches
                .into_iter()
                .map(|cache| CacheOptionsEntry {
                    r#type: cache.r#type,
                    attrs: cache.attrs,
                })
                .collect(),
            ..SolveRequest::default()
        }
    }
}

/// Solves and returns the result with an image config. An error of the solve is returned as well:
/// the daemon then ends the build with it.
pub(super) async fn with_config(
    mut bridge: Bridge,
    build: Build,
    config: String,
) -> Result<(), Error> {
    let fail = |status: Status| call_error("building over the gateway", &status);
    let request = bridge.request(build.into_request()).map_err(fail)?;
    let end = match bridge.calls.solve(request).await {
        Ok(solved) => {
            let mut result = solved.into_inner().result.unwrap_or_default();
            give_config(&mut result, config);
            ReturnRequest {
                result: Some(result),
                error: None,
            }
        }
        Err(status) => ReturnRequest {
            result: None,
            error: Some(rpc::Status {
                code: status.code().into(),
                message: status.message().to_owned(),
                // The same error in its own encoding: only its details are wanted.
                details: rpc::Status::decode(status.details())
                    .map(|status| status.details)
                    .unwrap_or_default(),
            }),
        },
    };
    let request = bridge.request(end).map_err(fail)?;
    bridge.calls.r#return(request).await.map_err(fail)?;
    Ok(())
}

/// An image config that says when the image was made, unless it does already.
pub(super) fn with_time(config: &str, seconds: i64) -> String {
    let Ok(mut fields) = serde_json::from_str::<serde_json::Map<_, _>>(config) else {
        return config.to_owned();
    };
    let time = prost_types::Timestamp { seconds, nanos: 0 };
    let time = || serde_json::Value::String(time.to_string());
    fields.entry("created").or_insert_with(time);
    serde_json::Value::Object(fields).to_string()
}

/// Sets the time of every image config of a result.
#[cfg(feature = "gateway")]
pub(crate) fn give_time(result: &mut BuildResult, seconds: i64) {
    for (key, value) in &mut result.metadata {
        let rest = key.strip_prefix(IMAGE_CONFIG);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && let Ok(config) = std::str::from_utf8(value)
        {
            *value = with_time(config, seconds).into();
        }
    }
}

/// Sets the config of a result, and of each platform that a frontend gave one.
pub(crate) fn give_config(result: &mut BuildResult, config: String) {
    let config = bytes::Bytes::from(config);
    for (key, value) in &mut result.metadata {
        if key
            .strip_prefix(IMAGE_CONFIG)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            *value = config.clone();
        }
    }
    result.metadata.insert(IMAGE_CONFIG.to_owned(), config);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_gets_the_time_that_it_does_not_have() {
        let dated = with_time(r#"{"os":"linux"}"#, 1_700_000_000);
        let fields: serde_json::Value = serde_json::from_str(&dated).unwrap();
        assert_eq!(fields["created"], "2023-11-14T22:13:20Z");
        assert_eq!(fields["os"], "linux");
        assert_eq!(with_time(&dated, 0), dated);
        assert_eq!(with_time("[]", 0), "[]");
    }

    #[cfg(feature = "gateway")]
    #[test]
    fn the_configs_of_all_platforms_get_it() {
        let mut result = BuildResult::default();
        for key in [
            "containerimage.config",
            "containerimage.config/linux/arm64",
            "containerimage.configs",
        ] {
            let config = bytes::Bytes::from_static(b"{}");
            result.metadata.insert(key.to_owned(), config);
        }
        give_time(&mut result, 0);
        let dated =
            |config: &bytes::Bytes| config.starts_with(b"{\"created\":\"1970-01-01T00:00:00Z\"");
        let count = result
            .metadata
            .values()
            .filter(|config| dated(config))
            .count();
        assert_eq!(count, 2);
    }
}
