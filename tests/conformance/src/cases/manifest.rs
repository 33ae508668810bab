//! Cases that check the manifest of a plugin: its format, and its agreement with the plugin's library.

use std::collections::BTreeSet;

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{self, Panic, ReadError, TARGET};
use serde_json::{Map, Value};

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
    let manifest = harness.manifest()?;
    check_schema("options", &Value::Object(manifest.options))?;
    manifest.config.iter().try_for_each(|(operation, schema)| check_schema(&format!("config.{operation}"), schema))
}

/// Checks the parts of a JSON Schema that hosts read: types and nested schemas. Messages name the schema `place`.
fn check_schema(place: &str, schema: &Value) -> Result<(), Marker> {
    const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
    let Value::Object(members) = schema else {
        // The schemas `true` and `false` accept anything and nothing.
        ensure!(schema.is_boolean(), "`{place}` is not a schema: {schema}");
        return Ok(());
    };
    let types = match members.get("type") {
        None => &[],
        Some(Value::Array(types)) => types.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let unknown = types.iter().find(|name| !name.as_str().is_some_and(|name| TYPES.contains(&name)));
    ensure!(
        unknown.is_none(),
        "`{place}.type` is {}, which JSON Schema does not define",
        unknown.unwrap_or(&Value::Null)
    );
    for (name, member) in members {
        match (name.as_str(), member) {
            ("properties", Value::Object(properties)) => check_properties(place, properties)?,
            ("properties" | "enum" | "required", member) if !member.is_array() => {
                return Err(Marker::fail(format!("invalid `{place}.{name}`: {member}")));
            }
            ("items" | "additionalProperties", member) => check_schema(&format!("{place}.{name}"), member)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_properties(place: &str, properties: &Map<String, Value>) -> Result<(), Marker> {
    properties.iter().try_for_each(|(name, schema)| check_schema(&format!("{place}.{name}"), schema))
}

fn config(harness: &Harness) -> Result<(), Marker> {
    let manifest = harness.manifest()?;
    let custom: BTreeSet<_> = manifest.invoke.iter().map(|operation| operation.name.as_str()).collect();
    let is_known = |name: &str| manifest.operations.iter().any(|known| known == name) || custom.contains(name);
    let unknown: Vec<_> = manifest.config.keys().filter(|name| !is_known(name)).collect();
    ensure!(unknown.is_empty(), "`config` describes unknown operations: {unknown:?}");
    Ok(())
}

fn invoke(harness: &Harness) -> Result<(), Marker> {
    let manifest = harness.manifest()?;
    let names: Vec<_> = manifest.invoke.iter().map(|operation| operation.name.as_str()).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    ensure!(!names.contains(&""), "a custom operation does not have a name");
    ensure!(unique.len() == names.len(), "custom operations share a name: {names:?}");
    let has_slot = manifest.declares(Operation::Invoke);
    ensure!(names.is_empty() || has_slot, "the manifest declares custom operations, but `operations` lacks `invoke`");
    Ok(())
}

fn accepts(harness: &Harness) -> Result<(), Marker> {
    let accepts = harness.manifest()?.accepts;
    ensure!(!accepts.is_empty(), "`accepts` is empty");
    let invalid =
        accepts.iter().find(|kind| kind.split_once('/').is_none_or(|(kind, sub)| kind.is_empty() || sub.is_empty()));
    ensure!(invalid.is_none(), "invalid media type: {invalid:?}");
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
