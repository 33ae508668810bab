//! Runs the cases: what the others rest on first, and then all others side by side.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::manifest::{self, Manifest};
use thiserror::Error;

use crate::bench::Secrets;
use crate::case::{Case, Level, Process, Stage};
use crate::child::{Job, Line};
use crate::config::Config;
use crate::report::{Report, Result as CaseResult, Verdict};
use crate::sandbox::{End, Outcome, Sandbox, signal_name};

/// How a plugin is to be checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What has to be known of the target.
    pub config: Config,
    /// The cases to run, by their names or the first words of them; all where there are none.
    pub only: Vec<String>,
    /// Where what is made up begins; the same seed makes up the same.
    pub seed: u64,
    /// How long a case may take. A reply may take a third of it.
    pub timeout: Duration,
    /// How many cases run at once.
    pub jobs: usize,
    /// Whether the plugin runs in a process of its own, as hosts isolate plugins. Cases that look inside are skipped then.
    pub isolated: bool,
    /// The program that hosts it there, instead of the one that [`mlflow_deploy::plugin_host`] finds.
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
            plugin_host: None,
            arguments: Vec::new(),
        }
    }
}

/// Why nothing was checked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    #[error("no plugin at `{}`: {source}", path.display())]
    NoFile {
        /// What was given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no such case.
    #[error("`{0}` is no case, and no case's name begins so; `--list` shows them")]
    UnknownCase(String),
    /// This program cannot be started again.
    #[error("failed to find this very program, which is started again for each case: {0}")]
    NoProgram(std::io::Error),
    /// The program that plugins are isolated with is not there.
    #[error("failed to find the program that a plugin is isolated with: {0}")]
    NoPluginHost(mlflow_deploy::Refusal),
}

/// Checks a plugin. It is never loaded into this process: see [`child`](crate::child()), which has to be called first.
///
/// # Errors
/// Where nothing could be checked. What goes wrong in a single case is in the report.
pub fn run(plugin: &Path, options: &Options) -> Result<Report, Fault> {
    let begun = Instant::now();
    let plugin = plugin.canonicalize().map_err(|source| Fault::NoFile { path: plugin.to_owned(), source })?;
    let chosen = choose(&options.only)?;
    let sandbox = Sandbox {
        program: env::current_exe().map_err(Fault::NoProgram)?,
        arguments: options.arguments.clone(),
        timeout: options.timeout,
    };
    let manifest = manifest::read(&plugin).ok();
    let find = || mlflow_deploy::plugin_host(options.plugin_host.as_deref()).map_err(Fault::NoPluginHost);
    let plugin_host = options.isolated.then(find).transpose()?;
    let runner = Runner { sandbox, options, manifest: manifest.as_ref(), plugin: &plugin, plugin_host };
    let mut results = runner.gates(&chosen);
    let blocked = chosen
        .iter()
        .filter(|case| case.is_gate && results.get(case.id).is_some_and(|result| result.verdict.stops()))
        .min_by_key(|case| case.needs);
    let (ready, waiting): (Vec<_>, Vec<_>) = chosen
        .iter()
        .filter(|case| !results.contains_key(case.id))
        .partition(|case| blocked.is_none_or(|gate| case.needs <= gate.needs));
    results.extend(runner.all(&ready));
    for case in waiting {
        let why = format!("`{}` has to pass first", blocked.map_or("another case", |gate| gate.id));
        results.insert(case.id, CaseResult::new(case, Verdict::Skip, why));
    }
    Ok(Report {
        name: manifest.as_ref().map(|manifest| manifest.name.clone()),
        version: manifest.as_ref().map(|manifest| manifest.version.clone()),
        plugin,
        isolated: options.isolated,
        seed: options.seed,
        took: begun.elapsed(),
        results: chosen.iter().filter_map(|case| results.remove(case.id)).collect(),
    })
}

