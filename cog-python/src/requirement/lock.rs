//! Packages of other files than requirements.txt: `pyproject.toml`, `uv.lock`, `pylock.toml` (PEP 751) and scripts (PEP 723).
//!
//! Each becomes the lines that pip would be given for the same packages. A lock keeps what it fixes: versions, markers
//! and, when every package has some, hashes.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use llb::value::Digest;
use pep508_rs::MarkerTree;
use serde::Deserialize;
use toml::Spanned;

use super::script;
use crate::lock::{Lock, LockedFile, LockedPackage, Origin, file_name};

/// A line for pip, and the byte of the file it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockLine {
    pub(super) text: String,
    pub(super) offset: usize,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockError {
    pub(super) message: String,
    pub(super) offset: usize,
}

/// The lines of a file that is not a requirements file, by its name; `None` for one that is.
pub(super) fn lines(name: &str, text: &str) -> Option<Result<Vec<LockLine>, LockError>> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let named = file
        .strip_prefix("pylock.")
        .and_then(|rest| rest.strip_suffix(".toml"));
    let is_pylock = file == "pylock.toml" || named.is_some();
    match file {
        "pyproject.toml" => Some(read(text).map(pyproject)),
        "uv.lock" => Some(read(text).and_then(|lock| uv(&lock))),
        _ if std::path::Path::new(file)
            .extension()
            .is_some_and(|it| it == "py") =>
        {
            Some(script::lines(text))
        }
        _ if is_pylock => Some(read(text).and_then(|lock| pylock(&lock))),
        _ => None,
    }
}

/// The lock of a file with the files of every package: `pylock.toml`, or `uv.lock`.
pub(super) fn locked(name: &str, text: &str) -> Option<Lock> {
    match name.rsplit('/').next().unwrap_or(name) {
        "uv.lock" => uv_lock(&read(text).ok()?),
        _ => Lock::from_pylock(text).ok(),
    }
}

pub(super) fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, LockError> {
    toml::from_str(text).map_err(|error| LockError {
        message: error.message().to_owned(),
        offset: error.span().map_or(0, |span| span.start),
    })
}

#[derive(Deserialize)]
struct Pyproject {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
struct Project {
    #[serde(default)]
    dependencies: Vec<Spanned<String>>,
}

/// `[tool]`, as far as it says where packages are.
#[derive(Default, Deserialize)]
pub(super) struct Tool {
    #[serde(default)]
    uv: UvTool,
}

#[derive(Default, Deserialize)]
struct UvTool {
    #[serde(default)]
    index: Vec<UvIndex>,
}

#[derive(Deserialize)]
struct UvIndex {
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "the command line asks for it")
    )]
    name: Option<String>,
    url: Spanned<String>,
    #[serde(default)]
    default: bool,
}

/// Indexes that a `pyproject.toml` has names for (`[[tool.uv.index]]`): name and URL.
#[cfg(feature = "cli")]
pub(crate) fn named_indexes(text: &str) -> Vec<(String, String)> {
    let indexes = read::<Pyproject>(text).map(|file| file.tool.uv.index);
    let indexes = indexes.unwrap_or_default().into_iter();
    indexes
        .filter_map(|index| Some((index.name?, index.url.into_inner())))
        .collect()
}

fn pyproject(file: Pyproject) -> Vec<LockLine> {
    requirements(file.project.dependencies, file.tool)
}

/// Dependencies, after the indexes they are looked for in.
pub(super) fn requirements(dependencies: Vec<Spanned<String>>, tool: Tool) -> Vec<LockLine> {
    let indexes = tool.uv.index.into_iter().map(|index| {
        let option = if index.default {
            "--index-url"
        } else {
            "--extra-index-url"
        };
        LockLine {
            offset: index.url.span().start,
            text: format!("{option} {}", index.url.get_ref()),
        }
    });
    let packages = dependencies.into_iter().map(|line| LockLine {
        offset: line.span().start,
        text: line.into_inner(),
    });
    indexes.chain(packages).collect()
}

#[derive(Deserialize)]
struct UvLock {
    version: Spanned<u32>,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
    #[serde(default, rename = "package")]
    packages: Vec<UvPackage>,
}

