//! Reads the rows of a bulk prediction, one after the other.

mod bulk_input;
#[cfg(feature = "csv")]
mod csv_rows;
mod json_lines;
#[cfg(feature = "csv")]
mod line_numbers;
mod row;
mod row_form;
#[cfg(test)]
mod tests;

pub use bulk_input::{BulkInput, BulkRequests};
pub use row_form::{REQUEST_MEMBERS, RowForm};
