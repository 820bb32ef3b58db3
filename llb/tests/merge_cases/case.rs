//! A case: states, a merge, and the tree that must come out. `tests/data/merge-cases/INDEX.md` describes the format.

use std::path::Path;

use serde_json::Value;

use super::tree::Tree;

pub(crate) struct Case {
    pub(crate) id: String,
    value: Value,
}

impl Case {
    pub(crate) fn new(id: impl Into<String>, value: Value) -> Self {
        Self {
            id: id.into(),
            value,
        }
    }

    /// All cases of a folder, by name.
    pub(crate) fn read_all(directory: &Path) -> Result<Vec<Self>, String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", directory.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(|error| at(&error))? {
            let path = entry.map_err(|error| at(&error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
        files.sort();
        let mut cases = Vec::new();
        for file in files {
            let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let bytes = std::fs::read(&file).map_err(|error| at(&error))?;
            let value: Value = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
            if value["format"] != "fork-merge-case/1" {
                return Err(at(&"expected a case of format fork-merge-case/1"));
            }
            let id = value["id"].as_str().unwrap_or_default().to_owned();
            cases.push(Self { id, value });
        }
        if cases.is_empty() {
            return Err(at(&"there are no cases (*.json)"));
        }
        Ok(cases)
    }

    pub(crate) fn text(&self) -> String {
        self.value.to_string()
    }

    pub(crate) fn states(&self) -> &[Value] {
        list(&self.value["states"])
    }

    /// The name of the state to look at.
    pub(crate) fn result(&self) -> &str {
        self.value["result"].as_str().unwrap_or_default()
    }

    /// The tree that must come out, as an archive shows it.
    pub(crate) fn expected(&self) -> Tree {
        let mut tree = Tree::of_case(&self.value["expected"]);
        for difference in list(&self.value["engines"]["tar_export"]) {
            tree.amend(difference);
        }
        tree
    }

    /// The tree that must come out, as the layers of an image show it.
    pub(crate) fn expected_of_layers(&self) -> Tree {
        Tree::of_case(&self.value["expected"])
    }

    /// Whether the case itself says that an engine makes something else.
    pub(crate) fn is_known_to_differ(&self, lowers: bool) -> bool {
        lowers && self.value["engines"]["graphdriver_apply"] == "differ"
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
