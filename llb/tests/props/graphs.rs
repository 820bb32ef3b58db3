//! Graphs made by random calls.

use std::cell::RefCell;

use llb::prelude::*;
use llb::value::Platform;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One call; indices say which of the states made before it goes on with.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Image(String, bool),
    Local(String, Vec<String>),
    Http(u8, Option<u32>),
    Git(String),
    Run(Index, RunCall),
    RunOutput(Index, Index, String),
    Files(Index, Vec<FileCall>),
    Merge(Vec<Index>),
    Diff(Index, Index),
    Env(Index, String, String),
    Dir(Index, String),
    Requires(Index, Vec<Index>),
}

#[derive(Clone, Debug)]
pub(crate) struct RunCall {
    command: String,
    name: Option<String>,
    mount: Option<(Index, String, bool)>,
    cache: Option<u8>,
    secret: bool,
    ssh: bool,
    ignore_cache: bool,
    arm: bool,
    network: Network,
    codes: Vec<i32>,
}

#[derive(Clone, Debug)]
pub(crate) enum FileCall {
    Mkdir(String, u32),
    Mkfile(String, Vec<u8>, Option<String>),
    Rm(String, bool),
    Symlink(String, String),
    Copy(Index, String, String, Option<i64>),
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-z]{1,6}",
        1 => "\\PC{0,12}",
        1 => any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
    .boxed()
}

fn path() -> BoxedStrategy<String> {
    prop_oneof!["/[a-z]{1,3}", "/[a-z]{1,3}/[a-z .%;]{1,4}", "[a-z]{1,3}"].boxed()
}

fn file_call() -> BoxedStrategy<FileCall> {
    prop_oneof![
        (path(), 0..0o1000_u32).prop_map(|(path, mode)| FileCall::Mkdir(path, mode)),
        (
            path(),
            vec(any::<u8>(), 0..30),
            proptest::option::of("[a-z0-9]{0,4}:?[a-z0-9]{0,3}")
        )
            .prop_map(|(path, data, owner)| FileCall::Mkfile(path, data, owner)),
        (path(), any::<bool>()).prop_map(|(path, wildcard)| FileCall::Rm(path, wildcard)),
        (path(), text()).prop_map(|(path, old)| FileCall::Symlink(path, old)),
        (
            any::<Index>(),
            path(),
            path(),
            proptest::option::of(any::<i64>())
        )
            .prop_map(|(from, source, target, time)| FileCall::Copy(from, source, target, time)),
    ]
    .boxed()
}

fn run_call() -> BoxedStrategy<RunCall> {
    (
        (text(), proptest::option::of(text())),
        proptest::option::of((any::<Index>(), "/[a-z]{1,3}", any::<bool>())),
        proptest::option::of(0..3_u8),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        prop_oneof![
            Just(Network::Sandbox),
            Just(Network::Host),
            Just(Network::None)
        ],
        vec(any::<i32>(), 0..3),
    )
        .prop_map(
            |((command, name), mount, cache, (secret, ssh, ignore_cache, arm), network, codes)| {
                RunCall {
                    command,
                    name,
                    mount,
                    cache,
                    secret,
                    ssh,
                    ignore_cache,
                    arm,
                    network,
                    codes,
                }
            },
        )
        .boxed()
}

fn call() -> BoxedStrategy<Call> {
    let index = any::<Index>;
    prop_oneof![
        1 => ("[a-z]{1,3}", any::<bool>()).prop_map(|(name, arm)| Call::Image(name, arm)),
        1 => ("[a-z]{1,3}", vec(text(), 0..3)).prop_map(|(name, excluded)| Call::Local(name, excluded)),
        1 => (0..3_u8, proptest::option::of(0..0o1000_u32)).prop_map(|(url, mode)| Call::Http(url, mode)),
        1 => "[a-z]{1,3}".prop_map(Call::Git),
        4 => (index(), run_call()).prop_map(|(from, run)| Call::Run(from, run)),
        1 => (index(), index(), "/[a-z]{1,3}").prop_map(|(from, on, target)| Call::RunOutput(from, on, target)),
        3 => (index(), vec(file_call(), 1..4)).prop_map(|(from, calls)| Call::Files(from, calls)),
        1 => vec(index(), 0..4).prop_map(Call::Merge),
        1 => (index(), index()).prop_map(|(lower, upper)| Call::Diff(lower, upper)),
        1 => (index(), "[A-Z]{1,2}", text()).prop_map(|(from, name, value)| Call::Env(from, name, value)),
        1 => (index(), path()).prop_map(|(from, dir)| Call::Dir(from, dir)),
        1 => (index(), vec(index(), 0..3)).prop_map(|(from, others)| Call::Requires(from, others)),
    ]
        .boxed()
}

/// Calls that make a graph.
pub(crate) fn calls() -> BoxedStrategy<Vec<Call>> {
    vec(call(), 1..14).boxed()
}

