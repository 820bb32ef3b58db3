//! `llb-helper inspect --prefix PATH --python VERSION --output DIR WHEEL...`: what wheels say about themselves, without
//! unpacking them.
//!
//! | File in `DIR` | Has |
//! |---|---|
//! | `packages` | a line `NAME==VERSION` for each wheel, by normalized name, as its metadata writes them |
//! | `collisions` | a line for each two wheels with different content for a path: the number of such paths, the wheels' file names in the order in which `install` installs them, and the first of the paths, with tabs between |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use llb_helper::wheel::{self, Collision, Inspection, Layout, WheelName};

use crate::error::{At, Error};

pub(crate) fn run(arguments: &[OsString]) -> Result<(), Error> {
    let Arguments {
        layout,
        output,
        wheels,
    } = Arguments::parse(arguments)?;
    let (mut lists, mut packages) = (BTreeMap::new(), BTreeMap::new());
    for path in wheels {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| usage(&format!("{} names no file", path.display())))?;
        let name: WheelName = name.parse()?;
        let file = File::open(&path).at("open", &path)?;
        let file = BufReader::with_capacity(1 << 16, file);
        let Inspection {
            distribution,
            version,
            paths,
        } = wheel::inspect(&name, file, &layout)?;
        packages.insert(
            wheel::normalized(&distribution),
            format!("{distribution}=={version}\n"),
        );
        lists.insert(name, paths);
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
    wheel::set_time(&output, 0).at("set the time of", &output)
}

struct Arguments {
    layout: Layout,
    output: PathBuf,
    wheels: Vec<PathBuf>,
}

impl Arguments {
    fn parse(arguments: &[OsString]) -> Result<Self, Error> {
        let [mut prefix, mut python, mut output] = [const { None }; 3];
        let mut wheels = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let option = match argument.to_str() {
                Some("--prefix") => &mut prefix,
                Some("--python") => &mut python,
                Some("--output") => &mut output,
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
        Ok(Self {
            layout: Layout::new(required(prefix, "--prefix")?, required(python, "--python")?),
            output: required(output, "--output")?.into(),
            wheels,
        })
    }
}

fn usage(mistake: &str) -> Error {
    Error::usage(format!(
        "{mistake}; expected: llb-helper inspect --prefix PATH --python VERSION --output DIR WHEEL..."
    ))
}
