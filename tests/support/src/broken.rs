//! Files that are named like plugins and cannot be used, each for a reason of its own.
//!
//! Most are copies of the plugin in C, changed in one place. All of it is about ELF, the format of Linux.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::LARGEST;
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};

use crate::cdylib;
use crate::patch::Plugin;

/// Makes files in a folder that are refused before they are loaded. With each comes a part of the reason.
///
/// # Panics
/// Where the folder cannot be written to.
pub fn all(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let plugin = Plugin::read(cdylib::c_plugin());
    let elf = &plugin.elf;
    let files = [
        ("text", b"hello\n".to_vec(), "not a shared library: "),
        ("empty", Vec::new(), "not a shared library: "),
        ("header-cut-off", elf[..20].to_vec(), "not a shared library: "),
        ("cut-off", elf[..elf.len() / 2].to_vec(), "not a shared library: "),
        ("garbage", [&elf[..4], &[0xAA; 4096]].concat(), "not a shared library: "),
        ("program", plugin.with(KIND, &[2]), "not a shared library: an object file or a program"),
        ("other-processor", plugin.with(PROCESSOR, &OTHER_PROCESSOR), OTHER_PROCESSOR_NAME),
        ("32-bit", plugin.with(CLASS, &[1]), "not a shared library: "),
        ("mach-o", mach_o(), "built for MachO"),
        ("beyond-the-end", plugin.with_manifest_of(LARGEST), "not a shared library: "),
        ("too-large", plugin.with_manifest_of(LARGEST + 1), "it has 65537 bytes, and 65536 are allowed"),
        ("not-json", plugin.with(plugin.manifest_at, b"!"), "its manifest is invalid: expected value"),
        ("incomplete", plugin.saying("schemes", Value::Null), "its manifest is invalid: invalid type: null"),
        ("version-2", plugin.saying("manifest", json!(2)), "its format is version 2"),
        ("bad-name", plugin.saying("name", json!("c echo")), "`c echo` is not a plugin's name"),
        ("no-scheme", plugin.saying("schemes", json!([])), "it names no scheme"),
        ("upper-case", plugin.saying("schemes", json!(["Echo"])), "`Echo` is not a scheme"),
        ("abi-0", plugin.saying("abi", json!(0)), "upgrade the plugin"),
        ("abi-2", plugin.saying("abi", json!(2)), "upgrade the host"),
        (
            "other-libc",
            plugin.saying("target", json!("x86_64-unknown-linux-musl")),
            "built for x86_64-unknown-linux-musl",
        ),
        ("panic-abort", plugin.saying("panic", json!("abort")), "was built with `panic = \"abort\"`"),
        ("isolated", plugin.saying("isolation", json!("required")), "must run in a process of its own"),
        ("world-writable", elf.clone(), "not trusted, for everybody can change it"),
    ];
    let mut made: Vec<_> = files.into_iter().map(|(name, bytes, why)| (write(folder, name, &bytes), why)).collect();

    let writable = folder.join("world-writable.so");
    fs::set_permissions(writable, Permissions::from_mode(0o666)).expect("a file of the user's own");
    let dangling = folder.join("dangling.so");
    symlink(folder.join("nothing"), &dangling).expect("a folder that can be written to");
    made.push((dangling, "cannot be read: "));
    let directory = folder.join("directory.so");
    fs::create_dir(&directory).expect("a folder that can be written to");
    made.push((directory, "not a shared library: not a file, but a folder"));
    let pipe = folder.join("pipe.so");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, mode, 0).expect("a folder that can be written to");
    made.push((pipe, "not a shared library: not a file, but a folder, pipe"));
    made
}

/// Makes files in a folder that are found to be plugins of the scheme `c-echo` and cannot be loaded. With each comes a
/// part of the reason.
///
/// # Panics
/// Where the folder cannot be written to.
pub fn unloadable(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let plugin = Plugin::read(cdylib::c_plugin());
    let files = [
        ("no-dependency", plugin.replacing(b"\0libc.so.6\0", b"\0libX.so.6\0"), "needs the library `libX.so.6`"),
        ("no-segments", plugin.with(SEGMENTS, &[0, 0]), "the system refused to load it: "),
        ("no-entry", plugin.replacing(b"_plugin_v1\0", b"_plugin_v0\0"), "does not export `mlflow_deploy_plugin_v1`"),
    ];
    files.into_iter().map(|(name, bytes, why)| (write(folder, name, &bytes), why)).collect()
}

/// Makes a shared library in a folder that is no plugin and no fault either: it has no manifest.
///
/// # Panics
/// Where the folder cannot be written to.
pub fn plain_library(folder: &Path) -> PathBuf {
    write(folder, "plain", &Plugin::read(cdylib::c_plugin()).replacing(b"\0.mlflow_deploy\0", b"\0.other_section\0"))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name).with_extension("so");
    fs::write(&path, bytes).expect("a folder that can be written to");
    path
}

/// Places in the header of a 64-bit ELF file.
const CLASS: usize = 0x04;
const KIND: usize = 0x10;
const PROCESSOR: usize = 0x12;
const SEGMENTS: usize = 0x38;

/// A processor that the tests do not run on.
const OTHER_PROCESSOR: [u8; 2] = if cfg!(target_arch = "aarch64") { [62, 0] } else { [183, 0] };
const OTHER_PROCESSOR_NAME: &str =
    if cfg!(target_arch = "aarch64") { "built for Elf X86_64" } else { "built for Elf Aarch64" };

/// A library for macOS of which there is nothing but the header.
fn mach_o() -> Vec<u8> {
    const X86_64: u32 = 0x0100_0007;
    const LIBRARY: u32 = 6;
    [0xfeed_facf, X86_64, 3, LIBRARY, 0, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect()
}
