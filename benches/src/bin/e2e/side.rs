//! Who builds the model, and how it is told to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use llb::client::{Address, CacheOption, Client, Entitlement, Export, Secret, Solve};
use llb::progress::Plain;
use llb_benches::measure::Program;

use crate::Fault;
use crate::daemon::Daemon;
use crate::dockerfile::{CERTIFICATES, Installer, dockerfile};
use crate::engine;
use crate::lock::Locks;
use crate::project::Project;
use crate::registry;
use crate::steps::Steps;

/// How a model becomes an image.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    /// By `cog-python build`.
    CogPython(PathBuf),
    /// From a Dockerfile in the shape of Cog's.
    Dockerfile(Installer),
}

/// Where builds go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) daemon: Daemon,
    pub(crate) registry: String,
    pub(crate) base: String,
    pub(crate) host_network: bool,
}

/// What one build was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built {
    pub(crate) wall: f64,
    /// Processor seconds of the client, and of the daemon if that can be seen.
    pub(crate) client_cpu: f64,
    pub(crate) daemon_cpu: Option<f64>,
    pub(crate) steps: Steps,
    /// Bytes of layers that no earlier image of this side, nor the base, had.
    pub(crate) pushed: u64,
    /// Bytes of all layers.
    pub(crate) image: u64,
    pub(crate) layers: usize,
}

/// What a build does with caches in the registry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Cache {
    #[default]
    None,
    Export,
    Import,
}

/// One model on its way through its changes.
#[derive(Debug)]
pub(crate) struct Builds<'a> {
    pub(crate) side: &'a Side,
    pub(crate) place: &'a Place,
    locks: &'a Locks,
    /// The project, as files.
    root: PathBuf,
    /// A directory for the Dockerfile, outside of the project.
    beside: PathBuf,
    repository: String,
    known: BTreeSet<String>,
}

impl Side {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::CogPython(_) => "cog-python",
            Self::Dockerfile(Installer::Pip) => "pip",
            Self::Dockerfile(Installer::Uv) => "uv",
        }
    }
}

/// The certificates of this machine, if its programs are told of some.
pub(crate) fn certificates() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE").map(PathBuf::from)
}

impl<'a> Builds<'a> {
    pub(crate) fn new(
        side: &'a Side,
        place: &'a Place,
        locks: &'a Locks,
        home: &Path,
        name: &str,
    ) -> io::Result<Self> {
        let root = home.join(name);
        let beside = home.join(format!("{name}-dockerfile"));
        fs::create_dir(&root)?;
        fs::create_dir(&beside)?;
        let (repository, tag) = place
            .base
            .rsplit_once(':')
            .unwrap_or((&place.base, "latest"));
        // Docker Hub's own images have a folder of their own.
        let repository = if repository.contains('/') {
            repository.to_owned()
        } else {
            format!("library/{repository}")
        };
        let of_base = registry::layers(&place.registry, &repository, tag).unwrap_or_default();
        Ok(Self {
            side,
            place,
            locks,
            root,
            beside,
            repository: format!("llb-benches/{name}"),
            known: of_base.into_keys().collect(),
        })
    }

    /// Builds and pushes the project as it is now.
    pub(crate) fn build(&mut self, project: &Project, cache: Cache) -> Result<Built, Fault> {
        let lock = self.locks.of(project);
        project.write(&self.root, lock)?;
        let program = match self.side {
            Side::CogPython(path) => self.cog_python(path, cache),
            Side::Dockerfile(installer) => {
                let text = dockerfile(
                    project,
                    *installer,
                    &self.place.base,
                    certificates().is_some(),
                    lock.is_some(),
                );
                fs::write(self.beside.join("Dockerfile"), text)?;
                self.of_dockerfile(cache)?
            }
        };
        let before = self.place.daemon.cpu();
        let (usage, progress) = program.run_and_listen()?;
        let after = self.place.daemon.cpu();
        if let Some(folder) = std::env::var_os("LLB_BENCHES_LOGS") {
            let name = self.repository.replace('/', "-");
            fs::write(Path::new(&folder).join(format!("{name}.log")), &progress)?;
        }
        let layers = registry::layers(&self.place.registry, &self.repository, "latest")?;
        let new = layers
            .iter()
            .filter(|(digest, _)| !self.known.contains(*digest));
        let pushed = new.map(|(_, size)| size).sum();
        let built = Built {
            wall: usage.wall,
            client_cpu: usage.cpu,
            daemon_cpu: after.zip(before).map(|(after, before)| after - before),
            steps: Steps::read(&progress),
            pushed,
            image: layers.values().sum(),
            layers: layers.len(),
        };
        self.known.extend(layers.into_keys());
        Ok(built)
    }

