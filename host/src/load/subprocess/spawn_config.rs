//! The parameters for starting the process of a plugin, and the errors that name its program.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::manifest::Manifest;

use super::environment;
use crate::LoadError;
use crate::discovery::process_program::ProcessProgram;

/// The time limit for a new process to load and start the plugin of a library.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of seconds without an answer to a ping after which the host kills the process of a library. A function of
/// a plugin may block for only 50 ms.
const MAX_SILENCE_S: u32 = 10;

/// The parameters for starting the process of a plugin.
#[derive(Clone, Debug)]
pub(crate) struct SpawnConfig {
    /// The path of the program: the one that hosts libraries, or that of a process plugin.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// The files whose change prevents a restart: the library, or all files of a process plugin.
    pub(crate) files: Vec<PathBuf>,
    /// All environment variables of the process.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The time limit for the process to start the plugin.
    pub(crate) start_timeout: Duration,
    /// The number of seconds without an answer to a ping after which the host kills the process.
    pub(crate) max_silence_s: u32,
    /// True if the program hosts a library. False if it is a process plugin itself.
    pub(super) hosts_library: bool,
}

impl SpawnConfig {
    /// Returns the parameters for a process of `program` that loads a library.
    pub(crate) fn library(program: PathBuf, library: PathBuf, environment: Vec<(OsString, OsString)>) -> Self {
        let arguments = vec![library.clone().into_os_string()];
        Self {
            program,
            arguments,
            files: vec![library],
            environment,
            start_timeout: LOAD_TIMEOUT,
            max_silence_s: MAX_SILENCE_S,
            hosts_library: true,
        }
    }

    /// Returns the parameters for the process of a process plugin.
    pub(crate) fn process(
        program: ProcessProgram,
        manifest: &Manifest,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            files: program.watched(),
            program: program.path,
            arguments: program.arguments,
            environment,
            start_timeout: Duration::from_secs(manifest.start_timeout.into()),
            // A language with a global lock is silent while it loads a large library at its first call.
            max_silence_s: manifest.start_timeout.max(MAX_SILENCE_S),
            hosts_library: false,
        }
    }

    /// Returns the environment variables of a plugin's process: those that the manifest declares, those in `allowed`,
    /// and those that every program needs.
    pub(crate) fn environment(manifest: &Manifest, allowed: &[String]) -> Vec<(OsString, OsString)> {
        environment::filter(std::env::vars_os(), &manifest.environment, allowed)
    }

    /// Returns the error for a program that cannot be started.
    pub(super) fn not_started(&self, error: &io::Error) -> LoadError {
        let program = self.program.display().to_string();
        match self.hosts_library {
            true => LoadError::PluginHost(format!("`{program}`: {error}")),
            false => LoadError::Program { program, why: format!("cannot be started: {error}") },
        }
    }

    /// Returns the error for a program that does not follow the protocol, for the reason `why`.
    pub(super) fn wrong_protocol(&self, why: &str) -> LoadError {
        let program = self.program.display().to_string();
        match self.hosts_library {
            true => LoadError::PluginHost(format!("`{program}` does not match this version of mlflow-deploy: {why}")),
            false => LoadError::Protocol { program, why: why.to_owned() },
        }
    }
}
