//! Makes the files of a definition, without running anything.
//!
//! Sources are scripted, file ops, merges and differences are carried out as BuildKit does, and commands do what their
//! script says.

use std::collections::BTreeMap;

use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};

use super::script::{CommandResult, Script};
use super::tree::{Content, Entry, Tree, name, normal, parent};
use crate::proto::google::rpc;
use crate::proto::pb;
use crate::session::PatternSet;
use crate::value::digest::sha256_text;

type Outputs = BTreeMap<(String, i64), Tree>;

/// The files of the result of a definition.
pub(super) fn evaluate(script: &Script, definition: &pb::Definition) -> Result<Tree, Status> {
    let mut outputs = Outputs::new();
    let mut result = Tree::default();
    for bytes in &definition.def {
        let op = pb::Op::decode(bytes.as_ref())
            .map_err(|error| Status::invalid_argument(format!("an op is malformed: {error}")))?;
        let digest = digest_of(bytes);
        let input = |index: i64| -> Result<Tree, Status> {
            let Ok(position) = usize::try_from(index) else {
                return Ok(Tree::default());
            };
            let input = op.inputs.get(position);
            let found = input.and_then(|input| outputs.get(&(input.digest.clone(), input.index)));
            found
                .cloned()
                .ok_or_else(|| Status::invalid_argument(format!("an op has no input {index}")))
        };
        let made = match &op.op {
            None => {
                result = input(0)?;
                continue;
            }
            Some(pb::op::Op::Source(source)) => vec![(0, script.source(source)?)],
            Some(pb::op::Op::File(file)) => files(file, op.inputs.len(), &input)?,
            Some(pb::op::Op::Merge(merge)) => {
                let mut tree = Tree::default();
                for layer in &merge.inputs {
                    tree.overlay(&input(layer.input)?);
                }
                vec![(0, tree)]
            }
            Some(pb::op::Op::Diff(diff)) => {
                let lower = diff.lower.as_ref().map_or(-1, |lower| lower.input);
                let upper = diff.upper.as_ref().map_or(-1, |upper| upper.input);
                vec![(0, input(upper)?.since(&input(lower)?))]
            }
            Some(pb::op::Op::Exec(exec)) => run(script, exec, &digest, &input)?,
            Some(pb::op::Op::Passthrough(pass)) => {
                let mut made = Vec::new();
                for (index, position) in (0..).zip(&pass.outputs) {
                    made.push((index, input(*position)?));
                }
                made
            }
            Some(pb::op::Op::Build(_)) => {
                return Err(Status::unimplemented("the double runs no nested builds"));
            }
        };
        for (index, tree) in made {
            outputs.insert((digest.clone(), index), tree);
        }
    }
    Ok(result)
}

fn digest_of(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha256_text(&sha2::Sha256::digest(bytes).into())
}

/// What a command leaves in its mounts that have an output.
fn run(
    script: &Script,
    exec: &pb::ExecOp,
    digest: &str,
    input: &impl Fn(i64) -> Result<Tree, Status>,
) -> Result<Vec<(i64, Tree)>, Status> {
    let meta = exec.meta.clone().unwrap_or_default();
    let ran = script.command(&meta.args)?;
    let valid = match meta.valid_exit_codes.as_slice() {
        [] => ran.code == 0,
        codes => codes
            .iter()
            .any(|code| u32::try_from(*code) == Ok(ran.code)),
    };
    if !valid {
        return Err(failed(&meta, ran, digest));
    }
    let mut made = Vec::new();
    for mount in exec.mounts.iter().filter(|mount| mount.output >= 0) {
        let mut tree = input(mount.input)?;
        for (path, content) in &ran.files {
            let path = normal(path);
            // A file belongs to the innermost mount it is under.
            let owner = exec
                .mounts
                .iter()
                .filter(|mount| is_under(&path, &normal(&mount.dest)))
                .max_by_key(|mount| normal(&mount.dest).len());
            if owner.is_some_and(|owner| owner.dest == mount.dest) {
                let inside = path.get(normal(&mount.dest).len()..).unwrap_or_default();
                let inside = format!("{}/{inside}", mount.selector);
                tree.put(&normal(&inside), Entry::file(content.clone(), 0o644));
            }
        }
        made.push((mount.output, tree));
    }
    Ok(made)
}

