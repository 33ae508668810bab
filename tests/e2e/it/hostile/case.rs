//! A call of a faulty plugin with its expected outcomes: one with the plugin in the host's process, and one with the
//! plugin isolated in a separate process.

use std::thread;

use super::fixture::{Outcome, Place, run};

/// The exit status of a program that aborted, without and with a core dump.
pub(super) const ABORT: &str = "signal: 6 (SIGABRT) | signal: 6 (SIGABRT) (core dumped)";

/// The error of a call if the process of the isolated plugin aborted.
pub(super) const ABORTED: &str = "PLUGIN_CRASHED: the plugin's process was killed by signal 6 (SIGABRT)";

/// The upper limit of the host's peak memory, in MiB. The messages of a plugin must not make the host exceed it.
const MAX_MEMORY: u64 = 512;

/// A call of a faulty plugin with its expected outcomes, in the host's process and isolated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    plugin: Plugin,
    operation: &'static str,
    /// The timeouts of the call in seconds: the first for the plugin in the host's process, the second for the isolated
    /// plugin. `None` means that the call has no timeout.
    timeouts: [Option<&'static str>; 2],
    /// True if the host tries the first load of a file in a separate process (the preflight), as the command does.
    has_preflight: bool,
    /// A text that an error in the host's log must contain, or `None` if the log is not checked.
    logged: Option<&'static str>,
    in_process: Expected,
    isolated: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Plugin {
    /// The plugin of `tests/fixtures/misbehave`, with the fault of this name.
    Misbehave(&'static str),
    /// The plugin of `tests/fixtures/panics`, called with this target URI and this endpoint.
    Panics(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The process of the host exits with one of these statuses, which are separated by ` | `.
    Exit(&'static str),
    /// The good plugin still replies. The result of the call contains one of these texts, which are separated by ` | `.
    Result(&'static str),
}

impl Case {
    const fn new(plugin: Plugin, operation: &'static str, in_process: Expected, isolated: &'static str) -> Self {
        Self { plugin, operation, timeouts: [None; 2], has_preflight: false, logged: None, in_process, isolated }
    }

    /// Returns a case that calls `predict` of the plugin with this fault. The expected result is the same in the host's
    /// process and isolated.
    pub(super) const fn result(fault: &'static str, result: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Result(result), result)
    }

    /// Returns a case that calls `predict` of the plugin with this fault. The expected result is `in_process` in the
    /// host's process, and `isolated` if the plugin is isolated.
    pub(super) const fn results(fault: &'static str, in_process: &'static str, isolated: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Result(in_process), isolated)
    }

    /// Returns a case that calls `predict` of the plugin with this fault, which ends the process of the plugin. The
    /// expected exit status of the host is `in_process`. If the plugin is isolated, the expected result of the call is
    /// `isolated`.
    pub(super) const fn exit(fault: &'static str, in_process: &'static str, isolated: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Exit(in_process), isolated)
    }

    /// Returns a case that calls an operation which panics in the plugin. The expected result is the same in the host's
    /// process and isolated.
    pub(super) const fn panic(operation: &'static str, result: &'static str) -> Self {
        Self::new(Plugin::Panics("panics", ""), operation, Expected::Result(result), result)
    }

    /// Returns a case that calls `predict` of a plugin whose panic ends its process. The expected exit status of the
    /// host is `in_process`. If the plugin is isolated, the expected result of the call is `isolated`.
    pub(super) const fn abort(in_process: &'static str, isolated: &'static str) -> Self {
        Self::new(Plugin::Panics("panics", ""), "predict", Expected::Exit(in_process), isolated)
    }

    pub(super) const fn with_preflight(self) -> Self {
        Self { has_preflight: true, ..self }
    }

    pub(super) const fn logs(self, text: &'static str) -> Self {
        assert!(!text.is_empty());
        Self { logged: Some(text), ..self }
    }

    pub(super) const fn operation(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    /// Sets a timeout of one second for the call, which would not end otherwise.
    pub(super) const fn with_timeout(self) -> Self {
        Self { timeouts: [Some("1"); 2], ..self }
    }

    /// Sets a timeout of five seconds for the call in the host's process. The fault takes effect within this time. The
    /// call of the isolated plugin gets no timeout, because the host ends it.
    pub(super) const fn with_timeout_in_process(self) -> Self {
        Self { timeouts: [Some("5"), None], ..self }
    }

    pub(super) const fn at(self, target: &'static str, endpoint: &'static str) -> Self {
        Self { plugin: Plugin::Panics(target, endpoint), ..self }
    }

    /// Runs the case in the host's process and isolated, and prints the case's row of the table. Panics if an outcome
    /// is not the expected one.
    pub(super) fn check(&self, name: &str) {
        let (in_process, isolated) = thread::scope(|scope| {
            let in_process = scope.spawn(|| self.run(Place::InProcess));
            let isolated = self.run(Place::Isolated);
            (in_process.join().unwrap(), isolated)
        });
        let result = match in_process.result.as_str() {
            result if result.is_empty() || result == isolated.result => isolated.result.clone(),
            result => format!("in process: {result}; isolated: {}", isolated.result),
        };
        let survived = |outcome: &Outcome| match outcome.is_alive {
            true => "yes".to_owned(),
            false => format!("no ({})", outcome.exit),
        };
        print_row(name, &result, &survived(&in_process), &survived(&isolated));
        let is_expected = match self.in_process {
            Expected::Exit(exits) => !in_process.is_alive && exits.split(" | ").any(|exit| in_process.exit == exit),
            Expected::Result(result) => self.survived(&in_process, result),
        };
        assert!(is_expected, "in process: expected {self:#?}, got {in_process:#?}");
        assert!(self.survived(&isolated, self.isolated), "isolated: expected {self:#?}, got {isolated:#?}");
    }

    /// Returns true if the good plugin replied, the result and the log are as expected, and the memory is below the
    /// limit. The result has to contain one of the texts in `results`, which are separated by ` | `.
    fn survived(&self, outcome: &Outcome, results: &str) -> bool {
        let has_result = results.split(" | ").any(|result| !result.is_empty() && outcome.result.contains(result));
        let has_logged = match (self.logged, &outcome.logged) {
            (Some(text), Some(logged)) => logged.contains(text),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let is_small = match outcome.memory {
            Some(peak) => peak < MAX_MEMORY,
            None => !cfg!(target_os = "linux"),
        };
        outcome.is_alive && has_result && has_logged && is_small
    }

    fn run(&self, place: Place) -> Outcome {
        let (package, fault, target, endpoint) = match self.plugin {
            Plugin::Misbehave(fault) => ("mlflow-deploy-fixture-misbehave", fault, "misbehave", ""),
            Plugin::Panics(target, endpoint) => ("mlflow-deploy-fixture-panics", "", target, endpoint),
        };
        let mut arguments = vec![target, self.operation, endpoint];
        if let Some(timeout) = self.timeouts[usize::from(place == Place::Isolated)] {
            arguments.extend(["--timeout", timeout]);
        }
        if let Some(text) = self.logged {
            arguments.extend(["--log", text]);
        }
        let state = tempfile::tempdir().unwrap();
        if self.has_preflight {
            arguments.extend(["--preflight", state.path().to_str().unwrap()]);
        }
        run(place, package, fault, &arguments)
    }
}

/// Prints a row of the table. The columns are the name of the test, the result that the host reported, and whether the
/// host survived: with the plugin in its process (`in_process`), and with the plugin isolated (`isolated`).
pub(super) fn print_row(name: &str, result: &str, in_process: &str, isolated: &str) {
    println!("| {name} | {} | {in_process} | {isolated} |", result.trim().replace('\n', "; ").replace('|', "\\|"));
}

/// Defines one test function for each named case.
macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $case.check(stringify!($name));
            }
        )*
    };
}

pub(super) use cases;
