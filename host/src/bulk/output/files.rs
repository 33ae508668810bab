//! The files of a bulk prediction: the output, the errors and the journal.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::entry::{Entry, Order};
use super::journal::{Journal, with_path};
use super::record::State;
use crate::bulk::answer::BulkAnswer;
use crate::bulk::progress::{Finished, Totals};

/// The number of bytes that are collected before they are written.
const MAX_BUFFER: usize = 1 << 20;

/// The time between two requests to the system to write the files to the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// The files of a bulk prediction: an output with one line for each row, a file of errors, and a journal.
///
/// The journal is a file beside the output, named after it with `.journal` at the end. It is removed when the run is
/// complete. After an interruption, also by `SIGKILL`, [`resume`](Self::resume) continues the run: no line of the output
/// is lost or written twice, and only requests whose answers were not yet [written](Self::write) are repeated. After a loss
/// of power, this is true for all answers but those of the last seconds.
///
/// The output is written as answers arrive, and not to a temporary file that replaces it at the end: after an interruption
/// the answers so far are kept.
#[derive(Debug)]
pub struct BulkFiles {
    output: File,
    errors: Option<File>,
    journal: Journal,
    order: Order,
    lines: Vec<u8>,
    error_lines: Vec<u8>,
    state: State,
    /// The requests whose lines are in the output since the last record of the journal.
    fresh: State,
    /// The checksums of the finished requests behind the first unfinished one.
    checksums: BTreeMap<u64, u64>,
    synced: Instant,
}

impl BulkFiles {
    /// Creates the files of a new run. `run` has the settings that a resumed run must share; it is written to the journal,
    /// so secrets must be replaced by `sha256:` and a digest. Overwrites an output without a journal.
    ///
    /// # Errors
    /// Fails if the output has a journal, because it is the output of an interrupted run. Fails also if a file cannot be
    /// created, or if both paths lead to one file.
    pub fn create(output: &Path, errors: Option<&Path>, order: Order, run: &Map<String, Value>) -> io::Result<Self> {
        // Fails before an existing file is changed.
        let files = (open(output)?, errors.map(open).transpose()?);
        check_different(&files.0, files.1.as_ref())?;
        let is_file = files.0.metadata()?.is_file();
        let journal = Journal::create(is_file.then(|| Journal::path_of(output)), run)?;
        let mut created = Self::new(files.0, files.1, journal, order);
        created.truncate()?;
        Ok(created)
    }

    /// Opens the files of an interrupted run. Returns them with the requests that are finished. Creates the files of a new
    /// run if there are none.
    ///
    /// # Errors
    /// Fails if the interrupted run had other settings, if another process writes to the output, or if there is an output
    /// without a journal.
    pub fn resume(
        output: &Path,
        errors: Option<&Path>,
        order: Order,
        run: &Map<String, Value>,
    ) -> io::Result<(Self, Finished)> {
        let path = Journal::path_of(output);
        if !path.exists() {
            if fs::metadata(output).is_ok_and(|output| output.len() > 0 || !output.is_file()) {
                return Err(io::Error::other(format!(
                    "`{}` has no journal `{}`, so it is not the output of an interrupted run: omit `--resume` to overwrite \
                     it",
                    output.display(),
                    path.display()
                )));
            }
            return Ok((Self::create(output, errors, order, run)?, Finished::default()));
        }
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let lengths = (length(output), errors.map_or(0, length));
        let (journal, state) = Journal::resume(&path, run, lengths)?;
        let mut resumed = Self::new(open(output)?, errors.map(open).transpose()?, journal, order);
        resumed.state = state;
        resumed.truncate()?;
        let (first, checksum) = resumed.state.verified;
        let mut done = resumed.state.done.clone();
        resumed.journal.early().for_each(|number| done.add(number, number + 1));
        Ok((resumed, Finished { done, first, checksum }))
    }

    /// Returns the path of the journal of an output.
    pub fn journal_of(output: &Path) -> PathBuf {
        Journal::path_of(output)
    }

    /// Writes to an open file, such as standard output. Such a run cannot be resumed.
    ///
    /// # Errors
    /// Fails if the file of errors or a temporary file cannot be created.
    pub fn to_file(output: File, errors: Option<&Path>, order: Order) -> io::Result<Self> {
        let errors = errors.map(open).transpose()?;
        check_different(&output, errors.as_ref())?;
        if let Some(errors) = errors.as_ref().filter(|errors| is_file(errors)) {
            errors.set_len(0)?;
        }
        let journal = Journal::create(None, &Map::new())?;
        Ok(Self::new(output, errors, journal, order))
    }

