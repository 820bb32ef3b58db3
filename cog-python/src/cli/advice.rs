//! What to do about the common reasons why a step fails.
//!
//! Programs in a step say what went wrong in their own words and know nothing of `cog.yaml`. Where
//! those words are well known, the failure gets the next step for the user.

/// Circumstances of a build that decide what to advise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Steps were given a certificate bundle.
    pub(super) has_certificates: bool,
    /// Steps use the network of the host.
    pub(super) has_host_network: bool,
    /// Indexes of packages are given a login.
    pub(super) has_logins: bool,
}

/// Words of a program, and what to do about them.
struct Case {
    /// One of these is in the output, in lowercase.
    words: &'static [&'static str],
    applies: fn(Circumstances) -> bool,
    advice: &'static str,
}

/// How a lock and BuildKit say that a server wants to know who asks.
const UNAUTHORIZED: [&str; 4] = [
    "401 unauthorized",
    "403 forbidden",
    "response status 401",
    "response status 403",
];

/// What an index wants that was asked without a login.
const WANTED: &str = "an index wants a login: write its address as `https://${USER}:${TOKEN}@host/…`, and give both \
                      with `--secret id=NAME,src=FILE`, or give a netrc that has its host with `--secret id=netrc,src=FILE`";

/// The first that fits is given.
const CASES: &[Case] = &[
    Case {
        words: &[
            "certificate_verify_failed",
            "certificate verification failed",
            "unable to get local issuer certificate",
            "invalid peer certificate",
        ],
        applies: |circumstances| !circumstances.has_certificates,
        advice: "if your network inspects TLS, name its certificate with `--ca-cert FILE`",
    },
    Case {
        words: &[
            "temporary failure resolving",
            "temporary failure in name resolution",
            "could not resolve host",
            "failed to lookup address information",
            "name or service not known",
            "network bridge not found",
        ],
        applies: |circumstances| !circumstances.has_host_network,
        advice: "the step reaches no network; if the builder has none to give, use `--network host`",
    },
    Case {
        words: &["wants a login (401", "wants a login (403"],
        applies: |_| true,
        advice: WANTED,
    },
    Case {
        words: &UNAUTHORIZED,
        applies: |circumstances| circumstances.has_logins,
        advice: "the index refuses the login: look at the user and the password or token that `--secret` \
                 gives; what is special in an URL is written as `%` and two digits, such as `%40` for `@`",
    },
    Case {
        words: &UNAUTHORIZED,
        applies: |circumstances| !circumstances.has_logins,
        advice: WANTED,
    },
    Case {
        words: &["digest mismatch"],
        applies: |circumstances| circumstances.has_logins,
        advice: "what was fetched is not the file of the lock: a server that refuses a login may answer with a page \
                 instead, so look at the user and the password or token that `--secret` gives",
    },
    Case {
        words: &["digest mismatch"],
        applies: |circumstances| !circumstances.has_logins,
        advice: "what was fetched is not the file that was asked for: it is another one now, or its server answers \
                 with a page, such as one that wants a login",
    },
    Case {
        words: &[
            "cannot find command 'git'",
            "git: not found",
            "error finding executable git",
        ],
        applies: |_| true,
        advice: "add `git` to `build.system_packages`",
    },
    Case {
        words: &["python.h: no such file", "pyconfig.h: no such file"],
        applies: |_| true,
        advice: "add `python3-dev` to `build.system_packages`",
    },
    Case {
        words: &[
            "command 'gcc' failed: no such file",
            "command 'cc' failed: no such file",
            "error: command 'g++' failed: no such file",
            "command 'x86_64-linux-gnu-gcc' failed: no such file",
            "unknown compiler(s)",
            "no cmake_c_compiler could be found",
        ],
        applies: |_| true,
        advice: "a package has no wheel for this Python and is compiled: add `build-essential` to \
                 `build.system_packages`",
    },
    Case {
        words: &["unable to locate package", "has no installation candidate"],
        applies: |_| true,
        advice: "look the name up at packages.debian.org, for the release that the base image has",
    },
    Case {
        words: &["exec format error"],
        applies: |_| true,
        advice: "the builder runs no programs of that platform: its host needs emulators (`docker run --privileged --rm tonistiigi/binfmt --install all`), or take a builder that has the platform",
    },
    Case {
        words: &["no space left on device"],
        applies: |_| true,
        advice: "the builder's disk is full: remove old images, or prune its build cache",
    },
];

