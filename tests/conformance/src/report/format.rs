//! The formats of a report.

use super::{json, junit, markdown, text};
use crate::report::outcome::Report;

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Plain text.
    #[default]
    Text,
    /// A JSON document.
    Json,
    /// JUnit XML, for CI systems.
    Junit,
    /// A Markdown table, for a README or a pull request.
    Markdown,
}

impl Report {
    /// Returns the text of the report in the given format.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Text => text::write(self),
            Format::Json => json::write(self),
            Format::Junit => junit::write(self),
            Format::Markdown => markdown::write(self),
        }
    }
}
