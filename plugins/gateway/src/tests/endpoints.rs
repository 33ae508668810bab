//! Tests the operations that list and get endpoints, with both kinds of gateway.

use super::*;

const CHAT: &str = r#"{"name": "chat", "model": {"name": "gpt-4o-mini", "provider": "openai"}, "endpoint_url": "/gateway/chat/invocations", "limit": {"calls": 5, "key": null}, "extra_field": 1.50}"#;

async fn get(server: &Server, name: &str) -> Result<Payload> {
    plain(server).get_endpoint(GetEndpoint::new(name)).await
}

async fn list(server: &Server) -> Result<Payload> {
    plain(server).list_endpoints(ListEndpoints::all()).await
}

#[tokio::test]
async fn a_record_is_the_server_s_with_an_absolute_url() {
    let server = Server::start([Answer::new(200, CHAT)]);
    let record = get(&server, "chat").await.unwrap();
    let absolute = format!("{}/gateway/chat/invocations", server.url());
    assert_eq!(text(&record), CHAT.replace("/gateway/chat/invocations", &absolute));
    assert_eq!(request_lines(&server), ["GET /api/2.0/endpoints/chat"]);
}

#[tokio::test]
async fn a_path_of_the_target_precedes_the_routes() {
    let server = Server::start([Answer::new(200, CHAT)]);
    let client = gateway(&format!("{}/prefix/", server.url()), &json!({}), &[]).unwrap();
    let record = client.get_endpoint(GetEndpoint::new("chat")).await.unwrap();
    assert!(text(&record).contains(&format!("{}/prefix/gateway/chat/invocations", server.url())));
    assert_eq!(request_lines(&server), ["GET /prefix/api/2.0/endpoints/chat"]);
}

#[tokio::test]
async fn a_record_without_a_relative_url_is_unchanged() {
    for record in [r#"{"name":"chat"}"#, r#"{"name":"chat","endpoint_url":"https://h/x","limit":null}"#] {
        let server = Server::start([Answer::new(200, record)]);
        assert_eq!(text(&get(&server, "chat").await.unwrap()), record);
    }
}

