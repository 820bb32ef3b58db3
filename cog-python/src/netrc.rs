//! Logins of hosts as a netrc file has them, which uv, pip, git and curl read.
//!
//! Every step that asks an index of packages names the same optional secret ([`SECRET`], as the file [`PATH`]), whether
//! whoever builds gives it or not, so that the graph is the same everywhere. The builder itself, which fetches wheels,
//! reads no such file: of each of its [machines] the client makes the header that the builder sends.

use std::fmt;

use crate::lock::host;

/// Name of the secret that is the file.
pub const SECRET: &str = "netrc";

/// Where steps find the file: git and curl look nowhere else.
pub const PATH: &str = "/root/.netrc";

/// Variable that names the file to uv and pip.
pub const VARIABLE: &str = "NETRC";

/// What names of secrets start with that are the login of an index by its name: uv's own variables.
pub(crate) const NAMED: &str = "UV_INDEX_";

/// The login of a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Machine {
    /// The host, without a port, in small letters.
    pub host: String,
    /// Name of the user; may be empty.
    pub login: String,
    /// Password or token; may be empty.
    pub password: String,
}

impl fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a file. Nothing of it is repeated: any word may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct NetrcError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: NetrcProblem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetrcProblem {
    /// A word that has no meaning.
    #[error("expected one of `machine`, `default`, `login`, `password`, `account` and `macdef`")]
    Word,
    /// A login of no host.
    #[error("`machine` or `default` must come first")]
    Machine,
    /// A word that ends the file.
    #[error("`{0}` has no value")]
    Value(&'static str),
}

/// The machines of a file, sorted, each once; of two for one host the last counts, as for uv and pip. What the entry `default`
/// has is for no machine.
///
/// # Errors
///
/// The first line that is not understood.
///
/// ```
/// let machines = cog_python::netrc::machines("machine pypi.example.com login me password secret")?;
/// assert_eq!(machines[0].host, "pypi.example.com");
/// assert_eq!(machines[0].login, "me");
/// # Ok::<(), cog_python::netrc::NetrcError>(())
/// ```
pub fn machines(text: &str) -> Result<Vec<Machine>, NetrcError> {
    let mut words = Words {
        rest: text,
        line: 1,
    };
    let mut machines: Vec<Machine> = Vec::new();
    let mut is_default = false;
    while let Some(word) = words.next() {
        let keyword = match word.as_str() {
            "machine" => "machine",
            "login" | "user" => "login",
            "password" => "password",
            "account" => "account",
            "default" => {
                is_default = true;
                continue;
            }
            "macdef" => {
                words.skip_past("\n\n");
                continue;
            }
            word if word.starts_with('#') => {
                words.skip_past("\n");
                continue;
            }
            _ => return Err(words.error(NetrcProblem::Word)),
        };
        if keyword != "machine" && machines.is_empty() && !is_default {
            return Err(words.error(NetrcProblem::Machine));
        }
        let Some(value) = words.next() else {
            return Err(words.error(NetrcProblem::Value(keyword)));
        };
        if keyword == "machine" {
            is_default = false;
            machines.push(Machine {
                host: value.to_lowercase(),
                login: String::new(),
                password: String::new(),
            });
            continue;
        }
        let Some(machine) = machines.last_mut().filter(|_| !is_default) else {
            continue;
        };
        match keyword {
            "login" => machine.login = value,
            "password" => machine.password = value,
            _ => {}
        }
    }
    // The last of each host comes first.
    machines.reverse();
    machines.sort_by(|one, other| one.host.cmp(&other.host));
    machines.dedup_by(|one, other| one.host == other.host);
    Ok(machines)
}

/// The host of an URL as files name it.
pub(crate) fn machine(url: &str) -> Option<String> {
    let host = host(url)?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    Some(name.trim_matches(['[', ']']).to_lowercase())
}

/// Name of the secret that is sent as `Authorization` header to a host.
pub(crate) fn header(host: &str) -> String {
    format!("authorization.{host}")
}

/// The words of a file, and the line they are on.
struct Words<'t> {
    rest: &'t str,
    line: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        let start = self.rest.find(|letter: char| !letter.is_whitespace())?;
        self.skip(start);
        if !self.rest.starts_with('"') {
            let end = self.rest.find(char::is_whitespace);
            let word = self.rest[..end.unwrap_or(self.rest.len())].to_owned();
            self.skip(word.len());
            return Some(word);
        }
        let mut word = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        let mut end = self.rest.len();
        while let Some((index, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = index + 1;
                    break;
                }
                '\\' => word.extend(letters.next().map(|(_, letter)| letter)),
                letter => word.push(letter),
            }
        }
        self.skip(end);
        Some(word)
    }

    /// Leaves out everything up to a mark, and the mark.
    fn skip_past(&mut self, mark: &str) {
        let found = self.rest.find(mark);
        self.skip(found.map_or(self.rest.len(), |index| index + mark.len()));
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    fn error(&self, problem: NetrcProblem) -> NetrcError {
        NetrcError {
            line: self.line,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let machines = machines(text).unwrap().into_iter();
        machines
            .map(|machine| (machine.host, machine.login, machine.password))
            .collect()
    }

    fn triple(host: &str, login: &str, password: &str) -> (String, String, String) {
        (host.into(), login.into(), password.into())
    }

    #[test]
    fn entries_are_read_however_they_are_laid_out() {
        let text = "# ours\nmachine B.example.com\n\tlogin me\r\n\tpassword #p@ss/1\n\nmachine a.example.com login you account x password \"a \\\"b\\\"\" # yours\nmacdef init\nlogin nobody\n\ndefault login anonymous password none\n";
        assert_eq!(
            read(text),
            [
                triple("a.example.com", "you", "a \"b\""),
                triple("b.example.com", "me", "#p@ss/1"),
            ]
        );
        assert_eq!(read(""), []);
        assert_eq!(read("default login a password b"), []);
        let twice = "machine a login one password 1 machine a login two password 2";
        assert_eq!(read(twice), [triple("a", "two", "2")]);
    }

    #[test]
    fn mistakes_are_at_their_line_and_repeat_no_word() {
        for (text, line, problem) in [
            ("machine a\nlogin b\nhunter2\n", 3, NetrcProblem::Word),
            ("\nlogin b\n", 2, NetrcProblem::Machine),
            (
                "machine a\nlogin b\npassword",
                3,
                NetrcProblem::Value("password"),
            ),
            ("machine", 1, NetrcProblem::Value("machine")),
        ] {
            let error = machines(text).unwrap_err();
            assert_eq!(error, NetrcError { line, problem }, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let machine = &machines("machine a login b password hunter2").unwrap()[0];
        assert_eq!(format!("{machine:?}"), "Machine { host: \"a\", .. }");
    }

    #[test]
    fn hosts_have_no_ports() {
        for (url, expected) in [
            ("https://A.example.com:8080/simple", "a.example.com"),
            ("https://${TOKEN}@a/simple", "a"),
            ("http://127.0.0.1:1/", "127.0.0.1"),
            ("http://[::1]:80/", "::1"),
            ("http://[::1]/", "::1"),
        ] {
            assert_eq!(machine(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(machine("packages/a.whl"), None);
    }
}
