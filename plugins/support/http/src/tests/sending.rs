//! Retries, deadlines, redirects, and what errors keep.

use std::time::Instant;

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;
use crate::environment::Proxies;

fn ok() -> Answer {
    Answer::new(200, "{\"a\": NaN}")
}

#[tokio::test]
async fn what_is_sent_and_given_is_untouched() {
    let server =
        Server::start([ok().header("X-Request-Id", "r-1").header("Content-Type", "application/json; charset=utf-8")]);
    let response = get(&server, Method::POST, &policy()).await.unwrap();
    assert_eq!(response.payload.bytes(), b"{\"a\": NaN}");
    assert_eq!(response.payload.content_type(), "application/json; charset=utf-8");
    assert_eq!((response.status.as_u16(), &response.headers["x-request-id"]), (200, &"r-1".parse().unwrap()));
    let asked = &server.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.text().as_str()), ("POST", "/p?q=1", "{\"x\": NaN}"));
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!((asked.header("accept-encoding"), asked.header("cookie")), (None, None));
    assert!(asked.header("user-agent").unwrap().starts_with("mlflow-deploy/"));
}

#[tokio::test]
async fn a_get_has_no_body_and_an_empty_post_says_so() {
    let server = Server::start([ok()]);
    let client = Client::new(Connection::default());
    for method in [Method::GET, Method::POST] {
        let empty = request(Method::GET, &server.url()).map(|_| Bytes::new());
        let (mut parts, body) = empty.into_parts();
        parts.method = method;
        send(&client, &Request::from_parts(parts, body), &policy()).await.unwrap();
    }
    let lengths: Vec<_> =
        server.requests().iter().map(|asked| asked.header("content-length").map(str::to_owned)).collect();
    assert_eq!(lengths, [None, Some("0".to_owned())]);
}

#[tokio::test]
async fn a_post_is_tried_again_after_429_502_and_503_alone() {
    for (status, times) in [(429, 3), (502, 3), (503, 3), (500, 1), (504, 1), (408, 1), (400, 1), (501, 1)] {
        let (answer, asked) = ask(Method::POST, [Answer::new(status, "busy")], &policy()).await;
        let error = answer.unwrap_err();
        assert_eq!((asked, error.is_retryable(), error.http().unwrap().status), (times, times == 3, status));
    }
}

#[tokio::test]
async fn a_get_is_tried_again_after_each_of_the_codes() {
    for (status, times) in [(429, 3), (500, 3), (502, 3), (503, 3), (504, 1), (404, 1)] {
        let (answer, asked) = ask(Method::GET, [Answer::status(status)], &policy()).await;
        assert_eq!((asked, answer.unwrap_err().is_retryable()), (times, times == 3), "{status}");
    }
}

#[tokio::test]
async fn it_ends_with_the_first_success() {
    let (answer, asked) = ask(Method::POST, [Answer::status(503), Answer::status(429), ok()], &policy()).await;
    assert_eq!((answer.unwrap().payload.bytes(), asked), (b"{\"a\": NaN}".as_slice(), 3));
}

#[tokio::test]
async fn the_last_error_says_how_often_it_was_tried() {
    let (answer, _) = ask(Method::GET, [Answer::status(503)], &policy()).await;
    let error = answer.unwrap_err();
    assert!(error.message().starts_with("503 Server Error: Service Unavailable for url: http://127.0.0.1:"), "{error}");
    assert!(error.message().ends_with("/p; gave up after 3 attempts"), "{error}");
}

