//! The text form of a graph: what a person reviews, what snapshots hold, and what can be read back.
//!
//! Two prints of one grammar. The default one ([`Definition::to_text`]) has what the graph does. The full one
//! ([`Definition::to_full_text`]) adds what travels beside the ops, and reads back ([`Definition::from_text`]) as the
//! same bytes.
//!
//! One line or block per op, each under a name: its custom name, or what it does, never its digest. A changed command
//! is a change of one line, and an op that is added leaves the names of the others alone (ops that would share a name
//! are numbered).
//!
//! # Grammar
//!
//! Line breaks end statements; `;` begins a comment. Words need no quotes when they are made of letters, digits and
//! `/._-:+~@%` and begin with none of the last two. Between quotes there are the escapes `\n \r \t \" \\ \xNN \u{NN}`;
//! a backslash at the end of a line goes on in the next one, without the blanks at its start (`\ ` is a blank that
//! stays).
//!
//! ```text
//! text        = [ "platform" PLATFORM ] { file } { op } return
//! file        = "file" STRING { "language=" word | "data=" STRING } [ "{" text "}" ]
//! op          = NAME "=" kind [ "inputs=[" NAME { "," NAME } "]" ] content { attribute } [ "{" { line } "}" ]
//! return      = "return" ( output | "scratch" ) { attribute }
//!
//! content     = "source" STRING { key "=" STRING }          any source, with its attributes
//!             | "local" STRING { key "=" STRING }           a folder of the client; `local.unique=""` goes without saying
//!             | "exec" { STRING } { exec-option }           its block has exec-lines
//!             | "file"                                      its block has actions
//!             | "merge" output { "," output }
//!             | "diff" side "->" side                       side = output | "none"
//!             | "build" output { key "=" STRING }
//!             | "passthrough" STRING { output "," } "->" { output "," }
//!             | "unknown"
//!
//! output      = NAME | NAME ".out" NUMBER | "scratch" | "@" NUMBER     the last one is an input by its number
//!
//! exec-option = ( "cwd" | "user" | "hostname" | "cgroup-parent" ) "=" word
//!             | "network=" ( "host" | "none" ) | "security=insecure" | "exit-codes=[" NUMBER { "," NUMBER } "]"
//!             | "keep-mount-stubs" | "no-meta"
//! exec-line   = "env" word "=" STRING | "host" word "=" word | "ulimit" word "=" NUMBER ":" NUMBER
//!             | "proxy" { ( "http" | "https" | "ftp" | "no" | "all" ) "=" STRING }
//!             | target "=" mount | "$" word "=" "secret" STRING [ "optional" ] | "device" STRING [ "optional" ]
//! mount       = ( output | "cache" STRING [ "private" | "locked" ] | "tmpfs" [ "size=" NUMBER ]
//!                 | ( "secret" | "ssh" ) STRING [ "owner=" ids ] [ "mode=" OCTAL ] [ "optional" ] )
//!               [ "from" output ] [ "select" word ] [ "content-cache=" ( "on" | "off" ) ] [ "readonly" ]
//!               [ "->" "out" NUMBER | "no-output" ]
//!
//! action      = "on" origin                                 what the next action works on, if not the one before it
//!             | "copy" origin STRING "=>" STRING { option }
//!             | "mkfile" STRING OCTAL { option } STRING | "mkdir" STRING OCTAL { option }
//!             | "rm" STRING { option } | "symlink" STRING "=>" STRING { option }
//! origin      = output | "#" NUMBER                         the result of an action, counted from 0
//!
//! attribute   = "platform=" ( PLATFORM | "none" ) | "require=" STRING | "no-constraints"
//!             | "name=" STRING | "description" word "=" STRING | "group=" STRING [ "group-id=" word ] [ "weak-group" ]
//!             | "ignore-cache" | "export-cache" | "no-export-cache" | "limits" { limit "=" word }
//!             | "caps=[" { [ "!" ] word "," } "]" | "at" NUMBER "=[" { RANGE "," } "]" | "bytes=" HEX
//! ```
//!
//! - The `platform` line is the platform of all ops that have one and do not say it.
//! - An op lists `inputs=` only where reading its text from front to back would give others.
//! - `caps` and `at` are in the full print only. Without `caps` an op asks for what its content needs.
//! - `bytes=` is there when the text cannot say all of an op: fields of a newer BuildKit, another encoding. The
//!   default print says `bytes=omitted`, and shows long data of files by its size and digest; neither reads back.

