//! The small pieces of the text form: words, strings, owners.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::inspect::is_hidden;
use crate::proto::pb;

/// Whether a byte may stand in a word without quotes.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-:+~@%".contains(&byte)
}

/// Whether a byte may begin a word; the others begin something else.
pub(super) fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-:+~".contains(&byte)
}

/// A word as it is if nothing in it needs quotes, else quoted.
pub(super) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = text.bytes().next().is_some_and(begins_word) && text.bytes().all(is_word_byte);
    if is_plain {
        text.into()
    } else {
        quoted(text, 0).into()
    }
}

/// The text between quotes. A text of several lines is broken after each of them, and what follows is indented.
pub(super) fn quoted(text: &str, indent: usize) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    escape(&mut quoted, text, indent, true);
    quoted.push('"');
    quoted
}

/// Bytes between quotes: what is UTF-8 as text, the rest as `\xNN`.
pub(super) fn quoted_bytes(bytes: &[u8], indent: usize) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        let is_end = chunk.invalid().is_empty() && chunks.peek().is_none();
        escape(&mut quoted, chunk.valid(), indent, is_end);
        for byte in chunk.invalid() {
            write!(quoted, "\\x{byte:02x}").expect("writing to a string does not fail");
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, text: &str, indent: usize, is_end: bool) {
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => {
                quoted.push_str("\\n");
                if rest.peek().is_some() || !is_end {
                    quoted.push_str("\\\n");
                    quoted.extend(std::iter::repeat_n(' ', indent + 4));
                    if rest.next_if_eq(&' ').is_some() {
                        quoted.push_str("\\ ");
                    }
                }
            }
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            hidden if is_hidden(hidden) => {
                quoted.extend(hidden.escape_unicode());
            }
            other => quoted.push(other),
        }
    }
}

/// An owner as `user:group`, each a number, a name, `?` for one without content, or nothing. A name that reads as
/// something else has `=` before it.
///
/// None if it cannot be written so.
pub(super) fn owner_text(owner: &pb::ChownOpt) -> Option<String> {
    let mut text = String::new();
    for (position, user) in [&owner.user, &owner.group].into_iter().enumerate() {
        if position > 0 {
            text.push(':');
        }
        match user.as_ref().map(|user| &user.user) {
            None => {}
            Some(None) => text.push('?'),
            Some(Some(pb::user_opt::User::ById(id))) => {
                write!(text, "{id}").expect("writing to a string does not fail");
            }
            Some(Some(pb::user_opt::User::ByName(name))) => {
                let name = &*name.name;
                if position == 0 && name.contains(':') {
                    return None;
                }
                if name.is_empty() || name.starts_with(['=', '?']) || name.parse::<u32>().is_ok() {
                    text.push('=');
                }
                text += name;
            }
        }
    }
    Some(text)
}

/// Reads what [`owner_text`] writes; names are looked up in input 0 for now.
pub(super) fn parse_owner(text: &str) -> pb::ChownOpt {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let part = |text: &str| {
        let user = match text {
            "" => return None,
            "?" => None,
            text => Some(match (text.strip_prefix('='), text.parse()) {
                (None, Ok(id)) => pb::user_opt::User::ById(id),
                (name, _) => {
                    let name = name.unwrap_or(text).to_owned();
                    pb::user_opt::User::ByName(pb::NamedUserOpt { name, input: 0 })
                }
            }),
        };
        Some(pb::UserOpt { user })
    };
    pb::ChownOpt {
        user: part(user),
        group: part(group),
    }
}

/// The positions of the inputs in which the names of an owner are looked up.
pub(super) fn name_inputs(owner: Option<&pb::ChownOpt>) -> impl Iterator<Item = i64> {
    let users = owner
        .into_iter()
        .flat_map(|owner| [&owner.user, &owner.group]);
    users.filter_map(|user| match user.as_ref()?.user.as_ref()? {
        pb::user_opt::User::ByName(name) => Some(name.input),
        pb::user_opt::User::ById(_) => None,
    })
}

/// The owner that an action gives to what it makes.
pub(super) fn action_owner(action: &pb::FileAction) -> Option<&pb::ChownOpt> {
    use pb::file_action::Action;

    match action.action.as_ref()? {
        Action::Copy(copy) => copy.owner.as_ref(),
        Action::Mkfile(mkfile) => mkfile.owner.as_ref(),
        Action::Mkdir(mkdir) => mkdir.owner.as_ref(),
        Action::Symlink(symlink) => symlink.owner.as_ref(),
        Action::Rm(_) => None,
    }
}

/// For each action, the input that its chain of actions begins with.
pub(super) fn chain_bases(count: i64, inputs: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut bases: Vec<i64> = Vec::new();
    for input in inputs {
        let before = usize::try_from(input.saturating_sub(count)).ok();
        let before = before.filter(|_| input >= count);
        let base = before.and_then(|action| bases.get(action)).copied();
        bases.push(base.unwrap_or(input));
    }
    bases
}
