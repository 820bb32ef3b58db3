//! Path rules of LLB: lexical, slash-separated, the same on every host.
//!
//! A path in an op is text that BuildKit interprets inside a root file system, so nothing here looks at a disk.
//! [`clean`] and [`join`] give exactly what Go's `path.Clean` and `path.Join` give; the other functions are the rules
//! BuildKit's client applies to working directories and to the paths of file actions (`client/llb/state.go` and
//! `fileop.go` of August 2026).
//!
//! **Invariant.** A path that is already in its final form is returned borrowed: graphs are built from literals most
//! of the time, and those cost no allocation.

use std::borrow::Cow;

/// Returns the shortest lexical equivalent of `path`.
///
/// Repeated slashes, `.` elements and inner `..` elements disappear, as do `..` elements that would climb above the
/// root of an absolute path. The result ends in a slash only if it is the root; an empty path gives `.`.
///
/// ```
/// use llb::value::path::clean;
///
/// assert_eq!(clean("/a/../b//c/"), "/b/c");
/// assert_eq!(clean("../../x"), "../../x");
/// assert_eq!(clean(""), ".");
/// ```
pub fn clean(path: &str) -> Cow<'_, str> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let rooted = path.starts_with('/');
    let mut cleaned = String::with_capacity(path.len().max(1));
    if rooted {
        cleaned.push('/');
    }
    // Where the kept `..` elements of a relative path end: nothing before it may be removed.
    let mut floor = cleaned.len();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." if cleaned.len() > floor => {
                let cut = cleaned[floor..]
                    .rfind('/')
                    .map_or(floor, |slash| floor + slash);
                cleaned.truncate(cut);
            }
            ".." if rooted => {}
            ".." => {
                push_element(&mut cleaned, "..", rooted);
                floor = cleaned.len();
            }
            element => push_element(&mut cleaned, element, rooted),
        }
    }
    if cleaned.is_empty() {
        cleaned.push('.');
    }
    Cow::Owned(cleaned)
}

/// Joins the non-empty elements with slashes and cleans the result; gives the empty path if all elements are empty.
///
/// ```
/// use llb::value::path::join;
///
/// assert_eq!(join(&["/app", "../data", "x"]), "/data/x");
/// assert_eq!(join(&["", ""]), "");
/// ```
pub fn join(elements: &[&str]) -> String {
    let mut joined = String::with_capacity(elements.iter().map(|element| element.len() + 1).sum());
    for element in elements.iter().filter(|element| !element.is_empty()) {
        if !joined.is_empty() {
            joined.push('/');
        }
        joined.push_str(element);
    }
    if joined.is_empty() || is_clean(&joined) {
        joined
    } else {
        clean(&joined).into_owned()
    }
}

/// Whether `path` starts at the root.
///
/// Usable in constants; [`abs!`](crate::abs) refuses other literals when the program is compiled.
#[must_use]
pub const fn is_absolute(path: &str) -> bool {
    matches!(path.as_bytes(), [b'/', ..])
}

/// The working directory that results from setting `path` where `previous` was set before.
///
/// An absolute path is kept as given, not cleaned. A relative one is joined to the previous directory, or to `/` if
/// `previous` is empty, and cleaned; so the empty path cleans the previous directory.
///
/// ```
/// use llb::value::path::resolve_dir;
///
/// assert_eq!(resolve_dir("/a", "/x//y/"), "/x//y/");
/// assert_eq!(resolve_dir("/a", "../b"), "/b");
/// assert_eq!(resolve_dir("", "b"), "/b");
/// ```
pub fn resolve_dir<'p>(previous: &str, path: &'p str) -> Cow<'p, str> {
    if is_absolute(path) {
        return Cow::Borrowed(path);
    }
    let previous = if previous.is_empty() { "/" } else { previous };
    Cow::Owned(join(&[previous, path]))
}

/// The path that mkdir, mkfile and rm write into the op: clean and absolute.
///
/// `dir` is the working directory of the state the action is bound to; it counts only for a relative `path`, and may
/// be empty.
///
/// ```
/// use llb::value::path::file_path;
///
/// assert_eq!(file_path("/app", "data/"), "/app/data");
/// assert_eq!(file_path("/app", "/data/"), "/data");
/// ```
pub fn file_path<'p>(dir: &str, path: &'p str) -> Cow<'p, str> {
    if is_absolute(path) {
        return clean(path);
    }
    Cow::Owned(join(&["/", dir, path]))
}

