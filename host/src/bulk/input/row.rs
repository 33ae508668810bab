//! A row of the input as it is read, and the checksum that chains rows.

use std::io;

use mlflow_deploy_plugin_api::{Error, Result};
use sha2::{Digest as _, Sha256};

use crate::bulk::request::Form;

/// A source of rows.
pub(super) trait RowSource: Iterator<Item = io::Result<ReadRow>> + std::fmt::Debug + Send {
    /// Makes each line that is not a row an error, because rows are sent together.
    fn group_rows(&mut self) {}
}

/// A row of the input and its form.
#[derive(Debug)]
pub(super) struct ReadRow {
    pub(super) line: u64,
    /// The form of the row and its bytes in that form, or the reason why it cannot be read.
    pub(super) content: Result<(Form, Vec<u8>)>,
    /// A checksum of the row as it is in the input.
    pub(super) checksum: u64,
    /// The number of input bytes up to the end of the row.
    pub(super) end: u64,
}

/// Returns a checksum of bytes and of the checksum before them.
pub(super) fn chain(before: u64, bytes: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(before.to_le_bytes()).chain_update(bytes).finalize();
    let start = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_le_bytes(*start)
}

/// Returns the error of a row that cannot be read.
pub(super) fn unreadable(reason: impl Into<String>) -> Error {
    Error::invalid_parameter(reason)
}
