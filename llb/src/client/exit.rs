//! What an exit code means.

/// Says what a shell or the kernel means by an exit code; `None` if the code is the program's own.
pub(super) fn meaning(code: u32) -> Option<String> {
    let text = match code {
        126 => "the command is not executable",
        127 => "the command was not found",
        129..=192 => {
            let number = code - 128;
            return Some(match signal(number) {
                Some(name) if number == 9 => {
                    format!("killed by {name}, often because memory ran out")
                }
                Some(name) => format!("ended by {name}"),
                None => format!("ended by signal {number}"),
            });
        }
        255 => "often a remote program such as ssh that could not connect",
        u32::MAX => "the process could not be started, or was lost",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Names of signals on Linux, the same on all architectures that BuildKit builds for but MIPS.
fn signal(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL (illegal instruction: built for another processor?)",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV (invalid memory access)",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU (too much processor time)",
        25 => "SIGXFSZ (a file grew too large)",
        31 => "SIGSYS (a system call that is not allowed)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_shells_and_signals_have_a_meaning() {
        for (code, part) in [
            (127, "not found"),
            (137, "SIGKILL, often because memory"),
            (139, "SIGSEGV"),
            (163, "signal 35"),
        ] {
            assert!(meaning(code).unwrap().contains(part), "{code}");
        }
        for code in [0, 1, 2, 3, 100, 128, 193, 254] {
            assert_eq!(meaning(code), None, "{code}");
        }
    }
}
