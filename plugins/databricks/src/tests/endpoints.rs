//! Tests the operations that list, get, create, update and delete endpoints.

use super::*;

#[tokio::test]
async fn an_endpoint_is_created_listed_read_and_deleted() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    assert_eq!(text(&client.list_endpoints(ListEndpoints::all()).await.unwrap()), "[]", "the workspace omits the list");
    let created: Value = client.create_endpoint(create("chat", &json!({}))).await.unwrap().json().unwrap();
    assert_eq!((&created["name"], &created["state"]["config_update"]), (&json!("chat"), &json!("IN_PROGRESS")));
    let listed: Value = client.list_endpoints(ListEndpoints::all()).await.unwrap().json().unwrap();
    assert_eq!((listed[0]["name"].as_str(), listed.as_array().unwrap().len()), (Some("chat"), 1));
    let shown: Value = client.get_endpoint(get("chat")).await.unwrap().json().unwrap();
    assert_eq!(shown["id"], created["id"]);
    let again = client.create_endpoint(create("chat", &json!({}))).await.unwrap_err();
    assert_eq!((again.code().as_str(), again.http_status()), ("RESOURCE_ALREADY_EXISTS", Some(400)));
    client.delete_endpoint(delete("chat")).await.unwrap();
    let gone = client.get_endpoint(get("chat")).await.unwrap_err();
    assert_eq!(gone.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(gone.message().ends_with("Endpoint with name 'chat' does not exist."), "{gone}");
}

#[tokio::test]
async fn delete_of_a_missing_endpoint_succeeds_and_other_404s_are_errors() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    assert_eq!(client.delete_endpoint(delete("chat")).await.unwrap(), Payload::empty());
    for body in
        ["<html><title>Not Found</title></html>", r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found"}"#]
    {
        let elsewhere = Server::start([Answer::new(404, body)]);
        let error = plain(&elsewhere.url()).delete_endpoint(delete("chat")).await.unwrap_err();
        assert_eq!(error.http_status(), Some(404));
    }
}

