//! Makes the base images of one Debian release and records what the registry holds.
//!
//! As on Docker Hub, a Python image is the slim Debian image and one more layer. That layer is
//! what overlayfs finds changed after packages were installed into the slim root filesystem, so
//! the lower layer is shared byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::apt::{Apt, packages_in, unpack};
use super::daemon::discard;
use super::image::{self, Image};
use super::layer::{self, Layer};
use super::layout::Layout;
use super::mounts::unmount_below;
use super::process;
use super::registry::Registry;
use super::report::Report;
use super::rootfs::{self, RELEASES, Release};
use super::shell;
use super::sources::Mirror;
use super::state::ImageRecord;
use super::system::System;
use super::tools::Tools;
use super::{python, uv};

/// Counts changes to how images are made, so that images of older recipes are made anew.
const RECIPE: u32 = 3;

/// Packages that Docker Hub's Python images have beyond the slim Debian image and Python.
const PYTHON_IMAGE_PACKAGES: [&str; 3] = ["ca-certificates", "netbase", "tzdata"];

/// Where Docker Hub's images look for programs.
const PATH: &str = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the registry holds and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Images {
    recipe: u32,
    mirror: String,
    /// By Debian suite.
    pub(crate) releases: BTreeMap<String, ReleaseImages>,
    /// The image with the Python builds for uv.
    pub(crate) uv_python: Option<ImageRecord>,
}

/// The images of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReleaseImages {
    /// By the name that users write.
    pub(crate) images: BTreeMap<String, ImageRecord>,
    /// The Python build for uv.
    pub(crate) python: uv::Build,
}

/// Everything needed to make images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workshop<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) system: &'a System,
    pub(crate) mirror: &'a Mirror,
    pub(crate) tools: &'a Tools,
    pub(crate) registry: Registry,
    pub(crate) report: &'a Report,
}

impl Images {
    /// The record of earlier runs; empty when there is none, or it is of another recipe or mirror.
    pub(crate) fn load(layout: &Layout, mirror: &str) -> Images {
        fs::read(layout.images())
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .filter(|images: &Images| images.recipe == RECIPE && images.mirror == mirror)
            .unwrap_or_else(|| Images {
                recipe: RECIPE,
                mirror: mirror.to_owned(),
                releases: BTreeMap::new(),
                uv_python: None,
            })
    }

