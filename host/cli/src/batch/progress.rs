//! The progress of `predict-batch` on a terminal.

use std::time::{Duration, Instant};

use mlflow_deploy::bulk::{BulkAnswer, BulkLoad};

use super::summary::{Summary, rows_in_a_second};
use crate::report::Stderr;

/// The time between two changes of the progress bar.
const INTERVAL: Duration = Duration::from_millis(200);

/// The time over which the number of rows in a second is measured.
const RATE_INTERVAL: Duration = Duration::from_secs(2);

/// The shortest pause that is shown.
const MIN_PAUSE: Duration = Duration::from_millis(500);

/// The progress of a run: a bar on a terminal, and a message about each pause.
pub(super) struct Progress {
    stderr: Stderr,
    shown: Option<Instant>,
    /// The rows at the start of the current interval, and the rate in the interval before.
    measured: (Instant, u64),
    rate: f64,
    input_bytes: u64,
    is_paused: bool,
}

impl Progress {
    /// Starts the bar. `size` is the size of the input in bytes.
    pub(super) fn start(size: Option<u64>, stderr: Stderr, may_draw: bool) -> Self {
        if may_draw {
            stderr.show_bar(size);
        } else {
            stderr.hide_spinner();
        }
        let measured = (Instant::now(), 0);
        Self { stderr, shown: None, measured, rate: 0.0, input_bytes: 0, is_paused: false }
    }

    /// Shows the state after these answers.
    pub(super) fn update(&mut self, answers: &[BulkAnswer], summary: &Summary, load: BulkLoad) {
        let bytes = answers.iter().map(BulkAnswer::input_bytes).max().unwrap_or_default();
        self.input_bytes = self.input_bytes.max(bytes);
        let pause = load.pause.filter(|pause| *pause >= MIN_PAUSE);
        if let (Some(pause), false) = (pause, self.is_paused) {
            self.stderr.info(&format!("the target asks to wait {:.1} s: all requests wait", pause.as_secs_f64()));
        }
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now >= shown + INTERVAL) || pause.is_some() != self.is_paused;
        self.is_paused = pause.is_some();
        if !is_due {
            return;
        }
        let (since, rows) = self.measured;
        let elapsed = now.saturating_duration_since(since);
        let rate = rows_in_a_second(summary.rows - rows, elapsed);
        if elapsed >= RATE_INTERVAL {
            (self.measured, self.rate) = ((now, summary.rows), rate);
        }
        let mut parts = vec![format!("{} rows", summary.rows)];
        parts.push(format!("{:.0} rows/s", if self.rate > 0.0 { self.rate } else { rate }));
        parts.push(format!("{} failed", summary.failed));
        if summary.usage.total_tokens() > 0 {
            parts.push(format!("{} tokens", summary.usage.total_tokens()));
        }
        match pause {
            Some(pause) => parts.push(format!("waits {:.0} s, as the target asks", pause.as_secs_f64())),
            None => parts.push(format!("{} in flight", load.in_flight)),
        }
        self.stderr.set_bar(self.input_bytes, parts.join(", "), self.shown.is_none());
        self.shown = Some(now);
    }
}