#[tokio::test]
async fn a_lost_answer_to_a_post_is_not_asked_for_again() {
    let daring = Policy { repeat_post: true, ..policy() };
    for (method, policy, times) in
        [(Method::GET, &policy(), 3), (Method::POST, &policy(), 1), (Method::POST, &daring, 3)]
    {
        for broken in [Answer::dropped(), Answer::new(200, "{\"a\": 1").declared_length(100)] {
            let (answer, asked) = ask(method.clone(), [broken], policy).await;
            let error = answer.unwrap_err();
            assert_eq!((error.code(), asked), (&ErrorCode::TEMPORARILY_UNAVAILABLE, times), "{method} {error}");
            assert!(error.message().contains("broke before the answer was complete"), "{error}");
            assert!(error.causes().next().is_some());
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_not_asked_again_to_do_the_same() {
    let policy = Policy { silence: SHORT, advice: "raise `timeout`".into(), ..policy() };
    for (method, times) in [(Method::POST, 1), (Method::GET, 3)] {
        let (answer, asked) = ask(method, [ok().after(LONG)], &policy).await;
        let error = answer.unwrap_err();
        assert_eq!((error.code(), asked), (&ErrorCode::DEADLINE_EXCEEDED, times));
        assert!(error.message().contains("nothing came from `http://127.0.0.1:"), "{error}");
        assert!(error.message().contains("/p` for 0.4 s; raise `timeout`"), "{error}");
    }
}

#[tokio::test]
async fn a_closed_port_is_tried_again_and_named() {
    let client = Client::new(Connection::default());
    let error = send(&client, &request(Method::POST, &closed()), &policy()).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true));
    assert!(error.message().contains("failed to connect to `http://127.0.0.1:"), "{error}");
    assert!(error.message().ends_with("Connection refused (os error 111); gave up after 3 attempts"), "{error}");
    assert_no_secret(&error);
}

#[tokio::test]
async fn one_deadline_holds_for_everything() {
    let hurried = Policy { total: Some(SHORT), max_retries: 7, ..policy() };
    let (answer, asked) = ask(Method::GET, [Answer::status(503), ok().after(LONG)], &hurried).await;
    let error = answer.unwrap_err();
    assert_eq!((error.code(), asked, error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, 2, false));
    assert!(error.message().contains("; before that, 503 Server Error"), "{error}");
}

#[tokio::test]
async fn a_wait_past_the_deadline_is_not_begun() {
    let begun = Instant::now();
    let busy = Answer::status(429).header("Retry-After", "60");
    let (answer, asked) = ask(Method::POST, [busy, ok()], &Policy { total: Some(LONG), ..policy() }).await;
    let error = answer.unwrap_err();
    assert_eq!((error.code(), asked, error.retry_after()), (&ErrorCode::RESOURCE_EXHAUSTED, 1, Some(LONG)));
    assert!(error.message().ends_with("gave up, as the next attempt would have to wait 60.0 s"), "{error}");
    assert!(error.is_retryable() && begun.elapsed() < LONG);
}

#[tokio::test]
async fn no_server_makes_us_wait_for_days() {
    let busy = Answer::status(503).header("Retry-After", "100000");
    let (answer, asked) = ask(Method::GET, [busy, ok()], &policy()).await;
    assert_eq!((answer.unwrap_err().retry_after().unwrap().as_secs(), asked), (100_000, 1));
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let server = Server::start([Answer::status(429).header("Retry-After", "0.05"), ok()]);
    get(&server, Method::POST, &policy()).await.unwrap();
    let asked = server.requests();
    assert!((asked[1].at - asked[0].at).as_millis() >= 50);

    for past in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let (answer, asked) =
            ask(Method::POST, [Answer::status(413).header("Retry-After", past), ok()], &policy()).await;
        assert_eq!((answer.unwrap().status.as_u16(), asked), (200, 2));
    }
    let deaf = Policy { respect_retry_after: false, ..policy() };
    let (answer, asked) = ask(Method::POST, [Answer::status(429).header("Retry-After", "100000"), ok()], &deaf).await;
    assert_eq!((answer.unwrap().status.as_u16(), asked), (200, 2));
    let (answer, asked) = ask(Method::POST, [Answer::status(413), ok()], &policy()).await;
    assert_eq!((answer.unwrap_err().http().unwrap().status, asked), (413, 1));
}

