//! Runs `make install`. Checks that the installed command finds the plugins and ONNX Runtime, and that a program
//! elsewhere finds them through the library.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mlflow_deploy_test_support::{cdylib, onnxruntime};

use crate::command::{Ran, mlflow_deploy};

/// A scoring request with one row for the demo model.
const FLOWER: &str = r#"{"dataframe_split": {
    "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
    "data": [[5.1, 3.5, 1.4, 0.2]]
}}"#;

/// The part of the reply to [`FLOWER`] that the tests check. They do not check the model's probabilities.
const LABEL: &str = r#""label": 0"#;

/// A shell script that deploys the demo model with the installed command. It then predicts with this command and with
/// the program that embeds the library.
const SCRIPT: &str = r#"
set -eu
prefix=$1 model=$2 program=$3
cd /
"$prefix/bin/mlflow-deploy" create-endpoint -t local --endpoint flowers >&2
"$prefix/bin/mlflow-deploy" create -t local --name iris --endpoint flowers -m "$model" >&2
cat >"$HOME/inputs.json"
"$prefix/bin/mlflow-deploy" predict -t local --endpoint flowers -I "$HOME/inputs.json"
"$program" local flowers <"$HOME/inputs.json"
"#;

/// A shell script that copies the built files to an installation prefix, like the end of `make install`. It does not
/// build them.
const INSTALL: &str = r#"
set -eu
make -s -C "$REPOSITORY" install-built BUILT="$BUILT" "$@" >"$HOME/installed"
tail -n 1 "$HOME/installed"
"#;

/// A temporary home directory. Its commands get an environment that refers only to this directory, the repository and
/// the system's programs.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Returns a copy of the example program. Its folder has neither plugins nor ONNX Runtime.
    fn program(&self) -> PathBuf {
        let program = self.path("elsewhere/embed-host");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy(cdylib::program("embed-host"), &program).unwrap();
        program
    }

    /// Links ONNX Runtime into an installation prefix, at the path to which `make install` would download it.
    fn put_onnxruntime(prefix: &Path) {
        let folder = prefix.join("lib/mlflow-deploy");
        fs::create_dir_all(&folder).unwrap();
        let library = "libonnxruntime.so.1.31.1";
        std::os::unix::fs::symlink(onnxruntime::folder().join(library), folder.join(library)).unwrap();
    }

    /// Returns a command that runs `program` with the environment of this home directory.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.0.path());
        let built = cdylib::program("mlflow-deploy-conformance").parent().unwrap();
        command.env("REPOSITORY", repository()).env("BUILT", built);
        command
    }

    /// Runs a shell script with these arguments. Its standard input is [`FLOWER`].
    fn shell(&self, script: &str, arguments: &[&Path]) -> Ran {
        ran(self.command("sh").args(["-c", script, "sh"]).args(arguments))
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a program with [`FLOWER`] as its standard input.
fn ran(command: &mut Command) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its input closes the pipe.
    let _closed = child.stdin.take().unwrap().write_all(FLOWER.as_bytes());
    Ran::from(child.wait_with_output().unwrap())
}

/// Asserts that the script has printed two equal predictions: one of the command and one of the program.
fn assert_predicted(ran: &Ran) {
    let answers: Vec<_> = ran.stdout.lines().collect();
    assert!(ran.code == 0 && answers.len() == 2 && answers[0] == answers[1] && answers[0].contains(LABEL), "{ran:?}");
}

#[test]
fn program_predicts_with_the_plugins_of_a_user_s_install() {
    let home = Home::new();
    Home::put_onnxruntime(&home.path(".local"));
    let installed = home.shell(INSTALL, &[]);
    assert!(installed.code == 0 && !installed.stdout.contains("MLFLOW_DEPLOY_PLUGIN_PATH"), "{installed:?}");
    let model = repository().join("examples/iris/model");
    assert_predicted(&home.shell(SCRIPT, &[&home.path(".local"), &model, &home.program()]));

    let library =
        home.path(".local/lib/mlflow-deploy/plugins").join(cdylib::path("mlflow-deploy-local").file_name().unwrap());
    fs::set_permissions(&library, fs::Permissions::from_mode(0o757)).unwrap();
    let refused = ran(home.command(home.program()).args(["local", "flowers"]));
    let reason = format!("{}: not trusted: every user can change it", library.display());
    assert!(refused.code == 1 && refused.stderr.contains(&reason), "expected `{reason}`: {refused:?}");
}