#[derive(Deserialize)]
struct UvPackage {
    name: Spanned<String>,
    version: Option<String>,
    source: UvSource,
    #[serde(default)]
    dependencies: Vec<UvDependency>,
    #[serde(default, rename = "optional-dependencies")]
    optional: BTreeMap<String, Vec<UvDependency>>,
    #[serde(default)]
    wheels: Vec<UvFile>,
    sdist: Option<UvFile>,
}

#[derive(Deserialize)]
struct UvSource {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    subdirectory: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
}

#[derive(Deserialize)]
struct UvDependency {
    name: String,
    version: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
    marker: Option<String>,
}

#[derive(Deserialize)]
struct UvFile {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
    size: Option<u64>,
}

/// A package with an extra, or without.
type Node = (usize, Option<String>);

/// Packages that are reached from the project, by their place in the lock, with their markers.
fn wanted(lock: &UvLock) -> Result<BTreeMap<usize, MarkerTree>, LockError> {
    if *lock.version.get_ref() != 1 {
        return Err(LockError {
            message: format!(
                "the lock has version {}, known is 1",
                lock.version.get_ref()
            ),
            offset: lock.version.span().start,
        });
    }
    let is_root = |package: &UvPackage| {
        [&package.source.editable, &package.source.r#virtual]
            .iter()
            .any(|path| path.as_deref() == Some("."))
    };
    let Some(root) = lock.packages.iter().position(is_root) else {
        return Err(LockError {
            message: "the lock has no package for the project itself".into(),
            offset: 0,
        });
    };
    let markers = reached(lock, root)?;
    let mut by_package: BTreeMap<usize, MarkerTree> = BTreeMap::new();
    for ((package, _), marker) in markers {
        by_package
            .entry(package)
            .and_modify(|known| known.or(marker.clone()))
            .or_insert(marker);
    }
    by_package.remove(&root);
    Ok(by_package)
}

/// A repository of a lock of uv: `URL?rev=NAME&subdirectory=FOLDER#COMMIT`.
struct UvRepository<'l> {
    address: &'l str,
    commit: &'l str,
    subdirectory: Option<&'l str>,
}

impl<'l> UvRepository<'l> {
    fn new(git: &'l str) -> Self {
        let (address, commit) = git.split_once('#').unwrap_or((git, ""));
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let mut query = query.split('&');
        Self {
            address,
            commit,
            subdirectory: query.find_map(|part| part.strip_prefix("subdirectory=")),
        }
    }
}

fn uv(lock: &UvLock) -> Result<Vec<LockLine>, LockError> {
    let by_package = wanted(lock)?;
    let mut entries = Vec::new();
    let mut indexes: Vec<String> = Vec::new();
    for (index, marker) in by_package {
        let package = &lock.packages[index];
        let source = &package.source;
        let name = package.name.get_ref();
        let version = package.version.as_deref().unwrap_or_default();
        let wanted = if let Some(registry) = &source.registry {
            if registry.trim_end_matches('/') != "https://pypi.org/simple"
                && !indexes.contains(registry)
            {
                indexes.push(registry.clone());
            }
            format!("{name}=={version}")
        } else if let Some(git) = &source.git {
            let UvRepository {
                address,
                commit,
                subdirectory,
            } = UvRepository::new(git);
            let below = subdirectory.map_or(String::new(), |path| format!("#subdirectory={path}"));
            format!("{name} @ git+{address}@{commit}{below}")
        } else if let Some(url) = &source.url {
            let below = source.subdirectory.as_ref();
            let below = below.map_or(String::new(), |path| format!("#subdirectory={path}"));
            format!("{name} @ {url}{below}")
        } else if let Some(path) = [&source.path, &source.directory, &source.editable]
            .into_iter()
            .flatten()
            .next()
        {
            format!("{name} @ file:{path}")
        } else {
            continue;
        };
        let files = package.wheels.iter().chain(&package.sdist);
        entries.push(Entry {
            wanted,
            marker: Some(marker),
            hashes: files.filter_map(|file| file.hash.clone()).collect(),
            offset: package.name.span().start,
        });
    }
    Ok(to_lines(indexes, entries))
}

/// The same packages with their files. Nothing if one of them is from where a lock here knows no way to.
fn uv_lock(lock: &UvLock) -> Option<Lock> {
    let mut packages = Vec::new();
    for (index, marker) in wanted(lock).ok()? {
        let package = &lock.packages[index];
        if !marker.is_false() {
            packages.push(uv_package(package, marker_text(&marker))?);
        }
    }
    Some(Lock {
        requires_python: lock.requires_python.clone(),
        packages,
        ..Lock::default()
    })
}

