//! Writes files that have the names of plugins, but that a host rejects, fails to load, isolates or ignores. The host
//! has another reason for each file.
//!
//! Most files are copies of the C plugin with one change. All plugins are in ELF, the format of Linux.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::MAX_BYTES;
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};

use crate::cdylib;
use crate::patch::{OFFSET_IN_SECTION_HEADER, PluginFile};

/// Writes files that the host rejects before it loads them. Returns the path of each file, and a part of the reason
/// that the host gives.
///
/// # Panics
/// Panics if the folder is not writable.
pub fn all(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let plugin = PluginFile::read(cdylib::c_plugin());
    let elf = &plugin.elf;
    let files = [
        ("text", b"hello\n".to_vec(), "not a shared library: "),
        ("empty", Vec::new(), "not a shared library: "),
        ("header-cut-off", elf[..20].to_vec(), "not a shared library: "),
        ("cut-off", elf[..elf.len() / 2].to_vec(), "not a shared library: "),
        ("garbage", [&elf[..4], &[0xAA; 4096]].concat(), "not a shared library: "),
        ("program", plugin.with_bytes(KIND, &[2]), "not a shared library: an object file or a program"),
        ("other-processor", plugin.with_bytes(PROCESSOR, &OTHER_PROCESSOR), OTHER_PROCESSOR_NAME),
        ("32-bit", plugin.with_bytes(CLASS, &[1]), "built for 32-bit ELF"),
        ("segment-cut-off", plugin.with_truncated_segment(), "not a shared library: truncated: "),
        ("mach-o", mach_o(), "built for Mach-O x86_64"),
        ("beyond-the-end", plugin.with_manifest_size(MAX_BYTES), "not a shared library: "),
        ("too-large", plugin.with_manifest_size(MAX_BYTES + 1), "too large: 65537 bytes, the limit is 65536"),
        ("64-mib", plugin.with_manifest_size(64 * 1024 * 1024), "too large: 67108864 bytes, the limit is 65536"),
        ("twice", plugin.with_two_manifests(), "its manifest is invalid: found two manifests"),
        ("member-twice", plugin.with_manifest(&plugin.manifest_with_duplicate_member()), "duplicate field `name`"),
        ("nested", plugin.with_manifest(&nested()), "its manifest is invalid: recursion limit exceeded"),
        ("not-json", plugin.with_bytes(plugin.manifest_at, b"!"), "its manifest is invalid: expected value"),
        ("incomplete", plugin.with_member("schemes", Value::Null), "its manifest is invalid: invalid type: null"),
        ("version-2", plugin.with_member("manifest", json!(2)), "unsupported manifest format version `2`"),
        ("bad-name", plugin.with_member("name", json!("c echo")), "invalid plugin name `c echo`"),
        ("no-scheme", plugin.with_member("schemes", json!([])), "missing scheme"),
        ("upper-case", plugin.with_member("schemes", json!(["Echo"])), "invalid scheme `Echo`"),
        ("abi-0", plugin.with_member("abi", json!(0)), "upgrade the plugin"),
        ("abi-2", plugin.with_member("abi", json!(2)), "upgrade the host"),
        (
            "other-libc",
            plugin.with_member("target", json!("x86_64-unknown-linux-musl")),
            "built for x86_64-unknown-linux-musl",
        ),
        ("world-writable", elf.clone(), "not trusted: every user can change it"),
    ];
    let mut written: Vec<_> = files.into_iter().map(|(name, bytes, why)| (write(folder, name, &bytes), why)).collect();

    let writable = folder.join("world-writable.so");
    fs::set_permissions(writable, Permissions::from_mode(0o666)).expect("the user owns the file");
    let dangling = folder.join("dangling.so");
    symlink(folder.join("nothing"), &dangling).expect("the folder is writable");
    written.push((dangling, "cannot be read: "));
    let ring = folder.join("ring.so");
    symlink(&ring, &ring).expect("the folder is writable");
    written.push((ring, "cannot be read: "));
    let socket = folder.join("socket.so");
    drop(UnixListener::bind(&socket).expect("the folder is writable and its path is short"));
    written.push((socket, "not a shared library: expected a regular file"));
    let directory = folder.join("directory.so");
    fs::create_dir(&directory).expect("the folder is writable");
    written.push((directory, "not a shared library: expected a regular file"));
    let pipe = folder.join("pipe.so");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, mode, 0).expect("the folder is writable");
    written.push((pipe, "not a shared library: expected a regular file"));
    written
}

/// Writes plugins of the scheme `c-echo` that the host isolates. Returns the path of each plugin, and a part of the
/// reason that the host gives.
///
/// # Panics
/// Panics if the folder is not writable.
pub fn isolated(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let plugin = PluginFile::read(cdylib::c_plugin());
    let files = [
        ("panic-abort", plugin.with_member("panic", json!("abort")), "because it was built with `panic = \"abort\"`"),
        ("isolated", plugin.with_member("isolation", json!("required")), "because its manifest requires it"),
    ];
    files.into_iter().map(|(name, bytes, why)| (write(folder, name, &bytes), why)).collect()
}

