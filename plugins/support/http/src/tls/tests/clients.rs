//! Tests of client certificates.

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;

#[tokio::test]
async fn a_certificate_of_any_version_and_curve_is_presented() {
    for name in ["v1.pem", "p521.pem", "self-signed.pem"] {
        let connection = Connection { client_cert: Some(file(name)), ..trusting("p521-ca.pem") };
        let (result, certificates) = TlsServer::start("p521.pem", false).ask(connection).await;
        result.unwrap();
        assert_eq!(certificates, 1, "{name}");
    }
    let (result, certificates) = TlsServer::start("p521.pem", false).ask(trusting("p521-ca.pem")).await;
    result.unwrap();
    assert_eq!(certificates, 0);
}

#[tokio::test]
async fn an_encrypted_or_unusable_key_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [v1, own] = ["v1.pem", "self-signed.pem"].map(read);
    let (certificate, _) = v1.split_at(v1.find("-----BEGIN PRIVATE").unwrap());
    let (_, other_key) = own.split_at(own.find("-----BEGIN PRIVATE").unwrap());
    let dsa = "-----BEGIN DSA PRIVATE KEY-----\nAQ==\n-----END DSA PRIVATE KEY-----\n";
    for (path, reason) in [
        (
            file("encrypted.pem"),
            "the key is encrypted, and there is no way to give its passphrase: decrypt it with `openssl pkey -in ",
        ),
        (file("encrypted-older.pem"), "the key is encrypted"),
        (file("ed448.pem"), "its key (Ed448) is not supported: expected RSA"),
        (file("rsa-pss.pem"), "its key (RSA-PSS) is not supported: expected RSA of 2048 to 8192 bits (not RSA-PSS)"),
        (file("ca.pem"), "it has no private key: expected the certificate and its key in one file"),
        (file("self-signed.der"), "it is not PEM: convert a DER file with `openssl x509 -inform der -in "),
        (write("key.pem", other_key), "it has no certificate"),
        (write("other.pem", &format!("{certificate}{other_key}")), "its key does not belong to its first certificate"),
        (write("dsa.pem", &format!("{certificate}{dsa}")), "its `DSA PRIVATE KEY` is not supported: convert it"),
        (
            write("cut.pem", &own[..own.len() - 40]),
            "its `PRIVATE KEY` is cut off: its `-----END …-----` line is missing",
        ),
        (
            write("cut-certificate.pem", &format!("{}\n{other_key}", &certificate[..certificate.len() - 40])),
            "its `CERTIFICATE` is cut off: ",
        ),
        (write("one-line.pem", &v1.replace('\n', "")), "its `PRIVATE KEY` is on one line: its line ends are lost"),
        (write("literal.pem", &v1.replace('\n', "\\n")), "its `CERTIFICATE` is on one line: its line ends are lost"),
        (write("blanks.pem", &v1.replace('\n', " ")), "its `CERTIFICATE` is on one line: its line ends are lost"),
        (
            write("key-line.pem", &format!("{certificate}{}", other_key.replace('\n', ""))),
            "its `PRIVATE KEY` is on one line",
        ),
    ] {
        let error = setup_error(Connection { client_cert: Some(path.clone()), ..Connection::default() }).await;
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        let expected = format!("failed to use the client certificate in `{}`: {reason}", path.display());
        assert!(error.message().starts_with(&expected), "{error}");
        // No part of a key or certificate is in the message.
        assert!(!error.message().contains("MI"), "{error}");
    }
}
