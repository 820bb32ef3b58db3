//! Weights: files that are large and change rarely, in layers of their own.

use llb::value::ImageRef;
use llb::{Constrain, State, args, cache, file, http, secret};

use super::{Context, Interpreter, Joining, Program, StepOptions, Tree, artifact, overlay};

/// Package of the program that fetches repositories of Hugging Face.
pub(crate) const FETCHER: &str = "huggingface_hub==0.36.0";
/// Variable that the program reads its token from, and the secret that a plan takes it from.
pub(crate) const TOKEN: &str = "HF_TOKEN";
/// Variable that the program reads the address of a mirror from, and the secret that it comes from: where files are fetched
/// does not decide what they are.
pub(crate) const ENDPOINT: &str = "HF_ENDPOINT";
/// Where a step that fetches writes to.
const FETCHED: &str = "/run/cog-python/weights";

/// The arguments are repository, revision, folder, and options of the program. What it keeps for itself, and the time
/// at which it ran, are no part of weights.
pub(crate) const FETCH: &str = r#"repository="$1" revision="$2" folder="$3"
shift 3
uv tool run --quiet --from "$FETCHER" hf download "$repository" --revision "$revision" --local-dir "$folder" "$@"
rm -rf "$folder/.cache"
find "$folder" -exec touch -h -d @0 {} +"#;

/// Where weights come from, and which of the files there are taken.
#[derive(Clone, Debug)]
pub struct WeightsFrom {
    origin: Origin,
    include: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Clone, Debug)]
enum Origin {
    Project {
        context: Context,
        path: String,
        is_named: bool,
    },
    Url {
        url: String,
        checksum: String,
    },
    HuggingFace {
        repository: String,
        revision: String,
        uv: Program,
        python: Option<Interpreter>,
        token: Option<String>,
        environment: Vec<(String, String)>,
    },
    Artifact {
        reference: ImageRef,
        path: String,
        python: Interpreter,
    },
    Files {
        state: State,
        path: String,
    },
}

impl WeightsFrom {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    /// What is in a folder of a project, or a file of it, by its path there. Nothing else of the project is sent, and a
    /// change of anything else does not touch it.
    pub fn project(context: impl Into<Context>, path: impl Into<String>) -> Self {
        Self::new(Origin::Project {
            context: context.into(),
            path: path.into(),
            is_named: false,
        })
    }

    /// The same where the destination is the name that the folder or file itself gets.
    pub fn project_as(context: impl Into<Context>, path: impl Into<String>) -> Self {
        Self::new(Origin::Project {
            context: context.into(),
            path: path.into(),
            is_named: true,
        })
    }

    /// A download with the digest that it must have (`sha256:…`). It is called as the last part of the address.
    pub fn url(url: impl Into<String>, checksum: impl Into<String>) -> Self {
        Self::new(Origin::Url {
            url: url.into(),
            checksum: checksum.into(),
        })
    }

    /// A repository of Hugging Face (`owner/name`) at a revision; name a commit, because what a branch points to is asked
    /// only once. It is fetched by a step on a file system with Python, with the uv program; from a mirror if the build is
    /// given its address as the secret `HF_ENDPOINT`.
    ///
    /// ```
    /// use cog_python::layer::{Program, StepOptions, WeightsFrom, weights};
    ///
    /// let uv = Program::new(llb::image("ghcr.io/astral-sh/uv:0.9.26"), "/uv");
    /// let commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
    /// let from = [WeightsFrom::hugging_face("openai-community/gpt2", commit, uv).include(["*.safetensors"])];
    /// let image = llb::image("python:3.12-slim").layer(weights("/weights", &from, &StepOptions::default()));
    /// assert!(image.to_text().contains(r#""openai-community/gpt2" "607a30d783dfa663caf39e06633721c8d4cfcd7e""#));
    /// ```
    pub fn hugging_face(
        repository: impl Into<String>,
        revision: impl Into<String>,
        uv: Program,
    ) -> Self {
        Self::new(Origin::HuggingFace {
            repository: repository.into(),
            revision: revision.into(),
            uv,
            python: None,
            token: None,
            environment: Vec::new(),
        })
    }

