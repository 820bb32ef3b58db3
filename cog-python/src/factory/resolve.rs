//! What a plan leaves open, found out in the middle of a build.
//!
//! Everything is a question to the builder whose answer it keeps: the lock, wheels that are built, which wheels have files
//! in common. A build that changes nothing gets all answers from the cache.
//!
//! Answers take their time, so that steps of the image run meanwhile: those that no answer changes, then all of
//! them as they are if wheels have nothing in common, which is what is found most of the time.

use std::collections::BTreeMap;
use std::pin::pin;

use llb::gateway::{Build, Error, ResolvedSourceKind, Result, Warning};
use llb::lower::Helper;
use llb::value::Platform;
use llb::{Range, SourceMap, State};

use crate::layer::{
    self, Base, COLLISIONS_FILE, Circumstances, Context, DISTRIBUTIONS_FILE, FACTS_FILE, Joining,
    LOCK_FILE, LOCK_FOLDER, built_wheels, graphs, inspection_of, lock_of, unlocked,
};
use crate::lock::{Facts, Lock};
use crate::plan::{CudaTwice, InstallWheels, Measured, Plan, WheelOrigin};
use crate::requirement::index_options;
use crate::wheel::{self, Collision};

/// A plan that names every wheel, and the lock that was made for it.
#[derive(Clone, Debug)]
pub struct Complete {
    /// The plan.
    pub plan: Plan,
    /// The lock; nothing if the project has one.
    pub lock: Option<Lock>,
    /// The distributions of the wheels, as `pip freeze` writes them.
    pub distributions: Vec<String>,
}

/// What a builder can do, with the helper that runs on it.
pub(super) fn circumstances(
    cx: &Build,
    base: &Base,
    project: Option<Context>,
    helpers: &[Helper],
) -> Result<Circumstances> {
    let able = cx.capabilities();
    let joining = if able.has_merge() && able.has_diff() {
        Joining::Merge
    } else {
        Joining::Copy
    };
    let platform = cx.build_platform();
    let fits = |helper: &&Helper| {
        let own = helper.platform();
        own.os == platform.os && own.architecture == platform.architecture
    };
    let helper = helpers.iter().find(fits).cloned().ok_or_else(|| {
        Error::msg(format!(
            "there is no llb-helper for {platform}, which installs wheels on the builder"
        ))
        .hint("name it with the variable LLB_HELPER, or put llb-helper-linux-ARCHITECTURE beside this program")
    })?;
    Ok(Circumstances {
        base: base.clone(),
        joining,
        helper: Some(helper),
        project,
        ..Circumstances::default()
    })
}

/// Whether steps of the image are run while answers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// The image is going to be built.
    Build,
    /// Only the answers are wanted.
    Wait,
}

/// Asks the builder for everything that the plan does not say.
pub(super) async fn complete(
    cx: &Build,
    plan: &Plan,
    circumstances: &Circumstances,
    meanwhile: Meanwhile,
) -> Result<Complete> {
    let answers = answers(cx, plan, circumstances, meanwhile);
    match meanwhile {
        Meanwhile::Build => {
            let unlocked = run_unlocked(cx, plan, circumstances);
            let (complete, ()) = tokio::try_join!(answers, unlocked)?;
            Ok(complete)
        }
        Meanwhile::Wait => answers.await,
    }
}

/// Runs the steps that do not wait for a lock, all at once.
async fn run_unlocked(cx: &Build, plan: &Plan, circumstances: &Circumstances) -> Result<()> {
    let platform: Platform = plan.platform.parse()?;
    let mut running = tokio::task::JoinSet::new();
    for state in unlocked(plan, circumstances)? {
        let (cx, platform) = (cx.clone(), platform.clone());
        running.spawn(async move { cx.solve_for(state, &platform).await?.evaluate().await });
    }
    while let Some(done) = running.join_next().await {
        done.map_err(Error::new)??;
    }
    Ok(())
}

