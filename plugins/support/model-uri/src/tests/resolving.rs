//! Tests that resolve URIs with scripted servers. They check the requests, and which servers receive credentials.

use super::*;

const MLMODEL: &[u8] = b"flavors: {}\n";

/// Starts a server that answers requests to MLflow's API from a table of paths, and serves a model at `0/m/artifacts`.
fn server(answers: &[(&str, Answer)]) -> Server {
    let answers: Vec<_> = answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
    Server::answering(move |request| {
        if let Some(folder) = listed(request) {
            let files = if folder == "0/m/artifacts" { json!([file("MLmodel", MLMODEL.len())]) } else { json!([]) };
            return Answer::new(200, json!({"files": files}).to_string());
        }
        if request.path == format!("{ARTIFACTS}/0/m/artifacts/MLmodel") {
            return Answer::new(200, MLMODEL);
        }
        let path = request.path.strip_prefix("/api/2.0/mlflow/").unwrap();
        let found = answers.iter().find(|(each, _)| each == path);
        found.map_or_else(|| missing("it"), |(_, answer)| answer.clone())
    })
}

fn missing(what: &str) -> Answer {
    Answer::new(
        404,
        json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": format!("{what} not found")}).to_string(),
    )
}

fn ok(value: Value) -> Answer {
    Answer::new(200, value.to_string())
}

fn download_uri(uri: &str) -> Answer {
    ok(json!({"artifact_uri": uri}))
}

#[tokio::test]
async fn a_version_is_resolved_by_number_alias_stage_and_latest() {
    let version = |number: &str| format!("model-versions/get-download-uri?name=my+iris&version={number}");
    let (third, tenth) = (version("3"), version("10"));
    let server = server(&[
        (&third, download_uri("mlflow-artifacts:/0/m/artifacts")),
        (&tenth, download_uri("mlflow-artifacts:/0/m/artifacts")),
        ("registered-models/alias?name=my+iris&alias=champion", ok(json!({"model_version": {"version": "3"}}))),
        (
            "registered-models/get-latest-versions",
            ok(json!({"model_versions": [{"version": "9"}, {"version": "10"}, {"version": "3"}]})),
        ),
    ]);
    for (uri, version) in [
        ("models:/my iris/3", "3"),
        ("models:/my iris@champion", "3"),
        ("models:/my iris/latest", "10"),
        ("models:/my iris/Production", "10"),
    ] {
        let place = Destination::new();
        let fetched = place.fetch(uri, &client(&server.url())).await.unwrap();
        assert_eq!((fetched.version.as_deref(), fetched.is_downloaded), (Some(version), true), "{uri}");
        assert_eq!(fs::read(fetched.path.join("MLmodel")).unwrap(), MLMODEL);
    }
    let posts: Vec<_> = server.requests().into_iter().filter(|request| request.method == "POST").collect();
    let stages = posts.iter().map(|body| serde_json::from_slice::<Value>(&body.body).unwrap());
    assert_eq!(
        stages.collect::<Vec<_>>(),
        [json!({"name": "my iris", "stages": []}), json!({"name": "my iris", "stages": ["Production"]})]
    );
}

#[tokio::test]
async fn missing_models_versions_and_aliases_are_reported() {
    let unknown_alias =
        json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias nope not found."});
    let server = server(&[
        ("registered-models/alias?name=iris&alias=nope", Answer::new(400, unknown_alias.to_string())),
        ("registered-models/get-latest-versions", ok(json!({}))),
        ("logged-models/m-1", ok(json!({"model": {"info": {"artifact_uri": "mlflow-artifacts:/0/gone"}}}))),
    ]);
    let url = server.url();
    for (uri, message) in [
        ("models:/iris@nope", format!("the registered model `iris` has no alias `nope` on `{url}/`")),
        (
            "models:/iris@other",
            format!("404 Client Error: Not Found for url: {url}/api/2.0/mlflow/registered-models/alias: it not found"),
        ),
        ("models:/iris/latest", format!("the registered model `iris` has no version on `{url}/`")),
        (
            "models:/iris/Staging",
            format!("the registered model `iris` has no version in the stage `Staging` on `{url}/`"),
        ),
        (
            "models:/iris/9",
            format!(
                "404 Client Error: Not Found for url: {url}/api/2.0/mlflow/model-versions/get-download-uri: it not found"
            ),
        ),
        ("models:/m-1", format!("no model at `models:/m-1`: the server has no files in `{url}{ARTIFACTS}/0/gone`")),
        ("runs:/0f/model", format!("404 Client Error: Not Found for url: {url}/api/2.0/mlflow/runs/get: it not found")),
    ] {
        let error = fetch_error(uri, &client(&url)).await;
        assert_eq!((error.code(), error.message()), (&ErrorCode::RESOURCE_DOES_NOT_EXIST, message.as_str()));
    }
}

