//! States with what travels along, and forks that come together again.

use llb::prelude::*;
use llb::value::Platform;
use llb::{ErrorKind, Healthcheck};

fn base() -> State {
    image("debian")
        .env("PATH", "/usr/bin:/bin")
        .env("KEEP", "1")
        .expose("80")
}

fn options() -> MarshalOptions {
    MarshalOptions::linux_amd64()
}

fn problems(state: &State) -> Vec<String> {
    let error = state
        .marshal(&options())
        .expect_err("a mistake is reported");
    let problems = error.problems().iter();
    problems
        .map(|problem| problem.message().to_owned())
        .collect()
}

fn image_env(state: &State) -> Vec<(&str, &str)> {
    let env = state.image_config().env.iter();
    env.map(|(name, value)| (&**name, &**value)).collect()
}

fn config_json(state: &State) -> String {
    String::from_utf8(state.image_config().to_json(&Platform::LINUX_AMD64)).expect("JSON is UTF-8")
}

fn with_config(json: &str) -> State {
    image("debian")
        .with_image_config(json.as_bytes())
        .expect("a valid config")
}

fn words(list: Option<&Vec<String>>) -> Option<String> {
    list.map(|words| words.join(" "))
}

mod values_of_a_state {
    use super::*;

    // S1
    #[test]
    fn every_state_has_values_without_asking() {
        for state in [scratch(), image("debian"), local("context").state()] {
            assert!(state.image_config().env.is_empty());
            assert_eq!(
                state.env("A", "1").label("l", "1").image_config().labels["l"],
                "1"
            );
        }
    }

    // S2
    #[test]
    fn a_change_in_a_layer_is_seen_by_no_other_state() {
        let base = base();
        let before = base.image_config().clone();
        let left = base.layer(|state| state.env("A", "left").label("l", "1").prepend_path("/l"));
        let right = base.layer(|state| state.env("A", "right"));
        assert_eq!(*base.image_config(), before);
        assert_eq!(base.environment().get("A"), None);
        assert_eq!(left.image_config().env["A"], "left");
        assert_eq!(right.image_config().env["A"], "right");
        assert!(!right.image_config().labels.contains_key("l"));
    }

    // S6
    #[test]
    fn path_is_an_ordinary_variable_and_stands_once() {
        let state = image("debian")
            .env("PATH", "/bin")
            .prepend_path("/venv/bin");
        assert_eq!(image_env(&state), [("PATH", "/venv/bin:/bin")]);
        assert_eq!(image_env(&state.env("PATH", "/only")), [("PATH", "/only")]);
        assert_eq!(image_env(&state.unset_env("PATH")), []);
    }

    // S7
    #[test]
    fn path_takes_entries_before_and_behind_and_begins_with_the_default() {
        let state = base().prepend_path("/a").append_path("/z");
        assert_eq!(state.environment().get("PATH"), Some("/a:/usr/bin:/bin:/z"));
        let default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let unset = image("debian").append_path("/z");
        assert_eq!(image_env(&unset), [("PATH", &*format!("{default}:/z"))]);
    }

