//! The writer of stderr: errors, warnings, plugin events, and a spinner on a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mlflow_deploy::{Level, PluginEvent};
use mlflow_deploy_plugin_api::text;
use serde_json::{Value, json};

use crate::args::Global;

const SPINNER: &str = "{spinner} {elapsed} {msg}";

const BAR: &str = "{spinner} {elapsed} {bar:20} {percent} %, {eta} left, {msg}";

/// The maximum number of warnings and errors of plugins that a command prints without `--verbose`.
const MAX_PLUGIN_WARNINGS: usize = 100;

/// The writer of stderr. Clones share the spinner.
#[derive(Clone, Debug)]
pub(crate) struct Stderr {
    /// The least severe level of messages to print.
    max_level: Level,
    spinner: ProgressBar,
    /// True if stderr is a terminal that may show the spinner.
    has_spinner: bool,
    json: bool,
}

impl Stderr {
    pub(crate) fn new(global: &Global) -> Self {
        let max_level = match (global.quiet, global.verbose) {
            (true, _) => Level::Error,
            (false, 0) => Level::Warn,
            (false, 1) => Level::Info,
            (false, _) => Level::Debug,
        };
        let has_spinner = !global.quiet && !global.json && io::stderr().is_terminal();
        Self { max_level, has_spinner, json: global.json, ..Self::silent() }
    }

    /// Returns a writer that prints only errors, without a spinner.
    pub(crate) fn silent() -> Self {
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style(SPINNER));
        Self { max_level: Level::Error, spinner, has_spinner: false, json: false }
    }

    /// Prints a warning, unless `--quiet` is given.
    pub(crate) fn warning(&self, message: &str) {
        self.log(Level::Warn, message);
    }

    /// Prints an information, if `--verbose` is given.
    pub(crate) fn info(&self, message: &str) {
        self.log(Level::Info, message);
    }

    /// Prints a message without a label such as `warning:`. Prints nothing if `--quiet` is given.
    pub(crate) fn note(&self, message: &str) {
        if self.max_level > Level::Error {
            self.line(&text::message(message));
        }
    }

    /// Returns a listener that prints the events of plugins, and the events of the host about plugins. Without
    /// `--verbose`, it prints only the first [`MAX_PLUGIN_WARNINGS`].
    pub(crate) fn listener(&self) -> impl Fn(PluginEvent) + Send + Sync + 'static {
        let (stderr, printed) = (self.clone(), AtomicUsize::new(0));
        move |PluginEvent { plugin, call, level, event, .. }| {
            // Ignores events outside of a call.
            if level == Level::Info && call != 0 {
                let progress =
                    event.progress.map(|progress| format!(" ({:.0} %)", progress * 100.0)).unwrap_or_default();
                stderr.spinner.set_message(format!("{}{progress}", text::line(&event.message)));
            }
            if level <= stderr.max_level && stderr.max_level <= Level::Warn {
                let number = printed.fetch_add(1, Ordering::Relaxed);
                if number == MAX_PLUGIN_WARNINGS {
                    stderr.warning("more warnings of plugins are not shown: use `--verbose` to see them");
                }
                if number >= MAX_PLUGIN_WARNINGS {
                    return;
                }
            }
            stderr.log(level, &format!("{} (plugin {plugin})", event.message));
        }
    }

    /// Shows a spinner with the elapsed time, if stderr is a terminal.
    pub(crate) fn show_spinner(&self) {
        if self.has_spinner {
            self.spinner.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Makes the spinner a bar of this length. Without a length, it stays a spinner.
    pub(crate) fn show_bar(&self, length: Option<u64>) {
        if let Some(length) = length {
            self.spinner.set_length(length);
            self.spinner.set_style(style(BAR));
        }
    }

    /// Sets the position and the message of the bar. The first position is the start of the work, for the estimate.
    pub(crate) fn set_bar(&self, position: u64, message: String, is_first: bool) {
        self.spinner.set_position(position);
        self.spinner.set_message(message);
        if is_first {
            self.spinner.reset_eta();
        }
    }

    /// Draws the next frame of the spinner.
    pub(crate) fn tick_spinner(&self) {
        if self.has_spinner {
            self.spinner.tick();
        }
    }

    /// Removes the spinner permanently. Called before other output is written.
    pub(crate) fn hide_spinner(&self) {
        self.spinner.finish_and_clear();
    }

    /// Writes a line. The caller must escape control characters in it.
    pub(crate) fn line(&self, line: &impl Display) {
        // A failure cannot be reported: stderr is the only channel for it.
        self.spinner.suspend(|| drop(writeln!(io::stderr().lock(), "{line}")));
    }

    /// Writes a JSON document as one line.
    pub(crate) fn json(&self, document: &Value) {
        self.line(&text::json(&document.to_string()));
    }

    /// Returns true if `--json` is given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a JSON document as one line, unless `--quiet` is given.
    pub(crate) fn json_note(&self, document: &Value) {
        if self.max_level > Level::Error {
            self.json(document);
        }
    }

    fn log(&self, level: Level, message: &str) {
        if level > self.max_level {
            return;
        }
        let label = match level {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            _ => "debug",
        };
        if self.json {
            self.json(&json!({ label: { "message": message } }));
        } else {
            self.line(&text::message(&format!("{label}: {message}")));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well-formed")
}
