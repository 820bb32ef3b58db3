//! Reads file ops.

use super::draft::{Collect, Draft};
use super::lex::{Fault, Token};
use super::parse::{Parser, unknown};
use super::words::{chain_bases, parse_owner};
use crate::proto::pb;
use crate::proto::pb::file_action::Action;

const ACTIONS: &[&str] = &["on", "copy", "mkfile", "mkdir", "rm", "symlink", "unknown"];

const OPTIONS: &[&str] = &[
    "owner",
    "created",
    "names-of",
    "no-output",
    "parents",
    "allow-not-found",
    "allow-wildcard",
    "chmod",
    "mode",
    "follow-symlinks",
    "contents-only",
    "attempt-unpack",
    "create-destination",
    "allow-empty-wildcard",
    "always-replace",
    "include",
    "exclude",
    "required",
    "omitted",
];

/// What an action reads, before the number of inputs is known.
#[derive(Clone, Copy)]
enum Origin {
    Input(i64),
    Action(i64),
    /// The action before; scratch for the first.
    Before,
}

struct Line {
    action: pb::FileAction,
    input: Origin,
    secondary: Origin,
    /// Where names are looked up, if not in the base of the chain.
    names: Option<Origin>,
    output: Option<i64>,
}

impl<'t> Parser<'t> {
    pub(super) fn file(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        self.attributes(draft, &[], |_, _, _| Ok(false))?;
        let mut lines = Vec::new();
        let mut on = None;
        self.block(|parser| parser.file_line(draft, &mut lines, &mut on))?;
        debug_assert!(
            draft.collect != Collect::Each,
            "file ops name an input once"
        );
        draft.message.op = Some(pb::op::Op::File(assemble(draft.inputs.len(), lines)));
        Ok(())
    }

    fn file_line(
        &mut self,
        draft: &mut Draft<'t>,
        lines: &mut Vec<Line>,
        on: &mut Option<Origin>,
    ) -> Result<(), Fault> {
        let offset = self.offset;
        let Some(key) = self.key()? else {
            return Err(self.unexpected("`copy`, `mkfile`, `mkdir`, `rm`, `symlink` or `on`"));
        };
        if key.is_quoted || key.has_value {
            return Err(unknown(&key, "action", ACTIONS));
        }
        let mut line = Line {
            action: pb::FileAction::default(),
            input: on.unwrap_or(Origin::Before),
            secondary: Origin::Input(-1),
            names: None,
            output: None,
        };
        let mut action = match &*key.name {
            "on" => {
                *on = Some(self.file_reference(draft)?);
                return Ok(());
            }
            "copy" => {
                line.secondary = self.file_reference(draft)?;
                let src = self.string("a path")?;
                self.expect("=>")?;
                Some(Action::Copy(pb::FileActionCopy {
                    src,
                    dest: self.string("a path")?,
                    mode: -1,
                    timestamp: -1,
                    ..pb::FileActionCopy::default()
                }))
            }
            "mkfile" => Some(Action::Mkfile(pb::FileActionMkFile {
                path: self.string("a path")?,
                mode: self.mode()?.cast_signed(),
                timestamp: -1,
                ..pb::FileActionMkFile::default()
            })),
            "mkdir" => Some(Action::Mkdir(pb::FileActionMkDir {
                path: self.string("a path")?,
                mode: self.mode()?.cast_signed(),
                timestamp: -1,
                ..pb::FileActionMkDir::default()
            })),
            "rm" => Some(Action::Rm(pb::FileActionRm {
                path: self.string("a path")?,
                ..pb::FileActionRm::default()
            })),
            "symlink" => {
                let newpath = self.string("a path")?;
                self.expect("=>")?;
                Some(Action::Symlink(pb::FileActionSymlink {
                    oldpath: self.string("a path")?,
                    newpath,
                    timestamp: -1,
                    ..pb::FileActionSymlink::default()
                }))
            }
            "unknown" => None,
            _ => return Err(unknown(&key, "action", ACTIONS)),
        };
        self.options(draft, &mut line, action.as_mut())?;
        if let Some(Action::Mkfile(mkfile)) = &mut action {
            // Options come before the data, so that the data can be long.
            if !matches!(self.peek()?, Token::Text(_)) {
                return Err(Fault::new(
                    offset,
                    "expected the data of the file between quotes at the end of the line",
                ));
            }
            mkfile.data = self.data()?.into();
            self.options(draft, &mut line, None)?;
        }
        line.action.action = action;
        lines.push(line);
        *on = None;
        Ok(())
    }

    fn file_reference(&mut self, draft: &mut Draft<'t>) -> Result<Origin, Fault> {
        let offset = self.offset;
        if let Token::Action(number) = self.peek()? {
            let number = number.parse();
            self.advance();
            return number
                .map(Origin::Action)
                .map_err(|_| Fault::new(offset, "expected the number of an action after `#`"));
        }
        self.reference(draft).map(Origin::Input)
    }

