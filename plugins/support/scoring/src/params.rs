//! Checks a request's parameters against the signature: MLflow's rules. Never changes one.

use std::ops::Range;

use jiter::{Jiter, JsonValue};

use crate::fault::Fault;
use crate::json::excerpt;
use crate::signature::{ParamSpec, ScalarType};

/// Checks the parameters in this part of the body; what the signature does not name is ignored.
pub(crate) fn check(text: &str, part: Range<usize>, specs: &[ParamSpec]) -> Result<(), Fault> {
    let mut jiter = Jiter::new(text.as_bytes().get(part).unwrap_or_default()).with_allow_inf_nan();
    let params = jiter
        .next_value()
        .map_err(|error| Fault::bad_request(format!("`params` cannot be read: {}", error.description(&jiter))))?;
    let members = match &params {
        JsonValue::Null => return Ok(()),
        JsonValue::Object(members) => members,
        _ => return Err(Fault::invalid("`params` is not an object")),
    };
    for spec in specs {
        // Of a key that comes twice the last value counts, as in Python.
        let value = members.iter().rev().find(|(name, _)| name.as_ref() == spec.name).map(|(_, value)| value);
        if let (Some(value), Some(kind)) = (value, spec.kind) {
            check_one(spec, kind, value)?;
        }
    }
    Ok(())
}

fn check_one(spec: &ParamSpec, kind: ScalarType, value: &JsonValue<'_>) -> Result<(), Fault> {
    let refuse = |given: &str| {
        let expected = if spec.is_list { "a list of " } else { "" };
        Err(Fault::invalid(format!(
            "the parameter `{}` is {given}, and the model takes {expected}`{}`",
            excerpt(&spec.name),
            kind.name(),
        )))
    };
    match value {
        JsonValue::Null if !spec.is_list => Ok(()),
        JsonValue::Array(items) if spec.is_list => match items.iter().find(|item| !is(item, kind)) {
            None => Ok(()),
            Some(item) => refuse(&format!("a list with {}", show(item))),
        },
        value if !spec.is_list && is(value, kind) => Ok(()),
        value => refuse(&show(value)),
    }
}

/// Whether a value is of a type: integers are floats too, and nothing else is anything else.
fn is(value: &JsonValue<'_>, kind: ScalarType) -> bool {
    match (value, kind) {
        (JsonValue::Bool(_), ScalarType::Boolean) => true,
        (JsonValue::Int(int), ScalarType::Integer) => i32::try_from(*int).is_ok(),
        (JsonValue::Int(_), ScalarType::Long | ScalarType::Double | ScalarType::Float) => true,
        (JsonValue::Float(_), ScalarType::Double | ScalarType::Float) => true,
        (JsonValue::Str(_), ScalarType::String | ScalarType::Binary) => true,
        (JsonValue::Str(text), ScalarType::Datetime) => crate::datetime::nanoseconds(text).is_ok(),
        (JsonValue::Null, _) => true,
        _ => false,
    }
}

fn show(value: &JsonValue<'_>) -> String {
    match value {
        JsonValue::Null => "`null`".to_owned(),
        JsonValue::Bool(truth) => format!("`{truth}`"),
        JsonValue::Int(int) => format!("`{int}`"),
        JsonValue::Float(float) => format!("`{float:?}`"),
        JsonValue::Str(text) => format!("`{:?}`", excerpt(text)),
        JsonValue::Array(_) => "a list".to_owned(),
        JsonValue::Object(_) => "an object".to_owned(),
    }
}
