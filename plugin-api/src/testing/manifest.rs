//! Checks a plugin's manifest in a test.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::ffi::Plugin;
use crate::manifest;

/// Checks that a plugin's manifest has no fault, and that it has the given members. The first argument is a reference to
/// a [`Plugin`], such as the `PLUGIN` of [`export_plugin!`](crate::export_plugin). The second one, which can be left out,
/// is an object in JSON. Other members of the manifest are not compared.
///
/// `export_plugin!` checks the names and values of members when it is compiled. This macro also checks the JSON Schemas in
/// `options` and `config`.
///
/// ```
/// # use mlflow_deploy_plugin_api::args::Predict;
/// # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri};
/// # struct Echo;
/// # impl DeploymentClient for Echo {
/// #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
/// #     async fn predict(&self, request: Predict) -> Result<Payload> { Ok(request.inputs) }
/// # }
/// use mlflow_deploy_plugin_api::{plugin, testing};
///
/// let plugin = plugin! { client: Echo, name: "echo", schemes: ["echo"], operations: [predict] };
/// testing::assert_manifest!(&plugin);
/// testing::assert_manifest!(&plugin, {"schemes": ["echo"], "operations": ["predict"]});
/// ```
///
/// # Panics
/// Panics with every fault of the manifest, and with every member that differs.
#[macro_export]
macro_rules! assert_manifest {
    ($plugin:expr $(,)?) => {
        $crate::testing::assert_members($plugin, "{}")
    };
    ($plugin:expr, $members:tt $(,)?) => {
        $crate::testing::assert_members($plugin, ::std::stringify!($members))
    };
}

/// Panics unless the manifest has no fault and the members of the JSON object `expected`.
///
/// # Panics
/// See [`assert_manifest!`](crate::assert_manifest).
#[doc(hidden)]
#[track_caller]
pub fn assert_members(plugin: &Plugin, expected: &str) {
    let faults = faults(plugin.manifest(), expected);
    assert!(faults.is_empty(), "wrong manifest:{faults}");
}

/// Returns the faults of a manifest and its differences from the expected members, each on a line of its own.
fn faults(manifest: &str, expected: &str) -> String {
    let expected: Map<String, Value> = serde_json::from_str(expected).expect("the expected members are a JSON object");
    let mut faults = String::new();
    for fault in manifest::check(manifest.as_bytes()).faults {
        let _ = write!(faults, "\n- {}", fault.message);
    }
    let found: Value = serde_json::from_str(manifest).unwrap_or_default();
    for (member, expected) in expected {
        let found = &found[&member];
        if *found != expected {
            let _ = write!(faults, "\n- the member `{member}` is `{found}`: expected `{expected}`");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_and_every_other_member_is_named() {
        let manifest = r#"{
            "manifest": 1, "abi": 1, "name": "empty", "version": "1.0.0", "target": "x86_64-unknown-linux-gnu",
            "panic": "unwind", "schemes": ["empty"], "operations": [],
            "options": {"type": "object", "properties": {"key": {"type": "strin"}}}
        }"#;
        let faults = faults(manifest, r#"{"name": "empty", "schemes": ["full"], "description": "none"}"#);
        assert!(faults.contains("strin"), "{faults}");
        assert!(faults.contains(r#"the member `schemes` is `["empty"]`: expected `["full"]`"#), "{faults}");
        assert!(faults.contains(r#"the member `description` is `null`: expected `"none"`"#), "{faults}");
        assert_eq!(faults.matches("\n- ").count(), 3, "{faults}");
    }
}
