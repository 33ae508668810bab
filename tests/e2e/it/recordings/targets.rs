//! The clients of MLflow for which recordings exist.

use super::differences::{self, Difference};

/// A client of MLflow, and this project's plugin for the same target.
pub(super) struct Target {
    /// The beginning of the names of the client's recordings.
    pub(super) prefix: &'static str,
    /// The name of the plugin's cargo package.
    pub(super) package: &'static str,
    /// The text of the plugin's README, which explains the deliberate differences.
    pub(super) readme: &'static str,
    /// A target URI with which a client can be created without environment variables.
    pub(super) anywhere: &'static str,
    /// The files in the home directory of each replay: the path and the text of each file. A replay replaces `ADDRESS`
    /// in the text by the address of the server.
    pub(super) home: &'static [(&'static str, &'static str)],
    /// The kind of inputs that the replay of a prediction passes to the command.
    pub(super) inputs: Inputs,
    /// The discovery and token requests, which the tests do not compare: the beginning of each path, and the response
    /// to it. A replay replaces `ADDRESS` in the response by the address of the server.
    pub(super) ignored: &'static [(&'static str, &'static str)],
    /// The deliberate differences from MLflow's client.
    pub(super) differences: &'static [Difference],
}

/// The kind of inputs that the replay of a prediction passes to the command.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inputs {
    /// The bytes that the Python client sent to the server. The plugin forwards them unchanged.
    AsSent,
    /// The inputs that the Python client got from its caller. Before the plugin sends them, it adds members.
    AsGiven,
}

/// The discovery and token requests of a Databricks client: the path of each request, and the response to it.
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
