//! Reads the client's certificate and its private key from one PEM file.

use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, Result, file};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use super::der;
use super::file_kind::FileKind;
use super::key_kind::{SUPPORTED_KEYS, private_key_kind};
use super::p521::ClientKey;
use super::pem::{self, Block};

/// The maximum size of a file with a client's certificate and key, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads a client's certificate, its chain and its private key from a PEM file. Accepts any version of X.509, because
/// only the server verifies the certificate.
pub(super) fn read(path: &Path) -> Result<Arc<SingleCertAndKey>> {
    let shown = path.display();
    let invalid = |reason: String| {
        Error::invalid_parameter(format!("failed to use the client certificate in `{shown}`: {reason}"))
    };
    let bytes = file::read(path, MAX_FILE).map_err(|error| invalid(error.to_string()))?;
    let blocks = pem::blocks(&bytes);
    let key = match blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) {
        Some(block) => key(block, path).map_err(invalid)?,
        None => {
            if let Some(kind) = FileKind::of(&bytes) {
                let advice = kind.advice(path, "-nodes");
                return Err(invalid(format!(
                    "it is not PEM: {advice}, and use one file with the certificate and its key"
                )));
            }
            if let Some((label, fault)) =
                blocks.iter().find_map(|block| Some((&block.label, block.der.as_ref().err()?)))
            {
                return Err(invalid(format!("its `{label}` {fault}")));
            }
            return Err(invalid("it has no private key: expected the certificate and its key in one file".to_owned()));
        }
    };
    let cut = blocks.iter().find_map(|block| block.der.as_ref().err().copied().filter(|_| block.is_certificate()));
    if let Some(fault) = cut {
        return Err(invalid(format!("its `CERTIFICATE` {fault}")));
    }
    let certificates: Vec<CertificateDer<'_>> = pem::certificates(blocks).collect();
    let Some(first) = certificates.first() else {
        return Err(invalid("it has no certificate (`-----BEGIN CERTIFICATE-----`)".to_owned()));
    };
    match (der::public_key_info(first), key.public_key()) {
        (None, _) => return Err(invalid("its first certificate is not X.509".to_owned())),
        (Some(of_certificate), Some(of_key)) if of_certificate != of_key.as_ref() => {
            return Err(invalid("its key does not belong to its first certificate".to_owned()));
        }
        _ => {}
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(certificates, key))))
}

/// Reads the private key in a PEM block. Fails with the reason if the key cannot be used.
fn key(block: &Block, path: &Path) -> Result<Arc<dyn SigningKey>, String> {
    let label = block.label.as_str();
    if block.is_encrypted || label == "ENCRYPTED PRIVATE KEY" {
        return Err(format!(
            "the key is encrypted, and there is no way to give its passphrase: decrypt it with `openssl pkey -in {} -out \
             KEY`, and use a file with the certificate and that key",
            path.display()
        ));
    }
    let der = block.der.as_deref().map_err(|fault| format!("its `{label}` {fault}"))?;
    let der = match label {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
        _ => {
            return Err(format!(
                "its `{label}` is not supported: convert it with `openssl pkey`, or `ssh-keygen -m pkcs8`"
            ));
        }
    };
    if let Some(key) = ClientKey::read(&der) {
        return Ok(Arc::new(key));
    }
    any_supported_type(&der).map_err(|_unnamed| {
        let kind = if label == "RSA PRIVATE KEY" { "RSA".to_owned() } else { private_key_kind(der.secret_der()) };
        format!(
            "its key ({kind}) is not supported: expected {SUPPORTED_KEYS}; make such a key, and have a certificate signed \
             for it"
        )
    })
}
