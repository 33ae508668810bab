//! Checks the owners and modes of plugin files, of their folders, and of links to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use mlflow_deploy_test_support::cdylib;
use serde_json::Value;

use crate::command::{Ran, mlflow_deploy};

fn plugin(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(cdylib::path("mlflow-deploy-example-echo"), path).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn ask(folder: &Path) -> Ran {
    mlflow_deploy("list-endpoints -t echo").plugin_dir(folder).run()
}

#[test]
fn group_writable_plugin_is_a_warning_at_every_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.so");
    plugin(&file);
    mode(folder.path(), 0o775);
    mode(&file, 0o664);
    let warning =
        |path: &Path| format!("`{}` can be changed by its group: `chmod g-w {}`", path.display(), path.display());
    let ran = ask(folder.path());
    assert_eq!(ran.code, 0, "{ran:?}");
    let expected: String =
        [folder.path(), &file].map(|path| format!("warning: {} (plugin echo)\n", warning(path))).concat();
    assert_eq!(ran.stderr, expected);
    let listed = mlflow_deploy("plugins list").plugin_dir(folder.path()).run();
    assert!([folder.path(), &file].iter().all(|path| listed.stderr.contains(&warning(path))), "{listed:?}");
    let diagnosis = mlflow_deploy("plugins doctor --json").plugin_dir(folder.path()).run().json();
    assert_eq!(diagnosis["plugins"][0]["warnings"][0], warning(&file).as_str());
    assert_eq!(diagnosis["directories"][0]["warnings"][0], warning(folder.path()).as_str());
    assert_eq!(ask(folder.path()).stderr.lines().count(), 2);
    let quiet = mlflow_deploy("list-endpoints -t echo -q").plugin_dir(folder.path()).run();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn link_is_followed_unless_another_user_could_have_created_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let (real, links, open) = (root.join("real"), root.join("links"), root.join("open"));
    plugin(&real.join("echo.so"));
    fs::create_dir(&links).unwrap();
    fs::create_dir(&open).unwrap();
    mode(&open, 0o777);
    symlink(real.join("echo.so"), links.join("echo.so")).unwrap();
    assert_eq!(ask(&links).code, 0);
    symlink(&real, open.join("plugins")).unwrap();
    let by_link = ask(&open.join("plugins"));
    let reason = format!("not trusted: every user can change it: `{}` has mode 777; `chmod o-w", open.display());
    assert!(by_link.code == 3 && by_link.stderr.contains(&reason), "{by_link:?}");
    fs::remove_file(links.join("echo.so")).unwrap();
    symlink(real.join("echo.so"), open.join("echo.so")).unwrap();
    symlink(open.join("echo.so"), links.join("echo.so")).unwrap();
    let onward = ask(&links);
    assert!(onward.code == 3 && onward.stderr.contains(&reason), "{onward:?}");
    mode(&real.join("echo.so"), 0o666);
    let file = ask(&real);
    assert!(file.code == 3 && file.stderr.contains("echo.so` has mode 666; `chmod o-w"), "{file:?}");
}

/// The option `--trusted-plugin` exempts only the file that it names from the checks.
#[test]
fn trusted_plugin_option_exempts_the_named_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("echo.so"), folder.path().join("c.so"));
    plugin(&file);
    fs::copy(cdylib::c_plugin(), &other).unwrap();
    mode(folder.path(), 0o777);
    let named = |flag: &str, scheme: &str| {
        let run = mlflow_deploy(&format!("list-endpoints -t {scheme}")).arg(flag).arg(&file);
        run.plugin_dir(folder.path()).run()
    };
    assert_eq!(named("--plugin", "echo").code, 3);
    let trusted = named("--trusted-plugin", "echo");
    assert_eq!((trusted.code, trusted.stderr.as_str()), (0, ""));
    assert_eq!(named("--trusted-plugin", "c-echo").code, 3);
}

#[test]
fn file_of_another_user_is_rejected() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can change the owner of a file");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.so");
    plugin(&file);
    chown(&file, Some(54321), None).unwrap();
    let refused = ask(folder.path());
    let fix = format!("belongs to user 54321; `chown -h 0 {}` if you trust it", file.display());
    assert!(refused.code == 3 && refused.stderr.contains(&fix), "{refused:?}");
    let which = mlflow_deploy("plugins which echo").plugin_dir(folder.path()).run();
    assert_eq!(which.code, 3);
}

#[test]
fn folder_with_two_paths_is_listed_once() {
    let root = tempfile::tempdir().unwrap();
    let (real, link) = (root.path().join("real"), root.path().join("link"));
    plugin(&real.join("echo.so"));
    symlink(&real, &link).unwrap();
    let listing =
        mlflow_deploy("plugins list --json").plugin_dir(&real).plugin_dir(&link).plugin_dir(&real).run().json();
    assert_eq!(listing["plugins"].as_array().unwrap().len(), 1, "{listing:#}");
    let state = |at: usize| &listing["directories"][at]["state"];
    let same = Value::from(format!("same directory as `{}`", real.display()));
    assert_eq!((state(1), state(2)), (&same, &same), "{listing:#}");
}
