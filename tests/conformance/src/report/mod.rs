//! The report of a conformance run. It has one result for each case, and can be written in four formats.

mod format;
mod json;
mod junit;
mod markdown;
mod outcome;
mod rerun;
mod text;

pub use format::Format;
pub use markdown::list as list_as_markdown;
pub use outcome::{CaseResult, Report, Verdict};
pub(crate) use rerun::Rerun;
pub use text::list as list_as_text;