#[test]
fn program_predicts_with_the_plugins_of_a_system_wide_install() {
    let (home, prefix) = (Home::new(), tempfile::tempdir().unwrap());
    Home::put_onnxruntime(prefix.path());
    let script = format!(
        "mount --bind \"$4\" /usr/local || exit 77\n(set -- PREFIX=/usr/local\n{INSTALL}) >&2 || exit 1\n{SCRIPT}"
    );
    let model = repository().join("examples/iris/model");
    let mut run = home.command("unshare");
    run.args(["-m", "sh", "-c", &script, "sh", "/usr/local"]).arg(model).arg(home.program());
    let ran = ran(run.arg(prefix.path()));
    if ran.code == 77 || ran.stderr.starts_with("unshare: ") {
        println!("skipped: only root on Linux can mount a directory");
        return;
    }
    assert_predicted(&ran);
}

#[test]
fn install_to_another_prefix_prints_the_variable_that_programs_need() {
    let home = Home::new();
    let prefix = home.path("opt");
    Home::put_onnxruntime(&prefix);
    let mut argument = std::ffi::OsString::from("PREFIX=");
    argument.push(&prefix);
    let installed = home.shell(INSTALL, &[Path::new(&argument)]);
    let (_, variable) = installed.stdout.split_once("need ").unwrap_or_else(|| panic!("{installed:?}"));
    let script = format!("export {variable}\n{SCRIPT}");
    let model = repository().join("examples/iris/model");
    assert_predicted(&home.shell(&script, &[&prefix, &model, &home.program()]));
}

/// A shell script that packs the built files, unpacks them in another folder, and runs them there with an empty
/// environment.
const DIST: &str = r#"
set -eu
make -s -C "$REPOSITORY" dist-built BUILT="$BUILT" DIST="$HOME/packed/mlflow-deploy" >&2
(cd "$HOME/packed" && sha256sum --check --quiet mlflow-deploy.tar.gz.sha256)
mkdir "$HOME/elsewhere" && cd "$HOME/elsewhere"
tar -xzf "$HOME/packed/mlflow-deploy.tar.gz" && rm -r "$HOME/packed"
test -x mlflow-deploy/share/mlflow-deploy/onnxruntime/install.sh && test -f mlflow-deploy/share/man/man1/mlflow-deploy.1
exec env -i "$HOME/elsewhere/mlflow-deploy/bin/$@"
"#;

#[test]
fn archive_runs_from_any_folder_with_an_empty_environment() {
    let list = Home::new().shell(DIST, &["mlflow-deploy", "plugins", "list"].map(Path::new));
    assert_eq!(list.code, 0, "{list:?}");
    for plugin in ["databricks", "gateway", "local", "openai"] {
        let file = format!("elsewhere/mlflow-deploy/lib/mlflow-deploy/plugins/libmlflow_deploy_{plugin}.so\n");
        assert!(list.stdout.contains(&file), "{list:?}");
    }
    let help = Home::new().shell(DIST, &["mlflow-deploy", "help", "-t", "openai", "--isolate"].map(Path::new));
    assert!(help.code == 0 && help.stdout.contains("openai"), "{help:?}");
    let plugin = "mlflow-deploy/lib/mlflow-deploy/plugins/libmlflow_deploy_ray.so";
    let harness = ["mlflow-deploy-conformance", plugin, "--isolated", "--only", "operations-open"];
    let checked = Home::new().shell(DIST, &harness.map(Path::new));
    assert!(checked.code == 0 && checked.stdout.contains("\nconformant: 1 passed"), "{checked:?}");
}

#[test]
fn missing_plugin_error_advises_what_its_reader_has() {
    let advice = |what: &str| {
        format!(
            "put a plugin into one of these directories, or specify its directory with `{what}` or \
             `MLFLOW_DEPLOY_PLUGIN_PATH`\n"
        )
    };
    let home = Home::new();
    let mut program = home.command(home.program());
    let program = ran(program.args(["echo", "echo"]).env("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1"));
    assert!(program.code == 1 && program.stderr.ends_with(&advice("HostBuilder::plugin_dir")), "{program:?}");
    let command = mlflow_deploy("predict -t echo --endpoint echo -I -").run();
    assert!(command.code == 3 && command.stderr.ends_with(&advice("--plugin-dir")), "{command:?}");
}