fn uv_package(package: &UvPackage, marker: Option<String>) -> Option<LockedPackage> {
    let source = &package.source;
    let mut locked = LockedPackage {
        name: llb_helper::wheel::normalized(package.name.get_ref()),
        version: package.version.clone(),
        marker,
        ..LockedPackage::default()
    };
    if let Some(registry) = &source.registry {
        locked.index = Some(registry.clone());
        locked.wheels = package.wheels.iter().map(uv_file).collect();
        locked.sdist = package.sdist.as_ref().map(uv_file);
        return Some(locked);
    }
    let own = package
        .wheels
        .first()
        .or(package.sdist.as_ref())
        .map(uv_file);
    let archive = |file: LockedFile| {
        Origin::Archive(LockedFile {
            sha256: own.as_ref().and_then(|own| own.sha256.clone()),
            size: own.as_ref().and_then(|own| own.size),
            ..file
        })
    };
    locked.origin = Some(if let Some(git) = &source.git {
        let found = UvRepository::new(git);
        Origin::Repository {
            kind: "git".to_owned(),
            url: found.address.to_owned(),
            commit: found.commit.to_owned(),
            subdirectory: found.subdirectory.map(str::to_owned),
        }
    } else if let Some(url) = source
        .url
        .as_ref()
        .filter(|_| source.subdirectory.is_none())
    {
        archive(LockedFile {
            name: file_name(url),
            url: Some(url.clone()),
            ..LockedFile::default()
        })
    } else if let Some(path) = &source.path {
        archive(LockedFile {
            name: file_name(path),
            path: Some(path.clone()),
            ..LockedFile::default()
        })
    } else {
        let folder = source.directory.as_ref().or(source.editable.as_ref())?;
        Origin::Directory(folder.clone())
    });
    Some(locked)
}

fn uv_file(file: &UvFile) -> LockedFile {
    let location = file
        .url
        .as_ref()
        .or(file.path.as_ref())
        .or(file.filename.as_ref());
    let hash = file.hash.as_deref();
    LockedFile {
        name: location.map_or_else(String::new, |location| file_name(location)),
        url: file.url.clone(),
        path: file.path.clone(),
        size: file.size,
        sha256: hash
            .and_then(|hash| hash.strip_prefix("sha256:"))
            .map(str::to_owned),
    }
}

/// Under which markers each package is reached from the project: all paths to it, each with all of its markers.
fn reached(lock: &UvLock, root: usize) -> Result<BTreeMap<Node, MarkerTree>, LockError> {
    let mut markers: BTreeMap<Node, MarkerTree> =
        BTreeMap::from([((root, None), MarkerTree::TRUE)]);
    let mut open = VecDeque::from([(root, None)]);
    while let Some(node) = open.pop_front() {
        let (index, extra) = &node;
        let package = &lock.packages[*index];
        let above = markers[&node].clone();
        let dependencies = match extra {
            None => &package.dependencies,
            Some(extra) => match package.optional.get(extra) {
                Some(dependencies) => dependencies,
                None => continue,
            },
        };
        for dependency in dependencies {
            let error = |message: String| LockError {
                message,
                offset: package.name.span().start,
            };
            let found = lock.packages.iter().position(|other| {
                *other.name.get_ref() == dependency.name
                    && (dependency.version.is_none() || dependency.version == other.version)
            });
            let found = found.ok_or_else(|| {
                error(format!(
                    "`{}` depends on `{}`, which the lock does not have",
                    package.name.get_ref(),
                    dependency.name
                ))
            })?;
            let mut marker = above.clone();
            if let Some(text) = &dependency.marker {
                let own = MarkerTree::from_str(text)
                    .map_err(|_| error(format!("the marker `{text}` is not understood")))?;
                marker.and(own);
            }
            let extras = dependency.extra.iter().cloned().map(Some);
            for extra in extras.chain([None]) {
                let next = (found, extra);
                let known = markers.get(&next).cloned().unwrap_or(MarkerTree::FALSE);
                let mut joined = known.clone();
                joined.or(marker.clone());
                if joined != known {
                    markers.insert(next.clone(), joined);
                    open.push_back(next);
                }
            }
        }
    }
    Ok(markers)
}

#[derive(Deserialize)]
struct Pylock {
    #[serde(rename = "lock-version")]
    version: Spanned<String>,
    #[serde(default)]
    packages: Vec<PylockPackage>,
    #[serde(default)]
    tool: PylockTool,
}

