//! Tests the suggested command, the config, the memory budget and the warning about the address. Opens no connections.

use axum::body::Body;
use axum::extract::Request;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::ServeConfig;
use super::address::warning;
use super::limits::{MemoryBudget, read_body};
use super::rejection::Rejection;
use super::suggestion::curl;
use mlflow_deploy_scoring::{ColumnSpec, ColumnType, DType, ScalarType, Schema, Signature, TensorSpec};

/// Returns the body in the suggested `curl` command, as it is quoted for the shell.
fn suggested(example: Option<&str>, inputs: Option<Schema>) -> String {
    let signature = Signature { inputs, params: None };
    let line = curl("http://127.0.0.1:1", example.map(str::to_owned), Some(&signature));
    let start = "curl http://127.0.0.1:1/invocations -H 'Content-Type: application/json' -d ";
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn the_suggested_request_has_the_example_or_zeros() {
    assert_eq!(suggested(Some("{\"inputs\":\n [1.0]}"), None), r#"'{"inputs":[1.0]}'"#);
    assert_eq!(suggested(Some(r#"{"inputs": ["it's"]}"#), None), r#"'{"inputs":["it'\''s"]}'"#);
    assert_eq!(suggested(None, None), "@inputs.json");
    assert_eq!(suggested(Some(&format!(r#"{{"inputs": "{}"}}"#, "x".repeat(2000))), None), "@inputs.json");

    let column = |name: Option<&str>, kind| ColumnSpec { name: name.map(str::to_owned), kind, required: true };
    let text = ColumnType::Scalar(ScalarType::String);
    let columns = vec![column(Some("a"), ColumnType::Scalar(ScalarType::Double)), column(Some("b"), text.clone())];
    assert_eq!(
        suggested(None, Some(Schema::Columns(columns))),
        r#"'{"dataframe_split":{"columns":["a","b"],"data":[[0.0,""]]}}'"#
    );
    let list = column(None, ColumnType::Array(Box::new(text)));
    assert_eq!(suggested(None, Some(Schema::Columns(vec![list]))), r#"'{"dataframe_split":{"data":[[[""]]]}}'"#);
    assert_eq!(suggested(None, Some(Schema::Columns(vec![column(None, ColumnType::Any)]))), "@inputs.json");

    let tensor = |name: Option<&str>, shape: &[Option<usize>]| TensorSpec {
        name: name.map(str::to_owned),
        dtype: DType::Int64,
        shape: shape.to_vec(),
    };
    let one = vec![tensor(None, &[None, Some(2)])];
    assert_eq!(suggested(None, Some(Schema::Tensors(one))), r#"'{"inputs":[[0,0]]}'"#);
    let two = vec![tensor(Some("x"), &[]), tensor(Some("y"), &[Some(1)])];
    assert_eq!(suggested(None, Some(Schema::Tensors(two))), r#"'{"inputs":{"x":0,"y":[0]}}'"#);
    let huge = vec![tensor(None, &[Some(usize::MAX), Some(2)])];
    assert_eq!(suggested(None, Some(Schema::Tensors(huge))), "@inputs.json");
    let long_and_empty = vec![tensor(None, &[Some(1 << 40), Some(0)])];
    assert_eq!(suggested(None, Some(Schema::Tensors(long_and_empty))), "@inputs.json");
}

/// Reads a request body of `mib` mebibytes. `limit` is the maximum length of a body, in mebibytes.
async fn read_mib(
    mib: usize,
    limit: usize,
    memory: &MemoryBudget,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Rejection> {
    read_body(Request::new(Body::from(vec![b' '; mib << 20])), limit << 20, memory).await
}

#[tokio::test]
async fn bodies_share_the_memory_budget() {
    let memory = MemoryBudget::of_mib(3);
    let held = read_mib(2, 8, &memory).await.unwrap();
    assert_eq!(held.0.len(), 2 << 20);
    assert!(matches!(read_mib(2, 8, &memory).await, Err(Rejection::OutOfMemory)));
    assert!(matches!(read_mib(9, 8, &memory).await, Err(Rejection::TooLong(_))));
    let small = read_mib(1, 8, &memory).await.unwrap();
    drop(held);
    read_mib(2, 8, &memory).await.unwrap();
    drop(small);
    read_mib(3, 8, &memory).await.unwrap();
}

#[test]
fn unknown_keys_of_the_config_become_client_options() {
    let config = |value: Value| serde_json::from_value::<ServeConfig>(value).unwrap();
    let parsed = config(json!({"port": 8080, "sessions": 2, "state_dir": "s"}));
    assert_eq!((parsed.host.as_str(), parsed.port), ("127.0.0.1", 8080));
    assert_eq!(parsed.settings.sessions.map(std::num::NonZeroUsize::get), Some(2));
    assert_eq!(parsed.options().unwrap().as_str(), r#"{"state_dir":"s"}"#);
    let limits = config(json!({"timeout": 0.5, "max_requests": 3, "max_request_bytes": 9})).limits().unwrap();
    assert_eq!((limits.timeout.as_millis(), limits.max_requests, limits.max_request_bytes), (500, 3, 9));
    for timeout in [json!(0), json!(-1), json!(1e300)] {
        let error = config(json!({"timeout": timeout})).limits().unwrap_err();
        assert!(error.message().starts_with("the config's `timeout` is `"), "{error}");
    }
}

#[test]
fn an_address_that_other_machines_can_reach_is_warned_of() {
    for address in ["127.0.0.1:5000", "127.9.9.9:1", "[::1]:5000"] {
        assert_eq!(warning(address.parse().unwrap()), None);
    }
    for address in ["0.0.0.0:5000", "[::]:5000", "192.168.0.1:5000"] {
        let warning = warning(address.parse().unwrap()).unwrap();
        assert!(warning.contains("which other machines can reach"), "{warning}");
    }
}
