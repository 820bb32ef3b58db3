//! Whether bytes are an op: its fields have the types that they must have, all the way down.
//!
//! It finds what decoding into `proto::pb` finds, without making anything: an op is looked through in the time that its
//! bytes take, whatever they claim to hold. Fields that are not known here pass, as they do there.

use super::fields::{Malformed, Part, Reason, Value};

/// Messages inside an op may be so deep; those of LLB's own ops are no deeper than 6, and decoding stops at 100.
const DEEPEST: usize = 90;

/// The type of a field.
enum Type {
    Integer,
    /// Repeated, one by one or packed.
    Integers,
    Text,
    Bytes,
    Message(&'static Schema),
}

/// The known fields of a message by number.
struct Schema(&'static [(u32, Type)]);

/// Looks through an op.
pub(super) fn check_op(op: Part<'_>) -> Result<(), Malformed> {
    OP.check(op, 0)
}

impl Schema {
    fn check(&self, message: Part<'_>, depth: usize) -> Result<(), Malformed> {
        if depth > DEEPEST {
            return Err(message.malformed(Reason::Depth));
        }
        let mut fields = message.fields();
        while let Some((number, value)) = fields.next()? {
            let known = self.0.iter().find(|(known, _)| *known == number);
            let Some((_, kind)) = known else { continue };
            match kind {
                Type::Integer => _ = value.integer(number, message)?,
                Type::Integers => {
                    if let Value::Bytes(packed) = value {
                        let mut integers = packed.fields();
                        while !integers.is_at_end() {
                            integers.varint()?;
                        }
                    } else {
                        value.integer(number, message)?;
                    }
                }
                Type::Text => _ = value.text(number, message)?,
                Type::Bytes => _ = value.part(number, message)?,
                Type::Message(schema) => schema.check(value.part(number, message)?, depth + 1)?,
            }
        }
        Ok(())
    }
}

macro_rules! schemas {
    ($($name:ident { $($number:literal $kind:ident $($of:ident)?,)* })*) => {
        $(static $name: Schema = Schema(&[$(($number, Type::$kind $((&$of))?),)*]);)*

        #[cfg(test)]
        const FIELDS: &[(&str, u32, &str)] = &[$($((
            stringify!($name),
            $number,
            concat!(stringify!($kind) $(, " ", stringify!($of))?),
        ),)*)*];
    };
}

// The names are those of the messages. Maps are repeated messages with a key and a value.
schemas! {
    OP {
        1 Message INPUT,
        10 Message PLATFORM,
        11 Message WORKER_CONSTRAINTS,
        2 Message EXEC_OP,
        3 Message SOURCE_OP,
        4 Message FILE_OP,
        5 Message BUILD_OP,
        6 Message MERGE_OP,
        7 Message DIFF_OP,
        8 Message PASSTHROUGH_OP,
    }
    INPUT { 1 Text, 2 Integer, }
    PLATFORM { 1 Text, 2 Text, 3 Text, 4 Text, 5 Text, }
    WORKER_CONSTRAINTS { 1 Text, }
    EXEC_OP {
        2 Message MOUNT,
        1 Message META,
        3 Integer,
        4 Integer,
        5 Message SECRET_ENV,
        6 Message CDI_DEVICE,
    }
    META {
        1 Text,
        2 Text,
        3 Text,
        4 Text,
        5 Message PROXY_ENV,
        6 Message HOST_IP,
        7 Text,
        9 Message ULIMIT,
        10 Text,
        11 Integer,
        12 Integers,
    }
    PROXY_ENV { 1 Text, 2 Text, 3 Text, 4 Text, 5 Text, }
    HOST_IP { 1 Text, 2 Text, }
    ULIMIT { 1 Text, 2 Integer, 3 Integer, }
    SECRET_ENV { 1 Text, 2 Text, 3 Integer, }
    CDI_DEVICE { 1 Text, 2 Integer, }
    MOUNT {
        1 Integer,
        2 Text,
        3 Text,
        4 Integer,
        5 Integer,
        6 Integer,
        19 Message TMPFS_OPT,
        20 Message CACHE_OPT,
        21 Message SECRET_OPT,
        22 Message SSH_OPT,
        23 Text,
        24 Integer,
    }
    TMPFS_OPT { 1 Integer, }
    CACHE_OPT { 1 Text, 2 Integer, }
    SECRET_OPT { 1 Text, 2 Integer, 3 Integer, 4 Integer, 5 Integer, }
    SSH_OPT { 1 Text, 2 Integer, 3 Integer, 4 Integer, 5 Integer, }
    SOURCE_OP { 1 Text, 2 Message STRING_STRING_ENTRY, }
    BUILD_OP {
        1 Integer,
        2 Message STRING_BUILD_INPUT_ENTRY,
        3 Message DEFINITION,
        4 Message STRING_STRING_ENTRY,
    }
    BUILD_INPUT { 1 Integer, }
    FILE_OP { 2 Message FILE_ACTION, }
    FILE_ACTION {
        1 Integer,
        2 Integer,
        3 Integer,
        4 Message FILE_ACTION_COPY,
        5 Message FILE_ACTION_MK_FILE,
        6 Message FILE_ACTION_MK_DIR,
        7 Message FILE_ACTION_RM,
        8 Message FILE_ACTION_SYMLINK,
    }
    FILE_ACTION_COPY {
        1 Text,
        2 Text,
        3 Message CHOWN_OPT,
        4 Integer,
        5 Integer,
        6 Integer,
        7 Integer,
        8 Integer,
        9 Integer,
        10 Integer,
        11 Integer,
        12 Text,
        13 Text,
        14 Integer,
        15 Text,
        16 Text,
    }
    FILE_ACTION_MK_FILE { 1 Text, 2 Integer, 3 Bytes, 4 Message CHOWN_OPT, 5 Integer, }
    FILE_ACTION_SYMLINK { 1 Text, 2 Text, 3 Message CHOWN_OPT, 4 Integer, }
    FILE_ACTION_MK_DIR { 1 Text, 2 Integer, 3 Integer, 4 Message CHOWN_OPT, 5 Integer, }
    FILE_ACTION_RM { 1 Text, 2 Integer, 3 Integer, }
    CHOWN_OPT { 1 Message USER_OPT, 2 Message USER_OPT, }
    USER_OPT { 1 Message NAMED_USER_OPT, 2 Integer, }
    NAMED_USER_OPT { 1 Text, 2 Integer, }
    MERGE_OP { 1 Message MERGE_INPUT, }
    MERGE_INPUT { 1 Integer, }
    DIFF_OP { 1 Message LOWER_DIFF_INPUT, 2 Message UPPER_DIFF_INPUT, }
    LOWER_DIFF_INPUT { 1 Integer, }
    UPPER_DIFF_INPUT { 1 Integer, }
    PASSTHROUGH_OP { 1 Text, 2 Integers, }

    // A build op may hold a definition of its own.
    DEFINITION {
        1 Bytes,
        2 Message STRING_OP_METADATA_ENTRY,
        3 Message SOURCE,
    }
    OP_METADATA {
        1 Integer,
        2 Message STRING_STRING_ENTRY,
        4 Message EXPORT_CACHE,
        5 Message STRING_BOOL_ENTRY,
        6 Message PROGRESS_GROUP,
        7 Message LINUX_RESOURCES,
    }
    EXPORT_CACHE { 1 Integer, }
    PROGRESS_GROUP { 1 Text, 2 Text, 3 Integer, }
    LINUX_RESOURCES {
        1 Integer,
        2 Integer,
        3 Integer,
        4 Integer,
        5 Integer,
        6 Text,
        7 Text,
    }
    SOURCE { 1 Message STRING_LOCATIONS_ENTRY, 2 Message SOURCE_INFO, }
    LOCATIONS { 1 Message LOCATION, }
    LOCATION { 1 Integer, 2 Message RANGE, }
    RANGE { 1 Message POSITION, 2 Message POSITION, }
    POSITION { 1 Integer, 2 Integer, }
    SOURCE_INFO { 1 Text, 2 Bytes, 3 Message DEFINITION, 4 Text, }

    STRING_STRING_ENTRY { 1 Text, 2 Text, }
    STRING_BOOL_ENTRY { 1 Text, 2 Integer, }
    STRING_BUILD_INPUT_ENTRY { 1 Text, 2 Message BUILD_INPUT, }
    STRING_OP_METADATA_ENTRY { 1 Text, 2 Message OP_METADATA, }
    STRING_LOCATIONS_ENTRY { 1 Text, 2 Message LOCATIONS, }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `FileActionMkFile` as `FILE_ACTION_MK_FILE`.
    fn constant(name: &str) -> String {
        let mut constant = String::new();
        for character in name.chars() {
            if character.is_ascii_uppercase() && !constant.is_empty() {
                constant.push('_');
            }
            constant.push(character.to_ascii_uppercase());
        }
        constant
    }

    /// What stands between quotes in `tag = "1"`.
    fn quoted<'t>(attribute: &'t str, key: &str) -> Option<&'t str> {
        let (_, rest) = attribute.split_once(&format!("{key} = \""))?;
        rest.split('"').next()
    }

