//! A case: what it is called, what it tells an author, which clause of the contract it checks, and how.

use crate::bench::Bench;
use crate::cases;
use crate::mark::Mark;

/// One thing that is checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// The stable name, such as `load-quiet`.
    pub id: &'static str,
    /// The clause of the contract that it checks, such as `load.quiet`.
    pub clause: &'static str,
    /// Whether a plugin has to pass it.
    pub level: Level,
    /// What an author reads: what the plugin does that passes.
    pub says: &'static str,
    pub(crate) needs: Stage,
    pub(crate) is_gate: bool,
    pub(crate) process: Process,
    /// Why it cannot be checked where the plugin is in a process of its own.
    pub(crate) inside: Option<&'static str>,
    pub(crate) check: fn(&Bench) -> Result<(), Mark>,
}

/// Whether a plugin has to pass a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// It has to.
    Required,
    /// Where it does not, that is a warning.
    Recommended,
}

impl Level {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
        }
    }
}

/// How far a plugin has to get for a case to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// There is a file.
    File,
    /// It can be loaded.
    Library,
    /// It gives a table that a host accepts.
    Table,
    /// It makes instances.
    Instance,
    /// It opens clients.
    Client,
}

/// Why a case needs the plugin inside: it looks at what the library exports, at its table, or at pointers.
pub(crate) const LIBRARY: &str = "it looks at the library itself";

/// Why a case needs the plugin inside: it looks at memory, threads, files or signals.
pub(crate) const PROCESS: &str = "it looks at the process that the plugin is loaded into";

/// Why a case needs the plugin inside: no message says what it would make a plugin read.
pub(crate) const LENT: &str = "a process of the plugin's own gets messages, and is lent nothing";

/// Why a case needs the plugin inside: what no host asks for, the host's end of the connection keeps to itself.
pub(crate) const FILTERED: &str =
    "a host that isolates plugins passes on nothing about ids that a plugin does not know";

/// Why a case needs the plugin inside: there the one thread that hears the host calls the plugin.
pub(crate) const ONE_THREAD: &str = "one thread alone calls a plugin in a process of its own";

/// What is particular about a case's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Nothing: it is ended once it has told.
    Plain,
    /// It has nothing in its environment.
    Stripped,
    /// It has something in every variable that the manifest calls secret.
    Secrets,
    /// It ends by itself, and how it does so is part of the verdict.
    Leaves,
}

impl Case {
    /// A case that is required, and needs a client.
    pub(crate) const fn new(
        id: &'static str,
        clause: &'static str,
        says: &'static str,
        check: fn(&Bench) -> Result<(), Mark>,
    ) -> Self {
        let (level, needs, process) = (Level::Required, Stage::Client, Process::Plain);
        Self { id, clause, level, says, needs, is_gate: false, process, inside: None, check }
    }

    pub(crate) const fn recommended(mut self) -> Self {
        self.level = Level::Recommended;
        self
    }

    pub(crate) const fn needs(mut self, stage: Stage) -> Self {
        self.needs = stage;
        self
    }

    /// What needs more than this case does is skipped where it fails.
    pub(crate) const fn gate(mut self) -> Self {
        self.is_gate = true;
        self
    }

    pub(crate) const fn process(mut self, process: Process) -> Self {
        self.process = process;
        self
    }

    /// It needs the plugin to be loaded into its own process, for this reason: where that is not so, it is skipped.
    pub(crate) const fn inside(mut self, why: &'static str) -> Self {
        self.inside = Some(why);
        self
    }

    /// Every case there is, in the order in which they are listed.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        cases::FAMILIES.iter().copied().flatten()
    }

    /// A case by its name.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::all().find(|case| case.id == id)
    }

    /// The first word of its name, such as `load`.
    pub fn family(&self) -> &'static str {
        self.id.split_once('-').map_or(self.id, |(family, _)| family)
    }
}
