//! Runs the selected cases. Gates, which are cases on which others depend, run first. Then all other cases run in
//! parallel.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::manifest::{self, Isolation, Manifest};
use thiserror::Error;

use crate::case::{Case, LIBRARY, NEVER_SHARED, Process, Stage};
use crate::case_process::CaseLauncher;
use crate::config::Config;
use crate::message::Job;
use crate::report::{CaseResult, Report, Rerun, Verdict};
use crate::secrets::Secrets;
use crate::verdict::judge;

/// The options of a conformance run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The configuration of the target, and calls that succeed on it.
    pub config: Config,
    /// The names of the cases to run, or first words of names, such as `load`. If the list is empty, all cases run.
    pub only: Vec<String>,
    /// The seed of the random inputs. The same seed generates the same inputs.
    pub seed: u64,
    /// The timeout of each case. The plugin has to reply to a call within a third of it.
    pub timeout: Duration,
    /// The maximum number of cases that run at the same time.
    pub jobs: usize,
    /// If true, the plugin runs in a separate process, as an isolated plugin does in a host. Cases that have to load
    /// the plugin into their own process are skipped.
    pub isolated: bool,
    /// If true, a case fails if the calls that it needs do not succeed. Otherwise, it is skipped.
    pub strict: bool,
    /// The path of the program that runs an isolated plugin. The default is the program that
    /// [`mlflow_deploy::plugin_host`] finds.
    pub plugin_host: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::default(),
            only: Vec::new(),
            seed: fastrand::u64(..),
            timeout: Duration::from_secs(60),
            jobs: thread::available_parallelism().map_or(1, usize::from),
            isolated: false,
            strict: false,
            plugin_host: None,
            arguments: Vec::new(),
        }
    }
}

/// The reason why a conformance run could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The file of the plugin cannot be opened.
    #[error("no plugin at `{}`: {source}", path.display())]
    NoFile {
        /// The path of the plugin's file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The name of a case to run is unknown: it is neither the name of a case nor the first word of one.
    #[error("unknown case `{0}`: no case has this name or begins with it; `--list` shows all cases")]
    UnknownCase(String),
    /// The path of the running program, which is started again for each case, cannot be found.
    #[error("failed to find the path of the running program, which runs each case: {0}")]
    NoProgram(std::io::Error),
    /// The program that runs an isolated plugin cannot be found.
    #[error("failed to find the plugin host program: {0}")]
    NoPluginHost(mlflow_deploy::LoadError),
}

/// Checks a plugin with all selected cases. Runs each case in a child process, which is the running program, started
/// again. The program has to call [`child`](crate::child()) before anything else.
///
/// # Errors
/// Fails if the cases cannot be run. A case that fails is not an error, but a result in the report.
pub fn run(plugin: &Path, options: &Options) -> Result<Report, RunError> {
    let begun = Instant::now();
    let plugin = plugin.canonicalize().map_err(|source| RunError::NoFile { path: plugin.to_owned(), source })?;
    let selected = select(&options.only)?;
    let launcher = CaseLauncher {
        program: env::current_exe().map_err(RunError::NoProgram)?,
        arguments: options.arguments.clone(),
        timeout: options.timeout,
    };
    let manifest = manifest::read(&plugin).ok();
    let is_process = manifest::is_process_file(&plugin);
    let isolated = options.isolated || is_process;
    let plugin_host = match isolated {
        // A process plugin is started without the program that hosts libraries.
        true if is_process => Some(PathBuf::new()),
        true => Some(mlflow_deploy::plugin_host(options.plugin_host.as_deref()).map_err(RunError::NoPluginHost)?),
        false => None,
    };
    let runner = Runner { launcher, options, manifest: manifest.as_ref(), plugin: &plugin, plugin_host };
    let mut results = runner.gates(&selected);
    let blocked = selected
        .iter()
        .filter(|case| case.is_gate && results.get(case.id).is_some_and(|result| result.verdict.stops()))
        .min_by_key(|case| case.needs);
    let (ready, waiting): (Vec<_>, Vec<_>) = selected
        .iter()
        .filter(|case| !results.contains_key(case.id))
        .partition(|case| blocked.is_none_or(|gate| case.needs <= gate.needs));
    results.extend(runner.all(&ready));
    for case in waiting {
        let reason = format!("`{}` has to pass first", blocked.map_or("another case", |gate| gate.id));
        results.insert(case.id, CaseResult::new(case, Verdict::Skip, reason));
    }
    Ok(Report {
        name: manifest.as_ref().map(|manifest| manifest.name.clone()),
        version: manifest.as_ref().map(|manifest| manifest.version.clone()),
        plugin,
        isolated,
        seed: options.seed,
        rerun: Rerun {
            config: options.config.file.clone(),
            plugin_host: options.plugin_host.as_ref().and_then(|program| std::path::absolute(program).ok()),
            strict: options.strict,
            timeout: Some(options.timeout).filter(|timeout| *timeout != Options::default().timeout),
        },
        took: begun.elapsed(),
        results: selected.iter().filter_map(|case| results.remove(case.id)).collect(),
    })
}

/// Returns the selected cases. A name selects the case with that name. If there is none, it selects all cases whose
/// names begin with that word.
fn select(only: &[String]) -> Result<Vec<&'static Case>, RunError> {
    let matches = |case: &Case, name: &String| match Case::by_id(name) {
        Some(exact) => exact.id == case.id,
        None => case.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')),
    };
    if let Some(unknown) = only.iter().find(|name| !Case::all().any(|case| matches(case, name))) {
        return Err(RunError::UnknownCase(unknown.clone()));
    }
    Ok(Case::all().filter(|case| only.is_empty() || only.iter().any(|name| matches(case, name))).collect())
}

