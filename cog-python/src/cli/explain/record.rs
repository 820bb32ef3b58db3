//! What is kept of a build, so that the next one can be compared with it.

use std::fs;
use std::path::Path;

use llb::lower::Helper;
use llb::{Constrain as _, Definition, Image, MarshalOptions};
use serde::{Deserialize, Serialize};

use super::files::{self, Files};
use super::{Surroundings, record_path};
use crate::cli::Failure;
use crate::cli::project::Project;
use crate::layer::{Base, Circumstances, outline};
use crate::plan::Plan;

/// Version of the form of records.
const VERSION: u32 = 1;

/// A state of a project: its plan, and the files that a build of it sees. Nothing of it is secret that the plan is not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Record {
    version: u32,
    /// What the project asks for, and its graph.
    pub(super) planned: Outline,
    /// The same with the packages that were chosen, after a build that chose some.
    built: Option<Outline>,
    pub(super) files: Option<Files>,
    /// What was around the build.
    #[serde(default)]
    pub(super) seen: Surroundings,
}

/// A plan and its graph, as this program made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outline {
    pub(super) plan: Plan,
    graph: String,
}

impl Outline {
    /// The base image is as the plan names it, and the helper is one that stands for any: which one a builder needs is not
    /// known here.
    fn new(plan: &Plan) -> Result<Self, Failure> {
        Ok(Self {
            plan: plan.clone(),
            graph: graph(plan, &Surroundings::default())?.to_full_text(),
        })
    }

    /// The graph of the plan with what was around it.
    pub(super) fn within(&self, seen: &Surroundings) -> Result<Definition, Failure> {
        graph(&self.plan, seen)
    }

    pub(super) fn definition(&self) -> Result<Definition, Failure> {
        Definition::from_text(&self.graph)
            .map_err(|error| Failure::new(format!("the graph of a build cannot be read: {error}")))
    }

    /// Whether packages are chosen in the middle of a build.
    fn is_open(&self) -> bool {
        let wheels = self.plan.wheels();
        wheels.is_some_and(|(_, install)| install.groups.is_none())
    }
}

fn graph(plan: &Plan, seen: &Surroundings) -> Result<Definition, Failure> {
    let fail = |error: String| Failure::new(format!("the plan gives no graph: {error}"));
    // Another helper is another content.
    let mut bytes = Helper::example_bytes();
    bytes.extend(seen.helpers.iter().flat_map(|digests| digests.bytes()));
    let helper = Helper::from_bytes(bytes);
    // The step keeps its name when the tag moves.
    let state = seen
        .base
        .as_ref()
        .zip(plan.base())
        .map(|(pinned, reference)| {
            let image = Image::new(pinned.as_str());
            image.name(format!("base {reference}")).state()
        });
    let circumstances = Circumstances {
        helper: Some(helper.map_err(|error| fail(error.to_string()))?),
        base: Base {
            state,
            ..Base::default()
        },
        ..Circumstances::default()
    };
    let state = outline(plan, &circumstances).map_err(|error| fail(error.to_string()))?;
    let platform = plan
        .platform
        .parse()
        .map_err(|error| Failure::new(format!("platform `{}`: {error}", plan.platform)))?;
    state
        .marshal(&MarshalOptions::new(platform))
        .map_err(|error| fail(error.to_string()))
}

impl Record {
    /// A plan whose project is not known.
    pub(super) fn of_plan(plan: &Plan) -> Result<Self, Failure> {
        Ok(Self {
            version: VERSION,
            planned: Outline::new(plan)?,
            built: None,
            files: None,
            seen: Surroundings::default(),
        })
    }

    /// A project as it is now.
    pub(in crate::cli) fn of_project(project: &Project) -> Result<Self, Failure> {
        let mut record = Self::of_plan(&project.plan)?;
        let locals = files::locals(&record.planned.definition()?)?;
        record.files = Some(Files::of(&project.root, &locals)?);
        Ok(record)
    }

    /// The same with the plan that a build gave, and with what was around it.
    pub(in crate::cli) fn built(
        mut self,
        plan: &Plan,
        seen: Surroundings,
    ) -> Result<Self, Failure> {
        self.seen = seen;
        if *plan != self.planned.plan {
            self.built = Some(Outline::new(plan)?);
        }
        Ok(self)
    }

    /// What a later state is compared with. One whose packages are not chosen yet has the question to them in its graph,
    /// and not the answer; so has this one then.
    pub(super) fn as_seen_from(&self, later: &Self) -> &Outline {
        let built = self.built.as_ref().filter(|_| !later.planned.is_open());
        built.unwrap_or(&self.planned)
    }

    /// The record of the last build of a project.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let path = record_path(root);
        let text = fs::read_to_string(&path).map_err(|_| {
            Failure::new("there is no record of a build of this project")
                .hint("build it once with `cog-python build`, or name what to compare it with: `--against FOLDER`, a plan, or a commit")
        })?;
        let record: Self = serde_json::from_str(&text)
            .ok()
            .filter(|record: &Self| record.version == VERSION)
            .ok_or_else(|| {
                Failure::new(format!(
                    "`{}` was written by another version of this program",
                    path.display()
                ))
                .hint("build the project once with this one")
            })?;
        Ok(record)
    }

    /// Keeps the record in the project. A project that cannot be written to is built all the same.
    pub(in crate::cli) fn write(&self, root: &Path) {
        let path = record_path(root);
        let Ok(text) = serde_json::to_string(self) else {
            return;
        };
        if let Some(folder) = path.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            let _ = fs::write(path, text);
        }
    }
}
