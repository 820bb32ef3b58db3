//! Builds a model again and again as it changes, and says what each build took; beside Dockerfiles in the shape of Cog's.
//!
//! `cargo run --release -p llb-benches --bin e2e -- --addr unix:///run/docker.sock --registry 127.0.0.1:5000`
//!
//! Three sides build the same model and push it: `cog-python build`, a Dockerfile as Cog makes them (pip, one layer), and
//! the same with uv. Each starts with an empty cache, and goes through the same changes. Everything is forgotten between
//! sides: the daemon's whole build cache is pruned, so give it one that nobody else uses. The result is a table, or with
//! `--json` an object.
//!
//! Packages are chosen in each build that changes them. With `--lock` they are chosen before, and all sides install the same
//! ones.

mod daemon;
mod dockerfile;
mod engine;
mod lock;
mod project;
mod registry;
mod side;
mod steps;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use llb::client::{Address, Client, Prune};
use llb_benches::measure;
use serde_json::{Value, json};

use daemon::Daemon;
use dockerfile::Installer;
use lock::Locks;
use project::{Project, Size};
use side::{Builds, Built, Cache, FromDockerfile, Place, Side};

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Step>,
    /// Address of an engine; several are measured one after the other
    #[arg(long)]
    addr: Vec<String>,
    /// Registry on this machine that takes the images, as the daemons name it
    #[arg(long, value_name = "HOST:PORT")]
    registry: Option<String>,
    /// Image with Python that the models are built on
    #[arg(long, default_value = "python:3.11-slim", value_name = "IMAGE")]
    base: String,
    /// Give steps the network of the host
    #[arg(long)]
    host_network: bool,
    /// The model: `small`, `large` or both
    #[arg(long, value_delimiter = ',', default_value = "small,large")]
    project: Vec<String>,
    /// Who builds: `cog-python`, `uv` and `pip`
    #[arg(long, value_delimiter = ',', default_value = "cog-python,uv,pip")]
    side: Vec<String>,
    /// Build from locks, which `cog-python lock` makes before anything is measured
    #[arg(long)]
    lock: bool,
    /// The program that builds models [default: the one beside this]
    #[arg(long, value_name = "PATH")]
    cog_python: Option<PathBuf>,
    /// `buildctl`, for its time of a build in which nothing has changed
    #[arg(long, value_name = "PATH")]
    buildctl: Option<PathBuf>,
    /// Builds to measure, by their names in the table [default: all, and for pip the few it is compared at]
    #[arg(long = "row", value_name = "NAME")]
    rows: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// One build from a Dockerfile, in a process of its own
    #[command(hide = true)]
    Dockerfile(FromDockerfile),
}

