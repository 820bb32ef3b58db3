//! Progress as lines of text.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use super::Progress;
use super::event::{Event, Log, Transfer, Vertex, Warning, is_cancellation};
use super::format::{seconds, size};
use super::lines::LineBuffer;

/// How far a transfer goes between two lines: in time, or as a part of the whole.
const TRANSFER_PAUSE: Duration = Duration::from_secs(5);

/// Prints progress as numbered steps, as `docker build --progress=plain` does.
///
/// Steps that run at the same time take turns: a line of another step is preceded by that step's
/// title. What a failed step printed last is for the [error](crate::client::Error) of the build to
/// say, once.
///
/// ```text
/// #1 local://context
/// #1 transferring context: 5.24 MB 0.1s done
/// #1 DONE 0.1s
///
/// #2 pip install torch
/// #2 1.204 Collecting torch
/// #2 DONE 12.4s
/// ```
///
/// Errors of the writer are ignored: a closed terminal must not fail a build.
#[derive(Debug)]
pub struct Plain<W> {
    writer: W,
    steps: BTreeMap<String, Step>,
    /// What each vertex is shown as: itself, or its group.
    shown_as: BTreeMap<String, String>,
    current: Option<String>,
    next: usize,
}

#[derive(Debug)]
struct Step {
    number: usize,
    name: String,
    members: BTreeMap<String, Vertex>,
    intervals: BTreeMap<SystemTime, SystemTime>,
    started: Option<SystemTime>,
    /// The last line printed when it had ended.
    ended: Option<String>,
    running: bool,
    lines: LineBuffer,
    transfers: BTreeMap<String, Shown>,
}

/// How far a transfer was when it was last printed.
#[derive(Debug, Default)]
struct Shown {
    current: u64,
    time: Option<SystemTime>,
    done: bool,
}

