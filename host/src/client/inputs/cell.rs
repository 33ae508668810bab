//! Converts one value of an arrow array to JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, temporal_conversions};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;

use super::array::InputElement;
use crate::client::predictions::Value;

/// Returns the value in a row as JSON. The error is the arrow type that has no JSON form.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value, DataType> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    /// Converts the number in the row to JSON.
    macro_rules! number {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row).to_value()
        };
    }
    /// Converts the date or the time in the row to JSON. A value outside the range of `chrono` becomes `null`.
    macro_rules! time {
        ($type:ty, $is_utc:expr) => {
            text(temporal_conversions::as_datetime::<$type>(array.as_primitive::<$type>().value(row).into()), $is_utc)
        };
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).to_value(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => number!(Float16Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_value(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_value(),
        DataType::Utf8View => array.as_string_view().value(row).to_value(),
        DataType::Binary => Value::String(STANDARD.encode(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Value::String(STANDARD.encode(array.as_binary::<i64>().value(row))),
        DataType::Date32 => {
            let date = Date32Type::to_naive_date_opt(array.as_primitive::<Date32Type>().value(row));
            date.map_or(Value::Null, |date| Value::String(format!("{date:?}")))
        }
        DataType::Date64 => time!(Date64Type, false),
        DataType::Timestamp(TimeUnit::Second, zone) => time!(TimestampSecondType, zone.is_some()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => time!(TimestampMillisecondType, zone.is_some()),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => time!(TimestampMicrosecondType, zone.is_some()),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => time!(TimestampNanosecondType, zone.is_some()),
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(fields) => {
            let members = fields.iter().zip(array.as_struct().columns());
            let member = |(field, column): (&FieldRef, &ArrayRef)| Ok((field.name().clone(), value(column, row)?));
            Value::Object(members.map(member).collect::<Result<_, DataType>>()?)
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match value(dictionary.keys(), row)? {
                Value::Int(key) => {
                    usize::try_from(key).map_or(Ok(Value::Null), |key| value(dictionary.values(), key))?
                }
                _ => Value::Null,
            }
        }
        other => return Err(other.clone()),
    })
}

fn list(items: &dyn Array) -> Result<Value, DataType> {
    Ok(Value::Array((0..items.len()).map(|item| value(items, item)).collect::<Result<_, _>>()?))
}

/// Returns a time in ISO 8601, with the offset `+00:00` if `is_utc`. Returns `null` for `None`.
fn text(time: Option<NaiveDateTime>, is_utc: bool) -> Value {
    let zone = if is_utc { "+00:00" } else { "" };
    time.map_or(Value::Null, |time| Value::String(format!("{time:?}{zone}")))
}
