//! What is different between two graphs, and what is no difference.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use llb::inspect::{Change, ChangeKind, Changes};
use llb::prelude::*;
use llb::{ProxyEnv, Range, SourceMap};

fn definition(state: &State) -> Definition {
    state.marshal(&MarshalOptions::linux_amd64()).unwrap()
}

fn changes(before: &State, after: &State) -> Changes {
    definition(after).changes_since(&definition(before))
}

fn names(changes: &Changes, kind: ChangeKind) -> Vec<&str> {
    let of_kind = changes.iter().filter(|change| change.kind == kind);
    of_kind.map(|change| change.name.as_str()).collect()
}

#[test]
fn what_is_outside_of_cache_keys_is_no_difference() {
    let graph = |name: &str, proxy: &str, id: &str, line| {
        let file = SourceMap::new("app.toml", "toml", "");
        let proxy = ProxyEnv {
            http_proxy: proxy.into(),
            ..ProxyEnv::default()
        };
        let exec = args(["make"])
            .proxy(proxy)
            .mount(cache("/cache", id))
            .location(file.location([Range::lines(line, line)]))
            .name(name);
        image("debian").run(exec)
    };
    let changes = changes(&graph("one", "a", "x", 1), &graph("two", "b", "y", 9));
    assert!(changes.is_empty(), "{changes}");
    assert_eq!(changes.same(), 2);
}

#[test]
fn a_step_in_the_middle_is_the_only_cause() {
    let graph = |middle: &[&str]| {
        let base = image("debian").run(args(["first"]).name("first"));
        let middle = middle.iter().fold(base, |state, command| {
            state.run(args([*command]).name(format!("step {command}")))
        });
        middle.run(args(["last"]).name("last"))
    };
    let added = changes(&graph(&[]), &graph(&["a"]));
    assert_eq!(names(&added, ChangeKind::Added), ["step-a"]);
    let removed = changes(&graph(&["a"]), &graph(&[]));
    assert_eq!(names(&removed, ChangeKind::Removed), ["step-a"]);
    // What goes on from another step says so.
    assert_eq!(names(&removed, ChangeKind::Changed), ["last"]);
    assert_eq!(added.same(), 2);
}

#[test]
fn an_argument_is_told_and_what_reads_it_follows() {
    let graph = |word: &str| {
        let tool = image("golang").run(args(["build", word]).name("tool"));
        let other = image("debian").run(args(["other"]).name("other"));
        let used = args(["use"])
            .mount(bind("/tool", tool).readonly())
            .name("use");
        merge([other.run(used), image("alpine")])
    };
    let changes = changes(&graph("old"), &graph("new"));
    let causes: Vec<&Change> = changes.causes().collect();
    assert_eq!(causes.len(), 1, "{changes}");
    assert_eq!(
        (&*causes[0].before, &*causes[0].after),
        (&["\"old\"".to_owned()][..], &["\"new\"".to_owned()][..])
    );
    let follow: Vec<_> = changes.following("tool").collect();
    assert_eq!(follow[0].name, "use");
    // A mount that is only read is compared by its files.
    assert!(follow[0].by_content);
    assert_eq!(follow.len(), 2);
    assert!(!follow[1].by_content);
    assert!(
        changes
            .to_string()
            .contains("runs again: use (if its files differ), merge-"),
        "{changes}"
    );
}

#[test]
fn a_step_that_is_named_by_what_it_does_is_known_again() {
    let graph = |packages: &[&str]| {
        let words = ["apt-get", "install", "-y", "--no-install-recommends"];
        let exec = args(words.iter().chain(packages).copied());
        image("debian").run(exec.name(format!("apt: {}", packages.join(" "))))
    };
    let changes = changes(&graph(&["git"]), &graph(&["curl", "git"]));
    assert_eq!(names(&changes, ChangeKind::Changed), ["apt-curl-git"]);
    let cause = changes.causes().next().unwrap();
    assert_eq!(cause.after, ["\"curl\""], "{changes}");
    assert!(cause.before.is_empty());
}

#[test]
fn files_are_a_cause_where_they_are_told() {
    let graph = image("debian").copy(local("context").shared_key_hint("a"), "/", "/src");
    let other = image("debian").copy(local("context").shared_key_hint("b"), "/", "/src");
    let (before, after) = (definition(&graph), definition(&other));
    assert!(after.changes_since(&before).is_empty());
    let changes = after.changes_since_with(&before, |name| {
        (name == "context").then(|| vec!["changed run.py".to_owned()])
    });
    assert_eq!(names(&changes, ChangeKind::Touched), ["context"]);
    assert_eq!(names(&changes, ChangeKind::Follows).len(), 1);
}

#[test]
fn nothing_is_compared_with_anything() {
    let graph = image("debian").run(sh("make"));
    let all = changes(&scratch(), &graph);
    assert_eq!(names(&all, ChangeKind::Added).len(), 2);
    assert!(
        changes(&graph, &scratch())
            .iter()
            .all(|change| change.kind == ChangeKind::Removed)
    );
    assert!(changes(&scratch(), &scratch()).is_empty());
}
