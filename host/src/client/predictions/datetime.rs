//! numpy's `datetime64` and `timedelta64` of each unit. Values that do not fit into 64 bits are rejected, whereas numpy
//! wraps them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use super::element::Element;
use super::iso8601;
use super::time_unit::TimeUnit;
use super::value::Value;

/// Defines a type that holds a 64-bit number of units of time.
macro_rules! value_in_unit {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        pub struct $name<U> {
            value: i64,
            unit: PhantomData<U>,
        }

        impl<U: TimeUnit> $name<U> {
            /// `NaT`, numpy's missing value.
            pub const NAT: Self = Self { value: i64::MIN, unit: PhantomData };

            /// Returns the value with this number of units; [`NAT`](Self::NAT) for `i64::MIN`, as in numpy.
            pub const fn new(value: i64) -> Self {
                Self { value, unit: PhantomData }
            }

            /// Returns the number of units; `None` for [`NAT`](Self::NAT).
            pub const fn value(self) -> Option<i64> {
                if self.value == i64::MIN { None } else { Some(self.value) }
            }
        }

        impl<U> Clone for $name<U> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<U> Copy for $name<U> {}

        impl<U> PartialEq for $name<U> {
            fn eq(&self, other: &Self) -> bool {
                self.value == other.value
            }
        }

        impl<U> Eq for $name<U> {}

        impl<U> Hash for $name<U> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.value.hash(state);
            }
        }

        impl<U: TimeUnit> fmt::Debug for $name<U> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.value() {
                    Some(value) => write!(formatter, "{}({value} {})", stringify!($name), U::CODE),
                    None => write!(formatter, "{}(NaT)", stringify!($name)),
                }
            }
        }
    };
}

value_in_unit! {
    /// A point in time, as the number of units since 1970-01-01 in UTC: numpy's `datetime64` with a unit.
    ///
    /// ```
    /// use mlflow_deploy::PredictionsResponse;
    /// use mlflow_deploy::predictions::ndarray::ArrayD;
    /// use mlflow_deploy::predictions::{Datetime64, time_unit};
    ///
    /// # fn main() -> Result<(), mlflow_deploy::TargetError> {
    /// let response = PredictionsResponse::from_json(r#"{"predictions": ["1970-01-02", null]}"#)?;
    /// let array: ArrayD<Datetime64<time_unit::Second>> = response.get_predictions()?;
    /// assert_eq!((array[0].value(), array[1].value()), (Some(86_400), None));
    /// # Ok(())
    /// # }
    /// ```
    Datetime64
}

value_in_unit! {
    /// A duration, as a number of units: numpy's `timedelta64` with a unit. Unlike in numpy, `NaT` equals itself.
    Timedelta64
}

impl<U: TimeUnit> Element for Datetime64<U> {
    const DTYPE: &'static str = U::DATETIME64;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) if !is_nat(text) => Some(Self::new(U::count(&iso8601::moment(text)?)?)),
            other => units(other).map(Self::new),
        }
    }
}

impl<U: TimeUnit> Element for Timedelta64<U> {
    const DTYPE: &'static str = U::TIMEDELTA64;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            // Rust, like numpy here, takes only ASCII digits after an optional sign.
            Value::String(text) if !is_nat(text) => text.parse().ok().map(Self::new),
            other => units(other).map(Self::new),
        }
    }
}

/// Converts a JSON value to a number of units. Returns `i64::MIN` for a missing value, and `None` for a value of
/// another type.
fn units(value: &Value) -> Option<i64> {
    match value {
        Value::Null | Value::String(_) => Some(i64::MIN),
        Value::Bool(bool) => Some(i64::from(*bool)),
        Value::Int(int) => Some(*int),
        Value::BigInt(_) | Value::Float(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_nat(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("NaT")
}
