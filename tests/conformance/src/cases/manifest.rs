//! Cases that check the manifest of a plugin: its format, and its agreement with the plugin's library.

use std::fs::{self, File};

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{self, Panic, ReadError, TARGET};

use crate::case::{Case, LIBRARY, Stage};
use crate::harness::Harness;
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("manifest-present", "manifest.section", "The file has a manifest in its section.", present)
        .needs(Stage::File),
    Case::new("manifest-valid", "manifest.json", "The manifest is JSON with all required members.", valid)
        .needs(Stage::File),
    Case::new("manifest-machine", "manifest.target", "`target` is the triple that the plugin is built for.", machine)
        .needs(Stage::File),
    Case::new("manifest-abi", "manifest.abi", "`abi` is the contract's version.", abi).needs(Stage::File),
    Case::new("manifest-panic", "manifest.panic", "`panic` is not `abort`.", panic)
        .in_process_only("a panic aborts only the plugin's separate process")
        .needs(Stage::File),
    Case::new("manifest-schema", "manifest.schema", "`options` and `config` are JSON Schemas.", schema)
        .needs(Stage::File),
    Case::new("manifest-config", "manifest.config", "Each member of `config` is named after an operation.", config)
        .needs(Stage::File),
    Case::new(
        "manifest-invoke",
        "manifest.invoke",
        "Custom operations have unique names, and `invoke` is declared.",
        invoke,
    )
    .needs(Stage::File),
    Case::new("manifest-accepts", "manifest.accepts", "`accepts` lists at least one media type.", accepts)
        .needs(Stage::File),
    Case::new(
        "manifest-secrets",
        "manifest.secrets",
        "Variables with names like secrets are marked as secret.",
        secrets,
    )
    .needs(Stage::File)
    .recommended(),
    Case::new("manifest-operations", "manifest.operations", "Every declared operation has a slot.", operations)
        .in_process_only(LIBRARY)
        .needs(Stage::Table),
];

fn present(harness: &Harness) -> Result<(), Marker> {
    match manifest::read(harness.plugin()) {
        Ok(_) | Err(ReadError::Invalid(_)) => Ok(()),
        Err(ReadError::NoManifest) => Err(Marker::fail("the shared library has no section `.mlflow_deploy`")),
        Err(ReadError::NotALibrary(why)) => Err(Marker::fail(format!("the file is not a shared library: {why}"))),
        Err(ReadError::WrongMachine { found, expected }) => {
            Err(Marker::fail(format!("the library is built for {found}: expected {expected}")))
        }
        Err(other) => Err(Marker::fail(format!("failed to read the manifest: {other:?}"))),
    }
}

fn valid(harness: &Harness) -> Result<(), Marker> {
    match manifest::read(harness.plugin()) {
        Ok(_) => Ok(()),
        Err(ReadError::Invalid(why)) => Err(Marker::fail(why)),
        Err(_) => Err(Marker::skip("the manifest cannot be read")),
    }
}

fn machine(harness: &Harness) -> Result<(), Marker> {
    let target = harness.manifest()?.target;
    ensure!(target == TARGET, "`target` is `{target}`: expected `{TARGET}`, like this harness");
    Ok(())
}

fn abi(harness: &Harness) -> Result<(), Marker> {
    let abi = harness.manifest()?.abi;
    ensure!(abi == ABI, "`abi` is {abi}: expected {ABI}");
    Ok(())
}

fn panic(harness: &Harness) -> Result<(), Marker> {
    let aborts = harness.manifest()?.panic == Panic::Abort;
    ensure!(!aborts, "the plugin is built with `panic = \"abort\"`: a panic would abort the host");
    Ok(())
}

fn schema(harness: &Harness) -> Result<(), Marker> {
    has_no_fault(harness, "manifest.schema")
}

fn config(harness: &Harness) -> Result<(), Marker> {
    has_no_fault(harness, "manifest.config")
}

fn invoke(harness: &Harness) -> Result<(), Marker> {
    has_no_fault(harness, "manifest.invoke")
}

fn accepts(harness: &Harness) -> Result<(), Marker> {
    has_no_fault(harness, "manifest.accepts")
}

/// Fails with all faults of a clause that the check of manifests finds, as `mlflow-deploy plugins check` prints them.
fn has_no_fault(harness: &Harness, clause: &str) -> Result<(), Marker> {
    let unreadable = || Marker::skip("the manifest cannot be read");
    let faults = if manifest::is_process_file(harness.plugin()) {
        manifest::check_process(&fs::read(harness.plugin()).map_err(|_error| unreadable())?).faults
    } else {
        let file = File::open(harness.plugin()).map_err(|_error| unreadable())?;
        manifest::check(&manifest::json_from(&file).map_err(|_error| unreadable())?).faults
    };
    let faults = faults.into_iter();
    let faults: Vec<_> = faults.filter(|fault| fault.clause == clause).map(|fault| fault.message).collect();
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

fn secrets(harness: &Harness) -> Result<(), Marker> {
    const WORDS: [&str; 6] = ["APIKEY", "API_KEY", "PASSWORD", "PASSWD", "SECRET", "TOKEN"];
    // A variable with such a suffix describes a secret but does not contain one.
    const EXCEPTIONS: [&str; 7] = ["_URL", "_FILE", "_FILEPATH", "_PATH", "_ENV", "_AUDIENCE", "_TIMEOUT"];
    let variables = harness.manifest()?.environment;
    let is_secret_name =
        |name: &str| WORDS.iter().any(|word| name.contains(word)) && !EXCEPTIONS.iter().any(|end| name.ends_with(end));
    let unmarked: Vec<_> =
        variables.iter().filter(|each| !each.secret && is_secret_name(&each.name)).map(|each| &each.name).collect();
    ensure!(unmarked.is_empty(), "variables are not marked as secret: {unmarked:?}");
    Ok(())
}

fn operations(harness: &Harness) -> Result<(), Marker> {
    let manifest = harness.manifest()?;
    let facts = harness.library()?.table_facts().ok_or_else(|| Marker::fail("the library returns no table"))?;
    let absent: Vec<_> = manifest.operations.iter().filter(|name| !facts.functions.contains(&name.as_str())).collect();
    let known: Vec<_> =
        Operation::ALL.iter().map(|operation| operation.name()).chain(["target_help", "run_local"]).collect();
    let (missing, unknown): (Vec<_>, Vec<_>) = absent.into_iter().partition(|name| known.contains(&name.as_str()));
    ensure!(missing.is_empty(), "operations have no slot: {missing:?}");
    if !unknown.is_empty() {
        return Err(Marker::warn(format!("unknown operations: {unknown:?}")));
    }
    Ok(())
}
