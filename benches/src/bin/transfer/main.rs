//! Sends and receives files, and says what that took; beside `buildctl` and `docker buildx` if they are given.
//!
//! `cargo run --release -p llb-benches --bin transfer -- --addr unix:///run/buildkit/buildkitd.sock`
//!
//! Two trees are sent: ten thousand small files, and one huge one. Each is sent for the first time, sent again without
//! a change, received with the `local` exporter and received with the `oci` exporter. With `--buildctl PATH` and
//! `--docker-buildx PATH` these programs do the same in turns with this one: buildctl from the same graph, buildx from a
//! Dockerfile that copies the tree, which is also what this side does then. The result is a JSON object; a ratio is the
//! other program's time by ours.

mod side;
mod tree;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use llb::MarshalOptions;
use llb::client::{Address, Client, Engine, Export as ClientExport, Prune, Solve};
use llb_benches::measure::{self, Usage};
use serde_json::{Map, Value, json};

use side::{Export, Form, Side, Transfer};
use tree::Tree;

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Step>,
    /// Address of the daemon: `unix://` and so on
    #[arg(long)]
    addr: Option<String>,
    /// `buildctl`, to compare with; it reaches buildkitd only
    #[arg(long, value_name = "PATH")]
    buildctl: Option<PathBuf>,
    /// `docker-buildx`, to compare with
    #[arg(long, value_name = "PATH")]
    docker_buildx: Option<PathBuf>,
    /// How often everything is done; the least time counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The number of small files
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// Bytes of the small files together
    #[arg(long, default_value_t = 40_000_000)]
    files_bytes: u64,
    /// Bytes of the huge file
    #[arg(long, default_value_t = 2 << 30)]
    huge_bytes: u64,
    /// Only this tree: `many` or `huge`
    #[arg(long)]
    tree: Option<String>,
    /// Where files are kept meanwhile [default: the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// One transfer, in a process of its own
    #[command(hide = true)]
    Transfer(One),
}