    /// The fields that the generated code has: message, number and type.
    fn generated() -> BTreeSet<(String, u32, String)> {
        let text = include_str!("../../proto/pb.rs").replace("super::", "");
        let mut fields = BTreeSet::new();
        let mut message = "";
        let mut tag = None;
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if let Some(name) = line
                .strip_prefix("pub struct ")
                .or_else(|| line.strip_prefix("pub enum "))
            {
                message = match name.trim_end_matches(" {") {
                    // Oneofs; their fields are those of the message around them.
                    "Action" => "FileAction",
                    "User" => "UserOpt",
                    name => name,
                };
            }
            if let Some(attribute) = line.strip_prefix("#[prost(") {
                tag = quoted(attribute, "tag").map(|tag| (tag, attribute));
                continue;
            }
            let Some((number, attribute)) = tag.take() else {
                continue;
            };
            let mut declaration = line.to_owned();
            while declaration.matches('<').count() > declaration.matches('>').count() {
                declaration += lines.next().unwrap();
            }
            let kind = attribute.split([',', ' ', '=']).next().unwrap();
            let last = |text: &str| {
                let end = text.trim_end_matches(['>', ',', ')']);
                let start = end.rfind(['<', ':', '(', ',', ' ']).map_or(0, |at| at + 1);
                constant(&end[start..])
            };
            let is_repeated = attribute.contains("repeated");
            let kind = match kind {
                "bool" | "int32" | "int64" | "uint32" | "uint64" | "enumeration" if is_repeated => {
                    "Integers".to_owned()
                }
                "bool" | "int32" | "int64" | "uint32" | "uint64" | "enumeration" => {
                    "Integer".to_owned()
                }
                "string" => "Text".to_owned(),
                "bytes" => "Bytes".to_owned(),
                "message" => format!("Message {}", last(&declaration)),
                "btree_map" => match quoted(attribute, "btree_map").unwrap() {
                    "string, message" => {
                        format!("Message STRING_{}_ENTRY", last(&declaration))
                    }
                    types => {
                        let types = types.to_uppercase().replace(", ", "_");
                        format!("Message {types}_ENTRY")
                    }
                },
                other => panic!("unknown type {other}"),
            };
            fields.insert((constant(message), number.parse().unwrap(), kind));
        }
        fields
    }

    #[test]
    fn the_schemas_are_those_of_the_messages() {
        let known = FIELDS
            .iter()
            .filter(|(message, ..)| !message.ends_with("_ENTRY"))
            .map(|(message, number, kind)| ((*message).to_owned(), *number, (*kind).to_owned()));
        let (known, generated) = (known.collect::<BTreeSet<_>>(), generated());
        assert_eq!(
            known.difference(&generated).collect::<Vec<_>>(),
            Vec::<&(String, u32, String)>::new(),
            "not in proto/pb.rs"
        );
        assert_eq!(
            generated.difference(&known).collect::<Vec<_>>(),
            Vec::<&(String, u32, String)>::new(),
            "only in proto/pb.rs"
        );
    }

    #[test]
    fn ops_nested_without_end_are_refused() {
        let mut bytes = Vec::new();
        // Op.build, then Build.def, Definition.source, Source.infos, SourceInfo.definition and so on.
        let tags = [0x1a, 0x12, 0x1a].repeat(400);
        for tag in tags.into_iter().chain([0x1a, 0x2a]) {
            let mut outer = vec![tag];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length).unwrap());
            outer.append(&mut bytes);
            bytes = outer;
        }
        let error = check_op(Part::whole(&bytes)).unwrap_err();
        assert!(
            error.to_string().ends_with("is nested too deeply"),
            "{error}"
        );
    }
}
