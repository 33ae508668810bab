//! What came of it: one result for each case, and four ways to write them.

mod json;
mod junit;
mod markdown;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::case::{Case, Level};

pub use markdown::list as list_as_markdown;
pub use text::list as list_as_text;

/// What came of all cases.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The plugin's file.
    pub plugin: PathBuf,
    /// Its name, where its manifest could be read.
    pub name: Option<String>,
    /// Its version, where its manifest could be read.
    pub version: Option<String>,
    /// Whether the plugin ran in a process of its own, as hosts isolate plugins.
    pub isolated: bool,
    /// The seed: with the same one, the same is made up.
    pub seed: u64,
    /// How long it all took.
    pub took: Duration,
    /// What came of each case.
    pub results: Vec<Result>,
}

/// What came of one case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Result {
    /// The case.
    pub id: &'static str,
    /// The clause of the contract that it checks.
    pub clause: &'static str,
    /// Whether the plugin has to pass it.
    pub level: Level,
    /// What a plugin does that passes.
    pub says: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not simply a pass.
    pub message: String,
    /// The signal that ended its process, such as `SIGSEGV`, where one did.
    pub signal: Option<String>,
    /// What happened last, oldest first, where it went badly.
    pub log: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// The verdict of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The plugin does what the clause says.
    Pass,
    /// There was nothing to check. That does not count against it.
    Skip,
    /// It should do better, but need not.
    Warn,
    /// It does not do what the clause says.
    Fail,
    /// The harness could not do its work. That is no fault of the plugin.
    Fault,
}

impl Verdict {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Fault => "fault",
        }
    }

    /// Whether what rests on the case makes no sense after this.
    pub(crate) fn stops(self) -> bool {
        matches!(self, Self::Fail | Self::Fault)
    }
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// JUnit's XML, which CI systems read.
    Junit,
    /// A table for a README or a pull request.
    Markdown,
}

impl Result {
    pub(crate) fn new(case: &Case, verdict: Verdict, message: String) -> Self {
        Self {
            id: case.id,
            clause: case.clause,
            level: case.level,
            says: case.says,
            verdict,
            message,
            signal: None,
            log: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

impl Report {
    /// How many cases had this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// 0 where the plugin is conformant, 1 where it is not, 2 where that could not be found out.
    pub fn exit_code(&self) -> u8 {
        match (self.count(Verdict::Fail), self.count(Verdict::Fault)) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }

    /// The report as text in a format.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Text => text::write(self),
            Format::Json => json::write(self),
            Format::Junit => junit::write(self),
            Format::Markdown => markdown::write(self),
        }
    }

    /// The plugin, its version, and its file.
    fn title(&self) -> String {
        let title = match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version} ({})", self.plugin.display()),
            _ => self.plugin.display().to_string(),
        };
        if self.isolated { format!("{title}, isolated") } else { title }
    }

    /// How the plugin ran.
    fn mode(&self) -> &'static str {
        if self.isolated { "isolated" } else { "loaded" }
    }

    /// The verdict on all of it, in one sentence.
    fn conclusion(&self) -> String {
        let count = |verdict: Verdict, word: &str| match self.count(verdict) {
            0 => String::new(),
            count => format!(", {count} {word}"),
        };
        let conclusion = match self.exit_code() {
            0 => "conformant",
            1 => "not conformant",
            _ => "could not be checked",
        };
        format!(
            "{conclusion}: {} passed{}{}{}{} of {}",
            self.count(Verdict::Pass),
            count(Verdict::Fail, "failed"),
            count(Verdict::Warn, "to be warned of"),
            count(Verdict::Skip, "skipped"),
            count(Verdict::Fault, "not run"),
            self.results.len(),
        )
    }

    /// The command that runs one case again, with the same seed.
    fn again(&self, result: &Result) -> String {
        let isolated = if self.isolated { " --isolated" } else { "" };
        let (plugin, seed) = (self.plugin.display(), self.seed);
        format!("mlflow-deploy-conformance {plugin}{isolated} --only {} --seed {seed}", result.id)
    }
}
