//! Lists in pages: the limits of all of them together.

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;
use crate::Pages;

/// The error that ends a list whose pages never end, and how many were asked for.
async fn failure(answers: impl IntoIterator<Item = Answer>, policy: &Policy) -> (Error, usize) {
    let server = Server::start(answers);
    let client = Client::new(Connection::default());
    let mut pages = Pages::new(&client, policy);
    let asked = request(Method::GET, &format!("{}/list?q=1", server.url()));
    loop {
        if let Err(error) = pages.ask(&asked).await {
            return (error, server.requests().len());
        }
    }
}

#[tokio::test]
async fn pages_without_end_are_too_long_together() {
    let small = Policy { longest_answer: 1000, ..policy() };
    let (error, asked) = failure([Answer::new(200, "x".repeat(400))], &small).await;
    assert_eq!((error.code(), asked), (&ErrorCode::INTERNAL_ERROR, 3));
    assert!(error.message().starts_with("the pages of the list at `http://127.0.0.1:"), "{error}");
    assert!(error.message().contains("/list` have 1200 bytes or more, and 1000 are the most"), "{error}");
}

#[tokio::test]
async fn the_time_is_that_of_all_pages() {
    let hurried = Policy { total: Some(SHORT), ..policy() };
    let slow = Answer::new(200, "{}").after(SHORT * 3 / 4);
    let (error, _) = failure([slow, Answer::new(200, "{}").after(LONG)], &hurried).await;
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    let said = error.message().strip_prefix("timed out after ").and_then(|rest| rest.split(' ').next());
    let seconds: f64 = said.unwrap_or_else(|| panic!("{error}")).parse().unwrap();
    assert!(seconds >= SHORT.as_secs_f64(), "{error}");
}

#[tokio::test]
async fn a_token_that_comes_twice_is_an_error() {
    let client = Client::new(Connection::default());
    let mut pages = Pages::new(&client, &policy());
    pages.follow("page token", "a").unwrap();
    pages.follow("page token", "b").unwrap();
    let error = pages.follow("page token", "a").unwrap_err();
    assert_eq!(error.message(), "the server gave the page token `a` twice, and its list would have no end");
}
