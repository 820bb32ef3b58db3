//! Shows progress on standard error without ever making a build wait.

use std::io::{self, IsTerminal as _, Stderr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::termios::tcgetwinsize;

use super::Progress;
use super::board::Board;
use super::event::{Event, Warning};
use super::mode::DisplayMode;
use super::plain::Plain;
use super::queue::Queue;
use super::raw_json::RawJson;
use super::screen::Screen;
use super::tty::{ASCII, Layout, UNICODE};

/// Lines of output shown below a running row, unless `BUILDKIT_TTY_LOG_LINES` says otherwise.
const DETAILS: usize = 6;
/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// Events taken at once for lines; few, so that a standard error that is only slow is seen to move.
const BATCH: usize = 16;
/// How long standard error may take nothing at all when the build is over.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows progress on standard error, from a thread of its own.
///
/// A standard error that is slow, stopped (by Ctrl-S, say) or closed never makes a build wait: what
/// cannot be shown in time is left out, output first.
///
/// In the mode [`Tty`](DisplayMode::Tty) every vertex that has been started is a row with its
/// time, and a group of vertices is one row. Rows that run show their transfers and the last lines
/// of their output:
///
/// ```text
/// Building 12.4s  2/4 steps · 1 cached
///  ✔ docker-image://docker.io/library/python:3.13-slim                  0.8s
///  ✔ copy requirements.txt                                            cached
///  ⠹ pip install torch                                                 11.6s
///    │ Collecting torch
///    │ Downloading torch-2.9.1-cp313-cp313-linux_x86_64.whl (899.8 MB)
/// ```
///
/// Colors are left out if `NO_COLOR` is set. `BUILDKIT_TTY_LOG_LINES` is the number of lines below
/// a row, 6 by default.
///
/// ```no_run
/// # async fn build(client: llb::client::Client, solve: llb::client::Solve) -> Result<(), Box<dyn std::error::Error>> {
/// use llb::progress::{Display, DisplayMode};
///
/// let mut display = Display::stderr(DisplayMode::from_env()?);
/// client.solve(solve, &mut display).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Display {
    mode: DisplayMode,
    queue: Arc<Queue>,
    over: bool,
}

impl Display {
    /// Shows progress on the standard error of this process.
    pub fn stderr(mode: DisplayMode) -> Self {
        let mode = effective(mode);
        let queue = Arc::new(Queue::default());
        let shown = mode != DisplayMode::Quiet && {
            let queue = Arc::clone(&queue);
            let worker = thread::Builder::new().name("progress".to_owned());
            // Without a thread nothing is shown; the build is worth more.
            let spawned = worker.spawn(move || {
                show(mode, &queue);
                queue.leave();
            });
            spawned.is_ok()
        };
        Self {
            mode,
            queue,
            over: !shown,
        }
    }

    /// How progress is shown: never [`Auto`](DisplayMode::Auto), and [`Tty`](DisplayMode::Tty) only
    /// where standard error is a terminal.
    pub fn mode(&self) -> DisplayMode {
        self.mode
    }
}

/// Lets something else use the terminal for a while; made by [`Display::pauser`].
#[derive(Clone, Debug)]
pub struct Pauser(Option<Arc<Queue>>);

/// Progress stands still as long as this lives.
#[derive(Debug)]
#[must_use = "progress goes on when this is dropped"]
pub struct Pause(Option<Arc<Queue>>);

impl Display {
    /// What lets something else use the terminal for a while, from inside of a build.
    pub fn pauser(&self) -> Pauser {
        Pauser((!self.over).then(|| Arc::clone(&self.queue)))
    }
}

impl Pauser {
    /// Shows what has happened so far, and then nothing more until the pause is dropped. What happens in the
    /// meantime is shown afterwards. The build does not stand still.
    ///
    /// Blocks until standard error has taken what there is to show, as long as it takes something.
    pub fn pause(&self) -> Pause {
        if let Some(queue) = &self.0 {
            queue.hold(PATIENCE);
        }
        Pause(self.0.clone())
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            queue.go_on();
        }
    }
}

