//! Reads a command line as far as is needed to know where its quotes are, and takes the values out of it.
//!
//! The shell's grammar is not checked, but what a value means depends on where it stands, so this follows quotes,
//! `$(…)`, `${…}`, backticks, comments and here-documents, as POSIX has them. Braces are values unless the shell could
//! mean them: `${name}` and a brace before a blank or its partner are left alone.

/// A stretch of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// For the shell as it is.
    Text(String),
    Value(Value),
}

/// What stands in braces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The Rust expression.
    pub(super) expression: String,
    pub(super) kind: Kind,
    pub(super) place: Place,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// With a format, as `format!` has them behind a colon.
    Formatted(String),
    Words,
    Raw,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Bare,
    DoubleQuotes,
    SingleQuotes,
}

/// What has been opened and not yet closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    SingleQuotes,
    DoubleQuotes,
    /// `$(`, with the number of parentheses open inside; `$((` opens with one.
    Substitution {
        parentheses: usize,
    },
    /// `${`.
    Parameter,
    Backticks,
}

/// Splits a command line into text and values, with everything that is wrong with it.
pub(super) fn lex(line: &str) -> (Vec<Piece>, Vec<String>) {
    let mut lexer = Lexer {
        line,
        position: 0,
        open: Vec::new(),
        here_documents: Vec::new(),
        pieces: Vec::new(),
        errors: Vec::new(),
    };
    lexer.run();
    (lexer.pieces, lexer.errors)
}

