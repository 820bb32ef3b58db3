//! The Docker configuration of this user: `config.json`, where Docker keeps logins, proxies and the current context.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Its directory: `DOCKER_CONFIG`, or `.docker` in the home directory.
pub(crate) fn directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match set("DOCKER_CONFIG") {
        Some(directory) => Some(directory.into()),
        None => set("HOME").map(|home| Path::new(&home).join(".docker")),
    }
}

/// What is in it; null if there is none.
pub(crate) fn read(directory: &Path) -> Result<Value, String> {
    let path = directory.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    // A message of the parser could quote the file.
    serde_json::from_slice(&text).map_err(|_| format!("{} is not valid JSON", path.display()))
}
