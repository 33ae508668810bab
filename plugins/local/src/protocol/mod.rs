//! MLflow's scoring protocol: what is read as inputs, and what is written as predictions. It knows no engine.
//!
//! A request goes `content_type` → `request` (which of the four formats) → `frame`, `records` or `array` (values as they
//! were written, in columns of integers or floats where they are such) → `columns` or `tensors` (what the signature says
//! of names and shapes) → `convert` (values to one type). An answer is written by `write`.
//!
//! The rules are those of MLflow 3.17, which `tests/record.py` records, except that nothing is changed silently. Refused
//! with `INVALID_PARAMETER_VALUE`, where MLflow feeds another value to the model:
//!
//! - a number beyond the type (2147483648 for `integer`, 1e300 for `float`, 1e999 for any), a fraction for an integer;
//! - for `boolean`, text (`"False"` is `True` in Python), null, and numbers other than 0 and 1;
//! - for text, null and `NaN`, which would be the texts `None` and `nan`;
//! - for `binary`, characters that are not base64; for `datetime`, a time zone, in `inputs` too;
//! - rows of different lengths, which pandas fills up, and lists of different lengths in a column.
//!
//! Taken, where MLflow fails: CSV for signatures of tensors and datetimes; 1 for an `array` of `double`; dataframes for
//! tensors whose inner dimensions are not fixed. Parquet is refused with 415. `recordings/differences.txt` has them all.

mod array;
mod cells;
mod client;
mod columns;
mod content_type;
mod convert;
mod datetime;
mod element;
mod fault;
mod frame;
mod json;
mod params;
mod read;
mod records;
mod request;
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub(crate) use client::{read_predictions, write_request};
pub(crate) use read::{Inputs, read};
pub(crate) use write::{Layout, Output, write};
