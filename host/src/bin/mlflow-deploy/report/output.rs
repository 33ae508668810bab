//! Where a verb's result goes: stdout, or a file that is replaced only when the result is complete.

use std::fmt::Display;
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy::{Payload, Replacement};
use serde_json::json;

use super::failure::Failure;
use super::talk::Talk;

/// Where a verb's result goes.
pub(crate) struct Output {
    pub(super) sink: Sink,
    json: bool,
    talk: Talk,
}

/// Stdout, or a file with the path that was given for it.
pub(super) enum Sink {
    File(Replacement, PathBuf),
    Stdout(Stdout),
}

impl Output {
    /// Opens it: stdout, which is `-` too, or a file.
    pub(super) fn open(path: Option<&Path>, json: bool, talk: Talk) -> Result<Self, Failure> {
        let sink = match path.filter(|path| *path != Path::new("-")) {
            None => Sink::Stdout(io::stdout()),
            Some(path) => {
                let file = Replacement::begin(path).map_err(|error| not_written(path, &error))?;
                Sink::File(file, path.to_owned())
            }
        };
        Ok(Self { sink, json, talk })
    }

    /// Whether the other would take its place.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        match (&self.sink, &other.sink) {
            (Sink::File(one, _), Sink::File(other, _)) => one.is_same_file(other),
            _ => false,
        }
    }

    /// The whole result.
    pub(crate) fn document(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.talk.rest();
        self.write_document(payload).map_err(|failure| self.at_its_path(failure))
    }

    /// One of many results, as JSON on a line of its own, at once.
    pub(crate) fn line(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.talk.rest();
        self.write_line(payload).map_err(|failure| self.at_its_path(failure))
    }

    /// What is no result of the target's, as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
        written.map_err(|error| self.at_its_path(error.into()))
    }

    fn write_document(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.payload(payload)?;
        // MLflow ends what it prints with a line end, and what it writes to a file without.
        if !matches!(&self.sink, Sink::File(file, _) if file.is_file()) {
            self.sink.write_all(b"\n")?;
        }
        Ok(self.sink.flush()?)
    }

    fn write_line(&mut self, payload: &Payload) -> Result<(), Failure> {
        if payload.bytes().is_empty() {
            self.sink.write_all(b"null")?;
        } else if payload.is_json() {
            // A line end between two tokens of JSON is white space; inside a string it cannot stand.
            let on_one_line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
            let line: Vec<_> = payload.bytes().trim_ascii_end().iter().map(on_one_line).collect();
            self.sink.write_all(&line)?;
        } else {
            self.wrapped(payload)?;
        }
        self.sink.write_all(b"\n")?;
        Ok(self.sink.flush()?)
    }

    /// Puts a file into its place.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        match self.sink {
            Sink::File(file, path) => file.keep().map_err(|error| not_written(&path, &error)),
            Sink::Stdout(_) => Ok(()),
        }
    }

    /// Only stdout may be closed by its reader; a pipe that was named has lost what was to go through it.
    fn at_its_path(&self, failure: Failure) -> Failure {
        match (failure, &self.sink) {
            (Failure::ClosedPipe, Sink::File(_, path)) => not_written(path, &"its reader has gone"),
            (Failure::Unwritten(error), Sink::File(_, path)) => not_written(path, &error),
            (failure, _) => failure,
        }
    }

    /// The bytes as they came; with `--json`, what is not JSON is wrapped in it.
    fn payload(&mut self, payload: &Payload) -> Result<(), Failure> {
        match (self.json, payload.bytes().is_empty()) {
            (true, _) if !payload.is_json() => self.wrapped(payload),
            (true, true) => Ok(self.sink.write_all(b"null")?),
            _ => Ok(self.sink.write_all(payload.bytes())?),
        }
    }

    /// A JSON object that holds what is not JSON.
    fn wrapped(&mut self, payload: &Payload) -> Result<(), Failure> {
        let text = std::str::from_utf8(payload.bytes()).map_err(|_not_text| {
            let kind = payload.content_type();
            Failure::Input(format!("the result is `{kind}` and no text, which JSON cannot hold: leave out `--json`"))
        })?;
        let wrapped = json!({ "content_type": payload.content_type(), "text": text });
        Ok(serde_json::to_writer(&mut self.sink, &wrapped).map_err(io::Error::from)?)
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

fn not_written(path: &Path, what: &dyn Display) -> Failure {
    Failure::Input(format!("failed to write the output `{}`: {what}", path.display()))
}