    fn options(
        &mut self,
        draft: &mut Draft<'t>,
        line: &mut Line,
        mut action: Option<&mut Action>,
    ) -> Result<(), Fault> {
        loop {
            if self.take("->")? {
                line.output = Some(self.output()?);
                continue;
            }
            // The data of a file is text without a name.
            if matches!(self.peek()?, Token::Text(_)) {
                return Ok(());
            }
            let Some(key) = self.key()? else {
                return Ok(());
            };
            match (&*key.name, key.has_value) {
                ("names-of", true) => line.names = Some(self.file_reference(draft)?),
                ("no-output", false) => line.output = Some(-1),
                ("owner", true) => {
                    let owner = parse_owner(&self.value()?);
                    match &mut action {
                        Some(Action::Copy(copy)) => copy.owner = Some(owner),
                        Some(Action::Mkfile(mkfile)) => mkfile.owner = Some(owner),
                        Some(Action::Mkdir(mkdir)) => mkdir.owner = Some(owner),
                        Some(Action::Symlink(symlink)) => symlink.owner = Some(owner),
                        _ => return Err(unfit(&key)),
                    }
                }
                ("created", true) => {
                    let created = self.number()?;
                    match &mut action {
                        Some(Action::Copy(copy)) => copy.timestamp = created,
                        Some(Action::Mkfile(mkfile)) => mkfile.timestamp = created,
                        Some(Action::Mkdir(mkdir)) => mkdir.timestamp = created,
                        Some(Action::Symlink(symlink)) => symlink.timestamp = created,
                        _ => return Err(unfit(&key)),
                    }
                }
                ("omitted", true) => {
                    let message = "the data of this file is left out";
                    return Err(Fault::new(key.offset, message).hint("print the graph in full"));
                }
                (name, has_value) => {
                    let is_taken = match &mut action {
                        Some(Action::Mkdir(mkdir)) if (name, has_value) == ("parents", false) => {
                            mkdir.make_parents = true;
                            true
                        }
                        Some(Action::Rm(rm)) => match (name, has_value) {
                            ("allow-not-found", false) => {
                                rm.allow_not_found = true;
                                true
                            }
                            ("allow-wildcard", false) => {
                                rm.allow_wildcard = true;
                                true
                            }
                            _ => false,
                        },
                        Some(Action::Copy(copy)) => self.copy_option(copy, name, has_value)?,
                        _ => false,
                    };
                    if !is_taken && OPTIONS.contains(&name) {
                        return Err(unfit(&key));
                    }
                    if !is_taken {
                        return Err(unknown(&key, "option of an action", OPTIONS));
                    }
                }
            }
        }
    }

    fn copy_option(
        &mut self,
        copy: &mut pb::FileActionCopy,
        name: &str,
        has_value: bool,
    ) -> Result<bool, Fault> {
        match (name, has_value) {
            ("chmod", true) => {
                copy.mode_str = self.value()?;
                if copy.mode == -1 {
                    copy.mode = 0;
                }
            }
            ("mode", true) => copy.mode = self.mode()?.cast_signed(),
            ("follow-symlinks", false) => copy.follow_symlink = true,
            ("contents-only", false) => copy.dir_copy_contents = true,
            ("attempt-unpack", false) => copy.attempt_unpack_docker_compatibility = true,
            ("create-destination", false) => copy.create_dest_path = true,
            ("allow-wildcard", false) => copy.allow_wildcard = true,
            ("allow-empty-wildcard", false) => copy.allow_empty_wildcard = true,
            ("always-replace", false) => copy.always_replace_existing_dest_paths = true,
            ("include", true) => copy.include_patterns.push(self.value()?),
            ("exclude", true) => copy.exclude_patterns.push(self.value()?),
            ("required", true) => copy.required_paths.push(self.value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn unfit(key: &super::parse::Key) -> Fault {
    Fault::new(
        key.offset,
        format!("`{}` does not fit this action", key.name),
    )
}

/// Numbers inputs and actions, now that there are as many as there will be.
fn assemble(inputs: usize, lines: Vec<Line>) -> pb::FileOp {
    let count = i64::try_from(inputs).unwrap_or(i64::MAX);
    let actions = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let number = |from: Origin, number: i64| match from {
        Origin::Input(input) => input,
        Origin::Action(action) => count.saturating_add(action),
        Origin::Before if number == 0 => -1,
        Origin::Before => count + number - 1,
    };
    let bases = chain_bases(
        count,
        (0..)
            .zip(&lines)
            .map(|(place, line)| number(line.input, place)),
    );
    let actions = (0_i64..)
        .zip(lines)
        .zip(bases)
        .map(|((place, line), base)| {
            let mut action = line.action;
            action.input = number(line.input, place);
            action.secondary_input = number(line.secondary, place);
            action.output = line
                .output
                .unwrap_or(if place + 1 == actions { 0 } else { -1 });
            let names = line.names.map_or(base, |names| number(names, place));
            for user in owner_of(&mut action).into_iter().flat_map(users_of) {
                if let Some(pb::user_opt::User::ByName(name)) = &mut user.user {
                    name.input = names;
                }
            }
            action
        });
    pb::FileOp {
        actions: actions.collect(),
    }
}

fn owner_of(action: &mut pb::FileAction) -> Option<&mut pb::ChownOpt> {
    match action.action.as_mut()? {
        Action::Copy(copy) => copy.owner.as_mut(),
        Action::Mkfile(mkfile) => mkfile.owner.as_mut(),
        Action::Mkdir(mkdir) => mkdir.owner.as_mut(),
        Action::Symlink(symlink) => symlink.owner.as_mut(),
        Action::Rm(_) => None,
    }
}

fn users_of(owner: &mut pb::ChownOpt) -> impl Iterator<Item = &mut pb::UserOpt> {
    [&mut owner.user, &mut owner.group].into_iter().flatten()
}
