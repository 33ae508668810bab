//! Runs the conformance command and reads its report.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mlflow_deploy_test_support::cdylib;
use serde_json::Value;

/// The exit code and the JSON report of the conformance command.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) document: Value,
}

/// Runs the conformance command on a plugin, with the configuration `config` and further arguments. Returns the report.
pub(crate) fn check(plugin: &Path, config: &str, arguments: &[&str]) -> Report {
    let output = harness(plugin, config, &[&["--format", "json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Report { code: output.status.code().unwrap(), document }
}

pub(super) fn harness(plugin: &Path, config: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conformance.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(cdylib::program("mlflow-deploy-conformance"));
    command.arg(plugin).arg("--config").arg(&file).args(arguments).output().unwrap()
}

impl Report {
    pub(crate) fn results(&self) -> &[Value] {
        self.document["results"].as_array().unwrap()
    }

    /// Returns the cases that neither passed nor were skipped, each with its name, verdict and message.
    pub(crate) fn bad(&self) -> Vec<(&str, &str, &str)> {
        let is_bad = |result: &&Value| !["pass", "skip"].contains(&result["verdict"].as_str().unwrap());
        self.results()
            .iter()
            .filter(is_bad)
            .map(|result| {
                let word = |member: &str| result[member].as_str().unwrap();
                (word("id"), word("verdict"), word("message"))
            })
            .collect()
    }

    /// Returns one line with the name of the plugin, the mode, and the number of cases that passed, were skipped and
    /// failed.
    pub(crate) fn summary(&self) -> String {
        let document = &self.document;
        let (counts, seconds) = (&document["counts"], document["seconds"].as_f64().unwrap());
        format!(
            "{} {}: {} passed, {} skipped, {} failed of {} in {seconds:.1} s",
            document["name"].as_str().unwrap(),
            document["mode"].as_str().unwrap(),
            counts["pass"],
            counts["skip"],
            counts["fail"],
            self.results().len()
        )
    }

    /// Returns the names of the unproven cases. A case is unproven if a call that it needs did not succeed.
    pub(crate) fn unproven(&self) -> Vec<&str> {
        let unproven = self.results().iter().filter(|result| result["unproven"] == true);
        unproven.map(|result| result["id"].as_str().unwrap()).collect()
    }

    /// Returns the names of the conformance cases that passed.
    pub(crate) fn passed(&self) -> Vec<&str> {
        let passed = self.results().iter().filter(|result| result["verdict"] == "pass");
        passed.map(|result| result["id"].as_str().unwrap()).collect()
    }
}
