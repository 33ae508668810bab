//! What is a model URI, and what is said of what is none.

use super::*;
use crate::uri::{Place as Named, Which, shown};

fn names(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_form_is_read() {
    let registered = |name: &str, which| Named::Registered { name: name.to_owned(), which };
    let run = |path: &[&str]| Named::Run { run_id: "0f".to_owned(), path: names(path) };
    let artifacts = |authority: Option<&str>, path: &[&str]| Named::Artifacts {
        authority: authority.map(str::to_owned),
        path: names(path),
    };
    for (text, place) in [
        ("model", Named::Folder("model".into())),
        ("./a:b", Named::Folder("./a:b".into())),
        ("/tmp/a b%20c", Named::Folder("/tmp/a b%20c".into())),
        ("a/b:c", Named::Folder("a/b:c".into())),
        ("file:///tmp/a%20b", Named::Folder("/tmp/a b".into())),
        ("file:/tmp/a", Named::Folder("/tmp/a".into())),
        ("file:a/b", Named::Folder("a/b".into())),
        ("file://localhost/tmp/a", Named::Folder("/tmp/a".into())),
        ("FILE:///tmp/a", Named::Folder("/tmp/a".into())),
        ("runs:/0f/model", run(&["model"])),
        ("runs:/0f/a b//c%20d/", run(&["a b", "c%20d"])),
        ("runs:///0f/model", run(&["model"])),
        ("runs:/0f", run(&[])),
        ("models:/iris/12", registered("iris", Which::Version("12".to_owned()))),
        ("models:/my iris/latest", registered("my iris", Which::Latest)),
        ("models:/iris/LATEST", registered("iris", Which::Latest)),
        ("models:/iris/Production", registered("iris", Which::Stage("Production".to_owned()))),
        ("models:/iris@champion", registered("iris", Which::Alias("champion".to_owned()))),
        ("models:/a@b@c", registered("a@b", Which::Alias("c".to_owned()))),
        ("models:/m-0f/1", registered("m-0f", Which::Version("1".to_owned()))),
        ("models:/m-0f", Named::LoggedModel("m-0f".to_owned())),
        (" models:/m-0f ", Named::LoggedModel("m-0f".to_owned())),
        ("mlflow-artifacts:/0/models/m-1", artifacts(None, &["0", "models", "m-1"])),
        ("mlflow-artifacts:///0", artifacts(None, &["0"])),
        ("mlflow-artifacts://h:5000/0", artifacts(Some("h:5000"), &["0"])),
        ("mlflow-artifacts:/", artifacts(None, &[])),
        (
            "https://h:1/pre/api/2.0/mlflow-artifacts/artifacts/0/a%20b/",
            Named::HandedOut {
                base: Url::parse("https://h:1/pre/api/2.0/mlflow-artifacts/artifacts").unwrap(),
                path: names(&["0", "a b"]),
            },
        ),
    ] {
        assert_eq!(ModelUri::parse(text).unwrap().place, place, "{text}");
    }
}

#[test]
fn what_is_none_is_told_what_is_one() {
    for (text, why) in [
        ("", "the model URI is empty: a model URI is a path"),
        ("s3://bucket/model", "the scheme `s3` does not work; it is not fetched from there: have a tracking server"),
        ("gs://b/m", "the scheme `gs` does not work"),
        ("dbfs:/m", "`mlflow artifacts download`"),
        ("dbfs:/m", "`models:/<name>@<alias>`"),
        ("model:v1", "where it is a path with a colon, write `./` before it"),
        ("c:\\model", "the scheme `c` does not work"),
        (
            "file://server/share",
            "`file://server/share` is not a model URI: what follows two slashes would be another machine",
        ),
        ("file://", "the path is missing"),
        ("file:///a?b", "`%3F` in place of `?`"),
        ("file:///a%00b", "its path is no text"),
        ("a\0b", "NUL"),
        ("runs:/", "expected `runs:/<run_id>/<name of the model>`"),
        ("runs:0f/model", "expected `runs:/<run_id>/<name of the model>`"),
        ("runs:/0f/../1e", "`..` in its path would lead elsewhere"),
        ("runs:/../model", "`..` in its path would lead elsewhere"),
        (
            "runs://prod@databricks/0f/model",
            "`runs://databricks/0f/model` is not a model URI: models are fetched from a tracking server",
        ),
        ("models:/iris", "expected `models:/<name>/<version>`"),
        ("models:/iris@", "expected `models:/<name>/<version>`"),
        ("models:/@champion", "expected `models:/<name>/<version>`"),
        ("models:/", "expected `models:/<name>/<version>`"),
        ("models:iris/1", "expected `models:/<name>/<version>`"),
        ("models:/iris/1/data", "nothing follows the version"),
        ("models:/../1", "`..` in its path would lead elsewhere"),
        ("models://prod@databricks/iris/1", "is a profile of Databricks"),
        ("mlflow-artifacts:/a/../b", "`..` in its path would lead elsewhere"),
        ("mlflow-artifacts://5000/a", "there is a port, and no host before it"),
        ("mlflow-artifacts://me:pw@h/a", "has no user"),
        ("http://h/model", "its path leads to no artifacts"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts/a%2F..%2Fb", "`..` in its path would lead elsewhere"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts?path=a", "it has a query"),
        ("http://", "is not a URL"),
    ] {
        let error = ModelUri::parse(text).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(why), "{text:?}: {error}");
    }
}

#[test]
fn no_password_is_shown() {
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
fn what_may_be_shown_of_any_uri() {
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
        ("file://me:s3cret@h/a", "file://h/a"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret", "mssql+pyodbc:///"),
        ("postgresql://me:s3/cret@h/db", "postgresql://…"),
        ("postgresql://me:s3?cret@h/db", "postgresql://…"),
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("databricks://profile", "databricks://profile"),
    ] {
        assert_eq!(shown(text), expected);
    }
}