#[tokio::test]
async fn a_missing_route_is_no_missing_endpoint() {
    let server =
        Server::start([Answer::new(404, r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for x"}"#)]);
    let client = plain(&format!("{}/ml/endpoints?o=7", server.url()));
    let listed = client.list_endpoints(ListEndpoints::all()).await.unwrap_err();
    let shown = client.get_endpoint(get("chat")).await.unwrap_err();
    for error in [listed, shown] {
        assert_eq!((error.code().as_str(), error.http_status()), ("ENDPOINT_NOT_FOUND", Some(404)));
        assert!(error.message().ends_with("check `host`"), "{error}");
    }
    assert_eq!(
        request_lines(&server.requests()),
        ["GET /api/2.0/serving-endpoints/", "GET /api/2.0/serving-endpoints/chat"]
    );
}

#[tokio::test]
async fn a_list_has_several_forms() {
    for (body, records) in [
        ("{}", "[]"),
        (r#"{"endpoints": null}"#, "[]"),
        (r#"[{"name": "y"}]"#, r#"[{"name": "y"}]"#),
        ("\u{feff}[]", "[]"),
    ] {
        let server = Server::start([Answer::new(200, body)]);
        assert_eq!(text(&plain(&server.url()).list_endpoints(ListEndpoints::all()).await.unwrap()), records);
    }
}

#[tokio::test]
async fn an_error_or_a_text_in_a_success_is_an_error() {
    for (body, message) in [
        (r#"{"error_code":"INTERNAL_ERROR","message":"shard down"}"#, "the server answered with an error: shard down"),
        (r#"{"name": "cha"#, "the server did not answer with "),
    ] {
        let server = Server::start([Answer::new(200, body)]);
        let client = plain(&server.url());
        for error in [
            client.list_endpoints(ListEndpoints::all()).await.unwrap_err(),
            client.get_endpoint(get("chat")).await.unwrap_err(),
            client.delete_endpoint(delete("chat")).await.unwrap_err(),
            client.create_endpoint(create("chat", &json!({}))).await.unwrap_err(),
        ] {
            assert!(error.message().starts_with(message), "{error}");
        }
    }
}

#[tokio::test]
async fn delete_accepts_an_empty_response() {
    for empty in [Answer::status(204), Answer::status(200), Answer::new(200, "{}")] {
        let server = Server::start([empty]);
        plain(&server.url()).delete_endpoint(delete("chat")).await.unwrap();
        assert_eq!(request_lines(&server.requests()), ["DELETE /api/2.0/serving-endpoints/chat"]);
    }
}

#[tokio::test]
async fn records_keep_every_field_and_byte() {
    let record = r#"{"name": "chat",  "new": {"a": 1.10, "b": 12345678901234567890123}}"#;
    let server = Server::start([Answer::new(200, record), Answer::new(200, format!(r#"{{"endpoints": [{record}]}}"#))]);
    let client = plain(&server.url());
    assert_eq!(text(&client.get_endpoint(get("a/b c")).await.unwrap()), record);
    assert_eq!(text(&client.list_endpoints(ListEndpoints::all()).await.unwrap()), format!("[{record}]"));
    let requests = server.requests();
    assert_eq!(
        request_lines(&requests),
        ["GET /api/2.0/serving-endpoints/a%2Fb%20c", "GET /api/2.0/serving-endpoints/"]
    );
    assert_eq!(requests[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!((requests[0].header("content-type"), requests[0].header("x-databricks-org-id")), (None, None));
    assert_eq!(requests[0].header("x-databricks-endpoints-api-client"), Some("mlflow-deploy"));
}

#[tokio::test]
async fn an_unexpected_response_or_name_is_an_error() {
    for body in ["", "[]", "1", "oops"] {
        let server = Server::start([Answer::new(200, body).header("Content-Type", "application/json")]);
        let error = plain(&server.url()).get_endpoint(get("chat")).await.unwrap_err();
        assert!(error.message().starts_with("the server did not answer with an endpoint: "), "{error}");
        plain(&server.url())
            .list_endpoints(ListEndpoints::all())
            .await
            .map(|_| ())
            .or_else(|error| {
                error.message().starts_with("the server did not answer with a list").then_some(()).ok_or(error)
            })
            .unwrap();
    }
    let server = Server::start([Answer::status(500)]);
    for name in ["", ".", ".."] {
        let error = plain(&server.url()).get_endpoint(get(name)).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_update_changes_the_config_or_only_the_rate_limits() {
    let server = Server::start([Answer::new(200, r#"{"name":"chat"}"#)]);
    let client = plain(&server.url());
    let update = |fields: Value| UpdateEndpoint::new("chat").with_config(config(&fields));
    client.update_endpoint(update(json!({"rate_limits": [{"calls": 1}]}))).await.unwrap();
    client.update_endpoint(update(served("m"))).await.unwrap();
    client.update_endpoint(update(json!({"rate_limits": [], "served_entities": []}))).await.unwrap();
    let error = client.update_endpoint(UpdateEndpoint::new("chat")).await;
    assert_eq!(error.unwrap_err().message(), "the config is empty: specify the new `config`");
    let requests = server.requests();
    let config = "PUT /api/2.0/serving-endpoints/chat/config";
    assert_eq!(request_lines(&requests), ["PUT /api/2.0/serving-endpoints/chat/rate-limits", config, config]);
    assert_eq!(serde_json::from_slice::<Value>(&requests[1].body).unwrap(), served("m"));
    assert_eq!(requests[1].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_change_is_retried_only_if_the_server_was_busy() {
    for (answer, times) in [(Answer::status(500), 1), (Answer::dropped(), 1), (Answer::status(503), 3)] {
        let server = Server::start([answer]);
        plain(&server.url()).create_endpoint(create("chat", &json!({}))).await.unwrap_err();
        assert_eq!(server.requests().len(), times);
    }
}

#[tokio::test]
async fn status_and_code_of_an_error_are_the_server_s() {
    for (status, body, code) in [
        (404, "", "RESOURCE_DOES_NOT_EXIST"),
        (400, r#"{"error_code":"STRANGE","message":"m"}"#, "STRANGE"),
        (408, "", "DEADLINE_EXCEEDED"),
        (422, r#"{"error_code":"STRANGE","message":"m"}"#, "INVALID_PARAMETER_VALUE"),
        (501, r#"{"message":"m"}"#, "NOT_IMPLEMENTED"),
        (504, "", "DEADLINE_EXCEEDED"),
    ] {
        let server = Server::start([Answer::new(status, body).header("x-databricks-request-id", "r-1")]);
        let error = plain(&server.url()).get_endpoint(get("chat")).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.http_status()), (code, Some(status)));
        assert_eq!(error.http().unwrap().request_id.as_deref(), Some("r-1"));
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}
