//! Checks which users can change a file. Code that is run, and files that determine which code is run, must belong to
//! the user or to root.
//!
//! Host and plugins check plugins, other libraries, programs, configuration and certificate authorities through this
//! module. It checks the owners and modes of files, and opens no file.

use std::env;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::ffi::{effective_user, is_privileged};
use crate::text;

const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
/// The sticky bit in the mode of a folder. In such a folder, only root and the owner of a file or of the folder can
/// rename or remove the file.
const STICKY: u32 = 0o1000;

/// The environment variable with the ids of users that are trusted like root, separated by commas. A privileged process
/// ignores it.
pub const TRUSTED_OWNERS: &str = "MLFLOW_DEPLOY_TRUSTED_OWNERS";

/// The reason why a file is not trusted. `Display` shows the reason in one line, and tells how to fix it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Distrust {
    /// The metadata of the file, or of a folder or link on its path, cannot be read.
    Unreadable(io::Error),
    /// Another user can change the file, or a folder or link on its path.
    Untrusted {
        /// The file, folder or link that another user can change.
        path: PathBuf,
        /// The reason why `path` is not trusted.
        why: &'static str,
        /// The owner or the mode of `path`, as a part of a sentence, such as "has mode 777".
        found: String,
        /// The command that makes `path` trusted, and any alternative to it.
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

/// Checks a file or folder that affects what runs, such as a configuration or a certificate authority. Returns warnings
/// about files and folders that a group can change.
///
/// The file, every folder on its path, every link on its path and the folders of these links must belong to root, to
/// the effective user, or to a user of [`TRUSTED_OWNERS`]. None of them may be world-writable, except for a folder with
/// the sticky bit, such as `/tmp`. A group-writable file or folder causes a warning.
///
/// ```no_run
/// use std::path::Path;
/// use mlflow_deploy_plugin_api::trust;
///
/// for warning in trust::check(Path::new("/etc/mlflow-deploy.toml"))? {
///     eprintln!("warning: {warning}");
/// }
/// # Ok::<(), trust::Distrust>(())
/// ```
///
/// # Errors
/// [`Distrust`], with the first file, folder or link that another user can change.
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
        // The mode of a link has no effect.
        check_owner(link, &fs::symlink_metadata(link)?)?;
    }
    let metadata = fs::symlink_metadata(&way.end)?;
    check_one(&way.end, &metadata)?;
    warnings.extend(warning(&way.end, &metadata));
    Ok(warnings)
}

/// Checks a library or program. Returns the same warnings as [`check`].
///
/// Makes the same checks as [`check`]. In addition, the folder of the file must not be world-writable, even with the
/// sticky bit: libraries load others from their own folder (`$ORIGIN`), and Python reads `pyvenv.cfg` there.
///
/// # Errors
/// The errors of [`check`].
pub fn check_code(path: &Path) -> Result<Vec<String>, Distrust> {
    let warnings = check(path)?;
    // A program that is called through a link may read files beside the link or beside its target.
    for file in [std::path::absolute(path)?, path.canonicalize()?] {
        if let Some(folder) = file.parent() {
            check_one(folder, &fs::metadata(folder)?)?;
        }
    }
    Ok(warnings)
}

/// Checks a library or program in a folder for which [`check`] has succeeded. Does the same as [`check_code`], without
/// another check of the folder.
///
/// # Errors
/// The errors of [`check`].
#[doc(hidden)]
pub fn check_code_in_trusted_folder(path: &Path) -> Result<Vec<String>, Distrust> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return check_code(path);
    }
    check_one(path, &metadata)?;
    Ok(warning(path, &metadata).into_iter().collect())
}

/// Fails if an untrusted user owns the file or folder, or if it is world-writable.
fn check_one(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    check_owner(path, metadata)?;
    if metadata.mode() & WORLD_WRITABLE == 0 {
        return Ok(());
    }
    Err(Distrust::Untrusted {
        path: path.to_owned(),
        why: "not trusted: every user can change it",
        found: format!("has mode {:o}", metadata.mode() & 0o7777),
        fix: format!("`chmod o-w {}`", text::shell_path(path)),
    })
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    let (user, owner) = (effective_user(), metadata.uid());
    if owner == 0 || owner == user || is_named(owner) {
        return Ok(());
    }
    Err(Distrust::Untrusted {
        path: path.to_owned(),
        why: "not trusted: another user owns it",
        found: format!("belongs to user {owner}{}", unknown_owner(&named_owners()).unwrap_or_default()),
        fix: format!(
            "`chown -h {user} {}` if you trust it, or set `{TRUSTED_OWNERS}={owner}` if you trust that user with all \
             your privileges",
            text::shell_path(path)
        ),
    })
}

/// Returns true if [`TRUSTED_OWNERS`] lists the user id `owner`.
fn is_named(owner: u32) -> bool {
    named_owners().split(',').any(|id| id.trim().parse() == Ok(owner))
}

/// Returns the value of [`TRUSTED_OWNERS`]; an empty text in a privileged process.
fn named_owners() -> String {
    if is_privileged() { String::new() } else { env::var(TRUSTED_OWNERS).unwrap_or_default() }
}

/// Returns a note about the first entry of `named` that is not the id of a user; `None` if every entry is one.
fn unknown_owner(named: &str) -> Option<String> {
    let mut owners = named.split(',').map(str::trim).filter(|id| !id.is_empty());
    let unknown = owners.find(|id| id.parse::<u32>().is_err())?;
    Some(format!(" (`{TRUSTED_OWNERS}` has `{unknown}`, which is not the id of a user)"))
}

fn warning(path: &Path, metadata: &Metadata) -> Option<String> {
    let is_writable = metadata.mode() & GROUP_WRITABLE != 0;
    is_writable
        .then(|| format!("`{}` can be changed by its group: `chmod g-w {}`", path.display(), text::shell_path(path)))
}

/// The folders and links that the system follows to resolve a path, each listed once, and the real path at the end.
#[derive(Debug)]
struct Way {
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
    end: PathBuf,
}

impl Way {
    fn follow(path: &Path) -> io::Result<Self> {
        /// The maximum number of links that are followed to resolve a path, as on Linux.
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
                    return Err(io::Error::other("too many links"));
                }
            }
        }
        Ok(Self { folders, links, end: here })
    }
}

/// Returns the components of a path in reverse order.
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
    fn a_trusted_owner_that_is_not_a_number_is_named() {
        let note = " (`MLFLOW_DEPLOY_TRUSTED_OWNERS` has `bob`, which is not the id of a user)";
        assert_eq!(unknown_owner("1000, bob,").as_deref(), Some(note));
        assert_eq!(unknown_owner(" 1000 ,2\r\n"), None);
    }

    #[test]
    fn a_link_is_trusted_if_only_its_owner_can_change_it() {
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
        assert!(refusal(&safe.join("loop")).starts_with("cannot be checked: too many links"));
    }

    #[test]
    fn a_file_below_a_world_writable_folder_is_not_trusted() {
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
    fn code_in_a_sticky_folder_is_not_trusted_but_a_file_is() {
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
    fn a_folder_link_or_file_of_another_user_is_not_trusted() {
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
