//! The metadata of a server: its name, its version and the protocol's extensions that it supports.

use serde::Deserialize;

/// The metadata of a server, from `GET /v2`. All parts are empty if the server does not have this route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServerInfo {
    name: String,
    version: String,
    extensions: Vec<String>,
}

impl ServerInfo {
    /// Returns true if the server is Triton, which takes models in load requests. An operator may have given it another
    /// name.
    pub(crate) fn is_triton(&self) -> bool {
        self.name == "triton" || self.has("model_configuration")
    }

    /// Returns true if the server reads and writes tensors in binary.
    pub(crate) fn has_binary_tensors(&self) -> bool {
        self.has("binary_tensor_data")
    }

    /// Returns true if the server tells the statistics of all loaded models, also of those that were sent to it.
    pub(crate) fn has_statistics(&self) -> bool {
        self.has("statistics")
    }

    /// Returns the name and the version of the server for messages, such as ``the server `mlserver` 1.7.1``.
    pub(crate) fn shown(&self) -> String {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => "the server".to_owned(),
            (name, "") => format!("the server `{name}`"),
            (name, version) => format!("the server `{name}` {version}"),
        }
    }

    fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|each| each == extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triton_is_recognized_by_its_name_or_its_extensions() {
        let read = |json: &str| -> ServerInfo { serde_json::from_str(json).unwrap() };
        assert!(read(r#"{"name": "triton", "version": "2.51.0"}"#).is_triton());
        let renamed = read(r#"{"name": "gpu-7", "extensions": ["model_configuration", "statistics"]}"#);
        assert!(renamed.is_triton() && renamed.has_statistics() && !renamed.has_binary_tensors());
        assert_eq!((renamed.shown().as_str(), read("{}").shown().as_str()), ("the server `gpu-7`", "the server"));
        assert!(!read(r#"{"name": "mlserver", "version": "1.7.1", "extensions": []}"#).is_triton());
    }
}
