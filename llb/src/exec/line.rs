//! The command of an exec, in the op's bytes from the start.

use smallvec::SmallVec;

use crate::state::context::Environment;
use crate::wire::Writer;

/// Room for all of an exec; most need no more.
const TYPICAL_SIZE: usize = 120;

/// Room for what comes behind the variables.
const TYPICAL_REST: usize = 64;

/// Arguments and variables as the first fields of an exec's command (`Meta`), copied there as they are given.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    writer: Writer,
    /// Where the arguments end and the variables begin.
    args_end: usize,
    variables: SmallVec<[Variable; 2]>,
}

/// Where a variable is in the bytes; it ends where the next one begins.
#[derive(Clone, Copy, Debug)]
struct Variable {
    start: usize,
    name_start: usize,
    name_end: usize,
}

impl CommandLine {
    /// Where the command's fields start in the bytes.
    pub(super) const BODY: usize = 2;

    pub(super) fn new() -> Self {
        let mut writer = Writer::with_capacity(TYPICAL_SIZE);
        let body = writer.begin(1);
        debug_assert_eq!(body, Self::BODY, "nothing comes before the command");
        Self {
            writer,
            args_end: body,
            variables: SmallVec::new(),
        }
    }

    /// Adds an argument. Arguments come before variables.
    pub(super) fn arg(&mut self, arg: &str) {
        self.writer.string_always(1, arg);
        self.args_end = self.writer.written().len();
    }

    pub(crate) fn has_args(&self) -> bool {
        self.args_end > Self::BODY
    }

    /// Sets a variable; one that is set again moves to the end.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if let Some(known) = self.position(name) {
            self.remove(known);
        }
        let start = self.writer.written().len();
        self.writer.assignment(2, name, value);
        let name_end = self.writer.written().len() - value.len() - 1;
        self.variables.push(Variable {
            start,
            name_start: name_end - name.len(),
            name_end,
        });
    }

    /// Whether a variable is set.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.variables
            .iter()
            .position(|variable| self.name(*variable) == name.as_bytes())
    }

    fn name(&self, variable: Variable) -> &[u8] {
        &self.writer.written()[variable.name_start..variable.name_end]
    }

    fn remove(&mut self, position: usize) {
        let start = self.variables.remove(position).start;
        let behind = self.variables.get_mut(position..).unwrap_or_default();
        let end = behind
            .first()
            .map_or(self.writer.written().len(), |next| next.start);
        self.writer.remove(start..end);
        for variable in behind {
            variable.start -= end - start;
            variable.name_start -= end - start;
            variable.name_end -= end - start;
        }
    }

    /// Puts the variables of a state before those that are set here, but for those that are set here again. Gives the
    /// bytes, and leaves nothing.
    pub(super) fn take_with(&mut self, env: &Environment) -> Writer {
        let mut writer = std::mem::take(&mut self.writer);
        if env.is_empty() {
            return writer;
        }
        let own = writer.split_off(self.args_end);
        let start = self.args_end;
        let is_set = |name: &str| {
            let mut variables = self.variables.iter();
            variables
                .any(|set| own[set.name_start - start..set.name_end - start] == *name.as_bytes())
        };
        let sizes = env.iter().map(|(name, value)| name.len() + value.len() + 4);
        writer.reserve(sizes.sum::<usize>() + own.len() + TYPICAL_REST);
        for (name, value) in env.iter() {
            if !is_set(name) {
                writer.assignment(2, name, value);
            }
        }
        writer.raw(&own);
        writer
    }

    /// The variables that are set here, and takes them away.
    pub(super) fn take_variables(&mut self) -> Environment {
        let mut env = Environment::default();
        let mut end = self.writer.written().len();
        let written = self.writer.written();
        let text = |range| std::str::from_utf8(&written[range]).expect("names and values are text");
        let mut variables = Vec::new();
        for variable in self.variables.drain(..).rev() {
            let name = text(variable.name_start..variable.name_end);
            variables.push((name, text(variable.name_end + 1..end)));
            end = variable.start;
        }
        for (name, value) in variables.into_iter().rev() {
            env.set(name, value);
        }
        self.writer.truncate(self.args_end);
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(variables: &[(&str, &str)]) -> CommandLine {
        let mut line = CommandLine::new();
        line.arg("run");
        for (name, value) in variables {
            line.set(name, value);
        }
        line
    }

    fn with(line: &mut CommandLine, env: &[(&str, &str)]) -> String {
        let mut environment = Environment::default();
        for (name, value) in env {
            environment.set(name, value);
        }
        let bytes = line.take_with(&environment).into_bytes();
        let bytes = bytes[CommandLine::BODY..].to_vec();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_set_again_moves_to_the_end() {
        let mut twice = line(&[
            ("A", "1"),
            ("LONG", "22"),
            ("B", "3"),
            ("LONG", "4"),
            ("A", "5"),
        ]);
        assert_eq!(
            with(&mut twice, &[]),
            with(&mut line(&[("B", "3"), ("LONG", "4"), ("A", "5")]), &[])
        );
    }

    #[test]
    fn names_are_compared_whole() {
        let mut similar = line(&[("A", "1"), ("A=B", "2"), ("", "3")]);
        assert!(similar.sets("A=B") && similar.sets("") && !similar.sets("B"));
        assert_eq!(
            with(&mut similar, &[("A", "x"), ("B", "y")]),
            "\n\u{3}run\u{12}\u{3}B=y\u{12}\u{3}A=1\u{12}\u{5}A=B=2\u{12}\u{2}=3"
        );
    }

    #[test]
    fn variables_can_be_taken_away() {
        let mut line = line(&[("A", "1"), ("B", "2")]);
        let taken = line.take_variables();
        assert_eq!(taken.iter().collect::<Vec<_>>(), [("A", "1"), ("B", "2")]);
        line.set("C", "3");
        assert_eq!(with(&mut line, &[]), "\n\u{3}run\u{12}\u{3}C=3");
    }
}
