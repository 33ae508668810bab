//! A case of the conformance suite, which checks one clause of the plugin contract.

use crate::harness::Harness;
use crate::marker::Marker;

/// A conformance case: one check that a plugin passes or fails.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// The name of the case, such as `load-quiet`. It does not change between versions.
    pub id: &'static str,
    /// The id of the clause in the plugin contract that the case checks, such as `load.quiet`.
    pub clause: &'static str,
    /// The level of the clause: a requirement or a recommendation.
    pub level: Level,
    /// The behaviour of a plugin that passes, in one sentence.
    pub summary: &'static str,
    pub(crate) needs: Stage,
    pub(crate) is_gate: bool,
    pub(crate) process: Process,
    /// The reason for skipping the case if the plugin runs in a separate process. `None` if the case runs there too.
    pub(crate) in_process_only: Option<&'static str>,
    /// True if the clause only protects the process of the host, which a plugin that requires isolation never enters.
    pub(crate) protects_host: bool,
    /// True if the clause concerns only process plugins. The program that hosts a library follows it for the library.
    pub(crate) process_only: bool,
    pub(crate) check: fn(&Harness) -> Result<(), Marker>,
}

/// The level of the clause that a case checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A plugin has to pass the case. Otherwise it is not conformant.
    Required,
    /// A plugin should pass the case. A failure counts only as a warning.
    Recommended,
}

impl Level {
    /// Returns the name of the level: `required` or `recommended`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
        }
    }
}

/// The step in loading a plugin that has to succeed before a case can run. Later steps need the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The file of the plugin exists.
    File,
    /// The library of the plugin can be loaded.
    Library,
    /// The library of the plugin returns a valid plugin table, which holds the plugin's functions.
    Table,
    /// The plugin's function `init` returns an instance of the plugin.
    Instance,
    /// The plugin's function `open` creates a client.
    Client,
}

/// The reason for skipping cases that inspect the library's exports, its plugin table, or pointers.
pub(crate) const LIBRARY: &str = "the case inspects the library itself";

/// The reason for skipping cases that inspect the memory, threads, files or signals of the plugin's process.
pub(crate) const PROCESS: &str = "the case inspects the process that loads the plugin";

/// The reason for skipping cases that protect the process of the host if the manifest requires isolation.
pub(crate) const NEVER_SHARED: &str =
    "the manifest requires isolation, so the plugin never shares a process with its host";

/// The reason for skipping cases that pass slices which a message to another process cannot represent.
pub(crate) const SLICES: &str = "a plugin in a separate process receives messages, not borrowed slices";

/// The reason for skipping cases whose calls a host does not forward to a plugin in a separate process.
pub(crate) const FILTERED: &str = "a host that isolates plugins does not forward calls with unknown ids";

/// The reason for skipping cases that call the plugin from several threads.
pub(crate) const ONE_THREAD: &str = "a single thread enters a plugin in a separate process";

/// The environment of the process in which a case runs, and the way in which that process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// The process has the usual environment. The harness kills it after it has reported its result.
    Plain,
    /// The process has an environment with only the variable that marks it as the process of a case. The harness kills
    /// it after it has reported its result.
    Stripped,
    /// The environment has a value for each variable that the plugin's manifest marks as secret. The harness kills the
    /// process after it has reported its result.
    Secrets,
    /// The process exits by itself after it has reported its result. If its exit status is not success, the case fails.
    Exits,
}

impl Case {
    /// Creates a case at the level "required". It needs an open client, and runs in a process with the usual
    /// environment.
    pub(crate) const fn new(
        id: &'static str,
        clause: &'static str,
        summary: &'static str,
        check: fn(&Harness) -> Result<(), Marker>,
    ) -> Self {
        let (level, needs, process) = (Level::Required, Stage::Client, Process::Plain);
        Self {
            id,
            clause,
            level,
            summary,
            needs,
            is_gate: false,
            process,
            in_process_only: None,
            protects_host: false,
            process_only: false,
            check,
        }
    }

    pub(crate) const fn recommended(mut self) -> Self {
        self.level = Level::Recommended;
        self
    }

    pub(crate) const fn needs(mut self, stage: Stage) -> Self {
        self.needs = stage;
        self
    }

    /// Makes the case a gate. If a gate fails, the cases that need a later stage are skipped.
    pub(crate) const fn gate(mut self) -> Self {
        self.is_gate = true;
        self
    }

    pub(crate) const fn process(mut self, process: Process) -> Self {
        self.process = process;
        self
    }

    /// Sets `reason` as the reason for skipping the case if the plugin runs in a separate process.
    pub(crate) const fn in_process_only(mut self, reason: &'static str) -> Self {
        self.in_process_only = Some(reason);
        self
    }

    /// Makes the case one that inspects the process which loads the plugin, for the sake of the host. The case is skipped
    /// if the plugin runs in a separate process, and if its manifest requires that.
    pub(crate) const fn protects_host(mut self) -> Self {
        self.in_process_only = Some(PROCESS);
        self.protects_host = true;
        self
    }

    /// Makes the case one for process plugins. It is skipped for libraries.
    pub(crate) const fn process_only(mut self) -> Self {
        self.process_only = true;
        self
    }

    /// Returns the family of the case, which is the first word of its name, such as `load` for `load-quiet`.
    pub fn family(&self) -> &'static str {
        self.id.split_once('-').map_or(self.id, |(family, _)| family)
    }
}
