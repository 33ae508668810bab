//! The formats in which a report can be written.

use super::{json, junit, markdown, text};
use crate::report::outcome::Report;

/// A format in which a report can be written.
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
    /// Writes the report as text in the given format. Returns the text.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Text => text::write(self),
            Format::Json => json::write(self),
            Format::Junit => junit::write(self),
            Format::Markdown => markdown::write(self),
        }
    }
}
