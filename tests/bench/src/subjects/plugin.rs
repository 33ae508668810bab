//! The subjects `echo`, `gateway`, `databricks` and `openai`: the library through a loaded plugin.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;

use bytes::Bytes;
use mlflow_deploy::args::{Predict, PredictStream};
use mlflow_deploy::{ClientOptions, DeployClient, Host, JSON, Payload};
use serde_json::{Value, json};

use crate::work::Subject;

/// A client of a loaded plugin.
pub(crate) struct Plugin(DeployClient);

impl Plugin {
    /// Loads the plugin of this name from a folder, and opens a client of the server at this URL.
    pub(crate) async fn open(name: &str, folder: &Path, server: &str) -> Self {
        let (target, options) = match name {
            "echo" => ("echo", json!({})),
            "gateway" => (server, json!({})),
            "databricks" => ("databricks", json!({"host": server, "token": "dapi-bench"})),
            "openai" => ("openai", json!({"base_url": format!("{server}/v1"), "api_key": "sk-bench"})),
            other => panic!("unknown plugin: {other}"),
        };
        let file = if name == "echo" { library("echo_plugin") } else { library(&format!("mlflow_deploy_{name}")) };
        let host = Host::builder().plugin(folder.join(file)).build();
        let options = ClientOptions::new(&options).unwrap();
        Self(host.get_deploy_client_with(Some(target), &options).await.unwrap())
    }
}

/// Returns the file name of a shared library on this system.
pub(crate) fn library(name: &str) -> String {
    format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
}

impl Subject for Plugin {
    async fn predict(&self, request: Bytes) {
        // The payload owns its bytes: a caller has made them for this call.
        self.0.predict(Predict::endpoint("chat", Payload::new(JSON, request))).await.unwrap();
    }

    async fn stream(&self, request: Bytes) -> usize {
        let request = PredictStream::endpoint("chat", Payload::new(JSON, request));
        let (mut answer, mut chunks) = (self.0.predict_stream(&request).unwrap(), 0);
        while let Some(chunk) = answer.next().await {
            chunk.unwrap().json::<Value>().unwrap();
            chunks += 1;
        }
        chunks
    }
}
