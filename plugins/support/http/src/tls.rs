//! TLS: the trusted certificate authorities and the client's certificate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_plugin_api::trust::{self, Distrust};
use mlflow_deploy_plugin_api::{Error, Result, call, file};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Connection;

/// The limit for a file or folder of certificate authorities, in bytes. Mozilla's bundle has 0.2 MiB.
const MAX_AUTHORITIES: u64 = 16 << 20;

/// The limit for a file with a client's certificate, in bytes.
const MAX_CLIENT_CERT: u64 = 1 << 20;

/// Returns the TLS settings of a connection. They do not affect other plugins in the process.
///
/// Succeeds on a machine without certificate authorities, so that `http` URLs work. An `https` URL then fails, because
/// its server is not trusted.
pub(crate) fn settings(connection: &Connection) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("failed to set up TLS").with_cause(&error))?;
    let builder = if connection.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerify(provider)))
    } else {
        builder.with_root_certificates(roots(connection.ca_certs.as_deref())?)
    };
    let Some(path) = &connection.client_cert else { return Ok(builder.with_no_client_auth()) };
    let invalid = |what: &str, error: &dyn std::error::Error| {
        Error::invalid_parameter(format!("failed to use {what} in `{}`: {error}", path.display()))
    };
    let pem = file::read(path, MAX_CLIENT_CERT).map_err(|error| invalid("the client certificate", &error))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid("the client certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| invalid("the client certificate's key", &error))?;
    builder.with_client_auth_cert(certificates, key).map_err(|error| invalid("the client certificate", &error))
}

/// Returns the certificate authorities in a file or folder, or else the system's.
fn roots(own: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let paths: Vec<PathBuf> = match own {
        Some(own) => vec![own.to_owned()],
        // OpenSSL's variables, which replace the system's authorities for many programs.
        None => {
            let folders = variable("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect::<Vec<_>>());
            folders.into_iter().flatten().chain(variable("SSL_CERT_FILE").map(PathBuf::from)).collect()
        }
    };
    if paths.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    }
    let mut usable = 0;
    for path in &paths {
        check_trust(path)?;
        let found = authorities(path).map_err(|error| {
            let message = format!("failed to read certificate authorities in `{}`: {error}", path.display());
            Error::invalid_parameter(message)
        })?;
        usable += roots.add_parsable_certificates(found).0;
    }
    match own {
        Some(own) if usable == 0 => {
            Err(Error::invalid_parameter(format!("`{}` contains no certificate authority", own.display())))
        }
        _ => Ok(roots),
    }
}

/// Fails if other users can change a file of authorities, or a folder and the files in it: these decide which servers
/// are trusted.
fn check_trust(path: &Path) -> Result<()> {
    let warnings = match trust::check(path) {
        Ok(warnings) => warnings,
        // The later read fails with the reason.
        Err(Distrust::Unreadable(_)) => return Ok(()),
        Err(reason) => return Err(distrusted(path, &reason)),
    };
    warnings.iter().for_each(call::warn);
    for entry in path.read_dir().into_iter().flatten().flatten() {
        // The later read skips a dangling link.
        if let Err(reason @ Distrust::Untrusted { .. }) = trust::check(&entry.path()) {
            return Err(distrusted(&entry.path(), &reason));
        }
    }
    Ok(())
}

/// Reads the certificates in a file or in all files of a folder.
fn authorities(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        // Like OpenSSL, skips dangling links and nested folders.
        files.retain(|file| file.is_file());
    }
    let mut certificates = Vec::new();
    let mut room = MAX_AUTHORITIES;
    for file in files {
        let pem = file::read(&file, room).map_err(|error| match file == path {
            true => error,
            false => io::Error::new(error.kind(), format!("`{}`: {error}", file.display())),
        })?;
        room -= pem.len() as u64;
        // Other content is skipped: a bundle may contain notes.
        certificates.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    }
    Ok(certificates)
}

fn distrusted(path: &Path, reason: &Distrust) -> Error {
    Error::invalid_parameter(format!("failed to use the certificate authorities in `{}`: {reason}", path.display()))
}

/// Accepts every certificate, for `insecure`. Signatures are still checked, so that a corrupted handshake fails.
#[derive(Debug)]
struct NoVerify(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerify {
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
