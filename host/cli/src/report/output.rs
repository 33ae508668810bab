//! The destination of a verb's result: stdout, or a file that is replaced when the result is complete.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy::{ErrorCode, Payload, Replacement, TargetError, command};
use mlflow_deploy_plugin_api::{file, text};
use serde::de::IgnoredAny;
use serde_json::json;

use super::cli_error::CliError;
use super::stderr::Stderr;

/// The destination of a verb's result.
pub(crate) struct Output {
    sink: Sink,
    style: Style,
    stderr: Stderr,
}

/// The options that select the format of a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// True if the result is written as JSON.
    pub(super) json: bool,
    /// True if control characters are written to a terminal without escaping them.
    pub(super) raw: bool,
}

/// The open destination of a result: stdout, or a file and its path as the user wrote it.
enum Sink {
    File(Replacement, PathBuf),
    Stdout(File),
}

impl Output {
    /// Opens the file at the path. Opens stdout if the path is `None` or `-`.
    pub(super) fn open(path: Option<&Path>, style: Style, stderr: Stderr) -> Result<Self, CliError> {
        let sink = match path.filter(|path| *path != Path::new("-")) {
            None => Sink::Stdout(command::stdout()?),
            Some(path) => {
                let file = Replacement::begin(path).map_err(|error| not_written(path, &error))?;
                Sink::File(file, path.to_owned())
            }
        };
        Ok(Self { sink, style, stderr })
    }

    /// Returns true if both outputs are the same file; false for stdout.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        match (&self.sink, &other.sink) {
            (Sink::File(one, _), Sink::File(other, _)) => one.is_same_file(other),
            _ => false,
        }
    }

    /// Writes a result that consists of one document.
    pub(crate) fn write_document(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.stderr.hide_spinner();
        self.document(payload).map_err(|error| self.with_path(error))
    }

    /// Writes one result of a sequence as a line of JSON, and flushes the output.
    pub(crate) fn write_line(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.stderr.hide_spinner();
        self.line(payload).map_err(|error| self.with_path(error))
    }

    /// Writes text that the command itself generates.
    pub(crate) fn write_text(&mut self, text: &str) -> Result<(), CliError> {
        self.stderr.hide_spinner();
        self.write(text.as_bytes().into()).map_err(|error| self.with_path(error))
    }

    /// Ends the last line of a printed text. A file ends with the text itself.
    pub(crate) fn end_line(&mut self) -> Result<(), CliError> {
        let written = if self.is_file() { Ok(()) } else { self.write(b"\n".as_slice().into()) };
        written.map_err(|error| self.with_path(error))
    }

    fn is_file(&self) -> bool {
        matches!(&self.sink, Sink::File(file, _) if file.is_file())
    }

    fn document(&mut self, payload: &Payload) -> Result<(), CliError> {
        self.write(match self.style.json {
            true if !payload.is_json() => self.wrapped(payload)?.into(),
            true => checked(payload)?.into(),
            false => payload.bytes().into(),
        })?;
        // As in MLflow, a printed result ends with a line end, and a file does not.
        if !self.is_file() {
            self.sink.write_all(b"\n")?;
        }
        Ok(())
    }

    fn line(&mut self, payload: &Payload) -> Result<(), CliError> {
        let mut line = if payload.bytes().is_empty() {
            b"null".to_vec()
        } else if payload.is_json() {
            let json = if self.style.json { checked(payload)? } else { payload.bytes() };
            // Line ends in JSON are always white space between tokens, since strings escape them.
            let join_lines = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
            json.trim_ascii_end().iter().map(join_lines).collect()
        } else {
            self.wrapped(payload)?
        };
        line.push(b'\n');
        self.write(line.into())
    }

    /// Writes and flushes the bytes. Unless `--raw` is given, escapes control characters in output to a terminal, and
    /// in the JSON that `--json` writes to stdout.
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

    /// Completes the output. Replaces the old file by the written one.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self.sink {
            Sink::File(file, path) => file.commit().map_err(|error| not_written(&path, &error)),
            Sink::Stdout(_) => Ok(()),
        }
    }

    /// Adds the path of the file to a write error. A closed pipe is an error of a file, but not of stdout.
    fn with_path(&self, error: CliError) -> CliError {
        match (error, &self.sink) {
            (CliError::ClosedPipe, Sink::File(_, path)) => not_written(path, &"the reader closed the pipe"),
            (CliError::OutputError(error), Sink::File(_, path)) => not_written(path, &error),
            (error, _) => error,
        }
    }

    /// Returns a JSON object with the text and the media type of a result that is not JSON.
    fn wrapped(&self, payload: &Payload) -> Result<Vec<u8>, CliError> {
        let text = std::str::from_utf8(payload.bytes()).map_err(|_not_text| {
            let (kind, flag) = (payload.content_type(), if self.style.json { "--json" } else { "--stream" });
            CliError::Input(format!("the result is `{kind}`, which cannot be written as JSON: omit `{flag}`"))
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

/// Returns the bytes of a JSON result. Returns `null` if the result is empty.
///
/// # Errors
/// Fails if the bytes are not JSON, such as the `NaN` of Python.
fn checked(payload: &Payload) -> Result<&[u8], CliError> {
    let bytes = match file::without_byte_order_mark(payload.bytes()) {
        [] => b"null",
        bytes => bytes,
    };
    let invalid = |reason: String| {
        let message = format!(
            "the result is not JSON, where `NaN` and `Infinity` are invalid: {reason}; omit `--json` to print it unchanged"
        );
        CliError::Target(TargetError::new(ErrorCode::INTERNAL_ERROR, message).into())
    };
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(format!("not UTF-8: {error}")))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| invalid(error.to_string()))?;
    Ok(bytes)
}

fn not_written(path: &Path, cause: &dyn Display) -> CliError {
    CliError::Input(format!("failed to write the output `{}`: {cause}", path.display()))
}