    /// The files of an OCI artifact: a manifest in a registry that is no image, with a layer for each file, whose name is the
    /// annotation `org.opencontainers.image.title`. Of these, `path` is a file or a folder; empty is all of them. They are
    /// fetched by a step on a file system with Python; with logins, if the build is given those of Docker's `config.json`
    /// as the secret `DOCKER_AUTH_CONFIG`.
    ///
    /// ```
    /// use cog_python::layer::{Interpreter, StepOptions, WeightsFrom, weights};
    ///
    /// let digest = "sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c";
    /// let artifact = llb::value::ImageRef::parse(&format!("ghcr.io/team/weights@{digest}"))?;
    /// let python = Interpreter::in_path("3.12".parse()?);
    /// let from = [WeightsFrom::artifact(artifact, "model.safetensors", python)];
    /// let image = llb::image("python:3.12-slim").layer(weights("/weights", &from, &StepOptions::default()));
    /// assert!(image.to_text().contains(&format!(r#""team/weights" "{digest}""#)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn artifact(reference: ImageRef, path: impl Into<String>, python: Interpreter) -> Self {
        Self::new(Origin::Artifact {
            reference,
            path: path.into(),
            python,
        })
    }

    /// The files of any state, such as an image of an OCI layout ([`llb::oci_layout`]).
    pub fn files(state: impl Into<State>) -> Self {
        Self::files_at(state, "")
    }

    /// What is in a folder of a state, or a file of it, by its path there.
    ///
    /// ```
    /// use cog_python::layer::{StepOptions, WeightsFrom, weights};
    ///
    /// let team = llb::image("registry.example.com/team/weights:7");
    /// let from = [WeightsFrom::files_at(team, "models/base").include(["*.safetensors"])];
    /// let image = llb::image("python:3.12-slim").layer(weights("/weights", &from, &StepOptions::default()));
    /// assert!(image.to_text().contains(r#""/models/base" => "/weights/""#));
    /// ```
    pub fn files_at(state: impl Into<State>, path: impl Into<String>) -> Self {
        Self::new(Origin::Files {
            state: state.into(),
            path: path.into(),
        })
    }

    /// Takes only files that match a pattern (`.dockerignore` form, relative to where they come from).
    #[must_use = "returns the changed origin"]
    pub fn include<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.include.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Leaves out files that match a pattern.
    #[must_use = "returns the changed origin"]
    pub fn exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// The secret that holds a token of Hugging Face; a build without it fetches what is public.
    #[must_use = "returns the changed origin"]
    pub fn token(mut self, id: impl Into<String>) -> Self {
        if let Origin::HuggingFace { token, .. } = &mut self.origin {
            *token = Some(id.into());
        }
        self
    }

    /// The Python that a repository of Hugging Face is fetched with, if it is not in `PATH`.
    #[must_use = "returns the changed origin"]
    pub fn python(mut self, interpreter: Interpreter) -> Self {
        if let Origin::HuggingFace { python, .. } = &mut self.origin {
            *python = Some(interpreter);
        }
        self
    }

    /// A variable of the step that fetches a repository of Hugging Face.
    #[must_use = "returns the changed origin"]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Origin::HuggingFace { environment, .. } = &mut self.origin {
            environment.push((name.into(), value.into()));
        }
        self
    }

    /// The state, and what to copy of it to where.
    fn state(
        &self,
        ground: &State,
        destination: &str,
        options: &StepOptions,
    ) -> (State, [String; 2]) {
        match &self.origin {
            Origin::Project {
                context,
                path,
                is_named,
            } => {
                let state = context.only(std::slice::from_ref(path), &format!("read {path}"));
                // A file goes below what ends like a folder, and what is in a folder does in any case.
                let end = if *is_named { "" } else { "/" };
                (state, [format!("/{path}"), format!("{destination}{end}")])
            }
            Origin::Url { url, checksum } => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let name = path.rsplit('/').next().unwrap_or_default();
                let file = http(url.as_str())
                    .checksum(checksum.as_str())
                    .filename(name)
                    .chmod(0o644)
                    .name(format!("weights {url}"));
                (
                    file.state(),
                    [format!("/{name}"), format!("{destination}/{name}")],
                )
            }
            Origin::HuggingFace {
                repository,
                revision,
                uv,
                python,
                token,
                environment,
            } => {
                let mut command = vec![
                    "/bin/sh", "-ec", FETCH, "fetch", repository, revision, FETCHED,
                ];
                for (option, patterns) in
                    [("--include", &self.include), ("--exclude", &self.exclude)]
                {
                    for pattern in patterns {
                        command.extend([option, pattern]);
                    }
                }
                let mut exec = args(command)
                    .env("FETCHER", FETCHER)
                    .env("UV_NO_CONFIG", "1")
                    .env("UV_CACHE_DIR", "/root/.cache/uv")
                    .env("HF_HUB_DISABLE_TELEMETRY", "1")
                    .env("UV_PYTHON_DOWNLOADS", "never")
                    .mount(cache("/root/.cache/uv", "cog-python-uv"))
                    .name(format!("weights {repository} at {revision}"));
                exec = uv
                    .lend(exec, "/usr/local/bin/uv")
                    .mount(secret(ENDPOINT).as_env(ENDPOINT).optional());
                if let Some(python) = python {
                    exec = exec.env("UV_PYTHON", python.command.as_str());
                    if let Some(tree) = &python.tree {
                        exec = tree.lend(exec);
                    }
                }
                for (name, value) in environment {
                    exec = exec.env(name.as_str(), value.as_str());
                }
                if let Some(id) = token {
                    exec = exec.mount(secret(id.as_str()).as_env(TOKEN).optional());
                }
                let tree = Tree::empty(FETCHED).change(ground, options.connected(exec));
                (
                    tree.state().clone(),
                    [FETCHED.to_owned(), destination.to_owned()],
                )
            }
            Origin::Artifact {
                reference,
                path,
                python,
            } => {
                let patterns = [&*self.include, &*self.exclude];
                let exec = artifact::fetch(reference, path, FETCHED, patterns, python);
                let tree = Tree::empty(FETCHED).change(ground, options.connected(exec));
                (
                    tree.state().clone(),
                    [FETCHED.to_owned(), destination.to_owned()],
                )
            }
            Origin::Files { state, path } if path.is_empty() => {
                (state.clone(), ["/".to_owned(), destination.to_owned()])
            }
            // A file goes below what ends like a folder, and what is in a folder does in any case.
            Origin::Files { state, path } => (
                state.clone(),
                [format!("/{path}"), format!("{destination}/")],
            ),
        }
    }
}

