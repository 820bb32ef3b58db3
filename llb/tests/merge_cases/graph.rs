//! The graph of a case.

use std::collections::BTreeMap;

use llb::file::{Copy, FileActions, MakesFiles, Mkdir, Mkfile, Rm, Symlink};
use llb::prelude::*;
use llb::{ContentCache, Exec};
use serde_json::Value;

use super::case::{Case, list};

/// Where commands have the tree that they change.
const TREE: &str = "/w";

/// The state to look at.
pub(crate) fn result(case: &Case) -> Result<State, String> {
    let mut states: BTreeMap<&str, State> = BTreeMap::new();
    for value in case.states() {
        let name = text(value, "name")?;
        let state = state(value, &states)?;
        states.insert(name, state);
    }
    named(case.result(), &states)
}

fn named(name: &str, states: &BTreeMap<&str, State>) -> Result<State, String> {
    let state = states.get(name).cloned();
    state.ok_or_else(|| format!("the case has no state {name:?}"))
}

fn state(value: &Value, states: &BTreeMap<&str, State>) -> Result<State, String> {
    if value["scratch"] == true {
        return Ok(scratch());
    }
    if let Some(script) = value["script"].as_str() {
        return Ok(run(script, scratch()));
    }
    if let Some(from) = value["from"].as_str() {
        let mut state = named(from, states)?;
        for step in list(&value["steps"]) {
            state = match step["run"].as_str() {
                Some(script) => run(script, state),
                None => file(list(&step["file"]), &state, states)?,
            };
        }
        return Ok(state);
    }
    if let Some(forks) = value.get("merge") {
        let base = named(text(forks, "base")?, states)?;
        let mut inputs = vec![base.clone()];
        for fork in list(&forks["forks"]) {
            let fork = named(fork.as_str().unwrap_or_default(), states)?;
            inputs.push(diff(&base, fork));
        }
        return Ok(merge(inputs));
    }
    if let Some(sides) = value.get("diff") {
        let lower = named(text(sides, "lower")?, states)?;
        return Ok(diff(lower, named(text(sides, "upper")?, states)?));
    }
    let inputs = list(&value["merge_inputs"]).iter();
    let inputs = inputs.map(|name| named(name.as_str().unwrap_or_default(), states));
    let inputs: Vec<State> = inputs.collect::<Result<_, _>>()?;
    if inputs.is_empty() {
        return Err(format!("a state that is none of those known: {value}"));
    }
    Ok(merge(inputs))
}

/// Runs a script on a tree that is a state of its own.
///
/// With content caching, the engine would take results of other states that differ in times or links only.
fn run(script: &str, tree: State) -> State {
    let command: Exec = sh(script).dir(TREE).network(Network::None);
    let mount = bind(TREE, tree).content_cache(ContentCache::Off);
    image("debian:bookworm-slim")
        .exec(command.mount(mount))
        .output(TREE)
}

/// File actions in a row, whatever the last one is.
enum Chain {
    Mkdir(FileActions<Mkdir>),
    Mkfile(FileActions<Mkfile>),
    Symlink(FileActions<Symlink>),
    Rm(FileActions<Rm>),
    Copy(FileActions<Copy>),
}

/// Goes on with a chain, or begins one.
macro_rules! go_on {
    ($chain:expr, $method:ident, $($argument:expr),*) => {
        match $chain {
            None => $method($($argument),*),
            Some(Chain::Mkdir(chain)) => chain.$method($($argument),*),
            Some(Chain::Mkfile(chain)) => chain.$method($($argument),*),
            Some(Chain::Symlink(chain)) => chain.$method($($argument),*),
            Some(Chain::Rm(chain)) => chain.$method($($argument),*),
            Some(Chain::Copy(chain)) => chain.$method($($argument),*),
        }
    };
}

/// The owner and time of whatever makes files.
fn settle<Last: MakesFiles>(mut chain: FileActions<Last>, value: &Value) -> FileActions<Last> {
    let id = |key: &str| value[key].as_u64().and_then(|id| u32::try_from(id).ok());
    if let (Some(uid), gid) = (id("uid"), id("gid")) {
        chain = chain.owner((uid, gid.unwrap_or(uid)));
    }
    if let Some(seconds) = value["mtime"].as_i64() {
        chain = chain.created(seconds * 1_000_000_000);
    }
    chain
}

fn file(actions: &[Value], state: &State, states: &BTreeMap<&str, State>) -> Result<State, String> {
    let mut chain = None;
    for value in actions {
        chain = Some(action(chain, value, state, states)?);
    }
    Ok(match chain.ok_or("a file op without actions")? {
        Chain::Mkdir(chain) => state.file(chain),
        Chain::Mkfile(chain) => state.file(chain),
        Chain::Symlink(chain) => state.file(chain),
        Chain::Rm(chain) => state.file(chain),
        Chain::Copy(chain) => state.file(chain),
    })
}

fn action(
    chain: Option<Chain>,
    value: &Value,
    state: &State,
    states: &BTreeMap<&str, State>,
) -> Result<Chain, String> {
    let path = format!("/{}", text(value, "path")?.trim_start_matches('/'));
    let is = |key: &str| value[key] == true;
    let mode = match value["mode"].as_str() {
        Some(mode) => Some(u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?),
        None => None,
    };
    Ok(match text(value, "op")? {
        "mkdir" => {
            let mut mkdir = settle(go_on!(chain, mkdir, path, mode.unwrap_or(0o755)), value);
            if is("parents") {
                mkdir = mkdir.parents();
            }
            Chain::Mkdir(mkdir)
        }
        "mkfile" => {
            let content = value["content"].as_str().unwrap_or_default();
            let mode = mode.unwrap_or(0o644);
            Chain::Mkfile(settle(go_on!(chain, mkfile, path, mode, content), value))
        }
        "symlink" => {
            let target = text(value, "target").or_else(|_| text(value, "old"))?;
            Chain::Symlink(settle(go_on!(chain, symlink, target, path), value))
        }
        "rm" => {
            let mut rm = go_on!(chain, rm, path);
            if is("wildcard") {
                rm = rm.allow_wildcard();
            }
            if is("allow_not_found") {
                rm = rm.allow_not_found();
            }
            Chain::Rm(rm)
        }
        "copy" => {
            let from = match text(value, "from")? {
                "self" => state.clone(),
                name => named(name, states)?,
            };
            let source = format!("/{}", text(value, "src")?.trim_start_matches('/'));
            let mut copy = settle(go_on!(chain, copy, from, source, path), value);
            if let Some(mode) = mode {
                copy = copy.mode(i32::try_from(mode).unwrap_or_default());
            }
            for (key, option) in COPY_OPTIONS {
                if is(key) {
                    copy = option(copy);
                }
            }
            Chain::Copy(copy)
        }
        other => return Err(format!("an action that is none of those known: {other:?}")),
    })
}

type CopyOption = fn(FileActions<Copy>) -> FileActions<Copy>;

const COPY_OPTIONS: &[(&str, CopyOption)] = &[
    ("create_dest_path", FileActions::create_destination),
    ("always_replace", FileActions::always_replace_existing),
    ("contents_only", FileActions::contents_only),
    ("follow_symlinks", FileActions::follow_symlinks),
    ("wildcard", FileActions::<Copy>::allow_wildcard),
    ("allow_empty_wildcard", FileActions::allow_empty_wildcard),
];

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    let text = value[key].as_str();
    text.ok_or_else(|| format!("expected a text as {key:?} of {value}"))
}
