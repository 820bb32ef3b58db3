//! Options of several fields, as buildctl has them: `type=local,dest=out`.

use std::collections::BTreeMap;

/// The fields of an option, by their lower-case names.
#[derive(Debug, Default)]
pub(super) struct Fields {
    option: &'static str,
    fields: BTreeMap<String, String>,
}

impl Fields {
    /// Reads fields separated by commas. One that has a comma itself is put in double quotes, name and all:
    /// `type=image,"name=a,b"`.
    pub(super) fn read(option: &'static str, text: &str) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for field in split(text).map_err(|what| format!("{option} {text:?}: {what}"))? {
            let (key, value) = pair(option, &field)?;
            fields.insert(key.to_lowercase(), value.to_owned());
        }
        Ok(Self { option, fields })
    }

    /// A field that has to be there.
    pub(super) fn needed(&mut self, key: &str, example: &str) -> Result<String, String> {
        self.fields.remove(key).ok_or_else(|| {
            format!(
                "{} lacks `{key}=`, expected something like `{example}`",
                self.option
            )
        })
    }

    /// A field that may be there.
    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        self.fields.remove(key)
    }

    /// The fields that have not been taken.
    pub(super) fn rest(self) -> BTreeMap<String, String> {
        self.fields
    }

    /// Refuses fields that have not been taken.
    pub(super) fn end(self, known: &str) -> Result<(), String> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!(
                "{} has the unknown field `{key}=`, expected {known}",
                self.option
            )),
        }
    }
}

/// A name and its value.
///
/// # Errors
///
/// What the option has instead.
pub fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err(format!("{option} has {text:?}, expected `name=value`")),
    }
}

fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (part, after) = rest.split_once('"').ok_or("a double quote is not closed")?;
                field.push_str(part);
                rest = after;
                match rest.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        rest = after;
                    }
                    None => break,
                }
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err("something follows a closing double quote");
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_at_commas_outside_of_quotes() {
        let mut fields =
            Fields::read("--output", r#"type=image,"name=a,b",annotation.x="y""#).unwrap();
        assert_eq!(fields.needed("type", "").unwrap(), "image");
        assert_eq!(fields.optional("name").as_deref(), Some("a,b"));
        let rest = fields.rest();
        assert_eq!(rest["annotation.x"], r#""y""#);
        for (text, part) in [
            ("type", "expected `name=value`"),
            ("\"type=a", "not closed"),
            ("\"type=a\"b", "follows"),
            ("type=a,,b=c", "expected `name=value`"),
        ] {
            let error = Fields::read("--output", text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
