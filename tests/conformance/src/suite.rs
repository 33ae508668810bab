//! The harness as one test of a plugin's own crate.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::report::{Format, Report};
use crate::run::{Options, run};

/// All cases as one test. See [`suite`].
#[derive(Debug)]
#[must_use = "no case runs until `check` is called"]
pub struct Suite {
    plugin: PathBuf,
    options: Options,
    /// True if this process was started for a case and has run it.
    is_done: bool,
}

/// Checks a built plugin as one test of its own crate.
///
/// Each case runs in a separate process: this test program, started again for this test.
///
/// ```no_run
/// #[test]
/// fn plugin_is_conformant() {
///     mlflow_deploy_conformance::suite("target/debug/libmy_target.so").config("conformance.toml").check();
/// }
/// ```
pub fn suite(plugin: impl Into<PathBuf>) -> Suite {
    let is_done = crate::child();
    Suite { plugin: plugin.into(), options: Options { arguments: child_arguments(), ..Options::default() }, is_done }
}

impl Suite {
    /// Reads a `conformance.toml`.
    ///
    /// # Panics
    /// Panics if the file cannot be read, is not TOML, or has an unknown key.
    pub fn config(mut self, path: impl AsRef<Path>) -> Self {
        let config = Config::read(path.as_ref());
        self.options.config = config.unwrap_or_else(|error| fail(&error.to_string()));
        self
    }

    /// Runs the plugin in a separate process, as hosts isolate plugins.
    pub fn isolated(mut self) -> Self {
        self.options.isolated = true;
        self
    }

    /// Fails the cases that are not proven.
    pub fn strict(mut self) -> Self {
        self.options.strict = true;
        self
    }

    /// Sets the plugin host program. Default: the `mlflow-deploy-plugin-host` that the host finds.
    pub fn plugin_host(mut self, program: impl Into<PathBuf>) -> Self {
        self.options.plugin_host = Some(program.into());
        self
    }

    /// Replaces the default options.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Options { arguments: self.options.arguments, ..options };
        self
    }

    /// Runs the cases.
    ///
    /// # Panics
    /// Panics with the report if the plugin is not conformant, and with the error if no case could run.
    pub fn check(self) -> Report {
        if self.is_done {
            return Report::default();
        }
        let report = run(&self.plugin, &self.options).unwrap_or_else(|error| fail(&error.to_string()));
        if report.exit_code() != 0 {
            fail(&report.write(Format::Text));
        }
        report
    }
}

#[expect(clippy::panic, reason = "a test fails with a panic")]
fn fail(message: &str) -> ! {
    panic!("{message}")
}

/// Returns the arguments with which a new process of this program reaches the running test. The name of a test is the
/// name of its thread; a program without tests gets its own arguments again.
fn child_arguments() -> Vec<OsString> {
    match std::thread::current().name() {
        None | Some("main") => env::args_os().skip(1).collect(),
        Some(test) => [test, "--exact", "--nocapture", "--test-threads=1"].map(OsString::from).into(),
    }
}
