//! The built command and the built libraries, end to end: one binary, so that they are built once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod boundary;
mod checklist;
mod clients;
mod command;
mod conformance;
mod databricks;
mod discovery;
mod interrupts;
mod local;
mod manners;
mod openai;
mod peers;
mod python;
mod recordings;
mod secrets;
mod streams;
mod tidy;
mod transcripts;
