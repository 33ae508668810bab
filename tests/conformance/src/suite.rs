//! Runs all conformance cases as a test in the crate of a plugin.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cargo_build::{build_library, place_of_this_test};
use crate::config::Config;
use crate::report::{Format, Report};
use crate::run::{Options, run};

/// A run of all conformance cases as a test. The function [`suite`] creates it.
#[derive(Debug)]
#[must_use = "no case runs until `check` is called"]
pub struct Suite {
    plugin: PathBuf,
    options: Options,
    /// True if the harness started this process to run a single case, and that case has run.
    is_done: bool,
}

/// Returns the conformance tests of a plugin, for use in a test. [`Suite::check`] runs them. The plugin has to be built
/// already, and may be written in any language. A test in the plugin's own crate uses
/// [`suite_of_this_crate`](crate::suite_of_this_crate), which builds the plugin first.
///
/// Each conformance case runs in a separate process: the test program is started again with only this test.
///
/// ```no_run
/// #[test]
/// fn plugin_is_conformant() {
///     mlflow_deploy_conformance::suite("build/libmy_target.so").config("conformance.toml").check();
/// }
/// ```
pub fn suite(plugin: impl Into<PathBuf>) -> Suite {
    Suite::new(crate::child(), plugin.into())
}

/// Builds the plugin of the package in the folder `package` with cargo, and returns its conformance tests.
/// [`Suite::check`] runs them. Cargo gets the further arguments `arguments`.
///
/// The build uses the profile and the target folder of the running test.
///
/// # Panics
/// Panics if the package does not build, or has no shared library.
pub fn suite_of(package: impl AsRef<Path>, arguments: &[&str]) -> Suite {
    // The process of a case does not build, because it receives the path of the library with its job.
    if crate::child() {
        return Suite::new(true, PathBuf::new());
    }
    let built = build_library(package.as_ref(), arguments, &place_of_this_test());
    Suite::new(false, built.unwrap_or_else(|error| fail(&error)))
}

/// Builds the plugin of this crate with cargo, and returns its conformance tests. The method `check` runs them. Cargo
/// gets the arguments of the macro.
///
/// `cargo test` does not build the shared library of a crate, so without this build a test would check an outdated
/// library. The build uses the profile and the target folder of the running test.
///
/// ```no_run
/// #[test]
/// fn plugin_is_conformant() {
///     mlflow_deploy_conformance::suite_of_this_crate!().config("conformance.toml").check();
/// }
///
/// #[test]
/// fn plugin_is_conformant_with_a_feature() {
///     mlflow_deploy_conformance::suite_of_this_crate!("--features", "extra").check();
/// }
/// ```
#[macro_export]
macro_rules! suite_of_this_crate {
    ($($argument:expr),* $(,)?) => {
        $crate::suite_of(::std::env!("CARGO_MANIFEST_DIR"), &[$($argument),*])
    };
}

impl Suite {
    fn new(is_done: bool, plugin: PathBuf) -> Self {
        Self { plugin, options: Options { arguments: child_arguments(), ..Options::default() }, is_done }
    }

    /// Reads the configuration of the conformance tests from a TOML file, such as `conformance.toml`.
    ///
    /// # Panics
    /// Panics if the file cannot be read, is not TOML, or has an unknown key.
    pub fn config(mut self, path: impl AsRef<Path>) -> Self {
        let config = Config::read(path.as_ref());
        self.options.config = config.unwrap_or_else(|error| fail(&error.to_string()));
        self
    }

    /// Makes the plugin run in a separate process, as it runs if a host isolates it.
    pub fn isolated(mut self) -> Self {
        self.options.isolated = true;
        self
    }

    /// Makes a case fail if it is unproven. A case is unproven if a call that it needs does not succeed.
    pub fn strict(mut self) -> Self {
        self.options.strict = true;
        self
    }

    /// Sets the timeout of each case. The plugin has to reply to a call within a third of it. The default is one minute, which
    /// may be too short for an unoptimized build on a busy machine.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Sets the path of the program `mlflow-deploy-plugin-host`, which runs an isolated plugin. By default, the host
    /// searches for this program.
    pub fn plugin_host(mut self, program: impl Into<PathBuf>) -> Self {
        self.options.plugin_host = Some(program.into());
        self
    }

    /// Replaces all options, including those that other methods of this type have set.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Options { arguments: self.options.arguments, ..options };
        self
    }

    /// Runs the conformance cases and returns the report.
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

/// Returns the arguments with which a new process of this program runs only the current test. The thread of a test has
/// the name of the test. On the main thread or an unnamed thread, returns the arguments of this process.
fn child_arguments() -> Vec<OsString> {
    match std::thread::current().name() {
        None | Some("main") => env::args_os().skip(1).collect(),
        Some(test) => [test, "--exact", "--nocapture", "--test-threads=1"].map(OsString::from).into(),
    }
}
