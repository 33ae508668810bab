//! Runs the built command `mlflow-deploy` in a clean environment.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use mlflow_deploy_test_support::cdylib;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

/// A run of the command `mlflow-deploy` that is not started yet.
pub(crate) struct Run {
    command: Command,
    stdin: Vec<u8>,
}

/// The output and the exit code of a finished run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns a run of the command with these arguments, which are separated by spaces. The run's environment has only the
/// variable `MLFLOW_DEPLOY_PLUGIN_PATH_ONLY`, so the command does not find installed plugins.
pub(crate) fn mlflow_deploy(arguments: &str) -> Run {
    let mut command = Command::new(cdylib::command());
    command.env_clear().env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1").args(arguments.split_whitespace());
    Run { command, stdin: Vec::new() }
}

impl Run {
    pub(crate) fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds these arguments, which are separated by spaces.
    pub(crate) fn args(mut self, arguments: &str) -> Self {
        self.command.args(arguments.split_whitespace());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds the option `--plugin` with the path of this package's shared library.
    pub(crate) fn plugin(self, package: &str) -> Self {
        let path = cdylib::path(package);
        self.arg("--plugin").arg(path)
    }

    pub(crate) fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn plugin_dir(self, directory: &Path) -> Self {
        self.arg("--plugin-dir").arg(directory)
    }

    pub(crate) fn stdin(mut self, input: impl AsRef<[u8]>) -> Self {
        self.stdin = input.as_ref().to_vec();
        self
    }

    /// Makes a shell run `script`, which starts the command. In the script, `"$@"` stands for the command and its
    /// arguments.
    pub(crate) fn in_shell(mut self, script: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(self.command.get_program()).args(self.command.get_args());
        shell.env_clear().env("PATH", "/usr/bin:/bin");
        shell.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            shell.current_dir(folder);
        }
        self.command = shell;
        self
    }

    pub(crate) fn run(self) -> Ran {
        Ran::from(self.spawn().wait_with_output().unwrap())
    }

    /// Starts the command and writes its input. Does not wait for its end.
    pub(crate) fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        // The write fails if the command exits before it reads its input.
        let _ = child.stdin.take().unwrap().write_all(&self.stdin);
        child
    }

    /// Runs the command on a terminal. Returns its exit code, and the bytes that it has written to the terminal.
    pub(crate) fn run_on_a_terminal(self) -> (i32, Vec<u8>) {
        let (mut ours, theirs) = terminal();
        let mut child = self.spawn_on(&theirs);
        drop(theirs);
        let (mut screen, mut some) = (Vec::new(), [0; 1024]);
        // Reading fails with `EIO` once the last process has closed the terminal.
        while let Ok(read @ 1..) = ours.read(&mut some) {
            screen.extend_from_slice(&some[..read]);
        }
        (child.wait().unwrap().code().unwrap(), screen)
    }

    /// Starts the command with `terminal` as its stdin, stdout and stderr.
    pub(crate) fn spawn_on(mut self, terminal: &OwnedFd) -> Child {
        let side = || terminal.try_clone().unwrap();
        self.command.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side()).spawn().unwrap()
    }
}

/// Opens a pseudo-terminal. Returns its two sides: the controlling side, and the terminal for a command.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(ours), theirs.into())
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| panic!("killed: {output:?}")),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Parses the standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Parses the last line of the standard error, which is an error in JSON.
    pub(crate) fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_else(|| panic!("no error: {self:?}"));
        let error: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        error["error"].clone()
    }
}
