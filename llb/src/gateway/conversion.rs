//! Values as the wire has them.

use bytes::Bytes;
use prost::Message as _;

use super::error::Result;
use crate::definition::Definition;
use crate::proto::pb;
use crate::value::Platform;

/// A platform as messages have it.
pub(super) fn to_wire(platform: &Platform) -> pb::Platform {
    pb::Platform {
        architecture: platform.architecture.to_string(),
        os: platform.os.to_string(),
        variant: platform.variant.to_string(),
        os_version: platform.os_version.to_string(),
        os_features: platform
            .os_features
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// A platform out of a message.
pub(super) fn from_wire(platform: pb::Platform) -> Platform {
    Platform {
        os: platform.os.into(),
        architecture: platform.architecture.into(),
        variant: platform.variant.into(),
        os_version: platform.os_version.into(),
        os_features: platform.os_features.into_iter().map(Into::into).collect(),
    }
}

/// A definition out of a message.
pub(super) fn definition(message: &pb::Definition) -> Result<Definition> {
    Ok(Definition::from_bytes(&message.encode_to_vec())?)
}

/// The definition of one input of an op: what the op's definition has of it, and an end that names it.
pub(super) fn definition_of_input(whole: &Definition, input: &pb::Input) -> pb::Definition {
    let mut wanted = vec![input.digest.clone()];
    let mut kept = std::collections::BTreeSet::new();
    while let Some(digest) = wanted.pop() {
        let op = whole
            .ops()
            .iter()
            .find(|op| op.digest().to_string() == digest);
        if let Some(op) = op
            && kept.insert(digest)
            && let Ok(decoded) = pb::Op::decode(op.bytes())
        {
            wanted.extend(decoded.inputs.into_iter().map(|input| input.digest));
        }
    }
    let mut message = pb::Definition::from(whole.clone());
    let ops = whole.ops().iter();
    message.def = ops
        .filter(|op| kept.contains(&op.digest().to_string()))
        .map(|op| Bytes::copy_from_slice(op.bytes()))
        .collect();
    let end = pb::Op {
        inputs: vec![input.clone()],
        ..pb::Op::default()
    };
    message.def.push(end.encode_to_vec().into());
    message.metadata.retain(|digest, _| kept.contains(digest));
    if let Some(source) = &mut message.source {
        source.locations.retain(|digest, _| kept.contains(digest));
    }
    message
}
