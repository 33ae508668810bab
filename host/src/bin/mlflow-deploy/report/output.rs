//! Where a verb's result goes: stdout, or a file that is replaced only when the result is complete.

use std::fs::{OpenOptions, Permissions};
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
    file: Option<(tempfile::NamedTempFile, PathBuf)>,
    json: bool,
    talk: Talk,
}

impl Output {
    /// Opens it: stdout, or a file.
    pub(super) fn open(path: Option<&Path>, json: bool, talk: Talk) -> Result<Self, Failure> {
        let failed = |path: &Path, error: io::Error| {
            Failure::Input(format!("failed to write the output `{}`: {error}", path.display()))
        };
        let (writer, file): (Box<dyn Write + Send>, _) = match path {
            None => (Box::new(io::stdout()), None),
            Some(path) => match std::fs::metadata(path) {
                Ok(there) if there.is_dir() => {
                    return Err(Failure::Input(format!(
                        "failed to write the output `{}`: it is a folder",
                        path.display()
                    )));
                }
                // A device or a pipe is written to, and stays what it is.
                Ok(there) if !there.is_file() => {
                    let device = OpenOptions::new().write(true).open(path).map_err(|error| failed(path, error))?;
                    (Box::new(device), None)
                }
                there => {
                    // A link stays a link, and a file keeps its mode.
                    let real = path.canonicalize().unwrap_or_else(|_new| path.to_owned());
                    let mode = there.map_or(0o666, |there| there.permissions().mode());
                    let folder =
                        real.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                    let mut builder = tempfile::Builder::new();
                    builder.permissions(Permissions::from_mode(mode));
                    let inside = |error: io::Error| failed(path, io::Error::from(error.kind()));
                    let file = builder.tempfile_in(folder).map_err(inside)?;
                    let writer = file.reopen().map_err(|error| failed(path, error))?;
                    (Box::new(writer), Some((file, real)))
                }
            },
        };
        Ok(Self { writer, file, json, talk })
    }

    /// The whole result.
    pub(crate) fn document(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.talk.rest();
        self.payload(payload)?;
        // MLflow ends what it prints with a line end, and what it writes to a file without.
        if self.file.is_none() {
            self.writer.write_all(b"\n")?;
        }
        Ok(self.writer.flush()?)
    }

    /// One of many results, as JSON on a line of its own, at once.
    pub(crate) fn line(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.talk.rest();
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
            file.persist(&path).map_err(|error| {
                Failure::Input(format!("failed to write the output `{}`: {}", path.display(), error.error))
            })?;
        }
        Ok(())
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