    // S8
    #[test]
    fn labels_are_kept_in_order_and_the_last_value_counts() {
        let state = image("debian")
            .label("b", "1")
            .label("a", "1")
            .label("b", "2");
        assert!(config_json(&state).contains(r#""Labels":{"b":"2","a":"1"}"#));
    }

    // S9
    #[test]
    fn execs_get_environment_and_directory_of_the_base_image() {
        let state = with_config(r#"{"config":{"Env":["A=1"],"WorkingDir":"/src"}}"#);
        let text = state.build_env("B", "2").run(args(["make"])).to_text();
        for part in ["cwd=/src", r#"env A="1""#, r#"env B="2""#] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    // S9
    #[test]
    fn execs_run_as_the_user_of_the_base_image_where_the_graph_says_so() {
        let base = with_config(r#"{"config":{"User":"app"}}"#);
        let make = |state: &State| state.run(args(["make"])).to_text();
        assert!(!make(&base).contains("user="), "as in client/llb");
        assert!(make(&base.adopt_image_user()).contains("user=app"));
        assert_eq!(
            base.adopt_image_user().image_config(),
            base.image_config(),
            "the image keeps its user"
        );
        let root = image("debian").user("root").adopt_image_user();
        assert_eq!(root.current_user(), Some("root"), "there is no image user");
        let deferred = base.deferred(|base, _| base.image_user("late"));
        let adopted = deferred.adopt_image_user().resolve(&options());
        assert_eq!(adopted.current_user(), Some("late"));
    }

    // S9
    #[test]
    fn a_variable_is_for_the_build_or_the_image_or_both() {
        let state = image("debian")
            .build_env("B", "1")
            .image_env("I", "2")
            .env("A", "3");
        assert_eq!(image_env(&state), [("I", "2"), ("A", "3")]);
        assert_eq!(state.environment().get("I"), None);
        assert_eq!(state.environment().get("B"), Some("1"));
    }

    // S10
    #[test]
    fn the_working_directory_of_the_image_is_not_that_of_the_build() {
        let state = image("debian").workdir("/src");
        assert_eq!(state.current_dir(), Some("/"));
        assert!(state.run(args(["make"])).to_text().contains("cwd=/ {"));
        assert_eq!(state.image_config().workdir.as_deref(), Some("/src"));
        assert_eq!(image("debian").dir("/work").image_config().workdir, None);
    }

    // S11
    #[test]
    fn variables_keep_the_order_of_the_base_and_then_of_setting() {
        let build = || {
            with_config(r#"{"config":{"Env":["Z=1","M=2","A=3"]}}"#)
                .env("B", "4")
                .env("M", "5")
        };
        assert_eq!(
            image_env(&build()),
            [("Z", "1"), ("M", "5"), ("A", "3"), ("B", "4")]
        );
        assert_eq!(config_json(&build()), config_json(&build()));
        assert!(!config_json(&image("debian")).contains("PATH"));
    }

    // S11
    #[test]
    fn fields_of_the_base_image_survive_a_build() {
        let json = r#"{"architecture":"amd64","os":"linux","config":{"Volumes":{"/data":{}},"StopSignal":"SIGINT","Healthcheck":{"Test":["CMD","true"]},"Shell":["/bin/bash","-c"],"OnBuild":["RUN x"],"NetworkDisabled":true}}"#;
        let base = with_config(json);
        let merged = base.merge([
            base.fork(|state| state.run(sh("a"))),
            base.fork(|state| state.run(sh("b"))),
        ]);
        assert_eq!(config_json(&merged), json);
    }

    // S12
    #[test]
    fn layers_are_left_to_the_exporter_and_history_of_the_base_stays() {
        let base = with_config(
            r#"{"author":"me","created":"2020-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":["sha256:x"]},"history":[{"created_by":"base"}]}"#,
        );
        let merged = base.merge([
            base.fork(|state| state.run(sh("a")).label("l", "1")),
            base.fork(|state| state.run(sh("b"))),
        ]);
        let json = config_json(&merged);
        assert!(!json.contains("rootfs"), "{json}");
        assert!(!json.contains("created\""), "{json}");
        assert_eq!(json.matches("created_by").count(), 1, "{json}");
        assert!(json.contains(r#""author":"me""#), "{json}");
    }
}

mod files_of_a_merge {
    use super::*;

    // S3
    #[test]
    fn a_fork_remembers_where_it_left() {
        let base = base();
        let fork = base.fork(|state| state.mkdir("/a", 0o755));
        assert_eq!(fork.base().to_text(), base.to_text());
        assert_eq!(fork.state().to_text(), base.mkdir("/a", 0o755).to_text());
    }

    // S4
    #[test]
    fn merging_nothing_gives_the_base() {
        let base = base();
        let merged = base.merge([]);
        assert_eq!(merged.to_text(), base.to_text());
        assert_eq!(merged.image_config(), base.image_config());
    }

    // S4
    #[test]
    fn merging_one_fork_needs_no_merge_op() {
        let base = base();
        let merged = base.merge([base.fork(|state| state.mkdir("/a", 0o755))]);
        assert_eq!(merged.to_text(), base.mkdir("/a", 0o755).to_text());
    }

    // S4
    #[test]
    fn forks_become_differences_over_the_base() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.mkdir("/a", 0o755)),
            base.fork(|state| state.mkdir("/b", 0o755)),
        ]);
        let by_hand = merge([
            base.clone(),
            diff(&base, base.mkdir("/a", 0o755)),
            diff(&base, base.mkdir("/b", 0o755)),
        ]);
        assert_eq!(merged.to_text(), by_hand.to_text());
    }

    // S4
    #[test]
    fn a_fork_of_an_earlier_state_removes_nothing_that_came_since() {
        let base = base();
        let fork = base.fork(|state| state.mkdir("/a", 0o755).env("A", "1"));
        let later = base.run(sh("since")).env("SINCE", "1").unset_env("KEEP");
        let merged = later.merge([fork.clone()]);
        let by_hand = merge([later.clone(), diff(&base, fork.state())]);
        assert_eq!(merged.to_text(), by_hand.to_text());
        assert_eq!(
            image_env(&merged),
            [("PATH", "/usr/bin:/bin"), ("SINCE", "1"), ("A", "1")]
        );
    }

    // S4
    #[test]
    fn a_change_since_an_earlier_fork_conflicts_with_the_fork() {
        let base = base();
        let fork = base.fork(|state| state.mkdir("/a", 0o755).env("KEEP", "2"));
        let found = problems(&base.run(sh("since")).env("KEEP", "3").merge([fork]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].ends_with("and the state that they are merged into"),
            "{found:?}"
        );
    }

    // S4
    #[test]
    fn unrelated_states_are_refused_and_told_of_the_other_call() {
        let fork = image("alpine").fork(|state| state.mkdir("/a", 0o755));
        let error = base().merge([fork]).marshal(&options()).unwrap_err();
        let [problem] = error.problems() else {
            panic!("{error}")
        };
        assert_eq!(problem.kind(), ErrorKind::Merge);
        assert!(
            problem
                .message()
                .starts_with("a fork can be merged only into the state")
        );
        assert!(
            problem.help().unwrap().contains("`llb::merge`"),
            "{problem}"
        );
        let explicit = merge([base(), image("alpine")]);
        assert_eq!(explicit.image_config(), base().image_config());
        explicit.marshal(&options()).unwrap();
    }

    // S4
    #[test]
    fn siblings_of_the_state_are_refused() {
        let base = base();
        let fork = base.run(sh("left")).fork(|state| state.mkdir("/a", 0o755));
        let found = problems(&base.run(sh("right")).merge([fork]));
        assert!(
            found[0].starts_with("a fork can be merged only into the state"),
            "{found:?}"
        );
    }

    // S5
    #[test]
    fn deletions_travel_and_the_later_fork_lies_on_top() {
        let base = base();
        let deletes = base.fork(|state| state.rm("/etc/motd"));
        let writes = base.fork(|state| state.run(sh("echo hi > /etc/motd")));
        let merged = base.merge([deletes.clone(), writes.clone()]);
        let by_hand = merge([
            base.clone(),
            diff(&base, deletes.state()),
            diff(&base, writes.state()),
        ]);
        assert_eq!(merged.to_text(), by_hand.to_text());
        let turned = base.merge([writes, deletes]);
        assert_ne!(merged.to_text(), turned.to_text());
    }

    #[test]
    fn a_mistake_in_a_fork_without_files_is_reported() {
        let base = base();
        let fails = |_: State| Err::<State, _>("no such version");
        let found = problems(&base.merge([
            base.fork(fails),
            base.fork(|state| state.mkdir("/a", 0o755)),
        ]));
        assert_eq!(found, ["a layer failed: no such version"]);
    }

    #[test]
    fn a_join_takes_options_of_the_op() {
        let base = base();
        let forks = ["/a", "/b"].map(|path| base.fork(|state| state.mkdir(path, 0o755)));
        let text = base.joining(forks).name("both").state().to_text();
        assert!(text.contains(r#"name="both""#), "{text}");
    }
}

mod forks_of_forks {
    use super::*;

    #[test]
    fn what_two_forks_share_is_merged_once() {
        let base = base();
        let shared = base.fork(|state| state.run(sh("shared")));
        let left = shared.fork(|state| state.run(sh("left")));
        let right = shared.fork(|state| state.run(sh("right")));
        let merged = base.merge([left.clone(), right.clone()]);
        let by_hand = merge([
            shared.state().clone(),
            diff(shared.state(), left.state()),
            diff(shared.state(), right.state()),
        ]);
        assert_eq!(merged.to_text(), by_hand.to_text());
        assert_eq!(
            shared.state().merge([left, right]).to_text(),
            by_hand.to_text(),
            "merging into the shared state is the same"
        );
    }

    #[test]
    fn a_fork_and_a_fork_of_it_are_one_branch_in_any_order() {
        let base = base();
        let first = base.fork(|state| state.run(sh("first")).env("A", "1"));
        let second = first.fork(|state| state.run(sh("second")).env("A", "2"));
        for forks in [
            [first.clone(), second.clone()],
            [second.clone(), first.clone()],
        ] {
            let merged = base.merge(forks);
            assert_eq!(merged.to_text(), second.state().to_text());
            assert_eq!(merged.image_config().env["A"], "2");
        }
    }

    #[test]
    fn conflicts_are_told_between_the_forks_that_differ() {
        let base = base();
        let shared = base.fork(|state| state.run(sh("shared")).env("A", "1"));
        let left = shared
            .fork(|state| state.run(sh("left")).env("A", "2"))
            .named("left");
        let right = shared.fork(|state| state.run(sh("right"))).named("right");
        let merged = base.merge([left.clone(), right]);
        assert_eq!(merged.image_config().env["A"], "2");
        let other = shared.fork(|state| state.env("A", "3")).named("other");
        let found = problems(&base.merge([left, other]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("the fork \"left\" at ")
                && found[0].contains("the fork \"other\" at ")
        );
    }

    #[test]
    fn a_fork_merges_its_own_forks() {
        let base = base();
        let outer = base.fork(|state| state.run(sh("outer")));
        let inner =
            ["/a", "/b"].map(|path| outer.fork(|state| state.mkdir(path, 0o755).label(path, "1")));
        let outer = outer.merge(inner);
        let other = base.fork(|state| state.run(sh("other")).label("other", "1"));
        let merged = base.merge([outer.clone(), other.clone()]);
        let by_hand = merge([
            base.clone(),
            diff(&base, outer.state()),
            diff(&base, other.state()),
        ]);
        assert_eq!(merged.to_text(), by_hand.to_text());
        let labels: Vec<&str> = merged
            .image_config()
            .labels
            .keys()
            .map(|key| &**key)
            .collect();
        assert_eq!(labels, ["/a", "/b", "other"]);
    }

    #[test]
    fn what_two_merges_have_in_common_is_merged_once() {
        let base = base();
        let [a, b, c] = ["/a", "/b", "/c"].map(|path| base.fork(|state| state.mkdir(path, 0o755)));
        let left = base.fork(|state| state.merge([a.clone(), b.clone()]));
        let right = base.fork(|state| state.merge([a.clone(), c.clone()]));
        assert_eq!(
            base.merge([left, right]).to_text(),
            base.merge([a, b, c]).to_text()
        );
    }

    #[test]
    fn a_fork_of_a_merge_merges_into_its_base_with_what_it_left() {
        let base = base();
        let [a, b] = ["/a", "/b"].map(|path| base.fork(|state| state.mkdir(path, 0o755)));
        let merged = base.merge([a, b]);
        let on_top = merged.fork(|state| state.run(sh("on top")).label("l", "1"));
        let all = base.merge([on_top.clone()]);
        assert_eq!(all.to_text(), on_top.state().to_text());
        assert_eq!(all.image_config().labels["l"], "1");
    }

    #[test]
    fn what_the_state_holds_already_is_not_merged_again() {
        let base = base();
        let first = base.fork(|state| state.run(sh("first")).env("A", "1"));
        let second = first.fork(|state| state.run(sh("second")));
        let later = base
            .merge([first.clone(), base.fork(|state| state.run(sh("x")))])
            .run(sh("later"));
        let by_hand = merge([later.clone(), diff(first.state(), second.state())]);
        assert_eq!(later.merge([first, second]).to_text(), by_hand.to_text());
    }
}

mod values_of_a_merge {
    use super::*;

    // M1
    #[test]
    fn an_inherited_user_overwrites_no_change() {
        let base = base().image_user("root").workdir("/");
        let merged = base.merge([
            base.fork(|state| state.image_user("app").workdir("/src")),
            base.fork(|state| state.label("l", "1")),
        ]);
        assert_eq!(merged.image_config().user.as_deref(), Some("app"));
        assert_eq!(merged.image_config().workdir.as_deref(), Some("/src"));
    }

    // M1
    #[test]
    fn two_users_are_a_conflict_unless_a_policy_says_who_wins() {
        let base = base().image_user("root");
        let forks =
            || ["one", "two"].map(|user| base.fork(|state| state.image_user(user)).named(user));
        let found = problems(&base.merge(forks()));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("the user was changed differently by the fork \"one\" at "));
        assert_eq!(found[0].matches("fork.rs:").count(), 2, "{found:?}");
        let user = |policy| {
            base.joining(forks())
                .policy(policy)
                .state()
                .image_config()
                .user
                .clone()
        };
        assert_eq!(user(MergePolicy::FirstWins).as_deref(), Some("one"));
        assert_eq!(user(MergePolicy::LastWins).as_deref(), Some("two"));
    }

    // M1
    #[test]
    fn stop_signal_and_health_check_are_taken_from_the_fork_that_changed_them() {
        let base = base();
        let check = Healthcheck {
            test: vec!["CMD".into(), "true".into()],
            ..Healthcheck::default()
        };
        let merged = base.merge([
            base.fork(|state| state.stop_signal("SIGINT")),
            base.fork(|state| state.healthcheck(check.clone())),
        ]);
        assert_eq!(merged.image_config().stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(merged.image_config().healthcheck, Some(check));
    }

    // M2
    #[test]
    fn a_new_entrypoint_clears_the_inherited_command() {
        let base = base().cmd(["bash"]);
        let merged = base.merge([
            base.fork(|state| state.entrypoint(["tini", "--"])),
            base.fork(|state| state.label("l", "1")),
        ]);
        assert_eq!(
            words(merged.image_config().entrypoint.as_ref()).as_deref(),
            Some("tini --")
        );
        assert_eq!(merged.image_config().cmd, None);
    }

    // M2
    #[test]
    fn a_new_entrypoint_keeps_a_command_that_a_fork_sets() {
        let base = base().cmd(["bash"]);
        let entrypoint = base.fork(|state| state.entrypoint(["tini", "--"]));
        let cmd = base.fork(|state| state.cmd(["python"]));
        for forks in [[entrypoint.clone(), cmd.clone()], [cmd, entrypoint]] {
            let merged = base.merge(forks);
            merged.marshal(&options()).unwrap();
            assert_eq!(
                words(merged.image_config().cmd.as_ref()).as_deref(),
                Some("python")
            );
            assert!(merged.image_config().entrypoint.is_some());
        }
        let again = base.merge([base.fork(|state| state.entrypoint(["tini"]).cmd(["bash"]))]);
        assert_eq!(
            words(again.image_config().cmd.as_ref()).as_deref(),
            Some("bash")
        );
    }

    // M2
    #[test]
    fn the_command_of_an_entrypoint_that_lost_is_lost_too() {
        let base = base().cmd(["bash"]);
        let forks = [
            base.fork(|state| state.entrypoint(["one"]).cmd(["argument"])),
            base.fork(|state| state.entrypoint(["two"])),
        ];
        let merged = base.joining(forks).policy(MergePolicy::LastWins).state();
        assert_eq!(
            words(merged.image_config().entrypoint.as_ref()).as_deref(),
            Some("two")
        );
        assert_eq!(merged.image_config().cmd, None);
    }

    // M3
    #[test]
    fn different_keys_unite_and_removals_travel() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.env("A", "1")),
            base.fork(|state| state.env("B", "2").unset_env("KEEP")),
        ]);
        assert_eq!(
            image_env(&merged),
            [("PATH", "/usr/bin:/bin"), ("A", "1"), ("B", "2")]
        );
        assert_eq!(merged.environment().get("KEEP"), None);
    }

    // M3
    #[test]
    fn the_same_change_twice_is_no_conflict() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.env("A", "1")),
            base.fork(|state| state.env("A", "1")),
        ]);
        merged.marshal(&options()).unwrap();
        assert_eq!(merged.image_config().env["A"], "1");
    }

