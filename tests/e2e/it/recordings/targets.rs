//! The clients of MLflow's whose recordings are replayed: one entry each.

use super::differences::{self, Difference};

/// A client of MLflow's, and the plugin that takes its place.
pub(super) struct Target {
    /// What the names of its recordings begin with.
    pub(super) prefix: &'static str,
    /// The plugin's package.
    pub(super) package: &'static str,
    /// The plugin's README, which tells why something is different.
    pub(super) readme: &'static str,
    /// A target URI that makes a client without any environment.
    pub(super) anywhere: &'static str,
    /// The files in the home folder of the recordings that have one: path and text. `ADDRESS` is the server's.
    pub(super) home: &'static [(&'static str, &'static str)],
    /// Which inputs a prediction gets.
    pub(super) inputs: Inputs,
    /// Paths, by their beginnings, and their answers, that are not compared: how a client finds out whom it asks, and
    /// gets its token. `ADDRESS` is the server's.
    pub(super) ignored: &'static [(&'static str, &'static str)],
    /// Where it differs on purpose.
    pub(super) differences: &'static [Difference],
}

/// Which inputs a prediction gets.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inputs {
    /// The very bytes that the Python client sent: they are to be forwarded as they are.
    AsSent,
    /// What the Python client was given: something has to be added.
    AsGiven,
}

/// How a Databricks client finds out where tokens come from, and gets one.
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