struct Runner<'a> {
    launcher: CaseLauncher,
    options: &'a Options,
    manifest: Option<&'a Manifest>,
    plugin: &'a Path,
    /// The path of the program that runs an isolated plugin. `None` if each child process loads the plugin itself.
    plugin_host: Option<PathBuf>,
}

type Results = BTreeMap<&'static str, CaseResult>;

impl Runner<'_> {
    /// Runs the selected gates in the order of their stages, and stops after the first stage with a failure. Returns
    /// the results of the gates that ran.
    fn gates(&self, selected: &[&'static Case]) -> Results {
        let mut results = Results::new();
        for stage in [Stage::File, Stage::Library, Stage::Table, Stage::Instance] {
            let gates: Vec<_> = selected.iter().filter(|case| case.is_gate && case.needs == stage).collect();
            results.extend(self.all(&gates));
            if results.values().any(|result| result.verdict.stops()) {
                break;
            }
        }
        results
    }

    /// Runs the given cases in parallel. Returns their results by name.
    fn all(&self, cases: &[&&'static Case]) -> Results {
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::new()));
        let work = || {
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = self.one(case);
                results.lock().unwrap_or_else(PoisonError::into_inner).insert(case.id, result);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.options.jobs.clamp(1, cases.len().max(1)) {
                scope.spawn(work);
            }
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, case: &Case) -> CaseResult {
        if let Some(reason) = skipped(case, self.manifest, self.plugin_host.is_some()) {
            return CaseResult::new(case, Verdict::Skip, reason);
        }
        let begun = Instant::now();
        let job = Job {
            case: case.id.to_owned(),
            plugin: self.plugin.to_owned(),
            config: self.options.config.clone(),
            seed: self.options.seed,
            plugin_host: self.plugin_host.clone(),
            reply_timeout_ms: u64::try_from(self.options.timeout.as_millis() / 3).unwrap_or(u64::MAX),
        };
        let ran = self.launcher.run(&job, case.process, &self.environment(case.process));
        let mut result = match ran {
            Ok(outcome) => judge(case, outcome, self.options.timeout, self.options.strict),
            Err(error) => CaseResult::new(case, Verdict::Fault, format!("failed to run the case: {error}")),
        };
        result.took = begun.elapsed();
        result
    }

    /// Returns the environment variables with which a child process is started.
    fn environment(&self, process: Process) -> Vec<(OsString, OsString)> {
        const INHERITED: [&str; 10] = [
            "DYLD_LIBRARY_PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "LD_LIBRARY_PATH",
            "LLVM_PROFILE_FILE",
            "PATH",
            "RUST_BACKTRACE",
            "TMPDIR",
            "USER",
        ];
        if process == Process::Stripped {
            return Vec::new();
        }
        let config = &self.options.config;
        let inherited = INHERITED.into_iter().chain(config.pass_environment.iter().map(String::as_str));
        let inherited = inherited.filter_map(|name| Some((name.into(), env::var_os(name)?)));
        let configured = config.environment.iter().map(|(name, value)| (name.into(), value.into()));
        let secrets = match (process, self.manifest) {
            (Process::Secrets, Some(manifest)) => Secrets::of(manifest, config).variables,
            _ => Vec::new(),
        };
        inherited
            .chain(configured)
            .chain(secrets.into_iter().map(|(name, value)| (name.into(), value.into())))
            .collect()
    }
}

/// Returns the reason for skipping a case without running it, if there is one.
fn skipped(case: &Case, manifest: Option<&Manifest>, isolated: bool) -> Option<String> {
    let is_never_shared = manifest.is_some_and(|manifest| manifest.isolation == Isolation::Required);
    let is_process = manifest.is_some_and(Manifest::is_process);
    match case.in_process_only {
        _ if case.process_only && !is_process => Some("the case is for process plugins".to_owned()),
        Some(LIBRARY) if is_process => Some("a process plugin has no library".to_owned()),
        Some(_) if case.protects_host && is_never_shared => Some(NEVER_SHARED.to_owned()),
        Some(reason) if is_process => Some(reason.to_owned()),
        Some(reason) if isolated => Some(format!("{reason}: run without `--isolated`")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_that_protect_the_host_are_skipped_if_the_manifest_requires_isolation() {
        let manifest = |more: &str| {
            let json = format!(
                r#"{{"manifest": 1, "abi": 1, "name": "a", "version": "1", "target": "t", "panic": "none",
                    "schemes": ["a"], "operations": []{more}}}"#
            );
            Manifest::parse(json.as_bytes()).unwrap()
        };
        let (optional, required) = (manifest(""), manifest(r#", "isolation": "required""#));
        let skipped = |id: &str, manifest, isolated| skipped(Case::by_id(id).unwrap(), Some(manifest), isolated);
        for id in ["load-threads", "load-signals", "abi-fork"] {
            assert_eq!(skipped(id, &optional, false), None, "{id}");
            assert_eq!(skipped(id, &required, false).as_deref(), Some(NEVER_SHARED), "{id}");
        }
        for id in ["memory-calls", "threads-any", "abi-entry"] {
            assert_eq!(skipped(id, &required, false), None, "{id}");
            assert!(skipped(id, &required, true).is_some(), "{id}");
        }
        assert_eq!(skipped("operations-predict", &required, true), None);
        assert!(skipped("threads-host-end", &required, true).is_some());
    }

    #[test]
    fn a_name_selects_its_case_or_all_that_begin_with_it() {
        let selected = |name: &str| select(&[name.to_owned()]).map(|cases| cases.len());
        assert_eq!(selected("operations-predict").unwrap(), 1);
        assert_eq!(selected("fuzz").unwrap(), 3);
        assert!(matches!(selected("fuz"), Err(RunError::UnknownCase(name)) if name == "fuz"));
    }
}
