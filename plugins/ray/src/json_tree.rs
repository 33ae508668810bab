//! Compares and merges JSON documents as Ray Serve understands them: a missing key is the same as `null`, and `1` is the
//! same as `1.0`.

use serde_json::{Map, Value};

/// Returns true if both documents say the same.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    contains(one, other) && contains(other, one)
}

/// Returns true if `whole` has all values of `part`. It may have more keys, in each of its objects.
pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| contains(whole.get(key).unwrap_or(&Value::Null), part))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        (Value::Number(whole), Value::Number(part)) => whole == part || whole.as_f64() == part.as_f64(),
        (Value::Null, Value::Object(part)) => part.values().all(Value::is_null),
        _ => whole == part,
    }
}

/// Sets the keys of `changes` in `object`. Objects are merged, other values replaced, and a `null` removes its key.
pub(crate) fn merge(object: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, change) in changes {
        match (object.get_mut(key), change) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(change)) => merge(inner, change),
            _ => {
                object.insert(key.clone(), change.clone());
            }
        }
    }
}

/// Returns the object at `key`, which is created if it is missing or is not an object.
pub(crate) fn object_at<'a>(object: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = object.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was set to an object")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_compared_by_their_meaning() {
        assert!(same(&json!({"a": 1, "b": null}), &json!({"a": 1.0})));
        assert!(same(&json!({"a": {"b": null}}), &json!({})));
        assert!(!same(&json!({"a": 1, "b": 2}), &json!({"a": 1})));
        assert!(contains(&json!({"a": 1, "b": [{"c": 2, "d": 3}]}), &json!({"b": [{"c": 2.0}]})));
        for part in [json!({"a": 2}), json!({"b": []}), json!({"c": 1}), json!([]), json!({"a": "1"})] {
            assert!(!contains(&json!({"a": 1, "b": [1]}), &part), "{part}");
        }
    }

    #[test]
    fn a_merge_keeps_other_keys_and_null_removes_one() {
        let Value::Object(mut object) = json!({"a": {"b": 1, "c": 2}, "d": [1], "e": 3}) else { panic!() };
        let Value::Object(changes) = json!({"a": {"b": 4}, "d": [2], "e": null, "f": {}}) else { panic!() };
        merge(&mut object, &changes);
        assert_eq!(Value::Object(object), json!({"a": {"b": 4, "c": 2}, "d": [2], "f": {}}));
    }
}
