#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod bench;
mod case;
mod cases;
mod child;
pub mod config;
mod contract;
mod isolated;
mod mark;
pub mod report;
mod run;
mod samples;
mod sandbox;
mod semantics;
mod suite;
mod untrusted;

pub use case::{Case, Level};
pub use config::Config;
pub use contract::{Clause, clauses};
pub use report::{Report, Result, Verdict};
pub use run::{Fault, Options, run};
pub use suite::{Suite, suite};

/// What a process that was started for one case does: it runs the case and tells, and then waits to be ended.
///
/// A program that calls [`run()`] calls this first, with nothing done before: the children are that program, started again.
/// It returns in a process that was not started for a case; and, with `true`, after a case that is about the end of a
/// process, which is then to end.
#[must_use = "a process that was started for a case has nothing else to do"]
pub fn child() -> bool {
    child::run_if_asked()
}
