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
    /// The files in the home folder of the recordings that have one: path and text.
    pub(super) home: &'static [(&'static str, &'static str)],
    /// Which inputs a prediction gets.
    pub(super) inputs: Inputs,
    /// Paths, by their beginnings, that are answered with 404 and not compared: how a client finds out whom it asks.
    pub(super) ignored: &'static [&'static str],
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

pub(super) const TARGETS: &[Target] = &[
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
