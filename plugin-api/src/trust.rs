//! Checks who can change a file: code that runs, and files that decide what runs, have to be the user's own or root's.
//!
//! Host and plugins check plugins, other libraries, programs, configuration and certificate authorities through this
//! module. It looks at owners and modes, and opens no file.

use std::env;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::ffi::{effective_user, is_privileged};

const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
/// In such a folder only the owner of a file, of the folder, and root can rename or remove the file.
const STICKY: u32 = 0o1000;

/// The variable with the ids of users that are trusted as root is, separated by commas. A process with raised privileges
/// ignores it.
pub const TRUSTED_OWNERS: &str = "MLFLOW_DEPLOY_TRUSTED_OWNERS";

/// Why a file is not trusted. It is shown in one line, with the fix.
#[derive(Debug)]
#[non_exhaustive]
pub enum Distrust {
    /// The file, or a folder or link on the way to it, cannot be looked at.
    Unreadable(io::Error),
    /// Another user can change the file, or what leads to it.
    Untrusted {
        /// The file, folder or link that another user can change.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// Its owner or mode.
        found: String,
        /// How to put it right.
        fix: String,
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(formatter, "cannot be checked: {error}"),
            Self::Untrusted { path, why, found, fix } => {
                write!(formatter, "{why}: `{}` {found}: {fix}", path.display())
            }
        }
    }
}

impl std::error::Error for Distrust {}

