//! The images that the model is compared with: everything that pip installs is one layer.

use std::fmt::Write as _;

use crate::project::{COG, Project};

/// Who installs the packages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Installer {
    /// As Cog's own Dockerfiles have it.
    Pip,
    /// The same with uv.
    Uv,
}

/// The secret with the certificates of the machine.
pub(crate) const CERTIFICATES: &str = "certificates";

/// A Dockerfile in the shape of Cog's: system packages, Cog, requirements, commands, source.
///
/// With `certificates`, steps that use the network trust those of a secret. Where the requirements are all packages of a
/// lock, Cog's among them, nothing is installed besides and nothing is chosen.
pub(crate) fn dockerfile(
    project: &Project,
    installer: Installer,
    base: &str,
    certificates: bool,
    is_locked: bool,
) -> String {
    let mount = if certificates {
        format!("--mount=type=secret,id={CERTIFICATES},target=/run/{CERTIFICATES} ")
    } else {
        String::new()
    };
    let variables = if certificates {
        format!("PIP_CERT=/run/{CERTIFICATES} SSL_CERT_FILE=/run/{CERTIFICATES} UV_NATIVE_TLS=1 ")
    } else {
        String::new()
    };
    let install = |what: &str| match installer {
        Installer::Pip => format!(
            "RUN {mount}--mount=type=cache,target=/root/.cache/pip {variables}pip install {what}"
        ),
        Installer::Uv => format!(
            "RUN {mount}--mount=type=cache,target=/root/.cache/uv {variables}UV_LINK_MODE=copy uv pip install --system {what}"
        ),
    };
    let mut text = format!(
        "FROM {base}\nENV DEBIAN_FRONTEND=noninteractive PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1\n"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked apt-get update -qq && \
         apt-get install -qqy --no-install-recommends tini {} && rm -rf /var/lib/apt/lists/*",
        project.system_packages.join(" ")
    );
    text.push_str("ENTRYPOINT [\"/usr/bin/tini\", \"--\"]\n");
    if installer == Installer::Uv {
        let _ = writeln!(
            text,
            "RUN {mount}{variables}pip install --no-cache-dir uv==0.9.26"
        );
    }
    let requirements = if is_locked {
        "--no-deps -r /tmp/requirements.txt"
    } else {
        let _ = writeln!(text, "{}", install(COG));
        "-r /tmp/requirements.txt"
    };
    text.push_str("COPY requirements.txt /tmp/requirements.txt\n");
    let _ = writeln!(text, "{}", install(requirements));
    for command in &project.commands {
        let _ = writeln!(text, "RUN {command}");
    }
    text.push_str(
        "WORKDIR /src\nEXPOSE 5000\nCMD [\"python\", \"-m\", \"cog.server.http\"]\nCOPY . /src\n",
    );
    text
}
