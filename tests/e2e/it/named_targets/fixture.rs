//! A home directory with a configuration, and a search for secrets in files and in command lines.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command::{Run, mlflow_deploy};

pub(super) const ECHO: &str = "mlflow-deploy-example-echo";
pub(super) const FAKETARGET: &str = "mlflow-deploy-fixture-faketarget";
pub(super) const HERMIT: &str = "mlflow-deploy-fixture-hermit";
pub(super) const OPENAI: &str = "mlflow-deploy-openai";

/// A home directory, and a directory outside of it for secrets and programs.
pub(super) struct Home {
    folder: TempDir,
}

impl Home {
    /// Creates a home directory whose `config.toml` has this text.
    pub(super) fn new(config: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(home.config().parent().unwrap()).unwrap();
        fs::create_dir(home.outside("")).unwrap();
        fs::write(home.config(), config).unwrap();
        home
    }

    /// Creates a home directory without a `config.toml`.
    pub(super) fn empty() -> Self {
        let home = Self::new("");
        fs::remove_dir_all(home.path().join(".config")).unwrap();
        home
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("home")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path().join(".config/mlflow-deploy/config.toml")
    }

    pub(super) fn read_config(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    /// Returns the path of a file outside of the home directory.
    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("outside").join(name)
    }

    /// Writes an executable shell script outside of the home directory, and returns its path.
    pub(super) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.outside(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// Returns a run of the command with this home directory.
    pub(super) fn run(&self, arguments: &str) -> Run {
        mlflow_deploy(arguments).env("HOME", self.path()).env("PATH", "/usr/bin:/bin").current_dir(self.folder.path())
    }

    /// Returns the paths of the files below the home directory that contain `secret`.
    pub(super) fn files_with(&self, secret: &str) -> Vec<PathBuf> {
        let (mut found, mut folders, mut searched) = (Vec::new(), vec![self.path()], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                searched += 1;
                if contains(&fs::read(&path).unwrap(), secret) {
                    found.push(path);
                }
            }
        }
        assert!(searched > 0, "the home directory has the configuration");
        found
    }
}

/// Returns the command lines of all processes that contain `secret`.
pub(super) fn command_lines_with(secret: &str) -> Vec<String> {
    let (mut found, mut searched) = (Vec::new(), 0);
    for entry in fs::read_dir("/proc").unwrap() {
        // A process may end during the search.
        let Ok(line) = fs::read(entry.unwrap().path().join("cmdline")) else { continue };
        searched += 1;
        if contains(&line, secret) {
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    assert!(searched > 1 || !Path::new("/proc/self").exists(), "the command lines were read");
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
