//! Tests the operations that list and get models.

use super::*;

async fn get(server: &Server, name: &str) -> Result<Payload> {
    plain(server).get_endpoint(GetEndpoint::new(name)).await
}

async fn list(server: &Server) -> Result<Payload> {
    plain(server).list_endpoints(ListEndpoints::all()).await
}

#[tokio::test]
async fn a_record_is_the_server_s_with_a_name() {
    let server = Server::start([Answer::new(200, r#"{"id": "gpt-4o",  "created": 1.50, "x": null}"#)]);
    let record = get(&server, "gpt-4o").await.unwrap();
    assert_eq!(text(&record), r#"{"name":"gpt-4o","id": "gpt-4o",  "created": 1.50, "x": null}"#);
    assert_eq!(request_lines(&server), ["GET /v1/models/gpt-4o"]);
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer sk-test"));
    assert_eq!(request.header("user-agent"), Some(concat!("mlflow-deploy/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_name_is_one_segment_of_the_path() {
    let server = Server::start([Answer::new(200, "{}")]);
    for name in ["ft:gpt/é ?x#y", "../files", "meta-llama/Llama-3"] {
        let record: Value = get(&server, name).await.unwrap().json().unwrap();
        assert_eq!(record, json!({"name": name}), "a model without an id has the requested name");
    }
    let paths = ["ft:gpt%2F%C3%A9%20%3Fx%23y", "..%2Ffiles", "meta-llama%2FLlama-3"];
    assert_eq!(request_lines(&server), paths.map(|path| format!("GET /v1/models/{path}")));
    for name in ["", ".", ".."] {
        assert_eq!(get(&server, name).await.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    }
}

#[tokio::test]
async fn a_list_has_the_models_of_all_pages() {
    let server = Server::start([
        Answer::new(
            200,
            r#"{"object": "list", "data": [{"id":"a"},{"id":"b&c","name":"B (display)"}], "has_more": true}"#,
        ),
        Answer::new(200, r#"{"data": [{"id":"d","name":"d"}], "has_more": false}"#),
    ]);
    let records: Value = list(&server).await.unwrap().json().unwrap();
    assert_eq!(
        records,
        json!([
            {"id": "a", "name": "a"},
            {"id": "b&c", "name": "b&c", "display_name": "B (display)"},
            {"id": "d", "name": "d"},
        ])
    );
    assert_eq!(request_lines(&server), ["GET /v1/models", "GET /v1/models?after=b%26c"]);
    let empty = Server::start([Answer::new(200, r#"{"data": [], "has_more": true}"#)]);
    assert_eq!(text(&list(&empty).await.unwrap()), "[]");
}

#[tokio::test]
async fn a_repeated_page_is_an_error() {
    let server = Server::start([Answer::new(200, r#"{"data": [{"id":"a"}], "has_more": true}"#)]);
    let error = list(&server).await.unwrap_err();
    assert!(error.message().contains("the last model of a page, `a` twice"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_unexpected_response_is_an_error() {
    for body in [r#"{"models":[]}"#, "{}", "", r#"{"data":[{"name":"x"}]}"#, r#"{"data":[1]}"#] {
        let error = list(&Server::start([Answer::new(200, body)])).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().contains("did not answer with models: "), "{error}");
    }
    let error = get(&Server::start([Answer::new(200, "[]")]), "a").await.unwrap_err();
    assert!(error.message().contains("did not answer with models: "), "{error}");
}

#[tokio::test]
async fn an_empty_list_has_several_forms() {
    for body in [r#"{"object":"list","data":null}"#, r#"{"data": null}"#, r#"{"object": "list"}"#, "[]"] {
        assert_eq!(text(&list(&Server::start([Answer::new(200, body)])).await.unwrap()), "[]", "{body}");
    }
}

#[tokio::test]
async fn a_list_may_be_bare() {
    let server = Server::start([Answer::new(200, r#"[{"id":"a"},{"id":"b","n":1.0}]"#)]);
    assert_eq!(text(&list(&server).await.unwrap()), r#"[{"name":"a","id":"a"},{"name":"b","id":"b","n":1.0}]"#);
    assert_eq!(text(&get(&server, "b").await.unwrap()), r#"{"name":"b","id":"b","n":1.0}"#);
    let wrapped = Server::start([Answer::new(200, r#"{"object":"list","data":[{"id":"c"}]}"#)]);
    assert_eq!(text(&get(&wrapped, "c").await.unwrap()), r#"{"name":"c","id":"c"}"#);
}

#[tokio::test]
async fn an_error_in_a_success_is_the_server_s() {
    let server = Server::start([Answer::new(200, r#"{"error":{"message":"no engine","code":503}}"#)]);
    for error in [get(&server, "a").await.unwrap_err(), list(&server).await.unwrap_err()] {
        assert_eq!(error.message(), "the server answered with an error: no engine");
        assert_eq!((error.code(), error.http_status()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, Some(200)));
    }
}

#[tokio::test]
async fn an_error_has_openai_s_message_and_code() {
    let body = r#"{"error":{"message":"The model 'x' does not exist","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    let server = Server::start([Answer::new(404, body).header("x-request-id", "req_1")]);
    let error = get(&server, "x").await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().ends_with("/v1/models/x: The model 'x' does not exist"), "{error}");
    assert_eq!(error.details()["error_code"], "model_not_found");
    let http = error.http().unwrap();
    assert_eq!((http.status, http.body.as_str(), http.request_id.as_deref()), (404, body, Some("req_1")));
}

#[tokio::test]
async fn a_model_is_found_in_the_list_if_its_route_is_missing() {
    let unknown = || Answer::new(404, r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#);
    let list = || Answer::new(200, r#"{"data":[{"id":"a"},{"id":"b","meta":{"n":1}}]}"#);
    let server = Server::start([unknown(), list(), unknown(), list()]);
    assert_eq!(text(&get(&server, "b").await.unwrap()), r#"{"name":"b","id":"b","meta":{"n":1}}"#);
    let missing = get(&server, "c").await.unwrap_err();
    assert_eq!(missing.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(missing.message().ends_with("/v1/models/c: File Not Found"), "{missing}");
    assert_eq!(request_lines(&server), ["GET /v1/models/b", "GET /v1/models", "GET /v1/models/c", "GET /v1/models"]);
}

#[tokio::test]
async fn a_busy_server_is_retried() {
    let server = Server::start([Answer::status(503), Answer::status(408), Answer::new(200, r#"{"data":[]}"#)]);
    assert_eq!(text(&list(&server).await.unwrap()), "[]");
    assert_eq!(server.requests().len(), 3);
}
