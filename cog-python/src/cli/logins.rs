//! Logins of hosts, of the secrets that the user gives: what steps are given of them, and what the builder fetches wheels with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use llb::client::Secret;

use super::Failure;
use crate::base64;
use crate::lock::Login;
use crate::netrc::{self, Machine, NAMED};
use crate::plan::Plan;
use crate::requirement::named_indexes;
use crate::secret::{SecretOption, SecretOrigin};

/// The file of the project that has names for indexes.
const NAMES: &str = "pyproject.toml";

/// Logins by host, and the netrc that steps are given of them.
#[derive(Default)]
pub(super) struct Logins {
    machines: Vec<Machine>,
    netrc: Option<String>,
}

impl Logins {
    /// Those of the secret `netrc`, and those of indexes by their names in the project, as uv has them:
    /// `UV_INDEX_NAME_USERNAME` and `UV_INDEX_NAME_PASSWORD`.
    pub(super) fn find(root: &Path, options: &[SecretOption]) -> Result<Self, Failure> {
        let option = options.iter().rfind(|option| option.id == netrc::SECRET);
        let given = option.map(|option| {
            let told = |reason: &dyn std::fmt::Display| {
                Failure::new(format!("--secret: the `netrc` cannot be read: {reason}"))
            };
            let text = value(option).map_err(|error| told(&error))?;
            let machines = netrc::machines(&text).map_err(|error| told(&error))?;
            Ok::<_, Failure>((text, machines))
        });
        let named = named(root, options)?;
        let Some((text, mut machines)) = given.transpose()? else {
            return Self::new(named, Vec::new(), "");
        };
        machines.retain(|machine| !named.contains(machine));
        Self::new(named, machines, &text)
    }

    fn new(named: Vec<Machine>, given: Vec<Machine>, text: &str) -> Result<Self, Failure> {
        if given.is_empty() && named.is_empty() && text.is_empty() {
            return Ok(Self::default());
        }
        let mut netrc = String::new();
        for machine in &named {
            if given.iter().any(|given| given.host == machine.host) {
                return Err(Failure::new(format!(
                    "--secret: the `netrc` has another login of `{}` than the index there is given",
                    machine.host
                ))
                .hint("leave one of the two out"));
            }
            let Machine {
                host,
                login,
                password,
            } = machine;
            let _ = write!(
                netrc,
                "machine {host}\nlogin {login}\npassword {password}\n"
            );
        }
        netrc += text;
        Ok(Self {
            machines: named.into_iter().chain(given).collect(),
            netrc: Some(netrc),
        })
    }

    /// Hosts that there is a login for.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.machines.iter().map(|one| one.host.clone()).collect();
        hosts.sort();
        hosts
    }

    /// The secrets that are made of them: the netrc of steps, and headers of the builder. Their values are nowhere else.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        let netrc = self.netrc.iter().map(|text| {
            let secret = Secret::bytes(text.as_bytes());
            (netrc::SECRET.to_owned(), secret)
        });
        let headers = self.machines.iter().map(|machine| {
            let header = basic(&machine.login, &machine.password);
            (netrc::header(&machine.host), header)
        });
        netrc.chain(headers).collect()
    }
}

/// The headers that log in to hosts of wheels, as secrets, where an address has the login by names of secrets.
pub(super) fn of_indexes(plan: &Plan, options: &[SecretOption]) -> Vec<(String, Secret)> {
    let value = |name: &str| {
        let option = options.iter().rfind(|option| option.id == name)?;
        value(option).ok()
    };
    let logins = plan
        .wheels()
        .into_iter()
        .flat_map(|(_, install)| &install.logins);
    let header = |login: &Login| {
        let (user, password) = login.expand(value)?;
        Some((login.secret(), basic(&user, &password)))
    };
    logins.filter_map(header).collect()
}

/// What a client says of itself that has a password.
fn basic(user: &str, password: &str) -> Secret {
    let encoded = base64::encode(format!("{user}:{password}").as_bytes());
    Secret::bytes(format!("Basic {encoded}").as_bytes())
}

