//! What the reader says of mistakes.

use std::fmt::Write as _;

use llb::Definition;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let error = Definition::from_text(text).unwrap_err();
    let found: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn mistakes_are_reported_together_each_at_its_place() {
    check(
        "\
platform linux
%base = sorce \"docker-image://docker.io/library/alpine:latest\"
%made = exec \"make\" cwd=/ {
  / = %base -> out0
  /cache = cache \"id\" lockd
}
%text = exec \"make cwd=/ {
  / = %base -> out0
}
%both = merge %base, %mad, %made
return %both
",
        &[
            "line 1, column 10: expected a platform such as `linux/amd64`, found \"linux\"",
            "line 2, column 9: unknown kind of op `sorce`\n  hint: did you mean `source`?",
            "line 5, column 23: unknown option of a mount `lockd`\n  hint: did you mean `locked`?",
            "line 7, column 14: this text has no closing quote on its line\n  hint: write a line break as `\\n`, and end a \
             line with `\\` to go on in the next one",
            "line 10, column 22: there is no op called `%mad`",
        ],
    );
}

#[test]
fn names_must_be_there_and_be_there_once() {
    check(
        "%a = local \"a\"\n%a = local \"b\"\nreturn %b",
        &[
            "line 2, column 1: there are two ops called `%a`\n  hint: give one another name",
            "line 3, column 8: there is no op called `%b`\n  hint: did you mean `%a`?",
        ],
    );
    check(
        "%a = merge %b, %b\n%b = merge %a, %a\nreturn %a",
        &["line 2, column 12: `%a` reads its own result"],
    );
    check(
        "%a = merge %a\nreturn %a",
        &["line 1, column 12: `%a` reads its own result"],
    );
    check(
        "%a = local \"x\"\n%b = local \"x\"\nreturn %b",
        &["line 2, column 1: `%b` is the same op as `%a`\n  hint: use `%a` instead of it"],
    );
    check(
        "%a.out1 = local \"x\"\nreturn %a.out1",
        &["line 1, column 1: `%a.out1` names an output of `%a`, so no op can have that name"],
    );
}

#[test]
fn a_result_is_needed_once_and_last() {
    check(
        "%a = local \"x\"\n",
        &["line 2, column 1: expected `return` before the end\n  hint: end with `return %a`"],
    );
    check(
        "",
        &[
            "line 1, column 1: expected `return` before the end\n  hint: an empty graph is `return scratch`",
        ],
    );
    check(
        "return scratch\nreturn scratch",
        &["line 2, column 1: expected nothing after `return`, found `return`"],
    );
    check(
        "%a = local \"x\"\nreturn scratch",
        &[
            "line 2, column 8: scratch has no ops, but there are some before it\n  hint: return one of the ops",
        ],
    );
}

#[test]
fn a_mount_must_say_where_its_result_goes() {
    check(
        "%a = exec \"x\" cwd=/ {\n  / = scratch\n}\nreturn %a",
        &[
            "line 2, column 14: expected where the mount's result goes: `-> out0`, `no-output` or `readonly`, found the \
             end of the line",
        ],
    );
}

#[test]
fn bytes_must_fit_the_text_around_them() {
    // Field 99 with the value 1, which no op has, in a source.
    let source = "1a0c0a0a6c6f63616c3a2f2f78795a00980601";
    let text = |name: &str| {
        format!("platform linux/amd64\n%x = source \"local://{name}\" bytes={source}\nreturn %x\n")
    };
    let definition = Definition::from_text(&text("xy")).unwrap();
    assert!(definition.ops()[0].bytes().ends_with(&[0x98, 0x06, 0x01]));
    let again = Definition::from_text(&definition.to_full_text()).unwrap();
    assert_eq!(again.to_bytes(), definition.to_bytes());
    assert!(definition.to_text().contains("bytes=omitted"));
    check(
        &text("xz"),
        &[
            "line 2, column 26: the bytes of `%x` say something else than its text\n  hint: take `bytes=` away to make \
             the op what its text says",
        ],
    );
}

#[test]
fn endless_mistakes_come_to_an_end() {
    let error = Definition::from_text(&"%a = %\n".repeat(100_000)).unwrap_err();
    assert_eq!(error.problems().len(), 50);
}

#[test]
fn deep_nesting_is_refused() {
    let text = "file \"x\" {\n".repeat(100_000);
    let error = Definition::from_text(&text).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn many_ops_backwards_need_no_stack() {
    let mut text = String::new();
    for step in (1..20_000).rev() {
        let read = step - 1;
        writeln!(
            text,
            "%s{step} = exec \"x\" cwd=/{step} {{\n/ = %s{read} -> out0\n}}"
        )
        .unwrap();
    }
    text += "%s0 = local \"x\"\nreturn %s19999\n";
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let count = thread.spawn(move || Definition::from_text(&text).unwrap().ops().len());
    assert_eq!(count.unwrap().join().unwrap(), 20_001);
}
