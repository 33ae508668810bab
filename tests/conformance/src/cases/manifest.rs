//! What a plugin says of itself before it is loaded, and whether that is so.

use std::collections::BTreeSet;

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{self, Panic, ReadError, TARGET};
use serde_json::{Map, Value};

use crate::bench::Bench;
use crate::case::{Case, LIBRARY, Stage};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("manifest-present", "manifest.section", "The file holds a manifest, in the section of its own.", present)
        .needs(Stage::File),
    Case::new("manifest-valid", "manifest.json", "The manifest is JSON with all that a host relies on.", valid)
        .needs(Stage::File),
    Case::new("manifest-machine", "manifest.target", "It names the machine that the plugin is built for.", machine)
        .needs(Stage::File),
    Case::new("manifest-abi", "manifest.abi", "It names the version of the contract that the plugin speaks.", abi)
        .needs(Stage::File),
    Case::new("manifest-panic", "manifest.panic", "It does not say that a panic ends the process.", panic)
        .inside("a panic that ends the process ends one of the plugin's own")
        .needs(Stage::File),
    Case::new("manifest-schema", "manifest.schema", "Options and config are described in JSON Schema.", schema)
        .needs(Stage::File),
    Case::new("manifest-config", "manifest.config", "Config is described for operations that there are.", config)
        .needs(Stage::File),
    Case::new("manifest-invoke", "manifest.invoke", "Operations of its own have names, once each, and a slot.", invoke)
        .needs(Stage::File),
    Case::new("manifest-accepts", "manifest.accepts", "What it accepts are media types, one at least.", accepts)
        .needs(Stage::File),
    Case::new(
        "manifest-secrets",
        "manifest.secrets",
        "Variables that are called like secrets are said to be.",
        secrets,
    )
    .needs(Stage::File)
    .recommended(),
    Case::new("manifest-operations", "manifest.operations", "Every operation that it names has a slot.", operations)
        .inside(LIBRARY)
        .needs(Stage::Table),
];

fn present(bench: &Bench) -> Result<(), Mark> {
    match manifest::read(bench.plugin()) {
        Ok(_) | Err(ReadError::Invalid(_)) => Ok(()),
        Err(ReadError::NoManifest) => Err(Mark::fail("it is a shared library without a section `.mlflow_deploy`")),
        Err(ReadError::NotALibrary(why)) => Err(Mark::fail(format!("it is not a shared library: {why}"))),
        Err(ReadError::WrongMachine { found, expected }) => {
            Err(Mark::fail(format!("it is built for {found}, and this machine is {expected}")))
        }
        Err(other) => Err(Mark::fail(format!("it cannot be read: {other:?}"))),
    }
}

fn valid(bench: &Bench) -> Result<(), Mark> {
    match manifest::read(bench.plugin()) {
        Ok(_) => Ok(()),
        Err(ReadError::Invalid(why)) => Err(Mark::fail(why)),
        Err(_) => Err(Mark::skip("there is no manifest that can be read")),
    }
}

fn machine(bench: &Bench) -> Result<(), Mark> {
    let target = bench.manifest()?.target;
    ensure!(target == TARGET, "it says `{target}`, and this harness, which can read it, is built for `{TARGET}`");
    Ok(())
}

fn abi(bench: &Bench) -> Result<(), Mark> {
    let abi = bench.manifest()?.abi;
    ensure!(abi == ABI, "it says ABI {abi}, and this is the harness of ABI {ABI}");
    Ok(())
}

fn panic(bench: &Bench) -> Result<(), Mark> {
    let aborts = bench.manifest()?.panic == Panic::Abort;
    ensure!(!aborts, "it is built with `panic = \"abort\"`, so that a panic ends the host");
    Ok(())
}

fn schema(bench: &Bench) -> Result<(), Mark> {
    let manifest = bench.manifest()?;
    check_schema("options", &Value::Object(manifest.options))?;
    manifest.config.iter().try_for_each(|(operation, schema)| check_schema(&format!("config.{operation}"), schema))
}

