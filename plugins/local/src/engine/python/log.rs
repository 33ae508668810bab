//! Keeps the last part of a process's output for error messages. Removes the values of secret environment variables
//! from it.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::sync::Mutex;

use mlflow_deploy_plugin_api::{Redactor, Secret, sync};

/// The maximum number of bytes of output that are kept.
const MAX_LEN: usize = 16 << 10;

/// The maximum number of lines of output in an error message.
const MAX_LINES: usize = 20;

/// The last bytes of a process's output.
#[derive(Default)]
pub(super) struct LogTail(Mutex<VecDeque<u8>>);

impl LogTail {
    /// Reads the output of a process until it ends, and keeps the last bytes. Blocks.
    pub(super) fn read_all(&self, mut output: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            match output.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => self.append(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_closed) => return,
            }
        }
    }

    fn append(&self, bytes: &[u8]) {
        let mut tail = sync::lock(&self.0);
        tail.extend(bytes);
        let excess = tail.len().saturating_sub(MAX_LEN);
        tail.drain(..excess);
    }

    /// Returns the last lines of the output. Removes control characters and the values of secret environment variables.
    pub(super) fn lines(&self) -> String {
        let bytes: Vec<u8> = sync::lock(&self.0).iter().copied().collect();
        let text = Redactor::new(env::vars_os().filter_map(secret)).hide(&String::from_utf8_lossy(&bytes));
        let is_shown = |letter: &char| *letter == '\n' || *letter == '\t' || !letter.is_control();
        let text: String = text.chars().filter(is_shown).collect();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(MAX_LINES)..].join("\n")
    }
}

/// Returns the value of an environment variable if the variable's name suggests a secret, such as `API_KEY`.
fn secret((name, value): (OsString, OsString)) -> Option<Secret> {
    const WORDS: [&str; 6] = ["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"];
    let name = name.to_string_lossy().to_uppercase();
    WORDS.iter().any(|word| name.contains(word)).then(|| value.into_string().ok().map(Secret::new)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let log = LogTail::default();
        let output: String = (0..10_000).map(|line| format!("line {line}\n\n")).collect();
        log.read_all(output.as_bytes());
        let lines = log.lines();
        assert_eq!(lines.lines().count(), MAX_LINES);
        assert!(lines.starts_with("line 9980\n") && lines.ends_with("line 9999"), "{lines}");
        log.read_all(&b"\x1b[31mred\xff\n"[..]);
        assert!(log.lines().ends_with("[31mred\u{fffd}"), "{}", log.lines());
    }

    #[test]
    fn values_of_secret_variables_are_redacted() {
        let hidden = |name: &str, value: &str| {
            let secret = secret((name.into(), value.into()));
            Redactor::new(secret).hide(&format!("refused: {value}"))
        };
        assert_eq!(hidden("DATABRICKS_TOKEN", "swordfish-1"), "refused: <redacted>");
        assert_eq!(hidden("openai_api_key", "swordfish-2"), "refused: <redacted>");
        assert_eq!(hidden("HOME", "/home/user"), "refused: /home/user");
        assert_eq!(hidden("SOME_KEY", "1"), "refused: 1");
    }
}
