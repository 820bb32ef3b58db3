//! Source locations made by the program's own lines: what an op tells of where it was made.

#![expect(
    clippy::needless_pass_by_value,
    reason = "layers take the state itself"
)]

use llb::prelude::*;
use llb::{CallerLocations, SourceTexts};

/// The lines of every op but the last, which names the result.
fn lines(state: &State) -> Vec<Vec<u32>> {
    let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
    let definition = state.marshal(&options).expect("the graph has no mistakes");
    let (_, ops) = definition.ops().split_last().expect("there is an op");
    let line = |ranges: &[llb::Range]| ranges[0].start.expect("a range begins somewhere").line;
    ops.iter()
        .map(|op| {
            let lines = op.locations().map(|(info, ranges)| {
                assert_eq!(definition.source_infos()[info as usize].filename(), file!());
                u32::try_from(line(ranges)).expect("lines are counted from 1")
            });
            lines.collect()
        })
        .collect()
}

const APT: u32 = line!() + 3;
#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(args(["apt-get", "install"].iter().chain(packages).copied()))
}

const TOOLS: u32 = line!() + 4;
#[layer]
fn tools(base: State) -> State {
    base.run(sh("apt-get update"))
        .layer(apt(&["git"]))
        .run(sh("rm -r /var/lib/apt/lists"))
}

const PLAIN: u32 = line!() + 2;
fn plain(base: State) -> State {
    base.mkdir("/plain", 0o755)
}

#[test]
fn nothing_is_told_unless_asked_for() {
    let state = image("debian").layer(tools());
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    assert!(definition.source_infos().is_empty());
    let off = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Off);
    assert_eq!(definition, state.marshal(&off).unwrap());
}

#[test]
fn an_op_tells_the_layers_it_is_made_in_outermost_first() {
    let from = line!() + 1;
    let base = image("debian");
    let put = line!() + 1;
    let state = base.layer(tools());
    let state = state.run(sh("true"));
    assert_eq!(
        lines(&state),
        [
            vec![from],
            vec![put, TOOLS - 1],
            vec![put, TOOLS, APT],
            vec![put, TOOLS + 1],
            vec![put + 1],
        ]
    );
}

#[test]
fn functions_and_closures_have_a_place_too() {
    let state = scratch().layer(plain);
    let put = line!() + 1;
    let state = state.layer(|state| {
        let made = state.mkdir("/closure", 0o755);
        made.layer(plain)
    });
    assert_eq!(
        lines(&state),
        [
            vec![put - 2, PLAIN],
            vec![put, put + 1],
            vec![put, put + 2, PLAIN]
        ]
    );
    let named = line!() + 1;
    let greet = layer::named("greet", plain);
    let put = line!() + 1;
    assert_eq!(lines(&scratch().layer(greet)), [vec![put, named, PLAIN]]);
}

#[test]
fn one_line_is_told_once() {
    let line = line!() + 1;
    let state = scratch().layer(|state| state.layer(|state| state.mkdir("/a", 0o755)));
    assert_eq!(lines(&state), [vec![line]]);
}

#[test]
fn forks_and_squashes_have_a_place_too() {
    let base = image("debian");
    let (from, left, right) = (line!() - 1, line!() + 1, line!() + 2);
    let left_fork = base.fork(plain);
    let right_fork = base.fork(apt(&["git"]));
    let merged = line!() + 1;
    let state = base.merge([left_fork, right_fork]);
    assert_eq!(
        lines(&state),
        [
            vec![from],
            vec![left, PLAIN],
            vec![left],
            vec![right, APT],
            vec![right],
            vec![merged],
        ]
    );
    let squashed = line!() + 1;
    let found = lines(&base.squash(plain));
    assert_eq!(found[0], [from]);
    assert!(found.contains(&vec![squashed, PLAIN]), "{found:?}");
    assert!(found.contains(&vec![squashed]), "{found:?}");
}

#[test]
fn an_op_of_a_state_made_in_a_layer_from_nothing_has_its_own_line() {
    let base = image("debian");
    let put = line!() + 1;
    let state = base.layer(|base| {
        let context = local("context");
        base.copy(context, "/", "/src")
    });
    assert_eq!(
        lines(&state),
        [vec![put - 2], vec![put + 1], vec![put, put + 2]]
    );
}

