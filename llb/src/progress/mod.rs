//! Progress of a build: what happens, and ways to show or keep it.
//!
//! A daemon reports vertices (the ops of the graph and its own work around them), transfers inside
//! them, their output and warnings. [`Event`] is one such report, [`Progress`] anything that takes
//! them: [`Plain`] prints lines for people, [`Recorder`] counts and remembers for programs and
//! tests, `()` ignores, and a pair of two gives each event to both.
//!
//! ```
//! use llb::progress::{Plain, Progress, Recorder};
//!
//! let mut recorder = Recorder::new();
//! let mut progress = (Plain::new(Vec::new()), &mut recorder);
//! progress.finish();
//! assert_eq!(recorder.summary().executed(), 0);
//! ```

mod event;
mod lines;
mod plain;
mod recorder;

pub use event::{Event, Group, Log, LogStream, Transfer, Vertex, Warning};
pub use plain::Plain;
pub use recorder::{Recorder, Step, StepState, Summary};

pub(crate) use event::events;

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
