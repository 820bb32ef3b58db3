//! Files of a project that look like weights, for `--separate-weights`.
//!
//! Weights change rarely and are large, so they get layers of their own: a change of the source then leaves them alone.
//! A project can name its weights in `cog.yaml`; this is what is assumed of one that does not.

use std::collections::BTreeMap;

/// Smallest file that counts as weights, in bytes.
const THRESHOLD: u64 = 10 * 1024 * 1024;

/// Ends of files that are code.
const CODE: [&str; 2] = [".py", ".ipynb"];

/// Beginnings of paths that hold no weights.
const NOT_BELOW: [&str; 3] = [".cog", ".git", "__pycache__"];

/// Ends of files that are no weights, however large: code, packages, pictures, films, sound, logs.
const NOT_WEIGHTS: &[&str] = &[
    ".py", ".ipynb", ".whl", ".jpg", ".jpeg", ".png", ".webp", ".svg", ".gif", ".avif", ".heic",
    ".mp4", ".mov", ".avi", ".wmv", ".mkv", ".webm", ".mp3", ".wav", ".ogg", ".flac", ".aac",
    ".m4a", ".log",
];

/// Where the weights of a project are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Folders that hold weights and no code, none inside another.
    pub folders: Vec<String>,
    /// Files at the top of the project.
    pub files: Vec<String>,
}

impl Weights {
    /// Folders, then files.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.folders.iter().chain(&self.files)
    }
}

/// Finds weights among the files of a project, given by path and size in bytes.
pub fn find(files: &BTreeMap<String, u64>) -> Weights {
    let is_code = |path: &str| CODE.iter().any(|end| path.ends_with(end));
    let in_git = |path: &str| path.split('/').rev().skip(1).any(|part| part == ".git");
    let mut large: Vec<&str> = files
        .iter()
        .filter(|(_, size)| **size >= THRESHOLD)
        .map(|(path, _)| path.as_str())
        .filter(|path| !in_git(path) && !NOT_BELOW.iter().any(|start| path.starts_with(start)))
        .filter(|path| !NOT_WEIGHTS.iter().any(|end| path.ends_with(end)))
        .collect();
    // Upper folders first, so that a folder is never listed beside one it lies in.
    large.sort_by_key(|path| {
        (
            path.matches('/').count(),
            path.split('/').collect::<Vec<_>>(),
        )
    });
    let mut weights = Weights::default();
    for path in large {
        match path.rsplit_once('/') {
            None => weights.files.push(path.to_owned()),
            Some((folder, _)) if weights.folders.iter().any(|other| is_inside(folder, other)) => {}
            Some((folder, _)) => weights.folders.push(folder.to_owned()),
        }
    }
    weights.folders.retain(|folder| {
        !files
            .keys()
            .any(|path| is_code(path) && !in_git(path) && is_inside(path, folder))
    });
    weights
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, u64)]) -> (Vec<String>, Vec<String>) {
        let files = files
            .iter()
            .map(|(path, size)| ((*path).to_owned(), *size))
            .collect();
        let weights = find(&files);
        (weights.folders, weights.files)
    }

    #[test]
    fn large_files_are_weights_by_their_folder() {
        let (folders, files) = found(&[
            ("root", THRESHOLD),
            ("a/b/c/w", THRESHOLD),
            ("a/b/w", THRESHOLD),
            ("small", 1),
        ]);
        assert_eq!(
            (folders, files),
            (vec!["a/b".to_owned()], vec!["root".to_owned()])
        );
    }

    /// B31: a folder `models` was dropped because of a file `models_util.py` beside it.
    #[test]
    fn only_code_inside_a_folder_rules_it_out() {
        let (folders, _) = found(&[
            ("models/w", THRESHOLD),
            ("models_util.py", 1),
            ("code/w", THRESHOLD),
            ("code/a.py", 1),
        ]);
        assert_eq!(folders, ["models"]);
    }
}
