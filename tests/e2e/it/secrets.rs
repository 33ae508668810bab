//! Checks that a failing run does not print a secret, even with the most verbose output.

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::json;

use crate::command::{Run, mlflow_deploy};

/// The credentials of a run: an API key and the values of two headers. All secrets of these tests contain `S3CRET`, so
/// the tests search the output for this text.
const SECRETS: [&str; 3] = ["K-S3CRET-key-0123456789", "S3CRET-header-value", "S3CRET-custom-value"];

/// Returns a response that contains the secrets in each member of its error and in a header.
fn repeating_answer(status: u16) -> Answer {
    let all = SECRETS.join(" ");
    let body = json!({"error": {"message": format!("I was told {all}"), "type": all, "code": all, "param": all}});
    Answer::new(status, body.to_string()).header("x-request-id", &all).header("retry-after-ms", "1")
}

/// Returns a run of `predict` with all credentials.
fn predict(server: &str, arguments: &str) -> Run {
    let run = mlflow_deploy(&format!("predict --endpoint m -I - -vv {arguments}")).plugin("mlflow-deploy-openai");
    run.env("OPENAI_API_KEY", SECRETS[0])
        .env("OPENAI_API_BASE", server)
        .env("OPENAI_CUSTOM_HEADERS", format!("X-Custom: {}", SECRETS[2]))
        .arg("--option")
        .arg(format!("headers:={}", json!({"X-Header": SECRETS[1]})))
        .stdin(r#"{"messages":[]}"#)
}

#[test]
fn failing_runs_print_no_secret() {
    let all = SECRETS.join(" ");
    let event = |data: String| Answer::chunks(["data: {\"id\":\"1\"}\n\n".to_owned(), format!("data: {data}\n\n")]);
    let far = "http://me:S3CRET-password@far.test/v1?key=S3CRET-password";
    let answers = [
        repeating_answer(400),
        repeating_answer(401),
        repeating_answer(429),
        repeating_answer(503),
        Answer::new(403, format!("<html><title>{all}</title>")).header("content-type", "text/html"),
        Answer::new(200, format!("{{\"{all}")),
        Answer::new(200, all.clone()).header("content-type", "text/plain"),
        Answer::status(302).header("location", far),
        Answer::dropped(),
        event(json!({"error": {"message": all, "code": all}}).to_string()),
        event(json!({"type": "error", "message": all, "code": all}).to_string()),
        event(format!("{{\"{all}")),
    ];
    let mut runs: Vec<(Option<Server>, Run)> = Vec::new();
    for answer in answers {
        for arguments in ["-t openai", "-t openai --stream", "-t openai --json", "-t openai --stream --json"] {
            let server = Server::start([answer.clone()]);
            let run = predict(&server.url(), arguments);
            runs.push((Some(server), run));
        }
    }
    for json in ["", "--json"] {
        let refused = |arguments: &str| predict("http://127.0.0.1:1/v1", &format!("{arguments} {json}"));
        runs.extend([
            (None, predict(far, &format!("-t openai {json}"))),
            (None, predict("http://far.test/v1", &format!("-t openai {json}"))),
            (None, refused("-t openai --option max_retries:=0")),
            (None, refused("-t openai://me:S3CRET-password@far.test/v1")),
            (None, refused("-t openai://me:S3CRET-password@:x/v1")),
            (None, refused("-t openai --option api_kye=S3CRET-password")),
            (None, refused("-t openai --option max_retries=S3CRET-password")),
            (None, refused("-t openai --option api_key:=[\"S3CRET-password\"]")),
            (None, refused("-t openai").env("OPENAI_API_KEY", "S3CRET-password\nx")),
            (None, refused("-t openai").env("OPENAI_CUSTOM_HEADERS", "X-A: S3CRET-password\u{1}")),
            (
                None,
                predict("https://far.test/v1", &format!("-t openai --option max_retries:=0 {json}"))
                    .env("HTTPS_PROXY", "http://me:S3CRET-password@127.0.0.1:1"),
            ),
            (
                None,
                predict("https://far.test/v1", &format!("-t openai {json}"))
                    .env("HTTPS_PROXY", "http://me:S3CRET-password@:x"),
            ),
        ]);
    }
    let (mut searched, mut bytes) = (0, 0);
    for (server, run) in runs {
        let ran = run.run();
        drop(server);
        let output = ran.stdout.clone() + &ran.stderr;
        assert!(ran.code != 0 && !ran.stderr.is_empty(), "it did not fail: {ran:?}");
        assert!(!output.contains("S3CRET"), "a secret is shown: {ran:?}");
        searched += 1;
        bytes += output.len();
    }
    println!("searched for secrets: the output of {searched} failing runs at -vv, {bytes} bytes");
}
