//! `llb-helper inspect --prefix PATH --python VERSION --output DIR WHEEL...`: what wheels say about themselves, without
//! unpacking them.
//!
//! | File in `DIR` | Has |
//! |---|---|
//! | `packages` | a line `NAME==VERSION` for each wheel, by normalized name, as its metadata writes them |
//! | `collisions` | a line for each two wheels with different content for a path: the number of such paths, the wheels' file names in the order in which `install` installs them, and the first of the paths as seen from the environment, with tabs between |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use llb_helper::wheel::{self, Collision, Inspection, Layout};

use crate::error::{At, Error};
use crate::options::Options;

const USAGE: &str = "llb-helper inspect --prefix PATH --python VERSION --output DIR WHEEL...";

pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let options = Options::read(arguments, &["--prefix", "--python", "--output"], &[], USAGE)?;
    let layout = Layout::new(options.required("--prefix")?, options.required("--python")?);
    let output = Path::new(options.required("--output")?);
    let (mut lists, mut packages) = (BTreeMap::new(), BTreeMap::new());
    for (name, path) in &options.wheels {
        let file = File::open(path).at("open", path)?;
        let file = BufReader::with_capacity(1 << 16, file);
        let Inspection {
            distribution,
            version,
            paths,
        } = wheel::inspect(name, file, &layout)?;
        packages.insert(
            wheel::normalized(&distribution),
            format!("{distribution}=={version}\n"),
        );
        lists.insert(name.clone(), paths);
    }
    let lines = wheel::collisions(&lists).into_iter().map(
        |Collision {
             first,
             second,
             paths,
         }| {
            let example = paths[0].replace(['\n', '\r'], "?");
            format!("{}\t{first}\t{second}\t{example}\n", paths.len())
        },
    );
    for (name, text) in [
        ("packages", packages.into_values().collect::<String>()),
        ("collisions", lines.collect()),
    ] {
        let path = output.join(name);
        fs::write(&path, text).at("write", &path)?;
        wheel::set_time(&path, 0).at("set the time of", &path)?;
    }
    wheel::set_time(output, 0).at("set the time of", output)
}