    /// Removes the image from the engine, which would have its layers without any cache.
    pub(crate) fn remove_image(&self) -> io::Result<()> {
        engine::remove_image(&self.place.address, &self.tag())
    }

    fn tag(&self) -> String {
        format!("{}/{}:latest", self.place.registry, self.repository)
    }

    fn cache(&self) -> String {
        format!("{}/{}:cache", self.place.registry, self.repository)
    }

    fn cog_python(&self, path: &Path, cache: Cache) -> Program {
        let mut arguments: Vec<OsString> = vec!["build".into(), "--push".into()];
        let file = self.root.join("cog.yaml");
        let tag = self.tag();
        for (option, value) in [
            ("--file", file.as_os_str()),
            ("--tag", tag.as_ref()),
            ("--base", self.place.base.as_ref()),
            ("--addr", self.place.address.as_ref()),
            ("--progress", "plain".as_ref()),
        ] {
            arguments.extend([option.into(), value.to_owned()]);
        }
        if self.place.host_network {
            arguments.extend(["--network".into(), "host".into()]);
        }
        match cache {
            Cache::None => {}
            Cache::Export => arguments.extend([
                "--cache-to".into(),
                format!("type=registry,mode=max,ref={}", self.cache()).into(),
            ]),
            Cache::Import => arguments.extend([
                "--cache-from".into(),
                format!("type=registry,ref={}", self.cache()).into(),
            ]),
        }
        Program::new(path).arguments(arguments)
    }

    fn of_dockerfile(&self, cache: Cache) -> io::Result<Program> {
        let mut arguments: Vec<OsString> = vec!["dockerfile".into()];
        let tag = self.tag();
        for (option, value) in [
            ("--addr", self.place.address.as_ref()),
            ("--context", self.root.as_os_str()),
            ("--dockerfile", self.beside.as_os_str()),
            ("--tag", tag.as_ref()),
        ] {
            arguments.extend([option.into(), value.to_owned()]);
        }
        if self.place.host_network {
            arguments.push("--host-network".into());
        }
        match cache {
            Cache::None => {}
            Cache::Export => arguments.extend(["--cache-to".into(), self.cache().into()]),
            Cache::Import => arguments.extend(["--cache-from".into(), self.cache().into()]),
        }
        Ok(Program::new(std::env::current_exe()?).arguments(arguments))
    }

    /// The same build by `buildctl`.
    pub(crate) fn buildctl(&self, path: &Path) -> Program {
        let local = |name: &str, path: &Path| format!("{name}={}", path.display());
        let output = format!("type=image,name={},push=true", self.tag());
        let mut program = Program::new(path)
            .arguments([
                "--addr",
                &self.place.address,
                "build",
                "--progress",
                "quiet",
            ])
            .arguments([
                "--frontend",
                "dockerfile.v0",
                "--local",
                &local("context", &self.root),
            ])
            .arguments([
                "--local",
                &local("dockerfile", &self.beside),
                "--output",
                &output,
            ]);
        if self.place.host_network {
            program = program.arguments([
                "--allow",
                "network.host",
                "--opt",
                "force-network-mode=host",
            ]);
        }
        if let Some(path) = certificates() {
            program = program.arguments([
                "--secret",
                &format!("id={CERTIFICATES},src={}", path.display()),
            ]);
        }
        program
    }
}

/// A build from a Dockerfile, in a process of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct FromDockerfile {
    #[arg(long)]
    addr: String,
    #[arg(long)]
    context: PathBuf,
    #[arg(long)]
    dockerfile: PathBuf,
    #[arg(long)]
    tag: String,
    #[arg(long)]
    host_network: bool,
    #[arg(long)]
    cache_to: Option<String>,
    #[arg(long)]
    cache_from: Option<String>,
}

impl FromDockerfile {
    pub(crate) async fn build(&self) -> Result<(), Fault> {
        let address: Address = self.addr.parse()?;
        let client = Client::connect(&address).await?;
        let mut solve = Solve::frontend("dockerfile.v0")
            .local("context", self.context.as_path())
            .local("dockerfile", self.dockerfile.as_path())
            .export(
                Export::image(&self.tag)
                    .push(true)
                    .attribute("store", "false"),
            );
        if let Some(path) = certificates() {
            solve = solve.secret(CERTIFICATES, Secret::file(path));
        }
        if self.host_network {
            solve = solve
                .attribute("force-network-mode", "host")
                .allow(Entitlement::NetworkHost);
        }
        if let Some(cache) = &self.cache_to {
            solve = solve.cache_to(CacheOption::registry(cache).attribute("mode", "max"));
        }
        if let Some(cache) = &self.cache_from {
            solve = solve.cache_from(CacheOption::registry(cache));
        }
        client.solve(solve, &mut Plain::new(io::stderr())).await?;
        Ok(())
    }
}