/// The value of a secret, without the line feed at its end.
fn value(option: &SecretOption) -> Result<String, String> {
    let text = match &option.origin {
        SecretOrigin::File(path) => {
            fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))?
        }
        SecretOrigin::Variable(name) => {
            std::env::var(name).map_err(|error| format!("`{name}`: {error}"))?
        }
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned() + end_of(option))
}

/// A netrc is a file of lines.
fn end_of(option: &SecretOption) -> &'static str {
    if option.id == netrc::SECRET { "\n" } else { "" }
}

/// Logins of indexes that the project has names for.
fn named(root: &Path, options: &[SecretOption]) -> Result<Vec<Machine>, Failure> {
    let mut given: BTreeMap<&str, [Option<&SecretOption>; 2]> = BTreeMap::new();
    for option in options {
        let Some(rest) = option.id.strip_prefix(NAMED) else {
            continue;
        };
        if let Some(name) = rest.strip_suffix("_USERNAME") {
            given.entry(name).or_default()[0] = Some(option);
        } else if let Some(name) = rest.strip_suffix("_PASSWORD") {
            given.entry(name).or_default()[1] = Some(option);
        }
    }
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(root.join(NAMES)).unwrap_or_default();
    let indexes = named_indexes(&text);
    let mut machines: Vec<Machine> = Vec::new();
    for (name, [user, password]) in given {
        let found = indexes.iter().find(|(known, _)| variable(known) == name);
        let Some(host) = found.and_then(|(_, url)| netrc::machine(url)) else {
            // A command may have a use for it.
            let _ = writeln!(
                io::stderr().lock(),
                "warning: --secret: `{NAMES}` has no index whose login `{NAMED}{name}_USERNAME` and `{NAMED}{name}_PASSWORD` are"
            );
            continue;
        };
        let read = |option: Option<&SecretOption>, part: &str| {
            let id = format!("{NAMED}{name}_{part}");
            let option = option.ok_or_else(|| {
                Failure::new(format!("--secret: the login of an index lacks `{id}`")).hint(format!(
                    "add `--secret id={id},src=FILE` or `--secret id={id},env=VARIABLE`"
                ))
            })?;
            let value = value(option).map_err(|reason| {
                Failure::new(format!("--secret: `{id}` cannot be read: {reason}"))
            })?;
            let is_plain = |letter: char| !letter.is_whitespace() && !matches!(letter, '"' | '\\');
            if value.is_empty() || !value.chars().all(is_plain) {
                return Err(Failure::new(format!(
                    "--secret: `{id}` is empty, or has blanks, quotes or backslashes, which programs read differently"
                ))
                .hint("write the address of the index as `https://${USER}:${TOKEN}@host/…`, with `%` escapes in the values"));
            }
            Ok(value)
        };
        let machine = Machine {
            login: read(user, "USERNAME")?,
            password: read(password, "PASSWORD")?,
            host,
        };
        if machines.contains(&machine) {
            continue;
        }
        if machines.iter().any(|other| other.host == machine.host) {
            return Err(Failure::new(format!(
                "--secret: two indexes on the host `{}` have logins of their own, and a host has one",
                machine.host
            ))
            .hint("write the address of one as `https://${USER}:${TOKEN}@host/…`"));
        }
        machines.push(machine);
    }
    Ok(machines)
}

