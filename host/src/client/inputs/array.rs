//! Converts an array to the `inputs` of MLflow's scoring protocol.

use half::f16;
use mlflow_deploy_plugin_api::{JSON, Payload};
use ndarray::ArrayViewD;

use crate::client::predictions::Value;

/// An element type of arrays that `TableInputs::from_array` accepts. A program may implement it for its own types.
///
/// Complex numbers, dates and durations have no JSON form: convert them to text, or to a number in a unit.
pub trait InputElement {
    /// Converts the element to JSON.
    fn to_value(&self) -> Value;
}

/// Implements [`InputElement`] for the types that convert to `bool`, `i64` or `f64` without loss.
macro_rules! numbers {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl InputElement for $type {
            fn to_value(&self) -> Value {
                Value::$variant((*self).into())
            }
        })*
    };
}

numbers! {
    bool => Bool,
    f16 => Float,
    f32 => Float,
    f64 => Float,
    i16 => Int,
    i32 => Int,
    i64 => Int,
    i8 => Int,
    u16 => Int,
    u32 => Int,
    u8 => Int,
}

impl InputElement for u64 {
    fn to_value(&self) -> Value {
        i64::try_from(*self).map_or_else(|_beyond| Value::BigInt(self.to_string()), Value::Int)
    }
}

impl InputElement for String {
    fn to_value(&self) -> Value {
        Value::String(self.clone())
    }
}

impl InputElement for &str {
    fn to_value(&self) -> Value {
        Value::String((*self).to_owned())
    }
}

impl InputElement for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
}

impl<T: InputElement> InputElement for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
}

pub(super) fn payload<T: InputElement>(array: &ArrayViewD<'_, T>) -> Payload {
    let mut json = "{\"inputs\": ".to_owned();
    write(&mut json, array);
    json.push('}');
    Payload::new(JSON, json)
}

/// Writes an array as nested lists. Writes an array without dimensions as its only element.
fn write<T: InputElement>(json: &mut String, array: &ArrayViewD<'_, T>) {
    if array.ndim() == 0 {
        array.iter().for_each(|element| json.push_str(&element.to_value().to_string()));
        return;
    }
    json.push('[');
    for (at, part) in array.outer_iter().enumerate() {
        json.push_str(if at == 0 { "" } else { ", " });
        write(json, &part);
    }
    json.push(']');
}
