//! The whole harness as one test of an author's crate.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::report::{Format, Report};
use crate::run::{Options, run};

/// The cases as one test. See [`suite`].
#[derive(Debug)]
#[must_use = "nothing is checked before `check` is called"]
pub struct Suite {
    plugin: PathBuf,
    options: Options,
    /// Whether this process was started for a case, and has done it.
    is_done: bool,
}

/// Checks a built plugin as one test of the author's own crate.
///
/// Each case runs in a process of its own: this test program, started again for this very test.
///
/// ```no_run
/// #[test]
/// fn it_is_conformant() {
///     mlflow_deploy_conformance::suite("target/debug/libmy_target.so").config("conformance.toml").check();
/// }
/// ```
pub fn suite(plugin: impl Into<PathBuf>) -> Suite {
    let is_done = crate::child();
    Suite { plugin: plugin.into(), options: Options { arguments: again(), ..Options::default() }, is_done }
}

impl Suite {
    /// Reads a `conformance.toml`.
    ///
    /// # Panics
    /// Where it cannot be read, or says something that is not known.
    pub fn config(mut self, path: impl AsRef<Path>) -> Self {
        let read = Config::read(path.as_ref());
        self.options.config = read.unwrap_or_else(|error| complain(&error.to_string()));
        self
    }

    /// Runs the plugin in a process of its own, as hosts isolate plugins.
    pub fn isolated(mut self) -> Self {
        self.options.isolated = true;
        self
    }

    /// Isolates the plugin with this program, in the place of the `mlflow-deploy-plugin-host` that is found.
    pub fn plugin_host(mut self, program: impl Into<PathBuf>) -> Self {
        self.options.plugin_host = Some(program.into());
        self
    }

    /// Takes these options in the place of the usual ones.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Options { arguments: self.options.arguments, ..options };
        self
    }

    /// Runs the cases.
    ///
    /// # Panics
    /// Where the plugin is not conformant, with the report; and where nothing could be checked, with the reason.
    pub fn check(self) -> Report {
        if self.is_done {
            return Report::default();
        }
        let report = run(&self.plugin, &self.options).unwrap_or_else(|fault| complain(&fault.to_string()));
        if report.exit_code() != 0 {
            complain(&report.write(Format::Text));
        }
        report
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn complain(what: &str) -> ! {
    panic!("{what}")
}

/// The arguments that lead a new process of this program to where this one is. Tests run in threads that are named after
/// them; a program without tests is simply started again.
fn again() -> Vec<OsString> {
    match std::thread::current().name() {
        None | Some("main") => env::args_os().skip(1).collect(),
        Some(test) => [test, "--exact", "--nocapture", "--test-threads=1"].map(OsString::from).into(),
    }
}
