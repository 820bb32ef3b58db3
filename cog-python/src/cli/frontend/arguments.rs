//! Build arguments: the options of a plan under names that `docker build --build-arg` takes.
//!
//! They are the options of the command line, so both know and mean the same: `--python-provider uv` is
//! `--build-arg PYTHON_PROVIDER=uv`.

use clap::{Arg, ArgAction, Args, FromArgMatches, Parser};
use llb::gateway::{Error, Result, Warning};

use crate::cli::args::PlanArgs;
use crate::factory::PROXIES;
use crate::suggest::nearest;

/// Options that BuildKit has words of its own for, or that only the command line has.
const OF_BUILDKIT: [&str; 6] = [
    "file",
    "tag",
    "platform",
    "label",
    "network",
    // What weights are is found by looking at every file, which a frontend would have to be sent.
    "separate-weights",
];

/// Hosts of a netrc, which a frontend cannot read, separated by commas.
const MACHINES: &str = "NETRC_MACHINES";

/// Build arguments that BuildKit or its clients understand, or that every build may have, beside proxies.
const PREDEFINED: [&str; 3] = ["SOURCE_DATE_EPOCH", "COG_PYTHON_SYNTAX", MACHINES];

#[derive(Parser)]
#[command(name = "frontend", disable_help_flag = true)]
struct Options {
    #[command(flatten)]
    plan: PlanArgs,
}

/// A build argument, as the outline of a build shows it.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) default: String,
    pub(super) help: String,
}

fn options() -> Vec<Arg> {
    let command = PlanArgs::augment_args(clap::Command::new("frontend").disable_help_flag(true));
    let known = command.get_arguments().filter(|argument| {
        let long = argument.get_long();
        long.is_some_and(|long| !OF_BUILDKIT.contains(&long))
    });
    known.cloned().collect()
}

/// `PYTHON_PROVIDER` of `--python-provider`.
fn name(option: &Arg) -> String {
    let long = option.get_long().unwrap_or_default();
    long.replace('-', "_").to_uppercase()
}

/// Every build argument.
pub(super) fn known() -> Vec<Known> {
    let known = options().into_iter().map(|option| Known {
        name: name(&option),
        default: option
            .get_default_values()
            .first()
            .map(|value| value.to_string_lossy().into_owned())
            .unwrap_or_default(),
        help: option
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default(),
    });
    let machines = Known {
        name: MACHINES.to_owned(),
        default: String::new(),
        help:
            "Hosts whose wheels are fetched with the header that the secret authorization.HOST is"
                .to_owned(),
    };
    known.chain([machines]).collect()
}

/// Hosts whose files are fetched with a login.
pub(super) fn machines<'a>(given: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let given = given.filter(|(name, _)| *name == MACHINES);
    let hosts = given.flat_map(|(_, value)| value.split(','));
    let hosts = hosts.map(|host| host.trim().to_lowercase());
    hosts.filter(|host| !host.is_empty()).collect()
}

/// The options that build arguments mean, and warnings about those that mean nothing.
pub(super) fn read<'a>(
    given: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(PlanArgs, Vec<Warning>)> {
    let options = options();
    let names: Vec<String> = options.iter().map(name).collect();
    let mut words = vec!["frontend".to_owned()];
    let mut warnings = Vec::new();
    for (given, value) in given {
        let found = names.iter().position(|name| name == given);
        let Some(option) = found.and_then(|position| options.get(position)) else {
            if !is_predefined(given) {
                warnings.push(unknown(given, &names));
            }
            continue;
        };
        let long = option.get_long().unwrap_or_default();
        match option.get_action() {
            ArgAction::SetTrue => match value {
                "1" | "true" => words.push(format!("--{long}")),
                "" | "0" | "false" => {}
                _ => {
                    return Err(Error::msg(format!(
                        "build argument {given} must be true or false, found {value:?}"
                    )));
                }
            },
            ArgAction::Append => {
                let values = value.split(',').filter(|value| !value.is_empty());
                words.extend(values.map(|value| format!("--{long}={value}")));
            }
            _ if value.is_empty() => {}
            _ => words.push(format!("--{long}={value}")),
        }
    }
    let matches = <Options as clap::CommandFactory>::command()
        .try_get_matches_from(words)
        .map_err(|error| mistaken(&error, &options))?;
    let read = Options::from_arg_matches(&matches).map_err(|error| mistaken(&error, &options))?;
    Ok((read.plan, warnings))
}

fn is_predefined(given: &str) -> bool {
    let name = given.to_uppercase();
    let mut known = PREDEFINED.iter().chain(&PROXIES);
    given.starts_with("BUILDKIT_") || known.any(|known| *known == name)
}

fn unknown(given: &str, names: &[String]) -> Warning {
    let warning = Warning::new(format!("build argument {given} is not one of cog-python"));
    match nearest(given, names.iter().map(String::as_str)) {
        Some(name) => warning.detail(format!("hint: did you mean {name}?")),
        None => warning.detail("hint: `docker build --call=outline` lists them"),
    }
}

/// What the parser says, in the words of build arguments.
fn mistaken(error: &clap::Error, options: &[Arg]) -> Error {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let mut text = text.strip_prefix("error: ").unwrap_or(text).to_owned();
    for option in options {
        let long = format!("'--{}", option.get_long().unwrap_or_default());
        if let Some((before, after)) = text.split_once(&long)
            && let Some((_, rest)) = after.split_once('\'')
        {
            text = format!("{before}build argument {}{rest}", name(option));
        }
    }
    Error::msg(text).hint("`docker build --call=outline` lists the build arguments")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_command_line_are_build_arguments() {
        let names: Vec<String> = known().into_iter().map(|known| known.name).collect();
        for name in ["PYTHON_PROVIDER", "BASE", "UV_IMAGE", "NO_SOURCE"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
        for name in ["FILE", "TAG", "PLATFORM", "NETWORK"] {
            assert!(!names.iter().any(|known| known == name), "{names:?}");
        }
        assert!(known().iter().all(|known| !known.help.is_empty()));
    }

    #[test]
    fn values_are_read_as_options() {
        let given = [
            ("BASE", "debian:bookworm-slim"),
            ("GPU_ARCH", "8.0,9.0"),
            ("NO_RECOMMENDS", "1"),
            ("NO_SOURCE", "false"),
            ("HTTP_PROXY", "http://proxy"),
            ("BUILDKIT_SYNTAX", "x"),
            ("DRIVER", ""),
        ];
        let (read, warnings) = read(given.into_iter()).unwrap();
        assert_eq!(read.gpu_arch.len(), 2);
        assert!(read.no_recommends && !read.no_source && read.driver.is_none());
        assert!(read.base.is_some() && warnings.is_empty());
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_build_arguments() {
        let failed = |given: &[(&'static str, &'static str)]| {
            read(given.iter().copied()).unwrap_err().to_string()
        };
        let error = failed(&[("PYTHON_PROVIDER", "conda")]);
        assert!(
            error.contains("'conda' for build argument PYTHON_PROVIDER"),
            "{error}"
        );
        let error = failed(&[("NO_SOURCE", "maybe")]);
        assert!(error.contains("NO_SOURCE must be true or false"), "{error}");
        let error = failed(&[("BASE", "debian"), ("USE_COG_BASE_IMAGE", "true")]);
        assert!(error.contains("build argument BASE"), "{error}");
        let (_, warnings) = read([("PYTHON_PROVDER", "uv")].into_iter()).unwrap();
        assert!(format!("{warnings:?}").contains("did you mean PYTHON_PROVIDER?"));
    }
}
