//! Events on their way to a slow place.
//!
//! A build must not wait for whoever watches it. What is held for the watcher is bounded: beyond
//! the bound output and transfers are left out and counted, and of each vertex only the last report
//! is kept.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Event, Vertex};

/// What may wait, in bytes.
const LARGEST: usize = 8 << 20;
/// What an event weighs beyond its texts.
const BASE: usize = 256;

/// A queue that never blocks its sender.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    weight: usize,
    /// Vertices that came when there was no more room.
    held: BTreeMap<String, Vertex>,
    lost: u64,
    /// How many batches have been taken.
    taken: u64,
    closed: bool,
    left: bool,
    /// How many want the taker to rest.
    pauses: usize,
    resting: bool,
}

/// What was waiting.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// How many pieces of output were left out.
    pub(super) lost: u64,
    /// Whether nothing more comes.
    pub(super) closed: bool,
    /// Whether the taker is to rest, after this.
    pub(super) pause: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.held.is_empty()
    }
}

impl Queue {
    pub(super) fn push(&self, event: &Event) {
        let mut state = self.lock();
        let room = state.weight < LARGEST;
        match event {
            Event::Vertex(vertex) if !room => {
                state.held.insert(vertex.digest.clone(), vertex.clone());
            }
            Event::Log(_) | Event::Transfer(_) if !room => state.lost += 1,
            _ => {
                state.weight += weight(event);
                state.events.push_back(event.clone());
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes at most `count` events, and waits until there is one.
    pub(super) fn take(&self, count: usize) -> Batch {
        let idle = |state: &mut State| state.is_empty() && !state.closed && state.pauses == 0;
        let waited = self.changed.wait_while(self.lock(), idle);
        self.hand_out(waited.unwrap_or_else(PoisonError::into_inner), count)
    }

    /// Takes all events there are after a pause, which the end of the build cuts short.
    pub(super) fn take_after(&self, pause: Duration) -> Batch {
        let open = |state: &mut State| !state.closed && state.pauses == 0;
        let waited = self.changed.wait_timeout_while(self.lock(), pause, open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.hand_out(state, usize::MAX)
    }

    fn hand_out(&self, mut state: MutexGuard<'_, State>, count: usize) -> Batch {
        let count = count.min(state.events.len());
        let mut events: Vec<_> = state.events.drain(..count).collect();
        state.weight -= events.iter().map(weight).sum::<usize>();
        if state.events.is_empty() {
            let held = mem::take(&mut state.held);
            events.extend(held.into_values().map(Event::Vertex));
        }
        state.taken += 1;
        let batch = Batch {
            events,
            lost: mem::take(&mut state.lost),
            closed: state.closed && state.is_empty(),
            pause: state.pauses > 0 && state.is_empty(),
        };
        drop(state);
        self.changed.notify_all();
        batch
    }

    /// Has the taker rest, and waits until it does, as long as it takes something every `pause`.
    pub(super) fn hold(&self, pause: Duration) {
        self.lock().pauses += 1;
        self.changed.notify_all();
        self.wait_until(pause, |state| state.resting || state.left);
    }

    /// Lets the taker go on.
    pub(super) fn go_on(&self) {
        let mut state = self.lock();
        state.pauses = state.pauses.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// Rests as long as that is wanted, at most until nothing more comes.
    pub(super) fn rest(&self) {
        let mut state = self.lock();
        state.resting = true;
        self.changed.notify_all();
        let held = |state: &mut State| state.pauses > 0 && !state.closed;
        let waited = self.changed.wait_while(state, held);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.resting = false;
    }

    /// Says that nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Says that nothing more is taken.
    pub(super) fn leave(&self) {
        self.lock().left = true;
        self.changed.notify_all();
    }

    /// Waits until the taker has left, as long as it takes something every `pause`.
    pub(super) fn wait_until_left(&self, pause: Duration) {
        self.wait_until(pause, |state| state.left);
    }

    fn wait_until(&self, pause: Duration, reached: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !reached(&state) {
            let taken = state.taken;
            let still = |state: &mut State| !reached(state) && state.taken == taken;
            let waited = self.changed.wait_timeout_while(state, pause, still);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return;
            }
            state = next;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(event: &Event) -> usize {
    BASE + match event {
        Event::Log(log) => log.data.len(),
        Event::Vertex(vertex) => vertex.name.len() + 72 * vertex.inputs.len(),
        Event::Transfer(_) | Event::Warning(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Log, LogStream};

    fn log(length: usize) -> Event {
        Event::Log(Log {
            vertex: "a".into(),
            time: None,
            stream: LogStream::Stdout,
            data: vec![b'x'; length].into(),
        })
    }

    fn vertex(name: &str) -> Event {
        Event::Vertex(Vertex {
            digest: "a".into(),
            name: name.into(),
            ..Vertex::default()
        })
    }

    #[test]
    fn what_waits_is_bounded_and_the_end_of_a_vertex_is_not_lost() {
        let queue = Queue::default();
        for _ in 0..100 {
            queue.push(&log(1 << 20));
        }
        for step in 0..10_000 {
            queue.push(&vertex(&step.to_string()));
        }
        queue.close();
        let first = queue.take(7);
        assert_eq!(
            (first.events.len(), first.lost, first.closed),
            (7, 92, false)
        );
        let rest = queue.take_after(Duration::ZERO);
        assert_eq!(rest.events, [log(1 << 20), vertex("9999")]);
        assert!(rest.closed);
        queue.push(&log(1));
        assert_eq!(queue.take(1).events.len(), 1, "there is room again");
    }

    #[test]
    fn a_taker_rests_when_it_has_taken_all() {
        let queue = Queue::default();
        queue.push(&log(1));
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut taken = Vec::new();
                loop {
                    let batch = queue.take(1);
                    taken.push(batch.events.len());
                    if batch.pause {
                        queue.rest();
                    }
                    if batch.closed {
                        return taken;
                    }
                }
            });
            queue.hold(Duration::from_secs(60));
            assert!(queue.lock().resting && queue.lock().is_empty());
            queue.push(&log(2));
            queue.go_on();
            queue.close();
            assert_eq!(taker.join().unwrap().iter().sum::<usize>(), 2);
        });
    }

    #[test]
    fn a_taker_that_hangs_is_not_waited_for() {
        let queue = Queue::default();
        queue.hold(Duration::from_millis(10));
        queue.go_on();
        queue.wait_until_left(Duration::from_millis(10));
        queue.leave();
        queue.wait_until_left(Duration::from_secs(3600));
    }
}