/// The name of an index as uv's variables have it.
fn variable(name: &str) -> String {
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logins of a project with two indexes on one host and one on another, and secrets with these values.
    fn find(secrets: &[(&str, &str)]) -> Result<Logins, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let indexes = "[[tool.uv.index]]\nname = \"my-team\"\nurl = \"https://Team.example.com:8080/simple\"\n[[tool.uv.index]]\nname = \"other\"\nurl = \"https://team.example.com/other\"\n[[tool.uv.index]]\nname = \"far\"\nurl = \"https://far.example.com/simple\"\n[[tool.uv.index]]\nurl = \"https://unnamed.example.com/simple\"\n";
        fs::write(folder.path().join(NAMES), indexes).unwrap();
        let option = |(id, value): &(&str, &str)| {
            let path = folder.path().join(id);
            fs::write(&path, format!("{value}\n")).unwrap();
            let option = format!("id={id},src={}", path.display());
            option.parse::<SecretOption>().unwrap()
        };
        let options: Vec<SecretOption> = secrets.iter().map(option).collect();
        Logins::find(folder.path(), &options)
    }

    fn mistake(secrets: &[(&str, &str)]) -> String {
        let failure = find(secrets).err().map(|failure| failure.to_string());
        failure.expect("the logins are wrong")
    }

    const TEAM: [(&str, &str); 2] = [
        ("UV_INDEX_MY_TEAM_USERNAME", "me"),
        ("UV_INDEX_MY_TEAM_PASSWORD", "p@ss/1"),
    ];

    #[test]
    fn indexes_with_names_are_machines() {
        let logins = find(&TEAM).unwrap();
        assert_eq!(logins.hosts(), ["team.example.com"]);
        let text = "machine team.example.com\nlogin me\npassword p@ss/1\n";
        assert_eq!(logins.netrc.as_deref(), Some(text));
        let names: Vec<String> = logins.secrets().into_iter().map(|(id, _)| id).collect();
        assert_eq!(names, ["netrc", "authorization.team.example.com"]);

        let none = find(&[("TOKEN", "a"), ("UV_INDEX_NONE_PASSWORD", "a")]).unwrap();
        assert!(none.secrets().is_empty());
    }

    #[test]
    fn a_netrc_is_given_as_it_is_behind_the_logins_of_indexes() {
        let netrc = "default login a password b\nmachine far.example.com login you password x";
        let alone = find(&[("netrc", netrc)]).unwrap();
        assert_eq!(alone.netrc, Some(format!("{netrc}\n")));
        assert_eq!(alone.hosts(), ["far.example.com"]);
        let both = find(&[&TEAM[..], &[("netrc", netrc)]].concat()).unwrap();
        assert_eq!(both.hosts(), ["far.example.com", "team.example.com"]);
        let text = both.netrc.unwrap();
        assert!(text.starts_with("machine team.example.com\n"), "{text}");
        assert!(
            text.ends_with(&format!("password p@ss/1\n{netrc}\n")),
            "{text}"
        );
        let same = "machine team.example.com login me password p@ss/1";
        let same = find(&[&TEAM[..], &[("netrc", same)]].concat()).unwrap();
        assert_eq!(same.hosts(), ["team.example.com"]);
    }

    #[test]
    fn mistakes_say_what_is_missing_and_no_value() {
        for (secrets, part) in [
            (
                vec![TEAM[1]],
                "the login of an index lacks `UV_INDEX_MY_TEAM_USERNAME`",
            ),
            (
                vec![TEAM[0], ("UV_INDEX_MY_TEAM_PASSWORD", "p@ss word")],
                "`UV_INDEX_MY_TEAM_PASSWORD` is empty, or has blanks",
            ),
            (
                vec![
                    TEAM[0],
                    TEAM[1],
                    ("UV_INDEX_OTHER_USERNAME", "me"),
                    ("UV_INDEX_OTHER_PASSWORD", "p@ss/2"),
                ],
                "two indexes on the host `team.example.com`",
            ),
            (
                vec![
                    TEAM[0],
                    TEAM[1],
                    ("netrc", "machine team.example.com login me password p@ss/2"),
                ],
                "the `netrc` has another login of `team.example.com`",
            ),
            (
                vec![("netrc", "machine a\nlogin b\np@ss/1")],
                "the `netrc` cannot be read: line 3: expected one of",
            ),
        ] {
            let text = mistake(&secrets);
            assert!(text.contains(part), "no {part:?} in {text}");
            assert!(!text.contains("p@ss"), "{text}");
        }
    }
}
