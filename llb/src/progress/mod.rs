//! Progress of a build: what happens, and ways to show or keep it.
//!
//! A daemon reports vertices (the ops of the graph and its own work around them), transfers inside
//! them, their output and warnings. [`Event`] is one such report, [`Progress`] anything that takes
//! them: [`Plain`] prints lines for people, [`Recorder`] counts and remembers for programs and
//! tests, `()` ignores, and a pair of two gives each event to both. With feature `progress`,
//! `Display` shows it on standard error as its user wants, in rows that are drawn again on a
//! terminal, and never makes a build wait; `RawJson` is for other programs.
//!
//! ```
//! use llb::progress::{Plain, Progress, Recorder};
//!
//! let mut recorder = Recorder::new();
//! let mut progress = (Plain::new(Vec::new()), &mut recorder);
//! progress.finish();
//! assert_eq!(recorder.summary().executed(), 0);
//! ```

#[cfg(feature = "progress")]
mod board;
#[cfg(feature = "progress")]
mod display;
mod event;
mod format;
mod lines;
#[cfg(feature = "progress")]
mod mode;
mod plain;
#[cfg(feature = "progress")]
mod queue;
#[cfg(feature = "progress")]
mod raw_json;
mod recorder;
#[cfg(feature = "progress")]
mod screen;
#[cfg(feature = "progress")]
mod text;
#[cfg(feature = "progress")]
mod tty;

#[cfg(feature = "progress")]
pub use display::{Display, Pause, Pauser};
pub use event::{Event, Group, Log, LogStream, Transfer, Vertex, Warning};
#[cfg(feature = "progress")]
pub use mode::{DisplayMode, UnknownDisplayMode};
pub use plain::Plain;
#[cfg(feature = "progress")]
pub use raw_json::RawJson;
pub use recorder::{Recorder, Step, StepState, Summary};

pub(crate) use event::{events, is_cancellation};

/// Takes the events of a build.
pub trait Progress: Send {
    /// Takes one event.
    fn event(&mut self, event: &Event);

    /// Called once when nothing more comes, also if the build failed.
    fn finish(&mut self) {}
}

impl Progress for () {
    fn event(&mut self, _: &Event) {}
}

impl<P: Progress + ?Sized> Progress for &mut P {
    fn event(&mut self, event: &Event) {
        (**self).event(event);
    }

    fn finish(&mut self) {
        (**self).finish();
    }
}

impl<P: Progress + ?Sized> Progress for Box<P> {
    fn event(&mut self, event: &Event) {
        (**self).event(event);
    }

    fn finish(&mut self) {
        (**self).finish();
    }
}

impl<First: Progress, Second: Progress> Progress for (First, Second) {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
        self.1.event(event);
    }

    fn finish(&mut self) {
        self.0.finish();
        self.1.finish();
    }
}