#[derive(Default, Deserialize)]
struct PylockTool {
    #[serde(default, rename = "cog-python")]
    own: PylockOwn,
}

#[derive(Default, Deserialize)]
struct PylockOwn {
    /// Index options, as a requirements file has them.
    #[serde(default)]
    indexes: Vec<Spanned<String>>,
    /// Digests of images.
    #[serde(default)]
    images: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
struct PylockPackage {
    name: Spanned<String>,
    version: Option<String>,
    marker: Option<String>,
    index: Option<String>,
    #[serde(default)]
    wheels: Vec<PylockFile>,
    sdist: Option<PylockFile>,
    archive: Option<PylockFile>,
    vcs: Option<PylockVcs>,
    directory: Option<PylockFile>,
}

#[derive(Deserialize)]
struct PylockFile {
    url: Option<String>,
    path: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PylockVcs {
    r#type: String,
    url: Option<String>,
    #[serde(rename = "commit-id")]
    commit: String,
}

fn pylock(lock: &Pylock) -> Result<Vec<LockLine>, LockError> {
    if !lock.version.get_ref().starts_with("1.") {
        return Err(LockError {
            message: format!(
                "the lock has version {}, known is 1.0",
                lock.version.get_ref()
            ),
            offset: lock.version.span().start,
        });
    }
    for (image, digest) in &lock.tool.own.images {
        if let Err(error) = Digest::parse(digest.get_ref()) {
            return Err(LockError {
                message: format!(
                    "`{}` is no digest of the image `{image}`: {error}",
                    digest.get_ref()
                ),
                offset: digest.span().start,
            });
        }
    }
    let mut entries = Vec::new();
    let mut indexes: Vec<String> = Vec::new();
    for package in &lock.packages {
        let name = package.name.get_ref();
        let offset = package.name.span().start;
        let error = |message: String| LockError { message, offset };
        let located = |file: &PylockFile| match (&file.url, &file.path) {
            (Some(url), _) => Some(format!("{name} @ {url}")),
            (None, Some(path)) => Some(format!("{name} @ file:{path}")),
            (None, None) => None,
        };
        let wanted = if let Some(vcs) = &package.vcs {
            let url = vcs
                .url
                .as_ref()
                .ok_or_else(|| error(format!("`{name}` has no URL of its repository")))?;
            Some(format!("{name} @ {}+{url}@{}", vcs.r#type, vcs.commit))
        } else if let Some(file) = package.archive.as_ref().or(package.directory.as_ref()) {
            located(file)
        } else {
            package
                .version
                .as_ref()
                .map(|version| format!("{name}=={version}"))
        };
        let wanted = wanted
            .ok_or_else(|| error(format!("`{name}` has neither a version nor a location")))?;
        let marker = package
            .marker
            .as_ref()
            .map(|text| {
                MarkerTree::from_str(text)
                    .map_err(|_| error(format!("the marker `{text}` is not understood")))
            })
            .transpose()?;
        if let Some(index) = package
            .index
            .as_ref()
            .filter(|index| index.trim_end_matches('/') != "https://pypi.org/simple")
            && !indexes.contains(index)
        {
            indexes.push(index.clone());
        }
        let files = package
            .wheels
            .iter()
            .chain(&package.sdist)
            .chain(&package.archive);
        let hashes = files.flat_map(|file| {
            file.hashes
                .iter()
                .map(|(kind, hash)| format!("{kind}:{hash}"))
        });
        entries.push(Entry {
            wanted,
            marker,
            hashes: hashes.collect(),
            offset,
        });
    }
    let own = &lock.tool.own.indexes;
    if own.is_empty() {
        return Ok(to_lines(indexes, entries));
    }
    // Addresses of packages have no logins.
    let options = own.iter().map(|option| LockLine {
        offset: option.span().start,
        text: option.get_ref().clone(),
    });
    Ok(options.chain(to_lines(Vec::new(), entries)).collect())
}

/// A package of a lock.
struct Entry {
    wanted: String,
    marker: Option<MarkerTree>,
    hashes: Vec<String>,
    offset: usize,
}

/// pip wants hashes of all packages or of none, so one without leaves them out.
fn to_lines(indexes: Vec<String>, entries: Vec<Entry>) -> Vec<LockLine> {
    let hashed = entries.iter().all(|entry| !entry.hashes.is_empty());
    let options = indexes.into_iter().map(|index| LockLine {
        text: format!("--extra-index-url {index}"),
        offset: 0,
    });
    let packages = entries
        .into_iter()
        .filter(|entry| {
            entry
                .marker
                .as_ref()
                .is_none_or(|marker| !marker.is_false())
        })
        .map(|entry| {
            let mut text = entry.wanted;
            if let Some(marker) = entry.marker.as_ref().and_then(marker_text) {
                text.push_str(" ; ");
                text.push_str(&marker);
            }
            for hash in entry.hashes.iter().filter(|_| hashed) {
                text.push_str(" --hash=");
                text.push_str(hash);
            }
            LockLine {
                text,
                offset: entry.offset,
            }
        });
    options.chain(packages).collect()
}

/// A marker in an order that depends on nothing but the marker; nothing when it always holds.
fn marker_text(marker: &MarkerTree) -> Option<String> {
    if marker.is_true() {
        return None;
    }
    let mut clauses: Vec<String> = marker
        .to_dnf()
        .iter()
        .map(|clause| {
            let mut all: Vec<String> = clause.iter().map(ToString::to_string).collect();
            all.sort();
            all.join(" and ")
        })
        .collect();
    clauses.sort();
    Some(clauses.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str, text: &str) -> Vec<String> {
        let lines = lines(name, text).unwrap().unwrap();
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn dependencies_of_a_project_are_its_requirements() {
        let text = "[project]\nname = \"x\"\ndependencies = [\"six>=1\", \"numpy ; python_version > '3'\"]\n[[tool.uv.index]]\nurl = \"https://a/simple\"\n";
        assert_eq!(
            texts("sub/pyproject.toml", text),
            [
                "--extra-index-url https://a/simple",
                "six>=1",
                "numpy ; python_version > '3'"
            ]
        );
    }

    #[test]
    fn a_lock_says_where_its_packages_were_looked_for() {
        let package = "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1\"\nindex = \"https://h:1/simple\"\n";
        let index = "--extra-index-url https://${USER}:${TOKEN}@h:1/simple";
        let own = format!("{package}[tool.cog-python]\nindexes = [\"{index}\"]\n");
        assert_eq!(texts("pylock.toml", &own), [index, "a==1"]);
        let index = "--extra-index-url https://h:1/simple";
        assert_eq!(texts("pylock.toml", package), [index, "a==1"]);
    }

    const UV: &str = r#"
version = 1
[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [
    { name = "a", extra = ["x"] },
    { name = "b", marker = "sys_platform == 'win32'" },
]
[[package]]
name = "a"
version = "2"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "c", marker = "python_full_version >= '3.12'" }]
sdist = { url = "https://x/a.tar.gz", hash = "sha256:aa", size = 1 }
[package.optional-dependencies]
x = [{ name = "d" }]
[[package]]
name = "b"
version = "3"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "c" }]
wheels = [{ url = "https://x/b.whl", hash = "sha256:bb" }]
[[package]]
name = "c"
version = "4"
source = { registry = "https://other/simple" }
wheels = [{ url = "https://x/c.whl", hash = "sha256:cc" }]
[[package]]
name = "d"
version = "5"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "a" }]
wheels = [{ url = "https://x/d.whl", hash = "sha256:dd" }]
[[package]]
name = "unused"
version = "6"
source = { registry = "https://pypi.org/simple" }
"#;

