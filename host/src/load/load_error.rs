//! Why a file is not used as a plugin: one typed reason each, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::TableError;
use mlflow_deploy_plugin_api::manifest::TARGET;
use mlflow_deploy_plugin_api::trust::Distrust;

use crate::discovery::locked_plugin::LockedPlugin;
use crate::load::subprocess::ProcessExit;

/// Why a file is not used as a plugin. It is shown as its reason and its fix.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// Its manifest or its table speaks another version of the contract.
    Abi {
        /// The plugin's version.
        plugin: u32,
        /// The host's version.
        host: u32,
    },
    /// It was written to, or replaced, between two looks at it.
    Changed,
    /// The process that it was loaded in ended.
    Crashed(ProcessExit),
    /// Its `init` said that it failed, or took the process's other threads by surprise.
    Init(String),
    /// The manifest is there, but wrong.
    Manifest(String),
    /// A library that it needs is not there.
    MissingDependency {
        /// The library's name, such as `libssl.so.3`.
        name: String,
        /// The other library that needs it, where it is not the plugin itself.
        needed_by: Option<PathBuf>,
    },
    /// It must run in a process of its own, and the program for that was not found.
    NeedsIsolation {
        /// Why it must.
        why: String,
        /// Where the program was looked for.
        searched: Vec<PathBuf>,
    },
    /// It is no shared library, or a damaged one.
    NotALibrary(String),
    /// It lies on a file system that is mounted so that nothing on it can be run.
    NoExec {
        /// The file.
        path: PathBuf,
    },
    /// The system's loader would not load it.
    NotLoadable(String),
    /// The lock file does not name it.
    NotLocked {
        /// The plugin's name.
        plugin: String,
    },
    /// A library that it needs is there, but older than the one it was built with.
    OldDependency {
        /// The library's file.
        library: PathBuf,
        /// The version of its symbols that is needed, such as `GLIBC_2.99`.
        version: String,
        /// The newest version of that kind that it has.
        newest: Option<String>,
    },
    /// The program that hosts plugins in processes of their own cannot be used: no fault of the plugin's.
    PluginHost(String),
    /// Its table cannot be used.
    Table(TableError),
    /// Loading it did not come to an end.
    TimedOut(Duration),
    /// The lock file has another file by its name.
    Unlike {
        /// What the lock file has; one of them, where it has several.
        expected: Box<LockedPlugin>,
        /// What the file is.
        found: Box<LockedPlugin>,
    },
    /// Its first load crashed or hung, and it has not changed since.
    Quarantined {
        /// What happened, as a fragment.
        reason: String,
    },
    /// It could not be read.
    Unreadable(String),
    /// Somebody else could have put it there.
    Untrusted {
        /// The file or directory in question.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What shows it.
        found: String,
        /// How to put it right.
        fix: String,
    },
    /// It is for another processor, system or C library.
    WrongMachine {
        /// What it is built for.
        found: String,
        /// What the host is built for.
        expected: String,
    },
}

