//! Where a verb's result goes: stdout, or a file that is replaced only when the result is complete.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy::{Payload, Replacement, command};
use mlflow_deploy_plugin_api::text;
use serde_json::json;

use super::cli_error::CliError;
use super::stderr::Stderr;

/// Where a verb's result goes.
pub(crate) struct Output {
    sink: Sink,
    style: Style,
    talk: Stderr,
}

/// How results are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// As JSON.
    pub(super) json: bool,
    /// As they came, whatever a terminal makes of it.
    pub(super) raw: bool,
}

/// Stdout, or a file with the path that was given for it.
enum Sink {
    File(Replacement, PathBuf),
    Stdout(File),
}

impl Output {
    /// Opens it: stdout, which is `-` too, or a file.
    pub(super) fn open(path: Option<&Path>, style: Style, talk: Stderr) -> Result<Self, CliError> {
        let sink = match path.filter(|path| *path != Path::new("-")) {
            None => Sink::Stdout(command::stdout()?),
            Some(path) => {
                let file = Replacement::begin(path).map_err(|error| not_written(path, &error))?;
                Sink::File(file, path.to_owned())
            }
        };
        Ok(Self { sink, style, talk })
    }

    /// Whether the other would take its place.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        match (&self.sink, &other.sink) {
            (Sink::File(one, _), Sink::File(other, _)) => one.is_same_file(other),
            _ => false,
        }
    }

    /// The whole result.
    pub(crate) fn document(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.talk.rest();
        self.write_document(payload).map_err(|failure| self.at_its_path(failure))
    }

    /// One of many results, as JSON on a line of its own, at once.
    pub(crate) fn line(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.talk.rest();
        self.write_line(payload).map_err(|failure| self.at_its_path(failure))
    }

    /// What is no result of the target's.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.talk.rest();
        self.write(text.as_bytes().into()).map_err(|failure| self.at_its_path(failure))
    }

    fn write_document(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.write(match (self.style.json, payload.bytes().is_empty()) {
            (true, _) if !payload.is_json() => self.wrapped(payload)?.into(),
            (true, true) => b"null".into(),
            _ => payload.bytes().into(),
        })?;
        // MLflow ends what it prints with a line end, and what it writes to a file without.
        if !matches!(&self.sink, Sink::File(file, _) if file.is_file()) {
            self.sink.write_all(b"\n")?;
        }
        Ok(())
    }

    fn write_line(&mut self, payload: &Payload) -> Result<(), CliError> {
        let mut line = if payload.bytes().is_empty() {
            b"null".to_vec()
        } else if payload.is_json() {
            // A line end between two tokens of JSON is white space; inside a string it cannot stand.
            let on_one_line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
            payload.bytes().trim_ascii_end().iter().map(on_one_line).collect()
        } else {
            self.wrapped(payload)?
        };
        line.push(b'\n');
        self.write(line.into())
    }

    /// Writes as the style and the sink have it: neither a terminal nor what reads the one JSON document of `--json` gets
    /// characters that command a terminal. Files and pipes get the bytes as they came.
    fn write(&mut self, bytes: Cow<'_, [u8]>) -> Result<(), CliError> {
        let is_document = self.style.json && matches!(self.sink, Sink::Stdout(_));
        let shown = match std::str::from_utf8(&bytes) {
            _ if self.style.raw => bytes,
            Ok(json) if is_document => text::json(json).into_owned().into_bytes().into(),
            _ if self.sink.is_terminal() => text::block_of_bytes(&bytes).into_bytes().into(),
            _ => bytes,
        };
        Ok(self.sink.write_all(&shown).and_then(|()| self.sink.flush())?)
    }

    /// Puts a file into its place.
    pub(crate) fn keep(self) -> Result<(), CliError> {
        match self.sink {
            Sink::File(file, path) => file.commit().map_err(|error| not_written(&path, &error)),
            Sink::Stdout(_) => Ok(()),
        }
    }

    /// Only stdout may be closed by its reader; a pipe that was named has lost what was to go through it.
    fn at_its_path(&self, failure: CliError) -> CliError {
        match (failure, &self.sink) {
            (CliError::ClosedPipe, Sink::File(_, path)) => not_written(path, &"its reader has gone"),
            (CliError::OutputError(error), Sink::File(_, path)) => not_written(path, &error),
            (failure, _) => failure,
        }
    }

    /// A JSON object that holds what is not JSON.
    fn wrapped(&self, payload: &Payload) -> Result<Vec<u8>, CliError> {
        let text = std::str::from_utf8(payload.bytes()).map_err(|_not_text| {
            let (kind, flag) = (payload.content_type(), if self.style.json { "--json" } else { "--stream" });
            CliError::Input(format!("the result is `{kind}` and no text, which JSON cannot hold: leave out `{flag}`"))
        })?;
        Ok(json!({ "content_type": payload.content_type(), "text": text }).to_string().into_bytes())
    }
}

impl Sink {
    fn is_terminal(&self) -> bool {
        match self {
            Self::File(file, _) => file.is_terminal(),
            Self::Stdout(stdout) => stdout.is_terminal(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

fn not_written(path: &Path, what: &dyn Display) -> CliError {
    CliError::Input(format!("failed to write the output `{}`: {what}", path.display()))
}