#[derive(Debug, clap::Args)]
struct One {
    #[arg(long)]
    addr: String,
    #[arg(long)]
    context: PathBuf,
    #[arg(long)]
    definition: Option<PathBuf>,
    #[arg(long)]
    dockerfile: Option<PathBuf>,
    #[arg(long)]
    local: Option<PathBuf>,
    #[arg(long)]
    oci: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = measure::measuring() {
        return code;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Step::Transfer(one)) => runtime().and_then(|runtime| runtime.block_on(transfer(one))),
        None => compare(&arguments),
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

/// Does one transfer with this crate's client.
async fn transfer(one: &One) -> Result<(), Fault> {
    let client = Client::connect(&one.addr.parse()?).await?;
    let mut solve = match (&one.definition, &one.dockerfile) {
        (Some(definition), _) => Solve::definition_bytes(&fs::read(definition)?),
        (None, Some(dockerfile)) => {
            Solve::frontend("dockerfile.v0").local("dockerfile", dockerfile.as_path())
        }
        (None, None) => return Err("nothing to build".into()),
    };
    solve = solve.local("context", one.context.as_path());
    if let Some(directory) = &one.local {
        solve = solve.export(ClientExport::local(directory));
    }
    if let Some(file) = &one.oci {
        let export = ClientExport::oci(file).attribute("compression", "uncompressed");
        solve = solve.export(export);
    }
    client.solve(solve, &mut ()).await?;
    Ok(())
}

/// What is measured of a tree, in order: the daemon has the files after the first.
const ACTIONS: [(&str, Export); 4] = [
    ("send, first", Export::Nothing),
    ("send, unchanged", Export::Nothing),
    ("receive, local", Export::Local),
    ("receive, oci", Export::Oci),
];

fn compare(arguments: &Arguments) -> Result<(), Fault> {
    let text = arguments.addr.as_deref().ok_or("--addr is missing")?;
    let address: Address = text.parse()?;
    let runtime = runtime()?;
    let client = runtime.block_on(Client::connect(&address))?;
    let (is_engine, has_images) = match client.engine() {
        Engine::Docker { image_store, .. } => (true, *image_store),
        _ => (false, true),
    };
    if is_engine && arguments.buildctl.is_some() {
        return Err("buildctl cannot talk to a Docker engine: give it a buildkitd".into());
    }
    let home = match &arguments.scratch {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut forms = vec![(Form::Graph, vec![Side::Llb])];
    if let Some(path) = &arguments.buildctl {
        forms[0].1.push(Side::Buildctl(path.clone()));
    }
    if let Some(path) = &arguments.docker_buildx {
        let config = home.path().join("docker");
        fs::create_dir(&config)?;
        let buildx = Side::Buildx {
            program: path.clone(),
            home: config,
        };
        forms.push((Form::Dockerfile, vec![Side::Llb, buildx]));
    }
    for side in forms.iter().flat_map(|(_, sides)| sides) {
        side.prepare(text, is_engine)?;
    }
    let trees = [
        Tree::Many {
            files: arguments.files,
            bytes: arguments.files_bytes,
        },
        Tree::Huge {
            bytes: arguments.huge_bytes,
        },
    ];
    let mut rows = Vec::new();
    for tree in trees {
        if arguments
            .tree
            .as_ref()
            .is_some_and(|name| name != tree.name())
        {
            continue;
        }
        let bench = Bench {
            address: text,
            is_engine,
            has_images,
            home: home.path(),
            rounds: arguments.rounds,
            forget: &|| {
                let prune = Prune::new().filter("type==source.local");
                Ok(runtime.block_on(client.prune(prune)).map(drop)?)
            },
        };
        for (form, sides) in &forms {
            rows.extend(bench.measure(tree, *form, sides)?);
        }
    }
    let report = json!({
        "engine": if is_engine { "docker" } else { "buildkitd" },
        "files": arguments.files,
        "files_bytes": arguments.files_bytes,
        "huge_bytes": arguments.huge_bytes,
        "rounds": arguments.rounds,
        "rows": rows,
    });
    writeln!(io::stdout(), "{report:#}")?;
    Ok(())
}

struct Bench<'a> {
    address: &'a str,
    is_engine: bool,
    has_images: bool,
    home: &'a Path,
    rounds: usize,
    /// Makes the daemon drop what it was sent.
    forget: &'a dyn Fn() -> Result<(), Fault>,
}

impl Bench<'_> {
    /// Everything about one tree, as rows of the report.
    fn measure(&self, tree: Tree, form: Form, sides: &[Side]) -> Result<Vec<Value>, Fault> {
        let dockerfile = self.home.join("dockerfile");
        fs::create_dir_all(&dockerfile)?;
        fs::write(
            dockerfile.join("Dockerfile"),
            "FROM scratch\nCOPY . /files\n",
        )?;
        let mut context = self.home.join("files");
        tree.make(&context)?;
        // By action, by side, by round.
        let mut measured = vec![vec![Vec::new(); sides.len()]; ACTIONS.len()];
        // What the Dockerfile copies is in the cache after a first, unmeasured round.
        let rounds = 0..self.rounds + usize::from(form == Form::Dockerfile);
        for round in rounds.clone() {
            for turn in 0..sides.len() {
                let index = if round % 2 == 0 {
                    turn
                } else {
                    sides.len() - 1 - turn
                };
                let unmeasured = rounds.len() > self.rounds && round == 0;
                // Daemons know a directory that was sent before by its path, or by what a graph says of it.
                let fresh = format!("{}-{form:?}-{round}-{index}", tree.name());
                let path = self.home.join(&fresh);
                fs::rename(&context, &path)?;
                context = path;
                let definition = self.home.join("definition");
                fs::write(&definition, graph(&fresh)?)?;
                for (action, (what, export)) in ACTIONS.iter().enumerate() {
                    if *export == Export::Oci && !self.has_images {
                        continue;
                    }
                    let output = self.home.join("output");
                    let transfer = Transfer {
                        address: self.address,
                        context: &context,
                        definition: &definition,
                        dockerfile: &dockerfile,
                        export: *export,
                        output: &output,
                    };
                    let program = sides[index].program(&transfer, form, self.is_engine)?;
                    if *export == Export::Oci {
                        // The first makes the layer, which is the daemon's work.
                        program.run()?;
                        remove(&output)?;
                    }
                    // What others have written is not to be waited for by the next.
                    Command::new("sync").status()?;
                    let usage = program.run()?;
                    let side = sides[index].name();
                    drop(writeln!(
                        io::stderr(),
                        "{fresh}: {what}, {side}: {:.2} s",
                        usage.wall
                    ));
                    remove(&output)?;
                    if !unmeasured {
                        measured[action][index].push(usage);
                    }
                }
                (self.forget)()?;
            }
        }
        fs::remove_dir_all(&context)?;
        let rows = ACTIONS.iter().zip(measured);
        Ok(rows
            .filter(|(_, by_side)| by_side.iter().all(|usages| !usages.is_empty()))
            .map(|((action, _), by_side)| row(tree, form, action, sides, &by_side))
            .collect())
    }
}

/// The definition of a directory that goes by a hint of its own.
fn graph(hint: &str) -> Result<Vec<u8>, Fault> {
    let source = llb::local("context").shared_key_hint(hint);
    let definition = source.state().marshal(&MarshalOptions::linux_amd64())?;
    Ok(definition.to_bytes())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn row(tree: Tree, form: Form, action: &str, sides: &[Side], measured: &[Vec<Usage>]) -> Value {
    let least = |usages: &[Usage], value: fn(&Usage) -> f64| {
        usages.iter().map(value).fold(f64::INFINITY, f64::min)
    };
    let mut row = Map::new();
    row.insert("tree".to_owned(), tree.name().into());
    row.insert("action".to_owned(), action.into());
    let from = match form {
        Form::Graph => "graph",
        Form::Dockerfile => "dockerfile",
    };
    row.insert("from".to_owned(), from.into());
    for (side, usages) in sides.iter().zip(measured) {
        let walls: Vec<f64> = usages.iter().map(|usage| rounded(usage.wall)).collect();
        let memory = usages.iter().map(|usage| usage.peak_memory).max();
        row.insert(
            side.name().to_owned(),
            json!({
                "wall_seconds": walls,
                "cpu_seconds": rounded(least(usages, |usage| usage.cpu)),
                "peak_memory_bytes": memory,
            }),
        );
    }
    if let [ours, theirs] = measured {
        for (name, value) in [
            (
                "wall_ratio",
                (|usage: &Usage| usage.wall) as fn(&Usage) -> f64,
            ),
            ("cpu_ratio", |usage: &Usage| usage.cpu),
        ] {
            let ratio = least(theirs, value) / least(ours, value);
            row.insert(name.to_owned(), rounded(ratio).into());
        }
    }
    row.into()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
