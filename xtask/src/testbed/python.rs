//! Debian's Python in the layout of upstream's: one prefix that can lie anywhere.
//!
//! Docker Hub's Python images have Python below `/usr/local`, uv's managed Pythons come as an
//! archive of such a prefix; both install into `lib/python3.X/site-packages`, and pip is free to.
//! Debian's Python lies below `/usr`, installs elsewhere and tells pip to keep out. The interpreter
//! and its standard library are the same, so [`install`] lays Debian's files out anew and takes
//! back, line by line, the few changes that Debian makes to where packages go. A line that is not
//! found is an error: a Python that looks right and installs elsewhere would be worse.
//!
//! The libraries that Python needs beyond the C library lie beside it and are found relative to
//! the program, so the prefix works in any image of its Debian release or a newer one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::layout::Layout;
use super::rootfs::Release;
use super::shell;
use super::tools::Tools;

/// Libraries of the C library itself; they belong to the system that Python runs on.
const C_LIBRARY: [&str; 9] = [
    "ld-linux",
    "ld64",
    "libc.so",
    "libdl.so",
    "libm.so",
    "libpthread.so",
    "libresolv.so",
    "librt.so",
    "libutil.so",
];

/// Changes to one file of the standard library: Debian's text and upstream's meaning.
struct Patch {
    file: &'static str,
    edits: &'static [(&'static str, &'static str)],
}

/// Where packages go, and that they may.
const PATCHES: [Patch; 2] = [
    Patch {
        // A package since Python 3.13, a module before.
        file: "sysconfig",
        edits: &[(
            "prefix_scheme = 'posix_local'",
            "prefix_scheme = 'posix_prefix'",
        )],
    },
    Patch {
        file: "ensurepip",
        edits: &[
            (
                "\n    _ensurepip_is_disabled_in_debian_for_system()\n",
                "\n",
            ),
            (
                "sysconfig.get_config_var('WHEEL_PKG_DIR')",
                "os.path.join(os.path.dirname(__file__), '_bundled')",
            ),
        ],
    },
];

/// Runs whenever Python starts. The module `site` is compiled into the interpreter, so its file
/// cannot be patched; but it imports this module, as Debian's own Python uses it to.
const SITECUSTOMIZE: &str = r#""""Puts packages where upstream's Python has them.

The site module inside of this interpreter knows Debian's places only.
"""

import os
import site
import sys


def getsitepackages(prefixes=None):
    """Return the folders of installed packages, one for each prefix."""
    version = "python%d.%d" % sys.version_info[:2]
    prefixes = site.PREFIXES if prefixes is None else prefixes
    folders = [os.path.join(prefix, "lib", version, "site-packages") for prefix in prefixes if prefix]
    return list(dict.fromkeys(folders))


def run_next():
    """Run the sitecustomize that this one hides, if there is one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    own = os.path.dirname(__file__)
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != own])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


site.getsitepackages = getsitepackages
for folder in getsitepackages():
    if folder not in sys.path and os.path.isdir(folder):
        site.addsitedir(folder)
run_next()
"#;

/// Packages to unpack for the Python of `release`.
pub(crate) fn packages(release: &Release) -> Vec<String> {
    let python = format!("python{}", release.python);
    let mut packages = vec![
        python.clone(),
        format!("{python}-venv"),
        format!("lib{python}-dev"),
    ];
    packages.extend(release.python_extras.iter().map(|&name| name.to_owned()));
    packages
}

/// Lays out the Python unpacked in `unpacked` below `prefix`, which is `/usr/local` of an image.
///
/// Libraries that are not in `unpacked` are taken from `root`, the image's root filesystem.
/// pip is not there yet: `python -m ensurepip` in the image installs it.
pub(crate) fn install(
    layout: &Layout,
    tools: &Tools,
    release: &Release,
    unpacked: &Path,
    root: &Path,
    prefix: &Path,
) -> Result<()> {
    let name = format!("python{}", release.python);
    let library = prefix.join("lib").join(&name);
    let include = prefix.join("include").join(&name);
    let program = prefix.join("bin").join(&name);
    for folder in ["bin", "lib", "include"] {
        fs::create_dir_all(prefix.join(folder))?;
    }
    copy(layout, &unpacked.join("usr/bin").join(&name), &program)?;
    copy(layout, &unpacked.join("usr/lib").join(&name), &library)?;
    copy(layout, &unpacked.join("usr/include").join(&name), &include)?;
    for multiarch in library_folders(&unpacked.join("usr/include"))? {
        let config = multiarch.join(&name).join("pyconfig.h");
        if config.is_file() {
            let target = include.join("pyconfig.h");
            let _absent = fs::remove_file(&target);
            fs::copy(config, target)?;
        }
    }
    for link in ["python", "python3"] {
        symlink(&name, prefix.join("bin").join(link))?;
    }
    fs::create_dir_all(library.join("site-packages"))?;
    bundle_wheels(&unpacked.join("usr/share/python-wheels"), &library)?;
    prune(&library)?;
    let licence = format!("usr/share/doc/lib{name}-minimal/copyright");
    let _absent = fs::remove_file(library.join("LICENSE.txt"));
    fs::copy(unpacked.join(licence), library.join("LICENSE.txt"))
        .context("Python's package has no licence")?;
    for patch in &PATCHES {
        apply(&library, patch)?;
    }
    fs::write(library.join("sitecustomize.py"), SITECUSTOMIZE)?;
    relocate_config(&library, "/usr", "/usr/local")?;
    bundle_libraries(layout, tools, release, &[unpacked, root], prefix)
}

