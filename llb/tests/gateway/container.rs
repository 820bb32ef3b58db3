//! Commands in mid-build.

use llb::client::{Secret, Solve};
use llb::gateway::Build;
use llb::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::testbed::{engine, unique};
use super::{ENGINES, offline};

const DEBIAN: &str = "debian:bookworm-slim";

#[tokio::test]
async fn a_command_runs_with_all_that_its_exec_says() {
    for name in ENGINES {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "of the context").unwrap();
        let solve = Solve::build()
            .local("context", home.path())
            .secret("token", Secret::bytes("s3cret"));
        let build = async |cx: &mut Build| {
            let exec = offline("cat /src/file; echo; echo $WORD $TOKEN; cat /run/token; pwd; id -u; hostname; touch /src/new; exit 3")
                .mount(bind("/src", local("context")))
                .mount(bind("/empty", scratch()))
                .mount(secret("/run/token").id("token"))
                .mount(secret("token").as_env("TOKEN"))
                .mount(cache("/cache", unique()))
                .mount(tmpfs("/tmp"))
                .env("WORD", "hello")
                .hostname("inside")
                .dir("/empty");
            let output = cx.run(image(DEBIAN), exec).await?;
            assert_eq!(output.status.code(), 3, "{name}: {output:?}");
            assert!(!output.status.is_success());
            assert_eq!(
                output.stdout_text()?,
                "of the context\nhello s3cret\ns3cret/empty\n0\ninside",
                "{name}"
            );
            let error = output.check().unwrap_err();
            assert!(error.to_string().contains("exit code 3"), "{name}: {error}");
            Ok(scratch())
        };
        client.build(solve, &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn processes_are_talked_to() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            let script = "echo out; echo err >&2; while read line; do echo \"<$line>\"; done";
            let container = cx.container(image(DEBIAN), offline(script)).await?;
            let mut process = container.command().stdin().spawn().await?;
            let mut stdin = process.stdin.take().unwrap();
            let mut stdout = process.stdout.take().unwrap();
            let mut stderr = process.stderr.take().unwrap();
            let mut start = [0; 4];
            stdout.read_exact(&mut start).await?;
            assert_eq!(&start, b"out\n", "{name}");
            stdin.write_all(b"one\ntwo\n").await?;
            let mut answer = [0; 12];
            stdout.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"<one>\n<two>\n", "{name}");
            drop(stdin);
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).await?;
            assert_eq!(rest, "err\n", "{name}");
            assert_eq!(process.wait().await?.code(), 0, "{name}");

            container.release().await?;
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn much_goes_in_and_out() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            let container = cx.container(image(DEBIAN), offline("wc -c")).await?;
            let bytes = vec![b'x'; 3 << 20];
            let count = container.command().stdin_bytes(bytes).output().await?;
            assert_eq!(count.stdout_text()?, "3145728", "{name}");
            container.release().await?;
            let noise = cx
                .run(image(DEBIAN), offline("head -c 5000000 /dev/zero"))
                .await?;
            assert_eq!(noise.stdout.len(), 5_000_000, "{name}");
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn processes_of_a_container_see_what_others_wrote() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            let script = "echo one > /file; echo two > /data/file; echo ready; read line";
            let exec = offline(script)
                .mount(bind("/data", scratch()))
                .env("A", "1");
            let container = cx.container(image(DEBIAN), exec).await?;
            let mut first = container.command().stdin().spawn().await?;
            first
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut [0; 6])
                .await?;
            let output = container
                .command_with(["sh", "-c", "cat /file file; echo $A $B"])
                .dir("/data")
                .env("B", "2")
                .output()
                .await?
                .check()?;
            assert_eq!(output.stdout_text()?, "one\ntwo\n1 2", "{name}");
            drop(first.stdin.take());
            first.wait().await?;
            container.release().await?;
            let untouched = cx.run(image(DEBIAN), offline("test ! -e /file")).await?;
            assert!(untouched.status.is_success(), "{name}");
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn terminals_have_a_size_and_signals_arrive() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            // The new size arrives in its own time.
            let script = "read line; for turn in $(seq 600); do \
                          [ \"$(stty size)\" = '33 77' ] && break; sleep 0.1; done; \
                          stty size; test -t 1 && echo terminal";
            let container = cx.container(image(DEBIAN), offline(script)).await?;
            let mut process = container.command().tty().stdin().spawn().await?;
            assert!(process.stderr.is_none(), "a terminal has one stream");
            process.resize(33, 77).await;
            let mut stdin = process.stdin.take().unwrap();
            stdin.write_all(b"\n").await?;
            let mut output = String::new();
            process
                .stdout
                .take()
                .unwrap()
                .read_to_string(&mut output)
                .await?;
            assert!(output.contains("33 77"), "{name}: {output:?}");
            assert!(output.contains("terminal"), "{name}: {output:?}");
            process.wait().await?;

            let trap = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";
            let container = cx.container(image(DEBIAN), offline(trap)).await?;
            let mut process = container.command().spawn().await?;
            let mut stdout = process.stdout.take().unwrap();
            let mut ready = [0; 6];
            stdout.read_exact(&mut ready).await?;
            process.signal("SIGINT").await;
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).await?;
            assert_eq!(rest, "caught\n", "{name}");
            assert_eq!(process.wait().await?.code(), 5, "{name}");

            let container = cx
                .container(image(DEBIAN), offline("exec sleep 600"))
                .await?;
            let sleep = container.command().spawn().await?;
            sleep.signal("KILL").await;
            assert!(!sleep.wait().await?.is_success(), "{name}");
            container.release().await?;
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            let missing = args(["/no/such/program"]).network(Network::None);
            let error = cx.run(image(DEBIAN), missing).await?.check().unwrap_err();
            assert!(
                error.to_string().contains("/no/such/program"),
                "{name}: {error}"
            );
            let error = cx
                .run(image(DEBIAN).run(offline("exit 9")), offline("true"))
                .await
                .unwrap_err();
            assert_eq!(error.exit_code(), Some(9), "{name}: {error}");
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_step_can_be_entered() {
    for name in ENGINES {
        let client = engine(name).await;
        let build = async |cx: &mut Build| {
            let script = format!("echo {} > /trace; echo made > /out/file; exit 4", unique());
            let exec = offline(&script)
                .output("/out", scratch())
                .env("WORD", "inside");
            let solved = cx.solve(image(DEBIAN).exec(exec).root()).await?;
            let error = solved.evaluate().await.unwrap_err();
            let failure = cx.failure(&error).unwrap();
            assert_eq!(failure.step().unwrap().exit_code, Some(4));
            let container = failure.container().await?;
            let look = [
                "sh",
                "-c",
                "cut -c1-1 /trace >&2; cat /out/file; echo $WORD",
            ];
            let output = container.command_with(look).output().await?.check()?;
            assert_eq!(output.stdout_text()?, "made\ninside", "{name}");
            assert_eq!(output.stderr.len(), 2, "{name}");
            container.release().await?;
            let other = llb::gateway::Error::msg("something else");
            assert!(cx.failure(&other).is_none());
            Ok(scratch())
        };
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}
