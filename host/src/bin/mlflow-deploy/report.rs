//! The only writer of stdout and stderr, and the table of exit codes.
//!
//! stdout is data, stderr is talk. Without `--json` a person reads both; with it, stdout is one JSON document and an
//! error on stderr is another. Streams are JSON Lines in both.

use std::fmt::Display;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mlflow_deploy::call::Level;
use mlflow_deploy::{Error, ErrorCode, Payload, PluginEvent, TargetError};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::plugins::Listing;

/// How a verb fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of stdout has gone: no failure of ours.
    ClosedPipe,
    /// The input or the output is not what it should be.
    Input(String),
    /// Ctrl-C.
    Interrupted,
    /// A library that is no plugin.
    NotAPlugin(PathBuf),
    /// The plugin blocked the thread that called it beyond the caller's limit.
    Stuck,
    /// The host or the target.
    Target(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Target(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Input(format!("failed to write the output: {error}")),
        }
    }
}

impl Failure {
    /// The table of exit codes, as `--help` shows it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Input(_) => 2,
            Self::Interrupted => 130,
            Self::NotAPlugin(_) => 3,
            Self::Stuck => 6,
            Self::Target(error) => match error {
                Error::Ambiguous { .. } | Error::Load { .. } | Error::NoPlugin(_) => 3,
                Error::NoTarget => 2,
                error if *error.code() == ErrorCode::PLUGIN_PANICKED => 4,
                error if *error.code() == ErrorCode::PLUGIN_PROTOCOL_VIOLATION => 4,
                error if *error.code() == ErrorCode::RESOURCE_DOES_NOT_EXIST => 5,
                error if *error.code() == ErrorCode::DEADLINE_EXCEEDED => 6,
                // Refused before a server was asked: the caller's own words were at fault.
                error if *error.code() == ErrorCode::INVALID_PARAMETER_VALUE && error.http_status().is_none() => 2,
                _ => 1,
            },
        }
    }

    /// The message, and what a person may want to know beside it.
    fn message(&self) -> (String, String) {
        match self {
            Self::ClosedPipe => (String::new(), String::new()),
            Self::Input(message) => (message.clone(), String::new()),
            Self::Interrupted => ("interrupted".to_owned(), String::new()),
            Self::NotAPlugin(file) => {
                (format!("`{}` is a library, but no plugin: it has no manifest", file.display()), String::new())
            }
            Self::Stuck => ("the plugin blocked beyond the deadline, and was left behind".to_owned(), String::new()),
            Self::Target(error) => (error.to_string(), error.explanation()),
        }
    }

    /// The failure as data. What a target answered is passed on as it came.
    fn to_json(&self) -> Value {
        let (message, explanation) = self.message();
        let code = match self {
            Self::Target(Error::Target(error)) => return json!(error),
            Self::Target(Error::NoPlugin(missing)) => {
                let found = json!(Listing::new(&missing.discovery));
                let details =
                    json!({ "target": missing.target.to_string(), "nearest": missing.nearest, "found": found });
                let code = &ErrorCode::PLUGIN_NOT_FOUND;
                return json!({ "code": code, "message": message, "retryable": false, "details": details });
            }
            Self::Target(error) => error.code(),
            Self::ClosedPipe | Self::Interrupted => &ErrorCode::CANCELLED,
            Self::Input(_) => &ErrorCode::INVALID_PARAMETER_VALUE,
            Self::NotAPlugin(_) => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::Stuck => &ErrorCode::DEADLINE_EXCEEDED,
        };
        let causes: Vec<_> = explanation.lines().collect();
        json!({ "code": code, "message": message, "retryable": false, "causes": causes })
    }
}

/// Writes what verbs have to say, in the way that the flags ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    json: bool,
    /// The least that matters enough to be said.
    least: Level,
}

impl Report {
    pub(crate) fn new(global: &Global) -> Self {
        let least = match (global.quiet, global.verbose) {
            (true, _) => Level::Error,
            (false, 0) => Level::Warn,
            (false, 1) => Level::Info,
            (false, _) => Level::Debug,
        };
        Self { json: global.json, least }
    }

