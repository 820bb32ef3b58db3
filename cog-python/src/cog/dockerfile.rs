//! The Dockerfile of Cog's shape.
//!
//! Differences to what Cog 0.22 writes, all on purpose: values of variables are quoted where Docker would read them
//! otherwise, and there is no apt step without packages.

use std::fmt::Write;

use crate::config::Config;
use crate::requirement::LOCAL_FOLDER;
use crate::resolution::{BaseKind, Resolution};
use crate::tables::{Release, Tables};

use super::wheel::Wheel;

const SYNTAX: &str = "#syntax=docker/dockerfile:1.4";
const UV: &str = "0.9.26";
const CFLAGS: &str = r#"ENV CFLAGS="-O3 -funroll-loops -fno-strict-aliasing -flto -S""#;
const APT: &str = "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked";
const UV_CACHE: &str = "RUN --mount=type=cache,target=/root/.cache/uv";
const STRIP: &str =
    r#" && find / -type f -name "*python*.so" -not -name "*cpython*.so" -exec strip -S {} \;"#;
const PRECOMPILE: &str = r#"RUN find / -type f -name "*.py[co]" -delete && find / -type f -name "*.py" -exec touch -t 197001010000 {} \; && find / -type f -name "*.py" -printf "%h\n" | sort -u | /usr/bin/python3 -m compileall --invalidation-mode timestamp -o 2 -j 0"#;
const LDCONFIG: &str = r#"RUN find / -type f -name "*python*.so" -printf "%h\n" | sort -u > /etc/ld.so.conf.d/cog.conf && ldconfig"#;
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where local packages are copied to.
const ARTIFACTS: &str = "/tmp/local_package_artifacts";

/// What the command line of Cog decides.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Leaves the source out (`cog run`, `cog serve`).
    pub exclude_source: bool,
    /// `--strip`.
    pub strip: bool,
    /// `--precompile`.
    pub precompile: bool,
    /// `COG_SDK_WHEEL`.
    pub sdk: Option<Wheel>,
    /// `COGLET_WHEEL`.
    pub coglet: Option<Wheel>,
    /// Whether a certificate is added (`COG_CA_CERT`).
    pub certificate: bool,
    /// `--separate-weights`.
    pub weights: Option<Weights>,
}

/// Weights in an image of their own.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// Name of the model's image.
    pub image: String,
    /// Folders and files of the project.
    pub paths: Vec<String>,
}

/// A Dockerfile and the files of its named context `cog_build`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Lines.
    pub lines: Vec<String>,
    /// The requirements file, when there is one.
    pub requirements: Vec<String>,
    /// Paths of the named context, sorted.
    pub staged: Vec<String>,
    /// What Cog says about it on the console.
    pub notes: Vec<String>,
}

/// Why there is no Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileError {
    /// The SDK is too old.
    #[error(transparent)]
    Sdk(#[from] super::wheel::TooOld),
    /// A command of several lines, which Cog's shape cannot hold.
    #[error(
        "command `{0}` of `run` has several lines, which Cog's Dockerfile cannot hold; write one list item per line"
    )]
    Lines(String),
    /// A coglet wheel wants a Python without patch version.
    #[error("a coglet wheel needs a `python_version` of two numbers, found `{0}`")]
    Python(String),
}

/// Writes the Dockerfile of a project in Cog's shape.
pub fn dockerfile(
    config: &Config,
    resolution: &Resolution,
    shape: &Shape,
) -> Result<Dockerfile, DockerfileError> {
    let cog_base = resolution.base.kind == BaseKind::Cog;
    let nvidia = resolution.base.kind == BaseKind::Cuda;
    let new_cuda = resolution
        .cuda
        .as_ref()
        .is_some_and(|cuda| cuda.major() >= 13);
    let mut writer = Writer {
        config,
        shape,
        break_system: nvidia || (cog_base && new_cuda),
        file: Dockerfile::default(),
    };
    writer.line(SYNTAX);
    if let Some(weights) = &shape.weights {
        writer.line(format!("FROM {}-weights AS weights", weights.image));
    }
    // Cog knows the flavour with compilers only.
    let base = resolution
        .cuda_image
        .as_ref()
        .filter(|_| nvidia)
        .unwrap_or(&resolution.base.reference);
    writer.line(format!("FROM {base}"));
    if !cog_base {
        writer.preamble();
    }
    writer.certificate();
    if !cog_base {
        writer.tini();
    }
    writer.environment();
    writer.apt(cog_base);
    if nvidia {
        writer.python();
    } else {
        writer.uv();
        if cog_base && new_cuda {
            writer.line("RUN ln -sf /usr/bin/python3 /usr/local/bin/python");
        }
    }
    writer.pip(resolution);
    writer.sdk()?;
    if shape.precompile {
        writer.line(PRECOMPILE);
    }
    if !cog_base {
        writer.line(LDCONFIG);
    }
    writer.commands()?;
    writer.tail();
    writer.file.staged.sort();
    Ok(writer.file)
}

