//! From a plan to a graph.

use std::collections::BTreeMap;

use llb::{Constrain, Image, Range, SourceMap, State};

use super::{
    Context, Interpreter, Joining, Requirements, StepOptions, Tree, Uv, apt, ask_schema, configure,
    overlay, pip, run, source, uv_python, venv,
};
use crate::config::SystemPackage;
use crate::diagnostic::without_secrets;
use crate::plan::{Action, Plan, Step};

/// What is known of the base image before the build; the default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// A state that takes the place of the image, such as a named context of the build.
    pub state: Option<State>,
    /// Reference with digest, so that the build takes the image that was looked at.
    pub pinned: Option<String>,
    /// Its configuration (OCI image config JSON): steps and the image take over its environment.
    pub config: Option<Vec<u8>>,
}

/// What a plan becomes.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The image's file system with its configuration.
    pub image: State,
    /// The image without the project: what the environment and its packages are read from, so that an edited source
    /// does not read them again.
    pub environment: State,
    /// A state whose only file is the OpenAPI document, and its path there, where the model itself is asked for it.
    pub schema: Option<(State, String)>,
}

/// What a graph is made with besides its plan. The default knows nothing of the base image, merges trees, and has the
/// project in the client's folder `context`.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// What is known of the base image.
    pub base: Base,
    /// How trees are laid over each other.
    pub joining: Joining,
    /// The project. Nothing means the client's folder that the plan names.
    pub project: Option<Context>,
    /// Texts of the files that steps were asked for in, by name. The builder shows their lines when a step fails, and
    /// may publish them in provenance, so values that sound like secrets are masked.
    pub texts: BTreeMap<String, String>,
}

/// Why a plan gives no graph. A plan made from a [`Config`](crate::Config) always gives one.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A step names one that does not come before it.
    #[error("step `{step}` comes after `{after}`, and no earlier step has that name")]
    Order {
        /// The step.
        step: String,
        /// The name it gives.
        after: String,
    },
    /// A step needs files that the steps it comes after do not give.
    #[error("step `{step}` must come after a step that {needs}")]
    Needs {
        /// The step.
        step: String,
        /// What is missing.
        needs: &'static str,
    },
    /// The plan has no last step.
    #[error("the plan has no step that assembles the image")]
    NoImage,
    /// The base image's configuration is not one.
    #[error("the configuration of the base image is not understood: {0}")]
    BaseConfig(llb::Error),
}

/// What a step gives to those after it.
enum Files {
    Whole(State),
    Tree(Tree),
    Interpreter(Interpreter),
}

/// The graph of a plan: the image's file system with its configuration.
///
/// Depends on its arguments alone. Every step carries its line of `cog.yaml` as a source location,
/// which the builder sends back when the step fails.
pub fn graph(plan: &Plan, base: &Base, joining: Joining) -> Result<State, GraphError> {
    graphs(plan, base, joining).map(|graph| graph.image)
}

/// The graph of a plan, with what is read beside the image.
pub fn graphs(plan: &Plan, base: &Base, joining: Joining) -> Result<Graph, GraphError> {
    let circumstances = Circumstances {
        base: base.clone(),
        joining,
        ..Circumstances::default()
    };
    graphs_in(plan, &circumstances)
}

/// The graph of a plan, as [`graphs`] makes it, in other circumstances.
pub fn graphs_in(plan: &Plan, circumstances: &Circumstances) -> Result<Graph, GraphError> {
    let mut builder = Builder {
        plan,
        circumstances,
        joining: circumstances.joining,
        results: BTreeMap::new(),
        maps: BTreeMap::new(),
    };
    let (mut image, mut schema) = (None, None);
    for step in &plan.steps {
        let files = builder.step(step)?;
        match (&step.action, &files) {
            (Action::Assemble {}, Files::Whole(state)) => {
                let environment = builder.environment(step)?;
                image = Some((state.layer(configure(&plan.config)), environment));
            }
            (Action::Schema { path, .. }, Files::Tree(tree)) => {
                schema = Some((tree.state().clone(), path.clone()));
            }
            _ => {}
        }
        builder.results.insert(step.name.clone(), files);
    }
    let (image, environment) = image.ok_or(GraphError::NoImage)?;
    Ok(Graph {
        image,
        environment,
        schema,
    })
}

struct Builder<'a> {
    plan: &'a Plan,
    circumstances: &'a Circumstances,
    joining: Joining,
    results: BTreeMap<String, Files>,
    maps: BTreeMap<String, SourceMap>,
}

/// The files a step sees.
struct Ground {
    whole: Option<State>,
    trees: Vec<Tree>,
}

impl Ground {
    fn whole(&self, step: &Step) -> Result<&State, GraphError> {
        self.whole.as_ref().ok_or_else(|| GraphError::Needs {
            step: step.name.clone(),
            needs: "gives a whole file system",
        })
    }

    /// The tree that a step goes on with, and the others.
    fn tree(&self, step: &Step, path: &str) -> Result<(&Tree, Vec<&Tree>), GraphError> {
        let (own, others): (Vec<_>, Vec<_>) =
            self.trees.iter().partition(|tree| tree.path() == path);
        let tree = own.last().copied().ok_or_else(|| GraphError::Needs {
            step: step.name.clone(),
            needs: "makes the virtual environment",
        })?;
        Ok((tree, others))
    }
}

