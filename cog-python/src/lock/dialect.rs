//! From pip's requirement lines to what uv reads and is told.
//!
//! Lines of the project are as pip has them. Of pip's options uv reads most in a file; some it wants on its command line,
//! and some have no meaning for a resolution.

/// Lines of a file for uv, and the options of its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Lines.
    pub lines: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// Sorts pip's lines into a file and a command line for uv.
///
/// ```
/// let lines = ["--pre", "--trusted-host x", "six==1"].map(String::from);
/// let uv = cog_python::lock::dialect(&lines);
/// assert_eq!(uv.lines, ["six==1"]);
/// assert_eq!(uv.options, ["--prerelease", "allow", "--allow-insecure-host", "x"]);
/// ```
pub fn dialect(lines: &[String]) -> Dialect {
    let mut dialect = Dialect::default();
    for line in lines {
        let (name, value) = match line.split_once(|c: char| c.is_whitespace() || c == '=') {
            Some((name, value)) => (name, value.trim()),
            None => (line.as_str(), ""),
        };
        match name {
            "--pre" => dialect
                .options
                .extend(["--prerelease", "allow"].map(String::from)),
            "--trusted-host" => {
                dialect
                    .options
                    .extend(["--allow-insecure-host".to_owned(), value.to_owned()]);
            }
            // The newest release wins, whatever it is packed as; hashes are compared when files are chosen; options of
            // installing are no matter of resolving.
            "--prefer-binary" | "--require-hashes" | "--use-feature" | "--use-pep517"
            | "--no-use-pep517" | "--global-option" | "--config-settings"
            | "--root-user-action" => {}
            _ => dialect.lines.push(line.clone()),
        }
    }
    dialect
}
