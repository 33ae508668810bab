//! Tests of valid and invalid model URIs.

use super::*;
use crate::uri::{UriKind, VersionSelector, redact_uri};

fn names(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn parse_reads_every_form() {
    let registered = |name: &str, version| UriKind::Registered { name: name.to_owned(), version };
    let run = |path: &[&str]| UriKind::Run { run_id: "0f".to_owned(), path: names(path) };
    let artifacts = |authority: Option<&str>, path: &[&str]| UriKind::Artifacts {
        authority: authority.map(str::to_owned),
        path: names(path),
    };
    for (text, kind) in [
        ("model", UriKind::Folder("model".into())),
        ("./a:b", UriKind::Folder("./a:b".into())),
        ("/tmp/a b%20c", UriKind::Folder("/tmp/a b%20c".into())),
        ("a/b:c", UriKind::Folder("a/b:c".into())),
        ("file:///tmp/a%20b", UriKind::Folder("/tmp/a b".into())),
        ("file:/tmp/a", UriKind::Folder("/tmp/a".into())),
        ("file:a/b", UriKind::Folder("a/b".into())),
        ("file://localhost/tmp/a", UriKind::Folder("/tmp/a".into())),
        ("FILE:///tmp/a", UriKind::Folder("/tmp/a".into())),
        ("runs:/0f/model", run(&["model"])),
        ("runs:/0f/a b//c%20d/", run(&["a b", "c%20d"])),
        ("runs:///0f/model", run(&["model"])),
        ("runs:/0f", run(&[])),
        ("models:/iris/12", registered("iris", VersionSelector::Number("12".to_owned()))),
        ("models:/my iris/latest", registered("my iris", VersionSelector::Latest)),
        ("models:/iris/LATEST", registered("iris", VersionSelector::Latest)),
        ("models:/iris/Production", registered("iris", VersionSelector::Stage("Production".to_owned()))),
        ("models:/iris@champion", registered("iris", VersionSelector::Alias("champion".to_owned()))),
        ("models:/a@b@c", registered("a@b", VersionSelector::Alias("c".to_owned()))),
        ("models:/m-0f/1", registered("m-0f", VersionSelector::Number("1".to_owned()))),
        ("models:/m-0f", UriKind::LoggedModel("m-0f".to_owned())),
        (" models:/m-0f ", UriKind::LoggedModel("m-0f".to_owned())),
        ("mlflow-artifacts:/0/models/m-1", artifacts(None, &["0", "models", "m-1"])),
        ("mlflow-artifacts:///0", artifacts(None, &["0"])),
        ("mlflow-artifacts://h:5000/0", artifacts(Some("h:5000"), &["0"])),
        ("mlflow-artifacts:/", artifacts(None, &[])),
        (
            "https://h:1/pre/api/2.0/mlflow-artifacts/artifacts/0/a%20b/",
            UriKind::ArtifactsUrl {
                base: Url::parse("https://h:1/pre/api/2.0/mlflow-artifacts/artifacts").unwrap(),
                path: names(&["0", "a b"]),
            },
        ),
    ] {
        assert_eq!(ModelUri::parse(text).unwrap().kind, kind, "{text}");
    }
}

#[test]
fn parse_of_an_invalid_uri_fails_with_the_expected_form() {
    for (text, reason) in [
        ("", "the model URI is empty: expected a path"),
        ("s3://", "the name of the bucket is missing"),
        ("gs://b/a/../m", "expected names that are not empty, not `.` or `..`"),
        ("r2://b/m", "unsupported scheme `r2`; the store has the protocol of S3"),
        ("hdfs://h/m", "unsupported scheme `hdfs`; serve the model with a tracking server"),
        ("hdfs:/m", "`mlflow artifacts download`"),
        ("hdfs:/m", "`models:/<name>@<alias>`"),
        ("dbfs:m", "expected `dbfs:/<path>`"),
        ("dbfs:/a/../b", "`..` in its path would lead out of the folder"),
        ("dbfs://profile@databricks/m", "Databricks profiles are not supported"),
        ("model:v1", "to use a path with a colon, write `./` before it"),
        ("c:\\model", "unsupported scheme `c`"),
        ("file://server/share", "`file://server/share` is not a model URI: two slashes are followed by a host"),
        ("file://", "the path is missing"),
        ("file:///a?b", "`%3F` for `?`"),
        ("file:///a%00b", "its path is not valid UTF-8 text"),
        ("a\0b", "NUL"),
        ("runs:/", "expected `runs:/<run_id>/<name of the model>`"),
        ("runs:0f/model", "expected `runs:/<run_id>/<name of the model>`"),
        ("runs:/0f/../1e", "`..` in its path would lead out of the folder"),
        ("runs:/../model", "`..` in its path would lead out of the folder"),
        (
            "runs://prod@databricks/0f/model",
            "`runs://databricks/0f/model` is not a model URI: Databricks profiles are not supported",
        ),
        ("models:/iris", "expected `models:/<name>/<version>`"),
        ("models:/iris@", "expected `models:/<name>/<version>`"),
        ("models:/@champion", "expected `models:/<name>/<version>`"),
        ("models:/", "expected `models:/<name>/<version>`"),
        ("models:iris/1", "expected `models:/<name>/<version>`"),
        ("models:/iris/1/data", "unexpected path after the version"),
        ("models:/../1", "`..` in its path would lead out of the folder"),
        ("models://prod@databricks/iris/1", "Databricks profiles are not supported"),
        ("mlflow-artifacts:/a/../b", "`..` in its path would lead out of the folder"),
        ("mlflow-artifacts://5000/a", "it has a port without a host"),
        ("mlflow-artifacts://me:pw@h/a", "must not contain a user"),
        ("http://h/model", "expected the URL of a tracking server's artifacts"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts/a%2F..%2Fb", "`..` in its path would lead out of the folder"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts?path=a", "it has a query"),
        ("http://", "is not a URL"),
    ] {
        let error = ModelUri::parse(text).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn display_debug_and_errors_show_no_password() {
    for text in [
        "http://me:s3cret@h/api/2.0/mlflow-artifacts/artifacts/0",
        "http://me:s3cret@h/model",
        "mlflow-artifacts://me:s3cret@h/a",
        "s3://me:s3cret@bucket/a",
        "http://me:s3cret@h:x/",
        "file://me:s3cret@h/a",
        "models://me:s3cret@h/a/1",
        "runs://me:s3cret@h/a/1",
        "gs://b/a?token=s3cret",
        "me:s3cret@h/a",
    ] {
        let shown = match ModelUri::parse(text) {
            Ok(uri) => format!("{uri} {uri:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn redact_uri_removes_user_password_and_query() {
    for (text, expected) in [
        ("/a?b@c", "/a?b@c"),
        ("./a:b@c", "./a:b@c"),
        ("models:/iris@champion", "models:/iris@champion"),
        ("runs:/0f/a?b", "runs:/0f/a?b"),
        ("file:///home/me@work/a", "file:///home/me@work/a"),
        ("mlflow-artifacts://h:5000/a@b", "mlflow-artifacts://h:5000/a@b"),
        ("http://h:5000/a@b", "http://h:5000/a@b"),
        ("http://[::1]:5000/a", "http://[::1]:5000/a"),
        ("https://me:s3cret@h:1/a?token=s3cret#s3cret", "https://h:1/a"),
        ("https:me:s3cret@h/a", "https:h/a"),
        ("s3://KEY:s3cret@bucket/a", "s3://bucket/a"),
        ("abfss://models@account.dfs.core.windows.net/a", "abfss://models@account.dfs.core.windows.net/a"),
        ("abfss://models:s3cret@account.dfs.core.windows.net/a", "abfss://account.dfs.core.windows.net/a"),
        ("file://me:s3cret@h/a", "file://h/a"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret", "mssql+pyodbc:///"),
        ("postgresql://me:s3/cret@h/db", "postgresql://…"),
        ("postgresql://me:s3?cret@h/db", "postgresql://…"),
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("databricks://profile", "databricks://profile"),
    ] {
        assert_eq!(redact_uri(text), expected);
    }
}
