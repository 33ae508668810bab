//! The result of each case, and the conclusion from all of them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::rerun::Rerun;
use crate::case::{Case, Level};

/// The report of all cases.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The path of the plugin's file.
    pub plugin: PathBuf,
    /// The plugin's name, or `None` if its manifest cannot be read.
    pub name: Option<String>,
    /// The plugin's version, or `None` if its manifest cannot be read.
    pub version: Option<String>,
    /// True if the plugin ran in a separate process, like an isolated plugin of a host.
    pub isolated: bool,
    /// The seed of the generated inputs.
    pub seed: u64,
    /// The options that the rerun command of a case repeats.
    pub(crate) rerun: Rerun,
    /// The duration of the whole run.
    pub took: Duration,
    /// The result of each case.
    pub results: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaseResult {
    /// The name of the case.
    pub id: &'static str,
    /// The id of the clause of the contract that the case checks.
    pub clause: &'static str,
    /// The level of the requirement.
    pub level: Level,
    /// The behaviour of a plugin that passes, in one sentence.
    pub summary: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason for the verdict, or an empty string if the case passed.
    pub message: String,
    /// True if the plugin violated nothing, but the calls that the case needs did not succeed. The verdict is then a
    /// skip, or a failure if [`Options::strict`](crate::Options) is set.
    pub unproven: bool,
    /// The name of the signal that killed the process of the plugin, such as `SIGSEGV`, or `None` if no signal did.
    pub signal: Option<String>,
    /// The last steps of the case, oldest first. Empty if the case passed.
    pub log: Vec<String>,
    /// The duration of the case.
    pub took: Duration,
}

/// The verdict of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The plugin keeps the clause.
    Pass,
    /// There was nothing to check. A skip does not count against the plugin.
    Skip,
    /// The plugin keeps the clause, with a remark, or fails a recommendation.
    Warn,
    /// The plugin violates the clause.
    Fail,
    /// The harness itself failed. A fault does not count against the plugin.
    Fault,
}

impl Verdict {
    /// Returns the lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Fault => "fault",
        }
    }

    /// Returns true if cases that depend on a case with this verdict cannot run.
    pub(crate) fn stops(self) -> bool {
        matches!(self, Self::Fail | Self::Fault)
    }
}

impl CaseResult {
    pub(crate) fn new(case: &Case, verdict: Verdict, message: String) -> Self {
        Self {
            id: case.id,
            clause: case.clause,
            level: case.level,
            summary: case.summary,
            verdict,
            message,
            unproven: false,
            signal: None,
            log: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

impl Report {
    /// Returns the number of cases with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Returns the number of cases that are unproven.
    pub fn unproven(&self) -> usize {
        self.results.iter().filter(|result| result.unproven).count()
    }

    /// Returns 0 if the plugin is conformant, 1 if it is not, and 2 if the check could not be completed.
    pub fn exit_code(&self) -> u8 {
        match (self.count(Verdict::Fail), self.count(Verdict::Fault)) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }

    /// Returns the plugin's name, version and file in one line.
    pub(super) fn title(&self) -> String {
        let title = match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version} ({})", self.plugin.display()),
            _ => self.plugin.display().to_string(),
        };
        if self.isolated { format!("{title}, isolated") } else { title }
    }

    /// Returns the name of the mode in which the plugin ran: in process or isolated.
    pub(super) fn mode(&self) -> &'static str {
        if self.isolated { "isolated" } else { "loaded" }
    }

    /// Returns the overall verdict, in one sentence.
    pub(super) fn conclusion(&self) -> String {
        let some = |count: usize, word: &str| if count == 0 { String::new() } else { format!(", {count} {word}") };
        let count = |verdict: Verdict, word: &str| some(self.count(verdict), word);
        let is_skipped = |result: &&CaseResult| result.verdict == Verdict::Skip && !result.unproven;
        let skipped = self.results.iter().filter(is_skipped).count();
        let conclusion = match self.exit_code() {
            0 => "conformant",
            1 => "not conformant",
            _ => "could not be checked",
        };
        format!(
            "{conclusion}: {} passed{}{}{}{}{} of {}",
            self.count(Verdict::Pass),
            count(Verdict::Fail, "failed"),
            count(Verdict::Warn, "with warnings"),
            some(self.count(Verdict::Skip) - skipped, "not proven"),
            some(skipped, "skipped"),
            count(Verdict::Fault, "not run"),
            self.results.len(),
        )
    }

    /// Returns the command that runs one case again, with the same options and the same seed.
    pub(super) fn rerun_command(&self, result: &CaseResult) -> String {
        self.rerun.command(&self.plugin, self.isolated, result.id, self.seed)
    }
}
