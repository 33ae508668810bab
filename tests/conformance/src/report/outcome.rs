//! The results of all cases in a run, and the conclusion from them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::rerun::Rerun;
use crate::case::{Case, Level};

/// The report of a conformance run, with the result of each case.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The path of the plugin's library.
    pub plugin: PathBuf,
    /// The name of the plugin, or `None` if its manifest cannot be read.
    pub name: Option<String>,
    /// The version of the plugin, or `None` if its manifest cannot be read.
    pub version: Option<String>,
    /// True if the plugin ran in a separate process, as an isolated plugin does in a host.
    pub isolated: bool,
    /// The seed of the random inputs.
    pub seed: u64,
    /// The options to repeat in the command that runs one case again.
    pub(crate) rerun: Rerun,
    /// The duration of the whole run.
    pub took: Duration,
    /// The result of each case.
    pub results: Vec<CaseResult>,
}

/// The result of one conformance case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaseResult {
    /// The name of the case.
    pub id: &'static str,
    /// The id of the clause in the plugin contract that the case checks.
    pub clause: &'static str,
    /// The level of the clause: a requirement or a recommendation.
    pub level: Level,
    /// The behaviour of a plugin that passes, in one sentence.
    pub summary: &'static str,
    /// The verdict on the plugin.
    pub verdict: Verdict,
    /// The reason for the verdict, or an empty string if the case passed.
    pub message: String,
    /// True if the plugin did not violate the contract, but the calls that the case needs did not succeed. The verdict
    /// is then [`Verdict::Skip`], or [`Verdict::Fail`] if [`Options::strict`](crate::Options) is set.
    pub unproven: bool,
    /// The name of the signal that killed the plugin's process, such as `SIGSEGV`. `None` if it was not killed by a
    /// signal.
    pub signal: Option<String>,
    /// The last steps of the case, oldest first. The list is empty if the case passed.
    pub log: Vec<String>,
    /// The duration of the case.
    pub took: Duration,
}

/// The verdict of a conformance case on a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The plugin complies with the clause that the case checks.
    Pass,
    /// There was nothing to check, or the calls that the case needs did not succeed. A skipped case does not count
    /// against the plugin.
    Skip,
    /// The plugin complies with the clause but should be improved, or it does not follow a recommendation.
    Warn,
    /// The plugin violates the clause that the case checks.
    Fail,
    /// The case did not run to its end, because the harness or the system failed, or because the plugin needs a config.
    /// This does not count against the plugin.
    Fault,
}

impl Verdict {
    /// Returns the name of the verdict in lower case, such as `pass`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Fault => "fault",
        }
    }

    /// Returns true if this verdict of a case prevents the cases that depend on it from running.
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
    /// Returns the number of cases that have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Returns the number of cases for which the needed calls did not succeed.
    pub fn unproven(&self) -> usize {
        self.results.iter().filter(|result| result.unproven).count()
    }

    /// Returns the exit code of the command: 0 if the plugin is conformant, 1 if it is not, and 2 if the check could
    /// not be completed.
    pub fn exit_code(&self) -> u8 {
        match (self.count(Verdict::Fail), self.count(Verdict::Fault)) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }

    /// Returns one line with the name and version of the plugin, and the path of its library.
    pub(super) fn title(&self) -> String {
        let title = match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version} ({})", self.plugin.display()),
            _ => self.plugin.display().to_string(),
        };
        if self.isolated { format!("{title}, isolated") } else { title }
    }

    /// Returns the mode in which the plugin ran: `isolated` if it ran in a separate process, and `loaded` otherwise.
    pub(super) fn mode(&self) -> &'static str {
        if self.isolated { "isolated" } else { "loaded" }
    }

    /// Returns the conclusion of the run in one sentence, with the number of cases for each verdict.
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

    /// Returns the command that runs the case of `result` again, with the same options and the same seed.
    pub(super) fn rerun_command(&self, result: &CaseResult) -> String {
        self.rerun.command(&self.plugin, self.isolated, result.id, self.seed)
    }
}
