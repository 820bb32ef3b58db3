//! Patterns of paths, as `.dockerignore` files and BuildKit's include and exclude lists have them.
//!
//! The rules are those of moby/patternmatcher (commit `5a6d842`), which BuildKit uses on both ends:
//!
//! - A pattern is anchored: `a` is the `a` at the top, not every `a`. It matches a path if it
//!   matches the path itself or one of its parent directories.
//! - `*` is any run of characters without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` one
//!   character in or not in a class, `\` takes the next character literally.
//! - `**` is any number of directories: `**/a` is every `a`, `a/**` everything below `a` but not
//!   `a` itself, `a/**/b` any `b` below `a`.
//! - `!` before a pattern takes back what earlier patterns matched. The last pattern that matches
//!   decides.
//! - Patterns are trimmed and cleaned (`./a/` is `a`); empty ones are skipped.
//!
//! A quirk is kept: a pattern that begins with `**`, followed by literal text alone, matches every
//! path that ends with that text, so `**file` matches `myfile`, while `**file*` does not match
//! `myfile1`. Where moby's translation into regular expressions gives accidents (`\d` a digit, `[*]` a
//! broken class), `\d` is the letter and `[*]` the star here.
//!
//! ```
//! use llb::session::PatternSet;
//!
//! let ignored = PatternSet::new(["*.log", "target", "!target/keep.txt"])?;
//! assert!(ignored.matches("build.log"));
//! assert!(!ignored.matches("sub/build.log"));
//! assert!(ignored.matches("target/debug/x"));
//! assert!(!ignored.matches("target/keep.txt"));
//! # Ok::<(), llb::session::PatternError>(())
//! ```

use std::fmt;

/// Patterns in order.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    patterns: Vec<Pattern>,
}

/// A pattern that is no pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternError {
    pattern: String,
    reason: &'static str,
}

/// Which patterns matched a directory: saves matching them again below it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Matched(Vec<bool>);

#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    exclusion: bool,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Tokens(Vec<Token>),
}

#[derive(Clone, Debug)]
enum Token {
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// One character but `/`.
    Any,
    /// Any run of characters without `/`.
    Star,
    /// Nothing, or anything up to and including a `/`: entered here, ...
    DirectoriesStart,
    /// ... and left from here.
    Directories,
    /// Anything.
    Rest,
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "pattern `{}`: {}", self.pattern, self.reason)
    }
}

impl std::error::Error for PatternError {}

impl PatternSet {
    /// Reads patterns.
    ///
    /// # Errors
    ///
    /// A lone `!`, a class that is empty, open or backwards, or a `\` at the end.
    pub fn new<I>(patterns: I) -> Result<Self, PatternError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut read = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref().trim();
            if !pattern.is_empty() {
                read.push(Pattern::new(pattern)?);
            }
        }
        Ok(Self { patterns: read })
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path or one of its parents is matched, all patterns considered.
    ///
    /// The path is relative, with `/` between its parts.
    pub fn matches(&self, path: &str) -> bool {
        let mut matched = false;
        for pattern in &self.patterns {
            if pattern.exclusion != matched {
                continue;
            }
            if pattern.is_match(path) || parents(path).any(|parent| pattern.is_match(parent)) {
                matched = !pattern.exclusion;
            }
        }
        matched
    }

    /// Like [`PatternSet::matches`], with what is known of the parent directory; the second value is
    /// what is then known of this path. `None` stands for the top.
    pub(crate) fn matches_below(&self, path: &str, parent: Option<&Matched>) -> (bool, Matched) {
        let mut matched = false;
        let mut known = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let mut is_match = parent.is_some_and(|parent| parent.0[index]);
            if !is_match {
                if pattern.exclusion != matched {
                    continue;
                }
                is_match = pattern.is_match(path);
            }
            known[index] = is_match;
            if is_match {
                matched = !pattern.exclusion;
            }
        }
        (matched, Matched(known))
    }

    /// Whether a pattern that is (or is not) an exclusion can match anything below a directory.
    pub(crate) fn can_match_below(&self, directory: &str, exclusions: bool) -> bool {
        self.patterns
            .iter()
            .filter(|pattern| pattern.exclusion == exclusions)
            .any(|pattern| pattern.can_match_below(directory))
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, PatternError> {
        let fail = |reason| PatternError {
            pattern: pattern.to_owned(),
            reason,
        };
        let cleaned = clean(pattern);
        let (exclusion, text) = match cleaned.strip_prefix('!') {
            Some("") => return Err(fail("an exclusion needs a pattern after `!`")),
            Some(rest) => (true, rest),
            None => (false, cleaned.as_str()),
        };
        Ok(Self {
            exclusion,
            rule: Rule::new(text).map_err(fail)?,
            text: text.to_owned(),
        })
    }

    fn is_match(&self, path: &str) -> bool {
        match &self.rule {
            Rule::Exact(text) => path == text,
            Rule::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Rule::Suffix(suffix) => {
                path.ends_with(suffix.as_str())
                    || suffix.strip_prefix('/').is_some_and(|name| name == path)
            }
            Rule::Tokens(tokens) => tokens_match(tokens, path),
        }
    }

    /// Compares the parts before the first wildcard, which are fixed because patterns are anchored.
    fn can_match_below(&self, directory: &str) -> bool {
        let mut names = directory.split('/');
        for part in self.text.split('/') {
            if part.contains(['*', '?', '[', '\\']) {
                return true;
            }
            match names.next() {
                Some(name) if name == part => {}
                Some(_) => return false,
                None => return true,
            }
        }
        true
    }
}

