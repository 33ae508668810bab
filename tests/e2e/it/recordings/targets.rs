//! The clients of MLflow that have recordings.

use super::differences::{self, Difference};

/// A client of MLflow, and the plugin that replaces the client.
pub(super) struct Target {
    /// The prefix of the names of the client's recordings.
    pub(super) prefix: &'static str,
    /// The name of the plugin's package.
    pub(super) package: &'static str,
    /// The text of the plugin's README, which explains the differences.
    pub(super) readme: &'static str,
    /// A target URI that needs no environment variables.
    pub(super) anywhere: &'static str,
    /// The path and the text of each file in the home folder, if a recording has one. The address of the server
    /// replaces `ADDRESS` in the text.
    pub(super) home: &'static [(&'static str, &'static str)],
    /// The inputs with which a prediction is replayed.
    pub(super) inputs: Inputs,
    /// The prefixes of paths whose requests are not compared, each with its response: discovery and token requests. The
    /// address of the server replaces `ADDRESS` in the response.
    pub(super) ignored: &'static [(&'static str, &'static str)],
    /// The differences from MLflow's client on purpose.
    pub(super) differences: &'static [Difference],
}

/// The kind of inputs with which a prediction is replayed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inputs {
    /// The bytes that the Python client sent. The plugin forwards them unchanged.
    AsSent,
    /// The inputs that the Python client was given. The plugin adds members to them.
    AsGiven,
}

/// The paths and responses of a Databricks client's discovery and token requests.
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
