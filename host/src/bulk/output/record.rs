//! The records of a journal: text lines, of which an early answer has its bytes behind it.

use super::entry::Entry;
use crate::bulk::progress::Totals;
use crate::bulk::ranges::Ranges;

/// The state of the output after a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The requests whose lines are in the output. In a record, those since the record before.
    pub(super) done: Ranges,
    /// A number of requests from the start, and the checksum of their rows.
    pub(super) verified: (u64, u64),
    /// The lengths of the output and of the file of errors.
    pub(super) lengths: (u64, u64),
    pub(super) totals: Totals,
}

/// An answer that arrived before the answer to an earlier request. Its bytes follow the record's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Early {
    pub(super) number: u64,
    checksum: u64,
    totals: Totals,
    lines: u64,
    errors: u64,
}

/// A record of a journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Done(State),
    Early(Early),
}

impl State {
    /// Returns the record as a line.
    pub(super) fn to_line(&self) -> String {
        let [rows, failed, input, output] = self.totals.numbers();
        let ((count, checksum), (lines, errors)) = (self.verified, self.lengths);
        format!("D {count} {checksum} {lines} {errors} {rows} {failed} {input} {output} {}\n", self.done)
    }
}

impl Early {
    pub(super) fn of(entry: &Entry) -> Self {
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).expect("a length fits");
        let Entry { number, checksum, totals, lines, errors } = entry;
        Self { number: *number, checksum: *checksum, totals: *totals, lines: length(lines), errors: length(errors) }
    }

    /// Returns the record's line, which the bytes follow.
    pub(super) fn to_line(self) -> String {
        let [rows, failed, input, output] = self.totals.numbers();
        let Self { number, checksum, lines, errors, .. } = self;
        format!("E {number} {checksum} {rows} {failed} {input} {output} {lines} {errors}\n")
    }

    /// Returns the number of bytes that follow the line.
    pub(super) fn length(self) -> u64 {
        self.lines.saturating_add(self.errors)
    }

    /// Returns the answer with these bytes.
    pub(super) fn entry(self, mut bytes: Vec<u8>) -> Entry {
        let errors = bytes.split_off(usize::try_from(self.lines).unwrap_or(usize::MAX).min(bytes.len()));
        Entry { number: self.number, checksum: self.checksum, totals: self.totals, lines: bytes, errors }
    }
}

impl Record {
    /// Parses a line without its line end. Returns `None` if it is not a record.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        let mut next = || words.next()?.parse().ok();
        match kind {
            "D" => {
                let (verified, lengths) = ((next()?, next()?), (next()?, next()?));
                let totals = Totals::from_numbers([next()?, next()?, next()?, next()?]);
                let done = Ranges::parse(words.next()?)?;
                Some(Self::Done(State { done, verified, lengths, totals }))
            }
            "E" => {
                let (number, checksum) = (next()?, next()?);
                let totals = Totals::from_numbers([next()?, next()?, next()?, next()?]);
                Some(Self::Early(Early { number, checksum, totals, lines: next()?, errors: next()? }))
            }
            _ => None,
        }
    }
}
