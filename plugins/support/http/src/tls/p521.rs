//! ECDSA on the curve P-521, which ring does not support. Verifies certificates and handshakes, and signs with a
//! client's key.

use std::fmt;
use std::sync::Arc;

use ::p521::SecretKey;
use ::p521::ecdsa::signature::Signer as _;
use ::p521::ecdsa::signature::hazmat::PrehashVerifier;
use ::p521::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use ::p521::pkcs8::DecodePrivateKey;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
    alg_id,
};
use rustls::sign::{self, Signer, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};

pub(super) const P521_SHA256: &dyn SignatureVerificationAlgorithm =
    &Verification { signature: alg_id::ECDSA_SHA256, hash: |message| Sha256::digest(message).to_vec() };
pub(super) const P521_SHA384: &dyn SignatureVerificationAlgorithm =
    &Verification { signature: alg_id::ECDSA_SHA384, hash: |message| Sha384::digest(message).to_vec() };
pub(super) const P521_SHA512: &dyn SignatureVerificationAlgorithm =
    &Verification { signature: alg_id::ECDSA_SHA512, hash: |message| Sha512::digest(message).to_vec() };

/// The length of the longest supported hash, in bytes.
const HASH: usize = 64;

/// Verifies ECDSA signatures on the curve P-521 with one hash function.
struct Verification {
    signature: AlgorithmIdentifier,
    hash: fn(&[u8]) -> Vec<u8>,
}

impl fmt::Debug for Verification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "P521({:?})", self.signature)
    }
}

impl SignatureVerificationAlgorithm for Verification {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_invalid| InvalidSignature)?;
        let signature = DerSignature::from_bytes(signature).map_err(|_invalid| InvalidSignature)?;
        // A hash is read as a number. The crate rejects a hash of less than half the curve's length, so zeros are put
        // before it.
        let mut hash = (self.hash)(message);
        hash.splice(..0, std::iter::repeat_n(0, HASH - hash.len()));
        key.verify_prehash(&hash, &signature).map_err(|_invalid| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// A client's private key on the curve P-521.
pub(super) struct ClientKey(Arc<SigningKey>);

impl ClientKey {
    /// Reads a private key. Returns `None` if the key is not on the curve P-521.
    pub(super) fn read(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let key = match key {
            PrivateKeyDer::Pkcs8(key) => SecretKey::from_pkcs8_der(key.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Sec1(key) => SecretKey::from_sec1_der(key.secret_sec1_der()).ok(),
            _ => None,
        };
        Some(Self(Arc::new(SigningKey::from(key?))))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientKey")
    }
}

impl sign::SigningKey for ClientKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(Self(Arc::clone(&self.0))) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(public_key_to_spki(&alg_id::ECDSA_P521, self.0.verifying_key().to_sec1_point(false)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for ClientKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: DerSignature =
            self.0.try_sign(message).map_err(|error| Error::General(format!("failed to sign: {error}")))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::sign::SigningKey as _;

    use super::*;

    #[test]
    fn only_the_signature_of_the_message_is_valid() {
        let secret = SecretKey::from_slice(&[7; 66].map(|byte: u8| byte & 1)).unwrap();
        let key = ClientKey(Arc::new(SigningKey::from(secret)));
        let info = key.public_key().unwrap();
        let point = &info.as_ref()[info.as_ref().len() - 133..];
        assert!(key.choose_scheme(&[SignatureScheme::ECDSA_NISTP384_SHA384]).is_none());
        let signer = key.choose_scheme(&[key.scheme()]).unwrap();
        let signature = signer.sign(b"message").unwrap();
        P521_SHA512.verify_signature(point, b"message", &signature).unwrap();
        let mut wrong = signature.clone();
        *wrong.last_mut().unwrap() ^= 1;
        for (point, message, signature) in [
            (point, &b"massage"[..], &signature[..]),
            (point, b"message", &wrong),
            (point, b"message", &[]),
            (&point[1..], b"message", &signature),
        ] {
            P521_SHA512.verify_signature(point, message, signature).unwrap_err();
        }
        P521_SHA384.verify_signature(point, b"message", &signature).unwrap_err();
        assert!(ClientKey::read(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&[0x30, 0][..]))).is_none());
    }
}
