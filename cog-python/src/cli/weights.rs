//! `--separate-weights`: looks for weights among the files of a project.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use llb::session::PatternSet;

use super::Failure;
use crate::plan::{EXCLUDED, ignore_patterns};

/// Weights of a project by their paths, folders first. What is left out of the image is none.
pub(super) fn find(root: &Path, ignore: &str) -> Result<Vec<String>, Failure> {
    let patterns = EXCLUDED.iter().map(|&pattern| pattern.to_owned());
    let excluded = PatternSet::new(patterns.chain(ignore_patterns(ignore)))
        .map_err(|error| Failure::new(format!("file `.dockerignore`: {error}")))?;
    let mut sizes = BTreeMap::new();
    walk(root, "", &mut sizes)
        .map_err(|error| Failure::new(format!("cannot look for weights: {error}")))?;
    // Code that stays out does not make a folder one of code.
    sizes.retain(|path, _| !excluded.matches(path));
    let weights = crate::weights::find(&sizes);
    Ok(weights.paths().cloned().collect())
}

fn walk(root: &Path, folder: &str, sizes: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            if !EXCLUDED.contains(&path.as_str()) {
                walk(root, &path, sizes)?;
            }
        } else if metadata.is_file() {
            sizes.insert(path, metadata.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_no_weights() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["models/a.bin", "skipped/b.bin", ".git/c.bin", "code/d.bin"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Sparse: it takes no room.
            fs::File::create(path).unwrap().set_len(11 << 20).unwrap();
        }
        fs::write(folder.path().join("code/run.py"), "").unwrap();
        fs::write(folder.path().join("models_util.py"), "").unwrap();
        assert_eq!(find(folder.path(), "skipped\n").unwrap(), ["models"]);
    }
}