impl LoadError {
    /// What is wrong, as a fragment.
    pub fn reason(&self) -> String {
        match self {
            Self::Abi { plugin, host } => format!("speaks plugin ABI {plugin}, and this host ABI {host}"),
            Self::Changed => "changed while it was looked at".to_owned(),
            Self::Crashed(death) => match death.log().last() {
                Some(line) => format!("its process {death} while it was loaded; its log ends with `{line}`"),
                None => format!("its process {death} while it was loaded"),
            },
            Self::Init(what) => format!("failed to start: {what}"),
            Self::Manifest(what) => format!("its manifest is invalid: {what}"),
            Self::MissingDependency { name, needed_by: None } => {
                format!("needs the library `{name}`, which is not installed")
            }
            Self::MissingDependency { name, needed_by: Some(by) } => {
                format!("needs the library `{}`, which needs `{name}`, which is not installed", by.display())
            }
            Self::NeedsIsolation { why, searched } => {
                let searched: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                let searched = searched.join("`, `");
                format!("must run in a process of its own, for {why}, and the program for that is none of `{searched}`")
            }
            Self::NoExec { path } => {
                format!("`{}` lies on a file system that is mounted with `noexec`", path.display())
            }
            Self::NotALibrary(what) => format!("not a shared library: {what}"),
            Self::NotLoadable(what) => format!("the system refused to load it: {what}"),
            Self::NotLocked { plugin } => format!("the plugin `{plugin}` is not in the lock file for {TARGET}"),
            Self::OldDependency { library, version, newest } => {
                let has = newest.as_ref().map(|newest| format!(", only `{newest}` and older")).unwrap_or_default();
                format!("needs `{version}`, which `{}` does not have{has}", library.display())
            }
            Self::PluginHost(what) => format!("could not be given a process of its own: {what}"),
            Self::Quarantined { reason } => format!("quarantined: {reason} when it was first loaded"),
            Self::Table(error) => error.to_string(),
            Self::TimedOut(limit) => format!("did not finish loading within {} s", limit.as_secs_f64()),
            Self::Unlike { expected, found } if expected.sha256 == found.sha256 => format!(
                "the lock file has another entry for this file of the plugin `{}`: expected {}, found {}",
                found.name,
                described(expected),
                described(found)
            ),
            Self::Unlike { expected, found } => format!(
                "not the plugin `{}` of the lock file: expected version {} with SHA-256 {}, found version {} with SHA-256 {}",
                found.name, expected.version, expected.sha256, found.version, found.sha256
            ),
            Self::Unreadable(what) => format!("cannot be read: {what}"),
            Self::Untrusted { path, why, found, .. } => format!("{why}: `{}` {found}", path.display()),
            Self::WrongMachine { found, expected } => format!("built for {found}, and this host is for {expected}"),
        }
    }

    /// What to do about it, as a fragment.
    pub fn fix(&self) -> String {
        let fix = match self {
            Self::Abi { plugin, host } if plugin > host => "upgrade the host",
            Self::Abi { .. } => "upgrade the plugin",
            Self::Changed => "try again when nobody writes to it any more",
            Self::Init(_) => "see to what it needs, or tell its author",
            Self::Crashed(death) if death.is_from_outside() => "see who ended it, and whether there is memory left",
            Self::Crashed(_) | Self::Manifest(_) | Self::Table(_) | Self::TimedOut(_) => {
                "get another version of it, or tell its author"
            }
            Self::MissingDependency { .. } => "install it, or name the folder that it is in in `LD_LIBRARY_PATH`",
            Self::NeedsIsolation { .. } | Self::PluginHost(_) => {
                "install `mlflow-deploy-plugin-host`, or name it in `MLFLOW_DEPLOY_PLUGIN_HOST`"
            }
            Self::NotALibrary(_) => "remove it, or get the file anew",
            Self::NoExec { .. } => "put it on another file system, or mount that one without `noexec`",
            Self::NotLoadable(_) => "put right what the system says, or get another build of the plugin",
            Self::NotLocked { .. } => "if it is meant to be used, `mlflow-deploy plugins lock` adds it",
            Self::OldDependency { .. } => "upgrade that library, or get the plugin built for an older system",
            Self::Quarantined { .. } => {
                "get another version, or if that was not its fault, `mlflow-deploy plugins retry` tries again"
            }
            Self::Unlike { expected, found } if expected.sha256 == found.sha256 => {
                "make the entry anew with `mlflow-deploy plugins lock`"
            }
            Self::Unlike { .. } => "get the file that was locked, or accept this one with `mlflow-deploy plugins lock`",
            Self::Unreadable(_) => "see that it is there, and that you may read it",
            Self::Untrusted { fix, .. } => fix,
            Self::WrongMachine { expected, .. } => return format!("get the plugin built for {expected}"),
        };
        fix.to_owned()
    }
}

/// What an entry of the lock file says of a plugin beside its hash.
fn described(plugin: &LockedPlugin) -> String {
    let LockedPlugin { version, abi, schemes, .. } = plugin;
    format!("version {version}, ABI {abi} and the schemes `{}`", schemes.join("`, `"))
}

impl From<Distrust> for LoadError {
    fn from(distrust: Distrust) -> Self {
        match distrust {
            Distrust::Untrusted { path, why, found, fix } => Self::Untrusted { path, why, found, fix },
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason(), self.fix())
    }
}

impl std::error::Error for LoadError {}
