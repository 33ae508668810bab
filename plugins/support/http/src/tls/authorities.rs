//! Reads the certificate authorities that determine which servers a client trusts.

use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::trust::{self, Distrust};
use mlflow_deploy_plugin_api::{Error, Result, call, file};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::file_kind::FileKind;
use super::pem;

/// The maximum size of all certificate authorities in a file or folder, in bytes. Mozilla's bundle has 0.2 MiB.
const MAX_AUTHORITIES: u64 = 16 << 20;

/// The certificates that a client trusts.
pub(super) struct Authorities {
    pub(super) roots: RootCertStore,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Reads the trusted certificates in the file or folder `own`, or else in the paths that OpenSSL's environment
    /// variables name, or else those of the system.
    pub(super) fn read(own: Option<&Path>) -> Result<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let paths: Vec<PathBuf> = match own {
            Some(own) => vec![own.to_owned()],
            // OpenSSL's variables, which replace the system's authorities for many programs.
            None => {
                let folders =
                    variable("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect::<Vec<_>>());
                folders.into_iter().flatten().chain(variable("SSL_CERT_FILE").map(PathBuf::from)).collect()
            }
        };
        let mut certificates = Vec::new();
        if paths.is_empty() {
            certificates = rustls_native_certs::load_native_certs().certs;
        }
        for path in &paths {
            check_trust(path)?;
            let mut faults = Vec::new();
            let found = read_path(path, &mut faults).map_err(|error| {
                let message = format!("failed to read certificate authorities in `{}`: {error}", path.display());
                Error::invalid_parameter(message)
            })?;
            if !found.is_empty() {
                faults.into_iter().for_each(call::warn);
            } else if own.is_none() && path.is_file() {
                call::warn(format!(
                    "`{}`, which `SSL_CERT_FILE` names, contains no certificate authority: expected PEM{}",
                    path.display(),
                    hint(path)
                ));
            }
            certificates.extend(found);
        }
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        match own {
            Some(own) if usable == 0 => Err(Error::invalid_parameter(format!(
                "`{}` contains no certificate authority: expected PEM (`-----BEGIN CERTIFICATE-----`){}",
                own.display(),
                hint(own)
            ))),
            _ => Ok(Self { roots, certificates }),
        }
    }
}

/// Fails if other users can change a file of certificate authorities, or a folder of them, or a file in the folder.
/// These files determine which servers are trusted.
fn check_trust(path: &Path) -> Result<()> {
    let warnings = match trust::check(path) {
        Ok(warnings) => warnings,
        // Reading the file later fails with the reason.
        Err(Distrust::Unreadable(_)) => return Ok(()),
        Err(reason) => return Err(distrusted(path, &reason)),
    };
    warnings.iter().for_each(call::warn);
    for entry in path.read_dir().into_iter().flatten().flatten() {
        // Reading the folder later skips a dangling link.
        if let Err(reason @ Distrust::Untrusted { .. }) = trust::check(&entry.path()) {
            return Err(distrusted(&entry.path(), &reason));
        }
    }
    Ok(())
}

/// Reads the certificates in a file, or in all files of a folder. Adds a message to `faults` for each file with a
/// certificate that is not complete.
fn read_path(path: &Path, faults: &mut Vec<String>) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        // Dangling links and nested folders are skipped, as in OpenSSL.
        files.retain(|file| file.is_file());
    }
    let mut certificates = Vec::new();
    let mut room = MAX_AUTHORITIES;
    for file in files {
        let bytes = file::read(&file, room).map_err(|error| match file == path {
            true => error,
            false => io::Error::new(error.kind(), format!("`{}`: {error}", file.display())),
        })?;
        room -= bytes.len() as u64;
        // Other content is skipped: a bundle may contain notes.
        let blocks = pem::blocks(&bytes);
        let fault = blocks.iter().find_map(|block| block.der.as_ref().err().filter(|_| block.is_certificate()));
        if let Some(fault) = fault {
            faults.push(format!("a certificate in `{}` is skipped: it {fault}", file.display()));
        }
        certificates.extend(pem::certificates(blocks));
    }
    Ok(certificates)
}

/// Returns advice for a file without a usable PEM certificate, as the end of an error message. The advice is empty if
/// the format of the file is unknown.
fn hint(path: &Path) -> String {
    let bytes = file::read(path, MAX_AUTHORITIES).unwrap_or_default();
    let shown = path.display();
    if let Some(kind) = FileKind::of(&bytes) {
        return format!("; {}", kind.advice(path, "-nokeys"));
    }
    let blocks = pem::blocks(&bytes);
    let fault = blocks.iter().find_map(|block| block.der.as_ref().err().filter(|_| block.is_certificate()));
    if let Some(fault) = fault {
        return format!("; its certificate {fault}");
    }
    match blocks.first().map(|block| block.label.as_str()) {
        Some(label) if label.ends_with("PRIVATE KEY") => {
            "; it contains a private key: name the file of the authority's certificate".to_owned()
        }
        Some("PKCS7") => format!("; convert a PKCS#7 file with `openssl pkcs7 -print_certs -in {shown}`"),
        Some("TRUSTED CERTIFICATE") => {
            "; the trust settings of its `TRUSTED CERTIFICATE` exclude TLS servers".to_owned()
        }
        _ => String::new(),
    }
}

fn distrusted(path: &Path, reason: &Distrust) -> Error {
    Error::invalid_parameter(format!("failed to use the certificate authorities in `{}`: {reason}", path.display()))
}
