//! From a plan to a graph.

use std::collections::BTreeMap;

use llb::lower::Helper;
use llb::value::ImageRef;
use llb::{Constrain, Image, ProxyEnv, Range, SourceMap, State, file};

use super::program::remote_for;
use super::source::read_project;
use super::{
    Context, Environment, Interpreter, Joining, LOCK_FILE, Program, Stack, StepOptions, Tree, Uv,
    WEIGHTS_TOKEN, WeightsFrom, WheelFile, apt, ask_schema, compiled_wheels, configure, inspect,
    lock, project, run, run_tree, source, uv, uv_python_tree, venv_tree, weights_tree, wheel,
    wheels,
};
use crate::config::{PythonVersion, SystemPackage};
use crate::diagnostic::without_secrets;
use crate::plan::{
    Action, CopyWeights, InstallWheels, Plan, RemoteFile, Step, UvProgram, WeightFiles,
    WeightOrigin, Wheel, WheelOrigin,
};
use crate::wheel::Grouping;

/// What is known before the build, of the base image above all; the default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// A state that takes the place of the image, such as a named context of the build.
    pub state: Option<State>,
    /// Proxies of the steps that fetch something.
    pub proxy: Option<ProxyEnv>,
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
    /// What is known of other images that the plan names, by their references.
    pub images: BTreeMap<String, Base>,
    /// How trees are laid over each other.
    pub joining: Joining,
    /// The program that installs wheels, for the builder's own platform.
    pub helper: Option<Helper>,
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
    /// It is not known yet which wheels are installed.
    #[error("the wheels of step `{0}` are not chosen yet: the plan needs a lock")]
    NotLocked(String),
    /// There is no program that installs wheels.
    #[error("there is no llb-helper, which installs wheels, for the builder's platform")]
    NoHelper,
    /// The image would have more layers than engines take.
    #[error("the image would have {0} layers, and engines take {MOST_LAYERS}")]
    Layers(usize),
    /// The plan has no last step.
    #[error("the plan has no step that assembles the image")]
    NoImage,
    /// The base image's configuration is not one.
    #[error("the configuration of the base image is not understood: {0}")]
    BaseConfig(llb::Error),
}

/// Most layers of an image that an engine with a graph driver takes.
const MOST_LAYERS: usize = 125;

/// What a step gives to those after it.
enum Files {
    Whole(Stack),
    Tree(Tree),
    Trees(Vec<Tree>),
    Interpreter(Interpreter),
    /// Something that is looked at or taken apart, and is no part of the image: a lock, a wheel.
    Aside(State),
}

/// The graph of a plan: the image's file system with its configuration.
///
/// Depends on its arguments alone. Every step carries its line of `cog.yaml` as a source location,
/// which the builder sends back when the step fails.
pub fn graph(plan: &Plan, circumstances: &Circumstances) -> Result<State, GraphError> {
    graphs(plan, circumstances).map(|graph| graph.image)
}

/// The graph of a plan, with what is read beside the image.
pub fn graphs(plan: &Plan, circumstances: &Circumstances) -> Result<Graph, GraphError> {
    if let Some((step, InstallWheels { groups: None, .. })) = plan.wheels() {
        return Err(GraphError::NotLocked(step.name.clone()));
    }
    whole(plan, circumstances)
}

/// The graph of a plan as far as it is known: where packages are not chosen yet, a copy of the lock stands for what is
/// installed. It is to be looked at, not to be built.
pub fn outline(plan: &Plan, circumstances: &Circumstances) -> Result<State, GraphError> {
    whole(plan, circumstances).map(|graph| graph.image)
}

