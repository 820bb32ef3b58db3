//! `#[layer]`: what it accepts, what the layer is called, and that it builds what builder calls build.

use std::fmt::Display;
use std::path::PathBuf;

use llb::prelude::*;
use llb::value::Platform;

/// Installs Debian packages.
#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(sh(format!("apt-get install -y {}", packages.join(" "))))
}

fn groups(state: &State) -> Vec<String> {
    let definition = state.marshal(&MarshalOptions::linux_amd64());
    let definition = definition.expect("the graph has no mistakes");
    let groups = definition
        .ops()
        .iter()
        .filter_map(|op| op.metadata().progress_group.clone());
    groups.map(|group| group.name.clone()).collect()
}

#[test]
fn a_layer_builds_what_its_body_builds() {
    let base = image("debian");
    let by_hand = base.run(sh("apt-get install -y git"));
    assert_eq!(
        base.layer(apt(&["git"]))
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap()
            .head(),
        by_hand
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap()
            .head()
    );
    assert_eq!(groups(&base.layer(apt(&["git"]))), ["apt(git)"]);
}

#[test]
fn forks_and_squashes_take_layers() {
    let base = image("debian");
    let merged = base.merge([base.fork(apt(&["git"])), base.fork(apt(&["curl"]))]);
    assert_eq!(groups(&merged), ["apt(git)", "apt(curl)"]);

    let layered = |base: State| {
        base.layer(apt(&["git"]))
            .layer(apt(&["curl"]))
            .env("A", "1")
            .dir("/src")
    };
    let squashed = base.squash(layered);
    insta::assert_snapshot!(squashed.to_text(), @r#"
    platform linux/amd64
    %debian = source "docker-image://docker.io/library/debian:latest"
    %mkdir = file group="apt(curl)" {
      on %debian
      mkdir "/" 0755
    }
    %apt-get-install-git = exec "/bin/sh" "-c" "apt-get install -y git" cwd=/ group="apt(git)" {
      / = %debian -> out0
    }
    %apt-get-install-curl = exec "/bin/sh" "-c" "apt-get install -y curl" cwd=/ group="apt(curl)" {
      / = %apt-get-install-git -> out0
    }
    %diff-apt-get-install-curl = diff %mkdir -> %apt-get-install-curl group="apt(curl)"
    %merge-debian = merge %debian, %diff-apt-get-install-curl group="apt(curl)"
    return %merge-debian
    "#);
    assert_eq!(squashed.image_config().env["A"], "1");
    assert_eq!(squashed.current_dir(), Some("/src"));
}

#[test]
fn squashing_what_changes_no_file_adds_no_op() {
    let base = image("debian");
    let squashed = base.squash(|base| base.env("A", "1"));
    assert_eq!(squashed.to_text(), base.to_text());
    assert_eq!(squashed.image_config().env["A"], "1");
}

#[test]
fn squashing_on_scratch_needs_no_merge() {
    let squashed = scratch().squash(|base| base.mkdir("/a", 0o755).mkdir("/b", 0o755));
    insta::assert_snapshot!(squashed.to_text(), @r#"
    %mkdir = file {
      mkdir "/" 0755
    }
    %mkdir-a = file {
      mkdir "/a" 0755
    }
    %mkdir-b = file {
      on %mkdir-a
      mkdir "/b" 0755
    }
    %diff-mkdir-b = diff %mkdir -> %mkdir-b
    return %diff-mkdir-b
    "#);
}

#[test]
fn mistakes_in_a_squashed_layer_are_reported_once() {
    let squashed = image("debian").squash(|base| base.run(args::<&str>([])));
    let error = squashed
        .marshal(&MarshalOptions::linux_amd64())
        .unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn ops_after_a_layer_are_in_no_group() {
    let state = image("debian").layer(apt(&["git"])).run(sh("true"));
    assert_eq!(groups(&state), ["apt(git)"]);
}

#[test]
fn a_layer_in_a_layer_has_its_own_name() {
    #[layer]
    fn tools(base: State) -> State {
        base.run(sh("a")).layer(apt(&["git"])).run(sh("b"))
    }
    assert_eq!(
        groups(&image("debian").layer(tools())),
        ["tools", "apt(git)", "tools"]
    );
}

#[test]
fn names_show_what_can_be_read() {
    #[layer]
    #[expect(clippy::too_many_arguments, reason = "one of each kind")]
    fn all(
        base: State,
        text: &str,
        number: u16,
        slim: bool,
        quiet: bool,
        path: PathBuf,
        platform: &Platform,
        version: Option<String>,
        source: State,
        _unused: &str,
        (left, right): (u8, u8),
        r#type: char,
    ) -> State {
        assert!(slim && !quiet && left < right && version.is_some() && source.is_scratch());
        base.run(args([
            text,
            &number.to_string(),
            &path.display().to_string(),
            &platform.to_string(),
        ]))
        .run(args([r#type.to_string()]))
    }
    let platform = Platform::LINUX_ARM64;
    let layer = all(
        "a b",
        7,
        true,
        false,
        PathBuf::from("/x"),
        &platform,
        Some("3.12".to_owned()),
        scratch(),
        "unused",
        (1, 2),
        't',
    );
    assert_eq!(
        groups(&scratch().layer(layer))[0],
        "all(a b, 7, slim, /x, linux/arm64, 3.12, t)"
    );
}

#[test]
fn skipped_arguments_stay_out_of_the_whole_definition() {
    #[layer]
    fn login(base: State, user: &str, #[layer(skip)] token: &str) -> State {
        assert_eq!(token, "hunter2");
        base.run(args(["login", user]))
    }
    let state = scratch().layer(login("me", "hunter2"));
    assert_eq!(groups(&state), ["login(me)"]);
    let bytes = state
        .marshal(&MarshalOptions::linux_amd64())
        .unwrap()
        .to_bytes();
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn names_can_be_written() {
    #[layer(name = "install {packages:?} {{{level:>3}}}", crate = llb)]
    fn install(base: State, packages: &[&str], level: u8) -> State {
        assert_eq!(level, 2);
        base.run(args(packages.iter().copied()))
    }
    let state = scratch().layer(install(&["a"], 2));
    assert_eq!(groups(&state), [r#"install ["a"] {  2}"#]);
}

#[test]
fn generics_lifetimes_and_attributes_stay() {
    struct Index<'a, T>(&'a [T]);

    #[layer]
    #[inline]
    fn copy_all<'a, T, F>(
        mut base: State,
        index: Index<'a, T>,
        show: F,
        count: impl Into<usize>,
    ) -> State
    where
        T: Display,
        F: Fn(&'a T) -> String,
    {
        for item in index.0.iter().take(count.into()) {
            base = base.run(args([show(item)]));
        }
        return base;
    }
    let items = [1, 2, 3];
    let layer = copy_all(Index(&items), |item| format!("{item}"), 2_usize);
    assert_eq!(groups(&scratch().layer(layer)), ["copy_all", "copy_all"]);
}

#[test]
fn an_error_is_reported_at_the_call_and_does_not_break_the_chain() {
    #[layer]
    fn locale(base: State, name: &str) -> Result<State, std::num::ParseIntError> {
        let number: u8 = name.parse()?;
        Ok(base.env("N", number.to_string()))
    }
    let (line, failing) = (line!(), locale("x"));
    let state = image("debian").layer(failing).run(args::<&str>([]));
    let state = state.layer(locale("1"));
    assert_eq!(state.environment().get("N"), Some("1"));
    let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    let [second, first] = error.problems() else {
        panic!("expected two problems, found {error}");
    };
    assert_eq!(first.kind(), llb::ErrorKind::Layer);
    assert_eq!(
        first.message(),
        "the layer \"locale(x)\" failed: invalid digit found in string"
    );
    let location = first.location().unwrap();
    assert!(location.file().ends_with("layer.rs"));
    assert_eq!(location.line(), line);
    assert_eq!(second.kind(), llb::ErrorKind::Exec);
}

#[test]
fn layers_compose() {
    #[expect(clippy::needless_pass_by_value, reason = "the shape of a layer")]
    fn plain(base: State) -> State {
        base.run(sh("plain"))
    }
    let state = scratch().layer(
        layer::sequence((plain, apt(&["a"]), layer::when(false, plain)))
            .then(|state| state.run(sh("then")))
            .then(layer::for_each(vec!["b", "c"], |name| {
                layer::named(name, plain)
            }))
            .named("outer"),
    );
    assert_eq!(groups(&state), ["outer", "apt(a)", "outer", "b", "c"]);
}

#[test]
fn functions_that_fail_are_layers_like_others() {
    #[expect(clippy::needless_pass_by_value, reason = "the shape of a layer")]
    fn locale(base: State) -> Result<State, std::num::ParseIntError> {
        let number: u8 = "x".parse()?;
        Ok(base.env("N", number.to_string()))
    }
    #[expect(
        clippy::needless_pass_by_value,
        clippy::unnecessary_wraps,
        reason = "the shape of a layer"
    )]
    fn good(base: State) -> Result<State, String> {
        Ok(base.run(sh("good")))
    }
    let base = image("debian");
    assert_eq!(
        base.layer(good).to_text(),
        base.run(sh("good")).to_text(),
        "what succeeds is as if it could not fail"
    );
    let parts = [
        base.layer(locale),
        base.squash(locale),
        base.merge([base.fork(locale), base.fork(good)]),
        base.layer(locale.then(good)),
        base.layer(layer::when(true, locale)),
        base.layer(layer::for_each([()], |()| locale)),
        base.layer(layer::sequence((good, locale))),
        base.layer(layer::named("n", locale)),
    ];
    for (position, state) in parts.iter().enumerate() {
        let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
        let [problem] = error.problems() else {
            panic!("{position}: one problem, not {error}");
        };
        let message = problem.message();
        assert!(
            message.ends_with(" failed: invalid digit found in string"),
            "{position}: {message}"
        );
    }
    // What stands behind a layer that failed is still there.
    let after = base
        .layer(locale.then(good))
        .layer(|state| state.env("A", "1"));
    assert_eq!(after.image_config().env["A"], "1");
}

#[test]
fn a_layer_is_put_on_every_platform() {
    use llb::{Platforms, platform};

    let platforms = [platform!("linux/amd64"), platform!("linux/arm64")];
    let images = image("debian").on_platforms(platforms.clone(), |base, platform| {
        let state = base.layer(apt(&["git"]));
        match &*platform.architecture {
            "arm64" => Err("no package for it"),
            _ => Ok(state),
        }
    });
    assert_eq!(groups(images.get(&platforms[0]).unwrap()), ["apt(git)"]);
    let error = images.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    assert_eq!(
        error.problems()[0].message(),
        "a layer failed: no package for it"
    );

    let images =
        image("debian").on_platforms(platforms.clone(), |base, _| base.squash(apt(&["git"])));
    let definitions = images.marshal(&MarshalOptions::linux_amd64()).unwrap();
    for ((platform, definition), wanted) in definitions.iter().zip(&platforms) {
        assert_eq!(platform, wanted);
        let by_hand = image("debian").squash(apt(&["git"]));
        let by_hand = by_hand.marshal(&MarshalOptions::new(wanted.clone()));
        assert_eq!(*definition, by_hand.unwrap());
    }
    assert_ne!(definitions[0].1.head(), definitions[1].1.head());

    let twice: Platforms = [platform!("linux/arm64"), platform!("linux/arm64/v8")]
        .map(|platform| (platform, image("debian")))
        .into_iter()
        .collect();
    let error = twice.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    assert!(error.to_string().contains("is there twice"), "{error}");
}