struct Lexer<'a> {
    line: &'a str,
    position: usize,
    /// What is open, with the place where it was opened.
    open: Vec<(Open, usize)>,
    /// The ends of the here-documents that begin at the next line.
    here_documents: Vec<String>,
    pieces: Vec<Piece>,
    errors: Vec<String>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        while let Some(character) = self.rest().chars().next() {
            match self.open.last().map(|(open, _)| *open) {
                Some(Open::SingleQuotes) => self.in_single_quotes(character),
                Some(Open::Backticks) => self.in_backticks(character),
                Some(Open::DoubleQuotes) => self.in_double_quotes(character),
                Some(Open::Parameter) => self.in_parameter(character),
                Some(Open::Substitution { .. }) | None => self.bare(character),
            }
        }
        for (open, start) in std::mem::take(&mut self.open) {
            let (what, closed_by) = match open {
                Open::SingleQuotes => ("the quote `'`", "`'`, or write an apostrophe as `\"'\"`"),
                Open::DoubleQuotes => ("the quote `\"`", "`\"`"),
                Open::Substitution { .. } => ("`$(`", "`)`"),
                Open::Parameter => ("`${`", "`}`"),
                Open::Backticks => ("the backtick", "another"),
            };
            let at = excerpt(&self.line[start..]);
            self.errors.push(format!(
                "{what} at `{at}` is not closed: close it with {closed_by}"
            ));
        }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.position..]
    }

    /// Passes text on to the shell.
    fn take(&mut self, bytes: usize) {
        let text = &self.line[self.position..self.position + bytes];
        self.position += bytes;
        self.push(text);
    }

    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn enter(&mut self, open: Open, bytes: usize) {
        self.open.push((open, self.position));
        self.take(bytes);
    }

    fn leave(&mut self, bytes: usize) {
        self.open.pop();
        self.take(bytes);
    }

    /// A backslash with what it escapes.
    fn take_escape(&mut self) {
        let escaped = self.rest()[1..].chars().next().map_or(0, char::len_utf8);
        if escaped == 0 {
            self.errors.push(
                "the backslash at the end has nothing to escape: remove it, or double it"
                    .to_owned(),
            );
        }
        self.take(1 + escaped);
    }

    /// What begins with `$`, wherever it is not literal.
    fn take_dollar(&mut self) {
        let rest = self.rest();
        if rest.starts_with("$((") {
            self.enter(Open::Substitution { parentheses: 1 }, 3);
        } else if rest.starts_with("$(") {
            self.enter(Open::Substitution { parentheses: 0 }, 2);
        } else if rest.starts_with("${") {
            self.enter(Open::Parameter, 2);
        } else {
            self.take(1);
        }
    }

    fn in_single_quotes(&mut self, character: char) {
        match character {
            '\'' => self.leave(1),
            '{' | '}' => self.braces(Place::SingleQuotes),
            other => self.take(other.len_utf8()),
        }
    }

    fn in_double_quotes(&mut self, character: char) {
        match character {
            '"' => self.leave(1),
            '\\' => self.take_escape(),
            '$' => self.take_dollar(),
            '`' => self.enter(Open::Backticks, 1),
            '{' | '}' => self.braces(Place::DoubleQuotes),
            other => self.take(other.len_utf8()),
        }
    }

    /// Between `${` and `}` braces are the shell's own.
    fn in_parameter(&mut self, character: char) {
        let is_quoted = self
            .open
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|(open, _)| *open == Open::DoubleQuotes);
        match character {
            '}' => self.leave(1),
            '\\' => self.take_escape(),
            '$' => self.take_dollar(),
            '"' => self.enter(Open::DoubleQuotes, 1),
            '\'' if !is_quoted => self.enter(Open::SingleQuotes, 1),
            '`' => self.enter(Open::Backticks, 1),
            other => self.take(other.len_utf8()),
        }
    }

    fn in_backticks(&mut self, character: char) {
        match character {
            '`' => self.leave(1),
            '\\' => self.take_escape(),
            '{' | '}' => {
                self.braces_without_values("in backticks, where it cannot be quoted: write `$(…)`");
            }
            other => self.take(other.len_utf8()),
        }
    }

    fn bare(&mut self, character: char) {
        match character {
            '\'' => self.enter(Open::SingleQuotes, 1),
            '"' => self.enter(Open::DoubleQuotes, 1),
            '`' => self.enter(Open::Backticks, 1),
            '\\' => self.take_escape(),
            '$' => self.take_dollar(),
            '#' if self.is_start_of_word() => self.comment(),
            '<' if self.rest().starts_with("<<") && !self.is_arithmetic() => {
                self.here_document();
            }
            '\n' => {
                self.take(1);
                for end in std::mem::take(&mut self.here_documents) {
                    self.here_document_body(&end);
                }
            }
            '(' | ')' => self.parenthesis(character),
            '{' | '}' => self.braces(Place::Bare),
            other => self.take(other.len_utf8()),
        }
    }

    fn parenthesis(&mut self, character: char) {
        let Some((Open::Substitution { parentheses }, _)) = self.open.last_mut() else {
            return self.take(1);
        };
        match (character, *parentheses) {
            ('(', _) => *parentheses += 1,
            (_, 0) => return self.leave(1),
            _ => *parentheses -= 1,
        }
        self.take(1);
    }

    fn is_arithmetic(&self) -> bool {
        self.open.iter().any(|(open, start)| {
            matches!(open, Open::Substitution { .. }) && self.line[*start..].starts_with("$((")
        })
    }

    fn comment(&mut self) {
        let end = self.rest().find('\n').unwrap_or(self.rest().len());
        let end = self.position + end;
        while self.position < end {
            match self.line.as_bytes()[self.position] {
                b'{' | b'}' => {
                    self.braces_without_values("in a comment, where it does nothing: remove it");
                }
                _ => self.take_character(),
            }
        }
    }

    fn take_character(&mut self) {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        self.take(length);
    }

    /// `<<END`, `<<-END` and `<<'END'`; the body begins on the next line.
    fn here_document(&mut self) {
        self.take(2);
        if self.rest().starts_with('-') {
            self.take(1);
        }
        let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        self.take(blanks);
        let length = self
            .rest()
            .find(|character: char| character.is_whitespace() || "<>|&;()".contains(character))
            .unwrap_or(self.rest().len());
        let end = self.rest()[..length].replace(['\'', '"', '\\'], "");
        self.take(length);
        self.here_documents.push(end);
    }

    fn here_document_body(&mut self, end: &str) {
        while !self.rest().is_empty() {
            let line_end = self
                .rest()
                .find('\n')
                .map_or(self.line.len(), |length| self.position + length + 1);
            let line = &self.line[self.position..line_end];
            let is_end = line.trim_end_matches('\n').trim_start_matches('\t') == end;
            while self.position < line_end {
                match self.line.as_bytes()[self.position] {
                    b'{' | b'}' => self.braces_without_values(
                        "in a here-document, where it cannot be quoted: make the file with `mkfile`",
                    ),
                    _ => self.take_character(),
                }
            }
            if is_end {
                return;
            }
        }
    }

    fn is_start_of_word(&self) -> bool {
        match self.pieces.last() {
            None => true,
            Some(Piece::Value(_)) => false,
            Some(Piece::Text(text)) => text
                .chars()
                .next_back()
                .is_none_or(|last| last.is_whitespace() || ";|&(".contains(last)),
        }
    }

    /// Braces where a value cannot stand: doubled ones are undone, for one rule everywhere.
    fn braces_without_values(&mut self, why: &str) {
        if let Some(value) = self.value() {
            let inside = excerpt(&value);
            self.errors
                .push(format!("the value `{{{inside}}}` stands {why}"));
            self.position += value.len() + 2;
        }
    }

    fn braces(&mut self, place: Place) {
        let Some(inside) = self.value() else {
            return;
        };
        let before_is_free = self.is_start_of_word();
        self.position += inside.len() + 2;
        let after_is_free = self
            .rest()
            .chars()
            .next()
            .is_none_or(|next| next.is_whitespace() || ";|&)".contains(next));
        let (expression, kind) = split_kind(&inside);
        if kind == Kind::Words {
            if place != Place::Bare {
                self.errors.push(format!(
                    "`{{{inside}}}` stands for several words, which quotes would join to one: remove the quotes, each word is quoted as it needs"
                ));
            } else if !before_is_free || !after_is_free {
                self.errors.push(format!(
                    "`{{{inside}}}` stands for several words, but is joined to other text: put a blank on both sides"
                ));
            }
        }
        self.pieces.push(Piece::Value(Value {
            expression,
            kind,
            place,
        }));
    }

    /// What stands between this brace and its partner, or nothing if the brace is the shell's; then it is passed on.
    fn value(&mut self) -> Option<String> {
        let rest = self.rest();
        if rest.starts_with("{{") || rest.starts_with("}}") {
            self.position += 1;
            self.take(1);
            return None;
        }
        let inside = rest.strip_prefix('{');
        let Some(inside) = inside.filter(|inside| {
            !inside.is_empty()
                && !inside.starts_with(|next: char| next.is_whitespace() || next == '}')
        }) else {
            self.take(1);
            return None;
        };
        let Some(length) = length_of_expression(inside) else {
            self.errors.push(format!(
                "the brace at `{}` is not closed: close it with `}}`, or write `{{{{` for a brace of the shell",
                excerpt(rest)
            ));
            self.position = self.line.len();
            self.open.clear();
            return None;
        };
        Some(inside[..length].to_owned())
    }
}

