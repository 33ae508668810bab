//! The signature algorithms that TLS accepts: those of ring, as rustls lists them, and ECDSA on the curve P-521.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use webpki::ring;

use super::p521::{P521_SHA256, P521_SHA384, P521_SHA512};

/// The signature algorithms that are accepted in certificates and handshakes.
pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ring::ECDSA_P256_SHA256,
        ring::ECDSA_P256_SHA384,
        ring::ECDSA_P384_SHA256,
        ring::ECDSA_P384_SHA384,
        P521_SHA256,
        P521_SHA384,
        P521_SHA512,
        ring::ED25519,
        ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        ring::RSA_PKCS1_2048_8192_SHA256,
        ring::RSA_PKCS1_2048_8192_SHA384,
        ring::RSA_PKCS1_2048_8192_SHA512,
        ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        // TLS 1.3 fixes the curve of a scheme, the first here. TLS 1.2 does not.
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[ring::ECDSA_P384_SHA384, ring::ECDSA_P256_SHA384, P521_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[ring::ECDSA_P256_SHA256, ring::ECDSA_P384_SHA256, P521_SHA256]),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512]),
        (SignatureScheme::ED25519, &[ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a new version of rustls supports an algorithm that is missing here.
    #[test]
    fn every_algorithm_of_rustls_is_listed() {
        let theirs = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let shown = |algorithms: &WebPkiSupportedAlgorithms| {
            algorithms.all.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>()
        };
        let ours = shown(&ALGORITHMS);
        for algorithm in shown(&theirs) {
            assert!(ours.contains(&algorithm), "{algorithm}");
        }
        for scheme in theirs.supported_schemes() {
            assert!(ALGORITHMS.supported_schemes().contains(&scheme), "{scheme:?}");
        }
    }
}