#[tokio::test]
async fn a_name_is_one_segment_of_the_path() {
    let server = Server::start([Answer::new(200, "{}")]);
    for name in ["チ é", "../secret", "/etc", "a?b#c"] {
        get(&server, name).await.unwrap();
    }
    let paths = ["%E3%83%81%20%C3%A9", "..%2Fsecret", "%2Fetc", "a%3Fb%23c"]
        .map(|name| format!("GET /api/2.0/endpoints/{name}"));
    assert_eq!(request_lines(&server), paths);
    for name in ["", ".", "..", &"x".repeat(1 << 16)] {
        assert_eq!(get(&server, name).await.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_missing_endpoint_of_a_standalone_gateway_is_an_error() {
    let server = Server::start([Answer::new(404, NO_ENDPOINT)]);
    let error = get(&server, "nope").await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), (&ErrorCode::RESOURCE_DOES_NOT_EXIST, 1));
    assert!(error.message().ends_with("Please verify the endpoint name."), "{error}");
}

#[tokio::test]
async fn a_tracking_server_is_detected_and_remembered() {
    for no_route in [NO_PAGE, NO_ROUTE] {
        let server = Server::start([
            Answer::new(404, no_route),
            Answer::new(200, r#"{"endpoint":{"endpoint_id":"e-1","name":"a b","created_at":1700000000000}}"#),
            Answer::new(404, UNKNOWN),
        ]);
        let client = plain(&server);
        let record = client.get_endpoint(GetEndpoint::new("a b")).await.unwrap();
        assert_eq!(text(&record), r#"{"endpoint_id":"e-1","name":"a b","created_at":1700000000000}"#);
        let error = client.get_endpoint(GetEndpoint::new("nope")).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
        assert_eq!(
            request_lines(&server),
            [
                "GET /api/2.0/endpoints/a%20b",
                "GET /api/3.0/mlflow/gateway/endpoints/get?name=a+b",
                "GET /api/3.0/mlflow/gateway/endpoints/get?name=nope",
            ]
        );
    }
}

#[tokio::test]
async fn another_server_is_not_a_gateway() {
    for no_route in [NO_PAGE, NO_ROUTE, ""] {
        let server = Server::start([Answer::new(404, no_route)]);
        for error in [get(&server, "chat").await.unwrap_err(), list(&server).await.unwrap_err()] {
            assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
            assert_eq!(error.http().unwrap().status, 404);
            assert!(error.message().starts_with("no AI gateway found at `http://127.0.0.1:"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_list_has_the_endpoints_of_all_pages() {
    let server = Server::start([
        Answer::new(
            200,
            r#"{"endpoints": [{"name":"a","endpoint_url":"/gateway/a/invocations"}], "next_page_token": "x=&y"}"#,
        ),
        Answer::new(200, r#"{"endpoints": [{"name":"b"}], "next_page_token": "y"}"#),
        Answer::new(200, r#"{"endpoints": [{"name":"c"}], "next_page_token": null}"#),
    ]);
    let records: Value = list(&server).await.unwrap().json().unwrap();
    let url = format!("{}/gateway/a/invocations", server.url());
    assert_eq!(records, json!([{"name": "a", "endpoint_url": url}, {"name": "b"}, {"name": "c"}]));
    let paths = ["", "?page_token=x%3D%26y", "?page_token=y"].map(|query| format!("GET /api/2.0/endpoints/{query}"));
    assert_eq!(request_lines(&server), paths);
}

#[tokio::test]
async fn an_empty_page_token_ends_a_list() {
    let server = Server::start([Answer::new(200, r#"{"endpoints": [{"name":"z"}], "next_page_token": ""}"#)]);
    assert_eq!(text(&list(&server).await.unwrap()), r#"[{"name":"z"}]"#);
    assert_eq!(request_lines(&server), ["GET /api/2.0/endpoints/"]);
}

#[tokio::test]
async fn a_list_may_be_bare() {
    let server = Server::start([Answer::new(200, r#" [{"name":"y"}]"#)]);
    assert_eq!(text(&list(&server).await.unwrap()), r#"[{"name":"y"}]"#);
}

#[tokio::test]
async fn an_error_in_a_success_is_the_server_s() {
    let body = r#"{"error_code":"INTERNAL_ERROR","message":"the store is locked"}"#;
    let server = Server::start([Answer::new(200, body)]);
    for error in [get(&server, "chat").await.unwrap_err(), list(&server).await.unwrap_err()] {
        assert_eq!(error.message(), "the server answered with an error: the store is locked");
        assert_eq!(error.http_status(), Some(200));
    }
}

#[tokio::test]
async fn a_missing_list_is_empty() {
    for body in ["{}", r#"{"endpoints": null}"#, r#"{"endpoints": []}"#, "\u{feff}{}", "[]"] {
        let server = Server::start([Answer::new(200, body)]);
        assert_eq!(text(&list(&server).await.unwrap()), "[]");
    }
}

#[tokio::test]
async fn a_repeated_page_token_is_an_error() {
    let server = Server::start([Answer::new(200, r#"{"endpoints": [], "next_page_token": "t"}"#)]);
    let error = list(&server).await.unwrap_err();
    assert!(error.message().contains("page token `t` twice"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_error_of_a_later_page_is_returned() {
    let first = Answer::new(200, r#"{"endpoints": [{"name":"a"}], "next_page_token": "t"}"#);
    let server = Server::start([first, Answer::new(404, r#"{"detail":"x"}"#)]);
    assert_eq!(list(&server).await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_tracking_server_s_models_are_listed_if_its_endpoints_are_forbidden() {
    let endpoints = Answer::new(200, r#"{"endpoints":[{"endpoint_id":"e-1","name":"chat"}]}"#);
    let server = Server::start([Answer::new(404, NO_PAGE), endpoints]);
    assert_eq!(text(&list(&server).await.unwrap()), r#"[{"endpoint_id":"e-1","name":"chat"}]"#);
    assert_eq!(request_lines(&server), ["GET /api/2.0/endpoints/", "GET /api/3.0/mlflow/gateway/endpoints/list"]);

    let refused = Answer::new(403, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#);
    let models = Answer::new(200, r#"{"object":"list","data":[{"id":"chat","created":17,"owned_by":"mlflow"}]}"#);
    let server = Server::start([Answer::new(404, NO_PAGE), refused, models]);
    assert_eq!(
        text(&list(&server).await.unwrap()),
        r#"[{"name":"chat","id":"chat","created":17,"owned_by":"mlflow"}]"#
    );
    assert_eq!(request_lines(&server)[2], "GET /gateway/mlflow/v1/models");
}

#[tokio::test]
async fn an_unexpected_response_is_an_error() {
    for answer in [Answer::status(204), Answer::new(200, "[1, 2]"), Answer::new(200, "OK")] {
        let server = Server::start([answer]);
        for error in [get(&server, "chat").await.unwrap_err(), list(&server).await.unwrap_err()] {
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().starts_with("the server did not answer with endpoints: "), "{error}");
        }
    }
}

#[tokio::test]
async fn a_failure_with_another_status_does_not_determine_the_kind() {
    let server =
        Server::start([Answer::status(401), Answer::new(404, NO_PAGE), Answer::new(200, r#"{"name":"chat"}"#)]);
    let client = plain(&server);
    let get = || client.get_endpoint(GetEndpoint::new("chat"));
    assert_eq!(get().await.unwrap_err().code(), &ErrorCode::UNAUTHENTICATED);
    get().await.unwrap();
}
