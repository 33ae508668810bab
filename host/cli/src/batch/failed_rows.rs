//! Shows the first failed rows on stderr, unless a file records them all.

use mlflow_deploy::bulk::BulkAnswer;

use crate::report::Stderr;

/// The number of failed rows that are shown.
const MAX_SHOWN: u32 = 10;

/// Shows the first failed rows on stderr.
pub(super) struct FailedRows {
    left: u32,
    stderr: Stderr,
}

impl FailedRows {
    /// `is_recorded` is true if a file records the failed rows.
    pub(super) fn new(is_recorded: bool, stderr: Stderr) -> Self {
        Self { left: if is_recorded { 0 } else { MAX_SHOWN }, stderr }
    }

    /// Shows the failed rows of a request.
    pub(super) fn show(&mut self, answer: &BulkAnswer) {
        for (line, error) in answer.results().filter_map(|(line, result)| Some((line, result.err()?))) {
            if self.left == 0 {
                return;
            }
            self.stderr.warning(&format!("line {line} failed: {error}"));
            self.left -= 1;
            if self.left == 0 {
                self.stderr.warning("later failed rows are not shown: `--errors FILE` records all of them");
            }
        }
    }
}