#[tokio::test]
async fn a_server_may_say_itself_whether_to_try_again() {
    let heeding = Policy { respect_should_retry: true, ..policy() };
    for (status, says, policy, times) in [
        (429, "false", &heeding, 1),
        (400, "true", &heeding, 3),
        (429, "perhaps", &heeding, 3),
        (429, "false", &policy(), 3),
        (400, "true", &policy(), 1),
    ] {
        let answer = Answer::status(status).header("x-should-retry", says);
        let (_, asked) = ask(Method::POST, [answer], policy).await;
        assert_eq!(asked, times, "{status} {says}");
    }
}

#[tokio::test]
async fn some_codes_are_final_and_too_long_a_wait_is_not_begun() {
    let quota = r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let strict = Policy {
        final_codes: (&["insufficient_quota"]).into(),
        longest_wait: SHORT,
        post_retry_codes: (&[408, 429]).into(),
        retry_codes: (&[408, 429]).into(),
        ..policy()
    };
    let busy = Answer::status(429).header("Retry-After", "1");
    for (answer, times) in [(Answer::new(429, quota), 1), (busy, 1), (Answer::status(408), 3), (Answer::status(503), 1)]
    {
        let (answer, asked) = ask(Method::POST, [answer], &strict).await;
        let error = answer.unwrap_err();
        assert_eq!(asked, times, "{error}");
        let detail = error.details().get("error_code").map(ToString::to_string);
        assert_eq!(detail.is_some(), error.http().unwrap().body == quota, "{detail:?}");
    }
}

#[tokio::test]
async fn a_get_follows_to_the_same_origin() {
    let server = Server::start([Answer::status(307).header("Location", "/moved?x=2"), ok()]);
    get(&server, Method::GET, &policy()).await.unwrap();
    let asked = server.requests();
    assert_eq!(asked[1].path, "/moved?x=2");
    assert_eq!(asked[1].header("authorization"), asked[0].header("authorization"));
}