    // M3
    #[test]
    fn two_different_changes_name_the_key_and_both_forks() {
        let base = base();
        let first = base.fork(|state| state.env("A", "1").workdir("/a"));
        let second = base.fork(|state| state.env("A", "2").workdir("/b"));
        let found = problems(&base.merge([first, second]));
        assert_eq!(found.len(), 2, "{found:?}");
        let about = |start: &str| found.iter().find(|text| text.starts_with(start)).unwrap();
        let variable = about("environment variable \"A\" was changed differently by the fork at ");
        assert_eq!(variable.matches("fork.rs:").count(), 2);
        about("the working directory was changed differently");
    }

    // M3
    #[test]
    fn a_removal_against_a_change_is_a_conflict() {
        let base = base();
        let forks = || {
            [
                base.fork(|state| state.unset_env("KEEP")),
                base.fork(|state| state.env("KEEP", "2")),
            ]
        };
        assert_eq!(problems(&base.merge(forks())).len(), 1);
        let first = base.joining(forks()).policy(MergePolicy::FirstWins).state();
        assert_eq!(first.environment().get("KEEP"), None);
        let last = base.joining(forks()).policy(MergePolicy::LastWins).state();
        assert_eq!(last.environment().get("KEEP"), Some("2"));
    }

    // M4
    #[test]
    fn both_forks_keep_their_part_of_path() {
        let base = base();
        let merged = base.merge([
            base.fork(|state| state.prepend_path("/venv/bin")),
            base.fork(|state| state.prepend_path("/cuda/bin").append_path("/opt/bin")),
        ]);
        let path = "/venv/bin:/cuda/bin:/usr/bin:/bin:/opt/bin";
        assert_eq!(merged.image_config().env["PATH"], path);
        assert_eq!(merged.environment().get("PATH"), Some(path));
    }

