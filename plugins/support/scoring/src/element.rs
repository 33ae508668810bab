//! Converts one value of a request to an element of a tensor, as MLflow does. Fails if MLflow would change the value.

use half::f16;

use crate::cell_error::{CellError, CellResult};
use crate::cells::Cell;
use crate::missing_values::is_missing;
use crate::python::float_repr;
use crate::{datetime, text};

const OUT_OF_RANGE: CellError = CellError::Lossy("is out of range");
const FRACTION: CellError = CellError::Lossy("has a fraction");
const MISSING: CellError = CellError::Invalid("is missing");
const NOT_A_NUMBER: CellError = CellError::Invalid("is not a number");
const OBJECT: CellError = CellError::Invalid("is an object");
const WRONG_TYPE: CellError = CellError::Invalid("has the wrong type");

/// A type of tensor elements, to which the values of a request can be converted.
pub(crate) trait TensorElement: Sized {
    fn from_int(int: i64) -> CellResult<Self>;

    /// Converts a float to an element. `NaN` is a missing value.
    fn from_float(float: f64) -> CellResult<Self>;

    /// Converts a value that is neither a float nor an integer in the range of `i64`.
    fn from_other(cell: &Cell) -> CellResult<Self>;

    /// Converts a field of a CSV file to an element.
    fn from_field(field: &str) -> CellResult<Self>;

    fn from_cell(cell: &Cell) -> CellResult<Self> {
        match cell {
            Cell::Int(int) => Self::from_int(*int),
            Cell::Float(float) => Self::from_float(*float),
            other => Self::from_other(other),
        }
    }
}

/// Implements [`TensorElement`] for integer types.
macro_rules! integers {
    ($($type:ident)*) => {
        $(impl TensorElement for $type {
            fn from_int(int: i64) -> CellResult<Self> {
                Self::try_from(int).map_err(|_out_of_range| OUT_OF_RANGE)
            }

            fn from_float(float: f64) -> CellResult<Self> {
                let reason = if float.is_nan() { MISSING } else if float.is_infinite() { OUT_OF_RANGE } else { FRACTION };
                text::integer(float).ok_or(reason)?.try_into().map_err(|_out_of_range| OUT_OF_RANGE)
            }

            fn from_other(cell: &Cell) -> CellResult<Self> {
                match cell {
                    Cell::Bool(truth) => Ok(Self::from(*truth)),
                    Cell::BigInt(text) | Cell::Text(text) => {
                        text::python_int(text).ok_or(NOT_A_NUMBER)?.try_into().map_err(|_out_of_range| OUT_OF_RANGE)
                    }
                    Cell::Object => Err(OBJECT),
                    _ => Err(MISSING),
                }
            }

            fn from_field(field: &str) -> CellResult<Self> {
                if is_missing(field) {
                    return Err(MISSING);
                }
                match text::python_int(field) {
                    Some(int) => int.try_into().map_err(|_out_of_range| OUT_OF_RANGE),
                    // pandas reads `1.0` as an integer in CSV; JSON strings are not read this way.
                    None => Self::from_float(finite(field, text::csv_float(field))?),
                }
            }
        })*
    };
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

/// Implements [`TensorElement`] for float types. The conversion rounds, and fails if it turns a finite number into an
/// infinite one.
macro_rules! floats {
    ($($type:ident $convert:expr),* $(,)?) => {
        $(impl TensorElement for $type {
            fn from_int(int: i64) -> CellResult<Self> {
                Self::from_float(int as f64)
            }

            fn from_float(float: f64) -> CellResult<Self> {
                let convert: fn(f64) -> Self = $convert;
                let converted = convert(float);
                if converted.is_infinite() && float.is_finite() { Err(OUT_OF_RANGE) } else { Ok(converted) }
            }

            fn from_other(cell: &Cell) -> CellResult<Self> {
                match cell {
                    Cell::Bool(truth) => Self::from_float(f64::from(u8::from(*truth))),
                    Cell::BigInt(text) => {
                        Self::from_float(finite(text, text::python_float(text))?)
                    }
                    Cell::Text(text) => Self::from_float(finite(text, text::python_float(text))?),
                    Cell::Object => Err(OBJECT),
                    _ => Self::from_float(f64::NAN),
                }
            }

            fn from_field(field: &str) -> CellResult<Self> {
                if is_missing(field) {
                    return Self::from_float(f64::NAN);
                }
                Self::from_float(finite(field, text::csv_float(field))?)
            }
        })*
    };
}

/// Returns the float that `text` was parsed to. Fails if `text` is not a number, or if it has digits and its float is
/// infinite.
fn finite(text: &str, float: Option<f64>) -> CellResult<f64> {
    match float {
        None => Err(NOT_A_NUMBER),
        Some(float) if float.is_infinite() && text.contains(|character: char| character.is_ascii_digit()) => {
            Err(OUT_OF_RANGE)
        }
        Some(float) => Ok(float),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounds to the nearest float; the caller rejects an infinite result"
)]
fn to_f32(float: f64) -> f32 {
    float as f32
}

floats! {
    f16 f16::from_f64,
    f32 to_f32,
    f64 |float| float,
}

impl TensorElement for bool {
    fn from_int(int: i64) -> CellResult<Self> {
        match int {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CellError::Lossy("is neither 0 nor 1")),
        }
    }

    fn from_float(float: f64) -> CellResult<Self> {
        match text::integer(float) {
            Some(int) if (0..=1).contains(&int) => Ok(int == 1),
            None if float.is_nan() => Err(CellError::Lossy("is missing")),
            _ => Err(CellError::Lossy("is neither 0 nor 1")),
        }
    }

    fn from_other(cell: &Cell) -> CellResult<Self> {
        match cell {
            Cell::Bool(truth) => Ok(*truth),
            Cell::Text(_) => Err(CellError::Lossy("is a string")),
            Cell::BigInt(_) => Err(CellError::Lossy("is neither 0 nor 1")),
            Cell::Object => Err(OBJECT),
            _ => Err(CellError::Lossy("is missing")),
        }
    }

    fn from_field(field: &str) -> CellResult<Self> {
        match field {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => text::csv_bool(field).ok_or(CellError::Invalid("is neither `True` nor `False`")),
        }
    }
}