#[tokio::test]
async fn nothing_follows_to_another_origin() {
    let other = Server::start([ok()]);
    let location = format!("{}/login?secret=1", other.url());
    for method in [Method::GET, Method::POST] {
        let (answer, asked) = ask(method, [Answer::status(302).header("Location", &location)], &policy()).await;
        let error = answer.unwrap_err();
        assert!(error.message().contains(&format!("to another origin, `{}/login`", other.url())), "{error}");
        assert_eq!((asked, error.http().unwrap().status), (1, 302));
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_post_is_not_sent_on_and_a_circle_ends() {
    let moved = || Answer::status(308).header("Location", "/loop");
    let (answer, asked) = ask(Method::POST, [moved(), ok()], &policy()).await;
    assert_eq!(asked, 1);
    assert!(answer.unwrap_err().message().contains("a POST is not sent on"));

    let (answer, asked) = ask(Method::GET, [moved()], &policy()).await;
    assert_eq!(asked, 11);
    assert!(answer.unwrap_err().message().contains("for more than 10 times"));

    let (answer, asked) = ask(Method::GET, [moved(), ok()], &Policy { follow_redirects: false, ..policy() }).await;
    assert_eq!(asked, 1);
    assert!(answer.unwrap_err().message().contains("redirects are turned off"));
}

#[tokio::test]
async fn an_error_keeps_what_the_server_said_but_no_secret() {
    let body = format!(r#"{{"error":{{"message":"key {TOKEN} or sk-abcdefgh1234 is wrong","type":"auth"}}}}"#);
    let (answer, _) = ask(Method::POST, [Answer::new(401, body).header("X-Request-Id", "r-7")], &policy()).await;
    let error = answer.unwrap_err();
    assert!(error.message().ends_with("/p: key <redacted> or <redacted> is wrong"), "{error}");
    let http = error.http().unwrap();
    assert_eq!((http.status, http.request_id.as_deref()), (401, Some("r-7")));
    assert!(http.body.contains("key <redacted> or <redacted> is wrong"));
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let page = Answer::new(200, "<!doctype html><title>Sign in</title>").header("Content-Type", "text/html");
    let (answer, _) = ask(Method::GET, [page], &policy()).await;
    let error = answer.unwrap_err();
    assert!(error.message().starts_with("the server answered with a web page titled `Sign in`"), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let strict = Policy { longest_answer: 9, ..policy() };
    let endless = || Answer::chunks((0..1000).map(|_| "[0, "));
    for answer in [endless(), Answer::new(200, "0123456789")] {
        let (answer, asked) = ask(Method::GET, [answer], &strict).await;
        let error = answer.unwrap_err();
        assert_eq!((error.code(), asked), (&ErrorCode::INTERNAL_ERROR, 1), "{error}");
        assert!(error.message().contains(" bytes or more, and 9 are the most that are taken: ask for less"), "{error}");
    }
    let (answer, _) = ask(Method::GET, [Answer::new(200, "012345678")], &strict).await;
    assert_eq!(answer.unwrap().payload.bytes().len(), 9);
    let huge = Answer::new(200, "{").declared_length((1 << 30) + 1);
    let (answer, asked) = ask(Method::GET, [huge], &policy()).await;
    assert!(answer.unwrap_err().message().contains("has 1073741825 bytes or more"));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn nothing_is_a_success_too() {
    let (answer, _) = ask(Method::GET, [Answer::status(204)], &policy()).await;
    let response = answer.unwrap();
    assert_eq!((response.status.as_u16(), response.payload.bytes().len()), (204, 0));
}

#[tokio::test]
async fn a_proxy_stands_before_everything_but_this_machine() {
    let proxy = Server::start([Answer::new(200, "proxied")]);
    let direct = Server::start([Answer::new(200, "direct")]);
    let proxies =
        Proxies { http: Some(Secret::new(proxy.url())), bypass: "direct.test".to_owned(), ..Proxies::default() };
    let client = Client::new(Connection { proxies, ..Connection::default() });
    for (url, expected) in [(direct.url(), "direct"), ("http://far.test/p".to_owned(), "proxied")] {
        let response = send(&client, &request(Method::GET, &url), &policy()).await.unwrap();
        assert_eq!(response.payload.bytes(), expected.as_bytes());
    }
    assert_eq!(proxy.requests()[0].path, "http://far.test/p");
}

#[tokio::test]
async fn a_wrong_proxy_is_refused_without_its_password() {
    for wrong in [
        format!("http://me:{TOKEN}@:bad"),
        format!("me:{TOKEN}/x@127.0.0.1:8080"),
        format!("me:{TOKEN}#x@127.0.0.1:8080"),
        format!("me:{TOKEN}?x@127.0.0.1:8080"),
        format!("me:{TOKEN}@127.0.0.1:80800"),
        format!("ftp://me:{TOKEN}@127.0.0.1:80"),
    ] {
        let both = || Some(Secret::new(&wrong));
        let proxies = Proxies { http: both(), https: both(), ..Proxies::default() };
        let client = Client::new(Connection { proxies, ..Connection::default() });
        for url in ["http://far.test", "https://far.test"] {
            let error = send(&client, &request(Method::GET, url), &policy()).await.unwrap_err();
            assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE, "{wrong}: {error}");
            assert!(error.message().starts_with("the proxy for `http` URLs, which `HTTP_PROXY`"), "{error}");
            assert_no_secret(&error);
        }
        assert!(!format!("{client:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_secret_in_the_body_is_kept_out_of_errors_too() {
    let server = Server::start([Answer::new(400, r#"{"error":"invalid","error_description":"bad s3cret-in-body"}"#)]);
    let mut asked = request(Method::POST, &server.url());
    crate::hide(&mut asked, [Secret::new("s3cret-in-body")]);
    let error = send(&Client::new(Connection::default()), &asked, &policy()).await.unwrap_err();
    assert!(error.message().ends_with(": invalid: bad <redacted>"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret-in-body"), "{error:?}");
}
