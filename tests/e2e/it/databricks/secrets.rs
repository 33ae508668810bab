//! Checks that the output of a failing run does not contain a secret: neither the credentials nor a token that the
//! server issued for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::json;

use crate::command::{Run, mlflow_deploy};

/// A text that every secret contains. The tests search the output for it.
const MARK: &str = "S3CRET";

const TOKEN: &str = "dapi-S3CRET-token";
const HEADER: &str = "S3CRET-header-value";
const CLIENT_SECRET: &str = "S3CRET-client-secret";
const ID_TOKEN: &str = "S3CRET-id-token";
/// The access token that the server issues in exchange for a client secret.
const GRANTED: &str = "eyJ-S3CRET-granted";

/// Returns a run of `predict` with the most verbose output.
fn predict(arguments: &str) -> Run {
    let run = mlflow_deploy(&format!("predict --endpoint m -I - -vv -t databricks {arguments}"));
    run.plugin("mlflow-deploy-databricks")
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        .env("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
        .arg("--option")
        .arg(format!("headers:={}", json!({"X-Header": HEADER})))
        .stdin(r#"{"messages":[]}"#)
}

fn with_token(host: &str, arguments: &str) -> Run {
    predict(arguments).env("DATABRICKS_HOST", host).env("DATABRICKS_TOKEN", TOKEN)
}

fn with_principal(host: &str, arguments: &str) -> Run {
    let run = predict(arguments).env("DATABRICKS_HOST", host).env("DATABRICKS_CLIENT_ID", "c");
    run.env("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET)
}

/// Returns a response that contains the text `all` in its error code, its message, its details and a header.
fn repeating_answer(status: u16, all: &str) -> Answer {
    let body = json!({"error_code": all, "message": format!("I was told {all}"), "details": [all]});
    Answer::new(status, body.to_string()).header("x-databricks-request-id", all)
}

/// Starts a server that replies to token requests with `grant`. Its replies to predictions repeat the secrets that the
/// requests contain.
fn granting(grant: Answer) -> Server {
    Server::answering(move |request: &Request| match request.path.as_str() {
        "/oidc/v1/token" => grant.clone(),
        path if path.starts_with("/.well-known/") => Answer::status(404),
        path if path.starts_with("/oidc/") => {
            let base = format!("http://{}", request.header("host").unwrap());
            Answer::new(200, json!({"token_endpoint": format!("{base}/oidc/v1/token?{MARK}")}).to_string())
        }
        _ => repeating_answer(403, &format!("{GRANTED} {HEADER}")),
    })
}

#[test]
fn failing_runs_print_no_secret() {
    let far = "http://me:S3CRET-password@far.test/?key=S3CRET-password";
    let event = |data: String| Answer::chunks(["data: {\"id\":\"1\"}\n\n".to_owned(), format!("data: {data}\n\n")]);
    let all = format!("{TOKEN} {HEADER}");
    let answers = [
        repeating_answer(400, &all),
        repeating_answer(401, &all),
        repeating_answer(404, &all),
        repeating_answer(429, &all),
        Answer::new(403, format!("<html><title>{all}</title>")).header("content-type", "text/html"),
        Answer::new(200, all.clone()).header("content-type", "text/plain"),
        Answer::status(302).header("location", far),
        Answer::dropped(),
        event(json!({"error": {"message": all, "code": all}}).to_string()),
        event(format!("{{\"{all}")),
    ];
    let granted = json!({"access_token": GRANTED, "expires_in": 3600}).to_string();
    let grants = |told: &str| {
        [
            repeating_answer(401, told),
            Answer::new(400, json!({"error": told, "error_description": told}).to_string()),
            Answer::new(200, format!("{{\"{told} {GRANTED}")),
            Answer::new(200, json!({"token": GRANTED}).to_string()),
            Answer::status(307).header("location", far),
            Answer::new(200, granted.clone()),
        ]
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let broken = file("broken", "[DEFAULT]\ntoken = S3CRET-1\ntoken = S3CRET-2\n");
    let odd = file("odd", "[DEFAULT]\nhost = https://me:S3CRET-password@h.test\ntoken = S3CRET-1\n");
    let id_token = file("id-token", ID_TOKEN);
    let cli = file("databricks", "#!/bin/sh\necho 'eyJ-S3CRET'\necho 'no: dapi-S3CRET' >&2\nexit 1\n");
    let talkative = file("talkative", "#!/bin/sh\necho 'eyJ-S3CRET'\n");
    let mut runs: Vec<(Option<Server>, Run)> = Vec::new();
    for form in ["", "--json", "--stream", "--stream --json"] {
        for answer in &answers {
            let server = Server::start([answer.clone()]);
            let run = with_token(&server.url(), form);
            runs.push((Some(server), run));
        }
        for grant in grants(CLIENT_SECRET) {
            let server = granting(grant);
            let run = with_principal(&server.url(), form);
            runs.push((Some(server), run));
        }
        for grant in grants(ID_TOKEN) {
            let server = granting(grant);
            let run = predict(form).env("DATABRICKS_HOST", server.url());
            runs.push((Some(server), run.env("DATABRICKS_OIDC_TOKEN_FILEPATH", &id_token)));
        }
        let plain = |host: &str| with_token(host, form);
        let option = |option: &str| with_token("https://127.0.0.1:1", form).arg("--option").arg(option);
        runs.extend(
            [
                plain(far),
                plain("http://far.test"),
                plain("http://127.0.0.1:1"),
                plain("http://127.0.0.1:1").env("DATABRICKS_TOKEN", "S3CRET-password\nx"),
                plain("https://far.test").env("HTTPS_PROXY", "http://me:S3CRET-password@127.0.0.1:1"),
                plain("https://far.test").env("HTTPS_PROXY", "http://me:S3CRET-password@:x"),
                plain("https://far.test").env("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
                with_principal("http://far.test", form),
                with_principal("https://127.0.0.1:1", form).env("DATABRICKS_DISCOVERY_URL", far),
                option("tokne=S3CRET-password"),
                option("max_retries=S3CRET-password"),
                option("token:=[\"S3CRET-password\"]"),
                option("headers:={\"X-A\":\"S3CRET-password\\u0001\"}"),
                predict(form).env("DATABRICKS_CONFIG_FILE", &broken),
                predict(form).env("DATABRICKS_CONFIG_FILE", &odd),
                predict(form).env("DATABRICKS_HOST", "h.test").env("DATABRICKS_CLI_PATH", &cli),
                predict(form).env("DATABRICKS_HOST", "h.test").env("DATABRICKS_CLI_PATH", &talkative),
                predict(form)
                    .env("DATABRICKS_HOST", "h.test")
                    .env("DATABRICKS_METADATA_SERVICE_URL", "http://127.0.0.1:1/S3CRET-path"),
                predict(form)
                    .env("DATABRICKS_HOST", "h.test")
                    .env("DATABRICKS_METADATA_SERVICE_URL", "http://far.test/S3CRET-path"),
            ]
            .map(|run| (None, run)),
        );
    }
    let (mut searched, mut bytes) = (0, 0);
    for (server, run) in runs {
        let ran = run.run();
        drop(server);
        let output = ran.stdout.clone() + &ran.stderr;
        assert!(ran.code != 0 && !ran.stderr.is_empty(), "the run succeeded: {ran:?}");
        assert!(!output.contains(MARK), "a secret is shown: {ran:?}");
        searched += 1;
        bytes += output.len();
    }
    println!("searched for secrets: the output of {searched} failing runs at -vv, {bytes} bytes");
}