/// What to do where a registry, as opposed to an index, wants to know who asks.
const LOGIN: &str = "log in with `docker login` and the registry's host, if the image is private";

/// Whether a failure is about an image in a registry that does not let everybody have it.
fn is_private_image(message: &str) -> bool {
    let is_image = ["failed to resolve source metadata for ", "failed to push "];
    let refused = ["pull access denied", "authorization failed"];
    is_image.iter().any(|part| message.contains(part))
        && (UNAUTHORIZED.iter().chain(&refused)).any(|part| message.contains(part))
}

/// What to do about a step that failed with this message and this output.
pub(super) fn advice(
    message: &str,
    output: &[String],
    circumstances: Circumstances,
) -> Option<&'static str> {
    if is_private_image(&message.to_lowercase()) {
        return Some(LOGIN);
    }
    let lines = output.iter().map(String::as_str).chain([message]);
    let output: Vec<String> = lines.map(str::to_lowercase).collect();
    let said = |word: &&str| output.iter().any(|line| line.contains(*word));
    CASES
        .iter()
        .find(|case| (case.applies)(circumstances) && case.words.iter().any(said))
        .map(|case| case.advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Circumstances = Circumstances {
        has_certificates: false,
        has_host_network: false,
        has_logins: false,
    };

    fn advise(line: &str, circumstances: Circumstances) -> Option<&'static str> {
        advice(
            "step failed",
            &["before".to_owned(), line.to_owned()],
            circumstances,
        )
    }

    #[test]
    fn well_known_words_have_a_next_step() {
        for (line, part) in [
            (
                "SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
                "--ca-cert",
            ),
            (
                "E: Temporary failure resolving 'deb.debian.org'",
                "--network host",
            ),
            ("ERROR: Cannot find command 'git' - do you have", "`git`"),
            (
                "error: command 'gcc' failed: No such file or directory",
                "`build-essential`",
            ),
            (
                "x.c:1:10: fatal error: Python.h: No such file or directory",
                "`python3-dev`",
            ),
            ("exec /bin/sh: Exec format error", "binfmt"),
            (
                "E: Unable to locate package fortune-modd",
                "packages.debian.org",
            ),
        ] {
            assert!(advise(line, BARE).unwrap().contains(part), "{line}");
        }
        assert_eq!(advise("ValueError: no", BARE), None);
        let refused = "did not complete successfully: network bridge not found";
        assert!(
            advice(refused, &[], BARE)
                .unwrap()
                .contains("--network host")
        );
    }

    #[test]
    fn what_was_done_already_is_not_advised() {
        let given = Circumstances {
            has_certificates: true,
            has_host_network: true,
            has_logins: true,
        };
        let refused = "invalid response status 401";
        assert!(advise(refused, BARE).unwrap().contains("${TOKEN}"));
        assert!(advise(refused, given).unwrap().contains("refuses"));
        assert_eq!(advise("certificate verification failed", given), None);
        assert_eq!(advise("Could not resolve host: pypi.org", given), None);
    }

    #[test]
    fn a_private_image_wants_a_login_of_docker() {
        for message in [
            "build failed: failed to resolve source metadata for a.b/c:1: unexpected status from HEAD request to \
             https://a.b/v2/c/manifests/1: 401 Unauthorized",
            "failed to resolve source metadata for docker.io/a/b:1: pull access denied, repository does not exist or may \
             require authorization",
            "failed to push a.b/c: unexpected status from POST request: 401 Unauthorized",
        ] {
            assert_eq!(advice(message, &[], BARE), Some(LOGIN), "{message}");
        }
        let missing = "failed to resolve source metadata for docker.io/a/b:1: not found";
        assert_eq!(advice(missing, &[], BARE), None);
    }

    #[test]
    fn words_are_written_as_they_are_compared() {
        for word in CASES.iter().flat_map(|case| case.words) {
            assert_eq!(*word, word.to_lowercase());
        }
    }
}
