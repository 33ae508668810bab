//! A conformance case: its name, the clause of the contract that it checks, and its check.

use crate::harness::Harness;
use crate::marker::Marker;

/// One check of a plugin.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// The stable name, such as `load-quiet`.
    pub id: &'static str,
    /// The id of the clause of the contract that the case checks, such as `load.quiet`.
    pub clause: &'static str,
    /// The level of the requirement: required or recommended.
    pub level: Level,
    /// The behaviour of a plugin that passes, in one sentence.
    pub summary: &'static str,
    pub(crate) needs: Stage,
    pub(crate) is_gate: bool,
    pub(crate) process: Process,
    /// The reason why the case is skipped if the plugin runs in a separate process, or `None` if it is not skipped.
    pub(crate) in_process_only: Option<&'static str>,
    pub(crate) check: fn(&Harness) -> Result<(), Marker>,
}

/// The level of the requirement behind a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A plugin has to pass the case.
    Required,
    /// A plugin should pass the case. A failure is only a warning.
    Recommended,
}

impl Level {
    /// Returns the lower-case name of the level.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
        }
    }
}

/// The state that a plugin has to reach before a case can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The file exists.
    File,
    /// The library can be loaded.
    Library,
    /// The library returns a valid plugin table.
    Table,
    /// `init` returns an instance.
    Instance,
    /// `open` makes a client.
    Client,
}

/// The skip reason of cases that inspect the exports, the plugin table, or pointers.
pub(crate) const LIBRARY: &str = "the case inspects the library itself";

/// The skip reason of cases that inspect the memory, threads, files or signals of the process.
pub(crate) const PROCESS: &str = "the case inspects the process that loads the plugin";

/// The skip reason of cases that pass slices which a message between processes cannot represent.
pub(crate) const SLICES: &str = "a plugin in a separate process receives messages, not borrowed slices";

/// The skip reason of cases whose calls a host does not forward to an isolated plugin.
pub(crate) const FILTERED: &str = "a host that isolates plugins does not forward calls with unknown ids";

/// The skip reason of cases that call the plugin from several threads.
pub(crate) const ONE_THREAD: &str = "a single thread enters a plugin in a separate process";

/// The environment and the end of a case's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// The harness kills the process after its result.
    Plain,
    /// The process has an empty environment.
    Stripped,
    /// The environment has a value for every variable that the manifest marks as secret.
    Secrets,
    /// The process exits after its result, and its exit status is part of the verdict.
    Exits,
}

impl Case {
    /// Returns a required case that needs a client and runs in a plain process.
    pub(crate) const fn new(
        id: &'static str,
        clause: &'static str,
        summary: &'static str,
        check: fn(&Harness) -> Result<(), Marker>,
    ) -> Self {
        let (level, needs, process) = (Level::Required, Stage::Client, Process::Plain);
        Self { id, clause, level, summary, needs, is_gate: false, process, in_process_only: None, check }
    }

    pub(crate) const fn recommended(mut self) -> Self {
        self.level = Level::Recommended;
        self
    }

    pub(crate) const fn needs(mut self, stage: Stage) -> Self {
        self.needs = stage;
        self
    }

    /// Makes the case a gate: if it fails, the cases that need a later stage are skipped.
    pub(crate) const fn gate(mut self) -> Self {
        self.is_gate = true;
        self
    }

    pub(crate) const fn process(mut self, process: Process) -> Self {
        self.process = process;
        self
    }

    /// Makes the harness skip the case, with this reason, if the plugin runs in a separate process.
    pub(crate) const fn in_process_only(mut self, reason: &'static str) -> Self {
        self.in_process_only = Some(reason);
        self
    }

    /// Returns the first word of the case's name, such as `load`.
    pub fn family(&self) -> &'static str {
        self.id.split_once('-').map_or(self.id, |(family, _)| family)
    }
}
