//! Remembers what happened, to be asked afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Progress;
use super::event::{Event, Vertex, Warning};
use super::lines::LastLines;

/// Lines of output kept of each vertex.
const LINES: usize = 1000;

/// Keeps the events of a build as a [`Summary`].
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    summary: Summary,
}

/// What happened in a build, vertex by vertex.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    steps: Vec<Step>,
    positions: BTreeMap<String, usize>,
    warnings: Vec<Warning>,
}

/// What happened to one vertex.
#[derive(Clone, Debug)]
pub struct Step {
    vertex: Vertex,
    intervals: BTreeMap<SystemTime, SystemTime>,
    output: LastLines,
}

/// How a vertex ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StepState {
    /// It was never started: nothing needed it, or the build ended before.
    Waiting,
    /// It was started and not completed.
    Running,
    /// It was run.
    Executed,
    /// Its result was in the cache.
    Cached,
    /// It failed.
    Failed,
}

impl Recorder {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has happened so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What has happened.
    pub fn into_summary(self) -> Summary {
        self.summary
    }
}

impl Progress for Recorder {
    fn event(&mut self, event: &Event) {
        self.summary.take(event);
    }
}

impl Summary {
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Vertex(vertex) => self.step(&vertex.digest).take(vertex),
            Event::Log(log) => self.step(&log.vertex).output.push(&log.data),
            Event::Warning(warning) => self.warnings.push(warning.clone()),
            Event::Transfer(_) => {}
        }
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        let next = self.steps.len();
        let position = *self.positions.entry(digest.to_owned()).or_insert(next);
        if position == next {
            self.steps.push(Step::new(digest));
        }
        &mut self.steps[position]
    }

    /// All vertices, in the order they were first reported.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The vertex of a digest.
    pub fn by_digest(&self, digest: &str) -> Option<&Step> {
        self.positions
            .get(digest)
            .map(|position| &self.steps[*position])
    }

    /// The first vertex whose name contains a text.
    pub fn by_name(&self, text: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name().contains(text))
    }

    /// Only the vertices for which `keep` holds, for counts over a part of the build.
    #[must_use]
    pub fn only(&self, mut keep: impl FnMut(&Step) -> bool) -> Self {
        let mut part = Self::default();
        for step in self.steps.iter().filter(|step| keep(step)) {
            part.positions
                .insert(step.digest().to_owned(), part.steps.len());
            part.steps.push(step.clone());
        }
        part.warnings.clone_from(&self.warnings);
        part
    }

    /// How many vertices ended in a state.
    pub fn count(&self, state: StepState) -> usize {
        self.steps
            .iter()
            .filter(|step| step.state() == state)
            .count()
    }

    /// How many vertices were run, the daemon's own work included.
    pub fn executed(&self) -> usize {
        self.count(StepState::Executed)
    }

    /// How many vertices were in the cache.
    pub fn cached(&self) -> usize {
        self.count(StepState::Cached)
    }

    /// How many vertices failed.
    pub fn failed(&self) -> usize {
        self.count(StepState::Failed)
    }

    /// All warnings, in order.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl Step {
    fn new(digest: &str) -> Self {
        Self {
            vertex: Vertex {
                digest: digest.to_owned(),
                ..Vertex::default()
            },
            intervals: BTreeMap::new(),
            output: LastLines::new(LINES),
        }
    }

    fn take(&mut self, vertex: &Vertex) {
        if let (Some(started), Some(completed)) = (vertex.started, vertex.completed) {
            self.intervals.insert(started, completed);
        }
        // A vertex that is announced again has not gone back to waiting.
        if vertex.started.is_some() || self.vertex.started.is_none() {
            self.vertex = vertex.clone();
        }
    }

    /// Digest of the op, or an id of the daemon.
    pub fn digest(&self) -> &str {
        &self.vertex.digest
    }

    /// The name shown.
    pub fn name(&self) -> &str {
        &self.vertex.name
    }

    /// How it ended.
    pub fn state(&self) -> StepState {
        let vertex = &self.vertex;
        match (vertex.started, vertex.completed) {
            _ if vertex.error.is_some() => StepState::Failed,
            _ if vertex.cached => StepState::Cached,
            (None, _) => StepState::Waiting,
            (_, None) => StepState::Running,
            _ => StepState::Executed,
        }
    }

    /// Whether its result was in the cache.
    pub fn is_cached(&self) -> bool {
        self.state() == StepState::Cached
    }

    /// What went wrong.
    pub fn error(&self) -> Option<&str> {
        self.vertex.error.as_deref()
    }

    /// How long it worked: the sum of its runs, without overlaps.
    pub fn duration(&self) -> Duration {
        let mut sum = Duration::ZERO;
        let mut end = SystemTime::UNIX_EPOCH;
        for (started, completed) in &self.intervals {
            let from = end.max(*started);
            sum += completed.duration_since(from).unwrap_or_default();
            end = end.max(*completed);
        }
        sum
    }

    /// The last lines of its output, at most 1000.
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// The last report of it.
    pub fn vertex(&self) -> &Vertex {
        &self.vertex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vertex that ran, or runs, from one second to another.
    fn ran(vertex: &mut Vertex, started: u64, completed: Option<u64>) {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        vertex.started = Some(at(started));
        vertex.completed = completed.map(at);
    }

    fn vertex(digest: &str, change: impl FnOnce(&mut Vertex)) -> Event {
        let mut vertex = Vertex {
            digest: digest.into(),
            name: format!("step {digest}"),
            ..Vertex::default()
        };
        change(&mut vertex);
        Event::Vertex(vertex)
    }

    #[test]
    fn the_last_report_holds_and_times_add_up() {
        let mut recorder = Recorder::new();
        recorder.event(&vertex("a", |_| {}));
        recorder.event(&vertex("a", |vertex| ran(vertex, 1, None)));
        recorder.event(&vertex("a", |vertex| ran(vertex, 1, Some(2))));
        recorder.event(&vertex("a", |vertex| ran(vertex, 10, None)));
        let running = recorder.summary().by_digest("a").unwrap().state();
        assert_eq!(running, StepState::Running);
        let end = vertex("a", |vertex| ran(vertex, 10, Some(13)));
        recorder.event(&end);
        recorder.event(&end);
        recorder.event(&vertex("a", |_| {}));
        recorder.event(&vertex("b", |vertex| {
            ran(vertex, 1, Some(1));
            vertex.cached = true;
        }));
        recorder.event(&vertex("c", |vertex| {
            ran(vertex, 1, Some(1));
            vertex.error = Some("exit code: 3".into());
        }));
        recorder.event(&vertex("d", |_| {}));
        let summary = recorder.into_summary();
        assert_eq!(
            summary.by_digest("a").unwrap().duration(),
            Duration::from_secs(4)
        );
        assert_eq!(
            (summary.executed(), summary.cached(), summary.failed()),
            (1, 1, 1)
        );
        assert_eq!(
            summary.by_name("step d").unwrap().state(),
            StepState::Waiting
        );
        assert_eq!(summary.only(Step::is_cached).steps().len(), 1);
    }
}
