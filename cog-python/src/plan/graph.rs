//! The steps of a plan as a picture: Graphviz, or SVG without any other program.

use std::fmt::Write;

use super::{Action, Plan, Step};

/// Width and height of a box, and the room between boxes, in SVG units.
const BOX: (usize, usize) = (190, 44);
const GAP: (usize, usize) = (60, 22);
const MARGIN: usize = 16;

impl Plan {
    /// The steps as a Graphviz digraph; an arrow points to what sees the files of a step.
    pub fn to_dot(&self) -> String {
        let mut text = String::from(
            "digraph plan {\n  rankdir=LR\n  node [shape=box, fontname=\"sans-serif\"]\n",
        );
        for step in &self.steps {
            let label = format!("{}\n{}", step.name, summary(&step.action));
            let _ = writeln!(text, "  {:?} [label={:?}]", step.name, label);
        }
        for step in &self.steps {
            for after in &step.after {
                let _ = writeln!(text, "  {after:?} -> {:?}", step.name);
            }
        }
        text.push_str("}\n");
        text
    }

    /// The steps as an SVG document: columns from left to right, each step right of all it comes after.
    pub fn to_svg(&self) -> String {
        let places = self.places();
        let columns = places
            .iter()
            .map(|(column, _)| column + 1)
            .max()
            .unwrap_or_default();
        let rows = places
            .iter()
            .map(|(_, row)| row + 1)
            .max()
            .unwrap_or_default();
        let (width, height) = (
            2 * MARGIN + columns * (BOX.0 + GAP.0),
            2 * MARGIN + rows * (BOX.1 + GAP.1),
        );
        let corner = |(column, row): (usize, usize)| {
            (
                MARGIN + column * (BOX.0 + GAP.0),
                MARGIN + row * (BOX.1 + GAP.1),
            )
        };
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n"
        );
        for (step, place) in self.steps.iter().zip(&places) {
            let (x, y) = corner(*place);
            for after in &step.after {
                let Some(index) = self.steps.iter().position(|other| other.name == *after) else {
                    continue;
                };
                let (from_x, from_y) = corner(places[index]);
                let (from, to) = ((from_x + BOX.0, from_y + BOX.1 / 2), (x, y + BOX.1 / 2));
                let _ = writeln!(
                    text,
                    "  <path d=\"M{} {} C{} {} {} {} {} {}\" fill=\"none\" stroke=\"#888\"/>",
                    from.0,
                    from.1,
                    from.0 + GAP.0 / 2,
                    from.1,
                    to.0 - GAP.0 / 2,
                    to.1,
                    to.0,
                    to.1
                );
            }
        }
        for (step, place) in self.steps.iter().zip(&places) {
            let (x, y) = corner(*place);
            let _ = writeln!(
                text,
                "  <rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"4\" fill=\"#eef3fb\" stroke=\"#456\"/>",
                BOX.0, BOX.1
            );
            let name = escaped(&step.name);
            let _ = writeln!(
                text,
                "  <text x=\"{}\" y=\"{}\" font-weight=\"bold\">{name}</text>",
                x + 8,
                y + 18
            );
            let about = escaped(&summary(&step.action));
            let _ = writeln!(
                text,
                "  <text x=\"{}\" y=\"{}\" fill=\"#345\">{about}</text>",
                x + 8,
                y + 34
            );
        }
        text.push_str("</svg>\n");
        text
    }

    /// Column and row of every step.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for step in &self.steps {
            let column = self.column(step, &places);
            let row = places.iter().filter(|(other, _)| *other == column).count();
            places.push((column, row));
        }
        places
    }

    fn column(&self, step: &Step, places: &[(usize, usize)]) -> usize {
        let columns = step.after.iter().filter_map(|after| {
            let index = self.steps.iter().position(|other| other.name == *after)?;
            places.get(index).map(|(column, _)| column + 1)
        });
        columns.max().unwrap_or_default()
    }
}

/// What a step does, in a few words.
fn summary(action: &Action) -> String {
    const LONGEST: usize = 28;
    let text = match action {
        Action::Base { reference } => reference.clone(),
        Action::Apt { packages, .. } => {
            let names: Vec<_> = packages.iter().map(ToString::to_string).collect();
            names.join(" ")
        }
        Action::Python { version, .. } => format!("Python {version}"),
        Action::Venv { path, .. } | Action::Write { path, .. } | Action::Schema { path, .. } => {
            path.clone()
        }
        Action::Lock(lock) => {
            let packages = lock
                .requirements
                .iter()
                .filter(|line| !line.starts_with('-'))
                .count();
            format!("{packages} requirements")
        }
        Action::Build(build) => build.package.clone(),
        Action::Wheels(install) => match &install.groups {
            Some(groups) => format!(
                "{} wheels in {} layers",
                install.wheels().count(),
                groups.len()
            ),
            None => "wheels of the lock".to_owned(),
        },
        Action::Run { command, .. } => command.lines().next().unwrap_or_default().to_owned(),
        Action::Weights(weights) => weights.destination.clone(),
        Action::Source(source) => source.destination.clone(),
        Action::Assemble {} => "the image".into(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST - 1).collect();
    format!("{start}…")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