impl<W: Write + Send> Plain<W> {
    /// Prints to a writer, mostly standard error.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            steps: BTreeMap::new(),
            shown_as: BTreeMap::new(),
            current: None,
            next: 1,
        }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.writer
    }

    fn vertex(&mut self, vertex: &Vertex) -> io::Result<()> {
        let (id, name) = match &vertex.group {
            Some(group) => (group.id.clone(), group.name.clone()),
            None => (vertex.digest.clone(), vertex.name.clone()),
        };
        self.shown_as.insert(vertex.digest.clone(), id.clone());
        let Some(started) = vertex.started else {
            return Ok(());
        };
        // A script of several lines is one title.
        let name = name.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let next = &mut self.next;
        let step = self.steps.entry(id.clone()).or_insert_with(|| {
            *next += 1;
            Step::new(*next - 1, name)
        });
        let known = step.members.insert(vertex.digest.clone(), vertex.clone());
        if known.as_ref() == Some(vertex) {
            return Ok(());
        }
        step.started.get_or_insert(started);
        match vertex.completed {
            Some(completed) => drop(step.intervals.insert(started, completed)),
            None => step.running = true,
        }
        let ending = step.ending();
        // Asking the cache and running may both end the same way.
        if ending.is_some() && ending == step.ended {
            step.running = false;
            return Ok(());
        }
        self.title(&id)?;
        if let Some(ending) = ending {
            self.end(&id, ending)?;
        }
        Ok(())
    }

    /// Prints a step's title, if another step's line came last.
    fn title(&mut self, id: &str) -> io::Result<()> {
        if self.current.as_deref() == Some(id) {
            return Ok(());
        }
        let Some(step) = self.steps.get(id) else {
            return Ok(());
        };
        if let Some(left) = self.current.as_ref().and_then(|left| self.steps.get(left))
            && left.running
        {
            writeln!(self.writer, "#{} ...", left.number)?;
        }
        if self.current.is_some() {
            writeln!(self.writer)?;
        }
        writeln!(self.writer, "#{} {}", step.number, step.name)?;
        self.current = Some(id.to_owned());
        Ok(())
    }

    fn end(&mut self, id: &str, ending: String) -> io::Result<()> {
        let Some(step) = self.steps.get_mut(id) else {
            return Ok(());
        };
        step.running = false;
        if let Some(line) = step.lines.flush() {
            writeln!(self.writer, "#{} {line}", step.number)?;
        }
        writeln!(self.writer, "#{} {ending}", step.number)?;
        step.ended = Some(ending);
        self.writer.flush()
    }

    fn log(&mut self, log: &Log) -> io::Result<()> {
        let Some(id) = self.shown_as.get(&log.vertex).cloned() else {
            return Ok(());
        };
        let Some(step) = self.steps.get_mut(&id) else {
            return Ok(());
        };
        let lines = step.lines.push(&log.data);
        let since = log
            .time
            .zip(step.started)
            .and_then(|(time, started)| time.duration_since(started).ok())
            .unwrap_or_default();
        let number = step.number;
        if !lines.is_empty() {
            self.title(&id)?;
        }
        for line in lines {
            writeln!(self.writer, "#{number} {:.3} {line}", since.as_secs_f64())?;
        }
        self.writer.flush()
    }

    fn transfer(&mut self, transfer: &Transfer) -> io::Result<()> {
        let Some(id) = self.shown_as.get(&transfer.vertex).cloned() else {
            return Ok(());
        };
        let Some(step) = self.steps.get_mut(&id) else {
            return Ok(());
        };
        let shown = step.transfers.entry(transfer.id.clone()).or_default();
        if shown.done || !shown.is_worth(transfer) {
            return Ok(());
        }
        *shown = Shown {
            current: transfer.current,
            time: transfer.time,
            done: transfer.completed.is_some(),
        };
        let mut parts = vec![transfer.id.clone()];
        if transfer.total > 0 {
            let (current, total) = (size(transfer.current), size(transfer.total));
            parts.push(format!("{current} / {total}"));
        } else if transfer.current > 0 {
            parts.push(size(transfer.current));
        }
        let taken = transfer
            .completed
            .or(transfer.time)
            .zip(transfer.started)
            .and_then(|(end, started)| end.duration_since(started).ok())
            .unwrap_or_default();
        if taken > Duration::from_millis(10) {
            parts.push(seconds(taken));
        }
        if transfer.completed.is_some() {
            parts.push("done".to_owned());
        }
        let line = parts.join(" ");
        let number = step.number;
        self.title(&id)?;
        writeln!(self.writer, "#{number} {line}")?;
        self.writer.flush()
    }

    fn warning(&mut self, warning: &Warning) -> io::Result<()> {
        let Some(id) = self.shown_as.get(&warning.vertex).cloned() else {
            return writeln!(self.writer, "WARN: {}", warning.short);
        };
        self.title(&id)?;
        if let Some(step) = self.steps.get(&id) {
            writeln!(self.writer, "#{} WARN: {}", step.number, warning.short)?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Progress for Plain<W> {
    fn event(&mut self, event: &Event) {
        let result = match event {
            Event::Vertex(vertex) => self.vertex(vertex),
            Event::Transfer(transfer) => self.transfer(transfer),
            Event::Log(log) => self.log(log),
            Event::Warning(warning) => self.warning(warning),
        };
        drop(result);
    }

    fn finish(&mut self) {
        drop(self.writer.flush());
    }
}

impl Step {
    fn new(number: usize, name: String) -> Self {
        Self {
            number,
            name,
            members: BTreeMap::new(),
            intervals: BTreeMap::new(),
            started: None,
            ended: None,
            running: true,
            lines: LineBuffer::default(),
            transfers: BTreeMap::new(),
        }
    }

    /// The last line of the step, once all of its vertices are done.
    fn ending(&self) -> Option<String> {
        if self
            .members
            .values()
            .any(|vertex| vertex.completed.is_none())
        {
            return None;
        }
        let error = self
            .members
            .values()
            .find_map(|vertex| vertex.error.as_deref());
        Some(match error {
            Some(error) if is_cancellation(error) => "CANCELED".to_owned(),
            Some(error) => format!("ERROR: {error}"),
            None if self.members.values().all(|vertex| vertex.cached) => "CACHED".to_owned(),
            None => {
                let sum = self
                    .intervals
                    .iter()
                    .filter_map(|(started, completed)| completed.duration_since(*started).ok())
                    .sum();
                format!("DONE {}", seconds(sum))
            }
        })
    }
}

impl Shown {
    fn is_worth(&self, transfer: &Transfer) -> bool {
        if transfer.completed.is_some() {
            return true;
        }
        let paused = match (self.time, transfer.time) {
            (Some(before), Some(now)) => {
                now.duration_since(before).unwrap_or_default() >= TRANSFER_PAUSE
            }
            _ => transfer.current > 0,
        };
        let step = transfer.total / 20;
        paused || step > 0 && transfer.current.saturating_sub(self.current) >= step.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::event::{Group, LogStream};

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    fn vertex(digest: &str, started: u64, completed: Option<u64>) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: format!("step {digest}"),
            started: Some(at(started)),
            completed: completed.map(at),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, time: u64, text: &'static str) -> Event {
        Event::Log(Log {
            vertex: vertex.into(),
            time: Some(at(time)),
            stream: LogStream::Stdout,
            data: text.into(),
        })
    }

    fn print(events: &[Event]) -> String {
        let mut plain = Plain::new(Vec::new());
        for event in events {
            plain.event(event);
        }
        plain.finish();
        String::from_utf8(plain.into_inner()).unwrap()
    }

    #[test]
    fn steps_are_numbered_timed_and_take_turns() {
        let text = print(&[
            Event::Vertex(Vertex {
                started: None,
                ..vertex("z", 0, None)
            }),
            Event::Vertex(vertex("a", 0, None)),
            log("a", 1204, "one\ntw"),
            Event::Vertex(vertex("b", 0, None)),
            log("b", 10, "other\n"),
            log("a", 2000, "o\n"),
            Event::Vertex(vertex("b", 0, Some(500))),
            Event::Vertex(vertex("a", 0, Some(2500))),
            Event::Vertex(vertex("a", 0, Some(2500))),
            Event::Vertex(Vertex {
                cached: true,
                ..vertex("c", 0, Some(0))
            }),
        ]);
        assert_eq!(
            text,
            "#1 step a\n#1 1.204 one\n#1 ...\n\n#2 step b\n#2 0.010 other\n#2 ...\n\n\
             #1 step a\n#1 2.000 two\n#1 ...\n\n#2 step b\n#2 DONE 0.5s\n\n\
             #1 step a\n#1 DONE 2.5s\n\n#3 step c\n#3 CACHED\n"
        );
    }

    #[test]
    fn a_title_is_one_line() {
        let text = print(&[Event::Vertex(Vertex {
            name: "set -e\n  make\n".into(),
            ..vertex("a", 0, None)
        })]);
        assert_eq!(text, "#1 set -e make\n");
    }

    #[test]
    fn an_end_is_not_printed_twice() {
        let text = print(&[
            Event::Vertex(vertex("a", 0, Some(1))),
            Event::Vertex(vertex("a", 2, None)),
            Event::Vertex(vertex("b", 2, None)),
            Event::Vertex(vertex("a", 2, Some(3))),
            Event::Vertex(vertex("b", 2, Some(1002))),
        ]);
        assert_eq!(
            text,
            "#1 step a\n#1 DONE 0.0s\n#1 ...\n\n#2 step b\n#2 DONE 1.0s\n"
        );
    }

    #[test]
    fn errors_come_after_the_last_output() {
        let text = print(&[
            Event::Vertex(vertex("a", 0, None)),
            log("a", 10, "no such file"),
            Event::Vertex(Vertex {
                error: Some("exit code: 3".into()),
                ..vertex("a", 0, Some(20))
            }),
        ]);
        assert_eq!(text, "#1 step a\n#1 no such file\n#1 ERROR: exit code: 3\n");
    }

    #[test]
    fn transfers_are_shown_when_they_move() {
        let transfer = |current, time, done: bool| {
            Event::Transfer(Transfer {
                vertex: "a".into(),
                id: "transferring context:".into(),
                current,
                total: 0,
                time: Some(at(time)),
                started: Some(at(0)),
                completed: done.then(|| at(time)),
            })
        };
        let text = print(&[
            Event::Vertex(vertex("a", 0, None)),
            transfer(0, 0, false),
            transfer(10, 100, false),
            transfer(2_000_000, 200, false),
            transfer(5_242_880, 6000, true),
            transfer(5_242_880, 6000, true),
        ]);
        assert_eq!(
            text,
            "#1 step a\n#1 transferring context: 10 B 0.1s\n\
             #1 transferring context: 5.24 MB 6.0s done\n"
        );
    }

    #[test]
    fn a_group_is_one_step() {
        let group = Some(Group {
            id: "g".into(),
            name: "install".into(),
            weak: false,
        });
        let member = |digest, completed| {
            Event::Vertex(Vertex {
                group: group.clone(),
                ..vertex(digest, 0, completed)
            })
        };
        let text = print(&[
            member("a", None),
            member("b", None),
            member("a", Some(100)),
            member("b", Some(200)),
        ]);
        assert_eq!(text, "#1 install\n#1 DONE 0.2s\n");
    }
}
