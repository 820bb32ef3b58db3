//! `build.gpu`, `build.cuda`, `build.cudnn`.

use super::Reader;
use super::node::Entries;
use crate::diagnostic::Spanned;
use crate::tables::{Release, Tables};
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn gpu(&mut self, entries: &Entries<'_>) -> bool {
        entries
            .value("gpu")
            .and_then(|node| self.boolean(node, "gpu"))
            .unwrap_or_default()
    }

    pub(super) fn boolean(&mut self, node: &Node, name: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if is_any(text, ["true", "yes", "on"]) => {
                Some(true)
            }
            Value::Scalar { text, plain: true } if is_any(text, ["false", "no", "off"]) => {
                Some(false)
            }
            _ => {
                self.expected(node, name, "a boolean");
                None
            }
        }
    }

    /// CUDA and cuDNN, as far as they are right by themselves; whether there is an image of both is for the resolution.
    pub(super) fn cuda(
        &mut self,
        entries: &Entries<'_>,
        gpu: bool,
    ) -> (Option<Spanned<Release>>, Option<Spanned<Release>>) {
        let minimum = Tables::built_in().cuda.minimum.major();
        let cuda = self.release(entries, "cuda").and_then(|cuda| {
            if !cuda.value.as_str().contains('.') {
                self.error_hint(
                    cuda.span,
                    format!(
                        "`cuda` must have a major and a minor version, found `{}`",
                        cuda.value
                    ),
                    format!("write for example \"{}.4\"", cuda.value),
                );
                return None;
            }
            if cuda.value.major() < minimum {
                self.error(
                    cuda.span,
                    format!("`cuda` must be at least {minimum}, found `{}`", cuda.value),
                );
                return None;
            }
            Some(cuda)
        });
        let cudnn = self.release(entries, "cudnn").and_then(|cudnn| {
            if cudnn.value.as_str().contains('.') {
                self.error_hint(
                    cudnn.span,
                    format!("`cudnn` must be a major version, found `{}`", cudnn.value),
                    format!("write \"{}\"", cudnn.value.major()),
                );
                return None;
            }
            Some(cudnn)
        });
        if !gpu {
            for (name, value) in [("cuda", &cuda), ("cudnn", &cudnn)] {
                if let Some(value) = value {
                    self.warn(
                        value.span,
                        format!("`{name}` has no effect without `gpu: true`"),
                        "add `gpu: true`, or remove the key",
                    );
                }
            }
        }
        (cuda, cudnn)
    }

    fn release(&mut self, entries: &Entries<'_>, name: &str) -> Option<Spanned<Release>> {
        let node = entries.value(name)?;
        let text = self.text(node, name)?;
        // As Cog has it: an empty text asks for nothing.
        if text.value.is_empty() {
            return None;
        }
        let release = self.parsed::<Release>(&text, name)?;
        if release.value.local().is_some() {
            self.error(
                release.span,
                format!(
                    "`{name}` must be numbers separated by dots, found `{}`",
                    release.value
                ),
            );
            return None;
        }
        Some(release)
    }
}

/// Words of YAML 1.1 stand for booleans where a boolean is wanted, as in Cog.
fn is_any(text: &str, words: [&str; 3]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}
