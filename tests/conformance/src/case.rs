//! A case: its name, its clause of the contract, and its check.

use crate::harness::Harness;
use crate::marker::Marker;

/// One check of a plugin.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// The stable name, such as `load-quiet`.
    pub id: &'static str,
    /// The clause of the contract that it checks, such as `load.quiet`.
    pub clause: &'static str,
    /// The level of the requirement.
    pub level: Level,
    /// The behaviour of a plugin that passes, in one sentence.
    pub summary: &'static str,
    pub(crate) needs: Stage,
    pub(crate) is_gate: bool,
    pub(crate) process: Process,
    /// The reason why the case is skipped for a plugin in a separate process.
    pub(crate) in_process_only: Option<&'static str>,
    pub(crate) check: fn(&Harness) -> Result<(), Marker>,
}

/// The level of the requirement behind a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A plugin has to pass.
    Required,
    /// A failure is only a warning.
    Recommended,
}

impl Level {
    /// The lower-case name.
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
    /// The library returns a valid table.
    Table,
    /// `init` returns an instance.
    Instance,
    /// `open` makes a client.
    Client,
}

/// A reason to need the plugin in-process: the case inspects exports, the table, or pointers.
pub(crate) const LIBRARY: &str = "it inspects the library itself";

/// A reason to need the plugin in-process: the case inspects memory, threads, files or signals.
pub(crate) const PROCESS: &str = "it inspects the process that the plugin is loaded into";

/// A reason to need the plugin in-process: the case passes slices that no message can carry.
pub(crate) const SLICES: &str = "a plugin in a separate process receives messages, not borrowed slices";

/// A reason to need the plugin in-process: the host's connection filters such calls out.
pub(crate) const FILTERED: &str = "a host that isolates plugins does not forward calls with unknown ids";

/// A reason to need the plugin in-process: one thread receives messages and enters the slots.
pub(crate) const ONE_THREAD: &str = "a single thread enters a plugin in a separate process";

/// The environment and the end of a case's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// The harness kills it after its result.
    Plain,
    /// Its environment is empty.
    Stripped,
    /// Every variable that the manifest marks as secret has a value.
    Secrets,
    /// It exits after its result, and its exit status is part of the verdict.
    Exits,
}

impl Case {
    /// Returns a required case that needs a client.
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

    /// Skips the cases of later stages if this case fails.
    pub(crate) const fn gate(mut self) -> Self {
        self.is_gate = true;
        self
    }

    pub(crate) const fn process(mut self, process: Process) -> Self {
        self.process = process;
        self
    }

    /// Skips the case, for this reason, if the plugin runs in a separate process.
    pub(crate) const fn in_process_only(mut self, reason: &'static str) -> Self {
        self.in_process_only = Some(reason);
        self
    }

    /// Returns the first word of the name, such as `load`.
    pub fn family(&self) -> &'static str {
        self.id.split_once('-').map_or(self.id, |(family, _)| family)
    }
}
