//! Checks that the records in a plugin's results have names, as MLflow guarantees. Never changes a result.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Operation, Payload};

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Checks the result of an operation that returns one record or a list of records. The results of other operations are
/// not read.
///
/// # Errors
/// The predicate of a sentence that describes the violation of the contract.
pub(super) fn check(operation: Operation, result: &Payload) -> Result<(), String> {
    let fault = match operation {
        Operation::CreateDeployment | Operation::GetDeployment | Operation::CreateEndpoint | Operation::GetEndpoint => {
            check_record(result.bytes())
        }
        Operation::ListDeployments | Operation::ListEndpoints => check_list(result.bytes()),
        _ => return Ok(()),
    };
    let expected = "expected an object whose `name` is a string";
    fault.map_err(|fault| format!("replied to `{}` with {fault}; {expected}", operation.name()))
}

fn check_record(json: &[u8]) -> Result<(), String> {
    match serde_json::from_slice(json) {
        Ok(record) => check_name(&record).map_err(|fault| format!("a record {fault}")),
        Err(_other) if json.is_empty() => Err("nothing".to_owned()),
        Err(_other) => Err("a result that is not a JSON object".to_owned()),
    }
}

fn check_list(json: &[u8]) -> Result<(), String> {
    let Ok(records) = serde_json::from_slice::<Vec<Members<'_>>>(json) else {
        return Err("a result that is not a JSON list of objects".to_owned());
    };
    for (at, record) in (1_usize..).zip(&records) {
        check_name(record).map_err(|fault| format!("a list, in which record {at} is one {fault}"))?;
    }
    Ok(())
}

/// Checks the member `name`. The error shows the type of a wrong name and not the name itself, which may be secret.
fn check_name(record: &Members<'_>) -> Result<(), String> {
    let kind = match record.get("name").and_then(|name| name.get().as_bytes().first()) {
        Some(b'"') => return Ok(()),
        None => return Err("without `name`".to_owned()),
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(_) => "a number",
    };
    Err(format!("whose `name` is {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JSON;

    fn fault(operation: Operation, json: &str) -> Option<String> {
        check(operation, &Payload::new(JSON, json)).err()
    }

    #[test]
    fn a_record_without_a_name_that_is_a_string_is_a_fault() {
        let deep = format!(r#"{{"name": "a", "deep": {}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
        for operation in
            [Operation::CreateDeployment, Operation::GetDeployment, Operation::CreateEndpoint, Operation::GetEndpoint]
        {
            for (json, expected) in [
                ("{}", "a record without `name`"),
                (r#"{"Name": "a"}"#, "a record without `name`"),
                (r#"{"name": 1}"#, "a record whose `name` is a number"),
                (r#"{"name": null}"#, "a record whose `name` is null"),
                (r#"{"name": {"a": 1}}"#, "a record whose `name` is an object"),
                (r#"{"name": ["a"]}"#, "a record whose `name` is a list"),
                (r#"{"name": true}"#, "a record whose `name` is a boolean"),
                ("null", "a result that is not a JSON object"),
                (r#"[{"name": "a"}]"#, "a result that is not a JSON object"),
                ("", "nothing"),
            ] {
                let expected = format!(
                    "replied to `{}` with {expected}; expected an object whose `name` is a string",
                    operation.name()
                );
                assert_eq!(fault(operation, json), Some(expected), "{json}");
            }
            for json in [r#"{"name": "a", "x": 1e999}"#, r#"{"x": 1, "name": ""}"#, r#"{"name":"a","name":"b"}"#, &deep]
            {
                assert_eq!(fault(operation, json), None, "{json}");
            }
        }
    }

    #[test]
    fn each_record_of_a_list_needs_a_name() {
        for operation in [Operation::ListDeployments, Operation::ListEndpoints] {
            for (json, expected) in [
                (r#"[{"name": "a"}, {}]"#, "a list, in which record 2 is one without `name`"),
                (r#"[{"name": 1}]"#, "a list, in which record 1 is one whose `name` is a number"),
                (r#"{"name": "a"}"#, "a result that is not a JSON list of objects"),
                (r#"["a"]"#, "a result that is not a JSON list of objects"),
                ("", "a result that is not a JSON list of objects"),
            ] {
                let found = fault(operation, json).unwrap();
                assert!(found.contains(&format!(" with {expected}; ")), "{json}: {found}");
            }
            assert_eq!(fault(operation, "[]"), None);
            assert_eq!(fault(operation, r#"[{"name": "a"}, {"name": "b"}]"#), None);
        }
    }

    #[test]
    fn the_results_of_other_operations_are_not_read() {
        for operation in [Operation::UpdateDeployment, Operation::UpdateEndpoint, Operation::Predict] {
            assert_eq!(fault(operation, "{}"), None);
        }
    }
}
