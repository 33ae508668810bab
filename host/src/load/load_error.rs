//! The reasons why a file is not used as a plugin. Each reason has a fix for the user.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::TableError;
use mlflow_deploy_plugin_api::manifest::TARGET;
use mlflow_deploy_plugin_api::trust::Distrust;

use crate::discovery::locked_plugin::LockedPlugin;
use crate::load::subprocess::ProcessExit;

/// The reason why a file is not used as a plugin. `Display` shows the reason, and how to fix it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The plugin and the host use different versions of the contract between them.
    Abi {
        /// The version of the contract that the plugin uses.
        plugin: u32,
        /// The version of the contract that the host uses.
        host: u32,
    },
    /// The file was modified or replaced while the host checked or loaded it.
    Changed,
    /// The separate process in which the plugin was loaded ended during loading.
    Crashed(ProcessExit),
    /// The function `init` of the plugin failed or panicked, or the host could not create a thread to load the plugin.
    Init(String),
    /// The file differs from its entry in the lock file.
    LockMismatch {
        /// The entry for the plugin in the lock file, or one of several such entries.
        expected: Box<LockedPlugin>,
        /// The entry that the lock file would need for this file.
        found: Box<LockedPlugin>,
    },
    /// The manifest of the plugin is invalid.
    Manifest(String),
    /// A library that the plugin needs is missing.
    MissingDependency {
        /// The name of the missing library, such as `libssl.so.3`.
        name: String,
        /// The library that needs the missing one; `None` if the plugin itself needs it.
        needed_by: Option<PathBuf>,
    },
    /// The plugin must run in its own process, but the plugin host program was not found.
    NeedsIsolation {
        /// The reason why the plugin must run in its own process, as a clause that can follow "because".
        why: String,
        /// The paths at which the host searched for the plugin host program.
        searched: Vec<PathBuf>,
    },
    /// The file is on a file system that is mounted with `noexec`.
    NoExec {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file is a shared library without a manifest. This is an error only for a file that the program specifies by
    /// its path, not for a file in a searched directory.
    NoManifest,
    /// The file is not a shared library, or is damaged.
    NotALibrary(String),
    /// The dynamic loader rejected the file.
    NotLoadable(String),
    /// The lock file does not list the plugin.
    NotLocked {
        /// The name of the plugin.
        plugin: String,
    },
    /// A library that the plugin needs is older than the one that the plugin was built with.
    OldDependency {
        /// The path of the old library.
        library: PathBuf,
        /// The symbol version that the plugin needs from the library, such as `GLIBC_2.99`.
        version: String,
        /// The newest symbol version with the same prefix that the library provides, such as `GLIBC_2.36`.
        newest: Option<String>,
    },
    /// The plugin host program, which runs a plugin in its own process, cannot be used. The plugin is not at fault.
    PluginHost(String),
    /// The program of a process plugin, or one of its files, cannot be used.
    Program {
        /// The program, as the manifest names it, or the path of the file.
        program: String,
        /// The reason, as the predicate of a sentence.
        why: String,
    },
    /// The program of a process plugin does not follow the wire protocol.
    Protocol {
        /// The path of the program.
        program: String,
        /// The reason, as a sentence fragment.
        why: String,
    },
    /// The first load of the file crashed or hung. The file is not loaded again until it changes.
    Quarantined {
        /// The outcome of the first load, as a sentence fragment.
        reason: String,
    },
    /// The function table of the plugin is invalid.
    Table(TableError),
    /// The plugin did not finish loading within this time limit.
    TimedOut(Duration),
    /// The file cannot be read.
    Unreadable(String),
    /// A user who is not trusted can change the file.
    Untrusted {
        /// The path of the file or directory that is not trusted.
        path: PathBuf,
        /// The reason, as a sentence fragment.
        why: &'static str,
        /// The owner or mode of `path`, worded to follow the path in a message, such as `has mode 777`.
        found: String,
        /// The command that makes the file trusted.
        fix: String,
    },
    /// The file was built for another processor, system or C library than the host.
    WrongMachine {
        /// The platform that the file was built for.
        found: String,
        /// The platform that the host was built for.
        expected: String,
    },
}

