//! Explains why a TLS connection failed, and what the user can do.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use crate::text::innermost;

use super::key_kind::{SUPPORTED_KEYS, object_id};

/// Returns the reason why a TLS connection failed, and true if another attempt would fail in the same way.
pub(crate) fn reason(error: &(dyn StdError + 'static)) -> (String, bool) {
    let Some(tls) = rustls_error(error) else {
        let reason = format!("{}; if the server does not use TLS there, use `http://`", innermost(error));
        return (reason, false);
    };
    let reason = match tls {
        _ if is_plain(tls) => "the server does not use TLS there: use `http://`, or the port for `https://`".to_owned(),
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => self::alert(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server accepts neither TLS 1.2 nor TLS 1.3".to_owned()
        }
        other => other.to_string(),
    };
    (reason, true)
}

/// Returns true if the peer answered the TLS handshake with something other than TLS.
pub(crate) fn is_plain(error: &(dyn StdError + 'static)) -> bool {
    matches!(
        rustls_error(error),
        Some(Error::InvalidMessage(
            InvalidMessage::InvalidContentType
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::InvalidEmptyPayload,
        ))
    )
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
            format!(
                "a certificate of the server is signed with an algorithm that is not supported, {algorithm}: sign it with a \
                 key of another kind, {SUPPORTED_KEYS}, and with SHA-256 or longer"
            )
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => format!(
            "the key of a certificate of the server is not supported: {} with the signature {}; expected {SUPPORTED_KEYS}",
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
            "the server's certificate, or one of its chain, has expired: renew it at the server, or set the clock of this \
             machine"
                .to_owned()
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
            return format!(
                "the server has no cipher or certificate for this client, or expects a client certificate: use a server \
                 certificate with a key that is {SUPPORTED_KEYS}, or set the option `client_cert` (alert {alert:?})"
            );
        }
        AlertDescription::ProtocolVersion => "the server accepts neither TLS 1.2 nor TLS 1.3",
        AlertDescription::UnrecognisedName => "the server does not know the host of the URL",
        _ => "the server ended the handshake",
    };
    format!("{reason} (alert {alert:?})")
}
