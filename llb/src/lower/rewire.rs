//! Lets an op read other outputs than it did.

use super::draft::{Draft, Output};
use crate::proto::pb;
use crate::proto::pb::file_action::Action;
use crate::proto::pb::user_opt::User;

/// Gives an op what its inputs have become. Of an exec or file op, `base` replaces what an output is made on: the number
/// of the mount or action, and its new state.
///
/// # Errors
///
/// The op cannot read scratch, which an input has become.
pub(super) fn rewire(
    message: &pb::Op,
    inputs: &[Output],
    base: Option<(usize, Output)>,
    draft: &Draft,
) -> Result<pb::Op, &'static str> {
    let mut message = message.clone();
    let count = i64::try_from(inputs.len()).unwrap_or(i64::MAX);
    let mut wires = Wires {
        count,
        read: Vec::new(),
        references: Vec::new(),
    };
    let mut keeps_all = false;
    match &mut message.op {
        None | Some(pb::op::Op::Source(_)) => {}
        Some(pb::op::Op::Exec(exec)) => {
            for (number, mount) in exec.mounts.iter_mut().enumerate() {
                wires.add(&mut mount.input, base_at(base, number), true);
            }
        }
        Some(pb::op::Op::File(file)) => {
            for (number, action) in file.actions.iter_mut().enumerate() {
                wires.add(&mut action.input, base_at(base, number), true);
                wires.add(&mut action.secondary_input, None, true);
                for name in names(&mut action.action) {
                    wires.add(name, None, true);
                }
            }
        }
        Some(pb::op::Op::Merge(merge)) => {
            for input in &mut merge.inputs {
                wires.add(&mut input.input, None, false);
            }
        }
        Some(pb::op::Op::Diff(diff)) => {
            for input in diff.lower.iter_mut().map(|lower| &mut lower.input) {
                wires.add(input, None, true);
            }
            for input in diff.upper.iter_mut().map(|upper| &mut upper.input) {
                wires.add(input, None, true);
            }
        }
        Some(pb::op::Op::Build(build)) => {
            keeps_all = true;
            for input in build.inputs.values_mut() {
                wires.add(&mut input.input, None, false);
            }
        }
        Some(pb::op::Op::Passthrough(passthrough)) => {
            keeps_all = true;
            for output in &mut passthrough.outputs {
                wires.add(output, None, false);
            }
        }
    }
    wires.connect(inputs, keeps_all)?;
    let read = std::mem::take(&mut wires.read);
    drop(wires);
    message.inputs = read.into_iter().map(|read| draft.input(read)).collect();
    Ok(message)
}

fn base_at(base: Option<(usize, Output)>, number: usize) -> Option<Output> {
    base.filter(|(at, _)| *at == number)
        .map(|(_, output)| output)
}

/// The inputs in which an action looks up names of users.
fn names(action: &mut Option<Action>) -> impl Iterator<Item = &mut i64> {
    let owner = match action {
        Some(Action::Copy(copy)) => copy.owner.as_mut(),
        Some(Action::Mkfile(mkfile)) => mkfile.owner.as_mut(),
        Some(Action::Mkdir(mkdir)) => mkdir.owner.as_mut(),
        Some(Action::Symlink(symlink)) => symlink.owner.as_mut(),
        Some(Action::Rm(_)) | None => None,
    };
    let users = owner.map(|owner| [owner.user.as_mut(), owner.group.as_mut()]);
    users
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|user| match &mut user.user {
            Some(User::ByName(name)) => Some(&mut name.input),
            _ => None,
        })
}

/// All references of an op to its inputs.
struct Wires<'m> {
    /// How many inputs there were: a larger number is an action.
    count: i64,
    read: Vec<(usize, i64)>,
    references: Vec<Reference<'m>>,
}

struct Reference<'m> {
    number: &'m mut i64,
    /// What it reads instead of what its input has become.
    instead: Option<Output>,
    may_be_scratch: bool,
}

impl<'m> Wires<'m> {
    fn add(&mut self, number: &'m mut i64, instead: Option<Output>, may_be_scratch: bool) {
        self.references.push(Reference {
            number,
            instead,
            may_be_scratch,
        });
    }

    /// Inputs keep their order; what is read no more is left out, equal ones are one.
    fn connect(&mut self, inputs: &[Output], keeps_all: bool) -> Result<(), &'static str> {
        let mut place = |output: Output| match output {
            None => -1,
            Some(output) => {
                let known = self.read.iter().position(|read| *read == output);
                let position = known.unwrap_or_else(|| {
                    self.read.push(output);
                    self.read.len() - 1
                });
                i64::try_from(position).unwrap_or(i64::MAX)
            }
        };
        let mut numbers = vec![None; self.references.len()];
        for (old, input) in (0..).zip(inputs) {
            let mut is_read = false;
            for (number, reference) in numbers.iter_mut().zip(&self.references) {
                if *reference.number == old {
                    is_read = true;
                    *number = Some(place(reference.instead.unwrap_or(*input)));
                }
            }
            if keeps_all && !is_read {
                place(*input);
            }
        }
        for (number, reference) in numbers.iter_mut().zip(&self.references) {
            if number.is_none() && *reference.number < 0 {
                *number = Some(reference.instead.map_or(*reference.number, &mut place));
            }
        }
        let shift = i64::try_from(self.read.len()).unwrap_or(i64::MAX) - self.count;
        for (number, reference) in numbers.into_iter().zip(&mut self.references) {
            let new = number.unwrap_or(*reference.number + shift);
            if new < 0 && number.is_some() && !reference.may_be_scratch {
                return Err("it cannot read scratch");
            }
            *reference.number = new;
        }
        Ok(())
    }
}
