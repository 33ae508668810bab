//! Writes the answers of a bulk prediction, in an order and with a journal from which an interrupted run goes on.

mod entry;
mod files;
mod journal;
mod record;
#[cfg(test)]
mod tests;

pub use entry::Order;
pub use files::BulkFiles;
pub use journal::digest;