impl TensorElement for String {
    fn from_int(int: i64) -> CellResult<Self> {
        Ok(int.to_string())
    }

    fn from_float(float: f64) -> CellResult<Self> {
        if float.is_nan() { Self::from_other(&Cell::Missing) } else { Ok(float_repr(float)) }
    }

    fn from_other(cell: &Cell) -> CellResult<Self> {
        match cell {
            Cell::Bool(truth) => Ok(if *truth { "True" } else { "False" }.to_owned()),
            Cell::BigInt(text) | Cell::Text(text) => Ok(text.as_ref().to_owned()),
            Cell::Object => Err(OBJECT),
            _ => Err(CellError::Lossy("is missing, and would be the text `None` or `nan`")),
        }
    }

    fn from_field(field: &str) -> CellResult<Self> {
        Ok(field.to_owned())
    }
}

/// Bytes that a dataframe writes as base64.
#[derive(Clone)]
pub(crate) struct Base64(pub(super) Vec<u8>);

impl TensorElement for Base64 {
    fn from_int(_: i64) -> CellResult<Self> {
        Err(WRONG_TYPE)
    }

    fn from_float(_: f64) -> CellResult<Self> {
        Err(WRONG_TYPE)
    }

    fn from_other(cell: &Cell) -> CellResult<Self> {
        match cell {
            Cell::Text(text) => Self::from_field(text),
            _ => Err(WRONG_TYPE),
        }
    }

    fn from_field(field: &str) -> CellResult<Self> {
        text::base64(field).map(Self)
    }
}

/// Bytes that `inputs` and `instances` write as UTF-8 text.
#[derive(Clone)]
pub(crate) struct Utf8(pub(super) Vec<u8>);

impl TensorElement for Utf8 {
    fn from_int(int: i64) -> CellResult<Self> {
        String::from_int(int).map(|text| Self(text.into_bytes()))
    }

    fn from_float(float: f64) -> CellResult<Self> {
        String::from_float(float).map(|text| Self(text.into_bytes()))
    }

    fn from_other(cell: &Cell) -> CellResult<Self> {
        String::from_other(cell).map(|text| Self(text.into_bytes()))
    }

    fn from_field(field: &str) -> CellResult<Self> {
        Ok(Self(field.as_bytes().to_vec()))
    }
}

/// A date and time, as nanoseconds since 1970-01-01.
#[derive(Clone)]
pub(crate) struct Nanoseconds(pub(super) i64);

/// The element that stands for a missing time, like numpy's `NaT`.
const NOT_A_TIME: i64 = i64::MIN;

impl TensorElement for Nanoseconds {
    fn from_int(int: i64) -> CellResult<Self> {
        Ok(Self(int))
    }

    fn from_float(float: f64) -> CellResult<Self> {
        if float.is_nan() {
            return Ok(Self(NOT_A_TIME));
        }
        i64::from_float(float).map(Self)
    }

    fn from_other(cell: &Cell) -> CellResult<Self> {
        match cell {
            Cell::Missing => Ok(Self(NOT_A_TIME)),
            Cell::Text(text) => Self::from_field(text),
            Cell::BigInt(_) => Err(OUT_OF_RANGE),
            Cell::Object => Err(OBJECT),
            _ => Err(WRONG_TYPE),
        }
    }

    fn from_field(field: &str) -> CellResult<Self> {
        if is_missing(field) {
            return Ok(Self(NOT_A_TIME));
        }
        datetime::nanoseconds(field).map(Self)
    }
}
