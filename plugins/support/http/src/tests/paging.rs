//! Tests of paged lists, and of the limits that apply to all pages together.

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;
use crate::Pages;

/// Requests pages until an error occurs. Returns the error and the number of requests.
async fn failure(answers: impl IntoIterator<Item = Answer>, policy: &Policy) -> (Error, usize) {
    let server = Server::start(answers);
    let client = Client::new(Connection::default());
    let mut pages = Pages::new(&client, policy);
    let sent = request(Method::GET, &format!("{}/list?q=1", server.url()));
    loop {
        if let Err(error) = pages.ask(&sent).await {
            return (error, server.requests().len());
        }
    }
}

#[tokio::test]
async fn endless_pages_exceed_the_size_limit() {
    let small = Policy { max_response_bytes: 1000, ..policy() };
    let (error, requests) = failure([Answer::new(200, "x".repeat(400))], &small).await;
    assert_eq!((error.code(), requests), (&ErrorCode::INTERNAL_ERROR, 3));
    assert!(error.message().starts_with("the pages of the list at `http://127.0.0.1:"), "{error}");
    assert!(
        error.message().contains("/list` are too large together: 1200 bytes or more, but the limit is 1000"),
        "{error}"
    );
}

#[tokio::test]
async fn the_time_limit_covers_all_pages() {
    let hurried = Policy { total: Some(SHORT), ..policy() };
    let slow = Answer::new(200, "{}").after(SHORT * 3 / 4);
    let (error, _) = failure([slow, Answer::new(200, "{}").after(LONG)], &hurried).await;
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    assert!(error.message().starts_with("timed out: no complete response from `http://127.0.0.1:"), "{error}");
    assert!(error.message().contains("/list` within 2.0 s; "), "{error}");
}

#[tokio::test]
async fn a_repeated_page_token_is_an_error() {
    let client = Client::new(Connection::default());
    let mut pages = Pages::new(&client, &policy());
    pages.follow("page token", "a").unwrap();
    pages.follow("page token", "b").unwrap();
    let error = pages.follow("page token", "a").unwrap_err();
    assert_eq!(error.message(), "the server returned the page token `a` twice: its list does not end");
}
