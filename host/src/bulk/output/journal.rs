//! The journal of a run: an append-only file beside the output. It has a header with the settings of the run, the state
//! of the output after each write, and the answers that arrived early.
//!
//! Without a path it is a temporary file that keeps early answers.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mlflow_deploy_plugin_api::Deadline;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use super::record::{Early, Record, State};

const VERSION: u32 = 1;

/// The beginning of a digest, which tells it from a setting that can be shown.
const DIGEST: &str = "sha256:";

/// The time to wait for a lock that another process holds.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// The time between two attempts to lock.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// The size in bytes from which a journal is rewritten if half of it is not needed.
const MIN_COMPACTION: u64 = 64 << 20;

/// The first line of a journal.
#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "mlflow-deploy journal")]
    version: u32,
    run: Map<String, Value>,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: Option<PathBuf>,
    header: String,
    /// The records that are not written yet.
    pending: Vec<u8>,
    /// The length of the file, without the pending records.
    length: u64,
    /// The early answers, with the positions of their bytes.
    early: BTreeMap<u64, (u64, Early)>,
    early_bytes: u64,
}

impl Journal {
    /// Returns the path of the journal of an output.
    pub(super) fn path_of(output: &Path) -> PathBuf {
        let mut path = output.as_os_str().to_owned();
        path.push(".journal");
        path.into()
    }

    /// Creates the journal of a new run. Without a path, creates a temporary file.
    pub(super) fn create(path: Option<PathBuf>, run: &Map<String, Value>) -> io::Result<Self> {
        let header = Header { version: VERSION, run: run.clone() };
        let header = serde_json::to_string(&header).map_err(io::Error::other)? + "\n";
        let file = match &path {
            None => tempfile::tempfile()?,
            Some(path) => {
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
                let file = file.map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => io::Error::other(format!(
                        "an interrupted run has left the journal `{}`: add `--resume` to continue it, or remove the journal to start over",
                        path.display()
                    )),
                    _ => with_path(path, &error),
                })?;
                lock(&file, path)?;
                file
            }
        };
        file.write_all_at(header.as_bytes(), 0)?;
        let length = size(&header);
        Ok(Self { file, path, header, pending: Vec::new(), length, early: BTreeMap::new(), early_bytes: 0 })
    }

    /// Opens the journal of an interrupted run, and returns the last state of the output that fits the `lengths` of the
    /// output and of the file of errors. Removes an unfinished record at the end.
    ///
    /// # Errors
    /// Fails if the run had other settings, if another process writes to the journal, or if the file is not a journal.
    pub(super) fn resume(path: &Path, run: &Map<String, Value>, lengths: (u64, u64)) -> io::Result<(Self, State)> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| with_path(path, &error))?;
        lock(&file, path)?;
        let invalid = || io::Error::other(format!("`{}` is not a journal of `predict-batch`", path.display()));
        let mut reader = BufReader::new(&file);
        let mut header = String::new();
        reader.read_line(&mut header).map_err(|error| with_path(path, &error))?;
        let parsed: Header = serde_json::from_str(&header).map_err(|_other| invalid())?;
        if parsed.version != VERSION || !header.ends_with('\n') {
            return Err(invalid());
        }
        check_run(&parsed.run, run)?;
        let whole = file.metadata()?.len();
        let (mut length, mut state, mut early) = (size(&header), State::default(), BTreeMap::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = u64::try_from(reader.read_until(b'\n', &mut line)?).expect("a length fits");
            let record = line.strip_suffix(b"\n").and_then(|line| Record::parse(std::str::from_utf8(line).ok()?));
            match record {
                Some(Record::Done(next)) if next.lengths.0 <= lengths.0 && next.lengths.1 <= lengths.1 => {
                    let mut done = state.done;
                    done.extend(&next.done);
                    state = State { done, ..next };
                }
                Some(Record::Early(next)) if length + read + next.length() < whole => {
                    early.insert(next.number, (length + read, next));
                    reader.seek_relative(i64::try_from(next.length() + 1).map_err(io::Error::other)?)?;
                    length += next.length() + 1;
                }
                // The end of the journal, a record that was interrupted, or one whose output was lost.
                _ => break,
            }
            length += read;
        }
        early.retain(|number, _| !state.done.contains(*number));
        let early_bytes = early.values().map(|(_, early)| early.length()).sum();
        file.set_len(length)?;
        drop(reader);
        let path = Some(path.to_owned());
        Ok((Self { file, path, header, pending: Vec::new(), length, early, early_bytes }, state))
    }

    /// Returns the numbers of the early answers.
    pub(super) fn early(&self) -> impl Iterator<Item = u64> {
        self.early.keys().copied()
    }

    /// Adds an answer that arrived before the answer to an earlier request.
    pub(super) fn add_early(&mut self, entry: &Entry) {
        let early = Early::of(entry);
        self.pending.extend_from_slice(early.to_line().as_bytes());
        let position = self.length + size(&self.pending);
        for bytes in [&entry.lines, &entry.errors, b"\n".as_slice()] {
            self.pending.extend_from_slice(bytes);
        }
        self.early_bytes += early.length();
        self.early.insert(entry.number, (position, early));
    }

    /// Removes the early answer with this number and returns it.
    pub(super) fn take_early(&mut self, number: u64) -> io::Result<Option<Entry>> {
        let Some((position, early)) = self.early.remove(&number) else { return Ok(None) };
        self.early_bytes -= early.length();
        self.read(position, early).map(Some)
    }

    /// Adds the state of the output. Keeps nothing if the journal is a temporary file.
    pub(super) fn add_state(&mut self, state: &State) {
        if self.path.is_some() {
            self.pending.extend_from_slice(state.to_line().as_bytes());
        }
    }

    /// Writes the pending records.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.length)?;
        self.length += size(&self.pending);
        self.pending.clear();
        Ok(())
    }

    /// Rewrites the journal if most of it is not needed. `state` is the whole state of the output.
    pub(super) fn compact(&mut self, state: &State) -> io::Result<()> {
        if self.length < MIN_COMPACTION || self.early_bytes * 2 > self.length {
            return Ok(());
        }
        self.flush()?;
        let numbers: Vec<_> = self.early().collect();
        let new_path = self.path.as_ref().map(|path| path.with_added_extension("new"));
        let file = match &new_path {
            None => tempfile::tempfile()?,
            Some(path) => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
                lock(&file, path)?;
                file
            }
        };
        let mut new = Self {
            file,
            path: self.path.clone(),
            header: self.header.clone(),
            pending: self.header.clone().into_bytes(),
            length: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
        };
        new.add_state(state);
        for number in numbers {
            if let Some(entry) = self.take_early(number)? {
                new.add_early(&entry);
                new.flush()?;
            }
        }
        new.flush()?;
        if let (Some(new_path), Some(path)) = (new_path, &self.path) {
            new.sync()?;
            fs::rename(new_path, path)?;
        }
        *self = new;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if self.path.is_some() { self.file.sync_data() } else { Ok(()) }
    }

    /// Removes the journal of a complete run.
    pub(super) fn remove(self) -> io::Result<()> {
        self.path.as_ref().map_or(Ok(()), fs::remove_file)
    }

    fn read(&mut self, position: u64, early: Early) -> io::Result<Entry> {
        let length = usize::try_from(early.length()).map_err(io::Error::other)?;
        if position + early.length() > self.length {
            self.flush()?;
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, position)?;
        Ok(early.entry(bytes))
    }
}

