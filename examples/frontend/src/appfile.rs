//! The file format: one instruction a line.

/// A file that was read.
pub(crate) struct Appfile {
    pub(crate) lines: Vec<Line>,
}

/// An instruction and its line, counted from 1.
pub(crate) struct Line {
    pub(crate) number: i32,
    pub(crate) instruction: Instruction,
}

/// What a line says.
pub(crate) enum Instruction {
    Base(String),
    Argument {
        name: String,
        default: String,
    },
    Copy {
        from: Option<String>,
        source: String,
        target: String,
    },
    Run(String),
    Start(String),
}

/// What is wrong, and where.
pub(crate) struct Mistake {
    pub(crate) line: i32,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Appfile {
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mistake = |message: String, hint: Option<&str>| Mistake {
                line: number,
                message,
                hint: hint.map(str::to_owned),
            };
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            if rest.is_empty() {
                return Err(mistake(format!("`{word}` needs something behind it"), None));
            }
            let instruction = match word {
                "base" => Instruction::Base(rest.to_owned()),
                "arg" => {
                    let (name, default) =
                        rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                    Instruction::Argument {
                        name: name.to_owned(),
                        default: default.trim().to_owned(),
                    }
                }
                "copy" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
                    [source, target] => copy(None, source, target),
                    [source, target, from] if from.starts_with("from=") => {
                        copy(from.strip_prefix("from="), source, target)
                    }
                    _ => {
                        let hint = "write `copy SOURCE TARGET`, and `from=CONTEXT` if it is not the main one";
                        return Err(mistake(format!("`copy {rest}` cannot be read"), Some(hint)));
                    }
                },
                "run" => Instruction::Run(rest.to_owned()),
                "start" => Instruction::Start(rest.to_owned()),
                other => {
                    let hint = "instructions are base, arg, copy, run and start";
                    return Err(mistake(
                        format!("unknown instruction `{other}`"),
                        Some(hint),
                    ));
                }
            };
            let is_first = lines.is_empty();
            if is_first != matches!(instruction, Instruction::Base(_)) {
                let message = "`base` is the first instruction, and there is one".to_owned();
                return Err(mistake(message, None));
            }
            lines.push(Line {
                number,
                instruction,
            });
        }
        if lines.is_empty() {
            return Err(Mistake {
                line: 1,
                message: "the file says nothing".to_owned(),
                hint: Some("begin with `base IMAGE`".to_owned()),
            });
        }
        Ok(Self { lines })
    }

    pub(crate) fn has_argument(&self, argument: &str) -> bool {
        self.lines.iter().any(|line| {
            matches!(&line.instruction, Instruction::Argument { name, .. } if name == argument)
        })
    }
}

fn copy(from: Option<&str>, source: &str, target: &str) -> Instruction {
    Instruction::Copy {
        from: from.map(str::to_owned),
        source: source.to_owned(),
        target: target.to_owned(),
    }
}
