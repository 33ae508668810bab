//! Parses PEM files as OpenSSL does. Accepts a byte order mark, any line ends, blanks around lines, and text between
//! the blocks.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;

use super::der::{self, FIRST, OID, SEQUENCE};

/// The object identifiers of the certificate usages that include servers: `serverAuth` and `anyExtendedKeyUsage`.
const FOR_SERVERS: [&[u8]; 2] = [&[0x2b, 6, 1, 5, 5, 7, 3, 1], &[0x55, 0x1d, 0x25, 0]];

/// One block of a PEM file, such as a certificate.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    /// The words after `BEGIN` in the first line of the block, such as `CERTIFICATE`.
    pub(super) label: String,
    /// True if the block's headers declare it as encrypted.
    pub(super) is_encrypted: bool,
    /// The decoded content of the block.
    pub(super) der: Result<Vec<u8>, PemFault>,
}

impl Block {
    /// Returns true if the block is a certificate.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
    }
}

/// The reason why a block has no content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PemFault {
    /// The block has no last line.
    Cut,
    /// The content is not Base64.
    NotBase64,
    /// The first line continues with the content.
    OneLine,
}

impl fmt::Display for PemFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cut => "is cut off: its `-----END …-----` line is missing; copy the whole file",
            Self::NotBase64 => "is not complete Base64; copy the whole file",
            Self::OneLine => {
                "is on one line: its line ends are lost, or written as `\\n`; save it with its line ends, as `printf \
                 '%b\\n' \"$VARIABLE\"` does for the value of a variable"
            }
        })
    }
}

/// Returns the blocks of a PEM file.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    // A file may be joined from files that do not end with a line end.
    let text = decode(bytes).replace("----------BEGIN ", "-----\n-----BEGIN ");
    let (mut blocks, mut open) = (Vec::<Block>::new(), None::<String>);
    for line in text.split(['\r', '\n']).map(str::trim) {
        if let Some((label, rest)) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----")) {
            let fault = if rest.is_empty() { PemFault::Cut } else { PemFault::OneLine };
            blocks.push(Block { label: label.to_owned(), is_encrypted: false, der: Err(fault) });
            open = rest.is_empty().then(String::new);
        } else if let (Some(body), Some(block)) = (&mut open, blocks.last_mut()) {
            if line.starts_with("-----END ") {
                block.der = BASE64_STANDARD.decode(body.as_bytes()).map_err(|_invalid| PemFault::NotBase64);
                open = None;
            } else if line.contains(':') {
                block.is_encrypted |= line.starts_with("Proc-Type:") && line.contains("ENCRYPTED");
            } else {
                body.extend(line.split_whitespace());
            }
        }
    }
    blocks
}

/// Returns the certificates in the blocks of a PEM file that are trusted for servers.
pub(super) fn certificates(blocks: Vec<Block>) -> impl Iterator<Item = CertificateDer<'static>> {
    blocks.into_iter().filter_map(|block| {
        let der = block.der.ok()?;
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => Some(der.into()),
            "TRUSTED CERTIFICATE" => {
                let (certificate, settings) = der::first(&der)?;
                is_for_servers(settings).then(|| certificate.whole.to_vec().into())
            }
            _ => None,
        }
    })
}

/// Returns true if the trust settings after a `TRUSTED CERTIFICATE` allow its use for servers. A list of trusted usages
/// must contain this use, and a list of rejected usages must not. Both lists are optional.
fn is_for_servers(settings: &[u8]) -> bool {
    let names_servers =
        |list: &[u8]| der::elements(list).any(|usage| usage.tag == OID && FOR_SERVERS.contains(&usage.content));
    let settings = der::first(settings).map_or(&[][..], |(settings, _)| settings.content);
    let is_forbidden = |setting: der::Element<'_>| match setting.tag {
        SEQUENCE => !names_servers(setting.content),
        FIRST => names_servers(setting.content),
        _ => false,
    };
    !der::elements(settings).any(is_forbidden)
}

/// Decodes the text of a PEM file from UTF-8 or UTF-16, and skips a byte order mark. Windows programs write such files.
fn decode(bytes: &[u8]) -> String {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<_> = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, is_encrypted: bool, der: Result<&[u8], PemFault>) -> Block {
        Block { label: label.to_owned(), is_encrypted, der: der.map(<[u8]>::to_vec) }
    }

    #[test]
    fn a_block_is_read_with_any_marks_around_it() {
        let text = "a note\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let expected = [block("CERTIFICATE", false, Ok(&[1, 2, 3, 4]))];
        for bytes in [
            text.as_bytes().to_vec(),
            text.replace('\n', "\r\n").into_bytes(),
            text.replace('\n', "\r").into_bytes(),
            text.replace('\n', " \t\n  ").into_bytes(),
            format!("\u{feff}{}", &text[7..]).into_bytes(),
            [b"\xff\xfe", &wide[..]].concat(),
            [b"caf\xe9\n", text.as_bytes()].concat(),
            text.trim_end().as_bytes().to_vec(),
        ] {
            assert_eq!(blocks(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_broken_block_has_no_content_and_an_encrypted_one_is_noted() {
        let text = "-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                    DEK-Info: AES-256-CBC,00\n\nAQ==\n-----END RSA PRIVATE KEY-----\n-----BEGIN C-----\nAQ==\n";
        let expected = [
            block("A", false, Err(PemFault::NotBase64)),
            block("RSA PRIVATE KEY", true, Ok(&[1])),
            block("C", false, Err(PemFault::Cut)),
        ];
        assert_eq!(blocks(text.as_bytes()), expected);
    }

    #[test]
    fn a_block_without_line_ends_is_noted_and_its_content_is_not_in_the_label() {
        let text = "-----BEGIN A-----\nAQ==\n-----END A-----\n";
        for between in ["", " ", "\\n", "\\r\\n"] {
            let one_line = text.replace('\n', between);
            assert_eq!(blocks(one_line.as_bytes()), [block("A", false, Err(PemFault::OneLine))], "{one_line}");
        }
        let joined = text.trim_end().repeat(2);
        let two = [block("A", false, Ok(&[1])), block("A", false, Ok(&[1]))];
        assert_eq!(blocks(joined.as_bytes()), two);
    }

    #[test]
    fn a_trusted_certificate_is_taken_unless_it_is_not_for_servers() {
        let certificate = [SEQUENCE, 1, 7];
        let server = [OID, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
        let client = [OID, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
        let list = |tag: u8, usage: &[u8]| [&[SEQUENCE, 12, tag, 10], usage].concat();
        for (settings, is_taken) in [
            (vec![], true),
            (vec![SEQUENCE, 0], true),
            (vec![SEQUENCE, 3, 0x0c, 1, b'a'], true),
            (list(SEQUENCE, &server), true),
            (list(SEQUENCE, &client), false),
            (list(FIRST, &server), false),
            (list(FIRST, &client), true),
        ] {
            let der = [&certificate[..], &settings].concat();
            let found: Vec<_> = certificates(vec![block("TRUSTED CERTIFICATE", false, Ok(&der))]).collect();
            let expected: &[CertificateDer<'_>] = &[CertificateDer::from(&certificate[..])];
            assert_eq!(found, if is_taken { expected } else { &[] }, "{settings:?}");
        }
    }
}
