//! Parses the parts of DER that this crate needs: elements with a tag and a length, and the public key in a
//! certificate.

/// The DER tag of an object identifier.
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// The DER tag of an optional element with the number 0 in its structure, such as the version of a certificate.
pub(super) const FIRST: u8 = 0xa0;

/// One element of DER-encoded data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// The bytes of the element, including its tag and length.
    pub(super) whole: &'a [u8],
}

/// Returns the first DER element and the bytes after it, or `None` if the element is not well formed.
pub(super) fn first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f)).filter(|(long, _)| long.len() <= 4)?;
        (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Some((Element { tag, content, whole }, rest))
}

/// Returns all DER elements in a sequence. Ends at the first element that is not well formed.
pub(super) fn elements(mut bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = first(bytes)?;
        bytes = rest;
        Some(element)
    })
}

/// Returns the DER element `SubjectPublicKeyInfo` of an X.509 certificate, which may have any version.
pub(super) fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = first(certificate)?;
    let (signed, _) = first(certificate.content)?;
    // X.509 version 1 has no version field. The serial number, algorithm, issuer, validity and subject precede the key.
    let mut fields = elements(signed.content).skip_while(|field| field.tag == FIRST);
    let key = fields.nth(5)?;
    (key.tag == SEQUENCE).then_some(key.whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_split_off() {
        for (bytes, content, rest) in [
            (&[0x30, 2, 1, 2, 9][..], &[1, 2][..], &[9][..]),
            (&[0x04, 0], &[], &[]),
            (&[0x04, 0x81, 1, 7], &[7], &[]),
            (&[0x04, 0x82, 0, 1, 7, 8], &[7], &[8]),
        ] {
            let (element, left) = first(bytes).unwrap();
            assert_eq!((element.content, left), (content, rest));
            assert_eq!([element.whole, left].concat(), bytes);
        }
        for cut in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0x81],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
            &[0x30, 0x84, 255, 255, 255, 255],
        ] {
            assert_eq!(first(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn the_key_of_a_cut_certificate_is_not_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der();
        let info = public_key_info(der).unwrap();
        assert_eq!(
            rustls::pki_types::SubjectPublicKeyInfoDer::from(info).as_ref(),
            rcgen::PublicKeyData::subject_public_key_info(&key)
        );
        for length in 0..der.len() {
            assert_eq!(public_key_info(&der[..length]), None, "{length}");
        }
    }
}
