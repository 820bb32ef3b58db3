//! Progress as rows of a terminal.
//!
//! [`Layout`] turns a [`Board`] into the lines of one moment. It knows neither the clock nor the
//! terminal, so that tests can look at what people see.

use std::time::{Duration, SystemTime};

use super::board::{Board, Row, RowState};
use super::format::{clock, size};
use super::text::{Line, Style, clean, fit};

/// Columns of a transfer's bar.
const BAR: usize = 24;
const FRAME: Duration = Duration::from_millis(100);

/// The place there is, and the signs that can be shown there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) columns: usize,
    /// Lines that can be drawn again.
    pub(super) lines: usize,
    /// Lines of output and transfers shown of each running row.
    pub(super) details: usize,
    pub(super) signs: &'static Signs,
}

/// The signs of a terminal.
#[derive(Debug)]
pub(super) struct Signs {
    spinner: &'static [&'static str],
    done: &'static str,
    failed: &'static str,
    canceled: &'static str,
    warning: &'static str,
    gutter: &'static str,
    bar: [&'static str; 2],
    dot: &'static str,
    more: &'static str,
    cut: &'static str,
}

/// For terminals with a font.
pub(super) const UNICODE: Signs = Signs {
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
    done: "✔",
    failed: "✘",
    canceled: "■",
    warning: "▲",
    gutter: "│",
    bar: ["━", "─"],
    dot: "·",
    more: "⋯",
    cut: "…",
};

/// For the console of a kernel, whose font has few signs.
pub(super) const ASCII: Signs = Signs {
    spinner: &["|", "/", "-", "\\"],
    done: "+",
    failed: "x",
    canceled: "-",
    warning: "!",
    gutter: "|",
    bar: ["#", "."],
    dot: "-",
    more: "...",
    cut: "~",
};

/// How a build stands as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    Running,
    /// Nothing more comes.
    Over,
}

impl Layout {
    /// The lines of one moment: a headline, then rows, as many as there is place for. What does not
    /// fit is left out where it matters least: finished rows first, then output.
    pub(super) fn frame(&self, board: &Board, elapsed: Duration, now: SystemTime) -> Vec<Line> {
        let rows = board.started();
        let place = self.lines.saturating_sub(1);
        let is_open = |row: &&Row| matches!(row.state(), RowState::Running | RowState::Failed);
        let open = rows.iter().filter(|row| is_open(row)).count();
        let mut finished = rows.len() - open;
        let details: Vec<_> = rows.iter().map(|row| self.details(row, now)).collect();
        let mut most = self.details;
        let height =
            |most: usize| -> usize { details.iter().map(|lines| lines.len().min(most)).sum() };
        // One line says what was left out.
        let left_out = |finished: usize| usize::from(finished < rows.len() - open);
        while finished > 0 && open + finished + height(most) + left_out(finished) > place {
            finished -= 1;
        }
        while most > 0 && open + height(most) + left_out(finished) > place {
            most -= 1;
        }
        let mut skipped = rows.len() - open - finished;
        let mut frame = vec![self.headline(board, elapsed, Standing::Running)];
        if skipped > 0 && place > open {
            let text = format!(" {} {skipped} finished above", self.signs.more);
            frame.push(Line::default().with(Style::Dim, text));
        }
        for (row, details) in rows.iter().zip(details) {
            if !is_open(row) && skipped > 0 {
                skipped -= 1;
                continue;
            }
            frame.push(self.row(row, now));
            let first = details.len() - details.len().min(most);
            frame.extend(details.into_iter().skip(first));
        }
        let rest = frame.len().saturating_sub(self.lines);
        if rest > 0 {
            frame.truncate(self.lines.saturating_sub(1).max(1));
            let text = format!(" {} {} more running", self.signs.more, rest + 1);
            frame.push(Line::default().with(Style::Dim, text));
        }
        frame
    }

    /// What stays on the screen: the headline, every row, and the warnings.
    pub(super) fn last(&self, board: &Board, elapsed: Duration, now: SystemTime) -> Vec<Line> {
        let mut lines = vec![self.headline(board, elapsed, Standing::Over)];
        lines.extend(board.started().into_iter().map(|row| self.row(row, now)));
        for warning in &board.warnings {
            let columns = self.columns.saturating_sub(4);
            let text = self.fit(&clean(&warning.short), columns);
            let sign = format!(" {} ", self.signs.warning);
            lines.push(
                Line::default()
                    .with(Style::Warn, sign)
                    .with(Style::Plain, text),
            );
            let details = warning.detail.iter().chain([&warning.url]);
            for detail in details.filter(|detail| !detail.is_empty()) {
                let text = format!("   {}", self.fit(&clean(detail), columns));
                lines.push(Line::default().with(Style::Dim, text));
            }
        }
        lines
    }

