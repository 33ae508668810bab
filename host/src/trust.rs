//! Loading a plugin runs its code: only what root or the user put there is loaded. Opens no file.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::Refusal;

const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
/// In such a folder only a file's owner can rename or remove it.
const STICKY: u32 = 0o1000;

/// Refuses what somebody else owns, or what everybody can change.
pub(crate) fn check(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    check_owner(path, metadata)?;
    if metadata.mode() & WORLD_WRITABLE != 0 {
        return Err(Refusal::Untrusted {
            path: path.to_owned(),
            why: "not trusted, for everybody can change it",
            found: format!("has mode {:o}", metadata.mode() & 0o7777),
            fix: format!("`chmod o-w {}`", quoted(path)),
        });
    }
    Ok(())
}

/// Checks what leads to a file or folder: whoever can change a link on the way decides what is found. Gives what is
/// worth a warning: a folder above it that everybody can change, so that it could be moved away as a whole.
pub(crate) fn check_way(path: &Path) -> Result<Vec<String>, Refusal> {
    let unreadable = |error: io::Error| Refusal::Unreadable(error.to_string());
    let way = Way::follow(path).map_err(unreadable)?;
    for link in &way.links {
        let Some(holder) = link.parent() else { continue };
        let metadata = fs::metadata(holder).map_err(unreadable)?;
        if metadata.mode() & STICKY == 0 {
            check(holder, &metadata)?;
        } else {
            check_owner(holder, &metadata)?;
            check_owner(link, &fs::symlink_metadata(link).map_err(unreadable)?)?;
        }
    }
    let mut warnings = Vec::new();
    for folder in &way.folders {
        let mode = fs::metadata(folder).map_err(unreadable)?.mode();
        if mode & WORLD_WRITABLE != 0 && mode & STICKY == 0 {
            let name = folder.display();
            warnings.push(format!(
                "everybody can replace `{}`, for everybody can change the folder `{name}`: `chmod o-w {}`",
                path.display(),
                quoted(folder)
            ));
        }
    }
    Ok(warnings)
}

/// What is worth a warning: that others than the owner can change it.
pub(crate) fn warning(path: &Path, metadata: &Metadata) -> Option<String> {
    let is_writable = metadata.mode() & GROUP_WRITABLE != 0;
    is_writable.then(|| format!("`{}` can be changed by its group: `chmod g-w {}`", path.display(), quoted(path)))
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() == 0 || metadata.uid() == user {
        return Ok(());
    }
    Err(Refusal::Untrusted {
        path: path.to_owned(),
        why: "not trusted, for somebody else owns it",
        found: format!("belongs to user {}", metadata.uid()),
        fix: format!("`chown -h {user} {}` if you trust it", quoted(path)),
    })
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@:,=".contains(letter);
    if path.chars().all(is_plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// What the system goes through to what a path names: the folders above it, and the links on the way.
#[derive(Debug, Default)]
struct Way {
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
}

impl Way {
    fn follow(path: &Path) -> io::Result<Self> {
        /// As many as Linux follows.
        const MOST_LINKS: usize = 40;
        let mut way = Self::default();
        let mut here = PathBuf::from("/");
        let mut ahead = steps(&std::path::absolute(path)?);
        while let Some(step) = ahead.pop() {
            if step.as_os_str() == "/" {
                here = step;
            } else if step.as_os_str() == ".." {
                here.pop();
            } else {
                if !way.folders.contains(&here) {
                    way.folders.push(here.clone());
                }
                let next = here.join(step);
                if !fs::symlink_metadata(&next)?.is_symlink() {
                    here = next;
                    continue;
                }
                ahead.extend(steps(&fs::read_link(&next)?));
                way.links.push(next);
                if way.links.len() > MOST_LINKS {
                    return Err(io::Error::other("too many links lead to it"));
                }
            }
        }
        Ok(way)
    }
}

/// A path's components, the last first.
fn steps(path: &Path) -> Vec<PathBuf> {
    let steps = path.components().rev().filter(|step| *step != Component::CurDir);
    steps.map(|step| PathBuf::from(step.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder(path: &Path, mode: u32) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(path: &Path) -> String {
        check_way(path).unwrap_err().to_string()
    }

    #[test]
    fn a_link_is_trusted_where_only_its_owner_can_change_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (safe, open, sticky) = (root.join("safe"), root.join("open"), root.join("sticky"));
        folder(&safe, 0o755);
        folder(&open, 0o777);
        folder(&sticky, 0o1777);
        fs::write(safe.join("file"), "").unwrap();
        for holder in [&safe, &open, &sticky] {
            symlink("../safe/file", holder.join("link")).unwrap();
            symlink(safe.join("file"), holder.join("absolute")).unwrap();
        }
        for name in ["file", "link", "absolute"] {
            assert_eq!(check_way(&safe.join(name)).unwrap(), [""; 0], "{name}");
        }
        assert_eq!(check_way(&sticky.join("link")).unwrap(), [""; 0]);
        symlink(open.join("link"), safe.join("onward")).unwrap();
        for path in [open.join("link"), open.join("absolute"), safe.join("onward")] {
            let said = refusal(&path);
            let fix = format!("`{}` has mode 777: `chmod o-w {}`", open.display(), open.display());
            assert!(said.ends_with(&fix), "{said}");
        }
        symlink("loop", safe.join("loop")).unwrap();
        assert!(refusal(&safe.join("loop")).starts_with("cannot be read: too many links lead to it"));
    }

    #[test]
    fn a_folder_above_that_everybody_can_change_is_worth_a_warning() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().canonicalize().unwrap().join("o pen");
        folder(&open, 0o777);
        folder(&open.join("plugins"), 0o755);
        let warnings = check_way(&open.join("plugins")).unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].ends_with(&format!("`chmod o-w '{}'`", open.display())), "{warnings:?}");
    }
}
