//! System packages by apt.

use llb::{Constrain, Exec, Sharing, State, args, bind, cache, file, scratch};

use super::StepOptions;
use crate::config::{SystemPackage, SystemPackageError};

/// Read after the image's own settings: images for containers are set to delete what they
/// download, which would empty the cache.
pub(crate) const CONFIG: &str = "#clear DPkg::Post-Invoke;\n\
                      #clear APT::Update::Post-Invoke;\n\
                      APT::Keep-Downloaded-Packages \"true\";\n\
                      APT::Update::Error-Mode \"any\";\n\
                      Acquire::Retries \"3\";\n";

/// Where [`CONFIG`] is mounted.
const CONFIG_FOLDER: &str = "/run/cog-python/apt";

/// The arguments are options of `install` up to `--`, then packages.
///
/// Logs and backups are removed because they hold times, which differ from build to build. So do files that packages make
/// while they are installed: all that is newer than the start, outside of mounts, gets a fixed time. The engine itself
/// touches `/etc` and `/run` just before, for what it mounts there.
pub(crate) const SCRIPT: &str = r#"start=/var/cache/apt/cog-python-start
touch "$start"
set -- -c /run/cog-python/apt/apt.conf -q "$@"
if [ -f /run/secrets/ca-bundle.crt ]; then
  set -- -o Acquire::https::CaInfo=/run/secrets/ca-bundle.crt "$@"
  apt-get -c /run/cog-python/apt/apt.conf -q -o Acquire::https::CaInfo=/run/secrets/ca-bundle.crt update
else
  apt-get -c /run/cog-python/apt/apt.conf -q update
fi
apt-get install -y "$@"
rm -f /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log /var/cache/ldconfig/aux-cache
rm -f /var/lib/dpkg/*-old /var/cache/debconf/*-old
find / -xdev \( -newer "$start" -o -path /etc -o -path /run \) -exec touch --no-dereference --date=@0 {} +"#;

/// A name that apt is not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("system package `{name}` {problem}")]
pub struct AptError {
    name: String,
    problem: SystemPackageError,
}

/// A layer that installs packages on a Debian file system; `recommends` installs what they recommend, too.
///
/// Downloads and package lists are kept in cache mounts and are not part of the result. Steps on
/// one builder wait for each other, because apt locks its folders. A name that is none of a package
/// fails the layer.
#[llb::layer]
pub fn apt(
    base: State,
    packages: &[&str],
    #[layer(skip)] recommends: bool,
    #[layer(skip)] options: &StepOptions,
) -> Result<State, AptError> {
    Ok(match install(packages, recommends)? {
        Some(exec) => base.run(options.connected(exec)),
        None => base,
    })
}

/// The step that installs packages; nothing if there are none.
pub(super) fn install(packages: &[&str], recommends: bool) -> Result<Option<Exec>, AptError> {
    for name in packages {
        name.parse::<SystemPackage>().map_err(|problem| AptError {
            name: (*name).to_owned(),
            problem,
        })?;
    }
    if packages.is_empty() {
        return Ok(None);
    }
    let mut command = vec!["/bin/sh", "-ec", SCRIPT, "apt"];
    if !recommends {
        command.push("--no-install-recommends");
    }
    command.push("--");
    command.extend(packages);
    let config = scratch().file(file::mkfile("/apt.conf", 0o644, CONFIG).name("apt settings"));
    let exec = args(command)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .mount(bind(CONFIG_FOLDER, config).readonly())
        .mount(cache("/var/cache/apt", "cog-python-apt-cache").sharing(Sharing::Locked))
        .mount(cache("/var/lib/apt/lists", "cog-python-apt-lists").sharing(Sharing::Locked))
        .name(format!("apt: {}", packages.join(" ")));
    Ok(Some(exec))
}
