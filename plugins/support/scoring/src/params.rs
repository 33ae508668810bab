//! Checks the parameters of a request against the model's signature, by MLflow's rules. Does not convert them.

use std::ops::Range;

use jiter::{Jiter, JsonValue};

use crate::error::ProtocolError;
use crate::message::{NOT_IN_SIGNATURE, log_ignored, shorten};
use crate::signature::{ParamSpec, ScalarType};

/// Checks the parameters of a request against those in the signature, `specs`. `part` is their byte range in `text`.
/// Ignores parameters that the signature does not have.
pub(crate) fn check(text: &str, part: Range<usize>, specs: &[ParamSpec]) -> Result<(), ProtocolError> {
    let mut jiter = Jiter::new(text.as_bytes().get(part).unwrap_or_default()).with_allow_inf_nan();
    let params = jiter.next_value().map_err(|error| {
        ProtocolError::bad_request(format!("failed to read `params`: {}", error.description(&jiter)))
    })?;
    let members = match &params {
        JsonValue::Null => return Ok(()),
        JsonValue::Object(members) => members,
        _ => return Err(ProtocolError::invalid("`params` is not an object")),
    };
    let surplus =
        members.iter().map(|(name, _)| name.as_ref()).filter(|name| !specs.iter().any(|spec| spec.name == *name));
    log_ignored("the parameters", surplus, NOT_IN_SIGNATURE);
    for spec in specs {
        // The last value of a repeated key counts, as in Python.
        let value = members.iter().rev().find(|(name, _)| name.as_ref() == spec.name).map(|(_, value)| value);
        if let (Some(value), Some(kind)) = (value, spec.kind) {
            check_one(spec, kind, value)?;
        }
    }
    Ok(())
}

fn check_one(spec: &ParamSpec, kind: ScalarType, value: &JsonValue<'_>) -> Result<(), ProtocolError> {
    let mismatch = |actual: &str| {
        let expected = if spec.is_list { "a list of " } else { "" };
        Err(ProtocolError::invalid(format!(
            "the parameter `{}` is {actual}; the model takes {expected}`{}`",
            shorten(&spec.name),
            kind.name(),
        )))
    };
    match value {
        JsonValue::Null if !spec.is_list => Ok(()),
        JsonValue::Array(items) if spec.is_list => match items.iter().find(|item| !has_type(item, kind)) {
            None => Ok(()),
            Some(item) => mismatch(&format!("a list with {}", quote(item))),
        },
        value if !spec.is_list && has_type(value, kind) => Ok(()),
        value => mismatch(&quote(value)),
    }
}

/// Returns true if a JSON value is valid for a parameter of the type `kind`. An integer is also valid as a float, and
/// null is valid for every type.
fn has_type(value: &JsonValue<'_>, kind: ScalarType) -> bool {
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

fn quote(value: &JsonValue<'_>) -> String {
    match value {
        JsonValue::Null => "`null`".to_owned(),
        JsonValue::Bool(truth) => format!("`{truth}`"),
        JsonValue::Int(int) => format!("`{int}`"),
        JsonValue::Float(float) => format!("`{float:?}`"),
        JsonValue::Str(text) => format!("`{:?}`", shorten(text)),
        JsonValue::Array(_) => "a list".to_owned(),
        JsonValue::Object(_) => "an object".to_owned(),
    }
}
