//! Names of ops in readings of a graph.
//!
//! An op is called by its custom name, else by what it does in a word or three: the image, the command, the file. A
//! diff is called after what it is taken of, a merge after what it lays the others on. No name depends on a digest, so
//! that a change of one op leaves the other names as they are. Ops that would share a name are numbered in their
//! order.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::DefinitionOp;
use crate::metadata::CUSTOM_NAME;
use crate::proto::pb;

const LONGEST: usize = 40;

/// Gives out names, none of them twice.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// The last number given to a name.
    numbers: BTreeMap<String, u32>,
}

impl Names {
    /// Names an op; `input` gives the name of one of its inputs, if it has one already.
    pub(super) fn name<'n>(
        &mut self,
        definition_op: &DefinitionOp,
        op: &pb::Op,
        input: impl Fn(i64) -> Option<&'n str>,
    ) -> String {
        let base = base_name(definition_op, op, input);
        if self.taken.insert(base.clone()) {
            return base;
        }
        let number = self.numbers.entry(base.clone()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{base}-{number}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

fn base_name<'n>(
    definition_op: &DefinitionOp,
    op: &pb::Op,
    input: impl Fn(i64) -> Option<&'n str>,
) -> String {
    let custom = definition_op.metadata().description.get(CUSTOM_NAME);
    let name = custom.map(|name| custom_slug(name)).unwrap_or_default();
    if !name.is_empty() {
        return name;
    }
    let (name, kind) = match &op.op {
        Some(pb::op::Op::Source(source)) => (source_name(&source.identifier), "source"),
        Some(pb::op::Op::Exec(exec)) => (
            exec.meta
                .as_ref()
                .map(|meta| command_name(&meta.args))
                .unwrap_or_default(),
            "exec",
        ),
        Some(pb::op::Op::File(file)) => (file_name(file), "file"),
        Some(pb::op::Op::Merge(merge)) => {
            let first = merge.inputs.first().and_then(|first| input(first.input));
            (after("merge", first), "merge")
        }
        Some(pb::op::Op::Diff(diff)) => {
            let upper = diff.upper.and_then(|upper| input(upper.input));
            (after("diff", upper), "diff")
        }
        Some(pb::op::Op::Build(_)) => (String::new(), "build"),
        Some(pb::op::Op::Passthrough(passthrough)) => (slug(&passthrough.id), "passthrough"),
        None => (String::new(), "unknown"),
    };
    if name.is_empty() {
        kind.to_owned()
    } else {
        name
    }
}

/// The kind of an op and the name of what it is about; the kind does not come twice.
fn after(kind: &str, name: Option<&str>) -> String {
    let Some(name) = name else {
        return String::new();
    };
    match name.strip_prefix(kind) {
        Some(rest) if rest.is_empty() || rest.starts_with('-') => slug(name),
        _ => slug(&format!("{kind}-{name}")),
    }
}

/// A custom name as a name. The step counter of a Dockerfile frontend, as in `[build 3/6] RUN make`, is left out: it
/// changes in all names when a step is added.
fn custom_slug(name: &str) -> String {
    let step = name.strip_prefix('[').and_then(|name| name.split_once(']'));
    let Some((stage, rest)) = step else {
        return slug(name);
    };
    let is_counter = |word: &str| {
        word.split_once('/').is_some_and(|(number, count)| {
            let is_number =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number(number) && is_number(count)
        })
    };
    let words = stage.split_whitespace().filter(|word| !is_counter(word));
    slug(&words.chain([rest]).collect::<Vec<_>>().join(" "))
}

/// The last part of a path, an image reference or a URL, without tag and digest.
fn source_name(identifier: &str) -> String {
    let path = identifier
        .split_once("://")
        .map_or(identifier, |(_, path)| path);
    let path = &path[..path.find(['@', '#', '?']).unwrap_or(path.len())];
    let last = last_part(path);
    slug(&last[..last.find(':').unwrap_or(last.len())])
}

fn last_part(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '.']);
    path.rsplit('/').next().unwrap_or_default()
}

/// The program and up to two words after it, of the first command that says something.
fn command_name(args: &[String]) -> String {
    let words: Vec<&str> = match args {
        [shell, flag, script] if last_part(shell).ends_with("sh") && flag.starts_with('-') => {
            statement(script)
        }
        // A shell form of a Dockerfile frontend without shell, or a program with all its words in one.
        [script] => statement(script),
        args => args.iter().map(|arg| &**arg).collect(),
    };
    let mut name = String::new();
    let plain = words
        .iter()
        .filter_map(|word| word_slug(word))
        .filter(|word| !word.is_empty());
    for word in plain.take(3) {
        if !name.is_empty() && name.len() + 1 + word.len() > LONGEST {
            break;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name += &word;
    }
    slug(&name)
}

/// The words of the first statement of a shell script that is no preparation for another one.
fn statement(script: &str) -> Vec<&str> {
    let mut statements = script
        .split(['\n', ';', '|'])
        .flat_map(|line| line.split("&&"))
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty());
    let mut first = Vec::new();
    // Scripts can be long, and what stands first is what people call them by.
    for words in statements.by_ref().take(8) {
        let is_preparation = matches!(words[0], "set" | "cd" | "export" | "umask" | ":" | "#")
            || words[0].starts_with('#')
            || words.get(1) == Some(&"update");
        if !is_preparation {
            return words;
        }
        if first.is_empty() {
            first = words;
        }
    }
    first
}

