//! `up`: from whatever is there to a running testbed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{Result, anyhow};

use super::assemble::{Images, Workshop};
use super::daemon::Daemon;
use super::engine::{self, Mode};
use super::layout::Layout;
use super::lock::Lock;
use super::process::{boot_id, executable};
use super::registry::{self, Registry};
use super::report::Report;
use super::sources::Mirror;
use super::state::{DaemonRecord, Engine, RegistryAddress, State};
use super::status;
use super::system::System;
use super::tools::Tools;
use super::{down, uv};

/// What to bring up.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Folder of the testbed.
    pub(crate) root: PathBuf,
    /// Debian mirror instead of the system's.
    pub(crate) mirror: Option<String>,
    /// Debian suite of the engines instead of the first usable one.
    pub(crate) engine_suite: Option<String>,
}

/// Brings the testbed up and returns how to reach it.
///
/// Does nothing when all of it runs. Otherwise what an earlier run left behind, whole or broken,
/// is stopped first, and only what is missing is downloaded or made. After a failure nothing of
/// it runs.
pub(crate) fn up(options: &Options) -> Result<State> {
    let report = Report::start();
    let layout = Layout::new(&options.root)?;
    let _lock = Lock::acquire(&layout, &report)?;
    let running = running(&layout, options);
    if let Some(Running {
        state, registry, ..
    }) = &running
        && Images::load(&layout, &state.apt_mirror).are_complete(&layout, *registry)
    {
        report.say("already up");
        return Ok(state.clone());
    }
    let system = System::detect(&layout)?;
    if let Some(running) = running {
        return add_images(&layout, &system, options, running, &report);
    }
    down::stop(&layout, &report)?;
    match start(&layout, &system, options, &report) {
        Ok(state) => {
            for (name, engine) in &state.engines {
                report.say(&format!("up: engine {name} at {}", engine.url));
            }
            report.say(&format!("up: registry at {}", state.registry.url));
            Ok(state)
        }
        Err(error) => {
            if let Err(second) = down::stop(&layout, &report) {
                report.say(&format!("and could not clean up: {second:#}"));
            }
            Err(error)
        }
    }
}

/// Daemons that all run, and are what the options ask for.
struct Running {
    state: State,
    tools: Tools,
    registry: Registry,
}

fn running(layout: &Layout, options: &Options) -> Option<Running> {
    let state = State::load(layout).ok()??;
    let tools = Tools::load(layout)?;
    let registry = Registry {
        port: state.registry.address.rsplit_once(':')?.1.parse().ok()?,
    };
    let wanted = options
        .mirror
        .as_deref()
        .map(|uri| uri.trim_end_matches('/'))
        .is_none_or(|uri| uri == state.apt_mirror)
        && options
            .engine_suite
            .as_deref()
            .is_none_or(|suite| suite == tools.engine_suite());
    (wanted && status::broken(&state).is_empty()).then_some(Running {
        state,
        tools,
        registry,
    })
}

/// Makes missing images beside running daemons, so that nobody's builds are disturbed.
fn add_images(
    layout: &Layout,
    system: &System,
    options: &Options,
    running: Running,
    report: &Report,
) -> Result<State> {
    let Running {
        mut state,
        tools,
        registry,
    } = running;
    let mirror = Mirror::of_system(&system.suite, options.mirror.as_deref())?;
    report.say("the daemons run, but images are missing");
    let workshop = Workshop {
        layout,
        system,
        mirror: &mirror,
        tools: &tools,
        registry,
        report,
    };
    let images = workshop.complete()?;
    state.images = images.records();
    state.uv_python = uv::describe(layout, &images.python_builds());
    state.apt_mirror = mirror.uri;
    state.save(layout)?;
    Ok(state)
}

fn start(layout: &Layout, system: &System, options: &Options, report: &Report) -> Result<State> {
    let mirror = Mirror::of_system(&system.suite, options.mirror.as_deref())?;
    report.say(&format!("mirror: {}", mirror.uri));
    let engine_suite = options.engine_suite.as_deref();
    let tools = Tools::obtain(layout, system, &mirror, engine_suite, report)?;
    layout.create_run()?;
    fs::create_dir_all(layout.data(""))?;

    let (registry, registry_daemon) =
        report.step("start the registry", || registry::start(layout, &tools))?;
    let (engines, images) = thread::scope(|scope| {
        let engines = scope.spawn(|| {
            report.step("start the engines", || {
                start_engines(layout, &tools, registry)
            })
        });
        let workshop = Workshop {
            layout,
            system,
            mirror: &mirror,
            tools: &tools,
            registry,
            report,
        };
        let images = workshop.complete();
        let engines = engines
            .join()
            .unwrap_or_else(|_| Err(anyhow!("starting the engines panicked")));
        (engines, images)
    });
    let mut daemons = engines?;
    daemons.push(registry_daemon);
    let state = describe(layout, &mirror, &tools, registry, &daemons, &images?);
    state.save(layout)?;
    Ok(state)
}

fn start_engines(layout: &Layout, tools: &Tools, registry: Registry) -> Result<Vec<Daemon>> {
    let mut daemons = vec![engine::start_containerd(layout, tools)?];
    let mut engines = Vec::new();
    for mode in Mode::ALL {
        engines.push((
            mode,
            engine::start_engine(layout, tools, mode, registry.port)?,
        ));
    }
    for (mode, mut daemon) in engines {
        engine::wait_engine(layout, &mut daemon, mode)?;
        daemons.push(daemon);
    }
    Ok(daemons)
}

fn describe(
    layout: &Layout,
    mirror: &Mirror,
    tools: &Tools,
    registry: Registry,
    daemons: &[Daemon],
    images: &Images,
) -> State {
    let engines = Mode::ALL.map(|mode| {
        let socket = mode.socket(layout);
        let engine = Engine {
            url: format!("unix://{}", socket.display()),
            socket,
            docker_version: tools.docker_version().to_owned(),
            merge: mode == Mode::Containerd,
        };
        (mode.name().to_owned(), engine)
    });
    let daemons: BTreeMap<_, _> = daemons
        .iter()
        .map(|daemon| {
            let record = DaemonRecord {
                process: daemon.identity.clone(),
                executable: executable(daemon.identity.pid).unwrap_or_default(),
                log: daemon.log.clone(),
            };
            (daemon.name.to_owned(), record)
        })
        .collect();
    State {
        version: State::VERSION,
        root: layout.root().to_owned(),
        run: layout.run().to_owned(),
        boot_id: boot_id(),
        engines: engines.into(),
        registry: RegistryAddress {
            address: format!("127.0.0.1:{}", registry.port),
            url: format!("http://127.0.0.1:{}", registry.port),
        },
        daemons,
        images: images.records(),
        apt_mirror: mirror.uri.clone(),
        uv_python: uv::describe(layout, &images.python_builds()),
    }
}
