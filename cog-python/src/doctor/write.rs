//! Writing changed files: all of them, or none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Changes;

/// Writes files of the project. Every text is on the disk before the first file is replaced, each is replaced as a whole,
/// and those that were replaced are put back if a later one cannot be.
///
/// `files` has what each was read as; one that is another now is left alone, with all others.
pub(crate) fn write(root: &Path, changes: &Changes, read: &Changes) -> Result<(), String> {
    let mut ready = Vec::new();
    let mut removed = Vec::new();
    for (path, text) in changes {
        // A link stays one: what it leads to is replaced.
        let target = root.join(path);
        let target = target.canonicalize().unwrap_or(target);
        let before = read.get(path).and_then(Option::as_ref);
        let now = fs::read(&target).ok();
        if now.as_deref() != before.map(String::as_bytes) {
            return Err(format!("`{path}` was changed meanwhile"));
        }
        match text {
            Some(text) => ready.push((prepared(&target, text, path, root, changes)?, target, path)),
            None => removed.push((target, path)),
        }
    }
    let mut done: Vec<(PathBuf, Option<&String>)> = Vec::new();
    let before = |path: &String| read.get(path).and_then(Option::as_ref);
    for (file, target, path) in ready {
        if let Err(error) = file.persist(&target) {
            undo(&done);
            return Err(format!("`{path}` cannot be written: {}", error.error));
        }
        done.push((target, before(path)));
    }
    for (target, path) in removed {
        if let Err(error) = fs::remove_file(&target) {
            undo(&done);
            return Err(format!("`{path}` cannot be removed: {error}"));
        }
        done.push((target, before(path)));
    }
    Ok(())
}

/// The text in a file next to where it belongs, with the permissions of the one that it replaces.
fn prepared(
    target: &Path,
    text: &str,
    path: &str,
    root: &Path,
    changes: &Changes,
) -> Result<NamedTempFile, String> {
    let wrong = |error: std::io::Error| format!("`{path}` cannot be written: {error}");
    let folder = target.parent().unwrap_or(root);
    let mut file = NamedTempFile::new_in(folder).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)?;
    file.as_file().sync_all().map_err(wrong)?;
    // A file that is moved takes its permissions with it.
    let moved = changes.iter().find(|(_, text)| text.is_none());
    let model = if target.exists() {
        Some(target.to_owned())
    } else {
        moved.map(|(path, _)| root.join(path))
    };
    if let Some(permissions) = model.and_then(|model| fs::metadata(model).ok()) {
        file.as_file()
            .set_permissions(permissions.permissions())
            .map_err(wrong)?;
    }
    Ok(file)
}

/// Puts files back; what cannot be put back was not there to be replaced either.
fn undo(done: &[(PathBuf, Option<&String>)]) {
    for (target, before) in done.iter().rev() {
        let _ = match before {
            Some(text) => fs::write(target, text),
            None => fs::remove_file(target),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(files: &[(&str, Option<&str>)]) -> Changes {
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.map(str::to_owned)))
            .collect()
    }

    fn listed(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_added_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "old").unwrap();
        fs::write(folder.path().join("b"), "gone").unwrap();
        let read = changes(&[("a", Some("old")), ("b", Some("gone"))]);
        let wanted = changes(&[("a", Some("new")), ("b", None), ("c", Some("more"))]);
        write(folder.path(), &wanted, &read).unwrap();
        assert_eq!(listed(folder.path()), ["a", "c"]);
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "new");
    }

    #[test]
    fn nothing_is_written_when_one_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "old").unwrap();
        let read = changes(&[("a", Some("old"))]);
        for (other, reason) in [("none/b", "cannot be written"), ("d", "cannot be removed")] {
            fs::create_dir_all(folder.path().join("d")).unwrap();
            let text = (other != "d").then_some("more");
            let wanted = changes(&[("a", Some("new")), (other, text)]);
            let error = write(folder.path(), &wanted, &read).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "old");
            assert_eq!(listed(folder.path()), ["a", "d"]);
        }
    }

    #[test]
    fn a_file_that_is_another_now_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "mine").unwrap();
        let read = changes(&[("a", Some("old"))]);
        let error = write(folder.path(), &changes(&[("a", Some("new"))]), &read).unwrap_err();
        assert!(error.contains("meanwhile"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "mine");
    }
}
