#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod cargo_build;
mod case;
mod case_process;
mod cases;
mod child;
pub mod config;
mod contract;
mod harness;
mod isolated;
mod marker;
mod message;
mod needs_config;
mod processor;
mod proof;
pub mod report;
mod resource;
mod run;
mod samples;
mod secrets;
mod suite;
mod untrusted;
mod verdict;

pub use case::{Case, Level};
pub use config::Config;
pub use contract::{Clause, clauses};
pub use report::{CaseResult, Report, Verdict};
pub use run::{Options, RunError, run};
pub use suite::{Suite, suite, suite_of};

/// Runs a conformance case if the harness started this process to run one. Reports the result, and then waits until the
/// harness kills the process.
///
/// [`run()`] starts the running program again for each case. Therefore the program has to call this function before
/// anything else. Returns false if the process was not started to run a case. Returns true if the case checks the exit
/// of its process. The program then has to exit.
#[must_use = "a process that was started for a case has nothing else to do"]
pub fn child() -> bool {
    child::run_if_requested()
}
