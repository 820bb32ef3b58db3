//! The program: commands, files, daemons.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 the command
//! line is wrong, 130 interrupted; `exec` ends with the code of its command.

mod advice;
mod args;
mod build;
mod digest;
mod doctor;
mod explain;
mod failure;
mod frontend;
mod frontend_image;
mod graph;
mod helper;
mod init;
mod input;
mod interrupt;
mod layers;
mod layout;
mod local;
mod lock;
mod logins;
mod output;
mod predict;
mod project;
mod push;
mod serve;
mod show;
mod store;
mod verify;
mod weights;

pub use failure::Failure;

use interrupt::Interrupts;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, GraphOption, PlanCommand};

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    // In a frontend image the program is started without arguments, and standard output is BuildKit's.
    if llb::gateway::is_frontend() {
        return frontend::main();
    }
    let result = match Cli::parse().command {
        Command::Build(command) => build::build(&command),
        Command::Plan(command) => plan(&command),
        Command::Push(command) => push::push(&command),
        Command::Predict(command) => predict::predict(&command),
        Command::Lock(command) => lock::lock(&command),
        Command::Train(command) => predict::train(&command),
        Command::Serve(command) => serve::serve(&command),
        Command::Exec(command) => serve::exec(&command),
        Command::Completions { shell } => completions(shell),
        Command::Init => init::init(),
        Command::Doctor(command) => doctor::doctor(&command),
        Command::Explain(command) => explain::explain(&command),
        Command::Verify(command) => verify::verify(&command),
        Command::Debug(command) => debug(&command.plan),
        Command::FrontendImage(command) => frontend_image::frontend_image(&command),
        Command::Schema => print(&crate::config::schema()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                // There is nobody to tell when stderr is closed.
                let _ = writeln!(io::stderr().lock(), "{failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn plan(command: &PlanCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan)?;
    if command.json {
        print(&project.plan.to_json())
    } else if command.dockerfile {
        print(&project.plan.to_dockerfile())
    } else if let Some(form) = command.graph {
        print(&match form {
            GraphOption::Dot => project.plan.to_dot(),
            GraphOption::Svg => project.plan.to_svg(),
        })
    } else if let Some(form) = command.llb {
        graph::print_graph(&project.plan, form)
    } else if command.explain {
        print(&format!("{:#}\n{}", project.plan, project.plan.forecast()))
    } else {
        print(&format!("{}\n{}", project.plan, project.plan.forecast()))
    }
}

/// The completions of a shell.
fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cog-python", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// `debug`: Cog's word for `plan --dockerfile`.
fn debug(args: &args::PlanArgs) -> Result<(), Failure> {
    print(&project::load(args)?.plan.to_dockerfile())
}

/// Writes a result to stdout.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // `cog-python plan | head` is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// What waits for daemons.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))
}
