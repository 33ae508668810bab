//! Measures the command from its start to its end, beside curl: `list-endpoints` of a gateway, and `plugins list` with
//! a thousand plugin files.

use std::env::consts::DLL_SUFFIX;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, io};

use crate::machine;
use crate::report::Report;
use crate::subjects::library;
use crate::work::Cost;

/// The number of starts in one round.
const STARTS: u32 = 20;
/// The number of plugin files on the search path of `plugins list`.
const FILES: usize = 1000;

/// Adds the costs of the commands to the report. `libraries` has the built command and the plugins.
pub(crate) fn measure(libraries: &Path, server: &str, rounds: usize, report: &mut Report) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let many = folder.path().join("plugins");
    fs::create_dir(&many)?;
    let first = many.join(format!("0{DLL_SUFFIX}"));
    let stripped = Command::new("strip").arg("-o").arg(&first).arg(libraries.join(library("echo_plugin"))).status()?;
    assert!(stripped.success(), "strip failed");
    for number in 1..FILES {
        // Each file has its own bytes: hard links would be one file.
        fs::copy(&first, many.join(format!("{number}{DLL_SUFFIX}")))?;
    }
    let ours = |arguments: &[&str], plugins: &Path| {
        let mut command = Command::new(libraries.join("mlflow-deploy"));
        command.args(arguments).env_clear().env("HOME", folder.path()).env("MLFLOW_DEPLOY_PLUGIN_PATH", plugins);
        command
    };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", &format!("{server}/api/2.0/endpoints/")]);
    let list = ours(&["list-endpoints", "--target", server], libraries);
    let subjects = ["curl", "command"];
    report.add("cold", "list-endpoints from cold", &subjects, alternate([curl, list], rounds)?);
    let plugins = ours(&["plugins", "list"], &many);
    report.add("discovery", "plugins list, 1,000 files", &["command"], alternate([plugins], rounds)?);
    Ok(())
}

fn alternate<const N: usize>(mut commands: [Command; N], rounds: usize) -> io::Result<Vec<Vec<Cost>>> {
    let mut costs = vec![Vec::new(); N];
    for _ in 0..rounds {
        for (command, costs) in commands.iter_mut().zip(&mut costs) {
            costs.push(start(command)?);
        }
    }
    Ok(costs)
}

/// Starts a command some times, and returns the cost of one start.
fn start(command: &mut Command) -> io::Result<Cost> {
    let (begun, used) = (Instant::now(), machine::cpu_time().of_children);
    for _ in 0..STARTS {
        let status = command.stdout(Stdio::null()).status()?;
        assert!(status.success(), "{command:?} failed");
    }
    let each = |seconds: f64| seconds * 1e6 / f64::from(STARTS);
    let (wall, used) = (begun.elapsed().as_secs_f64(), machine::cpu_time().of_children - used);
    Ok(Cost { wall: each(wall), cpu: each(used), memory: None })
}
