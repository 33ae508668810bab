//! A call of a faulty plugin, in the host's process and isolated, and the expected outcomes.

use std::thread;

use super::fixture::{Outcome, Place, run};

/// The exit status of an aborted program, with and without a core dump.
pub(super) const ABORT: &str = "signal: 6 (SIGABRT) | signal: 6 (SIGABRT) (core dumped)";

/// The error of a call whose isolated plugin aborted.
pub(super) const ABORTED: &str = "PLUGIN_CRASHED: the plugin's process was killed by signal 6 (SIGABRT)";

/// The memory limit of the host in MiB. The messages of a plugin must not count towards it.
const MAX_MEMORY: u64 = 512;

/// A call of a faulty plugin, and its outcome in both places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    plugin: Plugin,
    operation: &'static str,
    /// The timeout of the call in seconds: in process, and isolated.
    timeouts: [Option<&'static str>; 2],
    /// True if the host checks first loads, as the command does.
    has_preflight: bool,
    /// A part of an error that the host must log.
    logged: Option<&'static str>,
    in_process: Expected,
    isolated: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Plugin {
    /// The plugin of `tests/fixtures/misbehave`, with this fault.
    Misbehave(&'static str),
    /// The plugin of `tests/fixtures/panics`, with this target and endpoint.
    Panics(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The program exits with one of these statuses, separated by ` | `.
    Exit(&'static str),
    /// The good plugin still replies, and the result of the call contains one of these texts, separated by ` | `.
    Result(&'static str),
}

impl Case {
    const fn new(plugin: Plugin, operation: &'static str, in_process: Expected, isolated: &'static str) -> Self {
        Self { plugin, operation, timeouts: [None; 2], has_preflight: false, logged: None, in_process, isolated }
    }

    /// A `predict` with this fault that has the same result in both places.
    pub(super) const fn result(fault: &'static str, result: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Result(result), result)
    }

    /// A `predict` with this fault that has different results in process and isolated.
    pub(super) const fn results(fault: &'static str, in_process: &'static str, isolated: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Result(in_process), isolated)
    }

    /// A `predict` with this fault that ends the process of the plugin.
    pub(super) const fn exit(fault: &'static str, in_process: &'static str, isolated: &'static str) -> Self {
        Self::new(Plugin::Misbehave(fault), "predict", Expected::Exit(in_process), isolated)
    }

    /// An operation that panics in the plugin and has the same result in both places.
    pub(super) const fn panic(operation: &'static str, result: &'static str) -> Self {
        Self::new(Plugin::Panics("panics", ""), operation, Expected::Result(result), result)
    }

    /// A `predict` that panics in the plugin and ends its process.
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

    /// Sets the timeout of a call that nothing else ends.
    pub(super) const fn with_timeout(self) -> Self {
        Self { timeouts: [Some("1"); 2], ..self }
    }

    /// Sets the timeout of the call in process, longer because the call must take effect before. The host ends the
    /// isolated one.
    pub(super) const fn with_timeout_in_process(self) -> Self {
        Self { timeouts: [Some("5"), None], ..self }
    }

    pub(super) const fn at(self, target: &'static str, endpoint: &'static str) -> Self {
        Self { plugin: Plugin::Panics(target, endpoint), ..self }
    }

    /// Runs the case in both places and prints its row of the table.
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

    /// Returns true if the good plugin replied, the result and the log are the expected ones, and memory was limited.
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

/// Prints a row of the table: the test, what the host reported, and whether its process survived in process and isolated.
pub(super) fn print_row(name: &str, result: &str, in_process: &str, isolated: &str) {
    println!("| {name} | {} | {in_process} | {isolated} |", result.trim().replace('\n', "; ").replace('|', "\\|"));
}

/// Defines a test for each case.
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
