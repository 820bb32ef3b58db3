//! Root filesystems of the base images: debootstrap, then what makes a slim image slim.
//!
//! The images follow what Docker Hub's `debian:*-slim` are known for: no manuals, documentation
//! or translations, now or from packages installed later (licences stay); no package lists or
//! caches; downloaded packages are not kept; services do not start while packages are installed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::apt::Apt;
use super::layout::Layout;
use super::mounts::unmount_below;
use super::shell;
use super::sources::Mirror;
use super::tools::Tools;

/// A Debian release that base images are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Release {
    /// Debian's name of the suite.
    pub(crate) suite: &'static str,
    /// Day of the release, in seconds since 1970: no file in an image is younger.
    pub(crate) epoch: u64,
    /// The Python in it, as in `3.11`.
    pub(crate) python: &'static str,
    /// Packages that hold parts of this Python's standard library beside its own.
    pub(crate) python_extras: &'static [&'static str],
}

/// The releases, by the Python they carry.
pub(crate) const RELEASES: [Release; 2] = [
    Release {
        suite: "bookworm",
        epoch: 1_686_355_200, // 2023-06-10
        python: "3.11",
        python_extras: &["python3-distutils", "python3-lib2to3"],
    },
    Release {
        suite: "trixie",
        epoch: 1_754_697_600, // 2025-08-09
        python: "3.13",
        python_extras: &[],
    },
];

/// Documentation that later package installs leave out.
const DPKG_SLIM: &str = "\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
";

/// Downloaded packages go as soon as they are installed. Builds that cache them in a mount take
/// this file away first, as they do with Docker Hub's images.
const APT_CLEAN: &str = r#"DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"#;

/// Makes a minimal root filesystem of `release` in `root`, ready to be packed.
pub(crate) fn make(
    layout: &Layout,
    tools: &Tools,
    mirror: &Mirror,
    release: &Release,
    root: &Path,
) -> Result<()> {
    let cache = layout.package_cache(release.suite);
    // debootstrap downloads one package after the other; apt fetches them in one go and checks
    // them. What this guess at the set misses, debootstrap fetches.
    let apt = Apt::new(layout, mirror, release.suite, Path::new("/dev/null"))?;
    apt.update()?;
    apt.download_closure(&["apt", "?essential", "?priority(required)"], &cache)?;
    shell::run_logged(
        tools
            .debootstrap(layout)
            .arg("--variant=minbase")
            .arg(format!("--keyring={}", mirror.keyring.display()))
            .arg(format!("--cache-dir={}", cache.display()))
            .arg(release.suite)
            .arg(root)
            .arg(&mirror.uri),
        &layout.log(&format!("debootstrap-{}", release.suite)),
    )?;
    // debootstrap leaves its /proc and /sys mounted when the root was busy.
    unmount_below(root)?;
    configure(root, mirror, release)?;
    clean(root, release)
}

