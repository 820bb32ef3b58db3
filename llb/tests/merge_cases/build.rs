//! Builds a case on an engine.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::Path;

use llb::client::{Export, Solve};
use llb::lower::Replacement;
use llb::prelude::*;
use serde_json::Value;

use super::case::{Case, list};
use super::engine::Engine;
use super::graph;
use super::tree::Tree;

/// What came of a case.
pub(crate) enum Outcome {
    Equal {
        note: Option<String>,
    },
    Different {
        differences: Vec<String>,
    },
    /// Not built: the lowering refused.
    Refused(String),
}

/// A tree that an engine has made.
pub(crate) struct Built {
    pub(crate) tree: Tree,
    /// Whether a chain stood in for a merge.
    pub(crate) is_chain: bool,
    /// What the engine cannot do with the merge, if anything.
    note: Option<String>,
}

/// Overlay engines fail so where a deletion of one input is below a deletion of an earlier one; exports of images, which
/// are made of layers, work.
const BUG: &str = "not a directory";

/// Builds a case and compares with what it expects.
pub(crate) async fn outcome(engine: &Engine, case: &Case) -> Outcome {
    let built = match tree(engine, case).await {
        Ok(built) => built,
        Err(reason) => return Outcome::Refused(reason),
    };
    let expected = match built.note {
        None => case.expected(),
        Some(_) => case.expected_of_layers(),
    };
    let differences = expected.differences(&built.tree);
    if differences.is_empty() {
        Outcome::Equal { note: built.note }
    } else {
        Outcome::Different { differences }
    }
}

/// Builds a case.
pub(crate) async fn tree(engine: &Engine, case: &Case) -> Result<Built, String> {
    let state = graph::result(case)?;
    let definition = state
        .marshal(&MarshalOptions::linux_amd64())
        .map_err(|error| error.to_string())?;
    let lowered = definition
        .lower(engine.caps, &engine.policy)
        .map_err(|error| error.to_string())?;
    let is_chain = lowered
        .report
        .iter()
        .any(|lowering| lowering.to == Replacement::Chain);
    let definition = lowered.definition;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tree.tar");
    let mut tree = Tree::default();
    let solve = Solve::definition(definition).export(Export::tar(&file));
    match engine.client.solve(solve, &mut ()).await {
        Ok(_) => {
            tree.lay(File::open(&file).unwrap(), false)
                .map_err(|error| error.to_string())?;
            Ok(Built {
                tree,
                is_chain,
                note: None,
            })
        }
        Err(error) if !engine.lowers() && error.to_string().contains(BUG) => Ok(Built {
            tree: layers(engine, case).await?,
            is_chain,
            note: Some(format!(
                "by the layers of its image, for the engine fails to join {}",
                gist(&error.to_string())
            )),
        }),
        Err(error) => Err(format!("the build failed: {error}")),
    }
}

/// Builds a case as an image, and lays the layers over each other.
pub(crate) async fn layers(engine: &Engine, case: &Case) -> Result<Tree, String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("image.tar");
    let state = graph::result(case)?;
    let solve = Solve::state(&state, &MarshalOptions::linux_amd64());
    let solve = solve.map_err(|error| error.to_string())?;
    let solved = engine
        .client
        .solve(solve.export(uncompressed(&file)), &mut ())
        .await;
    solved.map_err(|error| error.to_string())?;
    let mut tree = Tree::default();
    lay_image(&mut tree, &file).map_err(|error| error.to_string())?;
    Ok(tree)
}

/// An image whose layers can be read as they are.
fn uncompressed(file: &Path) -> Export {
    Export::oci(file)
        .attribute("compression", "uncompressed")
        .attribute("force-compression", "true")
}

impl Built {
    /// Times of directories are not the same in a chain.
    pub(crate) fn without_directory_times(mut self) -> Self {
        for entry in self.tree.entries.values_mut() {
            if entry.kind == "dir" {
                entry.time = None;
            }
        }
        self
    }
}

/// The part of a message that says what failed.
fn gist(message: &str) -> String {
    let start = message.find("subPath").unwrap_or_default();
    let first = message[start..].lines().next().unwrap_or_default();
    first.split(':').next().unwrap_or_default().to_owned()
}

/// Lays all layers of an image, in an OCI archive, over a tree.
fn lay_image(tree: &mut Tree, archive: &Path) -> std::io::Result<()> {
    let mut file = File::open(archive)?;
    let mut blob = |path: &str| -> std::io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(0))?;
        let mut archive = tar::Archive::new(&mut file);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.path_bytes() == path.as_bytes() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                return Ok(bytes);
            }
        }
        Err(std::io::Error::other(format!("the archive has no {path}")))
    };
    let path = |digest: &Value| {
        format!(
            "blobs/{}",
            digest.as_str().unwrap_or_default().replace(':', "/")
        )
    };
    let index: Value = serde_json::from_slice(&blob("index.json")?)?;
    let manifest: Value = serde_json::from_slice(&blob(&path(&index["manifests"][0]["digest"]))?)?;
    for layer in list(&manifest["layers"]) {
        let bytes = blob(&path(&layer["digest"]))?;
        tree.lay(&bytes[..], true)?;
    }
    Ok(())
}
