//! Reads a secret from the environment, from a file, or from the output of a program. Errors do not contain the secret.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Secret, file, program, trust};

use super::option_source::OptionSource;

/// The maximum size of a secret in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The surroundings in which the secrets of a named target are read.
pub(super) struct SecretReader<'a> {
    /// The folder of the configuration file. Relative paths are relative to it.
    pub(super) folder: &'a Path,
    /// The maximum run time of a program.
    pub(super) timeout: Duration,
    /// A channel whose sender is dropped if the caller does not need the secret any more.
    pub(super) cancelled: &'a Receiver<()>,
    /// Looks up an environment variable.
    pub(super) variable: fn(&str) -> Option<OsString>,
    /// The secrets that were read before.
    pub(super) known: Vec<Secret>,
}

impl SecretReader<'_> {
    /// Returns the text of an option; `None` for a number or a boolean.
    pub(super) fn read(&mut self, source: &OptionSource) -> Result<Option<Secret>, Error> {
        let secret = match source {
            OptionSource::Command(words) => self.output(words)?.into(),
            OptionSource::Environment(name) => self.environment(name)?.into(),
            OptionSource::File(path) => self.content(path)?.into(),
            OptionSource::Scalar(_) => return Ok(None),
            OptionSource::Text(text) => return Ok(Some(text.clone())),
        };
        self.known.push(Secret::clone(&secret));
        Ok(Some(secret))
    }

    fn environment(&self, name: &str) -> Result<String, Error> {
        let value = (self.variable)(name).ok_or_else(|| missing(format!("the variable `{name}` is not set")))?;
        let value = value.into_string().map_err(|_secret| missing(format!("the variable `{name}` is not UTF-8")))?;
        not_empty(value, || format!("the variable `{name}` is empty"))
    }

    fn content(&self, path: &Path) -> Result<String, Error> {
        let path = self.absolute(path);
        let failed = |why: String| missing(format!("the file `{}` cannot be used: {why}", path.display()));
        // Another user who can change the file would choose the account that gets the requests.
        trust::check(&path).map_err(|distrust| failed(distrust.to_string()))?;
        let text = file::read_text(&path, MAX_BYTES).map_err(|error| failed(error.to_string()))?;
        not_empty(text, || format!("the file `{}` is empty", path.display()))
    }

    fn output(&self, words: &[String]) -> Result<String, Error> {
        let (name, arguments) = words.split_first().expect("a command has a program");
        let failed = |why: String| missing(format!("the command `{name}` {why}"));
        let program = self.program(name)?;
        trust::check_code(&program).map_err(|distrust| failed(format!("is not run: {distrust}")))?;
        let output = program::run(&program, arguments, self.timeout, self.cancelled)?;
        if !output.status.success() {
            let stderr = output.redacted_line(&self.known);
            return Err(failed(format!("failed ({}): {stderr}", output.status)));
        }
        if output.stdout.len() as u64 > MAX_BYTES {
            return Err(failed(format!("printed more than {} KiB", MAX_BYTES >> 10)));
        }
        let text = file::text(output.stdout).map_err(|error| failed(format!("printed no text: {error}")))?;
        not_empty(text, || format!("the command `{name}` printed nothing"))
    }

    /// Returns the path of a program. A name without a slash is searched for in `PATH`.
    fn program(&self, name: &str) -> Result<PathBuf, Error> {
        if name.contains('/') {
            return match self.absolute(Path::new(name)) {
                path if program::is_executable(&path, 0) => Ok(path),
                path => Err(missing(format!("the command `{}` is not an executable file", path.display()))),
            };
        }
        let path = (self.variable)("PATH").unwrap_or_default();
        let found = program::find_in_path(name, &path.to_string_lossy(), 0);
        found.ok_or_else(|| missing(format!("the command `{name}` is not found in the directories of `PATH`")))
    }

    /// Returns an absolute path. `~/` stands for the home directory.
    fn absolute(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), (self.variable)("HOME")) {
            (Ok(below), Some(home)) => PathBuf::from(home).join(below),
            _ => self.folder.join(path),
        }
    }
}

/// Removes one line end at the end of a text. Fails if nothing remains.
fn not_empty(mut text: String, message: impl FnOnce() -> String) -> Result<String, Error> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(missing(message())) } else { Ok(text) }
}

