//! The text of scripts.

use super::entry_points::EntryPoint;

/// What the kernel reads of a first line, in bytes (`BINPRM_BUF_SIZE` of Linux before 5.1, less its end).
const LONGEST_FIRST_LINE: usize = 127;

/// The script that calls an entry point.
pub(super) fn launcher(entry: &EntryPoint, interpreter: &str) -> String {
    let EntryPoint {
        module, function, ..
    } = entry;
    let imported = function.split('.').next().unwrap_or(function);
    format!(
        r#"{first}
# -*- coding: utf-8 -*-
import sys
from {module} import {imported}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({function}())
"#,
        first = first_line(interpreter),
    )
}

/// A wheel's own script with the environment's interpreter in place of `#!python…`; `None` if it has another first line.
pub(super) fn with_interpreter(content: &[u8], interpreter: &str) -> Option<Vec<u8>> {
    if !content.starts_with(b"#!python") {
        return None;
    }
    let rest = content.iter().position(|byte| *byte == b'\n');
    let rest = rest.map_or(&b""[..], |end| &content[end..]);
    Some([first_line(interpreter).as_bytes(), rest].concat())
}

/// The line, or the lines, that have an interpreter run a script.
fn first_line(interpreter: &str) -> String {
    let is_simple = interpreter.len() + "#!\n".len() <= LONGEST_FIRST_LINE
        && !interpreter.contains(char::is_whitespace);
    if is_simple {
        return format!("#!{interpreter}");
    }
    // A shell script whose second line is a string to Python.
    let quoted = interpreter.replace('\'', r#"'"'"'"#);
    format!("#!/bin/sh\n'''exec' '{quoted}' \"$0\" \"$@\"\n' '''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_first_line_go_and_its_end_goes_with_it() {
        let script = with_interpreter(b"#!pythonw -E\r\nprint(1)\r\n", "/venv/bin/python").unwrap();
        assert_eq!(script, b"#!/venv/bin/python\nprint(1)\r\n");
        assert_eq!(
            with_interpreter(b"#!/usr/bin/python\n", "/venv/bin/python"),
            None
        );
        assert_eq!(with_interpreter(b"#!python", "/p").unwrap(), b"#!/p");
    }

    #[test]
    fn a_path_that_no_first_line_can_hold_goes_through_the_shell() {
        let long = format!("/{}/python", "x".repeat(130));
        for path in ["/my venv/bin/python", &long] {
            assert!(first_line(path).starts_with("#!/bin/sh\n'''exec' '/"));
        }
    }
}
