//! Tests that secrets are redacted if a server repeats them in its responses.

use super::*;
use crate::ChunkStream;

/// Sends a request with these credentials, once with `send` and once as a stream. Returns both errors.
async fn errors(credentials: &Credentials, answer: Answer) -> [Error; 2] {
    let server = Server::start([answer]);
    let client = Client::new(Connection::default());
    let token = credentials.header().unwrap();
    let headers = [(AUTHORIZATION, token)].into_iter().collect();
    let get_request = crate::request(Method::GET, &Url::parse(&server.url()).unwrap(), headers, "").unwrap();
    let sent = send(&client, &get_request, &policy()).await.err();
    let streamed = match ChunkStream::open(&client, &get_request, &policy()).await {
        Ok(mut stream) => loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        },
        Err(error) => Some(error),
    };
    [sent, streamed].map(|error| error.unwrap_or_else(|| Error::internal("no error")))
}

#[tokio::test]
async fn a_token_longer_than_the_excerpt_is_redacted_entirely() {
    for parts in [100, 250, 3000] {
        let token = "t0k3n-".repeat(parts);
        let bearer = Credentials::Bearer(Secret::new(&token));
        let json = serde_json::json!({"error": {"message": format!("bad {token}, go")}}).to_string();
        for answer in [
            Answer::new(401, format!("bad {token}, go")),
            Answer::new(401, json.clone()),
            // Longer than the part that is read.
            Answer::new(401, token.repeat(150)),
            Answer::new(401, "").header("X-Request-Id", &token),
            Answer::new(200, format!("<html><title>{token}</title>{token}")).header("Content-Type", "text/html"),
            Answer::status(302).header("Location", &format!("/to/{token}?q=1")),
            Answer::status(302).header("Location", &format!("http://far.test/{token}")),
            Answer::chunks([format!("data: {json}\n\n")]),
            Answer::chunks([format!("data: {token}\n\n")]),
        ] {
            for error in errors(&bearer, answer).await {
                let shown = format!("{error} {error:?} {:?}", error.http());
                assert!(!shown.contains("t0k3n-"), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_that_was_sent_encoded_is_redacted() {
    let basic = Credentials::Basic("bob".to_owned(), Secret::new("hunter2hunter2"));
    for error in errors(&basic, Answer::new(401, "refused: bob:hunter2hunter2")).await {
        assert!(error.message().ends_with(": refused: bob:<redacted>"), "{error}");
    }
}

#[tokio::test]
async fn an_error_for_unexpected_json_has_no_value_of_it() {
    for (body, reason) in [
        (format!(r#""{TOKEN}""#), "invalid type: string, expected a sequence at line 1 column"),
        (format!(r#""a\", expected {TOKEN}""#), "invalid type: string, expected a sequence at line 1 column"),
        (r#"[1, 4096]"#.to_owned(), "invalid type: integer, expected a string at line 1 column 2"),
        (r#"["a"#.to_owned(), "EOF while parsing a string at line 1 column 3"),
        (" null\n".to_owned(), "the answer is `null`"),
    ] {
        let server = Server::start([Answer::new(200, body)]);
        let answer = get(&server, Method::GET, &policy()).await.unwrap();
        let error = answer.parse::<Vec<String>>("a list of names").unwrap_err();
        let expected = format!("the server did not answer with a list of names: {reason}");
        assert!(error.message().starts_with(&expected) && error.message().ends_with("; check the URL"), "{error}");
        assert_no_secret(&error);
    }
}

#[tokio::test]
async fn a_header_in_a_web_page_is_redacted() {
    let bearer = Credentials::Bearer(Secret::new(TOKEN));
    let page = format!("<!doctype html><title>echo Bearer {TOKEN}</title>");
    for error in errors(&bearer, Answer::new(200, page)).await {
        assert!(error.message().contains("titled `echo Bearer <redacted>`"), "{error}");
        assert_no_secret(&error);
    }
}
