//! `x-cog-python`.

use super::Reader;
use super::node::Entries;
use crate::ca::Certificates;
use crate::config::keys::{self, EXTENSION_KEY};
use crate::config::weight::{clean, overlaps};
use crate::config::{Extension, RunStep};
use crate::diagnostic::Spanned;
use crate::plan::{Compilers, Mount, Network, PYTHON, Pip, PythonProvider, VENV};
use crate::yaml::Node;

impl Reader<'_> {
    pub(super) fn extension(&mut self, entries: &Entries<'_>) -> Extension {
        let mut extension = Extension::default();
        let Some(node) = entries.value(EXTENSION_KEY) else {
            return extension;
        };
        let Some(entries) = self.mapping(node, EXTENSION_KEY, &keys::EXTENSION) else {
            return extension;
        };
        extension.apt_snapshot = entries.value("apt_snapshot").and_then(|node| {
            let text = self.text(node, "apt_snapshot")?;
            self.parsed(&text, "apt_snapshot")
        });
        extension.base = entries.value("base").and_then(|node| {
            let text = self.text(node, "base")?;
            let reference = self.parsed::<llb::value::ImageRef>(&text, "base")?;
            Some(Spanned::new(
                reference.value.without_default_tag().to_owned(),
                text.span,
            ))
        });
        extension.ca_cert = entries.value("ca_cert").and_then(|node| {
            let path = self.text(node, "ca_cert")?;
            self.certificates(&path)
        });
        extension.python = entries.value("python").and_then(|node| {
            let text = self.text(node, "python")?;
            let provider = match text.value.as_str() {
                "base" => PythonProvider::Base,
                "uv" => PythonProvider::Uv,
                found => {
                    self.error(
                        text.span,
                        format!("`python` must be `base` or `uv`, found `{found}`"),
                    );
                    return None;
                }
            };
            Some(Spanned::new(provider, text.span))
        });
        extension.compilers = entries.value("compilers").and_then(|node| {
            let text = self.text(node, "compilers")?;
            let place = match text.value.as_str() {
                "build" => Compilers::Build,
                "image" => Compilers::Image,
                found => {
                    self.error(
                        text.span,
                        format!("`compilers` must be `build` or `image`, found `{found}`"),
                    );
                    return None;
                }
            };
            Some(Spanned::new(place, text.span))
        });
        extension.pip = entries.value("pip").and_then(|node| {
            let text = self.text(node, "pip")?;
            let pip = match text.value.as_str() {
                "none" => Pip::None,
                "real" => Pip::Real,
                "shim" => Pip::Shim,
                found => {
                    self.error(
                        text.span,
                        format!("`pip` must be `none`, `real` or `shim`, found `{found}`"),
                    );
                    return None;
                }
            };
            Some(Spanned::new(pip, text.span))
        });
        extension.driver = entries.value("driver").and_then(|node| {
            let text = self.text(node, "driver")?;
            self.parsed(&text, "driver")
        });
        for text in self.texts(&entries, "gpu_architectures", "gpu_architectures") {
            extension
                .gpu_architectures
                .extend(self.parsed(&text, "gpu_architectures item"));
        }
        if let Some(node) = entries.value("run") {
            for item in self.list(node, "x-cog-python.run") {
                let step = self.run_step(item, &extension.run);
                extension.run.extend(step);
            }
        }
        extension
    }

    /// The certificates of a file.
    fn certificates(&mut self, path: &Spanned<String>) -> Option<Spanned<Certificates>> {
        let text = match self.files.read(&path.value) {
            Ok(text) => text,
            Err(problem) => {
                self.error_hint(
                    path.span,
                    format!("certificate file `{}` {problem}", path.value),
                    "the path is relative to the folder of cog.yaml",
                );
                return None;
            }
        };
        match Certificates::parse(&text) {
            Ok(found) => Some(Spanned::new(found, path.span)),
            Err(problem) => {
                let message = format!("`{}` has no usable certificates: {problem}", path.value);
                self.error(path.span, message);
                None
            }
        }
    }

    fn run_step(&mut self, node: &Node, before: &[RunStep]) -> Option<RunStep> {
        let entries = self.mapping(node, "x-cog-python.run item", &keys::STEP)?;
        let mut mounts = Vec::new();
        if let Some(node) = entries.value("mounts") {
            for item in self.list(node, "mounts") {
                mounts.extend(self.mount(item));
            }
        }
        let network = entries.value("network").and_then(|node| {
            let text = self.text(node, "network")?;
            match text.value.as_str() {
                "default" => None,
                "none" => Some(Network::None),
                found => {
                    self.error(
                        text.span,
                        format!("`network` must be `default` or `none`, found `{found}`"),
                    );
                    None
                }
            }
        });
        let writes = entries.value("writes").and_then(|node| {
            let text = self.text(node, "writes")?;
            self.written(&text, before)
        });
        let command = self.required(&entries, "command", node.span)?;
        let command = self.command(&command, Vec::new())?;
        Some(RunStep {
            command: command.command,
            mounts,
            network,
            writes,
            span: command.span,
        })
    }

    /// A folder that nothing else is in.
    fn written(&mut self, text: &Spanned<String>, before: &[RunStep]) -> Option<Spanned<String>> {
        if !text.value.starts_with('/') || text.value.split('/').any(|part| part == "..") {
            self.error_hint(
                text.span,
                format!("`writes` must be an absolute path, found `{}`", text.value),
                format!(
                    "for example `/opt/{}`",
                    text.value.trim_start_matches(['.', '/'])
                ),
            );
            return None;
        }
        let folder = clean(&text.value);
        let earlier = before.iter().filter_map(|step| step.writes.as_ref());
        let others = [VENV, PYTHON].into_iter();
        let others = others.chain(earlier.map(|folder| folder.value.as_str()));
        let meets = |other: &&str| folder == "/" || folder == **other || overlaps(&folder, other);
        if let Some(other) = others.into_iter().find(meets) {
            let (found, hint) = match folder.as_str() {
                "/" => (
                    "`writes` must be a folder below `/`".to_owned(),
                    "leave it out for a command that writes anywhere".to_owned(),
                ),
                _ => (
                    format!(
                        "`writes` `{folder}` and `{other}` lie in each other, and others write there"
                    ),
                    "give the command a folder of its own, such as `/opt/kernels`".to_owned(),
                ),
            };
            self.error_hint(text.span, found, hint);
            return None;
        }
        Some(Spanned::new(folder, text.span))
    }

    fn mount(&mut self, node: &Node) -> Option<Mount> {
        let entries = self.mapping(node, "mounts item", &keys::STEP_MOUNT)?;
        let kind = self.required(&entries, "type", node.span)?;
        let required = entries
            .value("required")
            .and_then(|node| self.boolean(node, "required"))
            .unwrap_or(true);
        let from = match entries.value("from") {
            Some(node) => Some(self.text(node, "from")?),
            None => None,
        };
        if let Some(from) = from.as_ref().filter(|_| kind.value != "bind") {
            self.error_hint(
                from.span,
                format!("a `{}` mount has no `from`", kind.value),
                "only `bind` mounts show files of a context or an image".to_owned(),
            );
            return None;
        }
        let name = |reader: &mut Self, default: &str| match entries.value("id") {
            Some(node) => reader.text(node, "id").map(|text| text.value),
            None => Some(default.to_owned()),
        };
        match kind.value.as_str() {
            "ssh" => Some(Mount::Ssh {
                id: name(self, "default")?,
                required,
            }),
            "secret" => {
                let id = self.required(&entries, "id", node.span)?.value;
                let target = self.target(&entries, node)?;
                Some(Mount::Secret {
                    id,
                    target,
                    required,
                })
            }
            "cache" => {
                let target = self.target(&entries, node)?;
                let id = name(self, &target)?;
                Some(Mount::Cache { id, target })
            }
            "bind" => {
                let target = self.target(&entries, node)?;
                let source = match entries.value("source") {
                    Some(node) => self.text(node, "source")?,
                    None => Spanned::new(String::new(), node.span),
                };
                let path = source
                    .value
                    .trim_matches('/')
                    .trim_start_matches("./")
                    .to_owned();
                let is_outside = from.is_none() && source.value.starts_with('/');
                if is_outside || path.split('/').any(|part| part == "..") {
                    let of = from.as_ref().map_or("the project", |from| &from.value);
                    self.error(
                        source.span,
                        format!(
                            "`source` of a bind mount must be a path of {of}, found `{}`",
                            source.value
                        ),
                    );
                    return None;
                }
                let from = match from {
                    Some(from) => Some(self.context_name(&from)?),
                    None => None,
                };
                Some(Mount::Bind {
                    source: path,
                    target,
                    from,
                })
            }
            found => {
                self.error(
                    kind.span,
                    format!(
                        "mount type must be `bind`, `cache`, `secret` or `ssh`, found `{found}`"
                    ),
                );
                None
            }
        }
    }

    /// The name of a context, which is that of an image where no context takes its place.
    fn context_name(&mut self, text: &Spanned<String>) -> Option<String> {
        match llb::value::ImageRef::parse(&text.value) {
            Ok(_) => Some(text.value.clone()),
            Err(error) => {
                self.error(
                    text.span,
                    format!("`from` is neither the name of a context nor of an image: {error}"),
                );
                None
            }
        }
    }

    fn target(&mut self, entries: &Entries<'_>, mapping: &Node) -> Option<String> {
        let target = self.required(entries, "target", mapping.span)?;
        let clean = target.value.starts_with('/')
            && target.value.len() > 1
            && target.value[1..]
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if !clean {
            self.error(
                target.span,
                format!(
                    "`target` must be an absolute path, found `{}`",
                    target.value
                ),
            );
            return None;
        }
        Some(target.value)
    }
}