    fn headline(&self, board: &Board, elapsed: Duration, standing: Standing) -> Line {
        let [failed, canceled, cached, done, running] = [
            RowState::Failed,
            RowState::Canceled,
            RowState::Cached,
            RowState::Done,
            RowState::Running,
        ]
        .map(|state| board.count(state));
        let time = clock(elapsed);
        let (style, words) = match standing {
            Standing::Running if failed > 0 => (Style::Bad, format!("Failing {time}")),
            Standing::Running => (Style::Run, format!("Building {time}")),
            Standing::Over if failed > 0 => (Style::Bad, format!("Failed after {time}")),
            Standing::Over if canceled + running > 0 => {
                (Style::Warn, format!("Stopped after {time}"))
            }
            Standing::Over => (Style::Good, format!("Built in {time}")),
        };
        let finished = done + cached;
        let mut parts = vec![match standing {
            Standing::Running => format!("{finished}/{} steps", board.total()),
            Standing::Over => format!("{finished} step{}", if finished == 1 { "" } else { "s" }),
        }];
        for (count, what) in [
            (cached, "cached"),
            (failed, "failed"),
            (board.warnings.len(), "warnings"),
        ] {
            if count > 0 {
                parts.push(match (what, count) {
                    ("warnings", 1) => "1 warning".to_owned(),
                    _ => format!("{count} {what}"),
                });
            }
        }
        let rest = parts.join(&format!(" {} ", self.signs.dot));
        let rest = self.fit(&rest, self.columns.saturating_sub(words.len() + 3));
        Line::default()
            .with(style, words)
            .with(Style::Plain, "  ")
            .with(Style::Dim, rest)
    }

    fn row(&self, row: &Row, now: SystemTime) -> Line {
        let worked = row.worked(now);
        let (sign_style, sign, name_style, end_style, end) = match row.state() {
            RowState::Running | RowState::Waiting => {
                let turn = worked.as_millis() / FRAME.as_millis();
                let spinner = self.signs.spinner;
                let turn = usize::try_from(turn).unwrap_or(0) % spinner.len();
                (
                    Style::Run,
                    spinner[turn],
                    Style::Strong,
                    Style::Run,
                    clock(worked),
                )
            }
            RowState::Done => (
                Style::Good,
                self.signs.done,
                Style::Plain,
                Style::Dim,
                clock(worked),
            ),
            RowState::Cached => (
                Style::Good,
                self.signs.done,
                Style::Dim,
                Style::Dim,
                "cached".to_owned(),
            ),
            RowState::Canceled => (
                Style::Warn,
                self.signs.canceled,
                Style::Dim,
                Style::Warn,
                "canceled".to_owned(),
            ),
            RowState::Failed => (
                Style::Bad,
                self.signs.failed,
                Style::Strong,
                Style::Bad,
                clock(worked),
            ),
        };
        let name = self.fit(
            &clean(&row.name),
            self.columns.saturating_sub(6 + end.len()),
        );
        Line::default()
            .with(Style::Plain, " ")
            .with(sign_style, sign)
            .with(Style::Plain, " ")
            .with(name_style, name)
            .right(self.columns, end_style, &end)
    }

