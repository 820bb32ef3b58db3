//! `cog_base.toml`: Cog's own base images.

use serde::Deserialize;

use super::{Release, Tables};

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CogBase {
    /// Registry host.
    pub registry: String,
    /// Repository.
    pub repository: String,
    /// Lowest Python.
    pub minimum_python: Release,
    /// Lowest torch.
    pub minimum_torch: Release,
    /// System packages that every image has.
    pub packages: Vec<String>,
}

/// What an image holds; a part is empty when it does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content<'t> {
    cuda: Option<&'t Release>,
    python: &'t str,
    torch: Option<&'t Release>,
}

impl Tables {
    /// Every combination there is an image for.
    fn cog_base_contents(&self) -> Vec<Content<'_>> {
        let base = &self.cog_base;
        let new_enough = |python: &str| {
            python
                .parse::<Release>()
                .is_ok_and(|python| python >= base.minimum_python)
        };
        let mut contents = Vec::new();
        let (mut cudas, mut pythons): (Vec<&Release>, Vec<&str>) = (Vec::new(), Vec::new());
        for row in self
            .torch
            .releases
            .iter()
            .filter(|row| row.torch >= base.minimum_torch)
        {
            for python in row
                .python
                .iter()
                .map(String::as_str)
                .filter(|python| new_enough(python))
            {
                for build in row.builds.iter().chain(&row.pypi) {
                    let cuda = build.cuda();
                    if let Some(cuda) = cuda {
                        cudas.push(cuda);
                        pythons.push(python);
                    }
                    contents.push(Content {
                        cuda,
                        python,
                        torch: Some(&row.torch),
                    });
                }
            }
        }
        cudas.sort();
        cudas.dedup();
        pythons.sort_unstable();
        pythons.dedup();
        for python in pythons {
            contents.push(Content {
                cuda: None,
                python,
                torch: None,
            });
            for &cuda in &cudas {
                contents.push(Content {
                    cuda: Some(cuda),
                    python,
                    torch: None,
                });
            }
        }
        contents
    }

    /// The newest torch of the images with a CUDA and a Python that a version names.
    ///
    /// `None` when no such image has torch: the image without it is taken then.
    pub fn cog_base_torch(&self, cuda: &str, python: &str, torch: &str) -> Option<String> {
        if torch.is_empty() {
            return None;
        }
        self.cog_base_contents()
            .iter()
            .filter(|content| named(content, cuda, python, torch))
            .filter_map(|content| content.torch)
            .max()
            .map(Release::to_string)
    }

    /// Whether there is an image of this content; empty texts mean without.
    pub fn cog_base_exists(&self, cuda: &str, python: &str, torch: &str) -> bool {
        self.cog_base_contents()
            .iter()
            .any(|content| named(content, cuda, python, torch))
    }

    /// The name of the image of this content, whether it exists or not.
    pub fn cog_base_name(&self, cuda: &str, python: &str, torch: &str) -> String {
        let line = |text: &str| {
            text.parse::<Release>()
                .map_or_else(|_| text.to_owned(), |release| release.line())
        };
        let mut parts = Vec::new();
        if !cuda.is_empty() {
            parts.push(format!("cuda{}", line(cuda)));
        }
        if !python.is_empty() {
            parts.push(format!("python{}", line(python)));
        }
        if !torch.is_empty() {
            parts.push(format!(
                "torch{}",
                torch.split('+').next().unwrap_or_default()
            ));
        }
        let tag = if parts.is_empty() {
            "latest".to_owned()
        } else {
            parts.join("-")
        };
        format!(
            "{}/{}:{tag}",
            self.cog_base.registry, self.cog_base.repository
        )
    }
}

fn named(content: &Content<'_>, cuda: &str, python: &str, torch: &str) -> bool {
    let matches = |wanted: &str, found: Option<&Release>| match (wanted.parse::<Release>(), found) {
        (Ok(wanted), Some(found)) => wanted.matches(found),
        (Err(_), None) => wanted.is_empty(),
        _ => false,
    };
    let found = content.python.parse::<Release>().ok();
    matches(cuda, content.cuda) && matches(python, found.as_ref()) && matches(torch, content.torch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_images_as_cog_makes() {
        let tables = Tables::built_in();
        assert_eq!(tables.cog_base_contents().len(), 317);
    }

    #[test]
    fn a_torch_that_no_image_has_is_left_out() {
        let tables = Tables::built_in();
        assert_eq!(
            tables.cog_base_torch("12.1", "3.10", "2.1"),
            Some("2.1.2".into())
        );
        assert_eq!(tables.cog_base_torch("12.4", "3.10", "2.0.1"), None);
        assert!(tables.cog_base_exists("12.4", "3.13", ""));
        assert!(!tables.cog_base_exists("12.2", "3.13", ""));
        assert_eq!(
            tables.cog_base_name("12.6.1", "3.12", ""),
            "r8.im/cog-base:cuda12.6-python3.12"
        );
    }
}
