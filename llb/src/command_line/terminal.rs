//! The terminal of this process: its mode, its size, what is typed.

use std::io::{self, PipeReader, PipeWriter, stdin, stdout};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A terminal that hands on every key, also those that stop programs. It is as before when this is dropped.
#[derive(Debug)]
pub(super) struct RawMode(Termios);

impl RawMode {
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone has no mode.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// The sizes that a terminal has, one after the other.
#[derive(Debug)]
pub(super) struct Resizes {
    signals: Option<Signal>,
    is_first: bool,
}

impl Resizes {
    pub(super) fn new(is_terminal: bool) -> io::Result<Self> {
        let signals = is_terminal.then(|| signal(SignalKind::window_change()));
        Ok(Self {
            signals: signals.transpose()?,
            is_first: true,
        })
    }

    /// Rows and columns: first as they are, then whenever they change. Never, if there is no terminal.
    pub(super) async fn next(&mut self) -> (u32, u32) {
        let Some(signals) = &mut self.signals else {
            return std::future::pending().await;
        };
        loop {
            if !std::mem::take(&mut self.is_first) && signals.recv().await.is_none() {
                return std::future::pending().await;
            }
            if let Ok(size) = tcgetwinsize(stdout()) {
                return (size.ws_row.into(), size.ws_col.into());
            }
        }
    }
}

/// What is typed or piped in. It takes nothing more from standard input once it is dropped.
#[derive(Debug)]
pub(super) struct Input {
    pieces: mpsc::Receiver<Vec<u8>>,
    /// Wakes the thread that waits for input.
    _wake: PipeWriter,
}

impl Input {
    pub(super) fn start() -> io::Result<Self> {
        let (wake, keep) = io::pipe()?;
        let (sender, pieces) = mpsc::channel(1);
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read(&wake, &sender))?;
        Ok(Self {
            pieces,
            _wake: keep,
        })
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.recv().await
    }
}

fn read(wake: &PipeReader, sender: &mpsc::Sender<Vec<u8>>) {
    let input = stdin();
    let mut buffer = [0; 4096];
    loop {
        let mut waiting = [
            PollFd::new(&input, PollFlags::IN),
            PollFd::new(wake, PollFlags::IN),
        ];
        match poll(&mut waiting, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        // Whoever has gone closes its end.
        if !waiting[1].revents().is_empty() {
            return;
        }
        match rustix::io::read(&input, &mut buffer) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        }
    }
}