    /// What a running row is at: transfers that are on their way, then the last output. Of one that failed, what it
    /// said last.
    fn details(&self, row: &Row, now: SystemTime) -> Vec<Line> {
        let state = row.state();
        if !matches!(state, RowState::Running | RowState::Failed) {
            return Vec::new();
        }
        let is_open = |completed: Option<_>| completed.is_none() && state == RowState::Running;
        let open = row.transfers.iter().filter(|one| is_open(one.completed));
        let mut transfers: Vec<_> = open.collect();
        let many = transfers.len().saturating_sub(self.details);
        // Those that move are worth more than those that wait for their turn.
        transfers.sort_by_key(|transfer| transfer.current == 0);
        transfers.truncate(self.details);
        let mut lines: Vec<_> = transfers
            .iter()
            .map(|transfer| {
                let columns = self.columns.saturating_sub(5);
                let mut amount = match (transfer.current, transfer.total) {
                    (0, 0) => String::new(),
                    (current, 0) => size(current),
                    (current, total) => format!("{} / {}", size(current), size(total)),
                };
                let taken = transfer
                    .started
                    .and_then(|start| now.duration_since(start).ok());
                if amount.is_empty() {
                    amount = taken.map(clock).unwrap_or_default();
                }
                let has_bar = transfer.total > 0 && columns >= BAR + amount.len() + 18;
                let place = if has_bar { columns - BAR - 2 } else { columns };
                let id = self.fit(&clean(&transfer.id), place.saturating_sub(amount.len() + 2));
                let mut line = self.gutter().with(Style::Plain, id);
                if has_bar {
                    let part = u128::from(transfer.current.min(transfer.total)) * BAR as u128;
                    let part = usize::try_from(part / u128::from(transfer.total)).unwrap_or(0);
                    let rest = columns - BAR - amount.len() - 2 + 5;
                    line = line.right(rest, Style::Plain, "");
                    line.push(Style::Run, self.signs.bar[0].repeat(part));
                    line.push(Style::Dim, self.signs.bar[1].repeat(BAR - part));
                }
                line.right(self.columns, Style::Dim, &amount)
            })
            .collect();
        if many > 0 {
            let text = format!("{} {many} more transfers", self.signs.more);
            lines.push(self.gutter().with(Style::Dim, text));
        }
        let output = row.output.lines();
        let output = output.iter().filter(|line| !line.trim().is_empty());
        lines.extend(output.map(|line| {
            let text = self.fit(&clean(line), self.columns.saturating_sub(5));
            self.gutter().with(Style::Dim, text)
        }));
        let first = lines.len().saturating_sub(self.details);
        lines.split_off(first)
    }

    fn fit(&self, text: &str, columns: usize) -> String {
        fit(text, columns, self.signs.cut)
    }

