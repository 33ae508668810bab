//! What a server may call a file or a folder: one name, that means one thing inside the folder that it is put into.

/// The longest name that common file systems have, in bytes.
const MAX_LEN: usize = 255;

/// Says why a text is not the name of one file or folder, where it is not.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let shown = || name.escape_debug().to_string();
    match name {
        "" => Err("a name in its path is empty".to_owned()),
        "." | ".." => Err(format!("`{name}` in its path would lead elsewhere")),
        _ if name.contains('/') => Err(format!("`{}` is a path, where the name of a file was expected", shown())),
        // NUL ends a path, and the others make a terminal do things.
        _ if name.chars().any(char::is_control) => Err(format!("`{}` has a control character in it", shown())),
        _ if name.len() > MAX_LEN => {
            let start: String = name.chars().take(20).collect();
            Err(format!("the name `{start}…` has {} bytes, and no file may have more than {MAX_LEN}", name.len()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["model.onnx", ".hidden", "...", "a b%2e", "チ", "a\\b", "C:", &"x".repeat(255)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "/", "/etc", "a/b", "../a", "a/../b", "a\0b", "a\nb", "\u{1b}[2J", &"x".repeat(256)]
        {
            let why = check(name).unwrap_err();
            assert!(!why.contains(char::is_control) && why.len() < 200, "{why}");
        }
    }
}
