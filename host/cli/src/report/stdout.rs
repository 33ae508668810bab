//! What verbs say when they are done: MLflow's sentences, or with `--json` the target's own answer.

use std::io::{self, Write};
use std::path::Path;

use mlflow_deploy::{Payload, Record, command};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;
use serde_json::Value;

use super::cli_error::CliError;
use super::output::{Output, Style};
use super::stderr::Stderr;
use crate::args::Global;

/// Writes what verbs have to say, in the way that the flags ask for.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    style: Style,
    talk: Stderr,
}

impl Report {
    pub(crate) fn new(global: &Global) -> Self {
        Self { style: Style { json: global.json, raw: global.raw }, talk: Stderr::new(global) }
    }

    /// Where all goes that is no answer.
    pub(crate) fn talk(&self) -> &Stderr {
        &self.talk
    }

    /// A value that is shown to a person by `text`, which brings its own line ends.
    pub(crate) fn value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if !self.style.json {
            return self.text(&text());
        }
        let json = serde_json::to_string(value).map_err(io::Error::from)?;
        self.write(text::json(&json).into_owned() + "\n")
    }

    /// A text for a person, which brings its own line ends.
    fn text(&self, text: &str) -> Result<(), CliError> {
        self.write(text::block(text).into_owned())
    }

    fn write(&self, text: String) -> Result<(), CliError> {
        self.talk.rest();
        Ok(command::stdout()?.write_all(text.as_bytes())?)
    }

    /// A sentence made of the answer; with `--json` the answer itself.
    pub(crate) fn done(&self, answer: &Payload, sentence: impl FnOnce(&Payload) -> String) -> Result<(), CliError> {
        if self.style.json {
            return self.output(None)?.document(answer);
        }
        self.text(&sentence(answer))
    }

    /// One of many answers, at once: a sentence made of it, or with `--json` the answer on a line of its own.
    pub(crate) fn event(&self, event: &Payload, sentence: impl FnOnce(&Payload) -> String) -> Result<(), CliError> {
        if self.style.json {
            return self.output(None)?.line(event);
        }
        self.text(&sentence(event))
    }

    /// A list of records, in MLflow's words.
    pub(crate) fn list(&self, what: &str, list: &Payload) -> Result<(), CliError> {
        let mut output = self.output(None)?;
        if !self.style.json {
            output.text(&format!("List of all {what}:\n"))?;
        }
        output.document(list)
    }

    /// One record: a line for each member, as MLflow shows it.
    pub(crate) fn record(&self, answer: &Payload) -> Result<(), CliError> {
        if self.style.json {
            return self.output(None)?.document(answer);
        }
        let record = Record::try_from(answer)?;
        let line = |(key, value): (&String, &Value)| match value {
            Value::String(text) => format!("{}: {}\n", text::line(key), text::message(text)),
            other => format!("{}: {other}\n", text::line(key)),
        };
        self.text(&(record.members().iter().map(line).collect::<String>() + "\n\n"))
    }

    /// Where a verb's result goes: stdout, or a file.
    pub(crate) fn output(&self, path: Option<&Path>) -> Result<Output, CliError> {
        Output::open(path, self.style, self.talk.clone())
    }

    /// Says how a verb failed; gives its exit code.
    pub(crate) fn failure(&self, failure: &CliError) -> u8 {
        self.talk.rest();
        failure.report(&self.talk, self.style.json)
    }
}
