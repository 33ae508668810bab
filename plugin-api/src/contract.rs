#![doc = include_str!("../CONTRACT.md")]
//!
//! This is [`TEXT`], for the harness, which holds it equal to its cases.

/// The contract, clause by clause, in Markdown: `- **clause**: sentence (cases)`.
pub const TEXT: &str = include_str!("../CONTRACT.md");
