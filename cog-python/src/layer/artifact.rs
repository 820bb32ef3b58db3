//! Files of an OCI artifact: a manifest in a registry that is no image, with a layer for each file.
//!
//! A builder unpacks the layers of images, and these are none: each is a file as it is, whose name is the annotation
//! `org.opencontainers.image.title`, as `oras push` writes it. So a step fetches them. It looks at the digest of all that
//! it gets, and those are in the manifest, whose own is given.

use llb::value::ImageRef;
use llb::{Constrain, Exec, args, secret};

use super::Interpreter;

/// Variable with logins of registries, as Docker's `config.json` has them, and the secret that it comes from.
pub(crate) const LOGINS: &str = "DOCKER_AUTH_CONFIG";
/// The arguments are registry, its host, repository, digest, folder, path in the artifact, and options `--include` and
/// `--exclude`.
const FETCH: &str = include_str!("artifact.py");
/// Where Docker's registry is.
const HUB: [&str; 2] = ["docker.io", "registry-1.docker.io"];

/// The arguments of an interpreter that fetches an artifact into a folder.
pub(crate) fn words(
    reference: &ImageRef,
    path: &str,
    folder: &str,
    patterns: [&[String]; 2],
) -> Vec<String> {
    let registry = reference.domain();
    let host = if registry == HUB[0] { HUB[1] } else { registry };
    let digest = reference.digest().unwrap_or_default();
    let fixed = ["-B", "-c", FETCH, registry, host, reference.path(), digest];
    let mut words: Vec<String> = fixed.map(str::to_owned).into();
    words.extend([folder.to_owned(), path.to_owned()]);
    for (option, patterns) in ["--include", "--exclude"].into_iter().zip(patterns) {
        for pattern in patterns {
            words.extend([option.to_owned(), pattern.clone()]);
        }
    }
    words
}

/// The step that fetches an artifact into a folder.
pub(super) fn fetch(
    reference: &ImageRef,
    path: &str,
    folder: &str,
    patterns: [&[String]; 2],
    python: &Interpreter,
) -> Exec {
    let mut command = vec![python.command.clone()];
    command.extend(words(reference, path, folder, patterns));
    let exec = args(command)
        .mount(secret(LOGINS).as_env(LOGINS).optional())
        .name(format!("weights {}", reference.without_default_tag()));
    match &python.tree {
        Some(tree) => tree.lend(exec),
        None => exec,
    }
}
