//! The key exchange on the curve P-521 (ECDHE). A server with TLS 1.2 uses a certificate on this curve only if the client
//! offers the key exchange too.

use ::p521::ecdh::diffie_hellman;
use ::p521::elliptic_curve::Generate;
use ::p521::elliptic_curve::sec1::ToSec1Point;
use ::p521::{PublicKey, SecretKey};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

pub(super) const P521_GROUP: &dyn SupportedKxGroup = &P521Group;

#[derive(Debug)]
struct P521Group;

impl SupportedKxGroup for P521Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = SecretKey::try_generate().map_err(|_no_random_numbers| Error::FailedToGetRandomBytes)?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Box::new(StartedExchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

/// A key exchange that waits for the server's public key.
struct StartedExchange {
    secret: SecretKey,
    public: Vec<u8>,
}

impl ActiveKeyExchange for StartedExchange {
    fn complete(self: Box<Self>, peer_pub_key: &[u8]) -> Result<SharedSecret, Error> {
        /// The first byte of an uncompressed point. TLS allows no other form.
        const UNCOMPRESSED: u8 = 4;
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        if peer_pub_key.first() != Some(&UNCOMPRESSED) {
            return Err(invalid());
        }
        let peer = PublicKey::from_sec1_bytes(peer_pub_key).map_err(|_not_on_the_curve| invalid())?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(shared.raw_secret_bytes().as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_compute_the_same_secret_and_reject_invalid_keys() {
        let [one, two] = [P521_GROUP.start().unwrap(), P521_GROUP.start().unwrap()];
        let [of_one, of_two] = [one.pub_key().to_vec(), two.pub_key().to_vec()];
        assert_ne!(of_one, of_two);
        let secret = one.complete(&of_two).unwrap();
        assert_eq!(secret.secret_bytes(), two.complete(&of_one).unwrap().secret_bytes());
        assert_eq!((of_one.len(), secret.secret_bytes().len()), (133, 66));
        let mut off_the_curve = of_one.clone();
        *off_the_curve.last_mut().unwrap() ^= 1;
        let compressed = [&[2 + (of_one[132] & 1)], &of_one[1..67]].concat();
        for key in [&off_the_curve[..], &compressed, &of_one[1..], &[0], &[]] {
            assert!(P521_GROUP.start().unwrap().complete(key).is_err(), "{key:?}");
        }
    }
}