fn whole(plan: &Plan, circumstances: &Circumstances) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(plan, circumstances);
    let (mut image, mut schema) = (None, None);
    for step in &plan.steps {
        let files = builder.step(step)?;
        match (&step.action, &files) {
            (Action::Assemble {}, Files::Whole(stack)) => {
                let environment = builder.environment(step)?;
                let configured = stack.files().layer(configure(&plan.config));
                image = Some((configured, environment));
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

/// The graph that makes the lock of a plan; nothing if its packages are chosen.
pub fn lock_of(plan: &Plan, circumstances: &Circumstances) -> Result<Option<State>, GraphError> {
    let mut builder = Builder::new(plan, circumstances);
    for step in &plan.steps {
        let files = builder.step(step)?;
        if let (Action::Lock(_), Files::Aside(state)) = (&step.action, &files) {
            return Ok(Some(state.clone()));
        }
        builder.results.insert(step.name.clone(), files);
    }
    Ok(None)
}

/// The graphs that build wheels, by the name of their step.
pub fn built_wheels(
    plan: &Plan,
    circumstances: &Circumstances,
) -> Result<BTreeMap<String, State>, GraphError> {
    let mut builder = Builder::new(plan, circumstances);
    let mut built = BTreeMap::new();
    for step in &plan.steps {
        if matches!(step.action, Action::Wheels(_)) {
            break;
        }
        let files = builder.step(step)?;
        if let (Action::Build(_), Files::Aside(state)) = (&step.action, &files) {
            built.insert(step.name.clone(), state.clone());
        }
        builder.results.insert(step.name.clone(), files);
    }
    Ok(built)
}

/// The graphs of what does not wait for the packages to be chosen: system packages and the files of the project.
pub fn unlocked(plan: &Plan, circumstances: &Circumstances) -> Result<Vec<State>, GraphError> {
    let mut builder = Builder::new(plan, circumstances);
    let mut states = Vec::new();
    for step in &plan.steps {
        match &step.action {
            Action::Base { .. } | Action::Apt { .. } if builder.has_all_below(step) => {
                let files = builder.step(step)?;
                if let (Action::Apt { .. }, Files::Whole(stack)) = (&step.action, &files) {
                    states.push(stack.files().clone());
                }
                builder.results.insert(step.name.clone(), files);
            }
            Action::Source(action) => {
                let project = builder.project(&action.context);
                states.push(read_project(&project, &action.exclude));
            }
            _ => {}
        }
    }
    Ok(states)
}

/// The graph that looks into the wheels of a plan; nothing if it installs none.
pub fn inspection_of(
    plan: &Plan,
    circumstances: &Circumstances,
) -> Result<Option<State>, GraphError> {
    let Some((step, install)) = plan.wheels() else {
        return Ok(None);
    };
    let mut builder = Builder::new(plan, circumstances);
    for before in plan.steps.iter().take_while(|other| *other != step) {
        let files = builder.step(before)?;
        builder.results.insert(before.name.clone(), files);
    }
    let options = builder.options(step);
    let mut files = builder.wheel_files(step, install.wheels(), &options)?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let helper = circumstances.helper.as_ref().ok_or(GraphError::NoHelper)?;
    Ok(Some(inspect(helper, &files, environment(install))))
}

fn environment(install: &InstallWheels) -> Environment<'_> {
    Environment {
        path: &install.venv,
        python: &install.python,
        stripped: install.strip,
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    circumstances: &'a Circumstances,
    results: BTreeMap<String, Files>,
    maps: BTreeMap<String, SourceMap>,
}

/// The files a step sees.
struct Ground {
    whole: Option<Stack>,
    trees: Vec<Tree>,
}

impl Ground {
    fn whole(&self, step: &Step) -> Result<&State, GraphError> {
        self.stack(step).map(Stack::files)
    }

    fn stack(&self, step: &Step) -> Result<&Stack, GraphError> {
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

impl<'a> Builder<'a> {
    fn new(plan: &'a Plan, circumstances: &'a Circumstances) -> Self {
        Self {
            plan,
            circumstances,
            results: BTreeMap::new(),
            maps: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Files, GraphError> {
        let ground = self.ground(step)?;
        let options = self.options(step);
        let files = match &step.action {
            Action::Base { reference } => self.one_piece(self.base_image(reference)?),
            Action::Apt {
                packages,
                recommends,
                snapshot,
            } => {
                let options = options.apt_snapshot(snapshot.clone());
                let names: Vec<&str> = packages.iter().map(SystemPackage::as_str).collect();
                let apt = apt(&names, *recommends, &options);
                self.one_piece(ground.whole(step)?.layer(apt))
            }
            Action::Python {
                version,
                uv: program,
                downloads,
                interpreter,
            } => {
                let folder = step.writes.as_deref().ok_or_else(|| GraphError::Needs {
                    step: step.name.clone(),
                    needs: "names the only folder that it writes",
                })?;
                let program = self.uv(program);
                let uv = Uv {
                    program: &program,
                    downloads: downloads.as_deref(),
                };
                let made = uv_python_tree(ground.whole(step)?, *version, uv, folder, &options);
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
                replaced,
            } => {
                let interpreter = Interpreter {
                    command: interpreter.clone(),
                    version: *version,
                    tree: ground.trees.first().cloned(),
                };
                let whole = ground.whole(step)?;
                Files::Tree(venv_tree(
                    whole,
                    &interpreter,
                    path,
                    *site_packages,
                    replaced,
                    &options,
                ))
            }
            Action::Lock(action) => {
                let interpreter = Interpreter {
                    command: action.interpreter.clone(),
                    // Whoever makes the environment looks at the version.
                    version: self.plan_python(step)?,
                    tree: ground.trees.first().cloned(),
                };
                let program = self.uv(&action.uv);
                let whole = ground.whole(step)?;
                Files::Aside(lock(whole, &interpreter, action, &program, &options))
            }
            Action::Build(action) => {
                let (tree, others) = ground.tree(step, &action.venv)?;
                let whole = ground.whole(step)?;
                Files::Aside(wheel(whole, tree, others, action, &options))
            }
            Action::Wheels(install) if install.groups.is_none() => {
                Files::Tree(self.wheels_of_lock(step, install, &options)?)
            }
            Action::Wheels(install) => {
                Files::Trees(self.install(step, &ground, install, &options)?)
            }
            Action::Run {
                command,
                mounts,
                network,
                environment,
            } => {
                let joined = ground.stack(step)?.clone().with(ground.trees.clone());
                let path = &self.plan.config.path;
                match &step.writes {
                    None => Files::Whole(joined.changed(|files| {
                        files.layer(run(command, path, mounts, *network, environment, &options))
                    })),
                    Some(folder) => Files::Tree(run_tree(
                        joined.files(),
                        folder,
                        command,
                        path,
                        mounts,
                        *network,
                        environment,
                        &options,
                    )),
                }
            }
            Action::Source(action) => Files::Tree(source(
                self.project(&action.context),
                &action.exclude,
                &action.destination,
                action.config_file.as_deref(),
            )),
            Action::Weights(action) => {
                let interpreter = ground.trees.first();
                let files = action.files.iter();
                let from: Vec<WeightsFrom> = files
                    .map(|files| self.weights(step, files, action, interpreter))
                    .collect::<Result<_, _>>()?;
                // No step runs for files of a project, or for downloads.
                let ground = ground.whole.map(|stack| stack.files().clone());
                let ground = ground.unwrap_or_else(llb::scratch);
                Files::Tree(weights_tree(&ground, &from, &action.destination, &options))
            }
            Action::Write { path, text } => Files::Tree(super::write(path, text)),
            Action::Schema {
                path,
                working_directory,
                environment,
            } => {
                let ground = ground.stack(step)?.clone().with(ground.trees.clone());
                let folders = &self.plan.config.path;
                Files::Tree(ask_schema(
                    ground.files(),
                    working_directory,
                    path,
                    folders,
                    environment,
                    &options,
                ))
            }
            Action::Assemble {} => {
                let stack = ground.stack(step)?.clone();
                self.check_layers(stack.trees() + ground.trees.len())?;
                self.one_piece(stack.image(ground.trees))
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
                    Action::Source(_)
                        | Action::Weights(_)
                        | Action::Write { .. }
                        | Action::Schema { .. }
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
        let stack = ground.stack(&step)?.clone().with(ground.trees);
        Ok(stack.files().clone())
    }

    fn ground(&self, step: &Step) -> Result<Ground, GraphError> {
        let mut ground = Ground {
            whole: None,
            trees: Vec::new(),
        };
        for after in &step.after {
            match self.results.get(after) {
                Some(Files::Whole(stack)) => ground.whole = Some(stack.clone()),
                Some(Files::Tree(tree)) => ground.trees.push(tree.clone()),
                Some(Files::Trees(trees)) => ground.trees.extend(trees.iter().cloned()),
                Some(Files::Aside(_)) => {}
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

    fn one_piece(&self, state: State) -> Files {
        Files::Whole(Stack::new(state, self.circumstances.joining))
    }

    /// Whether everything that a step comes after is made.
    fn has_all_below(&self, step: &Step) -> bool {
        let mut below = step.after.iter();
        below.all(|name| self.results.contains_key(name))
    }

    /// The project, whose folder the plan has a name for.
    fn project(&self, name: &str) -> Context {
        let given = self.circumstances.project.clone();
        given.unwrap_or_else(|| name.into())
    }

    fn weights(
        &self,
        step: &Step,
        files: &WeightFiles,
        action: &CopyWeights,
        interpreter: Option<&Tree>,
    ) -> Result<WeightsFrom, GraphError> {
        let from = match &files.origin {
            WeightOrigin::Project { path } => {
                let context = self.project("context");
                match &action.name {
                    Some(_) => WeightsFrom::project(context, path.as_str()),
                    None => WeightsFrom::project_as(context, path.as_str()),
                }
            }
            WeightOrigin::Url { url, sha256 } => {
                WeightsFrom::url(url.as_str(), format!("sha256:{sha256}"))
            }
            WeightOrigin::HuggingFace {
                repository,
                revision,
            } => {
                let python = Interpreter {
                    command: action.interpreter.clone(),
                    version: self.plan_python(step)?,
                    tree: interpreter.cloned(),
                };
                let from = WeightsFrom::hugging_face(repository, revision, self.uv(&action.uv))
                    .python(python)
                    .token(WEIGHTS_TOKEN);
                let variables = action.environment.iter();
                variables.fold(from, |from, (name, value)| from.env(name, value))
            }
            WeightOrigin::Artifact { reference, path } => {
                let python = Interpreter {
                    command: action.interpreter.clone(),
                    version: self.plan_python(step)?,
                    tree: interpreter.cloned(),
                };
                let reference = ImageRef::parse(reference).map_err(|_| GraphError::Needs {
                    step: step.name.clone(),
                    needs: "names an artifact by its digest",
                })?;
                WeightsFrom::artifact(reference, path.as_str(), python)
            }
            WeightOrigin::Image { reference, path } => {
                let other = self.circumstances.images.get(reference);
                let state = other.and_then(|other| other.state.clone());
                let state = state.unwrap_or_else(|| {
                    let reference = self.plan.pinned(reference);
                    let image = Image::new(&*reference);
                    image.name(format!("weights of {reference}")).state()
                });
                WeightsFrom::files_at(state, path.as_str())
            }
        };
        // Patterns are the same for every origin.
        let from = from
            .include(files.include.iter().map(String::as_str))
            .exclude(files.exclude.iter().map(String::as_str));
        Ok(from)
    }

    /// What stands for the wheels of a lock that is not made yet.
    fn wheels_of_lock(
        &self,
        step: &Step,
        install: &InstallWheels,
        options: &StepOptions,
    ) -> Result<Tree, GraphError> {
        let lock = step
            .after
            .iter()
            .find_map(|name| match self.results.get(name) {
                Some(Files::Aside(state)) => Some(state),
                _ => None,
            });
        let lock = lock.ok_or_else(|| GraphError::Needs {
            step: step.name.clone(),
            needs: "chooses packages",
        })?;
        let copy = file::copy(lock, LOCK_FILE, format!("{}/pylock.toml", install.venv))
            .create_destination()
            .name("wheels of the lock");
        Ok(Tree::copied(options.located(copy), install.venv.as_str()))
    }

    /// A tree for each group.
    fn install(
        &mut self,
        step: &Step,
        ground: &Ground,
        install: &InstallWheels,
        options: &StepOptions,
    ) -> Result<Vec<Tree>, GraphError> {
        let helper = self
            .circumstances
            .helper
            .clone()
            .ok_or(GraphError::NoHelper)?;
        let mut trees = Vec::new();
        for group in install.groups.iter().flatten() {
            let files = self.wheel_files(step, &group.wheels, options)?;
            let around = environment(install);
            let tree = if install.precompile {
                let interpreter = Interpreter {
                    command: self.plan_interpreter(step)?,
                    version: self.plan_python(step)?,
                    tree: ground.trees.first().cloned(),
                };
                let whole = ground.whole(step)?;
                compiled_wheels(
                    whole,
                    &interpreter,
                    &helper,
                    &files,
                    around,
                    &group.name,
                    options,
                )
            } else {
                wheels(&helper, &files, around, &group.name, options)
            };
            trees.push(match group.wheels.as_slice() {
                [wheel] if wheel.size >= Grouping::ALONE => tree,
                _ => tree.shared(),
            });
        }
        Ok(trees)
    }

    fn wheel_files<'w>(
        &self,
        step: &Step,
        wheels: impl IntoIterator<Item = &'w Wheel>,
        options: &StepOptions,
    ) -> Result<Vec<WheelFile>, GraphError> {
        let file = |wheel: &Wheel| {
            let (state, path) = match &wheel.from {
                WheelOrigin::Remote {
                    url,
                    sha256,
                    authorization,
                } => {
                    let file = RemoteFile {
                        name: wheel.file.clone(),
                        url: url.clone(),
                        sha256: sha256.clone(),
                        authorization: authorization.clone(),
                    };
                    (remote_for(&file, options), format!("/{}", wheel.file))
                }
                WheelOrigin::Project { path } => (
                    project(self.project("context"), std::slice::from_ref(path)),
                    format!("/{path}"),
                ),
                WheelOrigin::Built { step: name } => match self.results.get(name) {
                    Some(Files::Aside(state)) => (state.clone(), format!("/{}", wheel.file)),
                    _ => {
                        return Err(GraphError::Order {
                            step: step.name.clone(),
                            after: name.clone(),
                        });
                    }
                },
            };
            Ok(WheelFile {
                state,
                path,
                name: wheel.file.clone(),
                direct_url: wheel.direct_url.clone(),
            })
        };
        wheels.into_iter().map(file).collect()
    }

    fn venv_action(&self, step: &Step) -> Result<(&str, PythonVersion), GraphError> {
        let found = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Venv {
                interpreter,
                version,
                ..
            } => Some((interpreter.as_str(), *version)),
            _ => None,
        });
        found.ok_or_else(|| GraphError::Needs {
            step: step.name.clone(),
            needs: "makes the virtual environment",
        })
    }

    fn plan_interpreter(&self, step: &Step) -> Result<String, GraphError> {
        Ok(self.venv_action(step)?.0.to_owned())
    }

    fn plan_python(&self, step: &Step) -> Result<PythonVersion, GraphError> {
        Ok(self.venv_action(step)?.1)
    }

    /// Counts the layers of the base, of the trees, and of steps on the way.
    fn check_layers(&self, trees: usize) -> Result<(), GraphError> {
        let base = self
            .circumstances
            .base
            .config
            .as_deref()
            .and_then(|config| {
                let config: serde_json::Value = serde_json::from_slice(config).ok()?;
                Some(config["rootfs"]["diff_ids"].as_array()?.len())
            });
        // Steps that make trees are counted with these.
        let below = self.plan.below_image();
        let steps = below.into_iter().filter(|step| {
            step.writes.is_none() && matches!(step.action, Action::Apt { .. } | Action::Run { .. })
        });
        let layers = base.unwrap_or(0) + trees + steps.count();
        if layers > MOST_LAYERS {
            return Err(GraphError::Layers(layers));
        }
        Ok(())
    }

    /// The uv program, of an image that something may take the place of.
    fn uv(&self, program: &UvProgram) -> Program {
        let other = self.circumstances.images.get(&program.image);
        let other = other.filter(|_| program.wheel.is_none());
        if let Some(state) = other.and_then(|other| other.state.as_ref()) {
            return Program::new(state.clone(), "/uv");
        }
        let program = UvProgram {
            image: self.plan.pinned(&program.image).into_owned(),
            ..program.clone()
        };
        uv(&program, self.circumstances.helper.as_ref())
    }

    fn base_image(&self, reference: &str) -> Result<State, GraphError> {
        let unknown = Base::default();
        let base = if self.plan.base() == Some(reference) {
            &self.circumstances.base
        } else {
            let other = self.circumstances.images.get(reference);
            other.unwrap_or(&unknown)
        };
        if let Some(state) = &base.state {
            return Ok(state.clone());
        }
        let locked = self.plan.pinned(reference);
        let reference = base.pinned.as_deref().unwrap_or(&locked);
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

    /// Images that commands mount, by the digests that a lock has of them.
    fn mounted(&self) -> Vec<(&str, State)> {
        let digests = self.plan.digests.keys().map(String::as_str);
        let mounted = self.plan.mounted_names();
        let images = digests.filter(|name| mounted.contains(name));
        images
            .map(|name| {
                let image = Image::new(&*self.plan.pinned(name));
                (name, image.name(format!("files of {name}")).state())
            })
            .collect()
    }

    fn options(&mut self, step: &Step) -> StepOptions {
        let given = self.circumstances.images.iter();
        let given = given.filter_map(|(name, base)| Some((name.as_str(), base.state.clone()?)));
        let options = StepOptions::new(self.plan.network)
            .context(self.project("context"))
            .contexts(self.mounted())
            .contexts(given)
            .proxy(self.circumstances.base.proxy.clone());
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