/// Fails if the settings of two runs differ. The error names the settings.
fn check_run(before: &Map<String, Value>, now: &Map<String, Value>) -> io::Result<()> {
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    let shown = |run: &Map<String, Value>, name: &str| match run.get(name) {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(digest)) if digest.starts_with(DIGEST) => "another value".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => format!("`{other}`"),
    };
    let is_other = |name: &&String| before.get(*name).unwrap_or(&Value::Null) != now.get(*name).unwrap_or(&Value::Null);
    let differences: Vec<_> = names
        .filter(is_other)
        .map(|name| format!("{name}: was {}, is {}", shown(before, name), shown(now, name)))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let differences = differences.join("; ");
    Err(io::Error::other(format!("the interrupted run had other settings: {differences}; use the same, or start over")))
}

/// Returns a digest of a setting of a run that may be a secret. The journal keeps the digest, and no message shows it.
pub fn digest(setting: &str) -> String {
    let hex: String = Sha256::digest(setting).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{DIGEST}{hex}")
}

/// Locks a journal for this process. The lock ends with the process.
///
/// A process that this one has started holds the lock too until it executes its program, so a lock that was just released
/// may still be held for a moment.
fn lock(file: &File, path: &Path) -> io::Result<()> {
    let deadline = Deadline::after(LOCK_WAIT);
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !deadline.is_past() => {
                thread::sleep(LOCK_POLL);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let message = format!("another run writes to this output: it has locked `{}`", path.display());
                return Err(io::Error::other(message));
            }
            locked => return locked.map_err(|error| with_path(path, &error.into())),
        }
    }
}

pub(super) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to open `{}`: {error}", path.display()))
}

fn size(bytes: impl AsRef<[u8]>) -> u64 {
    u64::try_from(bytes.as_ref().len()).expect("a length fits")
}
