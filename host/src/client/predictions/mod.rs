//! The predictions of a model as a dataframe or an array: `mlflow.deployments.PredictionsResponse`. Predictions that
//! pandas or numpy reject are errors.
//!
//! ```
//! use mlflow_deploy::PredictionsResponse;
//! use mlflow_deploy::predictions::{arrow_array::RecordBatch, ndarray::ArrayD};
//!
//! # fn main() -> Result<(), mlflow_deploy::TargetError> {
//! let response = PredictionsResponse::from_json(r#"{"predictions": [[1, 2.5], [3, NaN]], "model": "m-1"}"#)?;
//!
//! let dataframe: RecordBatch = response.get_predictions()?;
//! assert_eq!((dataframe.num_rows(), dataframe.num_columns()), (2, 2));
//!
//! let array: ArrayD<f32> = response.get_predictions()?;
//! assert_eq!(array.shape(), [2, 2]);
//! # Ok(())
//! # }
//! ```
//!
//! # Differences
//!
//! | mlflow, pandas and numpy | here |
//! |---|---|
//! | The format is a string, and an unknown one is an exception | The format is a type, and an unknown one does not compile |
//! | A response can be created without `predictions`, or from `None` | A response always has `predictions`, and is read from text |
//! | An unreadable response has the code `INTERNAL_ERROR`, and exceptions have many classes | Every error has the code `INVALID_PARAMETER_VALUE` |
//! | Column labels are integers or strings | Column names are text: `0` becomes `"0"`, as pyarrow writes it |
//! | Rows have an index | An index of names is the last column, `__index_level_0__`, as pyarrow writes it |
//! | `None`, `NaN` and a missing value are distinguished by dtype | A missing value is an arrow null; `NaN` stays in a column of floats, and is a null in any other |
//! | A column of dtype `object` holds any object | It holds JSON text, as arrow's extension type `arrow.json`; a `NaN` inside a list is written `NaN`, as Python does |
//! | In a dataframe of lists, a dict is the list of its keys, and a string the list of its characters | A row of another type than list is an error |
//! | In a dataframe of dicts, a list of pairs is a dict | A row of another type than dict is an error |
//! | An array of `str` has one width, and drops NUL at the end of a string | An array of `String` |
//! | An array of `str` holds a dict as its Python `repr` | It holds JSON, as `to_json` writes it |
//! | `bytes`, `longdouble` and structured dtypes exist | They do not |
//! | A `datetime64` or `timedelta64` without a unit takes the unit of its values | The type has a unit |
//! | A `datetime64` beyond 64 bits wraps | It is an error |
//! | A `datetime64` has any year | The year is between -262143 and 262142 |
//! | A `datetime64` of `"today"` or `"now"` reads the clock | It is an error |
//! | `NaT` does not equal itself | `Datetime64::NAT` and `Timedelta64::NAT` equal themselves |
//! | Numbers in text may have digits of any script | Numbers in text have ASCII digits |
//! | A lone surrogate such as `"\ud800"` is a character | It is not valid JSON, because text is UTF-8 |
//! | JSON nests up to the recursion limit, about 990 deep | JSON nests up to 200 deep |
//! | `to_json(path)` leaves half a file when it fails | The file is replaced as a whole, or not at all |

mod array;
mod column;
mod dataframe;
mod datetime;
mod element;
mod infer_dtype;
mod iso8601;
mod parse;
mod python;
mod response;
pub mod time_unit;
mod value;

#[cfg(test)]
mod tests;

pub use array::Ndarray;
pub(in crate::client) use dataframe::INDEX;
pub use datetime::{Datetime64, Timedelta64};
pub use element::Element;
pub(in crate::client) use parse::parse;
pub use response::{PredictionsFormat, PredictionsResponse};
pub use value::Value;

pub use {arrow_array, arrow_schema, half, indexmap, ndarray, num_complex};