/// A word of a command as part of a name; none for flags, assignments and punctuation.
fn word_slug(word: &str) -> Option<String> {
    let word = word.trim_matches(['"', '\'', '(', ')', '{', '}', '`']);
    if word.starts_with(['-', '$', '<', '>', '&', '|', '%']) {
        return None;
    }
    let end = word.find(['=', '<', '>', '~', '!', '@', '[', ';', '$']);
    if let Some(end) = end
        && word.as_bytes()[end] == b'='
        && word[..end]
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    {
        return None;
    }
    Some(slug(last_part(&word[..end.unwrap_or(word.len())])))
}

/// The first action and the file it is about.
fn file_name(file: &pb::FileOp) -> String {
    use pb::file_action::Action;

    let (verb, path) = match file
        .actions
        .first()
        .and_then(|action| action.action.as_ref())
    {
        Some(Action::Copy(copy)) => match slug(last_part(&copy.src)) {
            name if name.is_empty() => ("copy", &copy.dest),
            _ => ("copy", &copy.src),
        },
        Some(Action::Mkfile(mkfile)) => ("mkfile", &mkfile.path),
        Some(Action::Mkdir(mkdir)) => ("mkdir", &mkdir.path),
        Some(Action::Rm(rm)) => ("rm", &rm.path),
        Some(Action::Symlink(symlink)) => ("symlink", &symlink.newpath),
        None => return String::new(),
    };
    slug(&format!("{verb} {}", last_part(path)))
}

/// Lower-case letters, digits, dots and underscores; runs of anything else become one dash.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if slug.len() > LONGEST {
            break;
        }
        if character.is_ascii_alphanumeric() || "._".contains(character) {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST);
    slug.truncate(slug.trim_end_matches(['-', '.']).len());
    match output_suffix(&slug) {
        // Such an end would read as an output of another op.
        Some((base, index)) => format!("{base}-out{index}"),
        None => slug,
    }
}

/// Takes `.out1` and the like off a name.
pub(super) fn output_suffix(name: &str) -> Option<(&str, &str)> {
    let (base, index) = name.rsplit_once(".out")?;
    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    is_index.then_some((base, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(args: &[&str]) -> String {
        command_name(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn commands_are_called_by_their_first_words() {
        for (script, name) in [
            (
                "apt-get update && apt-get install -y --no-install-recommends git",
                "apt-get-install-git",
            ),
            ("set -eux; make -j8 install", "make-install"),
            ("cd /src && cargo build --release", "cargo-build"),
            ("pip install 'torch==2.1' numpy", "pip-install-torch"),
            ("CC=gcc ./configure --prefix=/usr", "configure"),
            ("/usr/local/bin/python3 -m build", "python3-build"),
            ("cd /", "cd"),
            ("", ""),
            ("echo hello > /greeting", "echo-hello-greeting"),
        ] {
            assert_eq!(command(&["/bin/sh", "-c", script]), name, "{script}");
        }
        assert_eq!(command(&["go", "build", "./..."]), "go-build");
        assert_eq!(command(&["echo", "17"]), "echo-17");
    }

    #[test]
    fn sources_are_called_by_the_last_part_of_their_path() {
        for (identifier, name) in [
            (
                "docker-image://docker.io/library/debian:bookworm@sha256:00",
                "debian",
            ),
            (
                "git://github.com/moby/buildkit.git#master:a/b",
                "buildkit.git",
            ),
            ("local://context", "context"),
            ("https://example.com/a.tar.gz?x=1", "a.tar.gz"),
            ("docker-image://localhost:5000/x", "x"),
            ("local://", ""),
        ] {
            assert_eq!(source_name(identifier), name, "{identifier}");
        }
    }

    #[test]
    fn no_name_reads_as_an_output() {
        assert_eq!(slug("a.out1"), "a-out1");
        assert_eq!(slug("a.out"), "a.out");
        assert_eq!(slug("RUN \u{e9} make"), "run-make");
    }

    #[test]
    fn step_counters_are_left_out() {
        assert_eq!(custom_slug("[build 3/6] RUN make"), "build-run-make");
        assert_eq!(
            custom_slug("[linux/amd64 build 3/6] COPY a b"),
            "linux-amd64-build-copy-a-b"
        );
        assert_eq!(custom_slug("[2/2] COPY a b"), "copy-a-b");
        assert_eq!(
            custom_slug("[internal] load context"),
            "internal-load-context"
        );
    }
}
