//! A shell in a step that failed.

use std::io::{IsTerminal as _, stderr, stdin, stdout};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

use super::output::complain;
use super::terminal::{Input, RawMode, Resizes};
use crate::client::Solve;
use crate::gateway::{Failure, Process, Result};
use crate::progress::Display;

/// The program that is started in a failed step.
const SHELL: &str = "/bin/sh";

/// Characters of a step's name that are shown.
const LONGEST: usize = 80;

/// What is done when the command of a step fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum OnError {
    /// Opens a shell in the step, with the files as it left them
    Shell,
}

/// Opens a shell in a step whose command fails, before the build ends: with the files, mounts, variables, directory and user of
/// the step. It is on the terminal if standard input and output are one, else it reads standard input to its end.
///
/// ```no_run
/// use llb::client::Solve;
/// use llb::command_line::open_shell;
/// use llb::progress::{Display, DisplayMode};
///
/// # async fn example(client: llb::client::Client) -> Result<(), llb::client::Error> {
/// let mut display = Display::stderr(DisplayMode::Auto);
/// let solve = open_shell(Solve::frontend("dockerfile.v0"), &display);
/// client.solve(solve, &mut display).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the settings are in the value returned"]
pub fn open_shell(solve: Solve, display: &Display) -> Solve {
    let pauser = display.pauser();
    solve.on_failure(move |failure| {
        let pauser = pauser.clone();
        async move {
            let _pause = pauser.pause();
            if let Err(error) = shell(&failure).await {
                complain(&format!(
                    "no shell could be opened in the failed step: {error}"
                ));
            }
        }
    })
}

/// Runs a shell to its end.
async fn shell(failure: &Failure) -> Result<()> {
    announce(failure);
    let container = failure.container().await?;
    let is_terminal = stdin().is_terminal() && stdout().is_terminal();
    let mut command = container.command_with([SHELL]).stdin();
    if is_terminal {
        let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
        command = command.tty().env("TERM", &term);
    }
    let process = command.spawn().await?;
    // Whatever happens, the terminal is as it was when this is dropped.
    let raw = is_terminal.then(RawMode::enter).transpose()?;
    let ended = converse(process, raw.is_some()).await;
    drop(raw);
    let released = container.release().await;
    ended?;
    released
}

fn announce(failure: &Failure) {
    let step = failure.step();
    let name = step.map_or("a step", |step| step.name.as_str());
    let mut name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = name.char_indices().nth(LONGEST) {
        name.replace_range(end.., "...");
    }
    let how = match step.and_then(|step| step.exit_code) {
        Some(code) => format!("exited with code {code}"),
        None => "failed".to_owned(),
    };
    let text = format!(
        "\n`{name}` {how}\nThis is a shell in the step, with the files as it left them. Leave it to end the build.\n"
    );
    // There is nowhere else to say it.
    drop(std::io::Write::write_all(&mut stderr(), text.as_bytes()));
}

/// Carries input and output between this process and one in a container.
async fn converse(mut process: Process, is_terminal: bool) -> Result<()> {
    let input = Input::start()?;
    let typed = type_in(input, process.stdin.take());
    let (out, err) = (process.stdout.take(), process.stderr.take());
    let said = async {
        tokio::join!(
            copy(out, tokio::io::stdout()),
            copy(err, tokio::io::stderr())
        )
    };
    let mut resizes = Resizes::new(is_terminal)?;
    tokio::pin!(typed, said);
    let mut is_open = true;
    loop {
        tokio::select! {
            _ = &mut said => break,
            () = &mut typed, if is_open => is_open = false,
            (rows, columns) = resizes.next() => process.resize(rows, columns).await,
        }
    }
    process.wait().await?;
    Ok(())
}

/// Gives a process what is typed; the end of it is the end of its input.
async fn type_in(mut input: Input, stdin: Option<DuplexStream>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = input.next().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn copy(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                // A reader that is gone does not keep the process from its end.
                drop(to.write_all(&buffer[..length]).await);
                drop(to.flush().await);
            }
        }
    }
}
