//! Tests of retries, deadlines, redirects, and the content of errors.

use std::time::Instant;

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;

fn ok() -> Answer {
    Answer::new(200, "{\"a\": NaN}")
}

#[tokio::test]
async fn request_and_response_bodies_are_unchanged() {
    let server =
        Server::start([ok().header("X-Request-Id", "r-1").header("Content-Type", "application/json; charset=utf-8")]);
    let response = get(&server, Method::POST, &policy()).await.unwrap();
    assert_eq!(response.payload.bytes(), b"{\"a\": NaN}");
    assert_eq!(response.payload.content_type(), "application/json; charset=utf-8");
    assert_eq!((response.status.as_u16(), &response.headers["x-request-id"]), (200, &"r-1".parse().unwrap()));
    let sent = &server.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str(), sent.text().as_str()), ("POST", "/p?q=1", "{\"x\": NaN}"));
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!((sent.header("accept-encoding"), sent.header("cookie")), (Some("gzip, deflate, br, zstd"), None));
    assert_eq!(sent.header("accept"), Some("*/*"));
    assert!(sent.header("user-agent").unwrap().starts_with("mlflow-deploy/"));
}

#[tokio::test]
async fn an_empty_post_announces_its_length_and_a_get_does_not() {
    let server = Server::start([ok()]);
    let client = Client::new(Connection::default());
    for method in [Method::GET, Method::POST] {
        send(&client, &request_with_body(method, &server.url(), ""), &policy()).await.unwrap();
    }
    let lengths: Vec<_> =
        server.requests().iter().map(|sent| sent.header("content-length").map(str::to_owned)).collect();
    assert_eq!(lengths, [None, Some("0".to_owned())]);
}

#[tokio::test]
async fn a_post_is_retried_after_429_502_and_503_only() {
    for (status, times) in [(429, 3), (502, 3), (503, 3), (500, 1), (504, 1), (408, 1), (400, 1), (501, 1)] {
        let (result, attempts) = send_to(Method::POST, [Answer::new(status, "busy")], &policy()).await;
        let error = result.unwrap_err();
        assert_eq!((attempts, error.is_retryable(), error.http().unwrap().status), (times, times == 3, status));
    }
}

#[tokio::test]
async fn a_get_is_retried_after_every_retry_code() {
    for (status, times) in [(429, 3), (500, 3), (502, 3), (503, 3), (504, 1), (404, 1)] {
        let (result, attempts) = send_to(Method::GET, [Answer::status(status)], &policy()).await;
        assert_eq!((attempts, result.unwrap_err().is_retryable()), (times, times == 3), "{status}");
    }
}

#[tokio::test]
async fn retries_end_with_the_first_success() {
    let (result, attempts) = send_to(Method::POST, [Answer::status(503), Answer::status(429), ok()], &policy()).await;
    assert_eq!((result.unwrap().payload.bytes(), attempts), (b"{\"a\": NaN}".as_slice(), 3));
}

#[tokio::test]
async fn the_last_error_has_the_number_of_attempts() {
    let (result, _) = send_to(Method::GET, [Answer::status(503)], &policy()).await;
    let error = result.unwrap_err();
    assert!(error.message().starts_with("503 Server Error: Service Unavailable for url: http://127.0.0.1:"), "{error}");
    assert!(error.message().ends_with("/p; gave up after 3 attempts"), "{error}");
}

#[tokio::test]
async fn a_post_is_not_retried_after_a_lost_response() {
    let repeating = Policy { repeat_post: true, ..policy() };
    for (method, policy, times) in
        [(Method::GET, &policy(), 3), (Method::POST, &policy(), 1), (Method::POST, &repeating, 3)]
    {
        for broken in [Answer::dropped(), Answer::new(200, "{\"a\": 1").declared_length(100)] {
            let (result, attempts) = send_to(method.clone(), [broken], policy).await;
            let error = result.unwrap_err();
            assert_eq!((error.code(), attempts), (&ErrorCode::TEMPORARILY_UNAVAILABLE, times), "{method} {error}");
            assert!(error.message().contains("broke before the response was complete"), "{error}");
            assert!(error.causes().next().is_some());
        }
    }
}

#[tokio::test]
async fn a_post_is_not_retried_after_silence() {
    let policy = Policy { silence: SHORT, advice: "raise `timeout`".into(), ..policy() };
    for (method, times) in [(Method::POST, 1), (Method::GET, 3)] {
        let (result, attempts) = send_to(method, [ok().after(LONG)], &policy).await;
        let error = result.unwrap_err();
        assert_eq!((error.code(), attempts), (&ErrorCode::DEADLINE_EXCEEDED, times));
        assert!(error.message().contains("timed out: `http://127.0.0.1:"), "{error}");
        assert!(error.message().contains("/p` sent nothing for 2 s; raise `timeout`"), "{error}");
    }
}

