//! Checks that `plugins list`, `plugins which`, `plugins doctor`, `help` and a call agree about each plugin file. The
//! call has to succeed if the other verbs show the plugin as usable, and to fail otherwise.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mlflow_deploy_test_support::patch::PluginFile;
use mlflow_deploy_test_support::{broken, cdylib};
use serde_json::{Value, json};

use crate::command::{Ran, mlflow_deploy};

const SCHEME: &str = "c-echo";

/// The outputs of the compared verbs for one scheme.
#[derive(Debug)]
struct Answers {
    list: Ran,
    doctor: Ran,
    which: Ran,
    help: Ran,
    call: Ran,
}

impl Answers {
    /// Runs each compared verb for a target of this scheme. Adds further arguments, such as `--plugin-dir DIR`.
    fn of(scheme: &str, arguments: &[&Path]) -> Self {
        let ask = |verb: &str| {
            let run = arguments.iter().fold(mlflow_deploy(&format!("{verb} --json")), |run, each| run.arg(each));
            // The configuration turns the preflight off, because the host stores the result of a preflight.
            run.env("XDG_CONFIG_HOME", config()).run()
        };
        Self {
            list: ask("plugins list"),
            doctor: ask("plugins doctor"),
            which: ask(&format!("plugins which {scheme}")),
            help: ask("help"),
            call: ask(&format!("list-endpoints -t {scheme}")),
        }
    }

    /// Returns the state of a plugin file in the output of `list` and in the output of `doctor`. Replaces `ready`, the
    /// word of `doctor`, by `usable`.
    fn states(&self, file: &Path) -> [String; 2] {
        [&self.list, &self.doctor].map(|ran| {
            let listing: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
            let entries = listing["plugins"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["file"].as_str() == file.to_str());
            entry.unwrap_or_else(|| panic!("{} is not listed: {listing:#}", file.display()))["state"]
                .as_str()
                .unwrap()
                .replace("ready", "usable")
        })
    }

    /// Returns the path of the plugin file that `which` prints, or `None` if `which` fails.
    fn winner(&self) -> Option<PathBuf> {
        (self.which.code == 0).then(|| self.which.json()["file"].as_str().unwrap().into())
    }

    /// Returns true if the output of `help` lists the scheme.
    fn is_offered(&self, scheme: &str) -> bool {
        let listed: Value = serde_json::from_str(&self.help.stdout).unwrap_or_default();
        listed["targets"].as_array().is_some_and(|targets| {
            targets.iter().any(|target| target["schemes"].as_array().unwrap().contains(&json!(scheme)))
        })
    }

    /// Asserts that all verbs agree about `file`, the only plugin file for the scheme.
    fn assert_agree(&self, scheme: &str, file: &Path) {
        let [listed, diagnosed] = self.states(file);
        let is_usable = listed == "usable";
        let shown = format!("{}: {self:#?}", file.display());
        assert_eq!(listed, diagnosed, "{shown}");
        assert_eq!(self.winner().is_some(), is_usable, "{shown}");
        assert_eq!(self.is_offered(scheme), is_usable, "{shown}");
        assert_eq!(self.call.code == 0, is_usable, "{shown}");
        if !is_usable {
            assert_eq!((self.which.code, self.call.code), (3, 3), "{shown}");
        }
    }
}

/// Returns a folder with a configuration that turns off the preflight: the host's trial load of a plugin in a separate
/// process.
fn config() -> PathBuf {
    static FOLDER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let write = || {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::create_dir(folder.join("mlflow-deploy")).unwrap();
        fs::write(folder.join("mlflow-deploy/config.toml"), "try-first-loads = false\n").unwrap();
        folder
    };
    FOLDER.get_or_init(write).clone()
}

fn write(path: &Path, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

#[test]
fn every_odd_file_is_judged_alike_by_all_verbs() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = PluginFile::read(cdylib::c_plugin());
    let alone = |name: &str, bytes: &[u8]| write(&folder.path().join(name).join(name).with_extension("so"), bytes);
    let mut files = vec![
        alone("good", &plugin.elf),
        alone("dot.in.name", &plugin.elf),
        alone("spa ce", &plugin.elf),
        alone("read-only", &plugin.elf),
        alone("unknown-operation", &plugin.with_member("operations", json!(["list_endpoints", "fly"]))),
        alone("other-name", &plugin.with_member("name", json!("other"))),
    ];
    fs::set_permissions(&files[3], Permissions::from_mode(0o444)).unwrap();
    let link = folder.path().join("link/link.so");
    fs::create_dir(link.parent().unwrap()).unwrap();
    symlink(&files[0], &link).unwrap();
    files.push(link);
    let all = folder.path().join("all");
    fs::create_dir(&all).unwrap();
    for (path, _) in [broken::all(&all), broken::unloadable(&all)].concat() {
        let own = folder.path().join("broken").join(path.file_stem().unwrap());
        fs::create_dir_all(&own).unwrap();
        fs::rename(&path, own.join(path.file_name().unwrap())).unwrap();
        files.push(own.join(path.file_name().unwrap()));
    }
    let mut usable = 0;
    for file in &files {
        let answers = Answers::of(SCHEME, &[Path::new("--plugin-dir"), file.parent().unwrap()]);
        answers.assert_agree(SCHEME, file);
        usable += usize::from(answers.call.code == 0);
    }
    assert_eq!((usable, files.len() > 40), (7, true), "{files:?}");
}

