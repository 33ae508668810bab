//! Checks file names that servers and URIs contain. A valid name stays inside its folder.

/// The maximum length of a file name in common file systems, in bytes.
const MAX_LEN: usize = 255;

/// Checks that a text is a valid name of one file or folder. Fails with the reason if it is not.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let shown = || name.escape_debug().to_string();
    match name {
        "" => Err("a name in its path is empty".to_owned()),
        "." | ".." => Err(format!("`{name}` in its path would lead out of the folder")),
        _ if name.contains('/') => Err(format!("`{}` is a path, but a file name was expected", shown())),
        // NUL ends a path, and other control characters affect a terminal.
        _ if name.chars().any(char::is_control) => Err(format!("`{}` contains a control character", shown())),
        _ if name.len() > MAX_LEN => {
            let start: String = name.chars().take(20).collect();
            Err(format!("the name `{start}…` has {} bytes, but the limit is {MAX_LEN}", name.len()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_accepts_file_names_only() {
        for name in ["model.onnx", ".hidden", "...", "a b%2e", "チ", "a\\b", "C:", &"x".repeat(255)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "/", "/etc", "a/b", "../a", "a/../b", "a\0b", "a\nb", "\u{1b}[2J", &"x".repeat(256)]
        {
            let reason = check(name).unwrap_err();
            assert!(!reason.contains(char::is_control) && reason.len() < 200, "{reason}");
        }
    }
}
