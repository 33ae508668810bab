//! Verifies the certificates of servers. Accepts a certificate if a trusted authority signed it, or if the certificate
//! itself is trusted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::algorithms::ALGORITHMS;
use super::authorities::Authorities;

/// Verifies the certificates of the servers that a client connects to.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The verifier of certificates that an authority signed; `None` if no authority is trusted.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(authorities: Authorities, provider: Arc<CryptoProvider>) -> Self {
        let Authorities { roots, certificates } = authorities;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Self { authorities: verifier.ok(), trusted: certificates }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Err(CertificateError::UnknownIssuer.into()) };
        let error = match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if concerns_the_issuer(&error) => error,
            other => return other,
        };
        // As in OpenSSL, a certificate that is trusted itself needs no issuer. Its validity period has already been
        // checked.
        if !self.trusted.contains(end_entity) {
            return Err(error);
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

/// Returns true if a certificate was rejected only because of its issuer. Its validity period is valid, because webpki
/// checks the period before the issuer.
fn concerns_the_issuer(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            matches!(other.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        Error::InvalidCertificate(error) => matches!(
            error,
            CertificateError::UnknownIssuer | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        ),
        _ => false,
    }
}