    fn save(&self, layout: &Layout) -> Result<()> {
        let path = layout.images();
        let partial = path.with_extension("json.partial");
        fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&partial, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether every image is recorded, in the registry, and every Python build is on disk.
    pub(crate) fn are_complete(&self, layout: &Layout, registry: Registry) -> bool {
        RELEASES
            .iter()
            .all(|release| self.has_release(layout, registry, release))
            && self.has_uv_python(layout, registry)
    }

    /// All images by the name that users write.
    pub(crate) fn records(&self) -> BTreeMap<String, ImageRecord> {
        self.releases
            .values()
            .flat_map(|release| release.images.clone())
            .collect()
    }

    /// The Python builds for uv, by the Debian suite they were made on.
    pub(crate) fn python_builds(&self) -> BTreeMap<String, uv::Build> {
        self.releases
            .iter()
            .map(|(suite, release)| (suite.clone(), release.python.clone()))
            .collect()
    }

    fn has_release(&self, layout: &Layout, registry: Registry, release: &Release) -> bool {
        self.releases.get(release.suite).is_some_and(|found| {
            found
                .images
                .values()
                .all(|image| registry.has_manifest(&image.repository, &image.digest))
                && layout.uv_python().join(&found.python.file).is_file()
        })
    }

    fn has_uv_python(&self, layout: &Layout, registry: Registry) -> bool {
        self.uv_python
            .as_ref()
            .is_some_and(|image| registry.has_manifest(&image.repository, &image.digest))
            && uv::are_published(layout, &self.python_builds())
    }
}

impl Workshop<'_> {
    /// Makes what is missing, two releases at a time, and records it.
    pub(crate) fn complete(self) -> Result<Images> {
        let mut images = Images::load(self.layout, &self.mirror.uri);
        let missing: Vec<&Release> = RELEASES
            .iter()
            .filter(|release| !images.has_release(self.layout, self.registry, release))
            .collect();
        if missing.is_empty() && images.has_uv_python(self.layout, self.registry) {
            return Ok(images);
        }
        discard(self.layout, &self.layout.work())?;
        fs::create_dir_all(self.layout.work())?;
        let made = std::thread::scope(|scope| {
            let running: Vec<_> = missing
                .iter()
                .map(|release| (*release, scope.spawn(|| self.make_release(release))))
                .collect();
            running
                .into_iter()
                .map(|(release, thread)| {
                    let images = thread
                        .join()
                        .map_err(|_| anyhow!("making the images of {} panicked", release.suite))?;
                    Ok((release.suite.to_owned(), images?))
                })
                .collect::<Vec<Result<_>>>()
        });
        // What worked is kept even if another release failed.
        let mut failure = None;
        for result in made {
            match result {
                Ok((suite, release)) => {
                    images.releases.insert(suite, release);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        images.uv_python = None;
        images.save(self.layout)?;
        if let Some(error) = failure {
            return Err(error);
        }
        images.uv_python = Some(self.report.step("publish Python builds for uv", || {
            uv::publish(&self, &images.python_builds())
        })?);
        images.save(self.layout)?;
        discard(self.layout, &self.layout.work())?;
        Ok(images)
    }

    fn make_release(&self, release: &Release) -> Result<ReleaseImages> {
        let Release { suite, python, .. } = release;
        let work = self.layout.work().join(suite);
        let root = work.join("rootfs");
        fs::create_dir_all(&root)?;
        self.report.step(&format!("bootstrap Debian {suite}"), || {
            rootfs::make(self.layout, self.tools, self.mirror, release, &root)
        })?;
        let (debian_layer, debian) =
            self.report
                .step(&format!("pack and push debian:{suite}-slim"), || {
                    let file = work.join("debian.tar.gz");
                    let layer = layer::pack(self.layout, &root, release.epoch, &file)?;
                    let tags = [format!("{suite}-slim")];
                    let env = [PATH.to_owned()];
                    let digest = self.push(
                        "library/debian",
                        &tags,
                        std::slice::from_ref(&layer),
                        &env,
                        "bash",
                        release,
                    )?;
                    Ok((layer, records("debian", &tags, &digest)))
                })?;
        self.report.step(&format!("make python:{python}-slim"), || {
            let (upper, build) = self.make_python(release, &work)?;
            let file = work.join("python.tar.gz");
            let layer = layer::pack(self.layout, &upper, release.epoch, &file)?;
            let tags = python_tags(release, &build.version);
            let env = [
                PATH.to_owned(),
                "LANG=C.UTF-8".to_owned(),
                format!("PYTHON_VERSION={}", build.version),
            ];
            let layers = [debian_layer, layer];
            let digest = self.push("library/python", &tags, &layers, &env, "python3", release)?;
            let mut images = debian;
            images.extend(records("python", &tags, &digest));
            Ok(ReleaseImages {
                images,
                python: build,
            })
        })
    }

    fn push(
        &self,
        repository: &str,
        tags: &[String],
        layers: &[Layer],
        env: &[String],
        cmd: &str,
        release: &Release,
    ) -> Result<String> {
        image::push(
            self.layout,
            self.registry,
            &Image {
                repository,
                tags,
                layers,
                architecture: self.system.image_architecture()?,
                env,
                cmd: &[cmd],
                created: &self.date(release.epoch)?,
            },
        )
    }

    /// A time in seconds since 1970 as image configs write it.
    pub(crate) fn date(&self, epoch: u64) -> Result<String> {
        let text = shell::output(shell::command(self.layout, "date").args([
            "--utc",
            &format!("--date=@{epoch}"),
            "+%Y-%m-%dT%H:%M:%SZ",
        ]))?;
        Ok(text.trim().to_owned())
    }

    /// Installs packages and Python over the root filesystem; returns the folder with what
    /// changed, and the build for uv.
    fn make_python(&self, release: &Release, work: &Path) -> Result<(PathBuf, uv::Build)> {
        let root = work.join("rootfs");
        let status = root.join("var/lib/dpkg/status");
        let apt = Apt::new(self.layout, self.mirror, release.suite, &status)?;
        let installed = work.join("debs-installed");
        apt.download_closure(&PYTHON_IMAGE_PACKAGES, &installed)?;
        let unpacked = work.join("debs-unpacked");
        let packages = python::packages(release);
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        apt.download_closure(&packages, &unpacked)?;
        let python = work.join("python");
        unpack(self.layout, &packages_in(&unpacked)?, &python)?;

        for folder in ["upper", "overlay", "merged"] {
            fs::create_dir_all(work.join(folder))?;
        }
        // Relative paths keep the options free of what would have to be quoted.
        shell::output(
            shell::command(self.layout, "mount")
                .args(["-t", "overlay", "overlay", "-o"])
                .arg("lowerdir=rootfs,upperdir=upper,workdir=overlay,redirect_dir=off")
                .arg("merged")
                .current_dir(work),
        )?;
        // The loader reads /proc to find what lies relative to a program.
        shell::output(
            shell::command(self.layout, "mount")
                .args(["-t", "proc", "proc", "merged/proc"])
                .current_dir(work),
        )?;
        let merged = work.join("merged");
        let build = self.fill(release, work, &installed, &python);
        unmount_below(&merged)?;
        let build = build?;
        let upper = work.join("upper");
        layer::convert_whiteouts(&upper)?;
        Ok((upper, build))
    }

    fn fill(
        &self,
        release: &Release,
        work: &Path,
        installed: &Path,
        python: &Path,
    ) -> Result<uv::Build> {
        let merged = work.join("merged");
        let suite = release.suite;
        let inside = merged.join("tmp/packages");
        fs::create_dir_all(&inside)?;
        let mut install = self.chroot(&merged, "dpkg");
        install.arg("--install");
        for package in packages_in(installed)? {
            let name = package.file_name().context("a package without a name")?;
            fs::copy(&package, inside.join(name))?;
            install.arg(Path::new("/tmp/packages").join(name));
        }
        shell::run_logged(&mut install, &self.layout.log(&format!("dpkg-{suite}")))?;

        let prefix = merged.join("usr/local");
        python::install(
            self.layout,
            self.tools,
            release,
            python,
            &work.join("rootfs"),
            &prefix,
        )?;
        let program = format!("/usr/local/bin/python{}", release.python);
        shell::run_logged(
            self.chroot(&merged, &program)
                .args(["-m", "ensurepip", "--upgrade", "--default-pip"]),
            &self.layout.log(&format!("ensurepip-{suite}")),
        )?;
        let version = shell::output(
            self.chroot(&merged, &program)
                .args(["-c", "import platform; print(platform.python_version())"]),
        )?;
        python::remove_compiled(&prefix)?;
        rootfs::clean(&merged, release)?;
        uv::pack(self, release, version.trim(), &prefix, &work.join("uv"))
    }

    /// A command inside of a root filesystem, with nothing of our environment but the mark.
    fn chroot(&self, root: &Path, program: &str) -> Command {
        let mut command = shell::command(self.layout, "chroot");
        command.env_clear();
        process::mark(&mut command, self.layout);
        command
            .env(
                "PATH",
                "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(root)
            .arg(program);
        command
    }
}

/// The tags that Docker Hub gives a Python image.
fn python_tags(release: &Release, version: &str) -> Vec<String> {
    [release.python, version]
        .iter()
        .flat_map(|python| {
            [
                format!("{python}-slim"),
                format!("{python}-slim-{}", release.suite),
            ]
        })
        .collect()
}

fn records(name: &str, tags: &[String], digest: &str) -> BTreeMap<String, ImageRecord> {
    tags.iter()
        .map(|tag| {
            let record = ImageRecord {
                repository: format!("library/{name}"),
                tag: tag.clone(),
                digest: digest.to_owned(),
            };
            (format!("{name}:{tag}"), record)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_images_have_the_tags_of_docker_hub() {
        assert_eq!(
            python_tags(&RELEASES[0], "3.11.2"),
            [
                "3.11-slim",
                "3.11-slim-bookworm",
                "3.11.2-slim",
                "3.11.2-slim-bookworm"
            ]
        );
    }

    #[test]
    fn images_of_another_mirror_or_recipe_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        fs::create_dir_all(layout.data("")).unwrap();
        let mut images = Images::load(&layout, "http://a.example/debian");
        images.uv_python = Some(ImageRecord {
            repository: "testbed/uv-python".to_owned(),
            tag: "latest".to_owned(),
            digest: "sha256:00".to_owned(),
        });
        images.save(&layout).unwrap();
        assert_eq!(Images::load(&layout, "http://a.example/debian"), images);
        assert_eq!(
            Images::load(&layout, "http://b.example/debian").uv_python,
            None
        );
        images.recipe += 1;
        images.save(&layout).unwrap();
        assert_eq!(
            Images::load(&layout, "http://a.example/debian").uv_python,
            None
        );
    }
}
