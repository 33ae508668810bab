#![doc = include_str!("../CONTRACT.md")]
//!
//! The conformance harness checks that [`TEXT`] names the same test cases as the harness has.

/// The contract between hosts and plugins, in Markdown. Each clause has the form `- **clause**: sentence (cases)`.
pub const TEXT: &str = include_str!("../CONTRACT.md");
