//! The `llb` tool, run as a program.

#![expect(clippy::disallowed_methods, reason = "the tool is about files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use llb::prelude::*;

struct Run {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Run {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llb"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A tool that stops at a mistake reads nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn definition() -> Definition {
    let state =
        image("alpine:3.22")
            .run(sh("make").name("build"))
            .copy(local("context"), "/", "/src");
    state.marshal(&MarshalOptions::linux_amd64()).unwrap()
}

fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/real")
        .join(name)
}

#[test]
fn show_prints_every_view() {
    let bytes = definition().to_bytes();
    let show = |format| run(&["show", "-", "--format", format], &bytes);
    assert_eq!(run(&["show", "-"], &bytes).text(), definition().to_text());
    assert_eq!(show("text").text(), definition().to_text());
    assert_eq!(show("tree").text(), definition().to_tree());
    assert_eq!(show("dot").text(), definition().to_dot());
    assert_eq!(show("json").text(), definition().to_json());
    assert_eq!(
        run(&["show", "-", "--full"], &bytes).text(),
        definition().to_full_text()
    );
}

#[test]
fn a_graph_goes_through_its_full_text_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["node-app.pb", "go-cross.pb", "ssh-private.pb"] {
        let text = run(&["show", real(name).to_str().unwrap(), "--full"], b"");
        let out = folder.path().join(name);
        let reencoded = run(&["reencode", "-", "-o", out.to_str().unwrap()], &text.out);
        assert_eq!((reencoded.code, &*reencoded.err), (0, ""));
        assert!(
            fs::read(out).unwrap() == fs::read(real(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn reencode_sorts_what_other_programs_do_not() {
    // The entries of the metadata the other way round: fields of one kind may stand in any order.
    let mut message =
        <llb::proto::pb::Definition as prost::Message>::decode(&*definition().to_bytes()).unwrap();
    let metadata = std::mem::take(&mut message.metadata);
    let mut bytes = prost::Message::encode_to_vec(&message);
    for entry in metadata.into_iter().rev() {
        let message = llb::proto::pb::Definition {
            metadata: [entry].into(),
            ..Default::default()
        };
        bytes.extend(prost::Message::encode_to_vec(&message));
    }
    assert_ne!(bytes, definition().to_bytes());
    let reencoded = run(&["reencode", "-", "-o", "-"], &bytes);
    assert!(reencoded.out == definition().to_bytes());
}

#[test]
fn digest_prints_the_head() {
    let head = definition().head().unwrap().to_string();
    let digest = run(&["digest", "-"], &definition().to_bytes());
    assert_eq!(digest.text(), format!("{head}\n"));
    let all = run(&["digest", "-", "--all"], definition().to_text().as_bytes());
    assert_eq!(all.text().lines().count(), definition().ops().len());
    assert!(all.text().contains(&format!("{head}  %copy-src\n")));
    let scratch = run(&["digest", "-"], b"return scratch\n");
    assert_eq!(scratch.code, 1);
    assert_eq!(
        scratch.err,
        "error: the graph is scratch: it has no op, and so no digest\n"
    );
}

#[test]
fn verify_fails_on_errors_and_strictly_on_warnings() {
    let fine = run(&["verify", "-", "--strict"], &definition().to_bytes());
    assert_eq!(
        (fine.code, fine.text()),
        (0, "4 ops, 0 errors, 0 warnings\n")
    );

    let warned = b"%a = source \"docker-image://docker.io/library/alpine:latest\"\nreturn %a\n";
    let warning = run(&["verify", "-"], warned);
    assert_eq!(warning.code, 0);
    insta::assert_snapshot!(warning.text(), @r#"
    warning[moving-tag] %alpine: "docker.io/library/alpine:latest" is another image tomorrow
      hint: name a version, or add the digest: `name:tag@sha256:...`
    1 ops, 0 errors, 1 warnings
    "#);
    assert_eq!(run(&["verify", "-", "--strict"], warned).code, 1);

    let broken = run(
        &["verify", "-"],
        b"%a = local \"x\" caps=[]\nreturn %a.out1\n",
    );
    assert_eq!(broken.code, 1);
    assert!(
        broken
            .text()
            .contains("error[missing-cap] %x: it needs source.local, source.local.unique")
    );
    assert!(
        broken
            .text()
            .contains("error[bad-output] %x: `%x.out1` is read, but that op has 1 outputs")
    );

    assert!(
        run(&["verify", "--explain", "moving-tag"], b"")
            .text()
            .starts_with("# `moving-tag`")
    );
    assert_eq!(run(&["verify", "--explain", "nothing"], b"").code, 1);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let missing = run(&["show", "/nowhere/graph.pb"], b"");
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .err
            .starts_with("error: failed to read /nowhere/graph.pb: "),
        "{}",
        missing.err
    );

    let damaged = definition().to_bytes();
    let cut = run(&["verify", "-"], &damaged[..damaged.len() - 3]);
    assert_eq!(cut.code, 1);
    assert!(
        cut.err
            .starts_with("error: standard input: invalid definition: "),
        "{}",
        cut.err
    );

    let text = run(
        &["show", "-"],
        b"%a = locl \"x\"\n%b = mrge %a\nreturn %b\n",
    );
    assert_eq!(text.code, 1);
    insta::assert_snapshot!(text.err, @r"
    error: standard input: line 1, column 6: unknown kind of op `locl`
      hint: did you mean `local`?
    error: standard input: line 2, column 6: unknown kind of op `mrge`
      hint: did you mean `merge`?
    ");

    assert_eq!(run(&["shw"], b"").code, 2);
}