fn missing(message: String) -> Error {
    Error::new(ErrorCode::UNAUTHENTICATED, message)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;

    use super::*;

    fn read_in(folder: &Path, source: OptionSource) -> Result<String, String> {
        let (_caller, cancelled) = mpsc::channel();
        let variable = |name: &str| match name {
            "TOKEN" => Some("S3CR3T-env\r\n".into()),
            "EMPTY" => Some("\n".into()),
            "PATH" => Some("relative:/usr/bin:/bin".into()),
            _ => None,
        };
        let (timeout, known) = (Duration::from_secs(20), vec![Secret::new("S3CR3T-known")]);
        let mut reader = SecretReader { folder, timeout, cancelled: &cancelled, variable, known };
        let read = reader.read(&source).map_err(|error| error.to_string());
        read.map(|secret| secret.unwrap().expose().to_owned())
    }

    fn command(words: &[&str]) -> OptionSource {
        OptionSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_secret_is_read_without_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "S3CR3T\n\n").unwrap();
        let read = |source| read_in(folder.path(), source).unwrap();
        assert_eq!(read(OptionSource::Environment("TOKEN".to_owned())), "S3CR3T-env");
        assert_eq!(read(OptionSource::File("token".into())), "S3CR3T\n");
        assert_eq!(read(OptionSource::File(folder.path().join("token"))), "S3CR3T\n");
        assert_eq!(read(command(&["printf", "a $HOME\\r\\n"])), "a $HOME");
        fs::write(folder.path().join("script"), "#!/bin/sh\necho S3CR3T $1\n").unwrap();
        fs::set_permissions(folder.path().join("script"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(read(command(&["./script", "x y"])), "S3CR3T x y");
        assert_eq!(read(OptionSource::Text(Secret::new("x\n"))), "x\n");
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_an_error_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; (64 << 10) + 1]).unwrap();
        fs::write(folder.path().join("open"), "x").unwrap();
        fs::set_permissions(folder.path().join("open"), Permissions::from_mode(0o666)).unwrap();
        let shell = |script: &str| command(&["sh", "-c", script]);
        let at = |name: &str| folder.path().join(name).display().to_string();
        for (source, message) in [
            (OptionSource::Environment("NOT_SET".to_owned()), "the variable `NOT_SET` is not set".to_owned()),
            (OptionSource::Environment("EMPTY".to_owned()), "the variable `EMPTY` is empty".to_owned()),
            (OptionSource::File("empty".into()), format!("the file `{}` is empty", at("empty"))),
            (
                OptionSource::File("no".into()),
                format!("the file `{}` cannot be used: cannot be checked: No such", at("no")),
            ),
            (
                OptionSource::File("large".into()),
                format!("the file `{}` cannot be used: larger than 65536 bytes", at("large")),
            ),
            (
                OptionSource::File("open".into()),
                format!("the file `{}` cannot be used: not trusted: every user", at("open")),
            ),
            (OptionSource::File(".".into()), format!("the file `{}` cannot be used: not a regular file", at("."))),
            (
                command(&["no-such-program"]),
                "the command `no-such-program` is not found in the directories of `PATH`".to_owned(),
            ),
            (command(&["./empty"]), format!("the command `{}` is not an executable file", at("./empty"))),
            (shell("exit 0"), "the command `sh` printed nothing".to_owned()),
            (shell("echo"), "the command `sh` printed nothing".to_owned()),
            (shell("printf '\\377'"), "the command `sh` printed no text: not UTF-8".to_owned()),
            (shell("head -c 70000 /dev/zero"), "the command `sh` printed more than 64 KiB".to_owned()),
            (
                shell("echo S3CR3T-out; echo no S3CR3T-out S3CR3T-known >&2; exit 3"),
                "the command `sh` failed (exit status: 3): no <redacted> <redacted>".to_owned(),
            ),
            (shell("kill -9 $$"), "the command `sh` failed (signal: 9 (SIGKILL)): it printed no message".to_owned()),
        ] {
            let error = read_in(folder.path(), source).unwrap_err();
            assert!(error.starts_with(&message) && !error.contains("S3CR3T"), "{error}\n{message}");
        }
    }
}
