//! Options, images, files and states.

use llb::client::{Export, Solve};
use llb::gateway::{Error, FileKind, Ref, Result};
use llb::prelude::*;
use llb::value::Platform;

use super::testbed::{engine, unique};
use super::{ENGINES, offline};

#[tokio::test]
async fn a_build_knows_what_it_was_given() {
    for name in ENGINES {
        let client = engine(name).await;
        let given = scratch().mkfile("/given", 0o644, "input");
        let definition = given.marshal(&MarshalOptions::linux_amd64()).unwrap();
        let solve = Solve::build()
            .attribute("build-arg:VERSION", "3")
            .attribute("target", "app")
            .input("base", definition);
        let build = async |cx: &mut llb::gateway::Build| {
            assert_eq!(cx.build_arg("VERSION"), Some("3"));
            assert_eq!(cx.build_args().collect::<Vec<_>>(), [("VERSION", "3")]);
            assert_eq!(cx.target(), Some("app"));
            assert_eq!(cx.platforms(), [cx.build_platform().clone()]);
            assert_eq!(cx.capabilities().has_merge(), name == "containerd");
            let base = cx.input("base").await?.unwrap();
            assert!(cx.input("other").await?.is_none());
            let text = cx.filesystem(base).read_to_string("given").await?;
            assert_eq!(text, "input");
            Ok(scratch())
        };
        client.build(solve, &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn images_are_pinned_and_carry_their_config() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut llb::gateway::Build| {
            let found = cx.resolve_image("debian:bookworm-slim").await?;
            assert!(found.digest.starts_with("sha256:"), "{name}");
            let base = cx.image("debian:bookworm-slim").await?;
            let text = base.to_text();
            assert!(
                text.contains(&format!("@{}", found.digest)),
                "{name}: {text}"
            );
            let source = cx.resolve_source(image("debian:bookworm-slim")).await?;
            assert!(source.identifier.ends_with(&found.digest), "{source:?}");
            let missing = cx.image("debian:no-such-tag").await.unwrap_err();
            assert!(missing.to_string().contains("no-such-tag"), "{missing}");
            let mistake = cx.image("Debian").await.unwrap_err();
            assert!(mistake.to_string().contains("lowercase"), "{mistake}");
            Ok(base)
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn files_of_a_result_can_be_read() {
    for name in ENGINES {
        let client = engine(name).await;
        let large: Vec<u8> = (0..9_u32 << 20).map(|index| (index % 251) as u8).collect();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("large"), &large).unwrap();
        std::fs::create_dir(home.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("large", home.path().join("link")).unwrap();
        let solve = Solve::build().local("context", home.path());
        let build = async |cx: &mut llb::gateway::Build| {
            let state = local("context")
                .state()
                .mkfile("/sub/a.txt", 0o640, "hello\n");
            let solved = cx.solve(state).await?;
            assert_eq!(solved.read_file("/large").await?, large);
            assert_eq!(
                solved.read_range("large", 250..=252).await?,
                large[250..=252]
            );
            assert_eq!(solved.read_range("large", (9 << 20) - 2..).await?.len(), 2);
            assert_eq!(solved.read_range("large", 10 << 20..).await?, b"");
            assert_eq!(solved.read_to_string("/sub/a.txt").await?, "hello\n");
            let names = |stats: Vec<llb::gateway::Stat>| {
                stats.into_iter().map(|stat| stat.name).collect::<Vec<_>>()
            };
            assert_eq!(names(solved.read_dir("/").await?), ["large", "link", "sub"]);
            assert_eq!(
                names(solved.read_dir_matching("/", "l*").await?),
                ["large", "link"]
            );
            let stat = solved.stat("/sub/a.txt").await?;
            assert_eq!(
                (stat.kind, stat.mode, stat.size),
                (FileKind::Regular, 0o640, 6)
            );
            assert!(solved.stat("/sub").await?.is_dir());
            let link = &solved.read_dir_matching("/", "link").await?[0];
            assert_eq!(link.link.as_deref(), Some("large"));
            assert!(!solved.exists("/sub/b.txt").await?);
            let error = solved.read_file("/nothing").await.unwrap_err();
            assert!(error.is_not_found(), "{error}");
            assert!(error.to_string().contains("\"/nothing\""), "{error}");
            let walked = cx.filesystem(solved.to_state()).walk("/").await?;
            let paths: Vec<_> = walked.iter().map(|(path, _)| path.as_str()).collect();
            assert_eq!(paths, ["large", "link", "sub", "sub/a.txt"]);
            Ok(scratch())
        };
        client.build(solve, &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn scratch_can_be_looked_at() {
    let client = engine("containerd").await;
    let build = async |cx: &mut llb::gateway::Build| {
        let empty = cx.solve(scratch()).await?;
        empty.evaluate().await?;
        assert_eq!(empty.read_dir("/").await?, []);
        assert!(!empty.exists("/etc").await?);
        assert!(empty.read_file("/etc").await.unwrap_err().is_not_found());
        Ok(scratch())
    };
    client.build(Solve::build(), &mut (), build).await.unwrap();
}

#[tokio::test]
async fn what_was_looked_at_is_built_on() {
    for name in ENGINES {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        let id = unique();
        let solve = Solve::build().export(Export::local(home.path().join("out")));
        let build = async |cx: &mut llb::gateway::Build| {
            let made = cx
                .image("debian:bookworm-slim")
                .await?
                .exec(
                    offline(format!("echo {id} | sha256sum > /out/sum")).output("/out", scratch()),
                )
                .output("/out");
            let solved = cx.solve(&made).await?;
            let sum = solved.read_to_string("/sum").await?;
            Ok(solved.to_state().mkfile("/copy", 0o644, sum))
        };
        let outcome = client.build(solve, &mut (), build).await.unwrap();
        let read = |file: &str| std::fs::read_to_string(home.path().join("out").join(file));
        assert_eq!(read("sum").unwrap(), read("copy").unwrap());
        let runs = outcome
            .summary()
            .only(|step| step.name().contains("sha256sum"));
        assert_eq!(runs.steps().len(), 1, "{name}: the step ran once");
    }
}

#[tokio::test]
async fn independent_solves_run_at_once() {
    for name in ENGINES {
        let client = engine(name).await;
        let id = unique();
        let build = async |cx: &mut llb::gateway::Build| {
            let base = cx.image("debian:bookworm-slim").await?;
            // Each step waits for all the others.
            let wait = async |step: u32| -> Result<Ref> {
                let script = format!(
                    "touch /all/{step}; for turn in $(seq 600); do \
                     [ $(ls /all | wc -l) = 4 ] && exit 0; sleep 0.1; done; exit 9"
                );
                let state = base.run(offline(script).mount(cache("/all", &id)));
                let solved = cx.solve(state).await?;
                solved.evaluate().await?;
                Ok(solved)
            };
            tokio::try_join!(wait(1), wait(2), wait(3), wait(4))?;
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_step_is_told_to_the_function_and_to_the_caller() {
    for name in ENGINES {
        let client = engine(name).await;
        let text = format!("echo {}; exit 7", unique());
        let build = async |cx: &mut llb::gateway::Build| {
            let solved = cx
                .solve(image("debian:bookworm-slim").run(offline(&text)))
                .await?;
            let error = solved.evaluate().await.unwrap_err();
            assert_eq!(error.exit_code(), Some(7), "{name}: {error}");
            assert!(error.to_string().contains(&text), "{name}: {error}");
            Err::<State, _>(error)
        };
        let error = client
            .build(Solve::build(), &mut (), build)
            .await
            .unwrap_err();
        let step = error.step().unwrap();
        assert_eq!(step.exit_code, Some(7), "{name}: {error}");
        assert_eq!(step.output.len(), 1, "{name}: {error}");
        let line = &error.sources()[0];
        assert!(line.filename.ends_with("look.rs"), "{name}: {line:?}");
    }
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[tokio::test]
async fn an_error_of_the_function_comes_back_as_it_is() {
    for name in ENGINES {
        let client = engine(name).await;
        let file = llb::SourceMap::new("app.toml", "toml", "a\nb\n");
        let build = async |_: &mut llb::gateway::Build| {
            let place = file.location([llb::Range::line(2)]);
            Err::<State, _>(Error::new(Refused).hint("ask again").at(place))
        };
        let error = client
            .build(Solve::build(), &mut (), build)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("build failed: refused\nhint: ask again"),
            "{name}: {text}"
        );
        let mut source: &dyn std::error::Error = &error;
        while let Some(next) = source.source() {
            source = next;
        }
        assert!(source.is::<Refused>(), "{name}");
        assert_eq!(error.sources()[0].ranges, [(2, 2)], "{name}");
        assert_eq!(error.sources()[0].text, "a\nb\n", "{name}");
    }
}

#[tokio::test]
async fn frontends_of_the_daemon_make_states() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut llb::gateway::Build| {
            let dockerfile = scratch().mkfile(
                "/Dockerfile",
                0o644,
                "FROM debian:bookworm-slim\nARG WORD\nENV WORD=$WORD\nRUN echo $WORD > /word\n",
            );
            let options = [("build-arg:WORD", "hello"), ("force-network-mode", "none")];
            let base = cx
                .solve_frontend("dockerfile.v0", options, [("dockerfile", &dockerfile)])
                .await?;
            assert_eq!(base.environment().get("WORD"), Some("hello"));
            let again = base.run(offline("cp /word /again"));
            let text = cx.filesystem(again).read_to_string("/again").await?;
            assert_eq!(text, "hello\n");
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn warnings_reach_the_progress() {
    use llb::gateway::Warning;
    for name in ENGINES {
        let client = engine(name).await;
        let mut recorder = llb::progress::Recorder::new();
        let build = async |cx: &mut llb::gateway::Build| {
            cx.warn(
                Warning::new("python 3.8 is old")
                    .detail("very")
                    .url("https://example.com"),
            )
            .await?;
            Ok(scratch().mkfile("/id", 0o644, unique()))
        };
        client
            .build(Solve::build(), &mut recorder, build)
            .await
            .unwrap();
        let warning = &recorder.summary().warnings()[0];
        assert_eq!(warning.short, "python 3.8 is old", "{name}");
        assert_eq!(warning.detail, ["very"], "{name}");
    }
}

#[tokio::test]
async fn platforms_are_those_that_were_asked_for() {
    let client = engine("containerd").await;
    let solve = Solve::build().attribute("platform", "linux/arm64,linux/amd64");
    let build = async |cx: &mut llb::gateway::Build| {
        assert_eq!(
            cx.platforms(),
            [Platform::LINUX_ARM64, Platform::LINUX_AMD64]
        );
        Ok(scratch().mkfile("/a", 0o644, ""))
    };
    let error = client.build(solve, &mut (), build).await.unwrap_err();
    assert!(error.to_string().contains("makes one image"), "{error}");
    let solve = Solve::build().attribute("platform", "arm64");
    let error = client
        .build(solve, &mut (), async |_| Ok(scratch()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("option `platform`: "), "{error}");
}

#[tokio::test]
async fn merges_are_checked_for_paths_that_two_forks_wrote() {
    let write = |path: &'static str, text: &'static str| {
        move |base: State| base.mkdir("/shared", 0o755).mkfile(path, 0o644, text)
    };
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut llb::gateway::Build| {
            let base = scratch().mkfile("/base", 0o644, "b");
            let forks = [
                base.fork(write("/shared/a", "1")),
                base.fork(write("/shared/b", "2")),
                base.fork(write("/shared/a", "3")),
                base.fork(write("/shared/b", "2")),
            ];
            let found = cx.conflicts(&base, &forks).await;
            if name == "graphdriver" {
                let error = found.unwrap_err().to_string();
                assert!(error.contains("no diffs"), "{error}");
                return Ok(scratch());
            }
            let found: Vec<_> = found?.iter().map(ToString::to_string).collect();
            assert_eq!(found, ["/shared/a: fork 3 covers what fork 1 wrote"]);
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn a_recording_of_a_daemon_answers_without_it() {
    use llb::testing::Recording;
    let look = async |cx: &mut llb::gateway::Build| {
        let base = cx.image("debian:bookworm-slim").await?;
        let version = cx
            .filesystem(&base)
            .read_to_string("/etc/debian_version")
            .await?;
        let output = cx
            .run(&base, offline("echo out; echo err >&2; exit 3"))
            .await?;
        assert_eq!((output.status.code(), &*output.stderr), (3, &b"err\n"[..]));
        let missing = cx
            .filesystem(&base)
            .read_file("/no/such")
            .await
            .unwrap_err();
        assert!(missing.is_not_found());
        Ok(base.label("version", version))
    };
    let client = engine("containerd").await;
    let mut made = None;
    let record = async |cx: &mut llb::gateway::Build| {
        let (image, recording) = Recording::record(cx, look).await?;
        made = Some((image.state().to_text(), recording.to_json()));
        Ok(image)
    };
    client.build(Solve::build(), &mut (), record).await.unwrap();
    let (text, json) = made.unwrap();
    let image = Recording::from_json(&json)
        .unwrap()
        .replay(look)
        .await
        .unwrap();
    assert_eq!(image.state().to_text(), text);
    let label = image.state().image_config().labels["version"].clone();
    assert!(label.starts_with("12"), "{label}");
}

#[tokio::test]
async fn merges_are_lowered_where_the_engine_has_none() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut llb::gateway::Build| {
            let base = scratch().mkfile("/base", 0o644, "b");
            let forks = ["/a", "/b"]
                .map(|path| base.fork(move |base: State| base.mkfile(path, 0o644, path)));
            let merged = base.merge(forks);
            let files = cx.filesystem(&merged).walk("/").await?;
            let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
            assert_eq!(paths, ["a", "b", "base"], "{name}");
            Ok(merged.mkfile("/more", 0o644, ""))
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}