/// Checks what hosts read of a schema: types, and what is below.
fn check_schema(place: &str, schema: &Value) -> Result<(), Mark> {
    const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
    let Value::Object(members) = schema else {
        // JSON Schema has these two for "anything" and "nothing".
        ensure!(schema.is_boolean(), "`{place}` is no schema: {schema}");
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
        "`{place}.type` is {}, which is no type of JSON Schema",
        unknown.unwrap_or(&Value::Null)
    );
    for (name, member) in members {
        match (name.as_str(), member) {
            ("properties", Value::Object(properties)) => below(place, properties)?,
            ("properties" | "enum" | "required", member) if !member.is_array() => {
                return Err(Mark::fail(format!("`{place}.{name}` is {member}")));
            }
            ("items" | "additionalProperties", member) => check_schema(&format!("{place}.{name}"), member)?,
            _ => {}
        }
    }
    Ok(())
}

fn below(place: &str, properties: &Map<String, Value>) -> Result<(), Mark> {
    properties.iter().try_for_each(|(name, schema)| check_schema(&format!("{place}.{name}"), schema))
}

fn config(bench: &Bench) -> Result<(), Mark> {
    let manifest = bench.manifest()?;
    let own: BTreeSet<_> = manifest.invoke.iter().map(|operation| operation.name.as_str()).collect();
    let is_known = |name: &str| manifest.operations.iter().any(|known| known == name) || own.contains(name);
    let unknown: Vec<_> = manifest.config.keys().filter(|name| !is_known(name)).collect();
    ensure!(unknown.is_empty(), "it describes the config of {unknown:?}, which are no operations of it");
    Ok(())
}

fn invoke(bench: &Bench) -> Result<(), Mark> {
    let manifest = bench.manifest()?;
    let names: Vec<_> = manifest.invoke.iter().map(|operation| operation.name.as_str()).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    ensure!(!names.contains(&""), "an operation of its own has no name");
    ensure!(unique.len() == names.len(), "operations of its own have the same name: {names:?}");
    let has_slot = manifest.declares(Operation::Invoke);
    ensure!(names.is_empty() || has_slot, "it has operations of its own, and does not name `invoke` as an operation");
    Ok(())
}

fn accepts(bench: &Bench) -> Result<(), Mark> {
    let accepts = bench.manifest()?.accepts;
    ensure!(!accepts.is_empty(), "it accepts nothing");
    let wrong =
        accepts.iter().find(|kind| kind.split_once('/').is_none_or(|(kind, sub)| kind.is_empty() || sub.is_empty()));
    ensure!(wrong.is_none(), "{wrong:?} is no media type");
    Ok(())
}

fn secrets(bench: &Bench) -> Result<(), Mark> {
    const WORDS: [&str; 6] = ["APIKEY", "API_KEY", "PASSWORD", "PASSWD", "SECRET", "TOKEN"];
    // Such a variable says where a secret is, or what it is for.
    const ELSEWHERE: [&str; 7] = ["_URL", "_FILE", "_FILEPATH", "_PATH", "_ENV", "_AUDIENCE", "_TIMEOUT"];
    let variables = bench.manifest()?.environment;
    let is_like =
        |name: &str| WORDS.iter().any(|word| name.contains(word)) && !ELSEWHERE.iter().any(|end| name.ends_with(end));
    let bare: Vec<_> =
        variables.iter().filter(|each| !each.secret && is_like(&each.name)).map(|each| &each.name).collect();
    ensure!(bare.is_empty(), "these are not said to be secret: {bare:?}");
    Ok(())
}

fn operations(bench: &Bench) -> Result<(), Mark> {
    let manifest = bench.manifest()?;
    let facts = bench.library()?.table_facts().ok_or_else(|| Mark::fail("there is no table"))?;
    let absent: Vec<_> = manifest.operations.iter().filter(|name| !facts.functions.contains(&name.as_str())).collect();
    let known: Vec<_> =
        Operation::ALL.iter().map(|operation| operation.name()).chain(["target_help", "run_local"]).collect();
    let (missing, unknown): (Vec<_>, Vec<_>) = absent.into_iter().partition(|name| known.contains(&name.as_str()));
    ensure!(missing.is_empty(), "these have no slot: {missing:?}");
    if !unknown.is_empty() {
        return Err(Mark::warn(format!("these are no operations of this version: {unknown:?}")));
    }
    Ok(())
}
