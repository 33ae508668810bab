//! Tests of server certificates.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;
use crate::tls::p521_key_exchange::P521_GROUP;

async fn ask(server: &str, connection: Connection) -> Result<Response> {
    TlsServer::start(server, false).ask(connection).await.0
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_named_as_trusted_is_accepted() {
    for named in ["self-signed.pem", "trusted.pem"] {
        ask("self-signed.pem", trusting(named)).await.unwrap();
    }
    let error = ask("self-signed.pem", trusting("ca.pem")).await.unwrap_err();
    let expected = "the server's certificate is that of an authority (`CA:TRUE`), and is not trusted itself: name it";
    assert!(error.message().contains(expected), "{error}");
    let error = setup_error(trusting("trusted-for-clients.pem")).await;
    assert!(error.message().ends_with("`TRUSTED CERTIFICATE` exclude TLS servers"), "{error}");
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted_for_its_names_only() {
    let server = TlsServer::start("self-signed.pem", false);
    let url = server.url.replace("localhost", "127.0.0.1");
    let (result, _) = TlsServer { url, ..server }.ask(trusting("self-signed.pem")).await;
    let error = result.unwrap_err();
    assert!(error.message().contains("certificate not valid for name \"127.0.0.1\""), "{error}");
}

#[tokio::test]
async fn insecure_accepts_every_certificate() {
    for is_tls12 in [false, true] {
        for server in ["v1.pem", "self-signed.pem", "sha1.pem", "p521.pem"] {
            let insecure = Connection { insecure: true, ..Connection::default() };
            TlsServer::start(server, is_tls12).ask(insecure).await.0.unwrap();
        }
    }
    let error = ask("v1.pem", trusting("ca.pem")).await.unwrap_err();
    assert!(error.message().contains("X.509 version 1, which cannot name its host: make one of version 3"), "{error}");
}

#[tokio::test]
async fn the_curve_p_521_is_verified() {
    for is_tls12 in [false, true] {
        TlsServer::start("p521.pem", is_tls12).ask(trusting("p521-ca.pem")).await.0.unwrap();
    }
    // The certificate comes from another authority with the same curve.
    let error = ask("p521.pem", trusting("ca.pem")).await.unwrap_err();
    assert!(error.message().contains("UnknownIssuer"), "{error}");
}

/// Many servers with TLS 1.2 use a certificate on P-521 only if the client offers the key exchange on that curve.
#[tokio::test]
async fn the_key_exchange_on_p_521_is_offered() {
    for is_tls12 in [false, true] {
        let provider = CryptoProvider {
            signature_verification_algorithms: ALGORITHMS,
            kx_groups: vec![P521_GROUP],
            ..ring::default_provider()
        };
        let server = TlsServer::start_with("p521.pem", is_tls12, provider);
        server.ask(trusting("p521-ca.pem")).await.0.unwrap();
    }
}

/// Starts a server that accepts one connection, reads the first message and sends `answer`. Returns its address.
fn answering(answer: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _hello = socket.read(&mut [0; 4096]).unwrap();
        socket.write_all(answer).unwrap();
    });
    (address, thread)
}

