//! Compares the table of operations in the README with the manifests of the bundled plugins.

use std::fmt::Write as _;
use std::fs;

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};
use mlflow_deploy_test_support::cdylib;

/// The root folder of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Returns the manifests of the bundled plugins, which are the built libraries of the folders in `plugins/`.
fn manifests() -> Vec<Manifest> {
    let folders = fs::read_dir(format!("{ROOT}/plugins")).unwrap();
    let mut names: Vec<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // Not `support` and `python`: the latter has no operations of its own.
    names.retain(|name| fs::exists(format!("{ROOT}/plugins/{name}/Cargo.toml")).unwrap());
    names.sort();
    names.iter().map(|name| manifest::read(cdylib::path(&format!("mlflow-deploy-{name}"))).unwrap()).collect()
}

fn table(manifests: &[Manifest]) -> String {
    let mut table = "| operation |".to_owned();
    for manifest in manifests {
        let _ = write!(table, " `{}` |", manifest.name);
    }
    let _ = write!(table, "\n|{}\n", "---|".repeat(manifests.len() + 1));
    let of_clients = Operation::ALL.iter().map(|operation| operation.name());
    for operation in of_clients.chain(["run_local", "target_help"]) {
        let _ = write!(table, "| `{operation}` |");
        for manifest in manifests {
            let is_listed = manifest.operations.iter().any(|listed| listed == operation);
            table += if is_listed { " yes |" } else { " |" };
        }
        table.push('\n');
    }
    table
}

#[test]
fn table_of_the_readme_has_the_operations_of_the_manifests() {
    let table = table(&manifests());
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let written = readme.split("<!-- operations of the bundled plugins -->\n").nth(1);
    let written = written.and_then(|rest| rest.split("<!-- end -->").next());
    assert_eq!(written, Some(table.as_str()), "replace the table in README.md by:\n{table}");
}
