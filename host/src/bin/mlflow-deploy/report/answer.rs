//! What verbs say when they are done: MLflow's sentences, or with `--json` the target's own answer.

use std::io::{self, Write};
use std::path::Path;

use mlflow_deploy::{Payload, Record};
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::output::Output;
use super::talk::{Talk, printable};
use crate::args::Global;

/// Writes what verbs have to say, in the way that the flags ask for.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    json: bool,
    talk: Talk,
}

impl Report {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json, talk: Talk::new(global) }
    }

    /// Where all goes that is no answer.
    pub(crate) fn talk(&self) -> &Talk {
        &self.talk
    }

    /// A value that is shown to a person by `text`, which brings its own line ends.
    pub(crate) fn value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if !self.json {
            return self.text(&text());
        }
        self.talk.rest();
        let mut stdout = io::stdout().lock();
        let json = serde_json::to_string(value).map_err(io::Error::from)?;
        writeln!(stdout, "{json}")?;
        Ok(stdout.flush()?)
    }

    /// A text for a person, which brings its own line ends.
    fn text(&self, text: &str) -> Result<(), Failure> {
        self.talk.rest();
        let mut stdout = io::stdout().lock();
        stdout.write_all(printable(text).as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// A sentence made of the answer; with `--json` the answer itself.
    pub(crate) fn done(&self, answer: &Payload, sentence: impl FnOnce(&Payload) -> String) -> Result<(), Failure> {
        if self.json {
            return self.output(None)?.document(answer);
        }
        self.text(&sentence(answer))
    }

    /// One of many answers, at once: a sentence made of it, or with `--json` the answer on a line of its own.
    pub(crate) fn event(&self, event: &Payload, sentence: impl FnOnce(&Payload) -> String) -> Result<(), Failure> {
        if self.json {
            return self.output(None)?.line(event);
        }
        self.text(&sentence(event))
    }

    /// A list of records, in MLflow's words.
    pub(crate) fn list(&self, what: &str, list: &Payload) -> Result<(), Failure> {
        let mut output = self.output(None)?;
        if !self.json {
            self.talk.rest();
            writeln!(output.sink, "List of all {what}:")?;
        }
        output.document(list)
    }

    /// One record: a line for each member, as MLflow shows it.
    pub(crate) fn record(&self, answer: &Payload) -> Result<(), Failure> {
        if self.json {
            return self.output(None)?.document(answer);
        }
        let record = Record::try_from(answer)?;
        let line = |(key, value): (&String, &Value)| match value {
            Value::String(text) => format!("{key}: {text}\n"),
            other => format!("{key}: {other}\n"),
        };
        self.text(&(record.members().iter().map(line).collect::<String>() + "\n\n"))
    }

    /// Where a verb's result goes: stdout, or a file.
    pub(crate) fn output(&self, path: Option<&Path>) -> Result<Output, Failure> {
        Output::open(path, self.json, self.talk.clone())
    }

    /// Says how a verb failed; gives its exit code.
    pub(crate) fn failure(&self, failure: &Failure) -> u8 {
        self.talk.rest();
        failure.report(&self.talk, self.json)
    }
}
