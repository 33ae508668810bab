//! What goes to stderr: warnings, what plugins say, errors, and on a terminal a spinner while one waits.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mlflow_deploy::{Level, PluginEvent};
use mlflow_deploy_plugin_api::text;
use serde_json::{Value, json};

use crate::args::Global;

/// The writer of stderr. Clones share the spinner.
#[derive(Clone, Debug)]
pub(crate) struct Stderr {
    /// The least that matters enough to be said.
    least: Level,
    spinner: ProgressBar,
    /// Whether somebody is there to see the spinner.
    is_watched: bool,
    json: bool,
}

impl Stderr {
    pub(crate) fn new(global: &Global) -> Self {
        let least = match (global.quiet, global.verbose) {
            (true, _) => Level::Error,
            (false, 0) => Level::Warn,
            (false, 1) => Level::Info,
            (false, _) => Level::Debug,
        };
        let is_watched = !global.quiet && !global.json && io::stderr().is_terminal();
        Self { least, is_watched, json: global.json, ..Self::silent() }
    }

    /// One that says errors only, and has no spinner.
    pub(crate) fn silent() -> Self {
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { least: Level::Error, spinner, is_watched: false, json: false }
    }

    /// Something that the user should know, though the verb goes on.
    pub(crate) fn warning(&self, message: &str) {
        self.say(Level::Warn, message);
    }

    /// A word that is neither a warning nor an error.
    pub(crate) fn remark(&self, message: &str) {
        if self.least > Level::Error {
            self.line(&text::message(message));
        }
    }

    /// Receives what plugins say, and the host of them.
    pub(crate) fn listener(&self) -> impl Fn(PluginEvent) + Send + Sync + 'static {
        let talk = self.clone();
        move |said| {
            let PluginEvent { plugin, call, level, event, .. } = said;
            // What concerns no call is no news of the one that is waited for.
            if level == Level::Info && call != 0 {
                let done = event.progress.map(|done| format!(" ({:.0} %)", done * 100.0)).unwrap_or_default();
                talk.spinner.set_message(format!("{}{done}", text::line(&event.message)));
            }
            talk.say(level, &format!("{} (plugin {plugin})", event.message));
        }
    }

    /// Shows on a terminal that something is going on, and for how long.
    pub(crate) fn spin(&self) {
        if self.is_watched {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is well-formed");
            self.spinner.set_style(style);
            self.spinner.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Turns the spinner.
    pub(crate) fn turn(&self) {
        if self.is_watched {
            self.spinner.tick();
        }
    }

    /// Takes the spinner away, for good: something else is shown from now on.
    pub(crate) fn rest(&self) {
        self.spinner.finish_and_clear();
    }

    /// Writes a line, which the caller has made safe to show.
    pub(crate) fn line(&self, line: &impl Display) {
        // Nobody reads stderr where this fails, and there is nowhere else to say so.
        self.spinner.suspend(|| drop(writeln!(io::stderr().lock(), "{line}")));
    }

    /// Writes a JSON document on a line.
    pub(crate) fn json(&self, document: &Value) {
        self.line(&text::json(&document.to_string()));
    }

    fn say(&self, level: Level, message: &str) {
        if level > self.least {
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
