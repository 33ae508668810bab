//! Tests of fetches from a Databricks workspace, which is a scripted server: DBFS and Unity Catalog.

use super::*;

const TOKEN: &str = "dapi-s3cret-token";

fn workspace(host: &str, uri: Option<&str>, more: &[(&str, &str)]) -> Tracking {
    let options = TrackingOptions { registry_uri: uri.map(Secret::new), ..TrackingOptions::default() };
    let variables = [&[("DATABRICKS_HOST", host), ("DATABRICKS_TOKEN", TOKEN)], more].concat();
    tracking(options, &variables).unwrap()
}

#[tokio::test]
async fn a_folder_in_dbfs_is_fetched() {
    let server = Server::answering(|request| match request.path.as_str() {
        "/api/2.0/dbfs/list?path=%2Fmodels%2Firis" => {
            let entries = json!([
                {"path": "/models/iris/MLmodel", "is_dir": false, "file_size": 2},
                {"path": "/models/iris/data", "is_dir": true, "file_size": 0},
            ]);
            Answer::new(200, json!({"files": entries}).to_string())
        }
        "/api/2.0/dbfs/list?path=%2Fmodels%2Firis%2Fdata" => {
            let entries = json!([{"path": "/models/iris/data/a b", "is_dir": false, "file_size": 3}]);
            Answer::new(200, json!({"files": entries}).to_string())
        }
        "/dbfs/models/iris/MLmodel" => Answer::new(200, "ab"),
        "/dbfs/models/iris/data/a%20b" => Answer::new(200, "cde"),
        _ => Answer::new(404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"}).to_string()),
    });
    let place = Destination::new();
    place.fetch("dbfs:/models/iris", &workspace(&server.url(), None, &[])).await.unwrap();
    let files = content(&place.path());
    assert_eq!(
        files,
        BTreeMap::from([("MLmodel".to_owned(), b"ab".to_vec()), ("data/a b".to_owned(), b"cde".to_vec())])
    );
    let bearer = format!("Bearer {TOKEN}");
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some(&bearer)));
}

#[tokio::test]
async fn a_path_outside_of_the_listed_folder_of_dbfs_is_rejected() {
    let server = Server::start([Answer::new(200, json!({"files": [{"path": "/etc/passwd"}]}).to_string())]);
    let error = fetch_error("dbfs:/models/iris", &workspace(&server.url(), None, &[])).await;
    assert!(error.message().contains("`/etc/passwd` is a path, but a file name was expected"), "{error}");
    let error = fetch_error("dbfs:/models/iris", &tracking(TrackingOptions::default(), &[]).unwrap()).await;
    assert!(error.message().contains("set `DATABRICKS_HOST` and `DATABRICKS_TOKEN`"), "{error}");
}

#[tokio::test]
async fn a_version_in_unity_catalog_is_fetched_with_the_credentials_of_the_catalog() {
    let store = Server::answering(|request| match request.path.contains("list-type=2") {
        true => {
            let xml = "<ListBucketResult><Contents><Key>uc/iris/1/MLmodel</Key><LastModified>2026-01-01T00:00:00.000Z\
                       </LastModified><ETag>e</ETag><Size>2</Size></Contents></ListBucketResult>";
            Answer::new(200, xml)
        }
        false => Answer::new(206, "ab").header("Content-Range", "bytes 0-1/2").header("ETag", "e-1"),
    });
    let server = Server::answering(|request| {
        let answer = match request.path.split('?').next().unwrap_or_default() {
            "/api/2.0/mlflow/unity-catalog/registered-models/alias" => json!({"model_version": {"version": "1"}}),
            "/api/2.0/mlflow/unity-catalog/model-versions/get-download-uri" => {
                json!({"artifact_uri": "s3://catalog/uc/iris/1"})
            }
            "/api/2.0/mlflow/unity-catalog/model-versions/generate-temporary-credentials" => {
                let asked: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(asked["operation"], "MODEL_VERSION_OPERATION_READ");
                let key =
                    json!({"access_key_id": "ASIACATALOG", "secret_access_key": "s3cret", "session_token": "session"});
                json!({"credentials": {"aws_temp_credentials": key}})
            }
            _ => return Answer::status(404),
        };
        Answer::new(200, answer.to_string())
    });
    let (endpoint, user) = (store.url(), "AKIAOFTHEUSER");
    let variables = [
        ("MLFLOW_S3_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", user),
        ("AWS_SECRET_ACCESS_KEY", "of-the-user"),
    ];
    let client = workspace(&server.url(), Some("databricks-uc"), &variables);
    let place = Destination::new();
    let fetched = place.fetch("models:/main.default.iris@champion", &client).await.unwrap();
    assert_eq!(fetched.version.as_deref(), Some("1"));
    for request in store.requests() {
        let shown = format!("{request:?}");
        assert!(
            shown.contains("Credential=ASIACATALOG/") && !shown.contains(user) && !shown.contains(TOKEN),
            "{shown}"
        );
        assert_eq!(request.header("x-amz-security-token"), Some("session"));
    }
    assert!(server.requests().iter().all(|request| !format!("{request:?}").contains(user)));
    for (uri, reason) in [
        ("models:/iris/1", "expected `<catalog>.<schema>.<model>`"),
        ("models:/main.default.iris/latest", "use a version or an alias"),
    ] {
        let error = fetch_error(uri, &client).await;
        assert!(error.message().contains(reason), "{error}");
    }
}