async fn answers(
    cx: &Build,
    plan: &Plan,
    circumstances: &Circumstances,
    meanwhile: Meanwhile,
) -> Result<Complete> {
    let platform: Platform = plan.platform.parse()?;
    let Some(state) = lock_of(plan, circumstances)? else {
        let look = look(cx, plan, circumstances);
        let run = run_all(cx, plan, circumstances, meanwhile);
        let ((_, distributions), ()) = tokio::try_join!(look, run)?;
        return Ok(Complete {
            plan: plan.clone(),
            lock: None,
            distributions,
        });
    };
    let answer = cx.solve_for(state, &platform).await?;
    let (lock, facts) = tokio::try_join!(
        answer.read_to_string(LOCK_FILE),
        answer.read_to_string(FACTS_FILE)
    )?;
    let mut lock = Lock::from_pylock(&lock)?.in_project(LOCK_FOLDER);
    let facts = Facts::from_json(&facts)?;

    for mut file in plan.unmeasured(&lock, &facts)? {
        if file.sha256.is_empty() {
            let found = cx.resolve_source(layer::remote(&file)).await?;
            if let ResolvedSourceKind::Http { checksum, .. } = found.kind {
                checksum
                    .trim_start_matches("sha256:")
                    .clone_into(&mut file.sha256);
            }
        }
        let fetched = cx.solve(layer::remote(&file)).await?;
        let size = fetched.stat(&format!("/{}", file.name)).await?.size;
        lock.measure(&file.url, &file.sha256, size);
    }
    let mut measured = Measured::default();
    let wanted = plan.project_wheels(&lock, &facts)?;
    for path in wanted {
        let context = circumstances.project.clone().unwrap_or_default();
        let file = layer::project(context, std::slice::from_ref(&path));
        let size = cx.solve(file).await?.stat(&format!("/{path}")).await?.size;
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        measured.insert(path, name, size);
    }
    let building = plan.with_builds(&lock, &facts)?;
    let built = built_wheels(&building, circumstances)?;
    let mut asked = tokio::task::JoinSet::new();
    for (step, state) in built {
        let (cx, platform) = (cx.clone(), platform.clone());
        asked.spawn(async move { Ok::<_, Error>((step, found(&cx, state, &platform).await?)) });
    }
    while let Some(answer) = asked.join_next().await {
        let (step, (file, size)) = answer.map_err(Error::new)??;
        measured.insert(step, file, size);
    }
    let chosen = plan.with_lock(&lock, &facts, &measured, &[])?;
    if let Some(twice) = chosen.cuda_twice() {
        cx.warn(Warning::new(twice.to_string()).detail(CudaTwice::ADVICE))
            .await?;
    }
    let (ties, distributions) = look_and_run(cx, &chosen, circumstances, meanwhile).await?;
    let plan = if ties.is_empty() {
        chosen
    } else {
        plan.with_lock(&lock, &facts, &measured, &ties)?
    };
    lock.ties = Some(ties);
    lock.distributions = looked_into(&plan, &distributions);
    if let Some((_, install)) = plan.wheels() {
        // Whoever builds from the lock logs in to them, or chooses again.
        lock.indexes = index_options(&install.options);
    }
    lock.images = plan.digests.clone();
    Ok(Complete {
        plan,
        lock: Some(lock),
        distributions,
    })
}

/// What wheels that are fetched are called, by file name.
fn looked_into(plan: &Plan, distributions: &[String]) -> BTreeMap<String, String> {
    let by_package: BTreeMap<String, &String> = distributions
        .iter()
        .map(|line| {
            let name = line.split("==").next().unwrap_or_default();
            (llb_helper::wheel::normalized(name), line)
        })
        .collect();
    let wheels = plan
        .wheels()
        .into_iter()
        .flat_map(|(_, install)| install.wheels());
    wheels
        .filter(|wheel| matches!(wheel.from, WheelOrigin::Remote { .. }))
        .filter_map(|wheel| {
            let distribution = by_package.get(&wheel.package)?;
            Some((wheel.file.clone(), (*distribution).clone()))
        })
        .collect()
}

/// The one wheel that a step has built, and its size.
async fn found(cx: &Build, state: State, platform: &Platform) -> Result<(String, u64)> {
    let solved = cx.solve_for(state, platform).await?;
    let files = solved.read_dir_matching("/", "*.whl").await?;
    match files.as_slice() {
        [file] => Ok((file.name.clone(), file.size)),
        files => Err(Error::msg(format!(
            "a build of a wheel made {} wheels, expected one",
            files.len()
        ))),
    }
}