/// The cases that are meant by these names: a case by its own, and by any other all whose names begin so.
fn choose(only: &[String]) -> Result<Vec<&'static Case>, Fault> {
    let is_meant = |case: &Case, name: &String| match Case::by_id(name) {
        Some(exactly) => exactly.id == case.id,
        None => case.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')),
    };
    if let Some(unknown) = only.iter().find(|name| !Case::all().any(|case| is_meant(case, name))) {
        return Err(Fault::UnknownCase(unknown.clone()));
    }
    Ok(Case::all().filter(|case| only.is_empty() || only.iter().any(|name| is_meant(case, name))).collect())
}

struct Runner<'a> {
    sandbox: Sandbox,
    options: &'a Options,
    manifest: Option<&'a Manifest>,
    plugin: &'a Path,
    /// The program that hosts the plugin, where it is to be isolated.
    plugin_host: Option<PathBuf>,
}

type Results = BTreeMap<&'static str, CaseResult>;

impl Runner<'_> {
    /// Runs what the other cases rest on, stage by stage, until a stage is not reached.
    fn gates(&self, chosen: &[&'static Case]) -> Results {
        let mut results = Results::new();
        for stage in [Stage::File, Stage::Library, Stage::Table, Stage::Instance] {
            let gates: Vec<_> = chosen.iter().filter(|case| case.is_gate && case.needs == stage).collect();
            results.extend(self.all(&gates));
            if results.values().any(|result| result.verdict.stops()) {
                break;
            }
        }
        results
    }

    /// Runs cases side by side.
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
        if let (Some(why), true) = (case.inside, self.options.isolated) {
            return CaseResult::new(case, Verdict::Skip, format!("{why}: run without `--isolated`"));
        }
        let begun = Instant::now();
        let job = Job {
            case: case.id.to_owned(),
            plugin: self.plugin.to_owned(),
            config: self.options.config.clone(),
            seed: self.options.seed,
            plugin_host: self.plugin_host.clone(),
            patience_ms: u64::try_from(self.options.timeout.as_millis() / 3).unwrap_or(u64::MAX),
        };
        let ran = self.sandbox.run(&job, case.process, &self.environment(case.process));
        let mut result = match ran {
            Ok(outcome) => judge(case, outcome, self.options.timeout),
            Err(error) => CaseResult::new(case, Verdict::Fault, format!("the case could not be run: {error}")),
        };
        result.took = begun.elapsed();
        result
    }

    /// What a child finds in its environment.
    fn environment(&self, process: Process) -> Vec<(OsString, OsString)> {
        const PASSED_ON: [&str; 10] = [
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
        let passed = PASSED_ON.into_iter().chain(config.pass_environment.iter().map(String::as_str));
        let passed = passed.filter_map(|name| Some((name.into(), env::var_os(name)?)));
        let given = config.environment.iter().map(|(name, value)| (name.into(), value.into()));
        let secrets = match (process, self.manifest) {
            (Process::Secrets, Some(manifest)) => Secrets::of(manifest, config).variables,
            _ => Vec::new(),
        };
        passed.chain(given).chain(secrets.into_iter().map(|(name, value)| (name.into(), value.into()))).collect()
    }
}

/// Turns what became of a process into a verdict on the plugin.
fn judge(case: &Case, outcome: Outcome, timeout: Duration) -> CaseResult {
    let Outcome { end, mut log } = outcome;
    let (verdict, message, signal) = match end {
        End::Told(Line::Pass) => (Verdict::Pass, String::new(), None),
        End::Told(Line::Skip(why)) => (Verdict::Skip, why, None),
        End::Told(Line::Warn(why)) => (Verdict::Warn, why, None),
        End::Told(Line::Fail(why)) => (Verdict::Fail, why, None),
        End::Told(Line::Fault(why)) => (Verdict::Fault, why, None),
        End::Told(Line::Begun | Line::Log(_)) => (Verdict::Fault, "the case told no verdict".to_owned(), None),
        End::Hung => (Verdict::Fail, format!("it hung: no end after {} s", timeout.as_secs_f64()), None),
        End::Told(Line::Died { how, signal, log: printed }) => {
            log.extend(printed.into_iter().map(|line| format!("its log: {line}")));
            died(signal, format!("its process {how}"))
        }
        End::Died(status) => died(status.signal(), format!("it ended the process, with {status}")),
    };
    let verdict = match (verdict, case.level) {
        (Verdict::Fail, Level::Recommended) => Verdict::Warn,
        (verdict, _) => verdict,
    };
    let is_bad = matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Fault);
    let log = if is_bad { log } else { Vec::new() };
    CaseResult { signal, log, ..CaseResult::new(case, verdict, message) }
}

