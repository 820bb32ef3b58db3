//! `llb-helper install --prefix PATH --python VERSION --root DIR [--epoch SECONDS] WHEEL...`: installs wheels.
//!
//! The environment will be at `--prefix` when programs use it; `--root` stands for `/` meanwhile. Wheels are installed
//! in the order of their file names, so the last of two with a file in common wins whatever the order of the arguments.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use llb_helper::wheel::{self, Installation, Layout, WheelName};

use crate::error::{At, Error};

pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let Arguments {
        prefix,
        python,
        root,
        epoch,
        wheels,
    } = Arguments::parse(arguments)?;
    let mut named = Vec::new();
    for path in wheels {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| usage(&format!("{} names no file", path.display())))?;
        named.push((name.parse::<WheelName>()?, path));
    }
    named.sort();
    let mut installation = Installation::new(&root, Layout::new(prefix, python), epoch);
    for (name, path) in named {
        let file = File::open(&path).at("open", &path)?;
        wheel::install(
            &mut installation,
            &name,
            BufReader::with_capacity(1 << 17, file),
        )?;
    }
    installation
        .finish()
        .at("set the time of folders in", &root)
}

struct Arguments {
    prefix: String,
    python: String,
    root: PathBuf,
    epoch: i64,
    wheels: Vec<PathBuf>,
}

impl Arguments {
    fn parse(arguments: &[OsString]) -> Result<Self, Error> {
        let [mut prefix, mut python, mut root, mut epoch] = [const { None }; 4];
        let mut wheels = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let option = match argument.to_str() {
                Some("--prefix") => &mut prefix,
                Some("--python") => &mut python,
                Some("--root") => &mut root,
                Some("--epoch") => &mut epoch,
                _ => {
                    wheels.push(Path::new(argument).to_owned());
                    continue;
                }
            };
            let value = arguments.next().and_then(|value| value.to_str());
            let missing = || usage(&format!("{} lacks its value", argument.display()));
            *option = Some(value.ok_or_else(missing)?.to_owned());
        }
        let required = |value: Option<String>, name: &str| {
            value.ok_or_else(|| usage(&format!("{name} is missing")))
        };
        let epoch = epoch.unwrap_or_else(|| "0".to_owned());
        if wheels.is_empty() {
            return Err(usage("no wheel is given"));
        }
        Ok(Self {
            prefix: required(prefix, "--prefix")?,
            python: required(python, "--python")?,
            root: required(root, "--root")?.into(),
            epoch: epoch.parse().map_err(|_| {
                usage(&format!(
                    "--epoch is {epoch:?}, expected seconds since 1970"
                ))
            })?,
            wheels,
        })
    }
}

fn usage(mistake: &str) -> Error {
    Error::usage(format!(
        "{mistake}; expected: llb-helper install --prefix PATH --python VERSION --root DIR [--epoch SECONDS] WHEEL..."
    ))
}
