//! `llb-helper install --prefix PATH --python VERSION --root DIR [--epoch SECONDS] [--direct-url NAME=JSON]... [--strip] WHEEL...`:
//! installs wheels.
//!
//! The environment will be at `--prefix` when programs use it; `--root` stands for `/` meanwhile. Wheels are installed
//! in the order of their file names, so the last of two with a file in common wins whatever the order of the arguments.
//!
//! `--direct-url` says where the wheel of this file name is from, as `direct_url.json` has it (PEP 610). `--strip` leaves out
//! the debug information of programs and libraries.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use llb_helper::wheel::{self, Installation, Layout};

use crate::error::{At, Error};
use crate::options::Options;

const USAGE: &str = "llb-helper install --prefix PATH --python VERSION --root DIR [--epoch SECONDS] [--direct-url NAME=JSON]... [--strip] WHEEL...";

pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let names = ["--prefix", "--python", "--root", "--epoch", "--direct-url"];
    let options = Options::read(arguments, &names, &["--strip"], USAGE)?;
    if options.wheels.is_empty() {
        return Err(options.mistake("no wheel is given"));
    }
    let layout = Layout::new(options.required("--prefix")?, options.required("--python")?);
    let root = Path::new(options.required("--root")?);
    let epoch = options.value("--epoch").unwrap_or("0");
    let epoch = epoch.parse().map_err(|_| {
        options.mistake(&format!(
            "--epoch is {epoch:?}, expected seconds since 1970"
        ))
    })?;
    let mut installation = Installation::new(root, layout, epoch);
    if options.has("--strip") {
        installation.strip_debug();
    }
    for origin in options.values("--direct-url") {
        let given = origin.split_once('=');
        let known = given.filter(|(file, _)| {
            let mut names = options.wheels.iter().map(|(name, _)| name.as_str());
            names.any(|name| name == *file)
        });
        let (file, json) = known.ok_or_else(|| {
            options.mistake(&format!(
                "--direct-url is {origin:?}, expected the file name of a wheel, `=` and JSON"
            ))
        })?;
        installation.set_direct_url(file, json);
    }
    for (name, path) in &options.wheels {
        let file = File::open(path).at("open", path)?;
        let file = BufReader::with_capacity(1 << 17, file);
        wheel::install(&mut installation, name, file)?;
    }
    installation.finish().at("set the time of folders in", root)
}
