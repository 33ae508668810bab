//! Looking endpoints up, on either server.

use super::*;

const CHAT: &str = r#"{"name": "chat", "model": {"name": "gpt-4o-mini", "provider": "openai"}, "endpoint_url": "/gateway/chat/invocations", "limit": {"calls": 5, "key": null}, "extra_field": 1.50}"#;

async fn get(server: &Server, name: &str) -> Result<Payload> {
    plain(server).get_endpoint(GetEndpoint { endpoint: name.to_owned() }).await
}

async fn list(server: &Server) -> Result<Payload> {
    plain(server).list_endpoints(ListEndpoints::default()).await
}

#[tokio::test]
async fn a_record_is_what_the_server_sent_with_an_absolute_url() {
    let server = Server::start([Answer::new(200, CHAT)]);
    let record = get(&server, "chat").await.unwrap();
    let absolute = format!("{}/gateway/chat/invocations", server.url());
    assert_eq!(text(&record), CHAT.replace("/gateway/chat/invocations", &absolute));
    assert_eq!(asked(&server), ["GET /api/2.0/endpoints/chat"]);
}

#[tokio::test]
async fn a_path_before_the_routes_is_kept() {
    let server = Server::start([Answer::new(200, CHAT)]);
    let client = gateway(&format!("{}/prefix/", server.url()), &json!({}), &[]).unwrap();
    let record = client.get_endpoint(GetEndpoint { endpoint: "chat".to_owned() }).await.unwrap();
    assert!(text(&record).contains(&format!("{}/prefix/gateway/chat/invocations", server.url())));
    assert_eq!(asked(&server), ["GET /prefix/api/2.0/endpoints/chat"]);
}

#[tokio::test]
async fn nothing_need_be_in_a_record() {
    for record in [r#"{"name":"chat"}"#, r#"{"name":"chat","endpoint_url":"https://h/x","limit":null}"#] {
        let server = Server::start([Answer::new(200, record)]);
        assert_eq!(text(&get(&server, "chat").await.unwrap()), record);
    }
}