impl Rule {
    fn new(text: &str) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        // What the whole pattern is, as long as nothing but literal text has been seen.
        let mut literal = true;
        let mut suffix = false;
        let mut prefix = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let first = tokens.is_empty();
            match character {
                '*' if characters.peek() == Some(&'*') => {
                    characters.next();
                    if characters.peek() == Some(&'/') {
                        characters.next();
                    }
                    let last = characters.peek().is_none();
                    if last {
                        prefix = literal && !suffix;
                        tokens.push(Token::Rest);
                    } else {
                        tokens.push(Token::DirectoriesStart);
                        tokens.push(Token::Directories);
                    }
                    if first {
                        suffix = true;
                    } else if !prefix {
                        literal = false;
                    }
                }
                '*' => {
                    literal = false;
                    tokens.push(Token::Star);
                }
                '?' => {
                    literal = false;
                    tokens.push(Token::Any);
                }
                '[' => {
                    literal = false;
                    tokens.push(class(&mut characters)?);
                }
                '\\' => {
                    literal = false;
                    let next = characters.next().ok_or("ends with `\\`")?;
                    tokens.push(Token::Literal(next));
                }
                _ => {
                    literal &= character != ']';
                    tokens.push(Token::Literal(character));
                }
            }
        }
        Ok(match (literal, suffix, prefix) {
            (true, true, _) => Self::Suffix(text[2..].to_owned()),
            (true, false, true) => Self::Prefix(text[..text.len() - 2].to_owned()),
            (true, false, false) => Self::Exact(text.to_owned()),
            _ => Self::Tokens(tokens),
        })
    }
}

fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "has a `[` without its `]`";
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let single = |characters: &mut std::iter::Peekable<std::str::Chars<'_>>| match characters
        .next()
        .ok_or(OPEN)?
    {
        '-' | ']' => Err("has an empty class, or a `-` or `]` in one without `\\`"),
        '\\' => characters.next().ok_or(OPEN),
        character => Ok(character),
    };
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = single(characters)?;
        let high = match characters.next_if_eq(&'-') {
            Some(_) => single(characters)?,
            None => low,
        };
        if low > high {
            return Err("has a backwards range in a class");
        }
        ranges.push((low, high));
    }
}

/// Runs all ways through the tokens at once, so that time is bounded by their product.
fn tokens_match(tokens: &[Token], path: &str) -> bool {
    let end = tokens.len();
    let mut current = vec![false; end + 1];
    let mut next = vec![false; end + 1];
    enter(tokens, &mut current, 0);
    for character in path.chars() {
        next.fill(false);
        for (index, token) in tokens.iter().enumerate() {
            if !current[index] {
                continue;
            }
            match token {
                Token::Literal(literal) if *literal == character => {
                    enter(tokens, &mut next, index + 1);
                }
                Token::Class { negated, ranges } => {
                    let inside = ranges
                        .iter()
                        .any(|(low, high)| (*low..=*high).contains(&character));
                    if inside != *negated {
                        enter(tokens, &mut next, index + 1);
                    }
                }
                Token::Any if character != '/' => enter(tokens, &mut next, index + 1),
                Token::Star if character != '/' => enter(tokens, &mut next, index),
                Token::Directories => {
                    next[index] = true;
                    if character == '/' {
                        enter(tokens, &mut next, index + 1);
                    }
                }
                Token::Rest => enter(tokens, &mut next, index),
                Token::Literal(_) | Token::Any | Token::Star | Token::DirectoriesStart => {}
            }
        }
        std::mem::swap(&mut current, &mut next);
    }
    current[end]
}