/// How far the closing brace is, past nested braces and string literals.
fn length_of_expression(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_string = false;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if is_string => _ = characters.next(),
            '"' => is_string = !is_string,
            _ if is_string => {}
            '{' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Divides `value:format`, `value:raw` and `values...`.
fn split_kind(inside: &str) -> (String, Kind) {
    if let Some(values) = inside.trim_end().strip_suffix("...") {
        return (values.to_owned(), Kind::Words);
    }
    let bytes = inside.as_bytes();
    let mut depth = 0_usize;
    let mut is_string = false;
    let mut colon = None;
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' if is_string => index += 1,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if bytes.get(index + 1) == Some(&b':') => index += 1,
            b':' if depth == 0 => colon = Some(index),
            _ => {}
        }
        index += 1;
    }
    match colon {
        None => (inside.to_owned(), Kind::Word),
        Some(colon) => {
            let kind = match inside[colon + 1..].trim() {
                "raw" => Kind::Raw,
                format => Kind::Formatted(format.to_owned()),
            };
            (inside[..colon].to_owned(), kind)
        }
    }
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 24;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > LONGEST {
        line.chars().take(LONGEST).chain(['…']).collect()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with its values as `<expression kind place>`.
    fn show(line: &str) -> String {
        let (pieces, errors) = lex(line);
        assert!(errors.is_empty(), "{line}: {errors:?}");
        pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Value(value) => {
                    let place = match value.place {
                        Place::Bare => "",
                        Place::DoubleQuotes => " double",
                        Place::SingleQuotes => " single",
                    };
                    let kind = match value.kind {
                        Kind::Word => String::new(),
                        Kind::Formatted(format) => format!(" as {format}"),
                        Kind::Words => " words".to_owned(),
                        Kind::Raw => " raw".to_owned(),
                    };
                    format!("<{}{kind}{place}>", value.expression)
                }
            })
            .collect()
    }

    fn mistakes(line: &str) -> Vec<String> {
        lex(line).1
    }

    #[test]
    fn values_know_where_they_stand() {
        for (line, expected) in [
            ("echo {a}", "echo <a>"),
            (
                "echo '{a}' \"{b}\" {c}",
                "echo '<a single>' \"<b double>\" <c>",
            ),
            (
                "echo \"$(cat {a} \"{b}\") {c}\"",
                "echo \"$(cat <a> \"<b double>\") <c double>\"",
            ),
            ("echo \"it's {a}\"", "echo \"it's <a double>\""),
            (r#"echo \"{a} \'{b}"#, r#"echo \"<a> \'<b>"#),
            ("(cd {a}; ls) | x", "(cd <a>; ls) | x"),
            ("echo $((1 + (2) << 3)) {a}", "echo $((1 + (2) << 3)) <a>"),
            ("x=${y:-\"it's\"} '{a}'", "x=${y:-\"it's\"} '<a single>'"),
            ("echo \"${y:-it's}\" {a}", "echo \"${y:-it's}\" <a>"),
            ("echo a#b {a}", "echo a#b <a>"),
        ] {
            assert_eq!(show(line), expected);
        }
    }

    #[test]
    fn braces_of_the_shell_are_left_alone() {
        for line in [
            "find . -exec rm {} \\;",
            "f() { echo; }",
            "echo ${HOME} ${x:-${y}} \"${z}\"",
            "{ a; b; } > c",
            "x `echo \\`date\\`` y",
            "cat <<END > /x\nit's\nEND\necho 'a'",
            "cat <<-'END'\n\tit's\n\tEND\ntrue",
            "true # it's fine\nfalse",
        ] {
            assert_eq!(show(line), line);
        }
        assert_eq!(show("awk '{{print $1}}' {{a,b}}"), "awk '{print $1}' {a,b}");
        assert_eq!(
            show("cat <<E\n{{\"a\": 1}}\nE\n# {{x}}"),
            "cat <<E\n{\"a\": 1}\nE\n# {x}"
        );
    }

    #[test]
    fn values_have_kinds() {
        assert_eq!(
            show("{a:raw} {b...} {c:03} {d::e} {f(g::h, \"}:\")}"),
            "<a raw> <b words> <c as 03> <d::e> <f(g::h, \"}:\")>"
        );
        assert_eq!(show("{x.y[0].z()}{w}"), "<x.y[0].z()><w>");
        assert_eq!(show("$({names...})"), "$(<names words>)");
    }

    #[test]
    fn what_is_not_closed_is_named() {
        assert_eq!(
            mistakes("echo 'a {b}"),
            [
                "the quote `'` at `'a {b}` is not closed: close it with `'`, or write an apostrophe as `\"'\"`"
            ]
        );
        assert_eq!(
            mistakes("echo \"$(ls"),
            [
                "the quote `\"` at `\"$(ls` is not closed: close it with `\"`",
                "`$(` at `$(ls` is not closed: close it with `)`",
            ]
        );
        assert_eq!(mistakes("echo ${x").len(), 1);
        assert_eq!(mistakes("echo `x").len(), 1);
        assert!(mistakes("echo {x")[0].starts_with("the brace at `{x` is not closed"));
        assert!(mistakes("echo \\")[0].starts_with("the backslash at the end"));
    }

    #[test]
    fn values_are_refused_where_they_cannot_be_quoted() {
        for (line, expected) in [
            ("x `ls {a}`", "the value `{a}` stands in backticks"),
            ("x # {a}\ny", "the value `{a}` stands in a comment"),
            (
                "cat <<E\n{a}\nE\n",
                "the value `{a}` stands in a here-document",
            ),
            (
                "echo \"{a...}\"",
                "`{a...}` stands for several words, which quotes would join",
            ),
            (
                "echo x={a...}",
                "`{a...}` stands for several words, but is joined",
            ),
            (
                "echo {a...}x",
                "`{a...}` stands for several words, but is joined",
            ),
        ] {
            let found = mistakes(line);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].starts_with(expected), "{line}: {found:?}");
        }
    }

    #[test]
    fn any_text_is_read_and_passed_on() {
        let alphabet = [
            "'", "\"", "$(", ")", "(", "${", "}", "{", "`", "\\", "#", "<<E", "\n", "E", "é", " ",
        ];
        for number in 0..alphabet.len().pow(4) {
            let picked =
                (0..4).map(|place| alphabet[number / alphabet.len().pow(place) % alphabet.len()]);
            let line: String = picked.collect();
            let (pieces, errors) = lex(&line);
            let is_plain = !line.contains("{{") && !line.contains("}}");
            if errors.is_empty() && is_plain && pieces.len() == 1 {
                assert!(
                    matches!(&pieces[0], Piece::Text(text) if *text == line)
                        || matches!(pieces[0], Piece::Value(_)),
                    "{line:?}: {pieces:?}"
                );
            }
        }
    }
}
