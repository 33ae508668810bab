//! Where a verb's result goes: stdout, or a file that is replaced only when the result is complete.

use std::fmt::Display;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mlflow_deploy::Payload;
use serde_json::json;

use super::failure::Failure;
use super::talk::Talk;

/// Where a verb's result goes.
pub(crate) struct Output {
    pub(super) writer: Box<dyn Write + Send>,
    /// The file as it was named; none for stdout.
    path: Option<PathBuf>,
    file: Option<(tempfile::NamedTempFile, PathBuf)>,
    json: bool,
    talk: Talk,
}

impl Output {
    /// Opens it: stdout, which is `-` too, or a file.
    pub(super) fn open(path: Option<&Path>, json: bool, talk: Talk) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { writer: Box::new(io::stdout()), path: None, file: None, json, talk });
        };
        let failed = |what: &dyn Display| not_written(path, what);
        let kept = Some(path.to_owned());
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(failed(&"it is a folder")),
            // A device or a pipe is written to, and stays what it is.
            Ok(there) if !there.is_file() => {
                let device = OpenOptions::new().write(true).open(path).map_err(|error| failed(&error))?;
                Ok(Self { writer: Box::new(device), path: kept, file: None, json, talk })
            }
            Ok(there) if there.permissions().readonly() => Err(failed(&"it is read-only")),
            there => {
                let real = real(path);
                let folder = real.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let mut builder = tempfile::Builder::new();
                builder.permissions(Permissions::from_mode(0o666));
                let file = builder.tempfile_in(folder).map_err(|error| failed(&io::Error::from(error.kind())))?;
                // A file keeps its mode; a new one gets what the user's mask leaves.
                if let Ok(there) = there {
                    file.as_file().set_permissions(there.permissions()).map_err(|error| failed(&error))?;
                }
                let writer = file.reopen().map_err(|error| failed(&error))?;
                Ok(Self { writer: Box::new(writer), path: kept, file: Some((file, real)), json, talk })
            }
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
        let written = self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush());
        written.map_err(|error| self.at_its_path(error.into()))
    }

    fn write_document(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.payload(payload)?;
        // MLflow ends what it prints with a line end, and what it writes to a file without.
        if self.file.is_none() {
            self.writer.write_all(b"\n")?;
        }
        Ok(self.writer.flush()?)
    }

    fn write_line(&mut self, payload: &Payload) -> Result<(), Failure> {
        if payload.bytes().is_empty() {
            self.writer.write_all(b"null")?;
        } else if payload.is_json() {
            // A line end between two tokens of JSON is white space; inside a string it cannot stand.
            let on_one_line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
            let line: Vec<_> = payload.bytes().trim_ascii_end().iter().map(on_one_line).collect();
            self.writer.write_all(&line)?;
        } else {
            self.wrapped(payload)?;
        }
        self.writer.write_all(b"\n")?;
        Ok(self.writer.flush()?)
    }

    /// Puts a file into its place.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        if let Some((file, path)) = self.file {
            file.persist(&path).map_err(|error| not_written(&path, &error.error))?;
        }
        Ok(())
    }

    /// Only stdout may be closed by its reader; a pipe that was named has lost what was to go through it.
    fn at_its_path(&self, failure: Failure) -> Failure {
        match (failure, &self.path) {
            (Failure::ClosedPipe, Some(path)) => not_written(path, &"its reader has gone"),
            (Failure::Unwritten(error), Some(path)) => not_written(path, &error),
            (failure, _) => failure,
        }
    }

    /// The bytes as they came; with `--json`, what is not JSON is wrapped in it.
    fn payload(&mut self, payload: &Payload) -> Result<(), Failure> {
        match (self.json, payload.bytes().is_empty()) {
            (true, _) if !payload.is_json() => self.wrapped(payload),
            (true, true) => Ok(self.writer.write_all(b"null")?),
            _ => Ok(self.writer.write_all(payload.bytes())?),
        }
    }

    /// A JSON object that holds what is not JSON.
    fn wrapped(&mut self, payload: &Payload) -> Result<(), Failure> {
        let text = std::str::from_utf8(payload.bytes()).map_err(|_not_text| {
            let kind = payload.content_type();
            Failure::Input(format!("the result is `{kind}` and no text, which JSON cannot hold: leave out `--json`"))
        })?;
        let wrapped = json!({ "content_type": payload.content_type(), "text": text });
        Ok(serde_json::to_writer(&mut self.writer, &wrapped).map_err(io::Error::from)?)
    }
}

/// The file behind a path: a link stays a link, also one that leads to where nothing is yet.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_new| match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_no_link) => path.to_owned(),
    })
}

fn not_written(path: &Path, what: &dyn Display) -> Failure {
    Failure::Input(format!("failed to write the output `{}`: {what}", path.display()))
}