impl From<io::Error> for Distrust {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Checks a file or folder that decides something, such as a configuration or a certificate authority. Returns warnings.
///
/// The file, every folder on the way to it, and every link on the way and its folders belong to root, to the effective
/// user, or to a user of [`TRUSTED_OWNERS`]. None of them is writable for everybody; a folder with the sticky bit, such
/// as `/tmp`, may be, for there only the owner can replace a file. A group that can write is worth a warning.
///
/// # Errors
/// [`Distrust`], with the first thing on the way that another user can change.
pub fn check(path: &Path) -> Result<Vec<String>, Distrust> {
    let way = Way::follow(path)?;
    let mut warnings = Vec::new();
    for folder in &way.folders {
        let metadata = fs::symlink_metadata(folder)?;
        if metadata.mode() & STICKY == 0 {
            check_one(folder, &metadata)?;
            warnings.extend(warning(folder, &metadata));
        } else {
            check_owner(folder, &metadata)?;
        }
    }
    for link in &way.links {
        // The mode of a link means nothing.
        check_owner(link, &fs::symlink_metadata(link)?)?;
    }
    let metadata = fs::symlink_metadata(&way.end)?;
    check_one(&way.end, &metadata)?;
    warnings.extend(warning(&way.end, &metadata));
    Ok(warnings)
}

/// Checks a library or program. Returns warnings.
///
/// As [`check`]. The folder of the file may not be writable for everybody even with the sticky bit: libraries load
/// others from their own folder (`$ORIGIN`), and Python reads `pyvenv.cfg` there.
///
/// # Errors
/// As [`check`].
pub fn check_code(path: &Path) -> Result<Vec<String>, Distrust> {
    let warnings = check(path)?;
    // A program may be known by a link, and look for its files beside the link or beside what the link leads to.
    for file in [std::path::absolute(path)?, path.canonicalize()?] {
        if let Some(folder) = file.parent() {
            check_one(folder, &fs::metadata(folder)?)?;
        }
    }
    Ok(warnings)
}

/// Fails if another user owns a file or folder, or everybody can write to it.
fn check_one(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    check_owner(path, metadata)?;
    if metadata.mode() & WORLD_WRITABLE == 0 {
        return Ok(());
    }
    Err(Distrust::Untrusted {
        path: path.to_owned(),
        why: "not trusted, for everybody can change it",
        found: format!("has mode {:o}", metadata.mode() & 0o7777),
        fix: format!("`chmod o-w {}`", quoted(path)),
    })
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    let (user, owner) = (effective_user(), metadata.uid());
    if owner == 0 || owner == user || is_named(owner) {
        return Ok(());
    }
    Err(Distrust::Untrusted {
        path: path.to_owned(),
        why: "not trusted, for somebody else owns it",
        found: format!("belongs to user {owner}"),
        fix: format!(
            "`chown -h {user} {}` if you trust it, or set `{TRUSTED_OWNERS}={owner}` if you trust that user with all \
             that you may do",
            quoted(path)
        ),
    })
}

/// Whether the user has named this owner in [`TRUSTED_OWNERS`].
fn is_named(owner: u32) -> bool {
    let named = env::var(TRUSTED_OWNERS).unwrap_or_default();
    !is_privileged() && named.split(',').any(|id| id.trim().parse() == Ok(owner))
}

fn warning(path: &Path, metadata: &Metadata) -> Option<String> {
    let is_writable = metadata.mode() & GROUP_WRITABLE != 0;
    is_writable.then(|| format!("`{}` can be changed by its group: `chmod g-w {}`", path.display(), quoted(path)))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@:,=".contains(letter);
    if path.chars().all(is_plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// What the system goes through to what a path names: folders and links, each once, and the real path at the end.
#[derive(Debug)]
struct Way {
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
    end: PathBuf,
}

impl Way {
    fn follow(path: &Path) -> io::Result<Self> {
        /// As many as Linux follows.
        const MAX_LINKS: usize = 40;
        let (mut folders, mut links) = (Vec::new(), Vec::new());
        let mut here = PathBuf::from("/");
        let mut ahead = steps(&std::path::absolute(path)?);
        while let Some(step) = ahead.pop() {
            if step.as_os_str() == "/" {
                here = step;
            } else if step.as_os_str() == ".." {
                here.pop();
            } else {
                if !folders.contains(&here) {
                    folders.push(here.clone());
                }
                let next = here.join(step);
                if !fs::symlink_metadata(&next)?.is_symlink() {
                    here = next;
                    continue;
                }
                ahead.extend(steps(&fs::read_link(&next)?));
                links.push(next);
                if links.len() > MAX_LINKS {
                    return Err(io::Error::other("too many links lead to it"));
                }
            }
        }
        Ok(Self { folders, links, end: here })
    }
}

/// The components of a path, the last first.
fn steps(path: &Path) -> Vec<PathBuf> {
    let steps = path.components().rev().filter(|step| *step != Component::CurDir);
    steps.map(|step| PathBuf::from(step.as_os_str())).collect()
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use super::*;

    const OTHER: u32 = 54321;

    fn folder(path: &Path, mode: u32) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(path: &Path) -> String {
        check(path).unwrap_err().to_string()
    }

    fn root() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        (root, path)
    }

    #[test]
    fn a_link_is_trusted_where_only_its_owner_can_change_it() {
        let (_held, root) = root();
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
            assert_eq!(check(&safe.join(name)).unwrap(), [""; 0], "{name}");
        }
        assert_eq!(check(&sticky.join("link")).unwrap(), [""; 0]);
        symlink(open.join("link"), safe.join("onward")).unwrap();
        for path in [open.join("link"), open.join("absolute"), safe.join("onward")] {
            let said = refusal(&path);
            let fix = format!("`{}` has mode 777: `chmod o-w {}`", open.display(), open.display());
            assert!(said.ends_with(&fix), "{said}");
        }
        symlink("loop", safe.join("loop")).unwrap();
        assert!(refusal(&safe.join("loop")).starts_with("cannot be checked: too many links lead to it"));
    }

    #[test]
    fn a_folder_above_that_everybody_can_change_is_refused() {
        let (_held, root) = root();
        let open = root.join("o pen");
        folder(&open, 0o777);
        folder(&open.join("plugins"), 0o755);
        let said = refusal(&open.join("plugins"));
        assert!(said.ends_with(&format!("`chmod o-w '{}'`", open.display())), "{said}");
        fs::set_permissions(&open, Permissions::from_mode(0o775)).unwrap();
        let warnings = check(&open.join("plugins")).unwrap();
        assert!(warnings.len() == 1 && warnings[0].ends_with(&format!("`chmod g-w '{}'`", open.display())));
    }

    #[test]
    fn code_in_a_sticky_folder_is_refused_and_a_file_is_not() {
        let (_held, root) = root();
        let sticky = root.join("sticky");
        folder(&sticky, 0o1777);
        let file = sticky.join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(check(&file).unwrap(), [""; 0]);
        assert!(check_code(&file).unwrap_err().to_string().contains("sticky` has mode 1777"));
        let link = root.join("link");
        symlink(&file, &link).unwrap();
        assert!(check_code(&link).unwrap_err().to_string().contains("sticky` has mode 1777"));
    }

    #[test]
    fn each_folder_link_and_file_of_another_user_is_refused() {
        if effective_user() != 0 {
            println!("left out: only root can give files to other users");
            return;
        }
        let (_held, root) = root();
        for name in ["above", "above/inner", "links", "sticky"] {
            folder(&root.join(name), if name == "sticky" { 0o1777 } else { 0o755 });
        }
        let file = root.join("above/inner/file");
        fs::write(&file, "").unwrap();
        symlink("../above/inner/file", root.join("links/link")).unwrap();
        symlink("../above/inner", root.join("sticky/link")).unwrap();
        symlink(root.join("sticky/link/file"), root.join("onward")).unwrap();
        let (link, onward) = (root.join("links/link"), root.join("onward"));
        for path in [&file, &link, &onward] {
            assert_eq!(check(path).unwrap(), [""; 0]);
        }
        for (given, refused) in [
            ("above", vec![&file, &link, &onward]),
            ("above/inner", vec![&file, &link, &onward]),
            ("above/inner/file", vec![&file, &link, &onward]),
            ("links", vec![&link]),
            ("links/link", vec![&link]),
            ("sticky", vec![&onward]),
            ("sticky/link", vec![&onward]),
            ("onward", vec![&onward]),
        ] {
            lchown(root.join(given), Some(OTHER), None).unwrap();
            for path in [&file, &link, &onward] {
                match check(path) {
                    Ok(_) => assert!(!refused.contains(&path), "{given} of another user: {path:?} is trusted"),
                    Err(error) => {
                        let said = error.to_string();
                        let named = format!("`{}` belongs to user {OTHER}: `chown -h 0 ", root.join(given).display());
                        assert!(refused.contains(&path) && said.contains(&named), "{said}");
                    }
                }
            }
            lchown(root.join(given), Some(0), None).unwrap();
        }
    }
}
