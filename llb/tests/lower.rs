//! Graphs before and after a lowering, and what it reports.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use llb::lower::{Effect, Helper, Policy, Replacement};
use llb::prelude::*;
use llb::value::{Capability, CapabilitySet, Platform};

/// An engine without these.
fn without(missing: &[Capability]) -> CapabilitySet {
    CapabilitySet::all().difference(missing.iter().copied().collect())
}

/// A Docker engine without the containerd image store.
fn old() -> CapabilitySet {
    without(&[Capability::MergeOp, Capability::DiffOp])
}

fn helper() -> Policy {
    let image = image("registry.example/llb-helper:1");
    Policy::new().helper(Helper::from_state(&image, "/llb-helper", Platform::LINUX_AMD64).unwrap())
}

/// The lowered graph and the report, as text.
fn lowered(state: &State, policy: &Policy) -> String {
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let lowered = match definition.lower(old(), policy) {
        Ok(lowered) => lowered,
        Err(error) => return format!("refused: {error}\n"),
    };
    assert!(
        lowered
            .definition
            .required_caps()
            .difference(old())
            .is_empty()
    );
    // What was lowered is a definition like any other.
    let bytes = lowered.definition.to_bytes();
    assert_eq!(Definition::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    assert_eq!(
        lowered.definition.lower(old(), policy).unwrap().definition,
        lowered.definition
    );
    // And it is the same for a graph that was read, and every time.
    let read = Definition::from_bytes(&definition.to_bytes()).unwrap();
    assert_eq!(
        read.lower(old(), policy).unwrap().definition,
        lowered.definition
    );
    let report = lowered
        .report
        .iter()
        .map(|lowering| format!("{lowering}\n"));
    report.chain([lowered.definition.to_text()]).collect()
}

fn reasons(state: &State, policy: &Policy) -> Vec<(Replacement, Effect, String)> {
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let report = definition.lower(old(), policy).unwrap().report;
    let reasons = report.into_iter();
    reasons
        .map(|lowering| (lowering.to, lowering.effect, lowering.reason))
        .collect()
}

fn refusal(state: &State) -> String {
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    definition
        .lower(old(), &Policy::new())
        .unwrap_err()
        .to_string()
}

/// A base without links.
fn plain() -> State {
    scratch().mkdir("/a", 0o755).mkdir("/b", 0o755)
}

#[test]
fn an_engine_that_has_everything_gets_the_graph_as_it_is() {
    let base = image("debian");
    let state = base.merge(["x", "y"].map(|name| base.fork(|state| state.run(sh(name)))));
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let lowered = definition
        .lower(CapabilitySet::all(), &Policy::new())
        .unwrap();
    assert!(lowered.report.is_empty());
    assert_eq!(lowered.definition.to_bytes(), definition.to_bytes());
}

#[test]
fn file_actions_that_never_meet_become_a_chain() {
    let base = plain();
    let one = base.fork(|state| state.mkfile("/a/one", 0o644, "1").mkdir("/c", 0o700));
    let two = base.fork(|state| state.mkfile("/b/two", 0o644, "2"));
    insta::assert_snapshot!(lowered(&base.merge([one, two]), &Policy::new()), @r#"
    %merge-mkdir-b: mergeop -> chain: the same files (file actions and declared paths that never meet)
    %mkdir-a = file {
      mkdir "/a" 0755
    }
    %mkdir-b = file {
      on %mkdir-a
      mkdir "/b" 0755
    }
    %mkfile-one = file {
      on %mkdir-b
      mkfile "/a/one" 0644 "1"
    }
    %mkdir-c = file {
      on %mkfile-one
      mkdir "/c" 0700
    }
    %mkfile-two = file {
      on %mkdir-c
      mkfile "/b/two" 0644 "2"
    }
    return %mkfile-two
    "#);
}

#[test]
fn commands_are_applied_step_by_step() {
    let base = image("debian");
    let one = base.fork(|state| state.run(sh("one")));
    let two = base.fork(|state| state.run(sh("two")).run(sh("two again")));
    let three = base.fork(|state| state.mkfile("/three", 0o644, "3"));
    let state = base.joining([one, two, three]).name("all").state();
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %all: mergeop -> apply: the same files (2 execs apply what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %two = exec "/bin/sh" "-c" "two" cwd=/ {
      / = %debian -> out0
    }
    %two-again = exec "/bin/sh" "-c" "two again" cwd=/ {
      / = %two -> out0
    }
    %all = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" "/state/1" "/state/2" cwd=/ network=none name="all" {
      / = %llb-helper content-cache=off readonly
      /target = %one content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %two content-cache=off readonly
      /state/2 = %two-again content-cache=off readonly
    }
    %mkfile-three = file {
      on %debian
      mkfile "/three" 0644 "3"
    }
    %all-2 = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="all" {
      / = %llb-helper content-cache=off readonly
      /target = %all content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %mkfile-three content-cache=off readonly
    }
    return %all-2
    "#);
}

#[test]
fn without_a_helper_commands_are_refused_with_the_ways_out() {
    let base = image("debian");
    let state = base.merge(["one", "two"].map(|name| base.fork(|state| state.run(sh(name)))));
    insta::assert_snapshot!(lowered(&state, &Policy::new()), @r#"
    refused: the engine has no mergeop or no diffop, and nothing can take the place of the merge `%merge-debian`: the command `%two` may read and write anything
      hint: build with an engine that has them (a Docker engine with the containerd image store, or buildkitd); or give the build an `llb::lower::Helper`, which makes the same files; or declare what each fork writes (`Fork::writes`), if none depends on another; or allow `Policy::chain_with_warning`
    "#);
}

#[test]
fn a_chain_of_commands_is_a_warning_and_only_by_policy() {
    let base = image("debian");
    let state = base.merge(["one", "two"].map(|name| base.fork(|state| state.run(sh(name)))));
    insta::assert_snapshot!(lowered(&state, &Policy::new().chain_with_warning()), @r#"
    %merge-debian: mergeop -> chain: the files may differ (later inputs run on top of earlier ones: the command `%two` may read and write anything)
    platform linux/amd64
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %two = exec "/bin/sh" "-c" "two" cwd=/ {
      / = %one -> out0
    }
    return %two
    "#);
}

#[test]
fn declared_forks_are_a_chain() {
    let base = image("debian");
    let one = base
        .fork(|state| state.run(sh("install one")))
        .writes(["/opt/one"]);
    let two = base
        .fork(|state| state.run(sh("install two")))
        .writes(["/opt/two"]);
    let state = base.merge([one.clone(), two.clone()]);
    insta::assert_snapshot!(lowered(&state, &Policy::new()), @r#"
    %merge-debian: mergeop -> chain: the same files (file actions and declared paths that never meet)
    platform linux/amd64
    %debian = source "docker-image://docker.io/library/debian:latest"
    %install-one = exec "/bin/sh" "-c" "install one" cwd=/ {
      / = %debian -> out0
    }
    %install-two = exec "/bin/sh" "-c" "install two" cwd=/ {
      / = %install-one -> out0
    }
    return %install-two
    "#);
    // A declaration changes no digest.
    let plain = |fork: &Fork| base.fork(|_| fork.state().clone());
    let undeclared = base.merge([plain(&one), plain(&two)]);
    let options = MarshalOptions::linux_amd64();
    assert_eq!(
        state.marshal(&options).unwrap().head(),
        undeclared.marshal(&options).unwrap().head()
    );
    // One that says nothing spoils it.
    let silent = base.fork(|state| state.run(sh("silent")));
    let why = refusal(&base.merge([one.clone(), two.clone(), silent]));
    assert!(
        why.contains("the command `%silent` may read and write anything"),
        "{why}"
    );
    // One that reads what another writes depends on it.
    let reads = base
        .fork(|state| state.run(sh("index")))
        .writes(["/index"])
        .reads(["/opt"]);
    let why = refusal(&base.merge([one, reads]));
    assert!(
        why.contains("\"/opt\" of `%index` meets \"/opt/one\" of `%install-one`"),
        "{why}"
    );
}

#[test]
fn what_may_meet_is_no_chain() {
    let base = plain();
    let add = |path: &str| base.fork(|state| state.mkfile(path, 0o644, ""));
    for (state, part) in [
        // Two forks that make the same directory on the way.
        (
            base.merge([
                base.fork(|state| state.file(mkdir("/c/one", 0o755).parents())),
                base.fork(|state| state.file(mkdir("/c/two", 0o755).parents())),
            ]),
            "\"/c\" of `%mkdir-two` meets \"/c\" of `%mkdir-one`",
        ),
        (
            base.merge([
                add("/a/x"),
                base.fork(|state| state.file(rm("/b/*").allow_wildcard())),
            ]),
            "`%rm` removes by pattern",
        ),
        (
            base.merge([
                add("/a/x"),
                base.fork(|state| state.file(rm("/b").allow_not_found())),
            ]),
            "`%rm-b` removes a path that need not be there",
        ),
        (
            base.merge([
                add("/a/x"),
                base.fork(|state| state.copy(state.clone(), "/a", "/c")),
            ]),
            "copies from the state that it changes",
        ),
        // Below an image, two names may be one path.
        (
            {
                let base = image("debian");
                let add = |path: &str| base.fork(|state| state.mkfile(path, 0o644, ""));
                base.merge([add("/lib/x"), add("/usr/y")])
            },
            "may have links",
        ),
        (
            {
                let base = plain().symlink("/a", "/link");
                let add = |path: &str| base.fork(|state| state.mkfile(path, 0o644, ""));
                base.merge([add("/a/x"), add("/b/y")])
            },
            "may have links",
        ),
    ] {
        let why = refusal(&state);
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn a_helper_of_bytes_travels_in_the_graph() {
    let helper = Helper::from_bytes(Helper::example_bytes()).unwrap();
    let base = image("debian");
    let state = base.merge(["one", "two"].map(|name| base.fork(|state| state.run(sh(name)))));
    let text = lowered(&state, &Policy::new().helper(helper));
    assert!(text.contains("%carry-llb-helper = file name=\"carry llb-helper\" {\n  mkfile \"/llb-helper\" 0755 created=0 \"\\u{7f}ELF"), "{text}");
}

#[test]
fn one_fork_needs_nothing_in_its_place() {
    let base = image("debian");
    let fork = base.run(sh("one")).run(sh("again"));
    let state = merge([base.clone(), diff(&base, &fork)]);
    insta::assert_snapshot!(lowered(&state, &Policy::new()), @r#"
    %merge-debian: mergeop -> a state of the graph: the same files (another state is made of the same layers)
    platform linux/amd64
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %again = exec "/bin/sh" "-c" "again" cwd=/ {
      / = %one -> out0
    }
    return %again
    "#);
}

#[test]
fn merges_share_what_they_have_in_common() {
    let base = image("debian");
    let [one, two, three] =
        ["one", "two", "three"].map(|name| base.fork(|state| state.run(sh(name))));
    let small = base.merge([one.clone(), two.clone()]);
    let large = base.merge([one, two, three]);
    let state = scratch()
        .copy(small, "/etc", "/small")
        .copy(large, "/etc", "/large");
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %merge-debian: mergeop -> apply: the same files (one exec applies what later inputs changed)
    %merge-debian-2: mergeop -> apply: the same files (one exec applies what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %two = exec "/bin/sh" "-c" "two" cwd=/ {
      / = %debian -> out0
    }
    %merge-debian-differences-applied = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="merge-debian (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %one content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %two content-cache=off readonly
    }
    %copy-etc = file {
      copy %merge-debian-differences-applied "/etc" => "/small" contents-only create-destination
    }
    %three = exec "/bin/sh" "-c" "three" cwd=/ {
      / = %debian -> out0
    }
    %merge-debian-2-differences-applied = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="merge-debian-2 (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %merge-debian-differences-applied content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %three content-cache=off readonly
    }
    %copy-etc-2 = file {
      on %copy-etc
      copy %merge-debian-2-differences-applied "/etc" => "/large" contents-only create-destination
    }
    return %copy-etc-2
    "#);
}

#[test]
fn whole_states_and_differences_of_anything_are_applied() {
    let tools = scratch().mkdir("/tools", 0o755);
    let (old, new) = (image("debian:12"), image("debian:13"));
    let state = merge([local("context").state(), tools, diff(&old, &new)]);
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %merge-context: mergeop -> apply: the same files (2 execs apply what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %context = local "context"
    %mkdir-tools = file {
      mkdir "/tools" 0755
    }
    %merge-context-differences-applied = exec "/llb-helper" "apply" "/target" "-" "/state/0" cwd=/ network=none name="merge-context (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %context content-cache=off -> out0
      /state/0 = %mkdir-tools content-cache=off readonly
    }
    %debian = source "docker-image://docker.io/library/debian:12"
    %debian-2 = source "docker-image://docker.io/library/debian:13"
    %merge-context-differences-applied-2 = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="merge-context (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %merge-context-differences-applied content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %debian-2 content-cache=off readonly
    }
    return %merge-context-differences-applied-2
    "#);
    assert_eq!(
        refusal(&merge([image("debian"), image("alpine")]))
            .lines()
            .next()
            .unwrap(),
        "the engine has no mergeop or no diffop, and nothing can take the place of the merge `%merge-debian`: what is in `%alpine` is not in the graph"
    );
    let [(to, effect, reason)] =
        &reasons(&merge([image("debian"), image("alpine")]), &helper())[..]
    else {
        panic!("one merge")
    };
    assert_eq!((*to, *effect), (Replacement::Apply, Effect::MayDiffer));
    assert!(
        reason.ends_with("deletions inside `%alpine` act on nothing before them"),
        "{reason}"
    );
}

#[test]
fn a_difference_alone_is_applied_to_nothing() {
    let base = image("debian");
    let state = diff(&base, base.run(sh("one")));
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %diff-one: diffop -> apply: the same files (one exec applies what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %diff-one-differences-applied = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="diff-one (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = scratch content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %one content-cache=off readonly
    }
    return %diff-one-differences-applied
    "#);
    let why = refusal(&state);
    assert!(
        why.contains("nothing can take the place of the diff `%diff-one`"),
        "{why}"
    );
}

#[test]
fn a_squash_is_one_layer_with_a_helper_and_its_steps_without() {
    let state = image("debian").squash(|state| state.run(sh("one")).rm("/tmp/one"));
    insta::assert_snapshot!(lowered(&state, &Policy::new()), @r#"
    %merge-debian: mergeop -> chain: the same files in other layers (steps of a squash keep a layer each)
    platform linux/amd64
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %rm-one = file {
      on %one
      rm "/tmp/one"
    }
    return %rm-one
    "#);
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %merge-debian: mergeop -> apply: the same files (one exec applies what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %debian = source "docker-image://docker.io/library/debian:latest"
    %mkdir = file {
      on %debian
      mkdir "/" 0755
    }
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %rm-one = file {
      on %one
      rm "/tmp/one"
    }
    %merge-debian-differences-applied = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="merge-debian (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %debian content-cache=off -> out0
      /state/0 = %mkdir content-cache=off readonly
      /state/1 = %rm-one content-cache=off readonly
    }
    return %merge-debian-differences-applied
    "#);
}

#[test]
fn a_command_whose_result_is_used_elsewhere_does_not_run_twice() {
    let base = image("debian");
    let one = base.fork(|state| state.run(sh("one"))).writes(["/one"]);
    let two = base.fork(|state| state.run(sh("two"))).writes(["/two"]);
    let merged = base
        .merge([one, two.clone()])
        .copy(two.state(), "/two", "/copy");
    let why = refusal(&merged);
    assert!(
        why.contains("the command `%two` has a result that is used elsewhere, and would run twice"),
        "{why}"
    );
}

#[test]
fn forks_within_a_budget_are_a_chain_where_they_declare_all() {
    let base = image("python");
    let forks = ["one", "two", "three", "four"].map(|name| {
        let fork = base.fork(|state| state.run(sh(format!("install {name}"))));
        fork.named(name).writes([format!("/opt/{name}")])
    });
    let state = base.merge_within(2, forks);
    for (to, effect, reason) in reasons(&state, &Policy::new()) {
        assert_ne!(effect, Effect::MayDiffer, "{to}: {reason}");
    }
    for (to, effect, reason) in reasons(&state, &helper()) {
        assert_eq!(effect, Effect::Same, "{to}: {reason}");
    }
}

#[test]
fn steps_after_a_merge_go_on_from_what_took_its_place() {
    let base = image("debian");
    let forks = ["one", "two"].map(|name| base.fork(|state| state.run(sh(name))));
    let state = base
        .merge(forks)
        .run(sh("after").mount(bind("/base", &base).readonly()));
    insta::assert_snapshot!(lowered(&state, &helper()), @r#"
    %merge-debian: mergeop -> apply: the same files (one exec applies what later inputs changed)
    platform linux/amd64
    %llb-helper = source "docker-image://registry.example/llb-helper:1"
    %debian = source "docker-image://docker.io/library/debian:latest"
    %one = exec "/bin/sh" "-c" "one" cwd=/ {
      / = %debian -> out0
    }
    %two = exec "/bin/sh" "-c" "two" cwd=/ {
      / = %debian -> out0
    }
    %merge-debian-differences-applied = exec "/llb-helper" "apply" "/target" "/state/0" "/state/1" cwd=/ network=none name="merge-debian (differences applied)" {
      / = %llb-helper content-cache=off readonly
      /target = %one content-cache=off -> out0
      /state/0 = %debian content-cache=off readonly
      /state/1 = %two content-cache=off readonly
    }
    %after = exec "/bin/sh" "-c" "after" cwd=/ {
      / = %merge-debian-differences-applied -> out0
      /base = %debian readonly
    }
    return %after
    "#);
}

#[test]
fn a_lowered_graph_can_be_built_on() {
    let base = plain();
    let forks = ["/a/x", "/b/y"].map(|path| base.fork(|state| state.mkfile(path, 0o644, "")));
    let options = MarshalOptions::linux_amd64();
    let lowered = base
        .merge(forks)
        .marshal(&options)
        .unwrap()
        .lower(old(), &Policy::new())
        .unwrap();
    let further = lowered
        .definition
        .state()
        .mkdir("/further", 0o755)
        .marshal(&options)
        .unwrap();
    assert!(further.required_caps().difference(old()).is_empty());
}

#[test]
fn settings_that_change_no_files_are_left_out_with_a_notice() {
    let state = image("debian").run(
        sh("make")
            .memory_limit(1 << 30)
            .cgroup_parent("builds")
            .mount(tmpfs("/tmp").size(1 << 20)),
    );
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let caps = without(&[
        Capability::ExecMetaLinuxResources,
        Capability::ExecMetaCgroupParent,
        Capability::ExecMountTmpfsSize,
    ]);
    let lowered = definition.lower(caps, &Policy::new()).unwrap();
    let report: Vec<String> = lowered.report.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(report.join("\n"), @r#"
    %make: exec.meta.cgroup.parent -> left out: the same files (the command runs under the engine's own cgroup)
    %make: exec.meta.linux.resources -> left out: the same files (the command runs without limits)
    %make: exec.mount.tmpfs.size -> left out: the same files (the engine chooses the size of the mount)
    "#);
    assert!(!lowered.definition.needs_lowering(caps));
    assert!(!lowered.definition.to_text().contains("builds"));
}

#[test]
fn what_an_old_engine_would_ignore_is_refused() {
    let link = image("debian").symlink("/usr/bin/vim", "/usr/bin/vi");
    let required =
        image("debian").file(copy(local("context"), "/", "/src").required_paths(["/main.rs"]));
    let mode = image("debian").file(copy(local("context"), "/", "/src").chmod("u+x"));
    for (state, missing) in [
        (link, Capability::FileSymlinkCreate),
        (required, Capability::FileCopyRequiredPaths),
        (mode, Capability::FileCopyModeString),
    ] {
        let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
        let error = definition
            .lower(without(&[missing]), &Policy::new())
            .unwrap_err();
        let [problem] = error.problems() else {
            panic!("one problem: {error}")
        };
        let start = format!("the engine has no {missing}, which `%");
        assert!(problem.message().starts_with(&start), "{error}");
        assert!(problem.help().is_some());
    }
}

#[test]
fn all_refusals_come_at_once() {
    let base = image("debian");
    let forks = |names: [&str; 2]| names.map(|name| base.fork(|state| state.run(sh(name))));
    let (left, right) = (
        base.merge(forks(["one", "two"])),
        base.merge(forks(["three", "four"])),
    );
    let state = scratch()
        .copy(left, "/", "/left")
        .copy(right, "/", "/right");
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    assert_eq!(
        definition
            .lower(old(), &Policy::new())
            .unwrap_err()
            .problems()
            .len(),
        2
    );
    // What the result does not need is not asked for.
    let unused = image("alpine").run(sh("true"));
    let definition = unused.marshal(&MarshalOptions::linux_amd64()).unwrap();
    assert!(
        definition
            .lower(old(), &Policy::new())
            .unwrap()
            .report
            .is_empty()
    );
}

#[test]
fn layers_without_number_are_refused() {
    let mut state = scratch().mkdir("/a", 0o755).mkdir("/b", 0o755);
    for _ in 0..64 {
        state = merge([state.clone(), state]);
    }
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let error = definition.lower(old(), &helper()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than a hundred thousand layers"),
        "{error}"
    );
}

#[test]
fn depth_costs_no_stack() {
    let base = plain();
    let long = (0..5_000).fold(base.clone(), |state, step| {
        state.mkfile(format!("/a/{step}"), 0o644, "")
    });
    let other = base.mkfile("/b/x", 0o644, "");
    let mut state = merge([base.clone(), diff(&base, &other), diff(&base, &long)]);
    for step in 0..50 {
        state = merge([state, scratch().mkdir(format!("/{step}"), 0o755)]);
    }
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let small_stack = std::thread::Builder::new().stack_size(256 << 10);
    let thread = small_stack.spawn(move || {
        let lowered = definition.lower(old(), &Policy::new()).unwrap();
        lowered.report.len()
    });
    assert_eq!(thread.unwrap().join().unwrap(), 51);
}