    fn gutter(&self) -> Line {
        Line::default().with(Style::Dim, format!("   {} ", self.signs.gutter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Event, Group, Log, LogStream, Transfer, Vertex, Warning};

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    fn vertex(name: &str, started: u64, completed: Option<u64>) -> Vertex {
        Vertex {
            digest: name.into(),
            name: name.into(),
            started: Some(at(started)),
            completed: completed.map(at),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, text: &'static str) -> Event {
        Event::Log(Log {
            vertex: vertex.into(),
            time: None,
            stream: LogStream::Stdout,
            data: text.into(),
        })
    }

    fn transfer(id: &str, current: u64, total: u64) -> Event {
        Event::Transfer(Transfer {
            vertex: "pull debian".into(),
            id: id.into(),
            current,
            total,
            started: Some(at(0)),
            ..Transfer::default()
        })
    }

    fn build() -> Board {
        let mut board = Board::new(6);
        for event in [
            Event::Vertex(Vertex {
                cached: true,
                ..vertex("copy requirements.txt", 0, Some(0))
            }),
            Event::Vertex(vertex("load context", 0, Some(1200))),
            Event::Vertex(vertex("pull debian", 0, None)),
            transfer("sha256:2af6e25f97236ecd", 5_242_880, 10_485_760),
            transfer("resolving", 0, 0),
            Event::Vertex(vertex("pip install torch\n  numpy", 800, None)),
            log(
                "pip install torch\n  numpy",
                "Collecting torch\n\n\x1b[32mDownloading\x1b[0m 10%\r",
            ),
            log("pip install torch\n  numpy", "Downloading 50%"),
            Event::Vertex(Vertex {
                started: None,
                ..vertex("make", 0, None)
            }),
        ] {
            board.take(&event);
        }
        board
    }

    fn layout(columns: usize, lines: usize) -> Layout {
        Layout {
            columns,
            lines,
            details: 6,
            signs: &UNICODE,
        }
    }

    fn text(lines: &[Line]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.render(false)).collect();
        lines.join("\n")
    }

    const ELAPSED: Duration = Duration::from_millis(12_400);

    #[test]
    fn a_frame_shows_rows_transfers_and_output() {
        let frame = layout(72, 24).frame(&build(), ELAPSED, at(12_400));
        insta::assert_snapshot!(text(&frame), @"
        Building 12.4s  2/5 steps · 1 cached
         ✔ copy requirements.txt                                          cached
         ✔ load context                                                     1.2s
         ⠼ pull debian                                                     12.4s
           │ sha256:2af6e25f97236…  ━━━━━━━━━━━━────────────  5.24 MB / 10.49 MB
           │ resolving                                                     12.4s
         ⠦ pip install torch numpy                                         11.6s
           │ Collecting torch
           │ Downloading 50%
        ");
        assert!(frame.iter().all(|line| line.width() <= 72));
    }

    #[test]
    fn a_group_is_one_row_and_times_stand_at_the_edge_of_every_width() {
        let mut board = build();
        for wheel in ["wheel one", "wheel two"] {
            let group = Group {
                id: "wheels".into(),
                name: "install 41 wheels in a layer of their own, without the network".into(),
                weak: false,
            };
            board.take(&Event::Vertex(Vertex {
                group: Some(group),
                ..vertex(wheel, 800, None)
            }));
        }
        board.take(&log(
            "wheel one",
            "unpacking 日本語.whl, which has a name that is long\n",
        ));
        board.take(&log("wheel two", "unpacking b.whl\n"));
        for columns in [59, 72, 120] {
            let frame = layout(columns, 24).frame(&board, ELAPSED, at(12_400));
            let shown = text(&frame);
            assert_eq!(shown.matches("install 41 wheels in a layer").count(), 1);
            assert!(!shown.contains("wheel one"), "{shown}");
            assert!(shown.contains("│ unpacking b.whl"), "{shown}");
            for line in &frame[1..] {
                let is_detail = line.render(false).starts_with("   │ ");
                assert!(line.width() <= columns, "{columns}:\n{shown}");
                assert!(is_detail || line.width() == columns, "{columns}:\n{shown}");
            }
        }
    }

    #[test]
    fn a_small_terminal_shows_what_runs() {
        let board = build();
        for lines in 1..10 {
            let frame = layout(72, lines).frame(&board, ELAPSED, at(12_400));
            assert!(frame.len() <= lines.max(2), "{lines}:\n{}", text(&frame));
        }
        let frame = layout(40, 6).frame(&board, ELAPSED, at(12_400));
        insta::assert_snapshot!(text(&frame), @"
        Building 12.4s  2/5 steps · 1 cached
         ⋯ 2 finished above
         ⠼ pull debian                     12.4s
           │ resolving                     12.4s
         ⠦ pip install torch numpy         11.6s
           │ Downloading 50%
        ");
        for columns in 0..40 {
            let frame = layout(columns, 24).frame(&board, ELAPSED, at(12_400));
            let widest = frame.iter().map(Line::width).max();
            assert!(
                widest <= Some(columns.max(24)),
                "{columns}:\n{}",
                text(&frame)
            );
        }
    }

    #[test]
    fn a_failed_row_shows_what_it_said_while_others_run() {
        let mut board = build();
        board.take(&Event::Vertex(Vertex {
            error: Some("exit code: 1".to_owned()),
            ..vertex("pip install torch\n  numpy", 800, Some(75_000))
        }));
        let frame = layout(72, 24).frame(&board, ELAPSED, at(75_000));
        let frame = text(&frame);
        let row = frame.split(" ✘ pip install").nth(1).unwrap();
        assert!(
            row.ends_with("│ Collecting torch\n   │ Downloading 50%"),
            "{frame}"
        );
    }

    #[test]
    fn what_stays_says_how_it_ended() {
        let mut board = build();
        let failed = Some("process did not complete: exit code: 1".to_owned());
        board.take(&Event::Vertex(Vertex {
            error: failed,
            ..vertex("pip install torch\n  numpy", 800, Some(75_000))
        }));
        board.take(&Event::Vertex(Vertex {
            error: Some("context canceled".into()),
            ..vertex("pull debian", 0, Some(75_000))
        }));
        board.take(&Event::Warning(Warning {
            short: "MaintainerDeprecated: use a label".into(),
            url: "https://docs.docker.com/go/x".into(),
            ..Warning::default()
        }));
        let last = layout(72, 4).last(&board, Duration::from_secs(75), at(80_000));
        insta::assert_snapshot!(text(&last), @"
        Failed after 1m 15s  2 steps · 1 cached · 1 failed · 1 warning
         ✔ copy requirements.txt                                          cached
         ✔ load context                                                     1.2s
         ■ pull debian                                                  canceled
         ✘ pip install torch numpy                                        1m 14s
         ▲ MaintainerDeprecated: use a label
           https://docs.docker.com/go/x
        ");
    }

    #[test]
    fn a_console_without_a_font_gets_letters() {
        let layout = Layout {
            signs: &ASCII,
            ..layout(72, 24)
        };
        let frame = text(&layout.frame(&build(), ELAPSED, at(12_400)));
        assert!(frame.is_ascii(), "{frame}");
    }
}
