//! The summary of `predict-batch`: rows, requests, latencies and usage.

use std::time::{Duration, Instant};

use mlflow_deploy::Usage;
use mlflow_deploy::bulk::{BulkAnswer, Latencies, Totals};
use serde_json::json;

use crate::report::Stderr;

/// The numbers of this run, without those of the run that it resumes.
pub(super) struct Summary {
    pub(super) rows: u64,
    pub(super) failed: u64,
    pub(super) usage: Usage,
    requests: u64,
    /// The requests that were sent again.
    repeated: u64,
    latencies: Latencies,
    started: Instant,
    before: Totals,
}

impl Summary {
    /// `before` has the totals of the run that is resumed.
    pub(super) fn new(before: Totals) -> Self {
        Self {
            rows: 0,
            failed: 0,
            usage: Usage::default(),
            requests: 0,
            repeated: 0,
            latencies: Latencies::default(),
            started: Instant::now(),
            before,
        }
    }

    pub(super) fn add(&mut self, answer: &BulkAnswer) {
        for (_, result) in answer.results() {
            self.rows += 1;
            self.failed += u64::from(result.is_err());
        }
        self.usage += answer.usage();
        self.requests += u64::from(answer.requests());
        self.repeated += u64::from(answer.requests().saturating_sub(1));
        if answer.requests() > 0 {
            self.latencies.add(answer.latency());
        }
    }

    /// Prints the summary, unless `--quiet` is given. `totals` has the rows of the output.
    pub(super) fn print(&self, totals: Totals, stderr: &Stderr) {
        let elapsed = self.started.elapsed();
        let rate = rows_in_a_second(self.rows, elapsed);
        let [median, p90, p99] = [50.0, 90.0, 99.0].map(|percent| milliseconds(self.latencies.percentile(percent)));
        let max = milliseconds(self.latencies.max());
        if stderr.is_json() {
            return stderr.json_note(&json!({ "summary": {
                "rows": totals.rows,
                "failed": totals.failed,
                "resumed_rows": self.before.rows,
                "requests": self.requests,
                "repeated_requests": self.repeated,
                "seconds": elapsed.as_secs_f64(),
                "rows_per_second": rate,
                "latency_ms": { "p50": median, "p90": p90, "p99": p99, "max": max },
                "usage": {
                    "input_tokens": totals.usage.input_tokens,
                    "output_tokens": totals.usage.output_tokens,
                    "total_tokens": totals.usage.total_tokens(),
                },
            }}));
        }
        let resumed = match self.before.rows {
            0 => String::new(),
            rows => format!(", of which {rows} before the run was resumed"),
        };
        let seconds = elapsed.as_secs_f64();
        stderr.note(&format!("{} rows, {} failed{resumed}", totals.rows, totals.failed));
        stderr.note(&format!(
            "{} requests ({} repeated) in {seconds:.1} s, {rate:.1} rows/s",
            self.requests, self.repeated
        ));
        if self.latencies.count() > 0 {
            stderr.note(&format!("latency: median {median} ms, 90 % {p90} ms, 99 % {p99} ms, max {max} ms"));
        }
        if totals.usage.total_tokens() > 0 {
            stderr.note(&format!("usage: {}", totals.usage));
        }
    }
}

/// Returns the number of rows in a second.
pub(super) fn rows_in_a_second(rows: u64, elapsed: Duration) -> f64 {
    rows as f64 / elapsed.as_secs_f64().max(1e-6)
}

/// Returns a duration in milliseconds with one decimal.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
