//! Random cases: a base, two or three forks of one or two steps, and their merge.
//!
//! Half of them run commands, which a helper has to apply; half are of file actions, many of which are provably a chain.
//! What the documentation leaves out of its promise is left out here too: `user.*` attributes, links to files of the
//! base, changes that no engine sees.

use serde_json::{Value, json};

use super::case::Case;

/// So many cases; the same ones for the same seed.
pub(crate) fn cases(seed: u64, count: u64) -> Vec<Case> {
    (0..count)
        .map(|number| {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number));
            let value = if number % 2 == 0 {
                commands(&mut random)
            } else {
                actions(&mut random)
            };
            Case::new(format!("random-{seed}-{number}"), value)
        })
        .collect()
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(1).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

const BASE: &str = "set -e
umask 022
mkdir -p d/sub/deep e o
echo one > d/one
echo two > d/two
echo three > d/sub/three
echo four > d/sub/deep/four
echo f > f
echo g > g
echo k > o/keep
ln -s d/sub link
ln -s f file-link
find . -mindepth 1 -exec touch -h -d @981173106 {} +
touch -d @981173106 .
";

const FILES: &[&str] = &[
    "f",
    "g",
    "d/one",
    "d/two",
    "d/sub/three",
    "d/sub/deep/four",
    "o/keep",
    "n",
    "d/n",
    "e/n",
    "d/sub/n",
    "link/three",
    "link/n",
    "new/n",
    "file-link",
];
const DIRECTORIES: &[&str] = &[
    "d",
    "d/sub",
    "d/sub/deep",
    "e",
    "o",
    "new",
    "link",
    "d/fresh",
];

fn commands(random: &mut Random) -> Value {
    let mut states = vec![json!({"name": "base", "script": BASE})];
    let forks = forks(random, &mut states, |random| {
        let lines: Vec<String> = (0..=random.below(3)).map(|_| line(random)).collect();
        json!({"run": format!("{}\ntrue", lines.join("\n"))})
    });
    merge(random, states, &forks)
}

/// A command that may fail, but does not end the step.
fn line(random: &mut Random) -> String {
    let file = random.pick(FILES);
    let other = random.pick(FILES);
    let directory = random.pick(DIRECTORIES);
    let number = random.below(9);
    let command = match random.below(18) {
        0 | 1 => format!("echo {number} > {file}"),
        2 => format!("echo {number} >> {file}"),
        3 => format!("rm -f {file}"),
        4 => format!("rm -rf {directory}"),
        5 => format!("mkdir -p {directory}"),
        6 => format!("chmod 07{number}0 {directory}", number = number % 8),
        7 => format!("chmod 06{number}4 {file}", number = number % 8),
        8 => format!("chown {number}:{number} {file}"),
        9 => format!("chown -h {number}:3 {directory}"),
        10 => format!("mv {file} {other}"),
        11 => format!("mv {directory} moved{number}"),
        12 => format!("echo l{number} > {file}.new && ln {file}.new {file}.name"),
        13 => format!("ln -sfn {other} {directory}/to"),
        14 => format!("rm -rf {directory} && echo {number} > {directory}"),
        15 => format!("rm -rf {file} && mkdir {file} && echo {number} > {file}/in"),
        16 => format!("touch -d @98117{number}000 {file}"),
        _ => format!(
            "rm -rf {directory} && mkdir {directory} && echo {number} > {directory}/{number}"
        ),
    };
    format!("( {command} ) 2> /dev/null")
}

fn actions(random: &mut Random) -> Value {
    let base = [
        json!({"op": "mkdir", "path": "d", "mode": "0755", "mtime": 981_173_106}),
        json!({"op": "mkdir", "path": "d/sub", "mode": "0750", "mtime": 981_173_106}),
        json!({"op": "mkfile", "path": "d/one", "content": "1\n", "mtime": 981_173_106}),
        json!({"op": "mkfile", "path": "d/sub/two", "content": "2\n", "mtime": 981_173_106}),
        json!({"op": "mkdir", "path": "e", "mode": "0700", "mtime": 981_173_106}),
        json!({"op": "mkfile", "path": "f", "content": "f\n", "mtime": 981_173_106}),
        json!({"op": "mkfile", "path": "g", "content": "g\n", "mtime": 981_173_106}),
    ];
    let mut states = vec![
        json!({"name": "empty", "scratch": true}),
        json!({"name": "base", "from": "empty", "steps": [{"file": base}]}),
        json!({"name": "src", "from": "empty", "steps": [{"file": [
            {"op": "mkdir", "path": "lib", "mode": "0711", "mtime": 981_173_000},
            {"op": "mkfile", "path": "lib/a", "content": "a\n", "mtime": 981_173_000},
            {"op": "symlink", "path": "lib/b", "target": "a"},
            {"op": "mkfile", "path": "tool", "content": "t\n", "mode": "0755"},
        ]}]}),
    ];
    let mut count = 0;
    let forks = forks(random, &mut states, |random| {
        let actions: Vec<Value> = (0..=random.below(2))
            .map(|_| {
                count += 1;
                action(random, count)
            })
            .collect();
        json!({"file": actions})
    });
    merge(random, states, &forks)
}

fn action(random: &mut Random, count: usize) -> Value {
    let parent = random.pick(&["d", "d/sub", "e", ".", "d/sub/new", "fresh"]);
    let name = random.pick(&["n", "m", "one", "two", "f", "g", "x"]);
    let path = if parent == "." {
        name.to_owned()
    } else {
        format!("{parent}/{name}")
    };
    match random.below(8) {
        0..=2 => {
            json!({"op": "mkfile", "path": path, "content": format!("{count}\n"), "mode": "0640"})
        }
        3 => json!({"op": "mkdir", "path": format!("{path}-dir"), "mode": "0701"}),
        4 => {
            json!({"op": "mkdir", "path": format!("{path}-dir/in"), "mode": "0711", "parents": true})
        }
        5 => {
            json!({"op": "rm", "path": random.pick(&["d/one", "d/sub/two", "f", "g", "e", "d/sub"])})
        }
        6 => {
            json!({"op": "copy", "from": "src", "src": "lib", "path": format!("{path}-lib"), "create_dest_path": random.below(2) == 0})
        }
        _ => {
            json!({"op": "copy", "from": "src", "src": "tool", "path": path, "mode": "0700", "uid": 3, "gid": 4})
        }
    }
}

fn forks(
    random: &mut Random,
    states: &mut Vec<Value>,
    mut step: impl FnMut(&mut Random) -> Value,
) -> Vec<String> {
    let count = 2 + random.below(2);
    let names: Vec<String> = (0..count).map(|number| format!("fork{number}")).collect();
    for name in &names {
        let steps: Vec<Value> = (0..=random.below(2)).map(|_| step(random)).collect();
        states.push(json!({"name": name, "from": "base", "steps": steps}));
    }
    names
}

fn merge(random: &mut Random, mut states: Vec<Value>, forks: &[String]) -> Value {
    states.push(json!({"name": "m", "merge": {"base": "base", "forks": forks}}));
    let mut result = "m";
    if random.below(4) == 0 {
        // The merge against the first fork's own difference: a merge of merges.
        states.push(json!({"name": "again", "merge": {"base": "base", "forks": ["m", forks[0]]}}));
        result = "again";
    }
    json!({"states": states, "result": result})
}
