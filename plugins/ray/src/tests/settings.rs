//! Tests the options of a client and the errors of a wrong address.

use std::io::{Read, Write};
use std::net::TcpListener;

use mlflow_deploy_test_support::server::{Answer, Server};

use super::*;

async fn list_error(answer: Answer) -> mlflow_deploy_plugin_api::Error {
    let server = Server::start([answer]);
    let client = client("ray", &json!({"address": server.url(), "max_retries": 0}), &[]).unwrap();
    client.list_deployments(ListDeployments::all()).await.unwrap_err()
}

#[tokio::test]
async fn a_server_that_is_no_dashboard_is_an_error_that_names_the_port() {
    let not_found = Answer::new(404, "Path '/api/serve/applications/' not found.").header("Content-Type", "text/plain");
    let error = list_error(not_found).await;
    assert_eq!(error.code().as_str(), "ENDPOINT_NOT_FOUND");
    assert!(
        error.message().starts_with("no Ray dashboard at `http://127.0.0.1:") && error.message().contains("port 8265"),
        "{error}"
    );
    for answer in [Answer::new(200, "{}"), Answer::new(200, "[]"), Answer::new(200, r#"{"applications": 1}"#)] {
        let error = list_error(answer).await;
        assert!(error.message().contains("did not answer with the applications of Ray Serve"), "{error}");
    }
    let error = list_error(Answer::dropped()).await;
    assert!(error.message().starts_with("no Ray dashboard reached at `http://127.0.0.1:"), "{error}");
    assert!(error.message().contains("port 8265"), "{error}");
    assert!(error.causes().next().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_dashboard_without_serve_names_the_package() {
    let text = "Serve dependencies are not installed. Please run `pip install \"ray[serve]\"`.";
    let error = list_error(Answer::new(501, text).header("Content-Type", "text/plain")).await;
    assert!(error.message().contains("has no Ray Serve: install `ray[serve]` on its nodes"), "{error}");
    assert_eq!(error.http_status(), Some(501));
}

#[tokio::test]
async fn no_cluster_is_an_error_with_advice() {
    // Port 9 of this machine is not in use.
    let client = client("ray", &json!({"address": "http://127.0.0.1:9", "max_retries": 0}), &[]).unwrap();
    let error = client.list_deployments(ListDeployments::all()).await.unwrap_err();
    assert!(error.message().contains("check that the cluster runs (`ray start --head`)"), "{error}");
}

#[tokio::test]
async fn a_failed_tls_handshake_keeps_its_own_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let client = client("ray", &json!({"address": address}), &[]).unwrap();
    let error = client.list_deployments(ListDeployments::all()).await.unwrap_err();
    server.join().unwrap();
    assert!(error.message().starts_with("failed to establish a TLS connection to `https://127.0.0.1:"), "{error}");
    assert!(error.message().ends_with("use `http://`, or the port for `https://`"), "{error}");
}

#[test]
fn invalid_options_are_rejected() {
    for (options, said) in [
        (json!({"poll_interval": 0}), "invalid `poll_interval` `0`: expected 0.05 to 60 seconds"),
        (json!({"serve_url": "8000"}), "the option `serve_url`"),
        (json!({"serve_url": "http://u:s3cret@h"}), "set credentials in the option `serve_headers`"),
        (json!({"timeout": 0}), "`timeout` is `0`"),
        (json!({"adress": "x"}), "adress"),
        (json!({"address": "ray://h:10001"}), "port 8265"),
    ] {
        let error = client("ray", &options, &[]).unwrap_err();
        assert!(error.message().contains(said) && !error.message().contains("s3cret"), "{error}");
    }
}
