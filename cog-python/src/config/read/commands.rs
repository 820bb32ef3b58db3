//! `build.run` and `build.pre_install`.

use super::Reader;
use super::node::Entries;
use crate::config::keys;
use crate::config::{RunCommand, SecretMount};
use crate::diagnostic::Spanned;
use crate::yaml::{Kind, Node, Value};

impl Reader<'_> {
    pub(super) fn run_commands(&mut self, entries: &Entries<'_>) -> Vec<RunCommand> {
        let Some(node) = entries.value("run") else {
            return Vec::new();
        };
        let items = self.list(node, "build.run");
        items
            .iter()
            .filter_map(|item| self.run_command(item))
            .collect()
    }

    pub(super) fn run_command(&mut self, node: &Node) -> Option<RunCommand> {
        if !matches!(node.value, Value::Mapping(_)) {
            if matches!(node.kind(), Kind::List | Kind::Number) {
                self.expected(
                    node,
                    "build.run item",
                    "a string or a mapping with `command`",
                );
                return None;
            }
            let text = self.text(node, "build.run item")?;
            return self.command(&text, Vec::new());
        }
        let entries = self.mapping(node, "build.run item", &keys::RUN)?;
        let mut mounts = Vec::new();
        if let Some(node) = entries.value("mounts") {
            for item in self.list(node, "mounts") {
                mounts.extend(self.secret_mount(item));
            }
        }
        let command = self.required(&entries, "command", node.span)?;
        self.command(&command, mounts)
    }

    pub(super) fn command(
        &mut self,
        text: &Spanned<String>,
        mounts: Vec<SecretMount>,
    ) -> Option<RunCommand> {
        let command = text.value.trim();
        if command.is_empty() {
            self.error(text.span, "a command must not be empty");
            return None;
        }
        if command.contains('\0') {
            self.error(text.span, "a command must not hold a NUL character");
            return None;
        }
        Some(RunCommand {
            command: command.to_owned(),
            mounts,
            span: text.span,
        })
    }

    pub(super) fn secret_mount(&mut self, node: &Node) -> Option<SecretMount> {
        let entries = self.mapping(node, "mounts item", &keys::MOUNT)?;
        let kind = self.required(&entries, "type", node.span);
        let id = self.required(&entries, "id", node.span);
        let target = self.required(&entries, "target", node.span);
        if let Some(kind) = kind.filter(|kind| kind.value != "secret") {
            self.error(
                kind.span,
                format!("mount type must be `secret`, found `{}`", kind.value),
            );
            return None;
        }
        let (id, target) = (id?, target?);
        if id.value.is_empty()
            || id.value.contains([',', '='])
            || id.value.contains(char::is_control)
        {
            self.error(id.span, "`id` must be a name without `,` and `=`");
            return None;
        }
        let clean = target.value.starts_with('/')
            && target.value.len() > 1
            && target.value[1..]
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if !clean {
            self.error_hint(
                target.span,
                format!(
                    "`target` must be the absolute path of a file, found `{}`",
                    target.value
                ),
                format!("for example `/run/secrets/{}`", id.value),
            );
            return None;
        }
        Some(SecretMount {
            id: id.value,
            target: target.value,
        })
    }

    pub(super) fn pre_install(&mut self, entries: &Entries<'_>) -> Vec<RunCommand> {
        if let Some((key, _)) = entries
            .get("pre_install")
            .filter(|(_, node)| node.kind() != Kind::Null)
        {
            self.deprecated(
                key.span,
                "`pre_install` is deprecated; in spite of its name it runs after Python packages \
                 are installed and after `run`",
                "move the commands to the end of `run`",
            );
        }
        let commands = self.texts(entries, "pre_install", "build.pre_install");
        commands
            .iter()
            .filter_map(|text| self.command(text, Vec::new()))
            .collect()
    }
}