/// Writes plugins of the scheme `c-echo` that the host finds but fails to load. Returns the path of each plugin, and a
/// part of the reason that the host gives.
///
/// # Panics
/// Panics if the folder is not writable.
pub fn unloadable(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let plugin = PluginFile::read(cdylib::c_plugin());
    let files = [
        (
            "no-dependency",
            plugin.with_replaced(b"\0libc.so.6\0", b"\0libX.so.6\0"),
            "needs the library `libX.so.6`, which is not installed",
        ),
        ("too-new", plugin.with_newer_libc_version(), "needs `GLIBC_2.9"),
        ("no-segments", plugin.with_bytes(SEGMENTS, &[0, 0]), "the dynamic loader rejected it: "),
        (
            "no-entry",
            plugin.with_replaced(b"_plugin_v1\0", b"_plugin_v0\0"),
            "does not export `mlflow_deploy_plugin_v1`",
        ),
        (
            "undefined-symbol",
            plugin.with_replaced(b"\0memchr\0", b"\0memchX\0"),
            "undefined-symbol.so: undefined symbol: memchX",
        ),
    ];
    files.into_iter().map(|(name, bytes, why)| (write(folder, name, &bytes), why)).collect()
}

/// Compiles C plugins whose initialisers crash or never return. Returns the path of each plugin, and its fault: `crash`
/// or `hang`.
///
/// # Panics
/// Panics if the folder is not writable or the C code does not compile.
pub fn constructors(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let sources = [
        ("crash", "int *volatile null; __attribute__((constructor)) static void run(void) { *null = 1; }\n"),
        ("hang", "int pause(void); __attribute__((constructor)) static void run(void) { for (;;) pause(); }\n"),
    ];
    let make = |(name, text)| {
        let (source, library) = (folder.join(name).with_extension("c"), folder.join(name).with_extension("so"));
        fs::write(&source, text).expect("the folder is writable");
        cdylib::compile_c_plugin(&library, Some(&source));
        (library, name)
    };
    sources.map(make).to_vec()
}

/// Writes a plugin as a sparse file. Its symbol table has a declared size of 1,000 MiB. Returns the path of the file.
///
/// # Panics
/// Panics if the folder is not writable.
pub fn large_symbol_table(folder: &Path) -> PathBuf {
    // The size is below the host's limit of the size of a plugin file.
    const CLAIMED: u64 = 1000 << 20;
    let plugin = PluginFile::read(cdylib::c_plugin());
    let header = plugin.section_header(".symtab");
    let place = [(plugin.elf.len() as u64).to_le_bytes(), CLAIMED.to_le_bytes()].concat();
    let path = write(folder, "large-symbol-table", &plugin.with_bytes(header + OFFSET_IN_SECTION_HEADER, &place));
    let file = fs::File::options().write(true).open(&path).expect("the file was just written");
    file.set_len(plugin.elf.len() as u64 + CLAIMED).expect("the file system supports sparse files");
    path
}

/// Writes a shared library without a plugin manifest, which the host ignores. Returns the path of the file.
///
/// # Panics
/// Panics if the folder is not writable.
pub fn plain_library(folder: &Path) -> PathBuf {
    write(
        folder,
        "plain",
        &PluginFile::read(cdylib::c_plugin()).with_replaced(b"\0.mlflow_deploy\0", b"\0.other_section\0"),
    )
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name).with_extension("so");
    fs::write(&path, bytes).expect("the folder is writable");
    path
}

/// The offsets of four fields in the header of a 64-bit ELF file, in this order: the class (32 or 64 bits), the file
/// type, the processor, and the number of segments.
const CLASS: usize = 0x04;
const KIND: usize = 0x10;
const PROCESSOR: usize = 0x12;
const SEGMENTS: usize = 0x38;

/// The ELF number of a processor type that differs from this machine's, as two bytes.
const OTHER_PROCESSOR: [u8; 2] = if cfg!(target_arch = "aarch64") { [62, 0] } else { [183, 0] };
const OTHER_PROCESSOR_NAME: &str =
    if cfg!(target_arch = "aarch64") { "built for ELF x86_64" } else { "built for ELF aarch64" };

/// Returns the header of a shared library in Mach-O, the format of macOS.
fn mach_o() -> Vec<u8> {
    const X86_64: u32 = 0x0100_0007;
    const LIBRARY: u32 = 6;
    [0xfeed_facf, X86_64, 3, LIBRARY, 0, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Returns an invalid manifest of the maximum size, filled with opening brackets.
fn nested() -> Vec<u8> {
    let mut json = br#"{"manifest":1,"options":{"deep":"#.to_vec();
    json.resize(MAX_BYTES, b'[');
    json
}