#[tokio::test]
async fn a_server_without_a_usable_certificate_gets_the_supported_keys_named() {
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    let (address, server) = answering(HANDSHAKE_FAILURE);
    let get = request(Method::GET, &format!("https://{address}"));
    let error = send(&Client::new(Connection::default()), &get, &policy()).await.unwrap_err();
    server.join().unwrap();
    for part in ["(not RSA-PSS)", "P-521", "(not Ed448)", "`client_cert` (alert HandshakeFailure)"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_in_the_handshake_is_told_apart_from_one_that_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let get = request(Method::GET, &format!("https://{}", listener.local_addr().unwrap()));
    let connection = Connection { connect_timeout: Duration::from_millis(200), ..Connection::default() };
    let once = crate::Policy { max_retries: 0, ..policy() };
    let error = send(&Client::new(connection), &get, &once).await.unwrap_err();
    drop(listener);
    let expected = "the port accepts connections, but did not answer the TLS handshake within 0.2 s; if the server does \
                    not use TLS there, use `http://`";
    assert!(error.message().ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_proxy_that_does_not_use_tls_is_named_with_its_variable() {
    for (answer, reason) in
        [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "no TLS is spoken there: "), (b"", "tls handshake eof; ")]
    {
        for scheme in ["http", "https"] {
            let (address, proxy) = answering(answer);
            let setting = crate::connect::ProxySetting {
                variable: "HTTPS_PROXY".to_owned(),
                url: mlflow_deploy_plugin_api::Secret::new(format!("https://{address}")),
            };
            let proxies =
                crate::connect::Proxies { http: Some(setting.clone()), https: Some(setting), ..Default::default() };
            let client = Client::new(Connection { proxies, ..Connection::default() });
            let once = crate::Policy { max_retries: 0, ..policy() };
            let get = request(Method::GET, &format!("{scheme}://example.test"));
            let error = send(&client, &get, &once).await.unwrap_err();
            proxy.join().unwrap();
            let expected = format!(
                "the proxy `https://{address}` of `HTTPS_PROXY`: {reason}if the proxy uses plain HTTP, set that variable to \
                 `http://{address}`"
            );
            assert!(error.message().contains(&expected), "{error}");
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_supported_is_named() {
    let error = ask("sha1.pem", trusting("ca.pem")).await.unwrap_err();
    assert!(error.message().contains("signed with an algorithm that is not supported, ECDSA with SHA-1"), "{error}");
}

#[tokio::test]
async fn trusted_certificates_are_read_as_editors_save_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(file("self-signed.pem")).unwrap();
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes(), wide] {
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        ask("self-signed.pem", Connection { ca_certs: Some(path), ..Connection::default() }).await.unwrap();
    }
    let error = setup_error(trusting("self-signed.der")).await;
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(error.message().contains("convert a DER file with `openssl x509 -inform der -in "), "{error}");
    let path = folder.path().join("broken.pem");
    let one_line = text.split_once("-----BEGIN PRIVATE").unwrap().0.replace('\n', "\\n");
    for (bytes, reason) in [
        (
            &text.as_bytes()[..200],
            "its certificate is cut off: its `-----END …-----` line is missing; copy the whole file",
        ),
        (one_line.as_bytes(), "'%b\\n' \"$VARIABLE\"` does for the value of a variable"),
        (b"\xfe\xed\xfe\xed\0\0\0\x02", "-deststoretype pkcs12` and `openssl pkcs12 -nokeys -in FILE.p12`"),
        (b"\x30\x82\x09\x09\x02\x01\x03", "/broken.pem`"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAQ==\n-----END PRIVATE KEY-----",
            "name the file of the authority's certificate",
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = setup_error(Connection { ca_certs: Some(path.clone()), ..Connection::default() }).await;
        assert!(error.message().contains("/broken.pem` contains no certificate authority: "), "{error}");
        assert!(error.message().ends_with(reason), "{error}");
    }
}

#[tokio::test]
async fn a_plain_port_and_a_tls_port_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let plain = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _hello = socket.read(&mut [0; 4096]).unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        // The server closes the connection without an answer.
        let (mut socket, _) = listener.accept().unwrap();
        let _hello = socket.read(&mut [0; 4096]).unwrap();
    });
    let once = crate::Policy { max_retries: 0, ..policy() };
    let client = Client::new(Connection::default());
    let error = send(&client, &request(Method::GET, &url), &policy()).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::INTERNAL_ERROR, false));
    assert!(error.message().contains("the server does not use TLS there: use `http://`"), "{error}");
    let error = send(&client, &request(Method::GET, &url), &once).await.unwrap_err();
    assert!(error.message().ends_with("; if the server does not use TLS there, use `http://`"), "{error}");
    plain.join().unwrap();

    let server = TlsServer::start("self-signed.pem", false);
    let url = server.url.replace("https:", "http:");
    let error = send(&client, &request(Method::GET, &url), &once).await.unwrap_err();
    server.thread.join().unwrap();
    assert!(error.message().contains("if the server uses TLS there, use `https://`"), "{error}");
}
