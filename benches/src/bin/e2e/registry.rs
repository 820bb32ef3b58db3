//! What an image in a registry on this machine is made of.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// The layers of an image, with their sizes as they are stored.
pub(crate) fn layers(
    registry: &str,
    repository: &str,
    tag: &str,
) -> io::Result<BTreeMap<String, u64>> {
    let mut manifest = manifest(registry, repository, tag)?;
    if let Some(first) = manifest["manifests"][0]["digest"].as_str() {
        // An index: the image is its first entry, what is attested of it comes behind.
        let first = first.to_owned();
        manifest = self::manifest(registry, repository, &first)?;
    }
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let layers = layers.filter_map(|layer| {
        let digest = layer["digest"].as_str()?.to_owned();
        Some((digest, layer["size"].as_u64()?))
    });
    Ok(layers.collect())
}

fn manifest(registry: &str, repository: &str, reference: &str) -> io::Result<Value> {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let mut stream = TcpStream::connect(registry)?;
    // An answer to HTTP/1.0 ends with the connection and is not in chunks.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {registry}\r\nAccept: {ACCEPT}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let blank = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let body = blank.map_or(&[][..], |blank| &answer[blank + 4..]);
    let status = answer.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let status = String::from_utf8_lossy(status);
    if status.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("{registry}{path}: {status}")));
    }
    serde_json::from_slice(body).map_err(io::Error::from)
}