    // M4
    #[test]
    fn both_forks_keep_their_part_of_a_path_that_was_not_set() {
        let base = image("debian");
        let merged = base.merge([
            base.fork(|state| state.prepend_path("/venv/bin")),
            base.fork(|state| state.prepend_path("/cuda/bin")),
        ]);
        let path =
            "/venv/bin:/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(image_env(&merged), [("PATH", path)]);
    }

    // M5
    #[test]
    fn labels_ports_and_volumes_unite_with_and_without_those_of_the_base() {
        for base in [image("debian"), base().label("old", "1").volume("/old")] {
            let merged = base.merge([
                base.fork(|state| state.expose("81")),
                base.fork(|state| state.label("new", "2").volume("/data").expose("53/udp")),
            ]);
            let config = merged.image_config();
            assert!(
                config.exposed_ports.contains("81/tcp") && config.exposed_ports.contains("53/udp")
            );
            assert_eq!(config.labels["new"], "2");
            assert!(config.volumes.contains("/data"));
            assert!(
                config
                    .exposed_ports
                    .is_superset(&base.image_config().exposed_ports)
            );
            assert!(config.volumes.is_superset(&base.image_config().volumes));
            assert_eq!(
                config.labels.get("old"),
                base.image_config().labels.get("old")
            );
        }
    }

