//! Reads JSON as Python's `json.loads` does. Never recurses deeper than [`DEEPEST`], whatever the text.

use indexmap::IndexMap;
use jiter::{Jiter, JiterError, Peek};

use super::value::Value;
use crate::TargetError;

/// How deep lists and dicts may nest. Deep enough for numpy's 64 dimensions, and shallow enough for a small stack.
const DEEPEST: usize = 200;

/// Reads one JSON value.
pub(super) fn parse(json: &[u8]) -> Result<Value, TargetError> {
    let mut jiter = Jiter::new(json).with_allow_inf_nan();
    let read = jiter.peek().map_err(Fault::Json).and_then(|peek| value(&mut jiter, peek, 0));
    let read = read.and_then(|value| jiter.finish().map(|()| value).map_err(Fault::Json));
    read.map_err(|fault| {
        let why = match fault {
            Fault::Json(error) => error.description(&jiter),
            Fault::TooDeep => format!("expected at most {DEEPEST} nested lists and dicts"),
        };
        TargetError::invalid_parameter(format!("predictions response contents are not valid JSON: {why}"))
    })
}

/// Why there is no value.
enum Fault {
    Json(JiterError),
    TooDeep,
}

impl From<JiterError> for Fault {
    fn from(error: JiterError) -> Self {
        Self::Json(error)
    }
}

fn value(jiter: &mut Jiter<'_>, peek: Peek, depth: usize) -> Result<Value, Fault> {
    match peek {
        Peek::Null => Ok(jiter.known_null().map(|()| Value::Null)?),
        Peek::True | Peek::False => Ok(Value::Bool(jiter.known_bool(peek)?)),
        Peek::String => Ok(Value::String(jiter.known_str()?.to_owned())),
        Peek::Array | Peek::Object if depth == DEEPEST => Err(Fault::TooDeep),
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
                // A key that came before keeps its place and gets the new value, as in a Python dict.
                members.insert(key, value(jiter, peek, depth + 1)?);
                next = jiter.next_key()?.map(str::to_owned);
            }
            Ok(Value::Object(members))
        }
        _ => Ok(number(&String::from_utf8_lossy(jiter.known_number_bytes(peek)?))),
    }
}

/// A number that the parser has found to be one. An integer beyond `i64` keeps its digits.
fn number(text: &str) -> Value {
    if let Ok(int) = text.parse() {
        Value::Int(int)
    } else if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
        Value::BigInt(text.to_owned())
    } else {
        // Rust reads every float that JSON can say, `NaN` and `Infinity` too.
        Value::Float(text.parse().unwrap_or(f64::NAN))
    }
}