/// A tree of weights below a folder, later origins over earlier ones. Only repositories of Hugging Face and OCI
/// artifacts run a step, on `ground`.
///
/// ```
/// use cog_python::layer::{StepOptions, WeightsFrom, weights_tree};
///
/// let from = [WeightsFrom::project("context", "models/large").include(["*.safetensors"])];
/// let tree = weights_tree(&llb::scratch(), &from, "/src/models/large", &StepOptions::default());
/// assert_eq!(tree.state().to_text(), r#"
/// %read-models-large = local "context" local.includepattern="[\"models/large\"]" local.sharedkeyhint="models/large" name="read models/large"
/// %weights-src-models-large = file name="weights /src/models/large" {
///   copy %read-models-large "/models/large" => "/src/models/large/" contents-only create-destination include="*.safetensors"
/// }
/// return %weights-src-models-large
/// "#.trim_start());
/// ```
#[track_caller]
pub fn weights_tree(
    ground: &State,
    from: &[WeightsFrom],
    destination: &str,
    options: &StepOptions,
) -> Tree {
    let mut actions = None;
    for origin in from {
        let (state, [source, target]) = origin.state(ground, destination, options);
        let copy = match actions.take() {
            None => file::copy(state, source, target),
            Some(before) => file::FileActions::copy(before, state, source, target),
        };
        let copy = copy.contents_only().create_destination();
        // What was fetched is what was asked for already.
        let is_chosen = matches!(
            origin.origin,
            Origin::HuggingFace { .. } | Origin::Artifact { .. }
        );
        actions = Some(if is_chosen {
            copy
        } else {
            copy.include(origin.include.iter().map(String::as_str))
                .exclude(origin.exclude.iter().map(String::as_str))
        });
    }
    match actions {
        Some(actions) => Tree::copied(
            options.located(actions.name(format!("weights {destination}"))),
            destination,
        ),
        None => Tree::empty(destination),
    }
}

/// A layer with weights below a folder.
///
/// ```
/// use cog_python::layer::{StepOptions, WeightsFrom, weights};
///
/// let digest = "sha256:93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c";
/// let from = [WeightsFrom::url("https://example.com/model.bin?v=1", digest)];
/// let image = llb::image("python:3.12-slim").layer(weights("/weights", &from, &StepOptions::default()));
/// let text = image.to_text();
/// assert!(text.contains("http.checksum=\"sha256:93dcc18a"));
/// assert!(text.contains("\"/model.bin\" => \"/weights/model.bin\""));
/// ```
#[llb::layer]
pub fn weights(
    base: State,
    destination: &str,
    #[layer(skip)] from: &[WeightsFrom],
    #[layer(skip)] options: &StepOptions,
) -> State {
    let tree = weights_tree(&base, from, destination, options);
    overlay(&base, [tree], Joining::Merge)
}
