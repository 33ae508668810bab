//! Parses JSON as Python's `json.loads` does, at most [`MAX_DEPTH`] levels deep.

use indexmap::IndexMap;
use jiter::{Jiter, JiterError, Peek};
use mlflow_deploy_plugin_api::Error as TargetError;

use super::value::Value;

/// The maximum depth of nested lists and dicts: enough for numpy's 64 dimensions, and safe on a small stack.
const MAX_DEPTH: usize = 200;

/// Parses a text that consists of one JSON value.
pub(in crate::client) fn parse(json: &[u8]) -> Result<Value, TargetError> {
    let mut jiter = Jiter::new(json).with_allow_inf_nan();
    let parsed = jiter.peek().map_err(ParseError::Json).and_then(|peek| value(&mut jiter, peek, 0));
    let parsed = parsed.and_then(|value| jiter.finish().map(|()| value).map_err(ParseError::Json));
    parsed.map_err(|error| {
        let reason = match error {
            ParseError::Json(error) => error.description(&jiter),
            ParseError::TooDeep => format!("expected at most {MAX_DEPTH} nested lists and dicts"),
        };
        TargetError::invalid_parameter(format!("predictions response contents are not valid JSON: {reason}"))
    })
}

/// The reason why a text cannot be parsed as JSON.
enum ParseError {
    Json(JiterError),
    TooDeep,
}

impl From<JiterError> for ParseError {
    fn from(error: JiterError) -> Self {
        Self::Json(error)
    }
}

fn value(jiter: &mut Jiter<'_>, peek: Peek, depth: usize) -> Result<Value, ParseError> {
    match peek {
        Peek::Null => Ok(jiter.known_null().map(|()| Value::Null)?),
        Peek::True | Peek::False => Ok(Value::Bool(jiter.known_bool(peek)?)),
        Peek::String => Ok(Value::String(jiter.known_str()?.to_owned())),
        Peek::Array | Peek::Object if depth == MAX_DEPTH => Err(ParseError::TooDeep),
        Peek::Array => {
            let mut items = Vec::new();
            let mut next = jiter.known_array()?;
            while let Some(peek) = next {
                items.push(value(jiter, peek, depth + 1)?);
                next = jiter.array_step()?;
            }
            Ok(Value::Array(items))
        }
        Peek::Object => {
            let mut members = IndexMap::new();
            let mut next = jiter.known_object()?.map(str::to_owned);
            while let Some(key) = next {
                let peek = jiter.peek()?;
                // A repeated key keeps its position and gets the new value, as in a Python dict.
                members.insert(key, value(jiter, peek, depth + 1)?);
                next = jiter.next_key()?.map(str::to_owned);
            }
            Ok(Value::Object(members))
        }
        _ => Ok(number(&String::from_utf8_lossy(jiter.known_number_bytes(peek)?))),
    }
}

/// Converts a number that the parser has validated. An integer beyond `i64` keeps its digits.
fn number(text: &str) -> Value {
    if let Ok(int) = text.parse() {
        Value::Int(int)
    } else if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
        Value::BigInt(text.to_owned())
    } else {
        // Rust parses every JSON float, also `NaN` and `Infinity`.
        Value::Float(text.parse().unwrap_or(f64::NAN))
    }
}
