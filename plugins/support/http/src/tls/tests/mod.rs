//! Tests of TLS with the kinds of certificates that users have.

mod clients;
mod servers;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use http::Method;
use mlflow_deploy_plugin_api::{Error, Result};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, Stream};
use rustls::{version::TLS12, version::TLS13};

use super::algorithms::ALGORITHMS;
use super::{client_cert, der};
use crate::tests::{assert_no_secret, policy, request};
use crate::{Client, Connection, Response, send};

/// Returns the path of a test certificate. The script `certificates/make.sh` creates the files.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls/tests/certificates").join(name)
}

fn trusting(name: &str) -> Connection {
    Connection { ca_certs: Some(file(name)), ..Connection::default() }
}

/// A TLS server for one connection, and the certificates that the client presents to it.
struct TlsServer {
    url: String,
    clients: Arc<Mutex<Vec<CertificateDer<'static>>>>,
    thread: JoinHandle<()>,
}

impl TlsServer {
    /// Starts a TLS server with the certificate and the key in a file. The server requests a client certificate, but
    /// does not require one.
    fn start(certificate: &str, is_tls12: bool) -> Self {
        let provider = CryptoProvider { signature_verification_algorithms: ALGORITHMS, ..ring::default_provider() };
        Self::start_with(certificate, is_tls12, provider)
    }

    /// Starts such a server with other cryptography.
    fn start_with(certificate: &str, is_tls12: bool, provider: CryptoProvider) -> Self {
        let clients = Arc::new(Mutex::new(Vec::new()));
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[if is_tls12 { &TLS12 } else { &TLS13 }])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient(Arc::clone(&clients))))
            .with_cert_resolver(client_cert::read(&file(certificate)).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/p?q=1", listener.local_addr().unwrap().port());
        let thread = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            // A client that does not trust the server closes the connection.
            if stream.read(&mut [0; 4096]).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").unwrap();
            }
        });
        Self { url, clients, thread }
    }

    /// Sends a request to the server. Returns the result, and the number of certificates that the client presented.
    async fn ask(self, connection: Connection) -> (Result<Response>, usize) {
        let result = send(&Client::new(connection), &request(Method::GET, &self.url), &policy()).await;
        self.thread.join().unwrap();
        result.as_ref().err().iter().for_each(|error| assert_no_secret(error));
        (result, self.clients.lock().unwrap().len())
    }
}

/// Sends a request with settings that make it fail before the client connects. Returns the error.
async fn setup_error(connection: Connection) -> Error {
    send(&Client::new(connection), &request(Method::GET, "http://127.0.0.1:1"), &policy()).await.unwrap_err()
}

/// A verifier that accepts and records every client certificate, if the client has signed the handshake with its key.
#[derive(Debug)]
struct AnyClient(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.lock().unwrap().push(end_entity.clone().into_owned());
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(der::public_key_info(certificate).unwrap());
        verify_tls13_signature_with_raw_key(message, &key, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