mod draft;
mod facts;
mod lex;
mod parse;
mod parse_exec;
mod parse_file;
mod parse_op;
mod plain;
mod print;
mod print_op;
mod resolve;
mod suggest;
mod words;

pub(super) use facts::facts;

use std::fmt::Write as _;

use prost::Message as _;

use crate::definition::{Definition, MarshalOptions};
use crate::error::Error;
use crate::state::State;

impl Definition {
    /// The graph as text, for people: what it does, without capabilities and places in source files.
    ///
    /// It is the form for reviews and snapshots: stable when one op changes, without digests of ops. Long data of files
    /// is shown by its size and digest.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("alpine").run(sh("echo hello > /greeting").name("greet"));
    /// let definition = state.marshal(&MarshalOptions::linux_arm64())?;
    /// assert_eq!(definition.to_text(), r#"
    /// platform linux/arm64
    /// %alpine = source "docker-image://docker.io/library/alpine:latest"
    /// %greet = exec "/bin/sh" "-c" "echo hello > /greeting" cwd=/ name="greet" {
    ///   / = %alpine -> out0
    /// }
    /// return %greet
    /// "#.trim_start());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn to_text(&self) -> String {
        let mut printer = print::Printer::new(false);
        printer.definition(self);
        printer.text
    }

    /// The graph as text, with everything that is in it: [`Definition::from_text`] reads it back as the same bytes.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("alpine").marshal(&MarshalOptions::linux_arm64())?;
    /// let text = definition.to_full_text();
    /// assert_eq!(text, r#"
    /// platform linux/arm64
    /// %alpine = source "docker-image://docker.io/library/alpine:latest" caps=[source.image]
    /// return %alpine caps=[constraints, platform]
    /// "#.trim_start());
    /// assert_eq!(Definition::from_text(&text)?.to_bytes(), definition.to_bytes());
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn to_full_text(&self) -> String {
        let mut printer = print::Printer::new(true);
        printer.definition(self);
        printer.text
    }

    /// Reads a graph from its text form, in either print or written by hand.
    ///
    /// What a text does not say is as BuildKit's client would make it; capabilities are those that the ops need.
    ///
    /// ```
    /// use llb::Definition;
    ///
    /// let definition = Definition::from_text(r#"
    ///     platform linux/amd64
    ///     %base = source "docker-image://docker.io/library/alpine:latest"
    ///     %made = exec "make" cwd=/src { ; the context is only read
    ///         / = %base -> out0
    ///         /src = %context readonly
    ///     }
    ///     %context = local "context"
    ///     return %made
    /// "#)?;
    /// assert_eq!(definition.ops().len(), 4);
    ///
    /// let error = Definition::from_text("%a = exec \"x\" cwd=/ {\n  / = %b readnly\n}\nreturn %a").unwrap_err();
    /// assert_eq!(error.to_string(), "line 2, column 10: unknown option of a mount `readnly`\n  hint: did you mean `readonly`?");
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Every mistake in the text, each with line and column (both from 1), what was expected, and the nearest fix where
    /// one is known. After 50 mistakes the rest of the text is not read.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let message = parse::Parser::new(text).definition()?;
        Self::from_bytes(&message.encode_to_vec())
    }
}

impl State {
    /// The graph as text, as [`Definition::to_text`] prints it for `linux/amd64`.
    ///
    /// Mistakes in the graph are printed in its place, each as a line that begins with `error:`.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// assert_eq!(scratch().to_text(), "return scratch\n");
    /// assert!(image("Debian").to_text().starts_with("error: image \"Debian\": "));
    /// ```
    pub fn to_text(&self) -> String {
        match self.marshal(&MarshalOptions::linux_amd64()) {
            Ok(definition) => definition.to_text(),
            Err(error) => error
                .problems()
                .iter()
                .fold(String::new(), |mut text, problem| {
                    writeln!(text, "error: {}", problem.message())
                        .expect("writing to a string does not fail");
                    text
                }),
        }
    }
}
