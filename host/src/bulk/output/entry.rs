//! The lines of one request in the output and in the file of errors.

use serde_json::json;

use crate::Usage;
use crate::bulk::answer::BulkAnswer;
use crate::bulk::progress::Totals;

/// The order of the lines in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the rows in the input. A line is the answer to the row, or `null` if the row has failed.
    Input,
    /// The order in which the answers arrive. A line is an object with the `line` of the row in the input and its `answer`.
    Arrival,
}

/// The lines of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) checksum: u64,
    pub(super) totals: Totals,
    pub(super) lines: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

impl Entry {
    pub(super) fn new(answer: &BulkAnswer, order: Order) -> Self {
        let request = &answer.job.request;
        let (mut lines, mut errors) = (Vec::new(), Vec::new());
        let mut totals = Totals { usage: answer.usage(), ..Totals::default() };
        for (line, result) in answer.results() {
            totals.rows += 1;
            let text = result.unwrap_or(b"null");
            if order == Order::Arrival {
                lines.extend_from_slice(format!("{{\"line\":{line},\"answer\":").as_bytes());
            }
            lines.extend_from_slice(text);
            lines.extend_from_slice(if order == Order::Arrival { b"}\n" } else { b"\n" });
            if let Err(error) = result {
                totals.failed += 1;
                errors.extend_from_slice(json!({ "line": line, "error": error }).to_string().as_bytes());
                errors.push(b'\n');
            }
        }
        Self { number: request.number, checksum: request.checksum, totals, lines, errors }
    }
}

impl Totals {
    /// Returns the numbers in the order in which a journal has them.
    pub(super) fn numbers(&self) -> [u64; 4] {
        [self.rows, self.failed, self.usage.input_tokens, self.usage.output_tokens]
    }

    pub(super) fn from_numbers([rows, failed, input_tokens, output_tokens]: [u64; 4]) -> Self {
        Self { rows, failed, usage: Usage { input_tokens, output_tokens } }
    }
}
