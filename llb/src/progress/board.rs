//! What a build has come to, as rows: one for each vertex, or for each group of vertices.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::event::{Event, Transfer, Vertex, Warning, is_cancellation};
use super::lines::LastLines;

/// The rows of a build, in the order in which they were first started.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) rows: Vec<Row>,
    pub(super) warnings: Vec<Warning>,
    /// Positions of rows by the digest of their vertex, or the id of their group.
    by_id: BTreeMap<String, usize>,
    /// The row each vertex is shown in.
    shown_as: BTreeMap<String, usize>,
    /// How many rows have been started.
    order: usize,
    /// Lines of output kept of each row.
    output: usize,
}

/// A vertex, or a group of vertices that is shown as one.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) output: LastLines,
    pub(super) transfers: Vec<Transfer>,
    members: BTreeMap<String, Vertex>,
    /// When its vertices worked: start and end of each run.
    runs: BTreeMap<SystemTime, SystemTime>,
    order: Option<usize>,
    weak: bool,
}

/// How a row stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RowState {
    Waiting,
    Running,
    Done,
    Cached,
    Canceled,
    Failed,
}

impl Board {
    pub(super) fn new(output: usize) -> Self {
        Self {
            output,
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Vertex(vertex) => self.vertex(vertex),
            Event::Transfer(transfer) => {
                if let Some(row) = self.row(&transfer.vertex) {
                    row.transfer(transfer);
                }
            }
            Event::Log(log) => {
                if let Some(row) = self.row(&log.vertex) {
                    row.output.push(&log.data);
                }
            }
            Event::Warning(warning) => self.warnings.push(warning.clone()),
        }
    }

    /// The rows that have been started, in that order.
    pub(super) fn started(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.iter().filter(|row| row.is_shown()).collect();
        rows.sort_by_key(|row| row.order);
        rows
    }

    /// How many rows are in a state.
    pub(super) fn count(&self, state: RowState) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| !row.weak && row.state() == state).count()
    }

    /// How many rows there are, started or not.
    pub(super) fn total(&self) -> usize {
        self.rows.iter().filter(|row| !row.weak).count()
    }

    /// When the first row was started, by the daemon's clock.
    pub(super) fn began(&self) -> Option<SystemTime> {
        let rows = self.rows.iter();
        rows.filter_map(Row::began).min()
    }

    fn row(&mut self, vertex: &str) -> Option<&mut Row> {
        let position = self.shown_as.get(vertex)?;
        self.rows.get_mut(*position)
    }

    fn vertex(&mut self, vertex: &Vertex) {
        let (id, name) = match &vertex.group {
            Some(group) => (&group.id, &group.name),
            None => (&vertex.digest, &vertex.name),
        };
        let next = self.rows.len();
        let position = *self.by_id.entry(id.clone()).or_insert(next);
        if position == next {
            self.rows.push(Row::new(name, self.output));
        }
        self.shown_as.insert(vertex.digest.clone(), position);
        let row = &mut self.rows[position];
        row.weak &= vertex.group.as_ref().is_some_and(|group| group.weak);
        if vertex.started.is_some() && row.order.is_none() {
            row.order = Some(self.order);
            self.order += 1;
        }
        row.vertex(vertex);
    }
}

impl Row {
    fn new(name: &str, output: usize) -> Self {
        Self {
            // A script of several lines is one row.
            name: name.split_whitespace().collect::<Vec<_>>().join(" "),
            output: LastLines::new(output),
            transfers: Vec::new(),
            members: BTreeMap::new(),
            runs: BTreeMap::new(),
            order: None,
            weak: true,
        }
    }

    /// Whether it is to be shown: it was started, and is not only a weak group.
    fn is_shown(&self) -> bool {
        !self.weak && self.order.is_some()
    }

    fn vertex(&mut self, vertex: &Vertex) {
        if let (Some(started), Some(completed)) = (vertex.started, vertex.completed) {
            self.runs.insert(started, completed);
        }
        // A vertex that is announced again has not gone back to waiting.
        if vertex.started.is_some() || !self.members.contains_key(&vertex.digest) {
            self.members.insert(vertex.digest.clone(), vertex.clone());
        }
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let mut known = self.transfers.iter_mut();
        let known = known.find(|known| known.id == transfer.id && known.vertex == transfer.vertex);
        match known {
            Some(known) => known.clone_from(transfer),
            None => self.transfers.push(transfer.clone()),
        }
    }

