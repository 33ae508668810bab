//! Checks the connection between the command and a server: proxies, certificates, encodings, and credentials with an
//! invalid character, such as a line break.

use std::fs;

use mlflow_deploy_test_support::server::{Answer, Server};

use crate::command::{Ran, Run, mlflow_deploy};

/// The text `{"predictions":[1,2]}`, compressed by Python's `gzip.compress(…, mtime=0)`.
const GZIP: [u8; 41] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 40, 74, 77, 201, 76, 46, 201, 204, 207, 43, 86, 178, 138, 54, 212,
    49, 138, 173, 5, 0, 46, 222, 214, 86, 21, 0, 0, 0,
];

fn gateway(verb: &str, url: &str) -> Run {
    let run = mlflow_deploy(verb).plugin("mlflow-deploy-gateway").arg("-t").arg(url);
    run.arg("--option").arg("max_retries=0")
}

fn predict(target: &str, url: &str) -> Ran {
    let inputs = match target {
        "v2" => r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}"#,
        _ => r#"{"messages":[]}"#,
    };
    let run = mlflow_deploy("predict --endpoint m -I -").stdin(inputs);
    let run = match target {
        "v2" => run
            .plugin("mlflow-deploy-v2")
            .arg("-t")
            .arg(format!("v2+{url}"))
            .env("MLFLOW_DEPLOY_V2_TOKEN", "t0k3n-of-a-file\n"),
        "gateway" => run.plugin("mlflow-deploy-gateway").arg("-t").arg(url),
        "databricks" => run
            .plugin("mlflow-deploy-databricks")
            .arg("-t")
            .arg("databricks")
            .env("DATABRICKS_HOST", url)
            .env("DATABRICKS_TOKEN", "\u{feff}t0k3n-of-a-file\r\n"),
        _ => run
            .plugin("mlflow-deploy-openai")
            .arg("-t")
            .arg("openai")
            .env("OPENAI_BASE_URL", format!("{url}/v1"))
            .env("OPENAI_API_KEY", "t0k3n-of-a-file\n"),
    };
    run.arg("--option").arg("max_retries=0").run()
}

#[test]
fn a_compressed_answer_is_decoded_by_every_target() {
    for target in ["gateway", "databricks", "openai", "v2"] {
        let server = Server::start([Answer::new(200, GZIP).header("Content-Encoding", "gzip")]);
        // Some servers print the address `0.0.0.0`.
        let ran = predict(target, &server.url().replace("127.0.0.1", "0.0.0.0"));
        assert_eq!(ran.json(), serde_json::json!({"predictions": [1, 2]}), "{target}");
        let request = &server.requests()[0];
        assert_eq!(request.header("accept-encoding"), Some("gzip, deflate, br, zstd"), "{target}");
        if target != "gateway" {
            assert_eq!(request.header("authorization"), Some("Bearer t0k3n-of-a-file"), "{target}");
        }
        let other = Server::start([Answer::new(200, "{}").header("Content-Encoding", "sdch")]);
        let ran = predict(target, &other.url());
        assert!(ran.code == 1 && ran.stderr.contains("the `Content-Encoding` `sdch`, which"), "{target}: {ran:?}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    let run = |name: &str, value: &str, plugin: &str, target: &str| {
        let run = mlflow_deploy("list-endpoints").plugin(plugin).arg("-t").arg(target).env(name, value);
        run.env("DATABRICKS_HOST", "https://far.test").arg("--option").arg("max_retries=0").run()
    };
    for (name, value, plugin, target, message) in [
        ("ALL_PROXY", "socks://h:1", "mlflow-deploy-gateway", "http://far.test", "`ALL_PROXY` has the scheme `socks`"),
        ("http_proxy", "htp://h:1", "mlflow-deploy-gateway", "http://far.test", "`http_proxy` has the scheme `htp`"),
        ("HTTPS_PROXY", "http://u:a#b@h", "mlflow-deploy-gateway", "https://far.test", "`HTTPS_PROXY` is not the URL"),
        ("OPENAI_API_KEY", "s3cret\nkey", "mlflow-deploy-openai", "openai", "`OPENAI_API_KEY` contains a line break"),
        ("DATABRICKS_TOKEN", "s3cret\u{2019}", "mlflow-deploy-databricks", "databricks", "`DATABRICKS_TOKEN` contains"),
        (
            "MLFLOW_TRACKING_TOKEN",
            "s3cret\nx",
            "mlflow-deploy-gateway",
            "http://far.test",
            "`MLFLOW_TRACKING_TOKEN` con",
        ),
    ] {
        let ran = run(name, value, plugin, target);
        assert!(ran.code == 2 && ran.stderr.contains(message) && !ran.stderr.contains("s3cret"), "{name}: {ran:?}");
    }
}

#[test]
fn a_proxy_s_failure_names_the_proxy() {
    let proxy = Server::start([Answer::new(403, "blocked")]);
    let with_password = proxy.url().replace("http://", "http://me:hunter2hunter2@");
    let ran = gateway("list-endpoints", "https://far.test").env("https_proxy", &with_password).run();
    let expected = format!(
        "through the proxy `{}` of `https_proxy`: it answered `CONNECT far.test:443` with 403 Forb",
        proxy.url()
    );
    assert!(ran.code == 1 && ran.stderr.contains(&expected), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");

    let before = proxy.requests().len();
    let run = gateway("list-endpoints", "http://far.test:5000").env("http_proxy", &with_password);
    let ran = run.env("no_proxy", "far.test:5000").run();
    assert!(ran.code == 1 && !ran.stderr.contains("proxy"), "{ran:?}");
    assert_eq!(proxy.requests().len(), before);
}

#[test]
fn an_encrypted_key_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("me.pem");
    let block = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
    fs::write(&path, block("CERTIFICATE") + &block("ENCRYPTED PRIVATE KEY")).unwrap();
    let ran = gateway("list-endpoints", "https://far.test").env("MLFLOW_TRACKING_CLIENT_CERT_PATH", &path).run();
    let expected = format!("decrypt it with `openssl pkey -in {}", path.display());
    assert!(ran.code == 2 && ran.stderr.contains("the key is encrypted") && ran.stderr.contains(&expected), "{ran:?}");
}

/// Certificates in a variable's file often lose their line ends when they are pasted.
#[test]
fn certificates_that_cannot_be_read_are_reported_for_every_variable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, r"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    let path = file.to_str().unwrap();
    let reason = "is on one line: its line ends are lost, or written as `\\n`";
    for (variable, scheme, code, expected) in [
        (
            "SSL_CERT_FILE",
            "https",
            1,
            "`SSL_CERT_FILE` names, contains no certificate authority: expected PEM; its certificate",
        ),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "http", 2, "contains no certificate authority: expected PEM"),
        ("MLFLOW_TRACKING_CLIENT_CERT_PATH", "http", 2, "failed to use the client certificate in "),
    ] {
        let server = Server::start([Answer::new(200, r#"{"endpoints":[]}"#)]);
        let url = server.url().replacen("http", scheme, 1);
        let ran = gateway("list-endpoints", &url).env(variable, path).run();
        assert_eq!(ran.code, code, "{variable}: {ran:?}");
        for part in [expected, reason, path] {
            assert!(ran.stderr.contains(part), "{variable}: {ran:?}");
        }
        assert!(!ran.stderr.contains("MIIB"), "{variable}: {ran:?}");
    }
}
