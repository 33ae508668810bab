//! What kinds of values are among some, and the dtype that numpy or pandas chooses for them. Never looks at the order:
//! neither does.

use super::value::Value;

/// numpy's and pandas' names of what an array or a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    Bool,
    Float64,
    Int64,
    Object,
    Str,
    Uint64,
}

/// The kinds of values that are there.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    /// No value at all: pandas fills in `NaN`.
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

impl Kinds {
    pub(super) fn of<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> Self {
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

    /// The dtype that `numpy.array` finds where none is given: the one that all kinds can be promoted to.
    pub(super) fn numpy(&self) -> Dtype {
        if self.object || self.null {
            Dtype::Object
        } else if self.str {
            Dtype::Str
        } else if self.float || self.nan || (self.int && self.uint) {
            Dtype::Float64
        } else if self.uint {
            Dtype::Uint64
        } else if self.int {
            Dtype::Int64
        } else if self.bool {
            Dtype::Bool
        } else {
            Dtype::Float64
        }
    }

    /// The dtype of a column of a `pandas.DataFrame`, which promotes numbers alone.
    pub(super) fn pandas(&self) -> Dtype {
        let numbers = self.int || self.uint || self.float;
        let absent = self.missing || self.null || self.nan;
        if self.object
            || (self.bool && (self.str || numbers || absent))
            || (self.str && numbers)
            || (self.negative && self.uint)
        {
            Dtype::Object
        } else if self.bool {
            Dtype::Bool
        } else if self.str {
            Dtype::Str
        } else if self.float || (numbers && absent) {
            Dtype::Float64
        } else if self.uint {
            Dtype::Uint64
        } else if self.int {
            Dtype::Int64
        } else if self.null && !self.missing && !self.nan {
            Dtype::Object
        } else {
            Dtype::Float64
        }
    }
}
