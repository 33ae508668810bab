//! TLS: whom a client trusts, and how it proves who it is.

use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::trust::{self, Distrust};
use mlflow_deploy_plugin_api::{Error, Result, call};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Connection;

/// The TLS settings of a connection. Nothing is installed for the whole process: other plugins have their own.
///
/// A machine without any certificate authorities gets settings all the same. It can reach `http` URLs, and only an
/// `https` one fails, because nobody vouches for its server.
pub(crate) fn settings(connection: &Connection) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("failed to set up TLS").with_cause(&error))?;
    let builder = if connection.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting(provider)))
    } else {
        builder.with_root_certificates(roots(connection.ca_certs.as_deref())?)
    };
    let Some(path) = &connection.client_cert else { return Ok(builder.with_no_client_auth()) };
    let wrong = |what: &str, error: &dyn std::error::Error| {
        Error::invalid_parameter(format!("failed to use {what} in `{}`: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong("the client certificate", &error))?;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| wrong("the client certificate's key", &error))?;
    builder.with_client_auth_cert(certificates, key).map_err(|error| wrong("the client certificate", &error))
}

/// The system's certificate authorities, or those in a file or folder that takes their place.
fn roots(own: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(path) = own else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    // Whoever can change one of the files decides which servers are believed.
    trust::check(path).map_err(|why| distrusted(path, &why))?.iter().for_each(call::warn);
    for entry in path.read_dir().into_iter().flatten().flatten() {
        // A link that leads nowhere is no authority.
        if let Err(why @ Distrust::Untrusted { .. }) = trust::check(&entry.path()) {
            return Err(distrusted(&entry.path(), &why));
        }
    }
    let found = if path.is_dir() {
        rustls_native_certs::load_certs_from_paths(None, Some(path))
    } else {
        rustls_native_certs::load_certs_from_paths(Some(path), None)
    };
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    match found.errors.first() {
        _ if usable > 0 => Ok(roots),
        Some(error) => Err(Error::invalid_parameter(format!("failed to read certificate authorities: {error}"))),
        None => Err(Error::invalid_parameter(format!("`{}` has no certificate authority in it", path.display()))),
    }
}

fn distrusted(path: &Path, why: &Distrust) -> Error {
    Error::invalid_parameter(format!("failed to use the certificate authorities in `{}`: {why}", path.display()))
}

/// Accepts every server, for `insecure`. Signatures are still checked, so that a broken connection is seen as one.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
