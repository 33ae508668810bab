//! One value as an element of a tensor: MLflow's conversions, without those that change a value silently.

use crate::cells::Cell;
use crate::datetime;
use crate::text::{self, float_repr};
use half::f16;

/// Why a value is no element: the end of a sentence that starts with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// MLflow takes it and feeds another value to the model.
    Changed(&'static str),
    /// MLflow refuses it too.
    Unreadable(&'static str),
    /// It is a time with a time zone.
    Zone,
}

pub(crate) type Converted<T> = Result<T, Refusal>;

const BEYOND: Refusal = Refusal::Changed("is beyond its range");
const FRACTION: Refusal = Refusal::Changed("has a fraction");
const MISSING: Refusal = Refusal::Unreadable("is missing");
const NO_NUMBER: Refusal = Refusal::Unreadable("is no number");
const OBJECT: Refusal = Refusal::Unreadable("is an object");
const WRONG_KIND: Refusal = Refusal::Unreadable("is of another kind");

/// What a tensor can hold.
pub(crate) trait Element: Sized {
    fn from_int(int: i64) -> Converted<Self>;

    /// From a float; `NaN` is what is missing.
    fn from_float(float: f64) -> Converted<Self>;

    /// From what is neither an integer within `i64` nor a float.
    fn from_other(cell: &Cell) -> Converted<Self>;

    /// From a field of a CSV file.
    fn from_field(field: &str) -> Converted<Self>;

    fn from_cell(cell: &Cell) -> Converted<Self> {
        match cell {
            Cell::Int(int) => Self::from_int(*int),
            Cell::Float(float) => Self::from_float(*float),
            other => Self::from_other(other),
        }
    }
}

/// Declares the integers.
macro_rules! integers {
    ($($type:ident)*) => {
        $(impl Element for $type {
            fn from_int(int: i64) -> Converted<Self> {
                Self::try_from(int).map_err(|_out_of_range| BEYOND)
            }

            fn from_float(float: f64) -> Converted<Self> {
                let why = if float.is_nan() { MISSING } else if float.is_infinite() { BEYOND } else { FRACTION };
                text::integer(float).ok_or(why)?.try_into().map_err(|_out_of_range| BEYOND)
            }

            fn from_other(cell: &Cell) -> Converted<Self> {
                match cell {
                    Cell::Bool(truth) => Ok(Self::from(*truth)),
                    Cell::BigInt(text) | Cell::Text(text) => {
                        text::python_int(text).ok_or(NO_NUMBER)?.try_into().map_err(|_out_of_range| BEYOND)
                    }
                    Cell::Object => Err(OBJECT),
                    _ => Err(MISSING),
                }
            }

            fn from_field(field: &str) -> Converted<Self> {
                if text::is_missing(field) {
                    return Err(MISSING);
                }
                match text::python_int(field) {
                    Some(int) => int.try_into().map_err(|_out_of_range| BEYOND),
                    // pandas reads `1.0` here, as no text in JSON may be.
                    None => Self::from_float(finite(field, text::csv_float(field))?),
                }
            }
        })*
    };
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

/// Declares the floats: from `f64`, which rounds, and refuses what becomes infinite.
macro_rules! floats {
    ($($type:ident $convert:expr),* $(,)?) => {
        $(impl Element for $type {
            fn from_int(int: i64) -> Converted<Self> {
                Self::from_float(int as f64)
            }

            fn from_float(float: f64) -> Converted<Self> {
                let convert: fn(f64) -> Self = $convert;
                let converted = convert(float);
                if converted.is_infinite() && float.is_finite() { Err(BEYOND) } else { Ok(converted) }
            }

            fn from_other(cell: &Cell) -> Converted<Self> {
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

            fn from_field(field: &str) -> Converted<Self> {
                if text::is_missing(field) {
                    return Self::from_float(f64::NAN);
                }
                Self::from_float(finite(field, text::csv_float(field))?)
            }
        })*
    };
}

/// The float that a text was read as; digits that are read as infinite are refused.
fn finite(text: &str, float: Option<f64>) -> Converted<f64> {
    match float {
        None => Err(NO_NUMBER),
        Some(float) if float.is_infinite() && text.contains(|character: char| character.is_ascii_digit()) => {
            Err(BEYOND)
        }
        Some(float) => Ok(float),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest float; one that became infinite is refused")]
fn to_f32(float: f64) -> f32 {
    float as f32
}

floats! {
    f16 f16::from_f64,
    f32 to_f32,
    f64 |float| float,
}

impl Element for bool {
    fn from_int(int: i64) -> Converted<Self> {
        match int {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Refusal::Changed("is neither 0 nor 1")),
        }
    }

    fn from_float(float: f64) -> Converted<Self> {
        match text::integer(float) {
            Some(int) if (0..=1).contains(&int) => Ok(int == 1),
            None if float.is_nan() => Err(Refusal::Changed("is missing")),
            _ => Err(Refusal::Changed("is neither 0 nor 1")),
        }
    }

    fn from_other(cell: &Cell) -> Converted<Self> {
        match cell {
            Cell::Bool(truth) => Ok(*truth),
            Cell::Text(_) => Err(Refusal::Changed("is text")),
            Cell::BigInt(_) => Err(Refusal::Changed("is neither 0 nor 1")),
            Cell::Object => Err(OBJECT),
            _ => Err(Refusal::Changed("is missing")),
        }
    }

    fn from_field(field: &str) -> Converted<Self> {
        match field {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => text::csv_bool(field).ok_or(Refusal::Unreadable("is neither `True` nor `False`")),
        }
    }
}

impl Element for String {
    fn from_int(int: i64) -> Converted<Self> {
        Ok(int.to_string())
    }

    fn from_float(float: f64) -> Converted<Self> {
        if float.is_nan() { Self::from_other(&Cell::Missing) } else { Ok(float_repr(float)) }
    }

    fn from_other(cell: &Cell) -> Converted<Self> {
        match cell {
            Cell::Bool(truth) => Ok(if *truth { "True" } else { "False" }.to_owned()),
            Cell::BigInt(text) | Cell::Text(text) => Ok(text.as_ref().to_owned()),
            Cell::Object => Err(OBJECT),
            _ => Err(Refusal::Changed("is missing, and would be the text `None` or `nan`")),
        }
    }

    fn from_field(field: &str) -> Converted<Self> {
        Ok(field.to_owned())
    }
}

/// Bytes that are written as base64, in dataframes.
#[derive(Clone)]
pub(crate) struct Base64(pub(super) Vec<u8>);

impl Element for Base64 {
    fn from_int(_: i64) -> Converted<Self> {
        Err(WRONG_KIND)
    }

    fn from_float(_: f64) -> Converted<Self> {
        Err(WRONG_KIND)
    }

    fn from_other(cell: &Cell) -> Converted<Self> {
        match cell {
            Cell::Text(text) => Self::from_field(text),
            _ => Err(WRONG_KIND),
        }
    }

    fn from_field(field: &str) -> Converted<Self> {
        text::base64(field).map(Self)
    }
}

/// Bytes that are written as text, in `inputs` and `instances`.
#[derive(Clone)]
pub(crate) struct Utf8(pub(super) Vec<u8>);

impl Element for Utf8 {
    fn from_int(int: i64) -> Converted<Self> {
        String::from_int(int).map(|text| Self(text.into_bytes()))
    }

    fn from_float(float: f64) -> Converted<Self> {
        String::from_float(float).map(|text| Self(text.into_bytes()))
    }

    fn from_other(cell: &Cell) -> Converted<Self> {
        String::from_other(cell).map(|text| Self(text.into_bytes()))
    }

    fn from_field(field: &str) -> Converted<Self> {
        Ok(Self(field.as_bytes().to_vec()))
    }
}

/// Nanoseconds since 1970.
#[derive(Clone)]
pub(crate) struct Nanoseconds(pub(super) i64);

/// What is missing, as numpy has it: `NaT`.
const NOT_A_TIME: i64 = i64::MIN;

impl Element for Nanoseconds {
    fn from_int(int: i64) -> Converted<Self> {
        Ok(Self(int))
    }

    fn from_float(float: f64) -> Converted<Self> {
        if float.is_nan() {
            return Ok(Self(NOT_A_TIME));
        }
        i64::from_float(float).map(Self)
    }

    fn from_other(cell: &Cell) -> Converted<Self> {
        match cell {
            Cell::Missing => Ok(Self(NOT_A_TIME)),
            Cell::Text(text) => Self::from_field(text),
            Cell::BigInt(_) => Err(BEYOND),
            Cell::Object => Err(OBJECT),
            _ => Err(WRONG_KIND),
        }
    }

    fn from_field(field: &str) -> Converted<Self> {
        if text::is_missing(field) {
            return Ok(Self(NOT_A_TIME));
        }
        datetime::nanoseconds(field).map(Self)
    }
}
