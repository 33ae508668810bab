//! The end of what a process has written, for errors. What the environment keeps secret is not in it.

use std::collections::VecDeque;
use std::env;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// Bytes that are kept.
const KEPT: usize = 16 << 10;

/// Lines that an error shows.
const SHOWN: usize = 20;

/// The last of what was written.
#[derive(Default)]
pub(super) struct Log(Mutex<VecDeque<u8>>);

impl Log {
    /// Keeps the end of what comes, until nothing more can. It blocks.
    pub(super) fn follow(&self, mut from: impl Read) {
        let mut piece = [0; 4096];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => self.add(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_closed) => return,
            }
        }
    }

    fn add(&self, piece: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(piece);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }

    /// The last lines, without secrets of the environment, and without what a terminal would act upon.
    pub(super) fn tail(&self) -> String {
        let bytes: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = mask(String::from_utf8_lossy(&bytes).into_owned(), env::vars_os().filter_map(secret));
        let is_shown = |each: &char| *each == '\n' || *each == '\t' || !each.is_control();
        let text: String = text.chars().filter(is_shown).collect();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

/// The value of a variable whose name says that it is a secret; a short one would hide half of what is said.
fn secret((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<String> {
    const WORDS: [&str; 6] = ["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"];
    const MIN_LEN: usize = 6;
    let name = name.to_string_lossy().to_uppercase();
    let value = value.into_string().ok()?;
    (value.len() >= MIN_LEN && WORDS.iter().any(|word| name.contains(word))).then_some(value)
}

fn mask(text: String, secrets: impl Iterator<Item = String>) -> String {
    secrets.fold(text, |text, secret| text.replace(&secret, "<redacted>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let log = Log::default();
        let written: String = (0..10_000).map(|line| format!("line {line}\n\n")).collect();
        log.follow(written.as_bytes());
        let tail = log.tail();
        assert_eq!(tail.lines().count(), SHOWN);
        assert!(tail.starts_with("line 9980\n") && tail.ends_with("line 9999"), "{tail}");
        log.follow(&b"\x1b[31mred\xff\n"[..]);
        assert!(log.tail().ends_with("[31mred\u{fffd}"), "{}", log.tail());
    }

    #[test]
    fn a_secret_of_the_environment_is_hidden() {
        let variable = |name: &str, value: &str| secret((name.into(), value.into()));
        assert_eq!(variable("DATABRICKS_TOKEN", "dapi-123"), Some("dapi-123".to_owned()));
        assert_eq!(variable("openai_api_key", "sk-12345"), Some("sk-12345".to_owned()));
        assert_eq!((variable("HOME", "/home/user"), variable("SOME_KEY", "1")), (None, None));
        let hidden = mask("refused: dapi-123".to_owned(), ["dapi-123".to_owned()].into_iter());
        assert_eq!(hidden, "refused: <redacted>");
    }
}