#[test]
fn deferred_steps_keep_their_layers() {
    let base = image("debian").deferred(|base, _| base.env("A", "1"));
    let put = line!() + 1;
    let state = base.layer(apt(&["git"]));
    assert_eq!(lines(&state)[1], [put, APT]);
}

#[test]
fn locations_change_no_digest() {
    let base = image("debian");
    let state = base
        .merge([base.fork(tools()), base.fork(plain)])
        .squash(apt(&["curl"]));
    let texts = SourceTexts::new().with(file!(), "text");
    let plain = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    for mode in [CallerLocations::Positions, CallerLocations::Full(texts)] {
        let options = MarshalOptions::linux_amd64().caller_locations(mode);
        let located = state.marshal(&options).unwrap();
        assert!(!located.source_infos().is_empty());
        assert_eq!(plain.ops().len(), located.ops().len());
        for (plain, located) in plain.ops().iter().zip(located.ops()) {
            assert_eq!(plain.bytes(), located.bytes());
            assert_eq!(plain.metadata(), located.metadata());
        }
    }
}

#[test]
fn the_text_of_the_program_is_told_only_in_full_and_once() {
    let state = image("debian").layer(tools());
    let texts = SourceTexts::new()
        .with(file!(), "the text")
        .with("src/other.rs", "another text");
    let infos = |mode| {
        let options = MarshalOptions::linux_amd64().caller_locations(mode);
        let definition = state.marshal(&options).unwrap();
        let infos = definition.source_infos().iter();
        infos
            .map(|info| {
                (
                    info.language().to_owned(),
                    String::from_utf8_lossy(info.data()).into_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let rust = |text: &str| vec![("rust".to_owned(), text.to_owned())];
    assert_eq!(infos(CallerLocations::Positions), rust(""));
    assert_eq!(infos(CallerLocations::Full(SourceTexts::new())), rust(""));
    assert_eq!(infos(CallerLocations::Full(texts)), rust("the text"));
}

#[test]
fn places_by_hand_stand_beside_those_of_the_program() {
    use llb::{Range, SourceMap};

    let file = SourceMap::new("cog.yaml", "yaml", "build:\n");
    let state = image("debian").run(sh("true").location(file.location([Range::line(1)])));
    let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
    let definition = state.marshal(&options).unwrap();
    let infos = definition.source_infos();
    let files: Vec<_> = definition.ops()[1]
        .locations()
        .map(|(info, _)| infos[info as usize].filename())
        .collect();
    assert_eq!(files, ["cog.yaml", file!()]);
}

#[test]
fn the_full_text_form_keeps_the_stack() {
    let state = image("debian").layer(tools());
    let texts = SourceTexts::new().with(file!(), "line one\nline \"two\"\n");
    for mode in [CallerLocations::Positions, CallerLocations::Full(texts)] {
        let options = MarshalOptions::linux_amd64().caller_locations(mode);
        let definition = state.marshal(&options).unwrap();
        let read = Definition::from_text(&definition.to_full_text()).unwrap();
        assert_eq!(read.to_bytes(), definition.to_bytes());
        assert_eq!(
            Definition::from_bytes(&definition.to_bytes()).unwrap(),
            definition
        );
    }
}

#[test]
fn mistakes_tell_the_layers_they_are_made_in() {
    #[layer]
    fn broken(base: State) -> State {
        base.layer(|state| {
            let command = args::<&str>([]);
            state.run(command)
        })
    }
    let line = line!() + 1;
    let state = image("debian").layer(broken()).run(sh("true"));
    let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    let [problem] = error.problems() else {
        panic!("one mistake, not {error}");
    };
    let layers: Vec<_> = problem
        .layers()
        .map(|(name, at)| (name, at.line()))
        .collect();
    assert_eq!(layers, [(None, line - 6), (Some("broken"), line)]);
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "\n  in the layer \"broken\" at {}:{line}:",
            file!()
        )),
        "{text}"
    );
}
