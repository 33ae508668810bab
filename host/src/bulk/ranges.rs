//! A set of numbers, kept as ranges: small if few ranges have gaps between them.

use std::collections::BTreeMap;
use std::fmt;

/// A set of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds the numbers from `start` to `end`, without `end`.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        let (mut start, mut end) = (start, end);
        // Joins the ranges that overlap or touch the new one.
        while let Some((&first, &last)) = self.0.range(..=end).next_back().filter(|(_, last)| **last >= start) {
            (start, end) = (start.min(first), end.max(last));
            self.0.remove(&first);
        }
        if start < end {
            self.0.insert(start, end);
        }
    }

    /// Returns true if the set has the number.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| *end > number)
    }

    /// Returns the smallest number that the set does not have.
    pub(super) fn first_gap(&self) -> u64 {
        self.0.get(&0).copied().unwrap_or_default()
    }

    /// Reads the text that `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut ranges = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (start, end) = part.split_once('-')?;
            ranges.add(start.parse().ok()?, end.parse().ok()?);
        }
        Some(ranges)
    }

    /// Adds all numbers of another set.
    pub(super) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(start, end)| self.add(*start, *end));
    }
}

/// Shows the ranges, such as `0-3,7-8` for 0, 1, 2 and 7.
impl fmt::Display for Ranges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(position, (start, end))| {
            write!(formatter, "{}{start}-{end}", if position == 0 { "" } else { "," })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_joined() {
        let mut ranges = Ranges::default();
        for (start, end, shown) in [
            (5, 6, "5-6"),
            (2, 3, "2-3,5-6"),
            (3, 5, "2-6"),
            (8, 9, "2-6,8-9"),
            (8, 8, "2-6,8-9"),
            (0, 1, "0-1,2-6,8-9"),
            (1, 20, "0-20"),
        ] {
            ranges.add(start, end);
            assert_eq!(ranges.to_string(), shown);
            assert_eq!(Ranges::parse(shown), Some(ranges.clone()));
        }
        assert_eq!((ranges.first_gap(), ranges.contains(19), ranges.contains(20)), (20, true, false));
        assert_eq!(Ranges::default().first_gap(), 0);
        assert_eq!(Ranges::parse("1-x"), None);
    }
}