fn is_under(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The error of a failed step, with the details that BuildKit gives.
fn failed(meta: &pb::Meta, ran: &CommandResult, digest: &str) -> Status {
    let command = meta.args.join(" ");
    let code = ran.code;
    let message = format!("process {command:?} did not complete successfully: exit code: {code}");
    let detail = |name: &str, value: serde_json::Value| prost_types::Any {
        type_url: format!("github.com/moby/buildkit/{name}+json"),
        value: value.to_string().into_bytes(),
    };
    let status = rpc::Status {
        code: Code::Unknown.into(),
        message: message.clone(),
        details: vec![
            detail("errdefs.Vertex", json!({"digest": digest})),
            detail("gatewayapi.ExitMessage", json!({"Code": code})),
        ],
    };
    Status::with_details(Code::Unknown, message, status.encode_to_vec().into())
}

/// The outputs of a file op.
fn files(
    op: &pb::FileOp,
    inputs: usize,
    input: &impl Fn(i64) -> Result<Tree, Status>,
) -> Result<Vec<(i64, Tree)>, Status> {
    use pb::file_action::Action;
    let mut made: Vec<Tree> = Vec::new();
    let mut outputs = Vec::new();
    for action in &op.actions {
        let of = |index: i64| match usize::try_from(index) {
            Ok(position) if position >= inputs => made
                .get(position - inputs)
                .cloned()
                .ok_or_else(|| Status::invalid_argument("an action comes before its input")),
            _ => input(index),
        };
        let mut tree = of(action.input)?;
        match &action.action {
            Some(Action::Mkfile(file)) => {
                let path = tree.follow(&file.path);
                need_directory(&tree, parent(&path))?;
                tree.put(
                    &path,
                    Entry::file(file.data.clone(), bits(file.mode, 0o644)),
                );
            }
            Some(Action::Mkdir(directory)) => {
                let path = tree.follow(&directory.path);
                if !directory.make_parents {
                    need_directory(&tree, parent(&path))?;
                }
                tree.put(&path, Entry::directory(bits(directory.mode, 0o755)));
            }
            Some(Action::Symlink(link)) => {
                let content = Content::Link(link.oldpath.clone());
                let mode = 0o777;
                tree.put(&normal(&link.newpath), Entry { content, mode });
            }
            Some(Action::Rm(rm)) => remove(&mut tree, rm)?,
            Some(Action::Copy(copy)) => copy_into(&mut tree, &of(action.secondary_input)?, copy)?,
            None => return Err(Status::invalid_argument("a file op has an empty action")),
        }
        if action.output >= 0 {
            outputs.push((action.output, tree.clone()));
        }
        made.push(tree);
    }
    Ok(outputs)
}

fn bits(mode: i32, default: u32) -> u32 {
    u32::try_from(mode).map_or(default, |mode| mode & 0o7777)
}

fn need_directory(tree: &Tree, path: &str) -> Result<(), Status> {
    match tree.entry(path) {
        Some(entry) if entry.content == Content::Directory => Ok(()),
        _ => Err(missing("open", path)),
    }
}

pub(super) fn missing(what: &str, path: &str) -> Status {
    Status::unknown(format!("{what} /{path}: no such file or directory"))
}

/// The paths that a pattern means: itself, or what it matches.
fn expand(tree: &Tree, pattern: &str, allow_wildcard: bool) -> Vec<String> {
    if !allow_wildcard || !pattern.contains(['*', '?', '[']) {
        let path = tree.follow(pattern);
        return tree.entry(&path).map(|_| path).into_iter().collect();
    }
    let pattern = normal(pattern);
    let matches = |path: &&str| {
        path.split('/').count() == pattern.split('/').count()
            && path
                .split('/')
                .zip(pattern.split('/'))
                .all(|(part, pattern)| is_match(pattern, part))
    };
    tree.paths().filter(matches).map(str::to_owned).collect()
}

fn is_match(pattern: &str, text: &str) -> bool {
    PatternSet::new([pattern]).is_ok_and(|set| set.matches(text))
}

fn remove(tree: &mut Tree, rm: &pb::FileActionRm) -> Result<(), Status> {
    let paths = if rm.allow_wildcard {
        expand(tree, &rm.path, true)
    } else {
        vec![normal(&rm.path)]
    };
    for path in &paths {
        if !tree.remove(path) && !rm.allow_not_found {
            return Err(missing("remove", path));
        }
    }
    if paths.is_empty() && !rm.allow_not_found {
        return Err(missing("remove", &rm.path));
    }
    Ok(())
}

fn copy_into(tree: &mut Tree, source: &Tree, copy: &pb::FileActionCopy) -> Result<(), Status> {
    if copy.attempt_unpack_docker_compatibility {
        return Err(Status::unimplemented("the double unpacks no archives"));
    }
    let found = expand(source, &copy.src, copy.allow_wildcard);
    if found.is_empty() && !(copy.allow_wildcard && copy.allow_empty_wildcard) {
        return Err(missing("lstat", &normal(&copy.src)));
    }
    let patterns = |patterns: &[String]| {
        PatternSet::new(patterns.iter().map(String::as_str))
            .map_err(|error| Status::invalid_argument(error.to_string()))
    };
    let (include, exclude) = (
        patterns(&copy.include_patterns)?,
        patterns(&copy.exclude_patterns)?,
    );
    let octal = u32::from_str_radix(copy.mode_str.trim_start_matches("0o"), 8);
    let mode = match octal {
        Ok(mode) => Some(mode),
        Err(_) => u32::try_from(copy.mode).ok(),
    };
    let target = tree.follow(&copy.dest);
    for path in found {
        let is_directory = source
            .entry(&path)
            .is_some_and(|entry| entry.content == Content::Directory);
        let into = copy.dest.ends_with('/')
            || tree
                .entry(&target)
                .is_some_and(|entry| entry.content == Content::Directory);
        let contents = is_directory && (copy.dir_copy_contents || path.is_empty());
        let base = if into && !contents {
            normal(&format!("{target}/{}", name(&path)))
        } else {
            target.clone()
        };
        if !copy.create_dest_path {
            let needed = if into { &target } else { parent(&base) };
            need_directory(tree, needed)?;
        }
        if is_directory && !base.is_empty() {
            tree.put(&base, Entry::directory(mode.unwrap_or(0o755)));
        }
        for (inner, entry) in source.under(&path) {
            let relative = normal(inner.get(path.len()..).unwrap_or_default());
            let is_kept = relative.is_empty()
                || (include.is_empty() || include.matches(&relative))
                    && !exclude.matches(&relative);
            if is_kept && !(relative.is_empty() && is_directory) {
                let mut entry = entry.clone();
                entry.mode = mode.unwrap_or(entry.mode);
                tree.put(&normal(&format!("{base}/{relative}")), entry);
            }
        }
    }
    Ok(())
}