    // M6
    #[test]
    fn layers_of_the_base_are_there_once() {
        let base = base().run(sh("base"));
        let merged =
            base.merge(["/a", "/b"].map(|path| base.fork(|state| state.mkdir(path, 0o755))));
        let definition = merged.marshal(&options()).unwrap();
        assert_eq!(
            definition.ops().len(),
            8,
            "source, exec, 2 file ops, 2 diffs, merge, result"
        );
    }

    #[test]
    fn changes_of_fields_without_a_name_merge_too() {
        let base = with_config(r#"{"author":"me","config":{"OnBuild":["RUN x"],"Hostname":"h"}}"#);
        let changed = |json: &'static str| {
            base.fork(move |state: State| state.with_image_config(json.as_bytes()))
        };
        let same = r#"{"author":"me","config":{"OnBuild":["RUN x"],"Hostname":"h"}}"#;
        let onbuild = r#"{"author":"me","config":{"OnBuild":["RUN y"],"Hostname":"h"}}"#;
        let fewer = r#"{"author":"me","config":{"OnBuild":["RUN x"]}}"#;
        let other = r#"{"author":"you","config":{"OnBuild":["RUN z"],"Hostname":"h"}}"#;
        let merged = base.merge([changed(same), changed(onbuild), changed(fewer)]);
        assert_eq!(
            config_json(&merged),
            r#"{"architecture":"amd64","os":"linux","config":{"OnBuild":["RUN y"]},"author":"me"}"#
        );
        let found = problems(&base.merge([changed(onbuild), changed(other)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .starts_with("the image config's field \"config.OnBuild\" was changed differently")
        );
    }

    #[test]
    fn the_order_of_forks_is_the_order_of_new_keys() {
        let base = base();
        let [a, b] = ["A", "B"].map(|name| base.fork(|state| state.env(name, "1")));
        let names =
            |state: &State| -> Vec<String> { state.image_config().env.keys().cloned().collect() };
        assert_eq!(
            names(&base.merge([a.clone(), b.clone()])),
            ["PATH", "KEEP", "A", "B"]
        );
        assert_eq!(names(&base.merge([b, a])), ["PATH", "KEEP", "B", "A"]);
    }
}

mod declared_writes {
    use super::*;

    fn merged(forks: impl IntoIterator<Item = Fork>, base: &State) -> Vec<String> {
        let merged = base.merge(forks);
        match merged.marshal(&options()) {
            Ok(_) => Vec::new(),
            Err(_) => problems(&merged),
        }
    }

    #[test]
    fn two_forks_that_declare_one_path_are_named_with_both_lines() {
        let base = base();
        let first = base
            .fork(|state| state.run(sh("a")))
            .named("first")
            .writes(["/opt/venv"]);
        let second = base
            .fork(|state| state.run(sh("b")))
            .named("second")
            .writes(["/opt/venv/lib/"]);
        let found = merged([first.clone(), second.clone()], &base);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("\"/opt/venv\" is written at ")
                && found[0].contains("\"/opt/venv/lib\" at ")
        );
        assert!(
            found[0].contains("the fork \"first\"") && found[0].contains("the fork \"second\"")
        );
        assert_eq!(found[0].matches("fork.rs:").count(), 4, "{found:?}");
        base.joining([first, second])
            .allow_overlaps()
            .state()
            .marshal(&options())
            .expect("allowed");
    }

    #[test]
    fn file_actions_and_copies_declare_what_they_write() {
        let base = base();
        let other = image("tools");
        let layers: [(&str, State); 6] = [
            ("/etc/app", base.mkfile("/etc/app", 0o644, "a")),
            ("/etc/app", base.symlink("there", "/etc/app")),
            ("/etc", base.rm("/etc")),
            ("/etc", base.copy(local("context"), "/", "/etc")),
            ("/etc/app", base.file(copy(&other, "/usr/app", "/etc/"))),
            (
                "/etc/app",
                base.run(sh("x"))
                    .mkfile("/etc/app", 0o644, "b")
                    .run(sh("y")),
            ),
        ];
        let tool = base.fork(|state| state.mkfile("/etc/app", 0o600, "other"));
        for (path, layer) in layers {
            let fork = base.fork(|_| layer);
            let found = merged([fork, tool.clone()], &base);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(
                found[0].contains(&format!("{path:?} is written at ")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_mount_of_a_part_of_the_state_declares_that_part() {
        let base = base();
        let venv = base.fork(|state| {
            let mount = bind("/venv", state.clone()).selector("/opt/venv");
            state.exec(sh("pip install x").mount(mount)).output("/venv")
        });
        let file = base.fork(|state| state.mkfile("/opt/venv/x", 0o644, ""));
        assert_eq!(merged([venv.clone(), file], &base).len(), 1);
        let beside = base.fork(|state| state.mkfile("/opt/x", 0o644, ""));
        assert_eq!(merged([venv, beside], &base), [""; 0]);
    }

    #[test]
    fn paths_that_do_not_meet_are_no_mistake() {
        let base = base();
        let forks = [
            base.fork(|state| state.mkdir("/opt", 0o755).mkfile("/opt/a", 0o644, "a")),
            base.fork(|state| state.mkdir("/opt", 0o755).mkfile("/opt/ab", 0o644, "b")),
            base.fork(|state| state.mkfile("/same", 0o644, "x")),
            base.fork(|state| state.mkfile("/same", 0o644, "x")),
            base.fork(|state| state.run(sh("make install")))
                .writes(["/usr/local"]),
            base.fork(|state| state.copy(local("context"), "/", "/")),
        ];
        assert_eq!(merged(forks, &base), [""; 0]);
    }

    #[test]
    fn steps_after_one_another_may_write_the_same_path() {
        let base = base();
        let first = base.fork(|state| state.mkfile("/a", 0o644, "1"));
        let second = first.fork(|state| state.mkfile("/a", 0o644, "2"));
        assert_eq!(merged([first.clone(), second], &base), [""; 0]);
        let on_top = first.state().mkfile("/a", 0o644, "3");
        assert_eq!(merged([base.fork(|_| on_top)], &base), [""; 0]);
    }

    #[test]
    fn a_relative_path_is_refused() {
        let base = base();
        let fork = base.fork(|state| state.run(sh("a"))).writes(["opt"]);
        let found = merged([fork], &base);
        assert_eq!(
            found,
            ["a fork declares that it writes \"opt\", which is not an absolute path"]
        );
    }
}

mod budgets {
    use super::*;

    #[test]
    fn a_fork_of_one_step_in_a_group_of_its_own_is_its_difference() {
        let base = base();
        let fork = base.fork(|state| state.mkdir("/a", 0o755));
        let by_hand = merge([base.clone(), diff(&base, fork.state())]);
        assert_eq!(base.merge_within(3, [fork]).to_text(), by_hand.to_text());
    }

    #[test]
    fn a_group_of_several_steps_is_one_layer() {
        let base = base();
        let forks =
            ["/a", "/b"].map(|path| base.fork(|state| state.mkdir(path, 0o755).label(path, "1")));
        let text = base.merge_within(1, forks.clone()).to_text();
        let all = base.merge(forks);
        let by_hand = merge([base.clone(), diff(base.mkdir("/", 0o755), &all)]);
        assert_eq!(text, by_hand.to_text());
        assert_eq!(
            base.squash(|_| all).to_text(),
            text,
            "as squashing the merge"
        );
    }

    #[test]
    fn values_merge_in_the_order_of_forks() {
        let base = base();
        let forks = || {
            (0..9).map(|number| {
                base.fork(|state| {
                    state
                        .run(sh(format!("make {number}")))
                        .env(format!("N{number}"), "1")
                })
            })
        };
        let within = base.merge_within(3, forks());
        assert_eq!(within.image_config(), base.merge(forks()).image_config());
    }

    #[test]
    fn overlaps_that_a_group_would_turn_over_are_refused() {
        let base = base();
        let fork = |name: &str| {
            base.fork(|state| state.mkfile("/a", 0o644, name))
                .named(name)
        };
        let broken = |first: &str, second: &str| {
            let join = base
                .joining([fork(first), fork(second)])
                .within(64)
                .allow_overlaps();
            join.state().marshal(&options()).is_err()
        };
        assert_ne!(
            broken("one", "two"),
            broken("two", "one"),
            "one of the orders is that of the groups"
        );
    }

    #[test]
    fn no_layers_at_all_is_a_mistake() {
        let base = base();
        let found = problems(&base.merge_within(0, [base.fork(|state| state.mkdir("/a", 0o755))]));
        assert_eq!(
            found,
            ["a merge within 0 layers has no place for its forks: expected at least 1"]
        );
    }
}

#[test]
fn forks_of_a_deferred_state_merge_once_it_is_resolved() {
    let build = |base: State| {
        let python = base.fork(|state: State| state.mkdir("/python", 0o755).env("PYTHON", "3"));
        let torch = python.fork(|state: State| state.mkdir("/torch", 0o755));
        let numpy = python.fork(|state: State| state.mkdir("/numpy", 0o755));
        let tools = base.fork(|state: State| state.mkdir("/tools", 0o755));
        base.merge([torch, numpy, tools])
    };
    let deferred = scratch().deferred(|_, _| image("debian"));
    assert_eq!(build(deferred).to_text(), build(image("debian")).to_text());
}