/// The destination of a copy: as [`file_path`], but a trailing `/` or `/.` stays, because it makes BuildKit treat the
/// destination as a directory.
///
/// ```
/// use llb::value::path::copy_destination;
///
/// assert_eq!(copy_destination("/w", "bin/"), "/w/bin/");
/// assert_eq!(copy_destination("/w", "/bin/."), "/bin/.");
/// assert_eq!(copy_destination("/w", "."), "/w");
/// ```
pub fn copy_destination<'p>(dir: &str, path: &'p str) -> Cow<'p, str> {
    let resolved = file_path(dir, path);
    if path.ends_with('/') {
        if resolved.ends_with('/') {
            return resolved;
        }
        // A path that is clean apart from its slash needs no copy.
        if path.len() == resolved.len() + 1 && path.starts_with(&*resolved) {
            return Cow::Borrowed(path);
        }
        let mut resolved = resolved.into_owned();
        resolved.push('/');
        Cow::Owned(resolved)
    } else if path.ends_with("/.") {
        let mut resolved = resolved.into_owned();
        let mark = if resolved == "/" { "." } else { "/." };
        resolved.push_str(mark);
        Cow::Owned(resolved)
    } else {
        resolved
    }
}

/// The source of a copy: clean, and joined to `dir`, the working directory of the source state, if it is relative.
///
/// A source state without a working directory (`None`) leaves a relative path relative.
///
/// ```
/// use llb::value::path::copy_source;
///
/// assert_eq!(copy_source(Some("/from"), "../z/"), "/z");
/// assert_eq!(copy_source(None, "x/../y"), "y");
/// ```
pub fn copy_source<'p>(dir: Option<&str>, path: &'p str) -> Cow<'p, str> {
    match dir {
        Some(dir) if !is_absolute(path) && !dir.is_empty() => Cow::Owned(join(&[dir, path])),
        _ => clean(path),
    }
}

/// Gives an absolute path literal, checked when the program is compiled.
///
/// ```
/// const DATA: &str = llb::abs!("/var/lib/data");
/// assert_eq!(DATA, "/var/lib/data");
/// ```
///
/// A relative one does not compile:
///
/// ```compile_fail
/// const DATA: &str = llb::abs!("var/lib/data");
/// ```
#[macro_export]
macro_rules! abs {
    ($path:expr) => {{
        const PATH: &str = $path;
        const _: () = assert!(
            $crate::value::path::is_absolute(PATH),
            "the path must be absolute: start it with `/`"
        );
        PATH
    }};
}

fn push_element(cleaned: &mut String, element: &str, rooted: bool) {
    if cleaned.len() > usize::from(rooted) {
        cleaned.push('/');
    }
    cleaned.push_str(element);
}

