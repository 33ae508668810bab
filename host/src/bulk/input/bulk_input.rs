//! The rows of a file or a pipe, grouped into requests. Never reads the whole input.

#[cfg(feature = "csv")]
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use futures_core::Stream;
use tokio::sync::mpsc;

#[cfg(feature = "csv")]
use super::csv_rows::CsvRows;
use super::json_lines::JsonLines;
use super::row::{ReadRow, RowSource, chain};
use super::row_form::{RowForm, RowReader};
use crate::bulk::progress::Finished;
use crate::bulk::request::{BulkRequest, BulkRow, Form};
use crate::manifest::Manifest;

/// The maximum number of requests that are read before they are sent.
const READ_AHEAD: usize = 64;

/// The rows of a file or a pipe, grouped into requests. An [`Iterator`] of requests; [`into_stream`](Self::into_stream)
/// reads them on a thread of its own, as [`BulkPredict::answers`](crate::bulk::BulkPredict::answers) takes them.
///
/// A row that cannot be read does not end the input: its request has an error for it, which is not sent.
///
/// ```
/// use std::io::{Seek, Write};
///
/// use mlflow_deploy::bulk::{BulkInput, RowForm};
/// use mlflow_deploy::manifest::Manifest;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n")?;
/// file.rewind()?;
/// let input = BulkInput::json_lines(file, RowForm::Record, false).with_batch_rows(2.try_into()?);
/// let rows: Vec<_> = input.map(|request| request.map(|request| request.rows())).collect::<Result<_, _>>()?;
/// assert_eq!(rows, [2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BulkInput {
    rows: Box<dyn RowSource>,
    batch_rows: usize,
    /// A row that was read and does not fit into the request before it.
    next_row: Option<ReadRow>,
    number: u64,
    checksum: u64,
    finished: Finished,
}

impl BulkInput {
    /// Reads JSON Lines: each line is a request or a row. Blank lines are skipped.
    ///
    /// `takes_tables` is for [`RowForm::Auto`]: the target takes tables and not chats. [`takes_tables`](Self::takes_tables)
    /// finds it in the manifest.
    pub fn json_lines(source: impl io::Read + Send + 'static, form: RowForm, takes_tables: bool) -> Self {
        let reader = RowReader { form, takes_tables, is_grouped: false };
        Self::new(Box::new(JsonLines::new(Box::new(source), reader)))
    }

    /// Reads CSV with a header line. Each row is sent as `dataframe_split`. Requires the cargo feature `csv`.
    ///
    /// The columns have the types that pandas gives them. They are found by a first pass over the file. The types of a
    /// pipe are those of its first 1,000 rows.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if it has no header line.
    #[cfg(feature = "csv")]
    pub fn csv(source: File) -> io::Result<Self> {
        Ok(Self::new(Box::new(CsvRows::open(source)?)))
    }

    /// Returns true if a target takes tables and not chats: it accepts CSV, but not plain text.
    pub fn takes_tables(manifest: &Manifest) -> bool {
        manifest.accepts_type("text/csv") && !manifest.accepts_type("text/plain")
    }

    /// Sends up to so many rows in one request. Every line must then be a row, and not a request.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: NonZeroUsize) -> Self {
        self.batch_rows = rows.get();
        self.rows.group_rows();
        self
    }

    /// Skips the requests that an interrupted run has finished.
    #[must_use]
    pub fn skip_finished(mut self, finished: Finished) -> Self {
        self.finished = finished;
        self
    }

    /// Reads the input on a thread of its own. A pipe whose next row is late thus does not delay answers.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub fn into_stream(self) -> io::Result<BulkRequests> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        thread::Builder::new().name("bulk input".to_owned()).spawn(move || {
            for request in self {
                let is_last = request.is_err();
                if sender.blocking_send(request).is_err() || is_last {
                    break;
                }
            }
        })?;
        Ok(BulkRequests(receiver))
    }

    fn new(rows: Box<dyn RowSource>) -> Self {
        let finished = Finished::default();
        Self { rows, batch_rows: 1, next_row: None, number: 0, checksum: 0, finished }
    }

    /// Reads the rows of the next request; `None` after the last row.
    fn read(&mut self) -> io::Result<Option<BulkRequest>> {
        let mut request: Option<BulkRequest> = None;
        let mut form = None;
        while request.as_ref().is_none_or(|request| request.rows.len() < self.batch_rows) {
            let Some(row) = self.next_row.take().map(Ok).or_else(|| self.rows.next()).transpose()? else { break };
            if let (Ok((its_form, _)), Some(form)) = (&row.content, &form)
                && its_form != form
            {
                self.next_row = Some(row);
                break;
            }
            self.checksum = chain(self.checksum, &row.checksum.to_le_bytes());
            let content = row.content.map(|(its_form, bytes)| {
                form = Some(its_form);
                bytes
            });
            let request = request.get_or_insert_with(|| BulkRequest {
                number: self.number,
                checksum: 0,
                input_bytes: 0,
                form: Form::records(),
                rows: Vec::with_capacity(self.batch_rows.min(1 << 10)),
            });
            (request.checksum, request.input_bytes) = (self.checksum, row.end);
            request.rows.push(BulkRow { line: row.line, content });
        }
        if let (Some(request), Some(form)) = (&mut request, form) {
            request.form = form;
        }
        self.number += u64::from(request.is_some());
        Ok(request)
    }
}

impl Iterator for BulkInput {
    type Item = io::Result<BulkRequest>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let request = match self.read().transpose() {
                Some(Ok(request)) => request,
                Some(Err(error)) => return Some(Err(error)),
                None => return self.finished.check_end(self.number).err().map(Err),
            };
            match self.finished.is_finished(request.number, request.checksum) {
                Ok(true) => {}
                Ok(false) => return Some(Ok(request)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The requests of a [`BulkInput`], which a thread reads.
#[derive(Debug)]
pub struct BulkRequests(mpsc::Receiver<io::Result<BulkRequest>>);

impl Stream for BulkRequests {
    type Item = io::Result<BulkRequest>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
