//! `sh!`: a real shell reads the values back as they were, wherever they stand.

use std::process::Command;

use llb::prelude::*;
use llb::proto::pb;
use llb::{Exec, sh};
use prost::Message as _;

/// The script of an exec.
fn script(exec: Exec) -> String {
    let definition = scratch().run(exec).marshal(&MarshalOptions::linux_amd64());
    let definition = definition.expect("the graph has no mistakes");
    let op = pb::Op::decode(definition.ops()[0].bytes()).expect("the first op is an op");
    let Some(pb::op::Op::Exec(exec)) = op.op else {
        panic!("the first op is an exec");
    };
    let [shell, flag, script] = &exec.meta.expect("an exec has a meta").args[..] else {
        panic!("sh! makes three arguments");
    };
    assert_eq!([&**shell, &**flag], ["/bin/sh", "-c"]);
    script.clone()
}

/// What a shell prints when it runs the exec's script.
fn output(exec: Exec) -> String {
    let script = script(exec);
    let output = Command::new("/bin/sh").args(["-c", &script]).output();
    let output = output.expect("there is a shell");
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the values are text")
}

const VALUES: [&str; 14] = [
    "",
    "plain",
    "two words",
    "it's",
    "\"quoted\"",
    "$HOME",
    "`id`",
    "$(id)",
    "a\\",
    "\\n",
    "# no comment",
    "*",
    "a\nb",
    "é {x} ${y}",
];

#[test]
fn a_shell_reads_values_back() {
    for value in VALUES {
        assert_eq!(output(sh!("printf '<%s>' {value}")), format!("<{value}>"));
        assert_eq!(
            output(sh!("printf '<%s>' \"{value}\"")),
            format!("<{value}>")
        );
        assert_eq!(output(sh!("printf '<%s>' '{value}'")), format!("<{value}>"));
        assert_eq!(
            output(sh!("printf '<%s>' a{value}\"b {value}\"'c {value}'")),
            format!("<a{value}b {value}c {value}>")
        );
        assert_eq!(
            output(sh!(
                "printf '<%s>' \"$(printf '%s' {value} \"{value}\" '{value}')\""
            )),
            format!("<{value}{value}{value}>")
        );
    }
}

#[test]
fn a_shell_reads_lists_back() {
    let expected = VALUES.map(|value| format!("<{value}>")).concat();
    assert_eq!(output(sh!("printf '<%s>' {VALUES...}")), expected);
    let owned: Vec<String> = VALUES.iter().map(ToString::to_string).collect();
    assert_eq!(
        output(sh!("printf '<%s>' {&owned...}; true {&owned...}")),
        expected
    );
    assert_eq!(script(sh!("x {Vec::<u8>::new()...} y")), "x  y");
}

#[test]
fn expressions_formats_and_raw_text() {
    struct Config {
        jobs: u8,
    }
    let config = Config { jobs: 7 };
    assert_eq!(script(sh!("make -j{config.jobs}")), "make -j7");
    assert_eq!(
        script(sh!(
            "make -j{jobs:02} {config.jobs + 1}",
            jobs = config.jobs
        )),
        "make -j07 8"
    );
    assert_eq!(
        script(sh!("a {redirect:raw}", redirect = "> /dev/null")),
        "a > /dev/null"
    );
    assert_eq!(script(sh!("{[\"a b\", \"c\"].join(\"-\")}")), "'a b-c'");
}

#[test]
fn what_the_shell_means_by_braces_stays() {
    assert_eq!(output(sh!("x=1; f() { echo ${x:-2}{{3}}; }; f")), "1{3}\n");
    assert_eq!(output(sh!("echo 'a b' | awk '{{print $2}}'")), "b\n");
}