struct Writer<'a> {
    config: &'a Config,
    shape: &'a Shape,
    break_system: bool,
    file: Dockerfile,
}

impl Writer<'_> {
    fn line(&mut self, line: impl Into<String>) {
        self.file.lines.push(line.into());
    }

    fn lines(&mut self, text: &str) {
        self.file.lines.extend(text.lines().map(str::to_owned));
    }

    fn stage(&mut self, name: &str) -> String {
        self.file.staged.push(name.to_owned());
        self.line(format!("COPY --from=cog_build {name} /tmp/{name}"));
        format!("/tmp/{name}")
    }

    fn preamble(&mut self) {
        self.lines(
            "ENV DEBIAN_FRONTEND=noninteractive\n\
             ENV PYTHONUNBUFFERED=1\n\
             ENV LD_LIBRARY_PATH=$LD_LIBRARY_PATH:/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/nvidia/bin\n\
             ENV NVIDIA_DRIVER_CAPABILITIES=all",
        );
    }

    fn certificate(&mut self) {
        if !self.shape.certificate {
            return;
        }
        self.file
            .notes
            .push("the certificate of COG_CA_CERT is added to the image".into());
        let copied = self.stage("cog-ca-cert.crt");
        self.line(format!(
            "RUN cp {copied} /usr/local/share/ca-certificates/cog-ca-cert.crt && update-ca-certificates && cat {copied} >> {BUNDLE}"
        ));
        self.line(format!("ENV SSL_CERT_FILE={BUNDLE}"));
        self.line(format!("ENV REQUESTS_CA_BUNDLE={BUNDLE}"));
    }

    fn tini(&mut self) {
        self.line(format!("{APT} set -eux; \\"));
        self.lines(
            r#"apt-get update -qq && \
apt-get install -qqy --no-install-recommends curl; \
rm -rf /var/lib/apt/lists/*; \
TINI_VERSION=v0.19.0; \
TINI_ARCH="$(dpkg --print-architecture)"; \
curl -sSL -o /sbin/tini "https://github.com/krallin/tini/releases/download/${TINI_VERSION}/tini-${TINI_ARCH}"; \
chmod +x /sbin/tini
ENTRYPOINT ["/sbin/tini", "--"]"#,
        );
    }

    fn environment(&mut self) {
        let mut variables: Vec<_> = self
            .config
            .environment
            .iter()
            .map(|entry| &entry.value)
            .collect();
        variables.sort_by(|left, right| left.name.cmp(&right.name));
        let pairs: Vec<String> = variables
            .iter()
            .map(|variable| format!("{}={}", variable.name, quoted(&variable.value)))
            .collect();
        if !pairs.is_empty() {
            self.line(format!("ENV {}", pairs.join(" ")));
        }
    }

    fn apt(&mut self, cog_base: bool) {
        let held = &Tables::built_in().cog_base.packages;
        let packages: Vec<&str> = self
            .config
            .build
            .system_packages
            .iter()
            .map(|package| package.value.as_str())
            .filter(|name| !cog_base || !held.iter().any(|held| held == name))
            .collect();
        if !packages.is_empty() {
            self.line(format!(
                "{APT} apt-get update -qq && apt-get install -qqy {} && rm -rf /var/lib/apt/lists/*",
                packages.join(" ")
            ));
        }
    }

    fn uv(&mut self) {
        self.line(format!(
            "COPY --from=ghcr.io/astral-sh/uv:{UV} /uv /uvx /usr/local/bin/"
        ));
        self.line("ENV UV_SYSTEM_PYTHON=true");
    }

    fn python(&mut self) {
        self.line(format!(
            "{APT} apt-get update -qq && apt-get install -qqy --no-install-recommends \\"
        ));
        self.lines("\twget \\\n\tcurl \\\n\txz-utils \\\n\tgit \\\n\tca-certificates \\\n\t&& rm -rf /var/lib/apt/lists/*");
        self.uv();
        let python = self.config.build.python_version.value;
        self.line(format!("RUN uv python install {python} && \\"));
        self.line(format!(
            "\tln -sf $(uv python find {python}) /usr/bin/python3 && \\"
        ));
        self.line(format!(
            "\tln -sf $(uv python find {python}) /usr/local/bin/python"
        ));
        self.line(format!("ENV UV_PYTHON={python}"));
        self.line(r#"ENV PATH="/usr/local/bin:$PATH""#);
    }

    /// `--break-system-packages ` where Python is uv's.
    fn flag(&self) -> &'static str {
        if self.break_system {
            "--break-system-packages "
        } else {
            ""
        }
    }

    fn strip(&self) -> &'static str {
        if self.shape.strip { STRIP } else { "" }
    }

    fn pip(&mut self, resolution: &Resolution) {
        let local = &self.config.build.requirements.local;
        let lines = resolution
            .requirements
            .iter()
            .map(|line| line.replace(LOCAL_FOLDER, ARTIFACTS));
        self.file.requirements = lines.collect();
        if self.file.requirements.is_empty() {
            return;
        }
        if !local.is_empty() {
            let staged = local
                .iter()
                .map(|path| format!("local_package_artifacts/{path}"));
            self.file.staged.extend(staged);
            self.line(format!(
                "COPY --from=cog_build local_package_artifacts/ {ARTIFACTS}/"
            ));
        }
        let copied = self.stage("requirements.txt");
        self.line(CFLAGS);
        self.line(format!(
            "RUN --mount=type=cache,target=/root/.cache/pip uv run pip install {}--cache-dir /root/.cache/pip -r {copied}{}",
            self.flag(),
            self.strip()
        ));
        self.line("ENV CFLAGS=");
        if !local.is_empty() {
            let flag = if self.break_system {
                " --break-system-packages"
            } else {
                ""
            };
            self.line(format!("RUN uv pip uninstall{flag} cog coglet"));
        }
    }

    fn sdk(&mut self) -> Result<(), DockerfileError> {
        use crate::sdk::SdkVersion;
        let named = self
            .config
            .build
            .sdk_version
            .as_ref()
            .map(|version| match &version.value {
                SdkVersion::Release(version) => Wheel::Index {
                    version: Some(version.clone()),
                    prerelease: false,
                },
                SdkVersion::Prerelease => Wheel::Index {
                    version: None,
                    prerelease: true,
                },
                SdkVersion::Wheel(wheel) => {
                    Wheel::parse(&wheel.to_string()).unwrap_or_else(Wheel::newest)
                }
            });
        let sdk = self
            .shape
            .sdk
            .clone()
            .or(named)
            .unwrap_or_else(Wheel::newest);
        sdk.check("cog")?;
        let prerelease = sdk.is_prerelease();
        if let Wheel::Index {
            version: None,
            prerelease: true,
        } = sdk
        {
            self.file
                .notes
                .push("prerelease installs the newest pre-release of the SDK".into());
        }
        let coglet = self.shape.coglet.clone();
        if let Some(coglet) = coglet.filter(|coglet| *coglet != Wheel::newest()) {
            if sdk.is_before_coglet() {
                self.file
                    .notes
                    .push("coglet is left out: the SDK is older".into());
            } else {
                let note = match &coglet {
                    Wheel::Index { .. } => Some(format!(
                        "coglet comes from PyPI: {}",
                        coglet.requirement("coglet")
                    )),
                    Wheel::Url(url) => Some(format!("coglet comes from {url}")),
                    Wheel::Path(_) => None,
                };
                self.file.notes.extend(note);
                self.install(
                    &coglet,
                    "coglet",
                    prerelease || coglet.is_prerelease(),
                    false,
                )?;
            }
        }
        if let Wheel::Url(url) = &sdk {
            self.file.notes.push(format!("the SDK comes from {url}"));
        }
        self.install(&sdk, "cog", prerelease, true)
    }

    /// Installs one of Cog's own packages. A wheel of coglet takes the place of the SDK when it is given as the SDK.
    fn install(
        &mut self,
        wheel: &Wheel,
        package: &str,
        prerelease: bool,
        as_sdk: bool,
    ) -> Result<(), DockerfileError> {
        let name = match wheel {
            Wheel::Url(url) => url.as_str(),
            Wheel::Path(path) => path.rsplit('/').next().unwrap_or(path),
            Wheel::Index { .. } => "",
        };
        let pre = if prerelease && matches!(wheel, Wheel::Index { .. }) {
            "--pre "
        } else {
            ""
        };
        let what = match wheel {
            Wheel::Index { .. } => wheel.requirement(package),
            Wheel::Url(url) => url.clone(),
            Wheel::Path(_) => self.stage(name),
        };
        let mut first = String::new();
        if as_sdk && name.contains("coglet") {
            let python = self.config.build.python_version.value.to_string();
            if python
                .parse::<Release>()
                .ok()
                .is_none_or(|python| python.patch().is_some())
            {
                return Err(DockerfileError::Python(python));
            }
            self.line("ENV R8_COG_VERSION=coglet");
            self.line(format!("ENV R8_PYTHON_VERSION={python}"));
            let flag = if self.break_system {
                " --break-system-packages"
            } else {
                ""
            };
            first = format!("uv pip uninstall{flag} cog 2>/dev/null || true && ");
        }
        self.line(CFLAGS);
        self.line(format!(
            "{UV_CACHE} {first}uv pip install {}{pre}--no-cache {what}{}",
            self.flag(),
            self.strip()
        ));
        self.line("ENV CFLAGS=");
        Ok(())
    }

    fn commands(&mut self) -> Result<(), DockerfileError> {
        let build = &self.config.build;
        for run in build.run.iter().chain(&build.pre_install) {
            if run.command.contains('\n') {
                return Err(DockerfileError::Lines(run.command.clone()));
            }
            let mut mounts = String::new();
            for mount in &run.mounts {
                let _ = write!(
                    mounts,
                    "--mount=type=secret,id={},target={} ",
                    mount.id, mount.target
                );
            }
            self.line(format!("RUN {mounts}{}", run.command));
        }
        Ok(())
    }

    fn tail(&mut self) {
        if let Some(weights) = &self.shape.weights {
            for path in &weights.paths {
                self.line(format!(
                    "COPY --from=weights --link /src/{path} /src/{path}"
                ));
            }
        }
        self.line("WORKDIR /src");
        self.line("EXPOSE 5000");
        if let Some(run) = &self.config.run {
            self.line(format!("ENV COG_PREDICT_TYPE_STUB=\"{}\"", run.value));
        }
        if let Some(train) = &self.config.train {
            self.line(format!("ENV COG_TRAIN_TYPE_STUB=\"{}\"", train.value));
        }
        if let Some(concurrency) = &self.config.concurrency {
            self.line(format!("ENV COG_MAX_CONCURRENCY={}", concurrency.value));
        }
        self.line(r#"CMD ["python", "-m", "cog.server.http"]"#);
        if self.shape.exclude_source {
            return;
        }
        self.line("COPY . /src");
        if self.config.file != "cog.yaml" {
            self.line(format!("RUN cp /src/{} /src/cog.yaml", self.config.file));
        }
    }
}

/// Frontend that Cog builds its Dockerfile with.
pub const FRONTEND: &str = "dockerfile.v0";
/// Cache that Cog exports: into the image. It imports none, so later builds on other builders do not profit.
pub const CACHE_EXPORT: &str = "inline";

/// How Cog asks the engine to build its Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct Solve {
    /// Name of the image.
    pub image: String,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Builds everything anew.
    pub no_cache: bool,
    /// Time of layers and config, in seconds since 1970.
    pub epoch: Option<u64>,
}

impl Solve {
    /// Attributes of the frontend.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut attributes = vec![
            pair("filename", "Dockerfile"),
            pair("syntax", "docker/dockerfile:1"),
            pair("platform", "linux/amd64"),
            pair("context:cog_build", "local:cog_build"),
        ];
        if self.no_cache {
            attributes.push(pair("no-cache", ""));
        }
        attributes.extend(
            self.labels
                .iter()
                .map(|(name, value)| (format!("label:{name}"), value.clone())),
        );
        if let Some(epoch) = self.epoch {
            attributes.push(("build-arg:SOURCE_DATE_EPOCH".into(), epoch.to_string()));
        }
        attributes
    }

    /// Exporter and its attributes.
    pub fn exporter(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut exporter = vec![pair("type", "moby"), pair("name", &self.image)];
        if self.epoch.is_some() {
            exporter.push(pair("rewrite-timestamp", "true"));
        }
        exporter
    }
}

/// The name under which Cog builds an image: images of its own registry get a temporary one.
pub fn temporary_name(image: &str) -> String {
    use sha2::{Digest, Sha256};
    if !image.starts_with("r8.im") {
        return image.to_owned();
    }
    let mut name = String::from("cog-tmp:");
    for byte in Sha256::digest(image) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The Dockerfile of an image that holds nothing but weights.
pub fn weights_dockerfile(paths: &[String]) -> Vec<String> {
    let copies = paths.iter().map(|path| format!("COPY {path} /src/{path}"));
    [SYNTAX.to_owned(), "FROM scratch".to_owned(), String::new()]
        .into_iter()
        .chain(copies)
        .collect()
}

/// A value as Docker reads it back: in quotes, where it would mean something else without.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B24: blanks and `$` broke variables.
    #[test]
    fn values_are_quoted_where_docker_would_read_them_otherwise() {
        for (value, text) in [
            ("", ""),
            ("michael", "michael"),
            ("hello world", "\"hello world\""),
            ("$B", "\"\\$B\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
        ] {
            assert_eq!(quoted(value), text);
        }
    }
}