impl Builder<'_> {
    fn step(&mut self, step: &Step) -> Result<Files, GraphError> {
        let ground = self.ground(step)?;
        let options = self.options(step);
        let files = match &step.action {
            Action::Base { reference } => Files::Whole(self.base_image(reference)?),
            Action::Apt {
                packages,
                recommends,
            } => {
                let names: Vec<&str> = packages.iter().map(SystemPackage::as_str).collect();
                let apt = apt(&names, *recommends, &options);
                Files::Whole(ground.whole(step)?.layer(apt))
            }
            Action::Python {
                version,
                uv,
                downloads,
                interpreter,
            } => {
                let folder = step.writes.as_deref().ok_or_else(|| GraphError::Needs {
                    step: step.name.clone(),
                    needs: "names the only folder that it writes",
                })?;
                let uv = Uv {
                    image: uv,
                    downloads: downloads.as_deref(),
                };
                let made = uv_python(ground.whole(step)?, *version, uv, folder, &options);
                Files::Interpreter(Interpreter {
                    command: interpreter.clone(),
                    ..made
                })
            }
            Action::Venv {
                interpreter,
                version,
                path,
                site_packages,
            } => {
                let interpreter = Interpreter {
                    command: interpreter.clone(),
                    version: *version,
                    tree: ground.trees.first().cloned(),
                };
                let whole = ground.whole(step)?;
                Files::Tree(venv(whole, &interpreter, path, *site_packages, &options))
            }
            Action::Pip(action) => {
                let (tree, others) = ground.tree(step, &action.venv)?;
                let requirements = Requirements {
                    lines: &action.requirements,
                    constraints: &action.constraints,
                    secrets: &action.secrets,
                    local: &action.local,
                };
                let whole = ground.whole(step)?;
                let environment = &action.environment;
                Files::Tree(pip(
                    whole,
                    tree,
                    others,
                    &requirements,
                    environment,
                    &options,
                ))
            }
            Action::Run {
                command,
                mounts,
                network,
                environment,
            } => {
                let joined = overlay(ground.whole(step)?, ground.trees.clone(), self.joining);
                let path = &self.plan.config.path;
                Files::Whole(joined.layer(run(
                    command,
                    path,
                    mounts,
                    *network,
                    environment,
                    &options,
                )))
            }
            Action::Source(action) => Files::Tree(source(
                self.project(&action.context),
                &action.exclude,
                &action.destination,
                action.config_file.as_deref(),
            )),
            Action::Write { path, text } => Files::Tree(super::write(path, text)),
            Action::Schema {
                path,
                working_directory,
                environment,
            } => {
                let ground = overlay(ground.whole(step)?, ground.trees.clone(), self.joining);
                let folders = &self.plan.config.path;
                Files::Tree(ask_schema(
                    &ground,
                    working_directory,
                    path,
                    folders,
                    environment,
                    &options,
                ))
            }
            Action::Assemble {} => {
                let whole = ground.whole(step)?.clone();
                Files::Whole(overlay(&whole, ground.trees, self.joining))
            }
        };
        Ok(files)
    }

    /// What the last step lays over each other, without the project and what is written into it.
    fn environment(&self, assemble: &Step) -> Result<State, GraphError> {
        let is_environment = |name: &&String| {
            self.plan.step(name).is_none_or(|step| {
                !matches!(
                    step.action,
                    Action::Source(_) | Action::Write { .. } | Action::Schema { .. }
                )
            })
        };
        let step = Step {
            after: assemble
                .after
                .iter()
                .filter(is_environment)
                .cloned()
                .collect(),
            ..assemble.clone()
        };
        let ground = self.ground(&step)?;
        let whole = ground.whole(&step)?.clone();
        Ok(overlay(&whole, ground.trees, self.joining))
    }

    fn ground(&self, step: &Step) -> Result<Ground, GraphError> {
        let mut ground = Ground {
            whole: None,
            trees: Vec::new(),
        };
        for after in &step.after {
            match self.results.get(after) {
                Some(Files::Whole(state)) => ground.whole = Some(state.clone()),
                Some(Files::Tree(tree)) => ground.trees.push(tree.clone()),
                Some(Files::Interpreter(interpreter)) => {
                    ground.trees.extend(interpreter.tree.clone());
                }
                None => {
                    return Err(GraphError::Order {
                        step: step.name.clone(),
                        after: after.clone(),
                    });
                }
            }
        }
        Ok(ground)
    }

    /// The project, whose folder the plan has a name for.
    fn project(&self, name: &str) -> Context {
        let given = self.circumstances.project.clone();
        given.unwrap_or_else(|| name.into())
    }

    fn base_image(&self, reference: &str) -> Result<State, GraphError> {
        let base = &self.circumstances.base;
        if let Some(state) = &base.state {
            return Ok(state.clone());
        }
        let reference = base.pinned.as_deref().unwrap_or(reference);
        let state = Image::new(reference)
            .name(format!("base {reference}"))
            .state();
        match &base.config {
            Some(config) => state
                .with_image_config(config)
                .map_err(GraphError::BaseConfig),
            None => Ok(state),
        }
    }

    fn options(&mut self, step: &Step) -> StepOptions {
        let options = StepOptions::new(self.plan.network).context(self.project("context"));
        let place = step
            .source
            .as_deref()
            .and_then(|place| place.rsplit_once(':'));
        let Some((file, line)) = place else {
            return options;
        };
        let Ok(line) = line.parse() else {
            return options;
        };
        let texts = &self.circumstances.texts;
        let map = self.maps.entry(file.to_owned()).or_insert_with(|| {
            let lines = texts.get(file).into_iter().flat_map(|text| text.lines());
            let text: String = lines.map(|line| without_secrets(line) + "\n").collect();
            SourceMap::new(file, "YAML", text)
        });
        options.location(map.location([Range::lines(line, line)]))
    }
}
