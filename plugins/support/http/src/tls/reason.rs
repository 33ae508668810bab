//! Explains why a TLS connection failed, and what the user can do.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use crate::text::innermost;

use super::der::{self, OID};

/// Returns the reason why a TLS connection failed, and true if another attempt would fail in the same way.
pub(crate) fn reason(error: &(dyn StdError + 'static)) -> (String, bool) {
    let Some(tls) = rustls_error(error) else {
        let reason = format!("{}; if the server does not use TLS there, use `http://`", innermost(error));
        return (reason, false);
    };
    let reason = match tls {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload,
        ) => "the server does not use TLS there: use `http://`, or the port for `https://`".to_owned(),
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => self::alert(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server accepts neither TLS 1.2 nor TLS 1.3".to_owned()
        }
        other => other.to_string(),
    };
    (reason, true)
}

/// Returns true if an error comes from TLS. A retry would then fail in the same way.
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    rustls_error(error).is_some()
}

/// Returns the error of rustls among an error and its causes. Looks inside each `io::Error`, because its `source` skips
/// the error that it wraps.
fn rustls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
    error.downcast_ref().or_else(|| rustls_error(inner?)).or_else(|| rustls_error(error.source()?))
}

/// Describes why a server's certificate is not accepted.
fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate comes from an authority that is not trusted (UnknownIssuer): name the authority's \
             certificate with the option `ca_cert`"
                .to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            let algorithm = object_id(signature_algorithm_id);
            format!("a certificate of the server is signed with an algorithm that is not supported, {algorithm}")
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => format!(
            "the key of a certificate of the server is not supported: {} with the signature {}; expected RSA of 2048 to \
             8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
            object_id(public_key_algorithm_id),
            object_id(signature_algorithm_id)
        ),
        CertificateError::Other(OtherError(other)) => match other.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "the server's certificate is that of an authority (`CA:TRUE`), and is not trusted itself: name it with the \
                 option `ca_cert`, or make one for the server that the authority signs"
                    .to_owned()
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "a certificate of the server is X.509 version 1, which cannot name its host: make one of version 3 with a \
                 `subjectAltName`, or turn the check off with the option `insecure`"
                    .to_owned()
            }
            _ => format!("the server's certificate is not accepted: {other}"),
        },
        CertificateError::BadSignature => {
            "the server's certificate is not signed with the key of the trusted authority: name the current authority with \
             the option `ca_cert` (BadSignature)"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it at the server, or set the clock of this machine".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: set the clock of this machine or of the one that made it".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate is not for the host of the URL: use a host that it names, or make one for this host \
             ({error})"
        ),
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

/// Describes the TLS alert with which the server ended the handshake.
fn alert(alert: AlertDescription) -> String {
    let reason = match alert {
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRequired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => {
            "the server expects another client certificate: set the option `client_cert`"
        }
        AlertDescription::HandshakeFailure => {
            "the server has no cipher or certificate for this client, or expects a client certificate"
        }
        AlertDescription::ProtocolVersion => "the server accepts neither TLS 1.2 nor TLS 1.3",
        AlertDescription::UnrecognisedName => "the server does not know the host of the URL",
        _ => "the server ended the handshake",
    };
    format!("{reason} (alert {alert:?})")
}

/// Returns the common name of the last object identifier in a DER-encoded algorithm, or its dotted form if the name is
/// unknown.
fn object_id(algorithm: &[u8]) -> String {
    let id = der::elements(algorithm).filter(|element| element.tag == OID).last();
    let Some(id) = id else { return "unknown".to_owned() };
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in id.content {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = numbers.first().copied().unwrap_or_default();
    let top = (first / 40).min(2);
    let dotted = [top, first - top * 40].into_iter().chain(numbers.into_iter().skip(1));
    let dotted = dotted.map(|number| number.to_string()).collect::<Vec<_>>().join(".");
    match dotted.as_str() {
        "1.2.840.113549.1.1.4" => "RSA with MD5".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA with SHA-1".to_owned(),
        "1.2.840.10045.4.1" => "ECDSA with SHA-1".to_owned(),
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256".to_owned(),
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384".to_owned(),
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512".to_owned(),
        "1.2.840.10045.3.1.7" => "the curve P-256".to_owned(),
        "1.3.132.0.34" => "the curve P-384".to_owned(),
        "1.3.132.0.35" => "the curve P-521".to_owned(),
        "1.3.132.0.10" => "the curve secp256k1".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        _ => format!("the object id {dotted}"),
    }
}