#[test]
fn names_that_are_not_those_of_libraries_are_neither_listed_nor_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plugin", "plugin.so.1", "plugin.SO", "plugin.dll", "below/plugin.so"] {
        write(&folder.path().join(name), &PluginFile::read(cdylib::c_plugin()).elf);
    }
    let answers = Answers::of(SCHEME, &[Path::new("--plugin-dir"), folder.path()]);
    let listing: Value = answers.list.json();
    assert_eq!(listing["plugins"], json!([]), "{answers:?}");
    assert_eq!((answers.winner(), answers.is_offered(SCHEME)), (None, false));
    assert_eq!((answers.which.code, answers.call.code), (3, 3), "{answers:?}");
}

#[test]
fn plugins_that_compete_for_a_scheme_are_judged_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let plugin = PluginFile::read(cdylib::c_plugin());
    let with = |schemes: Value| plugin.with_member("schemes", schemes);
    let (one, two) = (write(&at("same/one.so"), &plugin.elf), write(&at("same/two.so"), &plugin.elf));
    let same = Answers::of(SCHEME, &[Path::new("--plugin-dir"), &at("same")]);
    for file in [&one, &two] {
        assert_eq!(same.states(file), ["ambiguous", "ambiguous"]);
    }
    assert_eq!((same.winner(), same.is_offered(SCHEME), same.call.code), (None, false, 3), "{same:?}");

    let flag = Path::new("--plugin-dir");
    let (first, second) = (write(&at("first/a.so"), &plugin.elf), write(&at("second/a.so"), &plugin.elf));
    let shadowed = Answers::of(SCHEME, &[flag, &at("first"), flag, &at("second")]);
    assert_eq!((shadowed.states(&first), shadowed.states(&second)), (both("usable"), both("shadowed")));
    assert_eq!((shadowed.winner(), shadowed.call.code), (Some(first), 0), "{shadowed:?}");

    // Two plugins share one scheme, and each is used for its other scheme.
    let ours = write(&at("part/ours.so"), &with(json!(["c-echo", "x"])));
    write(&at("part/theirs.so"), &with(json!(["x", "y"])));
    for (scheme, winner, code) in [("c-echo", Some(ours), 0), ("x", None, 3)] {
        let part = Answers::of(scheme, &[flag, &at("part")]);
        assert_eq!((part.winner(), part.is_offered(scheme), part.call.code), (winner.clone(), winner.is_some(), code));
    }

    // A rejected file does not hide a later one.
    let rejected = write(&at("rejected/a.so"), &plugin.with_member("abi", json!(9)));
    let behind = write(&at("behind/a.so"), &plugin.elf);
    let hidden = Answers::of(SCHEME, &[flag, &at("rejected"), flag, &at("behind")]);
    assert_eq!((hidden.states(&rejected), hidden.states(&behind)), (both("refused"), both("usable")));
    assert_eq!((hidden.winner(), hidden.is_offered(SCHEME), hidden.call.code), (Some(behind), true, 0), "{hidden:?}");
}

#[test]
fn plugin_that_the_lock_file_lacks_is_refused_by_all_verbs() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    let file = write(&folder.path().join("plugins/a.so"), &PluginFile::read(cdylib::c_plugin()).elf);
    let arguments = [Path::new("--plugin-dir"), file.parent().unwrap(), Path::new("--lock-file"), &lock];
    fs::write(&lock, "version = 1\n").unwrap();
    let refused = Answers::of(SCHEME, &arguments);
    assert_eq!(refused.states(&file), both("refused"));
    refused.assert_agree(SCHEME, &file);
    let locked = arguments.iter().fold(mlflow_deploy("plugins lock"), |run, each| run.arg(each)).run();
    assert_eq!(locked.code, 0, "{locked:?}");
    let approved = Answers::of(SCHEME, &arguments);
    assert_eq!(approved.states(&file), both("usable"));
    approved.assert_agree(SCHEME, &file);
}

fn both(state: &str) -> [String; 2] {
    [state.to_owned(), state.to_owned()]
}