    /// Writes answers. An answer is in the files when this function returns; it may be dropped then.
    ///
    /// # Errors
    /// Fails if a file cannot be written. The run can be resumed.
    pub fn write(&mut self, answers: &[BulkAnswer]) -> io::Result<()> {
        for answer in answers {
            let entry = Entry::new(answer, self.order);
            if self.order == Order::Input && entry.number != self.state.done.first_gap() {
                self.journal.add_early(&entry);
                continue;
            }
            self.add(entry)?;
            while self.order == Order::Input
                && let Some(early) = self.journal.take_early(self.state.done.first_gap())?
            {
                self.add(early)?;
            }
        }
        self.flush()?;
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.sync()?;
            self.journal.compact(&self.state)?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Returns the totals of the written rows, with those of the run before it was resumed.
    pub fn totals(&self) -> Totals {
        self.state.totals
    }

    /// Completes the run: writes the files to the disk and removes the journal.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn finish(mut self) -> io::Result<Totals> {
        self.flush()?;
        self.sync()?;
        self.journal.remove()?;
        Ok(self.state.totals)
    }

    fn new(output: File, errors: Option<File>, journal: Journal, order: Order) -> Self {
        Self {
            output,
            errors,
            journal,
            order,
            lines: Vec::new(),
            error_lines: Vec::new(),
            state: State::default(),
            fresh: State::default(),
            checksums: BTreeMap::new(),
            synced: Instant::now(),
        }
    }

    /// Removes what follows the last recorded state.
    fn truncate(&mut self) -> io::Result<()> {
        let (output, errors) = self.state.lengths;
        if is_file(&self.output) {
            self.output.set_len(output)?;
        }
        match self.errors.as_ref().filter(|errors| is_file(errors)) {
            Some(file) => file.set_len(errors),
            None => Ok(()),
        }
    }

    /// Adds the lines of a request to the output.
    fn add(&mut self, entry: Entry) -> io::Result<()> {
        self.lines.extend_from_slice(&entry.lines);
        self.error_lines.extend_from_slice(&entry.errors);
        self.state.totals.add(entry.totals);
        let number = entry.number;
        self.state.done.add(number, number + 1);
        self.fresh.done.add(number, number + 1);
        self.checksums.insert(number, entry.checksum);
        let gap = self.state.done.first_gap();
        // A request that was finished before the run was resumed has no checksum here: the earlier one stays valid.
        let behind = self.checksums.split_off(&gap);
        if let Some((number, checksum)) = self.checksums.last_key_value() {
            self.state.verified = (number + 1, *checksum);
        }
        self.checksums = behind;
        if self.lines.len() + self.error_lines.len() > MAX_BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes the lines, then the record of the journal that says so.
    fn flush(&mut self) -> io::Result<()> {
        self.journal.flush()?;
        if self.lines.is_empty() {
            return Ok(());
        }
        self.output.write_all(&self.lines)?;
        if let Some(errors) = &mut self.errors {
            errors.write_all(&self.error_lines)?;
            self.state.lengths.1 += u64::try_from(self.error_lines.len()).expect("a length fits");
        }
        self.state.lengths.0 += u64::try_from(self.lines.len()).expect("a length fits");
        self.lines.clear();
        self.error_lines.clear();
        let done = std::mem::take(&mut self.fresh.done);
        self.journal.add_state(&State { done, ..self.state.clone() });
        self.journal.flush()
    }

    fn sync(&self) -> io::Result<()> {
        for file in [Some(&self.output), self.errors.as_ref()].into_iter().flatten().filter(|file| is_file(file)) {
            file.sync_data()?;
        }
        self.journal.sync()
    }
}

#[cfg(test)]
impl BulkFiles {
    pub(super) fn state_for_tests(&self) -> State {
        self.state.clone()
    }

    pub(super) fn journal_for_tests(self) -> Journal {
        self.journal
    }
}

fn open(path: &Path) -> io::Result<File> {
    #[cfg(feature = "command")]
    let path = &*crate::reserved_stdout::path(path);
    // Without the permission to append, a write after an interruption could overwrite lines.
    OpenOptions::new().append(true).create(true).open(path).map_err(|error| with_path(path, &error))
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Fails if the output and the errors are one file.
fn check_different(output: &File, errors: Option<&File>) -> io::Result<()> {
    let Some(errors) = errors.filter(|errors| is_file(errors)) else { return Ok(()) };
    let (output, errors) = (output.metadata()?, errors.metadata()?);
    if (output.dev(), output.ino()) == (errors.dev(), errors.ino()) {
        return Err(io::Error::other("the output and the errors are one file: specify different files"));
    }
    Ok(())
}