#[tokio::test]
async fn a_404_of_another_kind_of_server_is_an_invalid_parameter() {
    let page = Answer::new(404, "<!doctype html><title>Nothing here</title>").header("Content-Type", "text/html");
    let server = Server::start([page]);
    let error = fetch_error("models:/m-1", &client(&server.url())).await;
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(error.message().starts_with("no MLflow tracking server found at `http://127.0.0.1:"), "{error}");
    let odd = Server::start([Answer::new(200, "{\"model\": []}")]);
    let error = fetch_error("models:/m-1", &client(&odd.url())).await;
    assert!(error.message().contains("the expected JSON at `http://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_run_s_logged_model_on_any_page_overlays_the_run_s_artifacts() {
    let run = json!({"run": {"info": {"artifact_uri": "mlflow-artifacts:/0/run", "experiment_id": "7"}}});
    let model = |run: &str, uri: &str| json!({"info": {"source_run_id": run, "artifact_uri": uri}});
    let pages = [
        json!({"models": [model("1e", "mlflow-artifacts:/0/other"), {"info": {"artifact_uri": "s3://b/none"}}], "next_page_token": "two"}),
        json!({"models": [model("0f", "mlflow-artifacts:/0/m/artifacts")]}),
    ];
    let server = Server::answering(move |request| {
        if let Some(folder) = listed(request) {
            let files = match folder.as_str() {
                "0/run/model" => json!([file("MLmodel", 3), file("notes.txt", 3)]),
                "0/m/artifacts" => json!([file("MLmodel", 4)]),
                _ => json!([]),
            };
            return ok(json!({"files": files}));
        }
        match request.path.strip_prefix("/api/2.0/").unwrap() {
            "mlflow/runs/get?run_id=0f" => ok(run.clone()),
            "mlflow/logged-models/search" => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!((&body["experiment_ids"], &body["filter"]), (&json!(["7"]), &json!("name = 'model'")));
                ok(pages[usize::from(body["page_token"] == "two")].clone())
            }
            "mlflow-artifacts/artifacts/0/run/model/notes.txt" => Answer::new(200, "own"),
            "mlflow-artifacts/artifacts/0/m/artifacts/MLmodel" => Answer::new(200, "over"),
            _ => missing(&request.path),
        }
    });
    let place = Destination::new();
    place.fetch("runs:/0f/model", &client(&server.url())).await.unwrap();
    let expected = [("MLmodel", "over"), ("notes.txt", "own")];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    assert_eq!(content(&place.path()), BTreeMap::from(expected));
}

#[tokio::test]
async fn a_run_of_an_older_server_contains_its_models() {
    let run = json!({"run": {"info": {"artifact_uri": "mlflow-artifacts:/0", "experiment_id": "0"}}});
    let server = server(&[("runs/get?run_id=0f", ok(run)), ("logged-models/search", Answer::status(404))]);
    let place = Destination::new();
    place.fetch("runs:/0f/m/artifacts", &client(&server.url())).await.unwrap();
    let error = fetch_error("runs:/0f/other", &client(&server.url())).await;
    assert!(error.message().contains("the server has no files in `http://"), "{error}");
    assert!(error.message().ends_with("/0/other`"), "{error}");
}

#[tokio::test]
async fn a_model_in_unsupported_storage_is_an_error() {
    let place = TempDir::new().unwrap();
    let here = place.path().join("a b");
    fs::create_dir(&here).unwrap();
    fs::write(here.join("MLmodel"), MLMODEL).unwrap();
    let encoded = format!("file://{}", here.display().to_string().replace(' ', "%20"));
    let logged = |uri: &str| ok(json!({"model": {"info": {"artifact_uri": uri}}}));
    let server = server(&[
        ("logged-models/m-s3", logged("hdfs://h/models/m-s3")),
        ("logged-models/m-here", logged(&encoded)),
        ("logged-models/m-gone", logged("/var/nowhere/m-gone")),
        ("logged-models/m-circle", logged("models:/m-circle")),
        ("logged-models/m-hop", logged("models:/m-here")),
    ]);
    let client = client(&server.url());
    let error = fetch_error("models:/m-s3", &client).await;
    assert!(
        error.message().starts_with("`models:/m-s3` is stored at `hdfs://h/models/m-s3`, which is not supported"),
        "{error}"
    );
    assert!(error.message().contains("`--serve-artifacts`"), "{error}");
    for uri in ["models:/m-here", "models:/m-hop"] {
        let fetched = Destination::new().fetch(uri, &client).await.unwrap();
        assert_eq!((fetched.path.as_path(), fetched.is_downloaded), (here.as_path(), false));
    }
    let error = fetch_error("models:/m-gone", &client).await;
    assert!(
        error.message().contains("the server says that it is in `/var/nowhere/m-gone`, which does not exist"),
        "{error}"
    );
    let error = fetch_error("models:/m-circle", &client).await;
    assert!(error.message().contains("resolves to more than 4 other model URIs"), "{error}");
}

#[tokio::test]
async fn a_server_that_another_server_names_receives_no_credentials() {
    let untrusted = artifacts(&[("m", json!([file("MLmodel", 2)]))], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let (host, url) = (untrusted.url().replace("http://", ""), untrusted.url());
    let logged = |uri: String| ok(json!({"model": {"info": {"artifact_uri": uri}}}));
    let server = server(&[
        ("logged-models/m-1", logged(format!("mlflow-artifacts://{host}/m"))),
        ("logged-models/m-2", logged(format!("{url}{ARTIFACTS}/m"))),
        ("logged-models/m-3", logged("mlflow-artifacts:/0/m/artifacts".to_owned())),
    ]);
    let options = || TrackingOptions {
        tracking_uri: Some(Secret::new(server.url())),
        token: Some(Secret::new("s3cret-token")),
        ..TrackingOptions::default()
    };
    let client = tracking(options(), &[]).unwrap();
    for uri in ["models:/m-1", "models:/m-2", "models:/m-3"] {
        Destination::new().fetch(uri, &client).await.unwrap();
    }
    // The requests are a listing, the server's information and a file, twice.
    assert_eq!(untrusted.requests().len(), 6);
    assert!(untrusted.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Bearer s3cret-token")));
    // A server that the user names receives the credentials.
    for uri in [format!("mlflow-artifacts://{host}/m"), format!("{url}{ARTIFACTS}/m")] {
        Destination::new().fetch(&uri, &client).await.unwrap();
    }
    let last = untrusted.requests().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer s3cret-token"));
}

#[tokio::test]
async fn an_authentication_error_of_an_untrusted_server_is_explained() {
    let untrusted = Server::start([Answer::status(401)]);
    let uri = format!("{}{ARTIFACTS}/m", untrusted.url());
    let server = server(&[("logged-models/m-1", ok(json!({"model": {"info": {"artifact_uri": uri}}})))]);
    let error = fetch_error("models:/m-1", &client(&server.url())).await;
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    assert!(error.message().ends_with(&format!("if you trust it, use `{uri}` as the model URI")), "{error}");
}

#[tokio::test]
async fn a_user_in_the_url_is_sent_as_credentials() {
    let server = artifacts(&[("m", json!([file("MLmodel", 2)]))], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let uri = format!("{}{ARTIFACTS}/m", server.url().replace("://", "://me:pw@"));
    Destination::new().fetch(&uri, &tracking(TrackingOptions::default(), &[]).unwrap()).await.unwrap();
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Basic bWU6cHc=")));
}
