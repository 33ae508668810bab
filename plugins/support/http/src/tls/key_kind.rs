//! Names the kinds of keys and signatures in certificates and private keys.

use super::der::{self, FIRST, OID, SEQUENCE};

/// The kinds of keys that TLS supports here, as a part of a message.
pub(super) const SUPPORTED_KEYS: &str =
    "RSA of 2048 to 8192 bits (not RSA-PSS), ECDSA on P-256, P-384 or P-521, or Ed25519 (not Ed448)";

/// Returns the name of a private key's kind, such as `Ed448` or `the curve P-256`. Reads keys in the forms PKCS#8 and
/// SEC 1. Returns `unknown` for other keys.
pub(super) fn private_key_kind(key: &[u8]) -> String {
    let fields = der::first(key).map(|(key, _)| key.content).unwrap_or_default();
    // The algorithm is a sequence in PKCS#8. The curve is an optional element in SEC 1.
    let algorithm = der::elements(fields).find(|field| matches!(field.tag, SEQUENCE | FIRST));
    algorithm.map_or_else(|| "unknown".to_owned(), |algorithm| object_id(algorithm.content))
}

/// Returns the common name of the last object identifier in a DER-encoded algorithm, or its dotted form if the name is
/// unknown.
pub(super) fn object_id(algorithm: &[u8]) -> String {
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
        "1.2.840.10040.4.1" => "DSA".to_owned(),
        "1.2.840.113549.1.1.1" => "RSA".to_owned(),
        "1.2.840.113549.1.1.4" => "RSA with MD5".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA with SHA-1".to_owned(),
        "1.2.840.113549.1.1.10" => "RSA-PSS".to_owned(),
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