    #[test]
    fn a_lock_of_uv_keeps_versions_hashes_and_the_markers_of_all_paths() {
        assert_eq!(
            texts("uv.lock", UV),
            [
                "--extra-index-url https://other/simple",
                "a==2 --hash=sha256:aa",
                "b==3 ; sys_platform == 'win32' --hash=sha256:bb",
                "c==4 ; python_full_version >= '3.12' or sys_platform == 'win32' --hash=sha256:cc",
                "d==5 --hash=sha256:dd",
            ]
        );
    }

    #[test]
    fn a_lock_of_uv_has_the_files_of_its_packages() {
        let lock = locked("sub/uv.lock", UV).unwrap();
        let files: Vec<(&str, Option<&str>, Vec<&str>)> = lock
            .packages
            .iter()
            .map(|package| {
                let files = package.wheels.iter().chain(&package.sdist);
                let urls = files.filter_map(|file| file.url.as_deref()).collect();
                (package.name.as_str(), package.marker.as_deref(), urls)
            })
            .collect();
        assert_eq!(
            files,
            [
                ("a", None, vec!["https://x/a.tar.gz"]),
                (
                    "b",
                    Some("sys_platform == 'win32'"),
                    vec!["https://x/b.whl"]
                ),
                (
                    "c",
                    Some("python_full_version >= '3.12' or sys_platform == 'win32'"),
                    vec!["https://x/c.whl"]
                ),
                ("d", None, vec!["https://x/d.whl"]),
            ]
        );
        let sdist = lock.packages[0].sdist.as_ref().unwrap();
        assert_eq!((sdist.name.as_str(), sdist.size), ("a.tar.gz", Some(1)));
        assert_eq!(sdist.sha256.as_deref(), Some("aa"));
        assert!(locked("uv.lock", "version = 2\n").is_none());
    }

