//! The writer of stdout. It writes the messages of MLflow, or the target's reply if `--json` is given.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use mlflow_deploy::{Payload, Record, command};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cli_error::CliError;
use super::output::{Output, Style};
use super::stderr::Stderr;
use crate::args::Global;

/// Writes the output of verbs in the format that the options select.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    style: Style,
    stderr: Stderr,
}

impl Report {
    pub(crate) fn new(global: &Global) -> Self {
        Self { style: Style { json: global.json, raw: global.raw }, stderr: Stderr::new(global) }
    }

    /// Returns the writer of warnings and errors.
    pub(crate) fn stderr(&self) -> &Stderr {
        &self.stderr
    }

    /// Returns true if `--json` is given.
    pub(crate) fn is_json(&self) -> bool {
        self.style.json
    }

    /// Writes `text`, which must end with a line end. If `--json` is given, writes `value` as JSON instead.
    pub(crate) fn write_value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if !self.style.json {
            return self.write_text(&text());
        }
        let json = serde_json::to_string(value).map_err(io::Error::from)?;
        self.write(text::json(&json).into_owned() + "\n")
    }

    /// Writes a text, which must end with a line end.
    fn write_text(&self, text: &str) -> Result<(), CliError> {
        self.write(text::block(text).into_owned())
    }

    fn write(&self, text: String) -> Result<(), CliError> {
        self.stderr.hide_spinner();
        Ok(command::stdout()?.write_all(text.as_bytes())?)
    }

    /// Writes `message`, which describes the target's reply. If `--json` is given, writes the reply itself instead.
    pub(crate) fn write_confirmation(
        &self,
        reply: &Payload,
        message: impl FnOnce(&Payload) -> String,
    ) -> Result<(), CliError> {
        if self.style.json {
            return self.open_output(None)?.write_document(reply);
        }
        self.write_text(&message(reply))
    }

    /// Writes `message`, which describes an event of a model server. If `--json` is given, writes the event as one line
    /// of JSON instead. Flushes the output.
    pub(crate) fn write_event(
        &self,
        event: &Payload,
        message: impl FnOnce(&Payload) -> String,
    ) -> Result<(), CliError> {
        if self.style.json {
            return self.open_output(None)?.write_line(event);
        }
        self.write_text(&message(event))
    }

    /// Writes a list of records. Writes MLflow's title above it, unless `--json` is given.
    pub(crate) fn write_list(&self, title: &str, list: &Payload) -> Result<(), CliError> {
        let mut output = self.open_output(None)?;
        if !self.style.json {
            output.write_text(&format!("List of all {title}:\n"))?;
        }
        output.write_document(list)
    }

    /// Writes a record as MLflow does: one line for each member. If `--json` is given, writes the JSON of the record
    /// instead.
    pub(crate) fn write_record(&self, reply: &Payload) -> Result<(), CliError> {
        if self.style.json {
            return self.open_output(None)?.write_document(reply);
        }
        let record = Record::try_from(reply)?;
        // The JSON of each member: an integer beyond 64 bits keeps its digits.
        let json: HashMap<String, &RawValue> = serde_json::from_str(record.as_json()).map_err(io::Error::from)?;
        let line = |(key, value): (&String, &Value)| match (value, json.get(key)) {
            (Value::String(text), _) => format!("{}: {}\n", text::line(key), text::message(text)),
            (_, Some(json)) => format!("{}: {}\n", text::line(key), compact(json.get())),
            (other, None) => format!("{}: {other}\n", text::line(key)),
        };
        self.write_text(&(record.members().iter().map(line).collect::<String>() + "\n\n"))
    }

    /// Opens the destination of a verb's result: a file, or stdout.
    pub(crate) fn open_output(&self, path: Option<&Path>) -> Result<Output, CliError> {
        Output::open(path, self.style, self.stderr.clone())
    }

    /// Prints the error of a verb and returns the exit code.
    pub(crate) fn write_error(&self, error: &CliError) -> u8 {
        self.stderr.hide_spinner();
        error.print(&self.stderr, self.style.json)
    }
}

/// Returns a JSON text without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let mut is_kept = |each: &char| {
        let is_end = *each == '"' && !is_escaped;
        is_escaped = *each == '\\' && !is_escaped;
        in_string ^= is_end;
        in_string || is_end || !each.is_ascii_whitespace()
    };
    json.chars().filter(|each| is_kept(each)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_removes_white_space_between_tokens_only() {
        let json = "{ \"a \\\" b\\\\\" :\r\n [ 1, 18446744073709551616 ,\t\" \"] }";
        assert_eq!(compact(json), "{\"a \\\" b\\\\\":[1,18446744073709551616,\" \"]}");
    }
}
