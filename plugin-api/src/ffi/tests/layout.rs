//! Tests of the struct layouts of the plugin contract. The layouts are compared to fixed numbers and to the C header.

use std::mem::offset_of;
use std::process::Command;

use crate::ErrorCode;
use crate::ffi::abi::{AbiRequest, AbiSlice, HostApi, PluginTable};
use crate::ffi::instance::MAX_EARLY_CANCELS;

/// Returns a pair for each struct and member of the contract: the C expression of its size or offset, and its value in
/// Rust.
macro_rules! layout {
    ($($rust:ident as $c:ident { $($member:ident),* })*) => {
        vec![$(
            (concat!("sizeof(", stringify!($c), ")").to_owned(), size_of::<$rust>()),
            $((concat!("offsetof(", stringify!($c), ", ", stringify!($member), ")").to_owned(), offset_of!($rust, $member)),)*
        )*]
    };
}

fn layout() -> Vec<(String, usize)> {
    layout! {
        AbiSlice as mlflow_deploy_slice { ptr, len }
        AbiRequest as mlflow_deploy_request { size, credit, timeout_ms, head, body }
        HostApi as mlflow_deploy_host { size, abi, ctx, reply, chunk, event, isolate }
        PluginTable as mlflow_deploy_plugin {
            size, abi, init, shutdown, open, close, cancel, credit, target_help, run_local,
            create_deployment, update_deployment, delete_deployment, get_deployment, list_deployments,
            create_endpoint, update_endpoint, delete_endpoint, get_endpoint, list_endpoints,
            predict, predict_stream, explain, invoke
        }
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_layout_is_that_of_version_1() {
    assert_eq!((size_of::<AbiSlice>(), size_of::<AbiRequest>(), size_of::<HostApi>()), (16, 48, 48));
    assert_eq!((offset_of!(HostApi, event), offset_of!(HostApi, isolate)), (32, 40));
    assert_eq!((size_of::<PluginTable>(), offset_of!(PluginTable, predict)), (184, 152));
}

#[test]
fn the_c_header_has_the_layout_of_the_rust_structs() {
    if cfg!(miri) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("layout.c"), folder.path().join("layout.o"));
    let checks: String = layout()
        .iter()
        .map(|(c, rust)| format!("_Static_assert({c} == {rust}, \"{c} is {rust} in Rust\");\n"))
        .collect();
    std::fs::write(&source, format!("#include \"mlflow_deploy_plugin.h\"\n#include <stddef.h>\n{checks}")).unwrap();
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", include, "-c", "-o"])
        .args([&object, &source])
        .output()
        .expect("a C compiler `cc` is needed to check the header");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_c_header_has_the_codes_and_limits_of_the_rust_side() {
    const HEADER: &str = include_str!("../../../include/mlflow_deploy_plugin.h");
    const MADE_BY_THE_HOST: [&str; 4] =
        ["PLUGIN_CRASHED", "PLUGIN_LOAD_FAILED", "PLUGIN_NOT_FOUND", "PLUGIN_PROTOCOL_VIOLATION"];
    let in_c: Vec<_> = HEADER
        .lines()
        .filter_map(|line| line.strip_prefix("#define MLFLOW_DEPLOY_CODE_")?.split_once(' '))
        .map(|(name, value)| (name, value.split('"').nth(1).unwrap()))
        .collect();
    let in_rust = ErrorCode::KNOWN.iter().map(ErrorCode::as_str).filter(|code| !MADE_BY_THE_HOST.contains(code));
    assert_eq!(in_c, in_rust.map(|code| (code, code)).collect::<Vec<_>>());
    assert!(HEADER.contains(&format!("#define MLFLOW_DEPLOY_EARLY_CANCELS {MAX_EARLY_CANCELS}\n")));
    assert!(crate::contract::TEXT.contains(&format!("the last {MAX_EARLY_CANCELS} unknown ids")));
}