#[tokio::test]
async fn a_closed_port_is_retried_and_named() {
    let client = Client::new(Connection::default());
    let error = send(&client, &request(Method::POST, &closed()), &policy()).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true));
    assert!(error.message().contains("failed to connect to `http://127.0.0.1:"), "{error}");
    assert!(error.message().ends_with("Connection refused (os error 111); gave up after 3 attempts"), "{error}");
    assert_no_secret(&error);
}

#[tokio::test]
async fn one_deadline_covers_all_attempts() {
    let hurried = Policy { total: Some(SHORT), max_retries: 7, ..policy() };
    let (result, attempts) = send_to(Method::GET, [Answer::status(503), ok().after(LONG)], &hurried).await;
    let error = result.unwrap_err();
    assert_eq!((error.code(), attempts, error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, 2, false));
    assert!(error.message().contains("; the previous attempt failed: 503 Server Error"), "{error}");
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_ends_the_request() {
    let begun = Instant::now();
    let busy = Answer::status(429).header("Retry-After", "60");
    let (result, attempts) = send_to(Method::POST, [busy, ok()], &Policy { total: Some(LONG), ..policy() }).await;
    let error = result.unwrap_err();
    assert_eq!((error.code(), attempts, error.retry_after()), (&ErrorCode::RESOURCE_EXHAUSTED, 1, Some(LONG)));
    assert!(error.message().ends_with("gave up, as the next attempt would have to wait 60.0 s"), "{error}");
    assert!(error.is_retryable() && begun.elapsed() < LONG);
}

#[tokio::test]
async fn a_retry_after_of_a_day_ends_the_request() {
    let busy = Answer::status(503).header("Retry-After", "100000");
    let (result, attempts) = send_to(Method::GET, [busy, ok()], &policy()).await;
    assert_eq!((result.unwrap_err().retry_after().unwrap().as_secs(), attempts), (100_000, 1));
}

#[tokio::test]
async fn the_wait_is_the_server_s_retry_after() {
    let server = Server::start([Answer::status(429).header("Retry-After", "0.05"), ok()]);
    get(&server, Method::POST, &policy()).await.unwrap();
    let sent = server.requests();
    assert!((sent[1].at - sent[0].at).as_millis() >= 50);

    for past in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let (result, attempts) =
            send_to(Method::POST, [Answer::status(413).header("Retry-After", past), ok()], &policy()).await;
        assert_eq!((result.unwrap().status.as_u16(), attempts), (200, 2));
    }
    let ignoring = Policy { respect_retry_after: false, ..policy() };
    let (result, attempts) =
        send_to(Method::POST, [Answer::status(429).header("Retry-After", "100000"), ok()], &ignoring).await;
    assert_eq!((result.unwrap().status.as_u16(), attempts), (200, 2));
    let (result, attempts) = send_to(Method::POST, [Answer::status(413), ok()], &policy()).await;
    assert_eq!((result.unwrap_err().http().unwrap().status, attempts), (413, 1));
}

#[tokio::test]
async fn x_should_retry_overrides_the_status() {
    let respecting = Policy { respect_should_retry: true, ..policy() };
    for (status, value, policy, times) in [
        (429, "false", &respecting, 1),
        (400, "true", &respecting, 3),
        (429, "perhaps", &respecting, 3),
        (429, "false", &policy(), 3),
        (400, "true", &policy(), 1),
    ] {
        let answer = Answer::status(status).header("x-should-retry", value);
        let (_, attempts) = send_to(Method::POST, [answer], policy).await;
        assert_eq!(attempts, times, "{status} {value}");
    }
}

#[tokio::test]
async fn final_codes_and_long_waits_end_the_request() {
    let quota = r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let strict = Policy {
        final_codes: (&["insufficient_quota"]).into(),
        max_wait: SHORT,
        post_retry_codes: (&[408, 429]).into(),
        retry_codes: (&[408, 429]).into(),
        ..policy()
    };
    let busy = Answer::status(429).header("Retry-After", "60");
    for (answer, times) in [(Answer::new(429, quota), 1), (busy, 1), (Answer::status(408), 3), (Answer::status(503), 1)]
    {
        let (result, attempts) = send_to(Method::POST, [answer], &strict).await;
        let error = result.unwrap_err();
        assert_eq!(attempts, times, "{error}");
        let detail = error.details().get("error_code").map(ToString::to_string);
        assert_eq!(detail.is_some(), error.http().unwrap().body == quota, "{detail:?}");
    }
}

#[tokio::test]
async fn a_get_follows_a_redirect_to_the_same_origin() {
    let server = Server::start([Answer::status(307).header("Location", "/moved?x=2"), ok()]);
    get(&server, Method::GET, &policy()).await.unwrap();
    let sent = server.requests();
    assert_eq!(sent[1].path, "/moved?x=2");
    assert_eq!(sent[1].header("authorization"), sent[0].header("authorization"));
}