/// The states there are before any call.
const GIVEN: usize = 2;

/// What the calls make; the state made last is the graph.
pub(crate) fn build(calls: &[Call]) -> State {
    let order: Vec<usize> = (0..calls.len()).collect();
    build_in_order(calls, &order)
}

/// The same graph, with the calls made in another order where they do not depend on each other.
pub(crate) fn build_in_order(calls: &[Call], order: &[usize]) -> State {
    let states = RefCell::new(vec![None; calls.len()]);
    for &position in order {
        drop(state(calls, &states, GIVEN + position));
    }
    state(calls, &states, GIVEN + calls.len() - 1)
}

/// The state at a position, made now if it is not there yet.
fn state(calls: &[Call], states: &RefCell<Vec<Option<State>>>, position: usize) -> State {
    let call = match position {
        0 => return scratch(),
        1 => return image("base"),
        _ => position - GIVEN,
    };
    if let Some(state) = &states.borrow()[call] {
        return state.clone();
    }
    let made = make(&calls[call], &|index| {
        state(calls, states, index.index(position))
    });
    states.borrow_mut()[call] = Some(made.clone());
    made
}

/// What one call makes of the states before it.
fn make(call: &Call, at: &dyn Fn(&Index) -> State) -> State {
    match call {
        Call::Image(name, arm) => {
            let image = Image::new(name);
            if *arm {
                image.platform(Platform::LINUX_ARM64).state()
            } else {
                image.state()
            }
        }
        Call::Local(name, excluded) => local(name).exclude(excluded.clone()).into(),
        Call::Http(url, mode) => {
            let source = http(format!("https://example.com/{url}"));
            match mode {
                Some(mode) => source.chmod(*mode).into(),
                None => source.into(),
            }
        }
        Call::Git(name) => git(format!("https://example.com/{name}.git")).into(),
        Call::Run(from, call) => at(from).run(run(call, at)),
        Call::RunOutput(from, on, target) => {
            let exec = sh("make").mount(bind(target.as_str(), at(on)));
            at(from).exec(exec).output(target.as_str())
        }
        Call::Files(from, calls) => calls.iter().fold(at(from), |state, call| match call {
            FileCall::Mkdir(path, mode) => state.mkdir(path.as_str(), *mode),
            FileCall::Mkfile(path, data, owner) => {
                let action = mkfile(path.as_str(), 0o644, data.clone());
                state.file(match owner {
                    Some(owner) => action.owner(owner.as_str()),
                    None => action,
                })
            }
            FileCall::Rm(path, wildcard) => {
                let action = rm(path.as_str());
                state.file(if *wildcard {
                    action.allow_wildcard()
                } else {
                    action
                })
            }
            FileCall::Symlink(path, old) => state.symlink(old.as_str(), path.as_str()),
            FileCall::Copy(from, source, target, time) => {
                let action = copy(at(from), source.as_str(), target.as_str());
                state.file(match time {
                    Some(time) => action.created(*time),
                    None => action,
                })
            }
        }),
        Call::Merge(inputs) => merge(inputs.iter().map(at)),
        Call::Diff(lower, upper) => diff(at(lower), at(upper)),
        Call::Env(from, name, value) => at(from).env(name.as_str(), value.as_str()),
        Call::Dir(from, dir) => at(from).dir(dir.as_str()),
        Call::Requires(from, others) => {
            let others: Vec<State> = others.iter().map(at).collect();
            at(from).requires("id", others)
        }
    }
}

fn run(call: &RunCall, at: &dyn Fn(&Index) -> State) -> llb::Exec {
    let mut exec = sh(call.command.as_str())
        .network(call.network)
        .valid_exit_codes(call.codes.clone());
    if let Some(name) = &call.name {
        exec = exec.name(name.as_str());
    }
    if let Some((on, target, readonly)) = &call.mount {
        let mount = bind(target.as_str(), at(on));
        exec = exec.mount(if *readonly { mount.readonly() } else { mount });
    }
    if let Some(id) = call.cache {
        exec = exec.mount(cache(format!("/cache/{id}"), format!("id{id}")));
    }
    if call.secret {
        exec = exec.mount(secret("/run/secret").id("token").and_env("TOKEN"));
    }
    if call.ssh {
        exec = exec.mount(ssh());
    }
    if call.ignore_cache {
        exec = exec.ignore_cache();
    }
    if call.arm {
        exec = exec.platform(Platform::LINUX_ARM64);
    }
    exec
}

#[test]
fn most_generated_graphs_have_no_mistake() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = calls();
    let sound = (0..200).filter(|_| {
        let calls = strategy.new_tree(&mut runner).unwrap().current();
        build(&calls)
            .marshal(&MarshalOptions::linux_amd64())
            .is_ok()
    });
    assert!(sound.count() > 100);
}
