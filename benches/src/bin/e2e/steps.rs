//! What a build did, read from its progress in plain lines.

use std::collections::BTreeMap;

/// Steps that were run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Steps {
    /// Ops that were not in the cache, without those of the frontend and of exports.
    pub(crate) run: usize,
    /// Those of them that ran a command in a container.
    pub(crate) containers: usize,
}

/// Beginnings of the names of what is no op of the image.
const AROUND: [&str; 10] = [
    "[internal]",
    "exporting",
    "importing",
    "load ",
    "local://",
    "pushing",
    "resolve ",
    "preparing",
    "writing",
    "auth",
];

/// Beginnings of the names of ops that run no command.
const QUIET: [&str; 12] = [
    "copy ",
    "docker-image://",
    "git://",
    "http://",
    "https://",
    "merge",
    "mkdir",
    "mkfile",
    "oci-layout://",
    "write ",
    "fetch ",
    "base ",
];

impl Steps {
    /// Reads lines such as `#3 pip install` and `#3 DONE 1.2s`.
    pub(crate) fn read(progress: &str) -> Self {
        let mut names = BTreeMap::new();
        let mut ran = BTreeMap::new();
        for line in progress.lines() {
            let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            names.entry(number).or_insert(rest);
            if rest == "CACHED" {
                ran.insert(number, false);
            } else if rest.starts_with("DONE ") {
                // What is in a cache is fetched when it is needed, which ends once more.
                ran.entry(number).or_insert(true);
            }
        }
        let mut steps = Self::default();
        for (number, name) in names {
            let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
            if ran.get(number) != Some(&true) || begins(&AROUND) {
                continue;
            }
            steps.run += 1;
            // Steps of a Dockerfile are numbered.
            let runs_command = match name
                .strip_prefix('[')
                .and_then(|name| name.split_once("] "))
            {
                Some((_, instruction)) => instruction.starts_with("RUN "),
                None => !begins(&QUIET),
            };
            steps.containers += usize::from(runs_command);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_ran_are_told_from_cached_ones() {
        let progress = "#1 [internal] load build definition\n#1 DONE 0.0s\n\n\
                        #2 [2/4] RUN pip install x\n#2 1.0 Collecting x\n#2 DONE 2.0s\n\n\
                        #3 [3/4] COPY . /src\n#3 CACHED\n\n#4 pip: idna\n#4 DONE 0.1s\n\n\
                        #5 copy the project\n#5 DONE 0.1s\n\n#6 exporting to image\n#6 DONE 0.1s\n\n\
                        #7 pip: requests\n#7 CACHED\n\n#7 pip: requests\n#7 DONE 0.3s\n";
        let expected = Steps {
            run: 3,
            containers: 2,
        };
        assert_eq!(Steps::read(progress), expected);
    }
}
