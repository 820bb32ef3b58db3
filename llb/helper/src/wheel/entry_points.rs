//! `entry_points.txt`: the scripts that a distribution asks for.

/// A script that calls a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryPoint {
    /// The file name of the script.
    pub(super) name: String,
    /// The module to import.
    pub(super) module: String,
    /// What to call there, dotted.
    pub(super) function: String,
}

/// The scripts of `console_scripts`, then those of `gui_scripts`: on Linux they are the same.
///
/// # Errors
///
/// The line that cannot be read.
pub(super) fn parse(text: &str) -> Result<Vec<EntryPoint>, String> {
    let mut scripts: [Vec<(String, String)>; 2] = Default::default();
    let mut group: Option<usize> = None;
    let mut is_value = false;
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) && is_value {
            // The value of the line above goes on.
            if let Some((_, value)) = group.and_then(|group| scripts[group].last_mut()) {
                value.push('\n');
                value.push_str(content);
            }
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name
                .split_once(']')
                .map(|(name, _)| name.trim())
                .ok_or_else(|| format!("entry_points.txt: {content:?} lacks its ]"))?;
            group = ["console_scripts", "gui_scripts"]
                .iter()
                .position(|scripts| *scripts == name);
            is_value = false;
            continue;
        }
        is_value = true;
        if let Some(group) = group {
            let (name, value) = content.split_once('=').ok_or_else(|| {
                format!("entry_points.txt: {content:?} is not NAME = MODULE:FUNCTION")
            })?;
            scripts[group].push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let entries = scripts.into_iter().flatten();
    entries
        .map(|(name, value)| entry_point(name, &value))
        .collect()
}

fn entry_point(name: String, value: &str) -> Result<EntryPoint, String> {
    let reference = match value.split_once('[') {
        Some((reference, extras)) if extras.trim_end().ends_with(']') => reference,
        Some(_) => "",
        None => value,
    };
    let parts = reference.split_once(':');
    let parts = parts.map(|(module, function)| (module.trim(), function.trim()));
    match parts {
        Some((module, function)) if is_dotted(module) && is_dotted(function) => Ok(EntryPoint {
            module: module.to_owned(),
            function: function.to_owned(),
            name,
        }),
        _ => Err(format!(
            "entry_points.txt: script {name:?} is {value:?}, expected MODULE:FUNCTION"
        )),
    }
}

fn is_dotted(name: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    name.split('.')
        .all(|part| !part.is_empty() && part.chars().all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_both_groups_are_read() {
        let text = "[console_scripts]\none = a.b:c.d\ntwo=a : b [extra, more]\n# no\n\n[other]\nx = y\n[gui_scripts]\nthree = a:b\n";
        let names: Vec<String> = parse(text)
            .unwrap()
            .into_iter()
            .map(|script| format!("{} {} {}", script.name, script.module, script.function))
            .collect();
        assert_eq!(names, ["one a.b c.d", "two a b", "three a b"]);
    }

    #[test]
    fn mistakes_name_the_script() {
        for (text, part) in [
            ("[console_scripts]\none = a\n", "script \"one\" is \"a\""),
            (
                "[console_scripts]\none = a:b\n  two = c:d\n",
                "script \"one\"",
            ),
            ("[console_scripts]\none = a:b;import os\n", "script \"one\""),
            ("[console_scripts\n", "lacks its ]"),
            ("[console_scripts]\none\n", "is not NAME"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
