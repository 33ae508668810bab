//! The records of deployments and endpoints: SageMaker's own descriptions, with a name.

use serde_json::{Map, Value};

/// Returns the record of an endpoint: the members that SageMaker returns, and `name`.
pub(crate) fn record(endpoint: Value) -> Value {
    let Value::Object(members) = endpoint else { return endpoint };
    let name = members.get("EndpointName").cloned().unwrap_or_default();
    let mut record = Map::from_iter([("name".to_owned(), name)]);
    record.extend(members);
    Value::Object(record)
}

/// Returns the record of a changed deployment, which has the flavor as MLflow's client returns it.
pub(crate) fn changed(endpoint: Value, flavor: &str) -> Value {
    let mut record = record(endpoint);
    record["flavor"] = flavor.into();
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_keeps_the_members_of_sagemaker() {
        let endpoint = json!({"EndpointName": "iris", "EndpointStatus": "InService", "CreationTime": 1.5});
        let expected =
            json!({"name": "iris", "EndpointName": "iris", "EndpointStatus": "InService", "CreationTime": 1.5});
        assert_eq!(record(endpoint.clone()), expected);
        assert_eq!(changed(endpoint, "python_function")["flavor"], "python_function");
    }
}
