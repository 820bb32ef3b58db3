//! The graphs that a build function makes, one for each platform.

use super::arguments::{Format, Given};
use crate::Constrain as _;
use crate::definition::Definition;
use crate::error::Error;
use crate::gateway::{Build, Frontend, Image, Result};
use crate::value::Platform;

/// Graphs with their platforms; at least one.
#[derive(Debug)]
pub(super) struct Graphs(Vec<(Platform, Definition)>);

/// Calls a build function without a daemon.
pub(super) async fn of<F, T>(
    build: &Frontend<F>,
    given: Given,
) -> std::result::Result<Graphs, String>
where
    F: AsyncFn(&mut Build) -> Result<T>,
    T: Into<Image>,
{
    let mut context = Build::offline(given.options()?).map_err(|error| error.to_string())?;
    let image = build.build(&mut context).await;
    let image = image.map_err(|error| error.to_string())?;
    let options = context.marshal_options();
    let (mut graphs, mut problems) = (Vec::new(), Vec::new());
    for (platform, state) in image.states() {
        let platform = platform.unwrap_or(context.platform()).clone();
        match state.marshal(&options.clone().platform(platform.clone())) {
            Ok(definition) => graphs.push((platform, definition)),
            Err(error) => problems.extend(error.problems().iter().cloned()),
        }
    }
    if !problems.is_empty() {
        return Err(Error::new(problems).to_string());
    }
    if graphs.is_empty() {
        return Err("the build function made an image for no platform".to_owned());
    }
    Ok(Graphs(graphs))
}

impl Graphs {
    pub(super) fn to_text(&self, is_full: bool) -> String {
        self.each(|definition| {
            if is_full {
                definition.to_full_text()
            } else {
                definition.to_text()
            }
        })
    }

    pub(super) fn drawn(&self, format: Format) -> String {
        self.each(|definition| match format {
            Format::Tree => definition.to_tree(),
            Format::Dot => definition.to_dot(),
        })
    }

    /// The only graph.
    pub(super) fn one(&self) -> std::result::Result<&Definition, String> {
        match &*self.0 {
            [(_, definition)] => Ok(definition),
            graphs => {
                let names = graphs.iter().map(|(platform, _)| platform.to_string());
                Err(format!(
                    "the build makes graphs for {}, and a definition is one\nhint: choose one with --platform",
                    names.collect::<Vec<_>>().join(", ")
                ))
            }
        }
    }

    /// Shows each graph, under its platform if there are several.
    fn each(&self, show: impl Fn(&Definition) -> String) -> String {
        if let [(_, definition)] = &*self.0 {
            return show(definition);
        }
        let shown = self
            .0
            .iter()
            .map(|(platform, definition)| format!("# {platform}\n{}", show(definition)));
        shown.collect::<Vec<_>>().join("\n")
    }
}
