#![doc = include_str!("../CONTRACT.md")]
//!
//! The conformance harness compares [`TEXT`] to its cases.

/// The contract, clause by clause, in Markdown: `- **clause**: sentence (cases)`.
pub const TEXT: &str = include_str!("../CONTRACT.md");