/// Looks into the wheels, and runs all steps meanwhile as they are if nothing is found.
async fn look_and_run(
    cx: &Build,
    plan: &Plan,
    circumstances: &Circumstances,
    meanwhile: Meanwhile,
) -> Result<(Vec<Vec<String>>, Vec<String>)> {
    let mut look = pin!(look(cx, plan, circumstances));
    let mut run = pin!(run_all(cx, plan, circumstances, meanwhile));
    let mut ran = None;
    let (ties, distributions) = loop {
        tokio::select! {
            found = &mut look => break found?,
            result = &mut run, if ran.is_none() => ran = Some(result),
        }
    };
    // With wheels that belong together it would be another image.
    if ties.is_empty() {
        match ran {
            Some(result) => result?,
            None => run.await?,
        }
    }
    Ok((ties, distributions))
}

/// Runs all steps of a plan whose packages are chosen, if the image is going to be built.
async fn run_all(
    cx: &Build,
    plan: &Plan,
    circumstances: &Circumstances,
    meanwhile: Meanwhile,
) -> Result<()> {
    if meanwhile == Meanwhile::Wait {
        return Ok(());
    }
    let platform: Platform = plan.platform.parse()?;
    let graph = graphs(plan, circumstances)
        .map_err(|error| Error::new(error).context("the plan gives no graph"))?;
    let image = cx.solve_for(graph.image, &platform).await?;
    image.evaluate().await
}

/// Looks into the wheels, unless a lock says what there is to see: which have files in common, each two told to the user,
/// and what they are called.
async fn look(
    cx: &Build,
    plan: &Plan,
    circumstances: &Circumstances,
) -> Result<(Vec<Vec<String>>, Vec<String>)> {
    if let Some((_, install)) = plan.wheels()
        && let Some(distributions) = &install.distributions
    {
        return Ok((Vec::new(), distributions.clone()));
    }
    let (Some((_, install)), Some(state)) = (plan.wheels(), inspection_of(plan, circumstances)?)
    else {
        return Ok((Vec::new(), Vec::new()));
    };
    // For the platform of the plan, whose wheels may be built for it.
    let platform: Platform = plan.platform.parse()?;
    let answer = cx.solve_for(state, &platform).await?;
    let (collisions, distributions) = tokio::try_join!(
        answer.read_to_string(COLLISIONS_FILE),
        answer.read_to_string(DISTRIBUTIONS_FILE)
    )?;
    let collisions = wheel::collisions(&collisions)?;
    for collision in &collisions {
        cx.warn(warning(install, collision)).await?;
    }
    let distributions = distributions.lines().map(str::to_owned).collect();
    Ok((wheel::ties(&collisions), distributions))
}

fn warning(install: &InstallWheels, collision: &Collision) -> Warning {
    let package = |file: &str| {
        let found = install.wheels().find(|wheel| wheel.file == file);
        found
            .map_or(file, |wheel| wheel.package.as_str())
            .to_owned()
    };
    let (first, second) = (package(&collision.first), package(&collision.second));
    let files = if collision.paths == 1 {
        "a file".to_owned()
    } else {
        format!("{} files", collision.paths)
    };
    let place = [&second, &first]
        .into_iter()
        .find_map(|name| install.places.get(name));
    let shown = place.map_or(String::new(), |place| format!("{place}: "));
    // Progress shows nothing but the message.
    let message = format!(
        "{shown}`{first}` and `{second}` have {files} in common with other content, such as {}; those of `{second}` are installed",
        collision.example
    );
    let warning = Warning::new(message).detail(
        "keep one of the two: which one a program gets depends on the order of their names",
    );
    match place.and_then(|place| place.rsplit_once(':')) {
        Some((file, line)) => {
            let map = SourceMap::new(file, "requirements", Vec::new());
            warning.at(map.location([Range::line(line.parse().unwrap_or(1))]))
        }
        None => warning,
    }
}
