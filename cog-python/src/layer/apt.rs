//! System packages by apt.

use llb::{Constrain, Exec, Sharing, State, args, bind, cache, file, scratch};

use super::StepOptions;
use crate::config::{AptSnapshot, SystemPackage, SystemPackageError};

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
const SCRIPT: &str = r#"start=/var/cache/apt/cog-python-start
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

/// Variable that names a day of the past.
pub(crate) const SNAPSHOT: &str = "APT_SNAPSHOT";

/// What comes before [`SCRIPT`] where packages are taken of a day of the past: the sources of the image, with the archives
/// that keep such days in the place of Debian's and Ubuntu's own. Others stay as they are. They are signed, so that plain
/// HTTP does: an image without certificates can ask them, too. The folder is in a cache mount, and not in the image.
const SNAPSHOT_SCRIPT: &str = r#"sources=/var/cache/apt/cog-python-sources
rm -rf "$sources"
mkdir "$sources"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  if [ -f "$file" ]; then
    sed -E \
      -e "s#https?://(deb|ftp[a-z0-9.]*|security)\.debian\.org/debian-security/?#http://snapshot.debian.org/archive/debian-security/$APT_SNAPSHOT/#g" \
      -e "s#https?://security\.debian\.org/? #http://snapshot.debian.org/archive/debian-security/$APT_SNAPSHOT/ #g" \
      -e "s#https?://(deb|ftp[a-z0-9.]*)\.debian\.org/debian/?#http://snapshot.debian.org/archive/debian/$APT_SNAPSHOT/#g" \
      -e "s#https?://([a-z.]*archive|security|ports)\.ubuntu\.com/ubuntu(-ports)?/?#http://snapshot.ubuntu.com/ubuntu/$APT_SNAPSHOT/#g" \
      "$file" > "$sources/${file##*/}"
  fi
done
if [ -f "$sources/sources.list" ]; then mv "$sources/sources.list" "$sources/sources-of-image.list"; fi
if ! grep -rqF "/$APT_SNAPSHOT/" "$sources"; then
  echo "error: apt_snapshot: none of the package sources of the image is one of Debian or Ubuntu" >&2
  exit 1
fi
export APT_CONFIG=/var/cache/apt/cog-python-sources.conf
cat > "$APT_CONFIG" <<EOF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$sources";
Acquire::Check-Valid-Until "false";
EOF
"#;

/// The shell text that installs packages, those of a day of the past if `is_past`.
pub(crate) fn script(is_past: bool) -> String {
    let first = if is_past { SNAPSHOT_SCRIPT } else { "" };
    format!("{first}{SCRIPT}")
}

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
    Ok(match install(packages, recommends, options.day())? {
        Some(exec) => base.run(options.connected(exec)),
        None => base,
    })
}

/// The step that installs packages; nothing if there are none.
pub(super) fn install(
    packages: &[&str],
    recommends: bool,
    day: Option<&AptSnapshot>,
) -> Result<Option<Exec>, AptError> {
    for name in packages {
        name.parse::<SystemPackage>().map_err(|problem| AptError {
            name: (*name).to_owned(),
            problem,
        })?;
    }
    if packages.is_empty() {
        return Ok(None);
    }
    let script = script(day.is_some());
    let mut command = vec!["/bin/sh", "-ec", &script, "apt"];
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
    Ok(Some(match day {
        Some(day) => exec.env(SNAPSHOT, day.as_str()),
        None => exec,
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::SNAPSHOT_SCRIPT;

    /// What apt is given of these sources, or what the step says instead.
    fn of_a_day(sources: &[(&str, &str)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        for folder in ["etc/apt/sources.list.d", "var/cache/apt"] {
            fs::create_dir_all(format!("{root}/{folder}")).unwrap();
        }
        for (name, text) in sources {
            fs::write(format!("{root}/etc/apt/{name}"), text).unwrap();
        }
        let script = SNAPSHOT_SCRIPT
            .replace("/etc/apt/", &format!("{root}/etc/apt/"))
            .replace("/var/cache/apt/", &format!("{root}/var/cache/apt/"));
        let show = "cat \"$sources\"/*; grep -c sources \"$APT_CONFIG\"";
        let output = Command::new("/bin/sh")
            .args(["-ec", &format!("{script}{show}")])
            .env("APT_SNAPSHOT", "20250801T000000Z")
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8(output.stderr).unwrap())
        }
    }

    #[test]
    fn archives_of_a_day_take_the_place_of_the_usual_ones() {
        let debian = "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm bookworm-updates\n\n\
            Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\n";
        let ubuntu = "deb http://archive.ubuntu.com/ubuntu/ jammy main\n\
            deb http://security.ubuntu.com/ubuntu/ jammy-security main\n";
        let other =
            "deb https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64 /\n";
        let text = of_a_day(&[
            ("sources.list.d/debian.sources", debian),
            ("sources.list", ubuntu),
            ("sources.list.d/cuda.list", other),
        ])
        .unwrap();
        for line in [
            "URIs: http://snapshot.debian.org/archive/debian/20250801T000000Z/\n",
            "URIs: http://snapshot.debian.org/archive/debian-security/20250801T000000Z/\n",
            "deb http://snapshot.ubuntu.com/ubuntu/20250801T000000Z/ jammy main\n",
            "deb http://snapshot.ubuntu.com/ubuntu/20250801T000000Z/ jammy-security main\n",
            other,
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("//deb.debian.org"), "{text}");
        let error = of_a_day(&[("sources.list", other)]).unwrap_err();
        assert!(error.contains("none of the package sources"), "{error}");
    }
}