/// Marks a position, and those reachable from it without a character.
fn enter(tokens: &[Token], positions: &mut [bool], start: usize) {
    let mut index = start;
    loop {
        positions[index] = true;
        match tokens.get(index) {
            Some(Token::Star | Token::Rest) => index += 1,
            Some(Token::DirectoriesStart) => {
                positions[index + 1] = true;
                index += 2;
            }
            _ => return,
        }
    }
}

/// A path without empty, `.` and resolvable `..` parts, as Go's `filepath.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(index, _)| &path[..index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pattern, path, whether it matches.
    const SINGLE: &[(&str, &str, bool)] = &[
        // `**` by itself.
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        // Below a directory, at any depth.
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("dir/**", "dirs/file", false),
        // At any depth.
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "a/b/dir", true),
        ("**/dir", "mydir", false),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("**/foo/bar", "dir/xfoo/bar", false),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("**/*.txt", "file.txt", true),
        ("**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        // The quirk: literal text after `**` is a suffix.
        ("**file", "file", true),
        ("**file", "dir/dir/file", true),
        ("**file", "dir/myfile", true),
        ("**file*", "myfile1", false),
        // In the middle.
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/x/yb", false),
        ("a/*.txt**", "a/file.txt", true),
        // One level.
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("*", "abc", true),
        ("a*", "ab/c", true),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("*x", "xxx", true),
        ("a*b", "a/b", false),
        // One character.
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a?b", "a/b", false),
        ("a?b", "a☺b", true),
        ("a???b", "a☺b", false),
        // Classes.
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        ("a[^a]b", "a☺b", true),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("[\\]a]", "]", true),
        ("[\\-x]", "-", true),
        ("[x\\-]", "z", false),
        ("[*]", "*", true),
        ("[*]", "a", false),
        // Literals; no character of regular expressions is special.
        ("abc.def", "abcZdef", false),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a\\\\", "a\\", true),
        ("\\d", "d", true),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        (
            "dist/*.whl",
            "dist/a-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            true,
        ),
        // Cleaned, trimmed, anchored.
        ("docs/", "docs/README.md", true),
        ("./docs", "docs/README.md", true),
        (" docs ", "docs", true),
        ("a/../docs", "docs", true),
        ("/docs", "docs", false),
        ("docs", "sub/docs", false),
    ];

    #[test]
    fn single_patterns() {
        for (pattern, path, expected) in SINGLE {
            let set = PatternSet::new([pattern]).unwrap();
            assert_eq!(set.matches(path), *expected, "{pattern:?} on {path:?}");
            assert_eq!(
                walked(&set, path),
                *expected,
                "{pattern:?} on {path:?}, walked"
            );
        }
    }

    #[test]
    fn the_last_match_decides() {
        for (patterns, path, expected) in [
            (&["!file.go", "*.go"][..], "file.go", true),
            (&["*.go", "!file.go"], "file.go", false),
            (&["docs", "!docs/README.md"], "docs/README.md", false),
            (&["docs", "!docs/README.md"], "docs/other.md", true),
            (&["docs/*", "!docs/README.md"], "docs/README.md", false),
            (&["docs", "  !docs/README.md  "], "docs/README.md", false),
            (&["**", "!util/docker/web"], "util/docker/web/foo", false),
            (
                &["**", "!util/docker/web", "util/docker/web/foo"],
                "util/docker/web/foo",
                true,
            ),
            (&["**", "!dist/*.whl"], "dist/a.whl", false),
            (&[], "any", false),
            (&["", "a"], "a", true),
        ] {
            let set = PatternSet::new(patterns).unwrap();
            assert_eq!(set.matches(path), expected, "{patterns:?} on {path:?}");
            assert_eq!(
                walked(&set, path),
                expected,
                "{patterns:?} on {path:?}, walked"
            );
        }
    }

    /// Matches the way a walk does: from the top down, each level with its parent's result.
    fn walked(set: &PatternSet, path: &str) -> bool {
        let mut known = None;
        for parent in parents(path) {
            known = Some(set.matches_below(parent, known.as_ref()).1);
        }
        set.matches_below(path, known.as_ref()).0
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "!", "[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "\\",
            "a/[z-a]", "**/[",
        ] {
            let error = PatternSet::new([pattern]).unwrap_err();
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }

    #[test]
    fn directories_without_a_chance_are_known() {
        let set = PatternSet::new(["src/main/*.py", "data", "!other/x"]).unwrap();
        for (directory, expected) in [
            ("src", true),
            ("src/main", true),
            ("src/main/deep", true),
            ("src/test", false),
            ("data", true),
            ("data/deep", true),
            ("other", false),
        ] {
            assert_eq!(
                set.can_match_below(directory, false),
                expected,
                "{directory}"
            );
        }
        assert!(set.can_match_below("other", true));
        assert!(!set.can_match_below("src", true));
        let anywhere = PatternSet::new(["**/x"]).unwrap();
        assert!(anywhere.can_match_below("any/where", false));
    }

    #[test]
    fn long_runs_of_wildcards_stay_fast() {
        let pattern = "a*".repeat(60) + "b";
        let set = PatternSet::new([pattern]).unwrap();
        assert!(!set.matches(&"a".repeat(2000)));
    }

    /// The documented rules once more, part by part and without any haste.
    fn documented(patterns: &[String], path: &str) -> bool {
        fn parts_match(pattern: &[&str], path: &[&str]) -> bool {
            match (pattern, path) {
                ([], path) => path.is_empty(),
                // At the end it is what is below, and there has to be something.
                (["**"], path) => !path.is_empty(),
                (["**", rest @ ..], path) => {
                    parts_match(rest, path) || !path.is_empty() && parts_match(pattern, &path[1..])
                }
                ([_, ..], []) => false,
                ([part, rest @ ..], [name, below @ ..]) => {
                    name_matches(part.as_bytes(), name.as_bytes()) && parts_match(rest, below)
                }
            }
        }
        fn name_matches(part: &[u8], name: &[u8]) -> bool {
            match (part, name) {
                ([], name) => name.is_empty(),
                ([b'*', rest @ ..], name) => {
                    name_matches(rest, name) || !name.is_empty() && name_matches(part, &name[1..])
                }
                ([_, ..], []) => false,
                ([b'?', rest @ ..], [_, more @ ..]) => name_matches(rest, more),
                ([one, rest @ ..], [other, more @ ..]) => one == other && name_matches(rest, more),
            }
        }
        let path: Vec<_> = path.split('/').collect();
        patterns.iter().fold(false, |ignored, pattern| {
            let (text, keeps) = match pattern.strip_prefix('!') {
                Some(text) => (text, true),
                None => (pattern.as_str(), false),
            };
            let pattern: Vec<_> = text.split('/').collect();
            let matches = (1..=path.len()).any(|length| parts_match(&pattern, &path[..length]));
            if matches { !keeps } else { ignored }
        })
    }

    /// Whether a walk agrees with the rules. It does not, here as in moby, where a pattern names a directory but would not
    /// have changed what earlier ones said of it: that is not remembered, so below it the pattern does not count. Before
    /// the first `!` this makes no difference.
    fn is_walked_by_the_rules(patterns: &[String], path: &str) -> bool {
        let keeps = |pattern: &String| pattern.starts_with('!');
        let first = patterns.iter().position(keeps).unwrap_or(patterns.len());
        parents(path).all(|parent| {
            (first..patterns.len()).all(|index| {
                let alone = [patterns[index].trim_start_matches('!').to_owned()];
                !documented(&alone, parent)
                    || keeps(&patterns[index]) == documented(&patterns[..index], parent)
            })
        })
    }

    proptest::proptest! {
        #[test]
        fn the_documented_rules_hold(
            patterns in proptest::collection::vec(
                "(!)?(a|b|ab|\\*|\\?|a\\*|\\*b|a\\?b|\\*\\*)(/(a|b|ab|\\*|\\?|a\\*|\\*b|\\*\\*)){0,3}",
                0..5,
            ),
            paths in proptest::collection::vec("(a|b|ab|aab|c)(/(a|b|ab|aab|c)){0,3}", 1..8),
        ) {
            let set = PatternSet::new(&patterns).unwrap();
            for path in &paths {
                let expected = documented(&patterns, path);
                proptest::prop_assert_eq!(set.matches(path), expected, "{:?} on {}", patterns, path);
                if is_walked_by_the_rules(&patterns, path) {
                    proptest::prop_assert_eq!(walked(&set, path), expected, "{:?} on {}, walked", patterns, path);
                }
                // A directory that is passed over has nothing that is wanted.
                if expected {
                    for parent in parents(path) {
                        let known = set.matches(parent) || set.can_match_below(parent, false);
                        proptest::prop_assert!(known, "{:?} above {}", patterns, path);
                    }
                }
            }
        }

        #[test]
        fn no_text_is_too_strange(pattern in ".{0,20}", path in "[a-z/.]{0,12}") {
            if let Ok(set) = PatternSet::new([pattern]) {
                set.matches(&path);
            }
        }
    }
}