/// Changes the prefix that `sysconfig` reports for building extensions.
pub(crate) fn relocate_config(library: &Path, from: &str, to: &str) -> Result<()> {
    let mut found = false;
    for entry in fs::read_dir(library)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with("_sysconfigdata_") || entry.file_type()?.is_symlink()
        {
            continue;
        }
        let text = fs::read_to_string(entry.path())?;
        fs::write(entry.path(), relocate(&text, from, to))?;
        found = true;
    }
    ensure!(found, "{} has no _sysconfigdata", library.display());
    Ok(())
}

/// Replaces the prefix `from` where it begins a value or is one.
fn relocate(text: &str, from: &str, to: &str) -> String {
    [
        "'",
        "/bin'",
        "/include'",
        "/include/python",
        "/lib'",
        "/lib/python",
        "/share/man'",
    ]
    .iter()
    .fold(text.to_owned(), |text, end| {
        text.replace(&format!("'{from}{end}"), &format!("'{to}{end}"))
    })
}

/// Deletes compiled code: it is neither the same from run to run nor in upstream's images.
pub(crate) fn remove_compiled(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if entry.file_name() == "__pycache__" {
            fs::remove_dir_all(entry.path())?;
        } else {
            remove_compiled(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes scripts in `bin` find their Python beside them, wherever the prefix lies.
pub(crate) fn relocate_scripts(prefix: &Path, release: &Release) -> Result<()> {
    let first = format!("#!/usr/local/bin/python{}\n", release.python);
    let relative = format!(
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")/python{}\" \"$0\" \"$@\"\n' '''\n",
        release.python
    );
    for entry in fs::read_dir(prefix.join("bin"))? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        if let Some(rest) = bytes.strip_prefix(first.as_bytes()) {
            let mut script = relative.clone().into_bytes();
            script.extend_from_slice(rest);
            fs::write(entry.path(), script)?;
        }
    }
    Ok(())
}

/// pip's wheels, as ensurepip bundles them upstream.
fn bundle_wheels(wheels: &Path, library: &Path) -> Result<()> {
    let bundled = library.join("ensurepip/_bundled");
    fs::create_dir_all(&bundled)?;
    let mut pip = false;
    for entry in fs::read_dir(wheels).context("Python's packages brought no wheels of pip")? {
        let entry = entry?;
        pip |= entry.file_name().to_string_lossy().starts_with("pip-");
        fs::copy(entry.path(), bundled.join(entry.file_name()))?;
    }
    ensure!(pip, "found no wheel of pip in {}", wheels.display());
    Ok(())
}

/// Takes away what upstream does not have or a slim image does not need.
fn prune(library: &Path) -> Result<()> {
    for name in [
        "EXTERNALLY-MANAGED",
        "_distutils_system_mod.py",
        "sitecustomize.py",
    ] {
        let _absent = fs::remove_file(library.join(name));
    }
    let tests = library.join("test");
    if tests.is_dir() {
        fs::remove_dir_all(tests)?;
    }
    for config in fs::read_dir(library)? {
        let config = config?;
        if config.file_name().to_string_lossy().starts_with("config-") {
            for entry in fs::read_dir(config.path())? {
                let path = entry?.path();
                // Static archives, 25 MB, and links to shared libraries elsewhere.
                if path
                    .extension()
                    .is_some_and(|end| end == "a" || end == "so" || end == "o")
                {
                    fs::remove_file(path)?;
                }
            }
        }
    }
    remove_compiled(library)
}

fn apply(library: &Path, patch: &Patch) -> Result<()> {
    let module = library.join(patch.file).with_extension("py");
    let file = if module.is_file() {
        module
    } else {
        library.join(patch.file).join("__init__.py")
    };
    let mut text = fs::read_to_string(&file)
        .with_context(|| format!("the standard library has no {}", patch.file))?;
    for (from, to) in patch.edits {
        ensure!(
            text.contains(from),
            "expected {from:?} in {}, as Debian's Python has it, and did not find it",
            file.display()
        );
        text = text.replace(from, to);
    }
    fs::write(&file, text)?;
    Ok(())
}

/// Copies the shared libraries that Python needs to `lib/python3.X-libs`, and tells the
/// interpreter to look there.
fn bundle_libraries(
    layout: &Layout,
    tools: &Tools,
    release: &Release,
    sources: &[&Path],
    prefix: &Path,
) -> Result<()> {
    let name = format!("python{}", release.python);
    let program = prefix.join("bin").join(&name);
    let bundle = prefix.join("lib").join(format!("{name}-libs"));
    fs::create_dir_all(&bundle)?;
    let mut folders = Vec::new();
    for source in sources {
        folders.extend(library_folders(&source.join("usr/lib"))?);
        folders.extend(library_folders(&source.join("lib"))?);
    }
    let mut waiting = vec![program.clone()];
    for entry in fs::read_dir(prefix.join("lib").join(&name).join("lib-dynload"))? {
        waiting.push(entry?.path());
    }
    let mut seen = BTreeSet::new();
    while let Some(file) = waiting.pop() {
        let needed = shell::output(
            tools
                .command(layout, "patchelf")
                .arg("--print-needed")
                .arg(&file),
        )?;
        for library in needed.lines().map(str::trim) {
            if C_LIBRARY.iter().any(|prefix| library.starts_with(prefix))
                || !seen.insert(library.to_owned())
            {
                continue;
            }
            let Some(found) = folders
                .iter()
                .map(|folder| folder.join(library))
                .find(|path| path.is_file())
            else {
                bail!(
                    "{} needs {library}, which no package brought",
                    file.display()
                );
            };
            let copied = bundle.join(library);
            fs::copy(&found, &copied)
                .with_context(|| format!("cannot copy {}", found.display()))?;
            fs::set_permissions(&copied, fs::Permissions::from_mode(0o644))?;
            waiting.push(copied);
        }
    }
    copy_licences(layout, sources, &bundle)?;
    // An RPATH, unlike a RUNPATH, also holds for libraries that libraries need.
    shell::output(
        tools
            .command(layout, "patchelf")
            .args(["--force-rpath", "--set-rpath"])
            .arg(format!("$ORIGIN/../lib/{name}-libs"))
            .arg(&program),
    )?;
    Ok(())
}

/// The licences of the packages that libraries were taken from.
fn copy_licences(layout: &Layout, sources: &[&Path], bundle: &Path) -> Result<()> {
    let licences = bundle.join("licenses");
    fs::create_dir_all(&licences)?;
    let mut packages = BTreeSet::new();
    for source in sources {
        let doc = source.join("usr/share/doc");
        if !doc.is_dir() {
            continue;
        }
        for entry in fs::read_dir(doc)? {
            let entry = entry?;
            let package = entry.file_name().to_string_lossy().into_owned();
            let licence = entry.path().join("copyright");
            let is_library = package.starts_with("lib") || package.starts_with("zlib");
            if is_library
                && !package.ends_with("-dev")
                && licence.is_file()
                && packages.insert(package.clone())
            {
                copy(layout, &licence, &licences.join(package))?;
            }
        }
    }
    Ok(())
}

/// Subfolders named by a multiarch triplet, as in `x86_64-linux-gnu`.
fn library_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && path.to_string_lossy().contains("-linux-gnu") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file or folder with modes, times and links.
fn copy(layout: &Layout, from: &Path, to: &Path) -> Result<()> {
    shell::output(
        shell::command(layout, "cp")
            .args(["--archive", "--no-target-directory"])
            .arg(from)
            .arg(to),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::rootfs::RELEASES;

    #[test]
    fn a_prefix_is_replaced_where_it_begins_a_value_only() {
        let text = "'INCLUDEPY': '/usr/include/python3.11',\n'prefix': '/usr',\n\
                    'LIBDIR': '/usr/lib/x86_64-linux-gnu',\n'X': '-I/usr/include/python3.11'";
        assert_eq!(
            relocate(text, "/usr", "/usr/local"),
            "'INCLUDEPY': '/usr/local/include/python3.11',\n'prefix': '/usr/local',\n\
             'LIBDIR': '/usr/lib/x86_64-linux-gnu',\n'X': '-I/usr/include/python3.11'"
        );
    }

    #[test]
    fn a_standard_library_without_the_expected_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sysconfig.py"), "nothing of Debian's").unwrap();
        let error = apply(folder.path(), &PATCHES[0]).unwrap_err().to_string();
        assert!(
            error.contains("posix_local") && error.contains("sysconfig.py"),
            "{error}"
        );
    }

    #[test]
    fn scripts_find_the_python_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("pip"), "#!/usr/local/bin/python3.11\nimport sys\n").unwrap();
        fs::write(bin.join("other"), "#!/bin/sh\ntrue\n").unwrap();
        fs::write(bin.join("python3.11"), "#!/bin/sh\necho \"$1\"\n").unwrap();
        for name in ["pip", "python3.11"] {
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        relocate_scripts(folder.path(), &RELEASES[0]).unwrap();
        let pip = bin.join("pip");
        let printed = shell::output(&mut std::process::Command::new(&pip)).unwrap();
        assert_eq!(printed.trim(), pip.to_string_lossy());
        assert_eq!(
            fs::read_to_string(bin.join("other")).unwrap(),
            "#!/bin/sh\ntrue\n"
        );
    }
}
