//! `plugins check`: checks a manifest, in a file of JSON or in a library, and prints every fault with its place.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use mlflow_deploy::command;
use mlflow_deploy::manifest::{self, Checked, Fault, MAX_BYTES, Manifest, ReadError};
use mlflow_deploy_plugin_api::{file, text};
use serde::Serialize;

use crate::report::{CliError, Report};

/// The number of bytes that tell a library from a text.
const MAGIC_BYTES: usize = 4;

#[derive(Serialize)]
struct CheckReport<'a> {
    file: &'a str,
    valid: bool,
    /// True if the file is the part of a manifest that a Rust plugin passes to `export_plugin!`.
    part: bool,
    faults: &'a [Fault],
    /// The manifest; `None` if it is a part, or if a host refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
}

pub(super) fn run(path: &Path, report: &Report) -> Result<(), CliError> {
    let name = path.to_string_lossy();
    let json = read(path)?;
    let is_process = manifest::is_process_file(path);
    let check = if is_process { manifest::check_process } else { manifest::check };
    let Checked { faults, is_part, .. } = check(&json);
    let manifest = if is_process { Manifest::parse_process } else { Manifest::parse }(&json).ok();
    let summary = || match &manifest {
        Some(manifest) => format!(
            "{} {}, schemes: {}; operations: {}",
            manifest.name,
            manifest.version,
            manifest.schemes.join(", "),
            manifest.operations.join(", ")
        ),
        None => "the `manifest` of `export_plugin!`, which adds the required members".to_owned(),
    };
    let text = || {
        let mut text = String::new();
        for Fault { line, column, message, .. } in &faults {
            let _ = writeln!(text, "{}", text::line(&format!("{name}:{line}:{column}: {message}")));
        }
        if faults.is_empty() {
            let _ = writeln!(text, "{}", text::line(&format!("{name}: valid: {}", summary())));
        }
        text
    };
    let checked = CheckReport {
        file: &name,
        valid: faults.is_empty(),
        part: is_part,
        faults: &faults,
        manifest: manifest.as_ref(),
    };
    report.write_value(&checked, text)?;
    match faults.len() {
        0 => Ok(()),
        1 => Err(CliError::CheckFailed(format!(
            "the manifest in `{name}` has a fault; MANIFEST.md describes each member"
        ))),
        many => Err(CliError::CheckFailed(format!(
            "the manifest in `{name}` has {many} faults; MANIFEST.md describes each member"
        ))),
    }
}

/// Returns the bytes of a manifest. Reads stdin if the path is `-`, and the section of a library.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed =
        |error: io::Error| CliError::Input(format!("failed to read the manifest `{}`: {error}", path.display()));
    let is_stdin = path == Path::new("-");
    let mut file = if is_stdin { command::stdin() } else { File::open(path) }.map_err(failed)?;
    let mut magic = Vec::new();
    (&mut file).take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(failed)?;
    if !is_stdin && is_library(&magic) {
        return manifest::json_from(&file).map_err(|error| match error {
            ReadError::Io(error) => failed(error),
            ReadError::NoManifest => CliError::NotAPlugin(path.to_owned()),
            ReadError::Invalid(fault) | ReadError::NotALibrary(fault) => failed(io::Error::other(fault)),
            ReadError::WrongMachine { found, expected } => {
                failed(io::Error::other(format!("built for {found}, expected {expected}")))
            }
            other => failed(io::Error::other(format!("{other:?}"))),
        });
    }
    // A larger text is read as far as needed to report its size.
    let limit = 16 * MAX_BYTES as u64;
    file::read_up_to(Cursor::new(magic).chain(file), limit).map_err(failed)
}

/// Returns true for the first bytes of an ELF or Mach-O file. No JSON text starts with them.
fn is_library(magic: &[u8]) -> bool {
    matches!(
        magic,
        b"\x7fELF" | [0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xce | 0xcf, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe]
    )
}
