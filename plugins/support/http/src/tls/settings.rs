//! The TLS settings of a client's connections.

use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, Result};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::algorithms::ALGORITHMS;
use super::authorities::Authorities;
use super::client_cert;
use super::insecure::AnyCertificate;
use super::p521_key_exchange::P521_GROUP;
use super::verifier::Verifier;
use crate::Connection;

/// Returns the TLS settings for a client's connections. They do not affect other plugins in the process.
///
/// Succeeds without certificate authorities. Then no server is trusted.
pub(crate) fn settings(connection: &Connection) -> Result<ClientConfig> {
    let (provider, builder) = builder()?;
    let builder = builder.dangerous();
    let builder = if connection.insecure {
        builder.with_custom_certificate_verifier(Arc::new(AnyCertificate))
    } else {
        let authorities = Authorities::read(connection.ca_certs.as_deref())?;
        builder.with_custom_certificate_verifier(Arc::new(Verifier::new(authorities, provider)))
    };
    match &connection.client_cert {
        Some(path) => Ok(builder.with_client_cert_resolver(client_cert::read(path)?)),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// Returns TLS settings that trust no server, for connections that do not use TLS.
pub(crate) fn nothing_trusted() -> Result<ClientConfig> {
    Ok(builder()?.1.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Returns the algorithms, and a builder of settings that use them.
fn builder() -> Result<(Arc<CryptoProvider>, ConfigBuilder<ClientConfig, WantsVerifier>)> {
    let mut provider = CryptoProvider { signature_verification_algorithms: ALGORITHMS, ..ring::default_provider() };
    // The other groups are faster, so that a server prefers them.
    provider.kx_groups.push(P521_GROUP);
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("failed to set up TLS").with_cause(&error))?;
    Ok((provider, builder))
}