#[tokio::test]
async fn a_redirect_to_another_origin_fails() {
    let other = Server::start([ok()]);
    let location = format!("{}/login?secret=1", other.url());
    for (method, status) in [(Method::GET, 302), (Method::POST, 302), (Method::GET, 308), (Method::POST, 307)] {
        let answer = Answer::status(status).header("Location", &location);
        let (result, attempts) = send_to(method, [answer], &policy()).await;
        let error = result.unwrap_err();
        assert!(error.message().contains(&format!("to another origin, `{}/login`", other.url())), "{error}");
        assert_eq!((attempts, error.http().unwrap().status), (1, status));
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_that_keeps_the_method_is_followed_with_the_body() {
    for status in [307, 308] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let server = Server::start([Answer::status(status).header("Location", "../moved?x=2"), ok()]);
            let sent = request_with_body(method.clone(), &format!("{}/a/p", server.url()), "{\"x\": NaN}");
            send(&Client::new(Connection::default()), &sent, &policy()).await.unwrap();
            let [first, second] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
            assert_eq!((second.path.as_str(), second.method.as_str()), ("/moved?x=2", method.as_str()));
            assert_eq!((second.text(), second.header("authorization")), (first.text(), first.header("authorization")));
            assert_eq!(second.text(), "{\"x\": NaN}");
        }
    }
}

#[tokio::test]
async fn a_redirected_post_and_a_redirect_loop_fail() {
    let moved = || Answer::status(308).header("Location", "/loop");
    for status in [301, 302, 303] {
        let answer = Answer::status(status).header("Location", "/moved");
        let (result, attempts) = send_to(Method::POST, [answer, ok()], &policy()).await;
        assert_eq!(attempts, 1);
        assert!(result.unwrap_err().message().contains("/moved`, but only 307 and 308 repeat a POST"));
    }
    for method in [Method::GET, Method::POST] {
        let (result, attempts) = send_to(method.clone(), [moved()], &policy()).await;
        assert_eq!(attempts, 11);
        assert!(result.unwrap_err().message().contains("more than 10 times"));

        let strict = Policy { follow_redirects: false, ..policy() };
        let (result, attempts) = send_to(method, [moved(), ok()], &strict).await;
        assert_eq!(attempts, 1);
        assert!(result.unwrap_err().message().contains("redirects are turned off"));
    }
}

#[tokio::test]
async fn an_error_has_the_server_s_message_without_secrets() {
    let body = format!(r#"{{"error":{{"message":"key {TOKEN} or sk-abcdefgh1234 is wrong","type":"auth"}}}}"#);
    let (result, _) = send_to(Method::POST, [Answer::new(401, body).header("X-Request-Id", "r-7")], &policy()).await;
    let error = result.unwrap_err();
    assert!(error.message().ends_with("/p: key <redacted> or <redacted> is wrong"), "{error}");
    let http = error.http().unwrap();
    assert_eq!((http.status, http.request_id.as_deref()), (401, Some("r-7")));
    assert!(http.body.contains("key <redacted> or <redacted> is wrong"));
}

#[tokio::test]
async fn a_web_page_is_an_error() {
    let page = Answer::new(200, "<!doctype html><title>Sign in</title>").header("Content-Type", "text/html");
    let (result, _) = send_to(Method::GET, [page], &policy()).await;
    let error = result.unwrap_err();
    assert!(error.message().starts_with("the server answered with a web page titled `Sign in`"), "{error}");
}

#[tokio::test]
async fn an_endless_response_is_an_error() {
    let strict = Policy { max_response_bytes: 9, ..policy() };
    let endless = || Answer::chunks((0..1000).map(|_| "[0, "));
    for answer in [endless(), Answer::new(200, "0123456789")] {
        let (result, attempts) = send_to(Method::GET, [answer], &strict).await;
        let error = result.unwrap_err();
        assert_eq!((error.code(), attempts), (&ErrorCode::INTERNAL_ERROR, 1), "{error}");
        assert!(error.message().contains(" bytes or more, but the limit is 9; request less at once"), "{error}");
    }
    let (result, _) = send_to(Method::GET, [Answer::new(200, "012345678")], &strict).await;
    assert_eq!(result.unwrap().payload.bytes().len(), 9);
    let huge = Answer::new(200, "{").declared_length((1 << 30) + 1);
    let (result, attempts) = send_to(Method::GET, [huge], &policy()).await;
    assert!(result.unwrap_err().message().contains("is too large: 1073741825 bytes or more"));
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn an_empty_response_succeeds() {
    let (result, _) = send_to(Method::GET, [Answer::status(204)], &policy()).await;
    let response = result.unwrap();
    assert_eq!((response.status.as_u16(), response.payload.bytes().len()), (204, 0));
}

#[tokio::test]
async fn a_secret_in_the_body_is_redacted() {
    let server = Server::start([Answer::new(400, r#"{"error":"invalid","error_description":"bad s3cret-in-body"}"#)]);
    let mut sent = request(Method::POST, &server.url());
    crate::hide(&mut sent, [Secret::new("s3cret-in-body")]);
    let error = send(&Client::new(Connection::default()), &sent, &policy()).await.unwrap_err();
    assert!(error.message().ends_with(": invalid: bad <redacted>"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret-in-body"), "{error:?}");
}
