//! The MLflow clients with recordings.

use super::differences::{self, Difference};

/// A client of MLflow, and the plugin that replaces it.
pub(super) struct Target {
    /// The prefix of the names of its recordings.
    pub(super) prefix: &'static str,
    /// The plugin's package.
    pub(super) package: &'static str,
    /// The plugin's README, which explains the differences.
    pub(super) readme: &'static str,
    /// A target URI that needs no environment variables.
    pub(super) anywhere: &'static str,
    /// The files of the home folder, if a recording has one: path and text. `ADDRESS` is replaced by that of the server.
    pub(super) home: &'static [(&'static str, &'static str)],
    /// The inputs of a prediction.
    pub(super) inputs: Inputs,
    /// Prefixes of paths that are not compared, with their responses: discovery and token requests. `ADDRESS` is replaced
    /// by that of the server.
    pub(super) ignored: &'static [(&'static str, &'static str)],
    /// The deliberate differences.
    pub(super) differences: &'static [Difference],
}

/// The inputs of a prediction.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inputs {
    /// The bytes that the Python client sent, which are forwarded unchanged.
    AsSent,
    /// The inputs of the Python client, to which the plugin adds members.
    AsGiven,
}

/// OIDC discovery and token requests of a Databricks client.
const DATABRICKS_TOKENS: &[(&str, &str)] = &[
    ("/.well-known/databricks-config", r#"{"oidc_endpoint":"ADDRESS/oidc","workspace_id":"123"}"#),
    ("/oidc/.well-known/oauth-authorization-server", r#"{"token_endpoint":"ADDRESS/oidc/v1/token"}"#),
    ("/oidc/v1/token", r#"{"access_token":"AT","token_type":"Bearer","expires_in":3600}"#),
];

pub(super) const TARGETS: &[Target] = &[
    Target {
        prefix: "db_",
        package: "mlflow-deploy-databricks",
        readme: include_str!("../../../../plugins/databricks/README.md"),
        anywhere: "databricks",
        home: &[("cfg", "[prof]\nhost = ADDRESS\ntoken = ptok\n")],
        inputs: Inputs::AsSent,
        ignored: DATABRICKS_TOKENS,
        differences: differences::DATABRICKS,
    },
    Target {
        prefix: "dbl_",
        package: "mlflow-deploy-databricks",
        readme: include_str!("../../../../plugins/databricks/README.md"),
        anywhere: "databricks",
        home: &[("cfg", "[prof]\nhost = ADDRESS\ntoken = ptok\n")],
        inputs: Inputs::AsSent,
        ignored: DATABRICKS_TOKENS,
        differences: &[],
    },
    Target {
        prefix: "gw_",
        package: "mlflow-deploy-gateway",
        readme: include_str!("../../../../plugins/gateway/README.md"),
        anywhere: "http://127.0.0.1:1",
        home: &[(".mlflow/credentials", "[mlflow]\nmlflow_tracking_username = fu\nmlflow_tracking_password = fp\n")],
        inputs: Inputs::AsSent,
        ignored: &[],
        differences: differences::GATEWAY,
    },
    Target {
        prefix: "oai_",
        package: "mlflow-deploy-openai",
        readme: include_str!("../../../../plugins/openai/README.md"),
        anywhere: "openai://127.0.0.1:1/v1",
        home: &[],
        inputs: Inputs::AsGiven,
        ignored: &[],
        differences: differences::OPENAI,
    },
];