impl LoadError {
    /// Returns the reason as a sentence fragment.
    pub fn reason(&self) -> String {
        match self {
            Self::Abi { plugin, host } => format!("uses plugin ABI {plugin}, but this host supports ABI {host}"),
            Self::Changed => "changed while it was checked or loaded".to_owned(),
            Self::Crashed(exit) => match exit.log().last() {
                Some(line) => format!("its process {exit} during loading; its log ends with `{line}`"),
                None => format!("its process {exit} during loading"),
            },
            Self::Init(why) => format!("failed to start: {why}"),
            Self::Manifest(why) => format!("its manifest is invalid: {why}"),
            Self::MissingDependency { name, needed_by: None } => {
                format!("needs the library `{name}`, which is not installed")
            }
            Self::MissingDependency { name, needed_by: Some(by) } => {
                format!("needs the library `{}`, which needs `{name}`, which is not installed", by.display())
            }
            Self::NeedsIsolation { why, searched } => {
                let searched: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                let searched = searched.join("`, `");
                format!(
                    "must run in its own process, because {why}, but the plugin host program was not found at `{searched}`"
                )
            }
            Self::NoManifest => "it is a library without a plugin manifest".to_owned(),
            Self::NoExec { path } => format!("`{}` is on a file system mounted with `noexec`", path.display()),
            Self::NotALibrary(why) => format!("not a shared library: {why}"),
            Self::NotLoadable(why) => format!("the dynamic loader rejected it: {why}"),
            Self::NotLocked { plugin } => format!("the lock file has no entry for the plugin `{plugin}` on {TARGET}"),
            Self::OldDependency { library, version, newest: Some(newest) } => {
                format!("needs `{version}`, but `{}` only provides `{newest}` and older", library.display())
            }
            Self::OldDependency { library, version, newest: None } => {
                format!("needs `{version}`, which `{}` does not provide", library.display())
            }
            Self::PluginHost(why) => format!("failed to start its process: {why}"),
            Self::Program { program, why } => format!("`{program}` {why}"),
            Self::Protocol { program, why } => format!("`{program}` does not follow the wire protocol: {why}"),
            Self::Quarantined { reason } => format!("quarantined, because on its first load {reason}"),
            Self::Table(error) => error.to_string(),
            Self::TimedOut(limit) => format!("did not finish loading within {} s", limit.as_secs_f64()),
            Self::LockMismatch { expected, found } if expected.has_hashes_of(found) => format!(
                "the lock file describes the plugin `{}` differently: expected {}, found {}",
                found.name,
                described(expected),
                described(found)
            ),
            Self::LockMismatch { expected, found } => format!(
                "differs from the plugin `{}` in the lock file: expected version {}, found version {}",
                found.name,
                with_hashes(expected),
                with_hashes(found)
            ),
            Self::Unreadable(why) => format!("cannot be read: {why}"),
            Self::Untrusted { path, why, found, .. } => format!("{why}: `{}` {found}", path.display()),
            Self::WrongMachine { found, expected } => format!("built for {found}, but this host is for {expected}"),
        }
    }

    /// Returns the fix for the user as a sentence fragment.
    pub fn fix(&self) -> String {
        let fix = match self {
            Self::Abi { plugin, host } if plugin > host => "upgrade the host",
            Self::Abi { .. } => "upgrade the plugin",
            Self::Changed => "retry when no process writes to it",
            Self::Init(_) => "fix the cause, or report it to the plugin's author",
            Self::Crashed(exit) if exit.is_from_outside() => {
                "find out which process killed it, and check that enough memory is free"
            }
            Self::Crashed(_) | Self::Manifest(_) | Self::Table(_) | Self::TimedOut(_) => {
                "install another version, or report it to the plugin's author"
            }
            Self::MissingDependency { .. } => "install it, or add its folder to `LD_LIBRARY_PATH`",
            Self::NeedsIsolation { .. } | Self::PluginHost(_) => {
                "install `mlflow-deploy-plugin-host`, or set `MLFLOW_DEPLOY_PLUGIN_HOST` to its path"
            }
            Self::NoManifest => {
                "specify the file of a plugin, or build it with its manifest in the section `.mlflow_deploy`"
            }
            Self::NotALibrary(_) => "remove it, or replace it with an intact copy",
            Self::NoExec { .. } => "move it to another file system, or remount this one without `noexec`",
            Self::NotLoadable(_) => "fix the cause, or install another build of the plugin",
            Self::NotLocked { .. } => "to approve the plugin, run `mlflow-deploy plugins lock`",
            Self::OldDependency { .. } => "upgrade that library, or install a build of the plugin for an older system",
            Self::Protocol { .. } => "update the plugin or mlflow-deploy, or report it to the plugin's author",
            Self::Program { .. } => "install it, or correct `exec` and `files` in the manifest of the plugin",
            Self::Quarantined { .. } => {
                "install another version, or run `mlflow-deploy plugins retry` to try this one again"
            }
            Self::LockMismatch { expected, found } if expected.has_hashes_of(found) => {
                "run `mlflow-deploy plugins lock` to renew the entry"
            }
            Self::LockMismatch { .. } => {
                "restore the locked file, or run `mlflow-deploy plugins lock` to approve this one"
            }
            Self::Unreadable(_) => "check that it exists and that you may read it",
            Self::Untrusted { fix, .. } => fix,
            Self::WrongMachine { expected, .. } => return format!("install a build of the plugin for {expected}"),
        };
        fix.to_owned()
    }
}

/// Describes an entry of the lock file without its hash.
fn described(plugin: &LockedPlugin) -> String {
    let LockedPlugin { version, abi, schemes, .. } = plugin;
    format!("version {version}, ABI {abi} and the schemes `{}`", schemes.join("`, `"))
}

/// Returns the version and the hashes of an entry of the lock file.
fn with_hashes(LockedPlugin { version, sha256, files, .. }: &LockedPlugin) -> String {
    let files = files.map(|files| format!(", and files with SHA-256 {files}")).unwrap_or_default();
    format!("{version} with SHA-256 {sha256}{files}")
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
        write!(formatter, "{}; {}", self.reason(), self.fix())
    }
}

impl std::error::Error for LoadError {}
