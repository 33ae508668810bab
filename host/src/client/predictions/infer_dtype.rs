//! Infers a dtype from the kinds of the values, as numpy does for an array, and as pandas does for a column of a
//! dataframe. In pandas, integers with a null become floats.

use super::value::Value;

/// A dtype of numpy and pandas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumpyDtype {
    Bool,
    Float64,
    Int64,
    Object,
    Str,
    Uint64,
}

/// The kinds of values that occur.
#[derive(Debug, Default)]
pub(super) struct ValueKinds {
    /// Missing values, for which pandas fills in `NaN`.
    missing: bool,
    null: bool,
    nan: bool,
    bool: bool,
    /// Integers within `i64`.
    int: bool,
    negative: bool,
    /// Integers beyond `i64` and within `u64`.
    uint: bool,
    float: bool,
    str: bool,
    /// Lists, dicts, and integers beyond `u64`.
    object: bool,
}

impl ValueKinds {
    /// Collects the kinds of `values`; `None` is a missing value.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> Self {
        let mut kinds = Self::default();
        for value in values {
            match value {
                None => kinds.missing = true,
                Some(Value::Null) => kinds.null = true,
                Some(Value::Bool(_)) => kinds.bool = true,
                Some(Value::Int(int)) => {
                    kinds.int = true;
                    kinds.negative |= *int < 0;
                }
                Some(Value::BigInt(digits)) if digits.parse::<u64>().is_ok() => kinds.uint = true,
                Some(Value::Float(float)) if float.is_nan() => kinds.nan = true,
                Some(Value::Float(_)) => kinds.float = true,
                Some(Value::String(_)) => kinds.str = true,
                Some(Value::BigInt(_) | Value::Array(_) | Value::Object(_)) => kinds.object = true,
            }
        }
        kinds
    }

    /// Returns the default dtype of `numpy.array`, to which numpy promotes all kinds.
    pub(super) fn numpy(&self) -> NumpyDtype {
        if self.object || self.null {
            NumpyDtype::Object
        } else if self.str {
            NumpyDtype::Str
        } else if self.float || self.nan || (self.int && self.uint) {
            NumpyDtype::Float64
        } else if self.uint {
            NumpyDtype::Uint64
        } else if self.int {
            NumpyDtype::Int64
        } else if self.bool {
            NumpyDtype::Bool
        } else {
            NumpyDtype::Float64
        }
    }

    /// Returns the dtype of a column of a `pandas.DataFrame`, which promotes only numbers.
    pub(super) fn pandas(&self) -> NumpyDtype {
        let numbers = self.int || self.uint || self.float;
        let absent = self.missing || self.null || self.nan;
        if self.object
            || (self.bool && (self.str || numbers || absent))
            || (self.str && numbers)
            || (self.negative && self.uint)
        {
            NumpyDtype::Object
        } else if self.bool {
            NumpyDtype::Bool
        } else if self.str {
            NumpyDtype::Str
        } else if self.float || (numbers && absent) {
            NumpyDtype::Float64
        } else if self.uint {
            NumpyDtype::Uint64
        } else if self.int {
            NumpyDtype::Int64
        } else if self.null && !self.missing && !self.nan {
            NumpyDtype::Object
        } else {
            NumpyDtype::Float64
        }
    }
}
