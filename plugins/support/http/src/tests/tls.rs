//! Tests of TLS with generated certificates.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mlflow_deploy_plugin_api::ErrorCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use tempfile::TempDir;

use super::*;

/// A certificate authority for tests, with the files of its own certificate and of a client certificate.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { folder: TempDir::new().unwrap(), issuer };
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority.issuer).unwrap();
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        std::fs::write(authority.file("client.pem"), certificate.pem() + &key.serialize_pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server for one connection. If `ask_for_client` is true, the server requires a client certificate.
    fn serve(&self, ask_for_client: bool) -> (String, JoinHandle<()>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = if ask_for_client {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/p?q=1", listener.local_addr().unwrap().port());
        let thread = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(config).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            // A client that does not trust the server closes the connection.
            if stream.read(&mut [0; 4096]).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").unwrap();
            }
        });
        (url, thread)
    }
}

async fn ask_securely(authority: &Authority, ask_for_client: bool, connection: Connection) -> Result<Response> {
    let (url, server) = authority.serve(ask_for_client);
    let answer = send(&Client::new(connection), &request(Method::GET, &url), &policy()).await;
    server.join().unwrap();
    answer
}

#[tokio::test]
async fn a_server_is_trusted_only_through_its_authority() {
    let authority = Authority::new();
    let error = ask_securely(&authority, false, Connection::default()).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::INTERNAL_ERROR, false));
    assert!(error.message().starts_with("failed to establish a TLS connection to `https://localhost:"), "{error}");
    assert!(error.message().contains("UnknownIssuer"), "{error}");
    assert_no_secret(&error);

    let own = |path| Connection { ca_certs: Some(path), ..Connection::default() };
    ask_securely(&authority, false, own(authority.file("ca.pem"))).await.unwrap();
    let insecure = Connection { insecure: true, ..Connection::default() };
    ask_securely(&authority, false, insecure).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let authority = Authority::new();
    let known = Connection { ca_certs: Some(authority.file("ca.pem")), ..Connection::default() };
    ask_securely(&authority, true, known.clone()).await.unwrap_err();
    let known = Connection { client_cert: Some(authority.file("client.pem")), ..known };
    ask_securely(&authority, true, known).await.unwrap();
}

#[tokio::test]
async fn every_authority_in_a_folder_is_read() {
    let authority = Authority::new();
    let folder = authority.file("folder");
    std::fs::create_dir_all(folder.join("below")).unwrap();
    std::fs::write(folder.join("note"), "no certificate").unwrap();
    std::os::unix::fs::symlink(authority.file("ca.pem"), folder.join("0a1b2c3d.0")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("0a1b2c3d.1")).unwrap();
    ask_securely(&authority, false, Connection { ca_certs: Some(folder), ..Connection::default() }).await.unwrap();
}

/// Other files are rejected: a pipe would block, a device is endless, and a large file would exhaust the memory.
#[tokio::test]
async fn certificates_are_read_from_small_regular_files_only() {
    let authority = Authority::new();
    let [pipe, folder, large] = ["pipe", "folder", "large"].map(|name| authority.file(name));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(&folder).unwrap();
    std::fs::File::create(folder.join("large.pem")).unwrap().set_len(1 << 40).unwrap();
    std::fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
    let ca = |path: PathBuf| Connection { ca_certs: Some(path), ..Connection::default() };
    let client = |path: PathBuf| Connection { client_cert: Some(path), ..Connection::default() };
    for (connection, reason) in [
        (ca(pipe.clone()), "/pipe`: not a regular file"),
        (client("/dev/zero".into()), "`/dev/zero`: not a regular file"),
        (ca(large.clone()), "/large`: larger than 16 MiB"),
        (ca(folder), "/large.pem`: larger than 16 MiB"),
        (client(pipe), "/pipe`: not a regular file"),
        (client(large), "/large`: larger than 1 MiB"),
    ] {
        let error =
            send(&Client::new(connection), &request(Method::GET, "http://127.0.0.1:1"), &policy()).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().ends_with(reason), "{error}");
    }
}

/// A user who can change a file of certificate authorities could add an authority, so the file is rejected.
#[tokio::test]
async fn world_writable_authorities_are_rejected() {
    let authority = Authority::new();
    let file = authority.file("ca.pem");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    for path in [file.as_path(), authority.folder.path()] {
        let client = Client::new(Connection { ca_certs: Some(path.to_owned()), ..Connection::default() });
        let error = send(&client, &request(Method::GET, "http://127.0.0.1:1"), &policy()).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        let fix = format!("has mode 666: `chmod o-w {}`", file.display());
        assert!(error.message().ends_with(&fix), "{error}");
    }
}

#[tokio::test]
async fn an_error_names_the_file_without_a_certificate() {
    let authority = Authority::new();
    let empty = authority.file("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let broken = ["-----BEGIN CERTIFICATE-----\nabc", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"];
    let broken = broken.iter().zip(["cut.pem", "odd.pem"]).map(|(text, name)| {
        std::fs::write(authority.file(name), text).unwrap();
        Connection { ca_certs: Some(authority.file(name)), ..Connection::default() }
    });
    for connection in [
        Connection { ca_certs: Some(empty.clone()), ..Connection::default() },
        Connection { ca_certs: Some(authority.file("none.pem")), ..Connection::default() },
        Connection { client_cert: Some(empty), ..Connection::default() },
        Connection { client_cert: Some(authority.file("ca.pem")), ..Connection::default() },
    ]
    .into_iter()
    .chain(broken)
    {
        let client = Client::new(connection);
        let error = send(&client, &request(Method::GET, "http://127.0.0.1:1"), &policy()).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(".pem"), "{error}");
    }
}