/// What was measured of one side.
type Column = Vec<(&'static str, Built)>;

fn main() -> ExitCode {
    if let Some(code) = measure::measuring() {
        return code;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Step::Dockerfile(build)) => {
            runtime().and_then(|runtime| runtime.block_on(build.build()))
        }
        None => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads a closed stream.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

fn run(arguments: &Arguments) -> Result<(), Fault> {
    let registry = arguments.registry.clone().ok_or("--registry is missing")?;
    if arguments.addr.is_empty() {
        return Err("--addr is missing".into());
    }
    let sides = arguments.side.iter().map(|name| side(name, arguments));
    let sides = sides.collect::<Result<Vec<_>, Fault>>()?;
    let models = arguments.project.iter().map(|name| match name.as_str() {
        "small" => Ok(Size::Small),
        "large" => Ok(Size::Large),
        other => Err(format!(
            "unknown model `{other}`: there are `small` and `large`"
        )),
    });
    let models = models.collect::<Result<Vec<_>, _>>()?;
    let runtime = runtime()?;
    let home = tempfile::tempdir()?;
    let mut tables = Vec::new();
    for (number, text) in arguments.addr.iter().enumerate() {
        let address: Address = text.parse()?;
        let client = runtime.block_on(Client::connect(&address))?;
        let place = Place {
            address: text.clone(),
            daemon: runtime.block_on(Daemon::find(&address)),
            registry: registry.clone(),
            base: arguments.base.clone(),
            host_network: arguments.host_network,
        };
        let forget = || runtime.block_on(client.prune(Prune::new().all())).map(drop);
        for size in &models {
            let mut columns = Vec::new();
            let mut unchanged = None;
            let mut locks = Locks::default();
            if arguments.lock {
                let root = home.path().join(format!("{}-{number}", size.name()));
                let projects: Vec<Project> = sides
                    .iter()
                    .flat_map(|side| turns(*size, side, arguments))
                    .flat_map(|turn| [turn.before, turn.after])
                    .collect();
                locks = Locks::make(&projects, &cog_python(arguments)?, &place, &root)?;
            }
            for side in &sides {
                // A registry must have nothing of an earlier run, or nothing would be pushed.
                let name = format!(
                    "{}-{}-{number}-{}",
                    size.name(),
                    side.name(),
                    std::process::id()
                );
                let mut builds = Builds::new(side, &place, &locks, home.path(), &name)?;
                forget()?;
                let column = measure(
                    &mut builds,
                    *size,
                    &|| Ok(forget()?),
                    arguments,
                    &mut unchanged,
                );
                columns.push((side.name(), column?));
                // What an engine keeps of images would help the next side.
                builds.remove_image()?;
            }
            let engine = format!("{:?}", client.engine());
            if arguments.json {
                tables.push(object(&engine, *size, &columns, unchanged));
            } else {
                writeln!(
                    io::stdout(),
                    "{}",
                    table(&engine, *size, &columns, unchanged)
                )?;
            }
        }
    }
    if arguments.json {
        writeln!(io::stdout(), "{:#}", Value::from(tables))?;
    }
    Ok(())
}

fn side(name: &str, arguments: &Arguments) -> Result<Side, Fault> {
    Ok(match name {
        "pip" => Side::Dockerfile(Installer::Pip),
        "uv" => Side::Dockerfile(Installer::Uv),
        "cog-python" => Side::CogPython(cog_python(arguments)?),
        other => return Err(format!("unknown side `{other}`").into()),
    })
}

/// The program that builds models.
fn cog_python(arguments: &Arguments) -> Result<PathBuf, Fault> {
    let path = match &arguments.cog_python {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("cog-python"),
    };
    if !path.is_file() {
        let shown = path.display();
        return Err(format!(
            "there is no {shown}: run `cargo build --release -p cog-python`, or name the program with --cog-python"
        )
        .into());
    }
    Ok(path)
}

/// A build in which nothing has changed.
const UNCHANGED: &str = "nothing changed";
/// A builder that has nothing but a cache in the registry.
const FRESH: &str = "one changed, fresh builder with cache";

/// Turns of a build in which nothing has changed, of which the fastest counts.
const TURNS: usize = 5;

/// What becomes of a model.
type Change = fn(&mut Project);

/// The builds, each with what becomes of the model before it.
const ROWS: &[(&str, Change)] = &[
    ("cold", |_| ()),
    (UNCHANGED, |_| ()),
    ("one line of source", |project| project.say("good day")),
    ("one requirement added", |project| {
        project.require("tabulate==0.9.0");
    }),
    ("one requirement changed", Project::change),
    ("a giant changed", Project::change_giant),
    ("system package added", |project| {
        project.system_packages.push("tree");
    }),
    ("command on top added", |project| {
        project
            .commands
            .push("python -c 'import idna' && touch /etc/model-ready");
    }),
    ("one changed, command on top", Project::change),
    (FRESH, |project| {
        project.commands.clear();
        project.change();
    }),
];

/// The builds that pip is compared at: in all others it does the same work as in these, or none.
const ROWS_OF_PIP: [&str; 3] = ["cold", UNCHANGED, "one requirement changed"];

/// A build, with the model as it was before and as it is then.
struct Turn {
    what: &'static str,
    before: Project,
    after: Project,
}

/// The builds of a side that are wanted and change something.
fn turns(size: Size, builder: &Side, arguments: &Arguments) -> Vec<Turn> {
    let mut project = Project::new(size);
    let mut turns = Vec::new();
    for (what, change) in ROWS {
        let is_wanted = match builder {
            _ if !arguments.rows.is_empty() => arguments.rows.iter().any(|row| row == what),
            Side::Dockerfile(Installer::Pip) => ROWS_OF_PIP.contains(what),
            _ => true,
        };
        let mut after = project.clone();
        change(&mut after);
        if is_wanted && (after != project || ["cold", UNCHANGED].contains(what)) {
            turns.push(Turn {
                what,
                before: project,
                after: after.clone(),
            });
            project = after;
        }
    }
    turns
}

/// Takes a model through its changes; the daemon has nothing of it at the start.
fn measure(
    builds: &mut Builds<'_>,
    size: Size,
    forget: &dyn Fn() -> Result<(), Fault>,
    arguments: &Arguments,
    unchanged: &mut Option<f64>,
) -> Result<Column, Fault> {
    let mut column = Column::new();
    for turn in turns(size, builds.side, arguments) {
        let (what, project) = (turn.what, turn.after);
        let (mut cache, mut repeats) = (Cache::None, 1);
        if what == UNCHANGED {
            repeats = TURNS;
        }
        if what == FRESH {
            let mut kept = turn.before;
            kept.commands.clear();
            if let Err(error) = builds.build(&kept, Cache::Export) {
                // Docker engines without containerd's image store write no caches.
                if !error.to_string().contains("not supported") {
                    return Err(error);
                }
                continue;
            }
            builds.remove_image()?;
            forget()?;
            cache = Cache::Import;
        }
        let mut fastest: Option<Built> = None;
        for _ in 0..repeats {
            let built = builds.build(&project, cache);
            let built = built.map_err(|error| format!("{what}: {error}"))?;
            drop(writeln!(io::stderr(), "{what}: {:.2} s", built.wall));
            fastest = Some(match fastest {
                Some(fastest) if fastest.wall <= built.wall => fastest,
                _ => built,
            });
        }
        column.extend(fastest.map(|built| (what, built)));
        if let (UNCHANGED, Some(path), Side::Dockerfile(Installer::Uv)) =
            (what, &arguments.buildctl, builds.side)
        {
            let program = builds.buildctl(path);
            // The first fills what the daemon knows of the other client's directories.
            let mut fastest = program.run()?.wall;
            for _ in 0..TURNS {
                fastest = fastest.min(program.run()?.wall);
            }
            *unchanged = Some(fastest);
        }
    }
    Ok(column)
}

fn object(engine: &str, size: Size, columns: &[(&str, Column)], unchanged: Option<f64>) -> Value {
    let builds = columns.iter().flat_map(|(side, column)| {
        column.iter().map(move |(what, built)| {
            json!({
                "side": side,
                "build": what,
                "wall_seconds": built.wall,
                "client_cpu_seconds": built.client_cpu,
                "daemon_cpu_seconds": built.daemon_cpu,
                "steps_run": built.steps.run,
                "containers": built.steps.containers,
                "bytes_pushed": built.pushed,
                "image_bytes": built.image,
                "layers": built.layers,
            })
        })
    });
    json!({
        "engine": engine,
        "project": size.name(),
        "builds": builds.collect::<Vec<_>>(),
        "buildctl_nothing_changed_seconds": unchanged,
    })
}

/// The figures for people: a row for each build, with ratios to the first side.
fn table(engine: &str, size: Size, columns: &[(&str, Column)], unchanged: Option<f64>) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} on {engine}\n\n", size.name());
    let mut head = String::from("| build |");
    let mut line = String::from("|---|");
    for (side, _) in columns {
        // Writing to a string cannot fail.
        let _ = write!(
            head,
            " {side}: s | cpu s | steps | containers | MB pushed | MB image |"
        );
        line.push_str("---|---|---|---|---|---|");
    }
    let _ = writeln!(text, "{head}\n{line}");
    let rows = columns
        .first()
        .map_or(&[][..], |(_, column)| column.as_slice());
    for (what, first) in rows {
        let _ = write!(text, "| {what} |");
        for (_, column) in columns {
            let Some((_, built)) = column.iter().find(|(other, _)| other == what) else {
                text.push_str(" | | | | | |");
                continue;
            };
            let cpu = built.client_cpu + built.daemon_cpu.unwrap_or(0.0);
            let ratio = built.wall / first.wall;
            let ratio = if std::ptr::eq(built, first) {
                String::new()
            } else {
                format!(" ({ratio:.1}x)")
            };
            let _ = write!(
                text,
                " {:.2}{ratio} | {cpu:.1} | {} | {} | {:.3} | {:.1} |",
                built.wall,
                built.steps.run,
                built.steps.containers,
                megabytes(built.pushed),
                megabytes(built.image)
            );
        }
        text.push('\n');
    }
    if let Some(seconds) = unchanged {
        let _ = writeln!(
            text,
            "\nbuildctl, uv's Dockerfile, nothing changed: {seconds:.2} s"
        );
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
