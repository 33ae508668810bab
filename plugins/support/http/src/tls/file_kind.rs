//! Recognises binary files of keys and certificates, and names the command that converts them to PEM.

use std::path::Path;

use super::der::{self, OID, SEQUENCE};

/// The kind of a binary file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FileKind {
    /// An X.509 certificate in DER.
    Certificate,
    /// A key store of Java, in the format JKS or JCEKS.
    JavaKeyStore,
    /// A private key in DER.
    Key,
    Pkcs12,
}

impl FileKind {
    /// Returns the kind of a file, or `None` if it is PEM or unknown.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        const INTEGER: u8 = 2;
        if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.starts_with(&[0xce; 4]) {
            return Some(Self::JavaKeyStore);
        }
        // The file may be cut, so that only the first bytes are read.
        let length = bytes.get(1)?;
        let content = bytes.get(2 + if *length < 0x80 { 0 } else { usize::from(length & 0x7f) }..)?;
        match (bytes[0], content) {
            (SEQUENCE, [INTEGER, 1, 3, ..]) => Some(Self::Pkcs12),
            (SEQUENCE, [INTEGER, ..]) => Some(Self::Key),
            // An encrypted key starts with its algorithm.
            (SEQUENCE, _) if der::first(content).is_some_and(|(first, _)| first.content.first() == Some(&OID)) => {
                Some(Self::Key)
            }
            (SEQUENCE, _) => Some(Self::Certificate),
            _ => None,
        }
    }

    /// Returns advice for a file of this kind at `path`. `pkcs12` contains the options of `openssl pkcs12` that select the
    /// needed parts of the file.
    pub(super) fn advice(self, path: &Path, pkcs12: &str) -> String {
        let shown = path.display();
        match self {
            Self::Certificate => format!("convert a DER file with `openssl x509 -inform der -in {shown}`"),
            Self::JavaKeyStore => format!(
                "convert a Java key store with `keytool -importkeystore -srckeystore {shown} -destkeystore FILE.p12 \
                 -deststoretype pkcs12` and `openssl pkcs12 {pkcs12} -in FILE.p12`"
            ),
            Self::Key => format!("it is a private key in DER: convert it with `openssl pkey -inform der -in {shown}`"),
            Self::Pkcs12 => format!("convert a PKCS#12 file with `openssl pkcs12 {pkcs12} -in {shown}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_files_are_told_apart() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap();
        for (bytes, kind) in [
            (&certificate.der()[..], Some(FileKind::Certificate)),
            (&key.serialize_der(), Some(FileKind::Key)),
            (&[SEQUENCE, 4, SEQUENCE, 2, OID, 0], Some(FileKind::Key)),
            (&[SEQUENCE, 0x82, 9, 9, 2, 1, 3, SEQUENCE], Some(FileKind::Pkcs12)),
            (&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], Some(FileKind::JavaKeyStore)),
            (b"-----BEGIN", None),
            (&[SEQUENCE, 0x84], None),
            (&[], None),
        ] {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }
}