fn configure(root: &Path, mirror: &Mirror, release: &Release) -> Result<()> {
    let apt = root.join("etc/apt");
    remove_file(&apt.join("sources.list"))?;
    write(
        &apt.join("sources.list.d/debian.sources"),
        &sources(mirror, release),
    )?;
    write(&apt.join("apt.conf.d/docker-clean"), APT_CLEAN)?;
    write(
        &apt.join("apt.conf.d/docker-gzip-indexes"),
        "Acquire::GzipIndexes \"true\";\n",
    )?;
    write(
        &apt.join("apt.conf.d/docker-no-languages"),
        "Acquire::Languages \"none\";\n",
    )?;
    write(
        &apt.join("apt.conf.d/docker-autoremove-suggests"),
        "Apt::AutoRemove::SuggestsImportant \"false\";\n",
    )?;
    write(&root.join("etc/dpkg/dpkg.cfg.d/docker"), DPKG_SLIM)?;
    write(
        &root.join("etc/dpkg/dpkg.cfg.d/docker-apt-speedup"),
        "force-unsafe-io\n",
    )?;
    // Tells package scripts that no service may be started (exit status 101).
    let policy = root.join("usr/sbin/policy-rc.d");
    write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn sources(mirror: &Mirror, release: &Release) -> String {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let suite = release.suite;
    let mut text = format!(
        "Types: deb\nURIs: {}\nSuites: {suite} {suite}-updates\nComponents: main\nSigned-By: {keyring}\n",
        mirror.uri
    );
    if let Some(uri) = &mirror.security_uri {
        // Writing to a string cannot fail.
        let _infallible = write!(
            text,
            "\nTypes: deb\nURIs: {uri}\nSuites: {suite}-security\nComponents: main\nSigned-By: {keyring}\n"
        );
    }
    text
}

/// Takes away what a slim image does not carry, and what differs from run to run.
pub(crate) fn clean(root: &Path, release: &Release) -> Result<()> {
    for folder in [
        "usr/share/groff",
        "usr/share/info",
        "usr/share/linda",
        "usr/share/lintian",
        "usr/share/locale",
        "usr/share/man",
        "run",
        "tmp",
        "var/cache/apt",
        "var/cache/debconf",
        "var/cache/ldconfig",
        "var/lib/apt/lists",
        "var/log",
    ] {
        empty(&root.join(folder))?;
    }
    keep_only_licences(&root.join("usr/share/doc"))?;
    for file in [
        "etc/.pwd.lock",
        "etc/group-",
        "etc/gshadow-",
        "etc/hostname",
        "etc/passwd-",
        "etc/resolv.conf",
        "etc/shadow-",
        "etc/subgid-",
        "etc/subuid-",
        "var/lib/dpkg/diversions-old",
        "var/lib/dpkg/status-old",
        "var/lib/dpkg/statoverride-old",
    ] {
        remove_file(&root.join(file))?;
    }
    let shadow = root.join("etc/shadow");
    let text = fs::read_to_string(&shadow).context("the root filesystem has no /etc/shadow")?;
    let fixed = fix_password_dates(&text, release.epoch / 86_400);
    if fixed != text {
        fs::write(&shadow, fixed)?;
    }
    Ok(())
}

/// Sets the days of the last password changes, which are the day of the build, to `day`.
fn fix_password_dates(shadow: &str, day: u64) -> String {
    let day = day.to_string();
    let mut fixed = String::new();
    for line in shadow.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let Some(changed) = fields.get_mut(2).filter(|changed| !changed.is_empty()) {
            *changed = &day;
        }
        fixed.push_str(&fields.join(":"));
        fixed.push('\n');
    }
    fixed
}

/// Deletes what is in a folder, not the folder.
fn empty(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Deletes all files but licences, and folders that hold none.
fn keep_only_licences(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            keep_only_licences(&entry.path())?;
            // Fails for folders that still hold a licence, which is meant.
            let _kept = fs::remove_dir(entry.path());
        } else if !kind.is_symlink() && entry.file_name() != "copyright" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn password_dates_become_the_day_of_the_release() {
        let shadow = "root:*:20415:0:99999:7:::\nnobody:!::0:99999:7:::\n";
        assert_eq!(
            fix_password_dates(shadow, 19518),
            "root:*:19518:0:99999:7:::\nnobody:!::0:99999:7:::\n"
        );
    }

    #[test]
    fn image_sources_name_the_mirror_and_its_security_archive() {
        let mirror = Mirror {
            uri: "http://m.example/debian".to_owned(),
            security_uri: Some("http://s.example/debian-security".to_owned()),
            keyring: PathBuf::from("/k.gpg"),
        };
        let text = sources(&mirror, &RELEASES[0]);
        assert!(
            text.contains("URIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n")
        );
        assert!(
            text.contains("URIs: http://s.example/debian-security\nSuites: bookworm-security\n")
        );
    }

    #[test]
    fn licences_outlive_the_documentation() {
        let folder = tempfile::tempdir().unwrap();
        let doc = folder.path();
        fs::create_dir_all(doc.join("bash/examples")).unwrap();
        fs::create_dir_all(doc.join("empty")).unwrap();
        fs::write(doc.join("bash/copyright"), "GPL").unwrap();
        fs::write(doc.join("bash/examples/a.sh"), "").unwrap();
        fs::write(doc.join("bash/changelog.gz"), "").unwrap();
        keep_only_licences(doc).unwrap();
        assert!(doc.join("bash/copyright").exists());
        assert!(!doc.join("bash/examples").exists());
        assert!(!doc.join("bash/changelog.gz").exists());
        assert!(!doc.join("empty").exists());
    }
}
