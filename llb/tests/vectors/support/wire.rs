//! Prints protobuf bytes as text, field by field and in the order they stand, so that two encodings can be compared.
//!
//! This reads the wire itself and not through message types: an absent field and a default one, or two orders of the
//! same fields, are what the vectors are about.

use std::fmt::Write as _;

/// What the bytes of a field hold.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Packed,
    Message(&'static str),
    /// The bytes of an op.
    Op,
    /// A map entry with text keys.
    Entry(&'static Kind),
}

use Kind::{Entry, Int, Message, Op, Packed, Text};

/// Prints the bytes of a `pb.Definition`. Digests of its own ops are printed as their place, `op 0`, so that a
/// difference in one op does not show in all that follow.
pub(crate) fn definition(bytes: &[u8]) -> String {
    let mut printer = Printer {
        digests: Vec::new(),
        text: String::new(),
    };
    printer.message("Definition", bytes, 0);
    printer.text
}

struct Printer {
    digests: Vec<String>,
    text: String,
}

impl Printer {
    fn message(&mut self, message: &'static str, mut bytes: &[u8], depth: usize) {
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let number = tag >> 3;
            let (name, kind) = field(message, number)
                .unwrap_or(("?", if tag.is_multiple_of(8) { Int } else { Text }));
            self.indent(depth, format_args!("{number} {name}"));
            if tag.is_multiple_of(8) {
                let value = varint(&mut bytes).cast_signed();
                writeln!(self.text, ": {value}").unwrap();
            } else {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                self.value(kind, value, depth);
            }
        }
    }

    fn value(&mut self, kind: Kind, mut bytes: &[u8], depth: usize) {
        match kind {
            Text | Int => {
                let text = String::from_utf8_lossy(bytes);
                match self.digests.iter().position(|digest| *digest == text) {
                    Some(place) => writeln!(self.text, ": op {place}").unwrap(),
                    None => writeln!(self.text, ": {text:?}").unwrap(),
                }
            }
            Packed => {
                self.text.push(':');
                while !bytes.is_empty() {
                    write!(self.text, " {}", varint(&mut bytes).cast_signed()).unwrap();
                }
                self.text.push('\n');
            }
            Op => {
                writeln!(self.text, " {} {{", self.digests.len()).unwrap();
                self.message("Op", bytes, depth + 1);
                self.indent(depth, format_args!("}}\n"));
                self.digests.push(llb::OpDigest::of(bytes).to_string());
            }
            Message(message) => {
                self.text.push_str(" {\n");
                self.message(message, bytes, depth + 1);
                self.indent(depth, format_args!("}}\n"));
            }
            Entry(value_kind) => {
                self.text.push_str(" {\n");
                while !bytes.is_empty() {
                    let tag = varint(&mut bytes);
                    self.indent(
                        depth + 1,
                        format_args!("{}", if tag >> 3 == 1 { "key" } else { "value" }),
                    );
                    if tag.is_multiple_of(8) {
                        let value = varint(&mut bytes);
                        writeln!(self.text, ": {value}").unwrap();
                    } else {
                        let length = usize::try_from(varint(&mut bytes)).unwrap();
                        let (value, rest) = bytes.split_at(length);
                        bytes = rest;
                        self.value(
                            if tag >> 3 == 1 { Text } else { *value_kind },
                            value,
                            depth + 1,
                        );
                    }
                }
                self.indent(depth, format_args!("}}\n"));
            }
        }
    }

    fn indent(&mut self, depth: usize, text: std::fmt::Arguments<'_>) {
        write!(self.text, "{:indent$}{text}", "", indent = depth * 2).unwrap();
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number ends within the bytes");
        *bytes = rest;
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number is longer than ten bytes");
}

/// Name and kind of a field, as in BuildKit's `solver/pb/ops.proto`.
#[expect(
    clippy::match_same_arms,
    reason = "one line for each field reads like the message definitions"
)]
fn field(message: &str, number: u64) -> Option<(&'static str, Kind)> {
    Some(match (message, number) {
        ("Definition", 1) => ("def", Op),
        ("Definition", 2) => ("metadata", Entry(&Message("OpMetadata"))),
        ("Definition", 3) => ("source", Message("Source")),
        ("Op", 1) => ("inputs", Message("Input")),
        ("Op", 2) => ("exec", Message("ExecOp")),
        ("Op", 3) => ("source", Message("SourceOp")),
        ("Op", 4) => ("file", Message("FileOp")),
        ("Op", 5) => ("build", Message("BuildOp")),
        ("Op", 6) => ("merge", Message("MergeOp")),
        ("Op", 7) => ("diff", Message("DiffOp")),
        ("Op", 8) => ("passthrough", Message("PassthroughOp")),
        ("Op", 10) => ("platform", Message("Platform")),
        ("Op", 11) => ("constraints", Message("WorkerConstraints")),
        ("Input", 1) => ("digest", Text),
        ("Input", 2) => ("index", Int),
        ("Platform", 1) => ("Architecture", Text),
        ("Platform", 2) => ("OS", Text),
        ("Platform", 3) => ("Variant", Text),
        ("Platform", 4) => ("OSVersion", Text),
        ("Platform", 5) => ("OSFeatures", Text),
        ("WorkerConstraints", 1) => ("filter", Text),
        ("ExecOp", 1) => ("meta", Message("Meta")),
        ("ExecOp", 2) => ("mounts", Message("Mount")),
        ("ExecOp", 3) => ("network", Int),
        ("ExecOp", 4) => ("security", Int),
        ("ExecOp", 5) => ("secretenv", Message("SecretEnv")),
        ("ExecOp", 6) => ("cdiDevices", Message("CDIDevice")),
        ("Meta", 1) => ("args", Text),
        ("Meta", 2) => ("env", Text),
        ("Meta", 3) => ("cwd", Text),
        ("Meta", 4) => ("user", Text),
        ("Meta", 5) => ("proxy_env", Message("ProxyEnv")),
        ("Meta", 6) => ("extraHosts", Message("HostIP")),
        ("Meta", 7) => ("hostname", Text),
        ("Meta", 9) => ("ulimit", Message("Ulimit")),
        ("Meta", 10) => ("cgroupParent", Text),
        ("Meta", 11) => ("removeMountStubsRecursive", Int),
        ("Meta", 12) => ("validExitCodes", Packed),
        ("ProxyEnv", 1) => ("http_proxy", Text),
        ("ProxyEnv", 2) => ("https_proxy", Text),
        ("ProxyEnv", 3) => ("ftp_proxy", Text),
        ("ProxyEnv", 4) => ("no_proxy", Text),
        ("ProxyEnv", 5) => ("all_proxy", Text),
        ("HostIP", 1) => ("Host", Text),
        ("HostIP", 2) => ("IP", Text),
        ("Ulimit", 1) => ("Name", Text),
        ("Ulimit", 2) => ("Soft", Int),
        ("Ulimit", 3) => ("Hard", Int),
        ("Mount", 1) => ("input", Int),
        ("Mount", 2) => ("selector", Text),
        ("Mount", 3) => ("dest", Text),
        ("Mount", 4) => ("output", Int),
        ("Mount", 5) => ("readonly", Int),
        ("Mount", 6) => ("mountType", Int),
        ("Mount", 19) => ("TmpfsOpt", Message("TmpfsOpt")),
        ("Mount", 20) => ("cacheOpt", Message("CacheOpt")),
        ("Mount", 21) => ("secretOpt", Message("SecretOpt")),
        ("Mount", 22) => ("SSHOpt", Message("SecretOpt")),
        ("Mount", 24) => ("contentCache", Int),
        ("TmpfsOpt", 1) => ("size", Int),
        ("CacheOpt" | "SecretOpt", 1) => ("ID", Text),
        ("CacheOpt", 2) => ("sharing", Int),
        ("SecretOpt", 2) => ("uid", Int),
        ("SecretOpt", 3) => ("gid", Int),
        ("SecretOpt", 4) => ("mode", Int),
        ("SecretOpt", 5) => ("optional", Int),
        ("SecretEnv", 1) => ("ID", Text),
        ("SecretEnv", 2) => ("name", Text),
        ("SecretEnv", 3) => ("optional", Int),
        ("CDIDevice", 1) => ("name", Text),
        ("CDIDevice", 2) => ("optional", Int),
        ("SourceOp", 1) => ("identifier", Text),
        ("SourceOp", 2) => ("attrs", Entry(&Text)),
        ("FileOp", 2) => ("actions", Message("FileAction")),
        ("FileAction", 1) => ("input", Int),
        ("FileAction", 2) => ("secondaryInput", Int),
        ("FileAction", 3) => ("output", Int),
        ("FileAction", 4) => ("copy", Message("Copy")),
        ("FileAction", 5) => ("mkfile", Message("MkFile")),
        ("FileAction", 6) => ("mkdir", Message("MkDir")),
        ("FileAction", 7) => ("rm", Message("Rm")),
        ("FileAction", 8) => ("symlink", Message("Symlink")),
        ("Copy", 1) => ("src", Text),
        ("Copy", 2) => ("dest", Text),
        ("Copy", 4) | ("MkFile" | "MkDir", 2) => ("mode", Int),
        ("Copy" | "Symlink", 3) | ("MkFile" | "MkDir", 4) => ("owner", Message("ChownOpt")),
        ("Copy", 5) => ("followSymlink", Int),
        ("Copy", 6) => ("dirCopyContents", Int),
        ("Copy", 7) => ("attemptUnpackDockerCompatibility", Int),
        ("Copy", 8) => ("createDestPath", Int),
        ("Copy", 9) | ("Rm", 3) => ("allowWildcard", Int),
        ("Copy", 10) => ("allowEmptyWildcard", Int),
        ("Copy", 11) | ("MkFile" | "MkDir", 5) | ("Symlink", 4) => ("timestamp", Int),
        ("Copy", 12) => ("include_patterns", Text),
        ("Copy", 13) => ("exclude_patterns", Text),
        ("Copy", 14) => ("alwaysReplaceExistingDestPaths", Int),
        ("Copy", 15) => ("modeStr", Text),
        ("Copy", 16) => ("required_paths", Text),
        ("MkFile" | "MkDir" | "Rm", 1) => ("path", Text),
        ("MkFile", 3) => ("data", Text),
        ("MkDir", 3) => ("makeParents", Int),
        ("Rm", 2) => ("allowNotFound", Int),
        ("Symlink", 1) => ("oldpath", Text),
        ("Symlink", 2) => ("newpath", Text),
        ("ChownOpt", 1) => ("user", Message("UserOpt")),
        ("ChownOpt", 2) => ("group", Message("UserOpt")),
        ("UserOpt", 1) => ("byName", Message("NamedUserOpt")),
        ("UserOpt", 2) => ("byID", Int),
        ("NamedUserOpt", 1) => ("name", Text),
        ("NamedUserOpt", 2) | ("Index", 1) => ("input", Int),
        ("BuildOp", 1) => ("builder", Int),
        ("BuildOp", 2) => ("inputs", Entry(&Message("Index"))),
        ("BuildOp", 4) => ("attrs", Entry(&Text)),
        ("MergeOp", 1) => ("inputs", Message("Index")),
        ("DiffOp", 1) => ("lower", Message("Index")),
        ("DiffOp", 2) => ("upper", Message("Index")),
        ("PassthroughOp", 1) => ("id", Text),
        ("PassthroughOp", 2) => ("outputs", Packed),
        ("OpMetadata", 1) => ("ignore_cache", Int),
        ("OpMetadata", 2) => ("description", Entry(&Text)),
        ("OpMetadata", 4) => ("export_cache", Message("ExportCache")),
        ("OpMetadata", 5) => ("caps", Entry(&Int)),
        ("OpMetadata", 6) => ("progress_group", Message("ProgressGroup")),
        ("OpMetadata", 7) => ("linux_resources", Message("LinuxResources")),
        ("ExportCache", 1) => ("Value", Int),
        ("ProgressGroup", 1) => ("id", Text),
        ("ProgressGroup", 2) => ("name", Text),
        ("ProgressGroup", 3) => ("weak", Int),
        ("LinuxResources", 1) => ("memory", Int),
        ("LinuxResources", 2) => ("memory_swap", Int),
        ("LinuxResources", 3) => ("cpu_shares", Int),
        ("LinuxResources", 4) => ("cpu_period", Int),
        ("LinuxResources", 5) => ("cpu_quota", Int),
        ("LinuxResources", 6) => ("cpuset_cpus", Text),
        ("LinuxResources", 7) => ("cpuset_mems", Text),
        ("Source", 1) => ("locations", Entry(&Message("Locations"))),
        ("Source", 2) => ("infos", Message("SourceInfo")),
        ("SourceInfo", 1) => ("filename", Text),
        ("SourceInfo", 2) => ("data", Text),
        ("SourceInfo", 3) => ("definition", Message("Definition")),
        ("SourceInfo", 4) => ("language", Text),
        ("Locations", 1) => ("locations", Message("Location")),
        ("Location", 1) => ("sourceIndex", Int),
        ("Location", 2) => ("ranges", Message("Range")),
        ("Range", 1) => ("start", Message("Position")),
        ("Range", 2) => ("end", Message("Position")),
        ("Position", 1) => ("line", Int),
        ("Position", 2) => ("character", Int),
        _ => return None,
    })
}