    #[test]
    fn a_lock_of_uv_says_where_other_packages_are() {
        let text = r#"
version = 1
[[package]]
name = "app"
source = { editable = "." }
dependencies = [{ name = "a" }, { name = "b" }, { name = "c" }, { name = "d" }]
[[package]]
name = "a"
source = { git = "https://h/a?subdirectory=sub&rev=main#123" }
[[package]]
name = "b"
source = { url = "https://h/b-1.tar.gz" }
sdist = { hash = "sha256:bb" }
[[package]]
name = "c"
source = { path = "wheels/c-1-py3-none-any.whl" }
wheels = [{ filename = "c-1-py3-none-any.whl", hash = "sha256:cc" }]
[[package]]
name = "d"
source = { directory = "packages/d" }
"#;
        assert_eq!(
            texts("uv.lock", text),
            [
                "a @ git+https://h/a@123#subdirectory=sub",
                "b @ https://h/b-1.tar.gz",
                "c @ file:wheels/c-1-py3-none-any.whl",
                "d @ file:packages/d"
            ]
        );
        let lock = locked("uv.lock", text).unwrap();
        let origins: Vec<&Origin> = lock
            .packages
            .iter()
            .filter_map(|package| package.origin.as_ref())
            .collect();
        let [
            Origin::Repository {
                commit,
                subdirectory,
                ..
            },
            Origin::Archive(archive),
            Origin::Archive(wheel),
            Origin::Directory(folder),
        ] = origins.as_slice()
        else {
            panic!("{origins:?}");
        };
        assert_eq!(
            (commit.as_str(), subdirectory.as_deref()),
            ("123", Some("sub"))
        );
        assert_eq!(archive.url.as_deref(), Some("https://h/b-1.tar.gz"));
        assert_eq!(wheel.path.as_deref(), Some("wheels/c-1-py3-none-any.whl"));
        assert_eq!(wheel.sha256.as_deref(), Some("cc"));
        assert_eq!(folder, "packages/d");
    }

    #[test]
    fn a_standard_lock_keeps_versions_hashes_and_markers() {
        let text = r#"
lock-version = "1.0"
[[packages]]
name = "a"
version = "1"
marker = "python_version >= '3.12'"
wheels = [{ name = "a.whl", url = "https://x/a.whl", hashes = { sha256 = "aa" } }]
[[packages]]
name = "b"
vcs = { type = "git", url = "https://x/b", commit-id = "123" }
[[packages]]
name = "c"
directory = { path = "packages/c" }
"#;
        // One package without hashes leaves out those of the others.
        assert_eq!(
            texts("pylock.gpu.toml", text),
            [
                "a==1 ; python_full_version >= '3.12'",
                "b @ git+https://x/b@123",
                "c @ file:packages/c"
            ]
        );
    }

    #[test]
    fn broken_files_say_where() {
        let error = lines("uv.lock", "version = 2\n").unwrap().unwrap_err();
        assert_eq!(
            (error.offset, error.message.as_str()),
            (10, "the lock has version 2, known is 1")
        );
        assert!(lines("pylock.toml", "x").unwrap().is_err());
        let text = "lock-version = \"1.0\"\n[tool.cog-python.images]\n\"a:1\" = \"sha256:0\"\n";
        let error = lines("pylock.toml", text).unwrap().unwrap_err();
        assert_eq!(error.offset, text.find("\"sha256").unwrap());
        assert!(error.message.contains("no digest of the image `a:1`"));
        assert!(lines("requirements.txt", "x").is_none());
    }
}
