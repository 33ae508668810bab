//! Checks the built library against the contract of plugins.

#[test]
fn plugin_is_conformant() {
    mlflow_deploy_conformance::suite_of_this_crate!().config("conformance.toml").strict().check();
}
