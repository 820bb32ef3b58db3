//! What an image weighs once it is built, layer by layer.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::plan::{Plan, megabytes};

/// Longest name of a layer that is shown, in characters.
const WIDTH: usize = 100;

/// The size of an image of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageSize {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// What the bytes are counted of.
    pub measure: Measure,
    /// All layers together.
    pub bytes: u64,
    /// The layers, the lowest first.
    pub layers: Vec<LayerSize>,
}

/// What the bytes of a layer are counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Of its blob, as a registry keeps it; that may be compressed.
    Blob,
    /// Of its files, as an engine tells it.
    Files,
}

/// The size of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerSize {
    /// What made it, in the words of the image's history.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Digest of its blob, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl ImageSize {
    /// The size of layers, the lowest first.
    pub fn new(platform: impl Into<String>, measure: Measure, layers: Vec<LayerSize>) -> Self {
        Self {
            platform: platform.into(),
            measure,
            bytes: layers.iter().map(|layer| layer.bytes).sum(),
            layers,
        }
    }

    /// The size of the layers that make a virtual environment: of itself, and of wheels.
    fn environment(&self, path: &str) -> u64 {
        let layers = self.layers.iter();
        let layers = layers.filter(|layer| is_environment(&layer.name, path));
        layers.map(|layer| layer.bytes).sum()
    }

    /// The size beside what the plan has forecast, for people; the largest layers come first.
    pub fn report(&self, plan: &Plan) -> String {
        let mut text = self.to_string();
        let install = plan.wheels().map(|(_, install)| install);
        if let (Some(wheels), Some(install)) = (plan.forecast().wheels, install) {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "  forecast: {} of {} wheels to fetch; the layers of {} are {}",
                megabytes(wheels.total),
                wheels.count,
                install.venv,
                megabytes(self.environment(&install.venv))
            );
        }
        text
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Blob => "as blobs of a registry",
            Measure::Files => "as files in the engine",
        };
        writeln!(
            formatter,
            "Size for {}: {} in {} layers, {measure}",
            self.platform,
            megabytes(self.bytes),
            self.layers.len()
        )?;
        let mut layers: Vec<&LayerSize> = self.layers.iter().collect();
        // Equal ones stay in the order of the image.
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.bytes));
        for layer in layers {
            let bytes = megabytes(layer.bytes);
            writeln!(formatter, "  {bytes:>9}  {}", shown(&layer.name))?;
        }
        Ok(())
    }
}

/// Whether a layer is part of a virtual environment, by the name that BuildKit gives to the step that made it.
fn is_environment(name: &str, path: &str) -> bool {
    let made = name.strip_prefix("copy ").or(name.strip_prefix("settle "));
    made == Some(path) || name.contains(&format!("install --prefix {path} "))
}

/// What a layer is called for people: wheels by their files, commands by themselves.
fn words(name: &str) -> String {
    let Some((_, command)) = name.split_once(" from exec ") else {
        return name.to_owned();
    };
    let wheels: Vec<&str> = command
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("/w/"))
        .collect();
    if wheels.is_empty() {
        return command.to_owned();
    }
    format!("wheels: {}", wheels.join(" "))
}

/// The first line of a name, as far as it fits.
fn shown(name: &str) -> String {
    let name = words(name);
    let line = name.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, bytes: u64) -> LayerSize {
        LayerSize {
            name: name.to_owned(),
            bytes,
            digest: None,
        }
    }

    #[test]
    fn the_largest_layers_come_first() {
        let long = format!("{}\nsecond line", "x".repeat(120));
        let size = ImageSize::new(
            "linux/amd64",
            Measure::Blob,
            vec![
                layer("base", 30_000_000),
                layer(
                    "mount /out from exec /llb-helper install --prefix /opt/venv --python 3.11 /w/numpy-2-py3.whl",
                    16_800_000,
                ),
                layer("copy /opt/venv", 16_800_000),
                layer("copy /opt/venv-2", 16_000),
                layer(&long, 1200),
            ],
        );
        assert_eq!(size.environment("/opt/venv"), 33_600_000);
        let cut = "x".repeat(WIDTH);
        assert_eq!(
            size.to_string(),
            format!(
                "Size for linux/amd64: 63.6 MB in 5 layers, as blobs of a registry\n    \
                 30.0 MB  base\n    16.8 MB  wheels: numpy-2-py3.whl\n    16.8 MB  copy /opt/venv\n    \
                 16.0 kB  copy /opt/venv-2\n     \
                 1.2 kB  {cut}…\n"
            )
        );
    }
}
