//! Infers a dtype from the kinds of the values, as numpy does for an array, and as pandas does for a column of a
//! dataframe. In pandas, a column of integers and nulls has a float dtype.

use super::value::Value;

/// A dtype that numpy and pandas can infer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumpyDtype {
    Bool,
    Float64,
    Int64,
    Object,
    Str,
    Uint64,
}

/// The kinds of values that occur in an array or in a column.
#[derive(Debug, Default)]
pub(super) struct ValueKinds {
    /// True if a value is missing. pandas fills in `NaN` for it.
    missing: bool,
    null: bool,
    nan: bool,
    bool: bool,
    /// True if an integer within `i64` occurs.
    int: bool,
    negative: bool,
    /// True if an integer beyond `i64` and within `u64` occurs.
    uint: bool,
    float: bool,
    str: bool,
    /// True if a list, a dict, or an integer beyond `u64` occurs.
    object: bool,
}

impl ValueKinds {
    /// Collects the kinds of `values`. `None` is a missing value.
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

    /// Returns the dtype that `numpy.array` chooses by default for values of these kinds.
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

    /// Returns the dtype that `pandas.DataFrame` chooses for a column with values of these kinds. Unlike numpy, pandas
    /// promotes only numbers.
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