    fn began(&self) -> Option<SystemTime> {
        let members = self.members.values();
        members.filter_map(|vertex| vertex.started).min()
    }

    pub(super) fn state(&self) -> RowState {
        let members = || self.members.values();
        let errors = || members().filter_map(|vertex| vertex.error.as_deref());
        let is_running = |vertex: &Vertex| vertex.started.is_some() && vertex.completed.is_none();
        if errors().any(|error| !is_cancellation(error)) {
            RowState::Failed
        } else if errors().next().is_some() {
            RowState::Canceled
        } else if members().any(is_running) {
            RowState::Running
        } else if members().all(|vertex| vertex.cached) {
            RowState::Cached
        } else if members().all(|vertex| vertex.completed.is_some()) {
            RowState::Done
        } else if self.order.is_some() {
            // Some of a group are done, the others wait for something.
            RowState::Running
        } else {
            RowState::Waiting
        }
    }

    /// How long its vertices have worked until now: runs at the same time count once.
    pub(super) fn worked(&self, now: SystemTime) -> Duration {
        let running = self.members.values().filter_map(|vertex| {
            let started = vertex.started?;
            vertex.completed.is_none().then_some((started, now))
        });
        let done = self.runs.iter().map(|(start, end)| (*start, *end));
        let mut runs: Vec<_> = done.chain(running).collect();
        runs.sort_unstable();
        let mut sum = Duration::ZERO;
        let mut until = SystemTime::UNIX_EPOCH;
        for (start, end) in runs {
            sum += end.duration_since(until.max(start)).unwrap_or_default();
            until = until.max(end);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Group;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn vertex(digest: &str, started: u64, completed: Option<u64>) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: format!("step  {digest}\n"),
            started: Some(at(started)),
            completed: completed.map(at),
            ..Vertex::default()
        }
    }

    fn in_group(weak: bool, vertex: Vertex) -> Event {
        let group = Some(Group {
            id: "g".into(),
            name: "group".into(),
            weak,
        });
        Event::Vertex(Vertex { group, ..vertex })
    }

    #[test]
    fn rows_come_in_the_order_of_their_start() {
        let mut board = Board::new(1);
        let waiting = Vertex {
            started: None,
            ..vertex("a", 0, None)
        };
        board.take(&Event::Vertex(waiting));
        board.take(&Event::Vertex(vertex("b", 1, None)));
        board.take(&Event::Vertex(vertex("a", 2, Some(3))));
        let names: Vec<_> = board.started().iter().map(|row| row.name.clone()).collect();
        assert_eq!(names, ["step b", "step a"]);
        assert_eq!(board.began(), Some(at(1)));
        assert_eq!((board.total(), board.count(RowState::Done)), (2, 1));
    }

    #[test]
    fn a_vertex_that_runs_again_is_running_and_its_runs_add_up() {
        let mut board = Board::new(1);
        board.take(&Event::Vertex(vertex("a", 0, Some(2))));
        assert_eq!(board.rows[0].state(), RowState::Done);
        board.take(&Event::Vertex(vertex("a", 10, None)));
        assert_eq!(board.rows[0].state(), RowState::Running);
        assert_eq!(board.rows[0].worked(at(13)), Duration::from_secs(5));
    }

    #[test]
    fn a_group_is_one_row_and_weak_ones_are_hidden() {
        let mut board = Board::new(1);
        board.take(&in_group(true, vertex("a", 0, Some(4))));
        assert!(board.started().is_empty());
        board.take(&in_group(false, vertex("b", 2, Some(6))));
        board.take(&in_group(
            false,
            Vertex {
                started: None,
                ..vertex("c", 0, None)
            },
        ));
        let rows = board.started();
        assert_eq!((rows.len(), rows[0].name.as_str()), (1, "group"));
        assert_eq!(rows[0].state(), RowState::Running, "one of it waits");
        assert_eq!(rows[0].worked(at(9)), Duration::from_secs(6));
    }

    #[test]
    fn what_was_ended_by_another_error_is_canceled() {
        let mut board = Board::new(1);
        for (digest, error) in [("a", "exit code: 1"), ("b", "x: context canceled")] {
            board.take(&Event::Vertex(Vertex {
                error: Some(error.into()),
                ..vertex(digest, 0, Some(1))
            }));
        }
        let states: Vec<_> = board.started().iter().map(|row| row.state()).collect();
        assert_eq!(states, [RowState::Failed, RowState::Canceled]);
    }
}