    /// A value that is shown to a person by `text`, which brings its own line ends.
    pub(crate) fn value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        if self.json {
            let json = serde_json::to_string(value).map_err(io::Error::from)?;
            writeln!(stdout, "{json}")?;
        } else {
            stdout.write_all(text().as_bytes())?;
        }
        Ok(stdout.flush()?)
    }

    /// A list of records, in MLflow's words.
    pub(crate) fn list(&self, what: &str, list: &Payload) -> Result<(), Failure> {
        let mut output = self.output(None)?;
        if !self.json {
            writeln!(output.writer, "List of all {what}:")?;
        }
        output.document(list)
    }

    /// One record: a line for each member, as MLflow shows it.
    pub(crate) fn record(&self, record: &Payload) -> Result<(), Failure> {
        if self.json {
            return self.output(None)?.document(record);
        }
        let record: Map<String, Value> = record.json().map_err(|error| {
            let message = format!("the plugin answered with what is no record: {error}");
            Error::from(TargetError::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, message))
        })?;
        let mut stdout = io::stdout().lock();
        for (key, value) in &record {
            match value {
                Value::String(text) => writeln!(stdout, "{key}: {text}")?,
                other => writeln!(stdout, "{key}: {other}")?,
            }
        }
        Ok(writeln!(stdout, "\n")?)
    }

    /// A text, or with `--json` the text as a JSON string.
    pub(crate) fn text(&self, text: &Payload) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(text.bytes());
        self.value(&json!({ "help": text }), || format!("{}\n", text.trim_end()))
    }

    /// Where a verb's result goes: stdout, or a file.
    pub(crate) fn output(&self, path: Option<&Path>) -> Result<Output, Failure> {
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
        Ok(Output { writer, file, json: self.json })
    }

    /// Something that the user should know, though the verb goes on.
    pub(crate) fn warning(&self, message: &str) {
        self.say(Level::Warn, message);
    }

    /// Receives what plugins say.
    pub(crate) fn listener(&self) -> impl Fn(PluginEvent) + Send + Sync + 'static {
        let report = *self;
        move |said| report.say(said.level, &format!("{} (plugin {})", said.event.message, said.plugin))
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
        talk(&format!("{label}: {message}"));
    }

    /// Says how a verb failed; gives its exit code.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        let (message, explanation) = failure.message();
        match failure {
            Failure::ClosedPipe => {}
            _ if self.json => talk(&json!({ "error": failure.to_json() })),
            _ => talk(&format!("error: {message}\n{explanation}").trim_end()),
        }
        ExitCode::from(failure.exit_code())
    }
}

/// Where a verb's result goes. A file is replaced only when the result is complete.
pub(crate) struct Output {
    writer: Box<dyn Write + Send>,
    file: Option<(tempfile::NamedTempFile, PathBuf)>,
    json: bool,
}

impl Output {
    /// The whole result.
    pub(crate) fn document(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.payload(payload)?;
        // MLflow ends what it prints with a line end, and what it writes to a file without.
        if self.file.is_none() {
            self.writer.write_all(b"\n")?;
        }
        Ok(self.writer.flush()?)
    }

    /// One of many results, as JSON on a line of its own, at once.
    pub(crate) fn line(&mut self, payload: &Payload) -> Result<(), Failure> {
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

/// Says how the arguments are wrong, or shows the help that was asked for; gives the exit code.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // The arguments could not be read, so whether JSON is wanted is only to be seen in their words.
    let json = std::env::args_os().any(|argument| argument == "--json");
    match (error.use_stderr(), json) {
        (true, true) => {
            let message = error.to_string();
            let message = message.trim_start_matches("error: ").trim_end();
            talk(&json!({ "error": Failure::Input(message.to_owned()).to_json() }));
        }
        // Nothing is left to be done where the help cannot be written.
        _ => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Writes a line to stderr.
fn talk(line: &impl Display) {
    // Nobody reads stderr where this fails, and there is nowhere else to say so.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