#[tokio::test]
async fn a_name_reaches_nothing_but_its_endpoint() {
    let server = Server::start([Answer::new(200, "{}")]);
    for name in ["チ é", "../secret", "/etc", "a?b#c"] {
        get(&server, name).await.unwrap();
    }
    let paths = ["%E3%83%81%20%C3%A9", "..%2Fsecret", "%2Fetc", "a%3Fb%23c"]
        .map(|name| format!("GET /api/2.0/endpoints/{name}"));
    assert_eq!(asked(&server), paths);
    for name in ["", ".", "..", &"x".repeat(1 << 16)] {
        assert_eq!(get(&server, name).await.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_standalone_gateway_s_no_is_final() {
    let server = Server::start([Answer::new(404, NO_ENDPOINT)]);
    let error = get(&server, "nope").await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), (&ErrorCode::RESOURCE_DOES_NOT_EXIST, 1));
    assert!(error.message().ends_with("Please verify the endpoint name."), "{error}");
}

#[tokio::test]
async fn a_tracking_server_is_asked_in_its_own_way() {
    for no_route in [NO_PAGE, NO_ROUTE] {
        let server = Server::start([
            Answer::new(404, no_route),
            Answer::new(200, r#"{"endpoint":{"endpoint_id":"e-1","name":"a b","created_at":1700000000000}}"#),
            Answer::new(404, UNKNOWN),
        ]);
        let client = plain(&server);
        let record = client.get_endpoint(GetEndpoint { endpoint: "a b".to_owned() }).await.unwrap();
        assert_eq!(text(&record), r#"{"endpoint_id":"e-1","name":"a b","created_at":1700000000000}"#);
        let error = client.get_endpoint(GetEndpoint { endpoint: "nope".to_owned() }).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
        assert_eq!(
            asked(&server),
            [
                "GET /api/2.0/endpoints/a%20b",
                "GET /api/3.0/mlflow/gateway/endpoints/get?name=a+b",
                "GET /api/3.0/mlflow/gateway/endpoints/get?name=nope",
            ]
        );
    }
}

#[tokio::test]
async fn another_server_is_told_to_be_no_gateway() {
    for no_route in [NO_PAGE, NO_ROUTE, ""] {
        let server = Server::start([Answer::new(404, no_route)]);
        for error in [get(&server, "chat").await.unwrap_err(), list(&server).await.unwrap_err()] {
            assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
            assert_eq!(error.http().unwrap().status, 404);
            assert!(error.message().starts_with("no AI gateway answers at `http://127.0.0.1:"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_list_is_all_of_its_pages() {
    let server = Server::start([
        Answer::new(
            200,
            r#"{"endpoints": [{"name":"a","endpoint_url":"/gateway/a/invocations"}], "next_page_token": "x=&y"}"#,
        ),
        Answer::new(200, r#"{"endpoints": [{"name":"b"}], "next_page_token": ""}"#),
        Answer::new(200, r#"{"endpoints": [{"name":"c"}], "next_page_token": null}"#),
    ]);
    let records: Value = list(&server).await.unwrap().json().unwrap();
    let url = format!("{}/gateway/a/invocations", server.url());
    assert_eq!(records, json!([{"name": "a", "endpoint_url": url}, {"name": "b"}, {"name": "c"}]));
    let paths = ["", "?page_token=x%3D%26y", "?page_token="].map(|query| format!("GET /api/2.0/endpoints/{query}"));
    assert_eq!(asked(&server), paths);
}

#[tokio::test]
async fn a_missing_list_is_empty() {
    for body in ["{}", r#"{"endpoints": null}"#, r#"{"endpoints": []}"#] {
        let server = Server::start([Answer::new(200, body)]);
        assert_eq!(text(&list(&server).await.unwrap()), "[]");
    }
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start([Answer::new(200, r#"{"endpoints": [], "next_page_token": "t"}"#)]);
    let error = list(&server).await.unwrap_err();
    assert!(error.message().contains("page token `t` twice"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_later_page_s_error_is_the_list_s() {
    let first = Answer::new(200, r#"{"endpoints": [{"name":"a"}], "next_page_token": "t"}"#);
    let server = Server::start([first, Answer::new(404, r#"{"detail":"x"}"#)]);
    assert_eq!(list(&server).await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_tracking_server_lists_its_endpoints_or_its_models() {
    let endpoints = Answer::new(200, r#"{"endpoints":[{"endpoint_id":"e-1","name":"chat"}]}"#);
    let server = Server::start([Answer::new(404, NO_PAGE), endpoints]);
    assert_eq!(text(&list(&server).await.unwrap()), r#"[{"endpoint_id":"e-1","name":"chat"}]"#);
    assert_eq!(asked(&server), ["GET /api/2.0/endpoints/", "GET /api/3.0/mlflow/gateway/endpoints/list"]);

    let refused = Answer::new(403, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#);
    let models = Answer::new(200, r#"{"object":"list","data":[{"id":"chat","created":17,"owned_by":"mlflow"}]}"#);
    let server = Server::start([Answer::new(404, NO_PAGE), refused, models]);
    assert_eq!(
        text(&list(&server).await.unwrap()),
        r#"[{"name":"chat","id":"chat","created":17,"owned_by":"mlflow"}]"#
    );
    assert_eq!(asked(&server)[2], "GET /gateway/mlflow/v1/models");
}

#[tokio::test]
async fn what_is_no_record_is_an_error_that_says_so() {
    for answer in
        [Answer::status(204), Answer::new(200, "[1, 2]"), Answer::new(200, "\u{feff}{}"), Answer::new(200, "OK")]
    {
        let server = Server::start([answer]);
        for error in [get(&server, "chat").await.unwrap_err(), list(&server).await.unwrap_err()] {
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().starts_with("the server did not answer with endpoints: "), "{error}");
        }
    }
}

#[tokio::test]
async fn what_fails_for_another_reason_tells_nothing_of_the_server() {
    let server =
        Server::start([Answer::status(401), Answer::new(404, NO_PAGE), Answer::new(200, r#"{"name":"chat"}"#)]);
    let client = plain(&server);
    let get = || client.get_endpoint(GetEndpoint { endpoint: "chat".to_owned() });
    assert_eq!(get().await.unwrap_err().code(), &ErrorCode::UNAUTHENTICATED);
    get().await.unwrap();
}
