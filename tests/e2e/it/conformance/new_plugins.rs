//! Builds the projects that `plugins new` writes, checks their plugins against the contract, and calls the plugins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlflow_deploy_test_support::peers;

use super::check;
use crate::command::mlflow_deploy;

/// The folder with the source code of this project.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn new_plugins_on_the_c_kit_are_strictly_conformant() {
    let folder = tempfile::tempdir().unwrap();
    let zig = format!("ZIG={} -m ziglang", peers::python_folder().join("python").display());
    for (language, arguments) in [("c", [].as_slice()), ("cpp", &[]), ("zig", &[zig.as_str()])] {
        let project = new_project(folder.path(), &format!("of-{language}"), &format!("--lang {language} --scheme x+y"));
        run(Command::new("make").args(arguments).current_dir(&project));
        let library = project.join(format!("of_{language}.so"));
        let config = fs::read_to_string(project.join("conformance.toml")).unwrap();
        for mode in [[].as_slice(), &["--isolated"]] {
            let report = check(&library, &config, &[&["--strict", "--seed", "1", "--timeout", "90"], mode].concat());
            println!("{}", report.summary());
            assert_eq!((report.bad(), report.unproven(), report.code), (vec![], vec![], 0), "{language} {mode:?}");
        }
        assert_counts_words(&library);
    }
}

#[test]
fn new_plugin_in_rust_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let project = new_project(folder.path(), "of-rust", &format!("--lang rust --scheme x+y --source {SOURCE}"));
    // With the versions of this workspace, cargo downloads nothing.
    fs::copy(Path::new(SOURCE).join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/new-plugin");
    let cargo = |verb| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([verb, "--offline"]).current_dir(&project).env("CARGO_TARGET_DIR", target);
        run(&mut cargo);
    };
    // The harness reads inputs of 64 MiB in an unoptimized build, which takes longer on a busy machine.
    let test = project.join("tests/conformance.rs");
    let patient = fs::read_to_string(&test)
        .unwrap()
        .replace(".strict()", ".strict().timeout(std::time::Duration::from_secs(300))");
    assert!(patient.contains("300"));
    fs::write(&test, patient).unwrap();
    cargo("test");
    cargo("build");
    let library = Path::new(target).join("debug/libof_rust.so");
    assert_counts_words(&library);

    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, log_in_connect_and_panic_in_list(&text)).unwrap();
    cargo("build");
    assert_logs_reach_the_command(&library);
}

/// Returns the source of a plugin that logs on a thread of its own and panics.
fn log_in_connect_and_panic_in_list(source: &str) -> String {
    let options = "let Options { upper } = options.parse()?;";
    let thread = r#"std::thread::spawn(|| tracing::info!("outside of a call")).join().unwrap();"#;
    let list = "Payload::from_json(&json!([{\"name\": ENDPOINT}]))";
    assert!(source.contains(options) && source.contains(list));
    source.replace(options, &format!("{options} {thread}")).replace(list, r#"panic!("no list")"#)
}

fn assert_logs_reach_the_command(library: &Path) {
    for isolate in ["", "--isolate"] {
        let predict = format!("predict -vv -t x+y --endpoint words --content-type text/plain {isolate} -I -");
        let ran = mlflow_deploy(&predict).args("--plugin").arg(library).stdin("one two").run();
        assert_eq!(ran.code, 0, "{ran:?}");
        for line in ["info: outside of a call (plugin of-rust)", "debug: counted the words words=2 (plugin of-rust)"] {
            assert!(ran.stderr.contains(line), "{ran:?}");
        }
        let list = format!("list-endpoints -vv -t x+y {isolate}");
        let has_backtrace = |value| {
            let ran = mlflow_deploy(&list).args("--plugin").arg(library).env("RUST_BACKTRACE", value).run();
            assert!(ran.code == 4 && ran.stderr.contains("the plugin panicked: no list (at src/lib.rs:"), "{ran:?}");
            ran.stderr.contains("debug: backtrace of the panic:") && ran.stderr.contains("list_endpoints")
        };
        assert!(has_backtrace("1") && !has_backtrace("0"), "{isolate}");
    }
}

#[test]
fn new_plugin_with_wrong_arguments_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    for (arguments, message) in [
        ("taken --lang c", "the folder `taken` exists already: choose another name"),
        ("Upper --lang c", "invalid name `Upper`: expected a-z, then a-z, 0-9, `-`"),
        ("../up --lang c", "invalid name `../up`"),
        ("ok --lang c --scheme a/b", "invalid scheme `a/b`: expected a-z, then a-z, 0-9, `+`, `-`, `.`"),
        ("ok --lang rust", "name a folder with its source code with `--source`"),
        ("ok --lang rust --source .", "`.` is not a folder with the source code of mlflow-deploy"),
    ] {
        let ran = mlflow_deploy("plugins new").args(arguments).current_dir(folder.path()).run();
        assert!(ran.code == 2 && ran.stderr.contains(message), "{arguments}: {ran:?}");
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["taken"]);
}

/// Runs `plugins new` in a folder. Returns the path of the project.
fn new_project(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let ran = mlflow_deploy("plugins new").arg(name).args(arguments).current_dir(folder).run();
    let said = format!("wrote the project `{name}`: its README.md has the next commands\n");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, said.as_str(), ""));
    let project = folder.join(name);
    for file in ["README.md", "LICENSE", ".gitignore", ".github/workflows/ci.yml", "conformance.toml"] {
        let text = fs::read_to_string(project.join(file)).unwrap();
        // GitHub's own placeholders begin with a dollar sign.
        assert!(!text.replace("${{", "").contains("{{"), "{file}: {text}");
    }
    project
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn assert_counts_words(library: &Path) {
    let predict = "predict -t x+y --endpoint words --content-type text/plain -I -";
    let ran = mlflow_deploy(predict).args("--plugin").arg(library).stdin("one two three").run();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"words\":3}\n"), "{ran:?}");
}