impl Progress for Display {
    fn event(&mut self, event: &Event) {
        if !self.over {
            self.queue.push(event);
        }
    }

    /// Waits until everything is shown, as long as standard error takes something.
    fn finish(&mut self) {
        if !self.over {
            self.over = true;
            self.queue.close();
            self.queue.wait_until_left(PATIENCE);
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}

fn effective(mode: DisplayMode) -> DisplayMode {
    let terminal = io::stderr().is_terminal()
        && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    match mode {
        DisplayMode::Auto | DisplayMode::Tty if terminal => DisplayMode::Tty,
        DisplayMode::Auto | DisplayMode::Tty => DisplayMode::Plain,
        other => other,
    }
}

fn show(mode: DisplayMode, queue: &Queue) {
    match mode {
        DisplayMode::Tty => Terminal::new().show(queue),
        DisplayMode::RawJson => lines(RawJson::new(io::stderr()), queue),
        _ => lines(Plain::new(io::stderr()), queue),
    }
}

fn lines(mut progress: impl Progress, queue: &Queue) {
    loop {
        let batch = queue.take(BATCH);
        if batch.lost > 0 {
            progress.event(&Event::Warning(Warning {
                short: format!(
                    "{} pieces of output are left out here: standard error is too slow",
                    batch.lost
                ),
                ..Warning::default()
            }));
        }
        batch.events.iter().for_each(|event| progress.event(event));
        if batch.closed {
            progress.finish();
            return;
        }
        if batch.pause {
            queue.rest();
        }
    }
}

/// A terminal on standard error.
struct Terminal {
    board: Board,
    screen: Screen<Stderr>,
    layout: Layout,
    began: Instant,
    /// The daemon's clock when the first step was started, with ours of the moment we learned it.
    daemon: Option<(SystemTime, Instant)>,
}

impl Terminal {
    fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let details = std::env::var("BUILDKIT_TTY_LOG_LINES");
        let details = details.ok().and_then(|text| text.parse().ok());
        let details = details.unwrap_or(DETAILS);
        let console = std::env::var_os("TERM").is_some_and(|term| term == "linux");
        Self {
            board: Board::new(details),
            screen: Screen::new(io::stderr(), !set("NO_COLOR")),
            layout: Layout {
                columns: 0,
                lines: 0,
                details,
                signs: if console { &ASCII } else { &UNICODE },
            },
            began: Instant::now(),
            daemon: None,
        }
    }

    fn show(mut self, queue: &Queue) {
        loop {
            let batch = queue.take_after(FRAME);
            let taken = Instant::now();
            batch.events.iter().for_each(|event| self.board.take(event));
            if self.daemon.is_none() {
                self.daemon = self.board.began().map(|began| (began, taken));
            }
            // A terminal that is gone cannot be told anything.
            drop(self.draw(batch.closed));
            if batch.closed {
                return;
            }
            if batch.pause {
                // What is there stays there.
                self.screen.leave();
                queue.rest();
            }
        }
    }

    fn draw(&mut self, is_last: bool) -> io::Result<()> {
        let size = tcgetwinsize(io::stderr()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, lines) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
        let columns = usize::from(columns);
        // What is erased behind a full line would be its last sign.
        self.layout.columns = columns.saturating_sub(1).min(120);
        // The last line belongs to the cursor.
        self.layout.lines = usize::from(lines).saturating_sub(1).max(1);
        let now = self
            .daemon
            .map_or_else(SystemTime::now, |(began, learned)| {
                began + learned.elapsed()
            });
        let elapsed = self.began.elapsed();
        let lines = if is_last {
            self.layout.last(&self.board, elapsed, now)
        } else {
            self.layout.frame(&self.board, elapsed, now)
        };
        self.screen.draw(&lines, columns)
    }
}