/// What the end of a process says of the plugin in it: by its signal, or else by these words.
fn died(signal: Option<i32>, otherwise: String) -> (Verdict, String, Option<String>) {
    match signal.map(signal_name) {
        // Neither a plugin's crash nor anything of ours ends a process so: the system or a person did.
        Some(name) if ["SIGHUP", "SIGINT", "SIGKILL", "SIGTERM"].contains(&name.as_str()) => {
            (Verdict::Fault, format!("somebody ended the case's process with {name}: out of memory?"), Some(name))
        }
        Some(name) => (Verdict::Fail, format!("it crashed: {name}"), Some(name)),
        None => (Verdict::Fail, otherwise, None),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn died(raw: i32) -> CaseResult {
        let outcome = Outcome { end: End::Died(ExitStatus::from_raw(raw)), log: vec!["last".to_owned()] };
        judge(Case::by_id("load-quiet").unwrap(), outcome, Duration::from_secs(1))
    }

    #[test]
    fn who_ended_a_process_is_told_from_what_it_died_of() {
        let crash = died(11);
        assert_eq!((crash.verdict, crash.message.as_str()), (Verdict::Fail, "it crashed: SIGSEGV"));
        assert_eq!((crash.signal.as_deref(), crash.log.len()), (Some("SIGSEGV"), 1));
        let killed = died(9);
        assert_eq!((killed.verdict, killed.signal.as_deref()), (Verdict::Fault, Some("SIGKILL")));
        let left = died(3 << 8);
        assert_eq!((left.verdict, left.message.as_str()), (Verdict::Fail, "it ended the process, with exit status: 3"));
    }

    #[test]
    fn the_end_of_an_isolated_plugin_is_as_good_as_that_of_the_case() {
        let died = |how: &str, signal| {
            let told = Line::Died { how: how.to_owned(), signal, log: vec!["last words".to_owned()] };
            let outcome = Outcome { end: End::Told(told), log: vec!["calls `predict`".to_owned()] };
            judge(Case::by_id("load-quiet").unwrap(), outcome, Duration::from_secs(1))
        };
        let crash = died("was ended by signal 6 (SIGABRT)", Some(6));
        assert_eq!((crash.verdict, crash.message.as_str()), (Verdict::Fail, "it crashed: SIGABRT"));
        assert_eq!((crash.signal.as_deref(), crash.log[1].as_str()), (Some("SIGABRT"), "its log: last words"));
        assert_eq!(died("was ended by signal 9 (SIGKILL)", Some(9)).verdict, Verdict::Fault);
        let left = died("ended with exit code 3", None);
        assert_eq!((left.verdict, left.message.as_str()), (Verdict::Fail, "its process ended with exit code 3"));
    }

    #[test]
    fn a_name_means_its_case_or_all_that_begin_so() {
        let chosen = |name: &str| choose(&[name.to_owned()]).map(|cases| cases.len());
        assert_eq!(chosen("operations-predict").unwrap(), 1);
        assert_eq!(chosen("fuzz").unwrap(), 3);
        assert!(matches!(chosen("fuz"), Err(Fault::UnknownCase(name)) if name == "fuz"));
    }
}