/// Whether `clean` would change nothing.
fn is_clean(path: &str) -> bool {
    if matches!(path, "/" | ".") {
        return true;
    }
    let (rooted, relative) = match path.strip_prefix('/') {
        Some(relative) => (true, relative),
        None => (false, path),
    };
    let mut climbing = !rooted;
    for element in relative.as_bytes().split(|&byte| byte == b'/') {
        match element {
            b".." if climbing => {}
            b"" | b"." | b".." => return false,
            _ => climbing = false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_follows_go() {
        let cases = [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("//", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/../..", "/"),
            ("..", ".."),
            ("../..", "../.."),
            ("../../abc", "../../abc"),
            ("abc", "abc"),
            ("abc/", "abc"),
            ("abc//def//ghi", "abc/def/ghi"),
            ("/abc/def", "/abc/def"),
            ("//abc", "/abc"),
            ("abc/./def", "abc/def"),
            ("/./abc/def", "/abc/def"),
            ("abc/def/ghi/../jkl", "abc/def/jkl"),
            ("abc/def/../ghi/../jkl", "abc/jkl"),
            ("abc/def/..", "abc"),
            ("abc/def/../..", "."),
            ("/abc/def/../..", "/"),
            ("abc/def/../../..", ".."),
            ("/abc/def/../../..", "/"),
            ("abc/def/../../../ghi/jkl/../../../mno", "../../mno"),
            ("abc/./../def", "def"),
            ("abc//./../def", "def"),
            ("abc/../../././../def", "../../def"),
            ("../a/..", ".."),
            ("../a/../b", "../b"),
            ("a..b/..c/.d", "a..b/..c/.d"),
            ("/ä/../é", "/é"),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected, "{path:?}");
            assert_eq!(is_clean(path), path == expected, "{path:?}");
        }
    }

    /// The rules of `clean` written as a stack of elements, as slow as it is plain.
    fn clean_by_stack(path: &str) -> String {
        let rooted = path.starts_with('/');
        let mut stack: Vec<&str> = Vec::new();
        for element in path
            .split('/')
            .filter(|element| !matches!(*element, "" | "."))
        {
            match (element, stack.last()) {
                ("..", Some(&last)) if last != ".." => _ = stack.pop(),
                ("..", _) if rooted => {}
                _ => stack.push(element),
            }
        }
        match (rooted, stack.is_empty()) {
            (true, _) => format!("/{}", stack.join("/")),
            (false, true) => ".".to_owned(),
            (false, false) => stack.join("/"),
        }
    }

    #[test]
    fn clean_agrees_with_the_plain_algorithm_on_every_short_path() {
        let alphabet = ["/", ".", "a", "..", "/b"];
        let mut paths = vec![String::new()];
        let mut start = 0;
        for _ in 0..6 {
            let end = paths.len();
            for index in start..end {
                for piece in alphabet {
                    paths.push(format!("{}{piece}", paths[index]));
                }
            }
            start = end;
        }
        for path in &paths {
            let cleaned = clean(path);
            assert_eq!(cleaned, clean_by_stack(path), "{path:?}");
            assert_eq!(clean(&cleaned), cleaned, "{path:?} is not a fixed point");
            assert_eq!(is_clean(path), *path == cleaned, "{path:?}");
        }
    }

    #[test]
    fn join_ignores_empty_elements() {
        assert_eq!(join(&[]), "");
        assert_eq!(join(&["", "a"]), "a");
        assert_eq!(join(&["a", ""]), "a");
        assert_eq!(join(&["/", "/w", "/x/"]), "/w/x");
        assert_eq!(join(&["", "."]), ".");
    }

    #[test]
    fn directories_resolve_as_in_go() {
        let cases = [
            ("", "/x/../y/", "/x/../y/"),
            ("/x", "y/../z", "/x/z"),
            ("/x/", "", "/x"),
            ("/a//b/", "", "/a/b"),
            ("", "r", "/r"),
            ("/x", "w", "/x/w"),
        ];
        for (previous, path, expected) in cases {
            assert_eq!(
                resolve_dir(previous, path),
                expected,
                "{previous:?} {path:?}"
            );
        }
    }

    #[test]
    fn file_paths_are_clean_and_absolute() {
        let cases = [
            ("/", "/a/../b//c/", "/b/c"),
            ("/", "rel/./x/", "/rel/x"),
            ("/", "", "/"),
            ("/", "../up", "/up"),
            ("/", "/", "/"),
            ("", "rel", "/rel"),
            ("/to", "../q", "/q"),
        ];
        for (dir, path, expected) in cases {
            assert_eq!(file_path(dir, path), expected, "{dir:?} {path:?}");
        }
    }

    #[test]
    fn copy_destinations_keep_their_directory_mark() {
        let cases = [
            ("/d/", "/d/"),
            ("/d/.", "/d/."),
            (".", "/w"),
            ("./", "/w/"),
            ("/", "/"),
            ("/.", "/."),
            ("", "/w"),
            ("x/../y/", "/w/y/"),
            ("..", "/"),
            ("../..//.", "/."),
            ("/a/..", "/"),
            ("a/./", "/w/a/"),
            ("/a//", "/a/"),
            ("/a/../", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(copy_destination("/w", path), expected, "{path:?}");
        }
        assert!(matches!(
            copy_destination("/w", "/d/"),
            Cow::Borrowed("/d/")
        ));
    }

    #[test]
    fn copy_sources_lose_trailing_slashes() {
        let cases = [
            ("/a/", "/a"),
            ("/a/.", "/a"),
            ("", "/"),
            (".", "/"),
            ("../x", "/x"),
            ("a//b/../c", "/a/c"),
            ("/..", "/"),
            ("x/*", "/x/*"),
        ];
        for (path, expected) in cases {
            assert_eq!(copy_source(Some("/"), path), expected, "{path:?}");
        }
        assert_eq!(copy_source(None, "."), ".");
        assert_eq!(copy_source(Some(""), "x/../y"), "y");
    }
}
