//! Tests of the command with unusual files, with secrets in the wrong place, and with invalid arguments.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use mlflow_deploy_test_support::cdylib;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::command::{Run, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

fn predict() -> Run {
    mlflow_deploy("predict -t echo --endpoint echo -I -").plugin(ECHO).stdin("[1]")
}

#[test]
fn output_file_is_replaced_atomically_and_a_link_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "a long text that was here before").unwrap();
    symlink(&file, &link).unwrap();
    assert_eq!(predict().arg("-O").arg(&link).run().code, 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"[1]");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no partial file is left");
    let refused = predict().arg("-O").arg(folder.path()).run();
    assert_eq!((refused.code, refused.stderr.contains("is a directory")), (2, true), "{refused:?}");
    let missing = predict().arg("-O").arg(folder.path().join("no/file")).run();
    let said = format!("/no/file`: the directory `{}/no` does not exist\n", folder.path().display());
    assert_eq!((missing.code, missing.stderr.ends_with(&said)), (2, true), "{missing:?}");
}

#[test]
fn output_is_written_to_every_hard_link_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("file"), folder.path().join("other"));
    fs::write(&file, "a long text that was here before").unwrap();
    fs::hard_link(&file, &other).unwrap();
    assert_eq!(predict().arg("-O").arg(&file).run().code, 0);
    assert_eq!((fs::read(&file).unwrap(), fs::read(&other).unwrap()), (b"[1]".to_vec(), b"[1]".to_vec()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no partial file is left");
    let failed = mlflow_deploy("predict -t echo --endpoint echo --json -I - -O").arg(&file).plugin(ECHO);
    assert_eq!((failed.stdin("[").run().code, fs::read(&other).unwrap()), (1, b"[1]".to_vec()));
}

#[test]
fn plot_and_explanation_need_different_files() {
    let folder = tempfile::tempdir().unwrap();
    symlink("a.svg", folder.path().join("b.svg")).unwrap();
    fs::write(folder.path().join("c.svg"), "before").unwrap();
    fs::hard_link(folder.path().join("c.svg"), folder.path().join("a.svg")).unwrap();
    for other in ["a.svg", "./a.svg", "b.svg", "c.svg"] {
        let run = mlflow_deploy(&format!("explain -t mirror --name n -I - --plot a.svg -O {other}"));
        let run = run.plugin("mlflow-deploy-fixture-faketarget").current_dir(folder.path()).stdin("[1]").run();
        assert_eq!((run.code, run.stderr.contains("name one file")), (2, true), "{run:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is created");
    assert_eq!(fs::read(folder.path().join("a.svg")).unwrap(), b"before");
}

#[test]
fn output_to_a_pipe_or_device_does_not_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    assert_eq!(predict().arg("-O").arg(&pipe).run().code, 0);
    assert_eq!(reader.join().unwrap(), b"[1]\n");
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn secret_in_the_wrong_argument_is_not_printed() {
    for (arguments, code) in [
        ("list-endpoints -t http://127.0.0.1:1 --option token:=S3CRET", 2),
        ("list-endpoints -t http://127.0.0.1:1 --option tokenS3CRET", 2),
        ("list-endpoints -t http://127.0.0.1:1 --option headers=S3CRET", 2),
        ("list-endpoints -t http://127.0.0.1:1 --option token=S3CRET --option token=S3CRET", 2),
        ("list-endpoints -t http://127.0.0.1:1 --option token= S3CRET", 2),
        ("list-endpoints -t http://127.0.0.1:1 --option veryLongS3CRETindeed=", 2),
        ("list-endpoints -t htp://me:S3CRET@127.0.0.1/", 3),
        ("list-endpoints -t htp://me:p/S3CRET@127.0.0.1/", 3),
        ("list-endpoints -t htp:me:S3CRET@127.0.0.1", 3),
        ("list-endpoints -t htp://127.0.0.1/?token=S3CRET", 3),
    ] {
        for json in ["", "--json"] {
            let ran = mlflow_deploy(&format!("{arguments} {json}")).plugin("mlflow-deploy-gateway").run();
            assert_eq!(ran.code, code, "{ran:?}");
            assert!(!ran.stderr.is_empty() && !ran.stderr.contains("S3CRET"), "{ran:?}");
        }
    }
}

#[test]
fn unusable_file_of_plugin_option_is_an_error() {
    let ran = mlflow_deploy("list-endpoints -t echo --plugin /nowhere/mine.so").plugin(ECHO).run();
    assert_eq!((ran.code, ran.stderr.contains("/nowhere/mine.so")), (3, true), "{ran:?}");
}

#[test]
fn file_with_a_name_that_is_not_utf8_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff.so"));
    fs::copy(cdylib::path(ECHO), odd).unwrap();
    let listing = mlflow_deploy("plugins list --json").plugin_dir(folder.path()).run().json();
    assert!(listing["plugins"][0]["file"].as_str().unwrap().ends_with("a\u{fffd}.so"));
    assert_eq!(mlflow_deploy("list-endpoints -t nope --json").plugin_dir(folder.path()).run().code, 3);
}

#[test]
fn manual_pages_and_completions_are_generated() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    assert_eq!(mlflow_deploy("man --output-dir").arg(&pages).run().code, 0);
    for name in ["mlflow-deploy", "mlflow-deploy-predict", "mlflow-deploy-plugins-list"] {
        let page = fs::read_to_string(pages.join(name).with_extension("1")).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
    }
    assert!(mlflow_deploy("man").run().stdout.starts_with(".ie"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = mlflow_deploy(&format!("completions {shell}")).run();
        assert!(script.code == 0 && script.stdout.contains("create-endpoint"), "{shell}");
    }
}

#[test]
fn output_file_keeps_its_mode_and_a_dangling_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(predict().arg("-O").arg(&file).run().code, 0);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o666);
    symlink("new", &link).unwrap();
    assert_eq!(predict().arg("-O").arg(&link).run().code, 0);
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"[1]");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = predict().arg("-O").arg(&file).run();
    assert_eq!((refused.code, refused.stderr.ends_with("/file`: is read-only\n")), (2, true), "{refused:?}");
    assert_eq!(predict().arg("-O").arg("-").run().stdout, "[1]\n");
    let full = predict().arg("-O").arg("/dev/full").run();
    assert_eq!((full.code, full.stderr.contains("`/dev/full`: No space left")), (2, true), "{full:?}");
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for words in ["--help", "--version", "predict --help"] {
        let mut command = Command::new(cdylib::command());
        let status = command.args(words.split(' ')).stdout(full()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{words}");
    }
    let asked = mlflow_deploy("help predict").run();
    assert_eq!((asked.code, asked.stderr.contains("run `mlflow-deploy predict --help`")), (2, true), "{asked:?}");
}

#[test]
fn unsupported_operation_error_names_the_supported_verbs() {
    for (arguments, asked) in [
        ("create --name n -m m", "create"),
        ("list", "list"),
        ("explain --name n -I -", "explain"),
        ("run-local --name n -m m", "run-local"),
    ] {
        for isolate in ["", "--isolate"] {
            let ran = mlflow_deploy(&format!("{arguments} -t echo {isolate}")).plugin(ECHO).run();
            let said = "only `get-endpoint`, `list-endpoints`, `predict`, `predict --stream`, `help`";
            assert_eq!(ran.stderr, format!("error: the target does not support `{asked}`, {said}\n"));
            assert_eq!(ran.code, 2, "no request is sent: {ran:?}");
        }
    }
    let error = mlflow_deploy("list -t echo --json").plugin(ECHO).run().error();
    assert!(error["message"].as_str().unwrap().starts_with("the target does not support `list`"), "{error}");
    assert_eq!(
        (&error["code"], &error["details"]["operation"]),
        (&"NOT_IMPLEMENTED".into(), &"list_deployments".into())
    );
    assert_eq!(error["details"]["supported"][0], "get_endpoint");
}

#[test]
fn missing_credentials_have_the_exit_code_of_usage_errors() {
    let run = |options: &str| {
        let run =
            mlflow_deploy(&format!("list-endpoints -t databricks --json --option host=https://127.0.0.1:1 {options}"));
        run.plugin("mlflow-deploy-databricks").run()
    };
    let none = run("");
    assert_eq!((none.code, &none.error()["code"]), (2, &"INVALID_PARAMETER_VALUE".into()), "{none:?}");
    // The program `false` stands for a Databricks CLI that is not logged in.
    let of_nobody = run("--option databricks_cli_path=/usr/bin/false");
    assert_eq!((of_nobody.code, &of_nobody.error()["code"]), (2, &"UNAUTHENTICATED".into()), "{of_nobody:?}");
}

#[test]
fn invalid_timeout_is_an_error() {
    for (limit, said) in [
        ("-1", "invalid value '-1' for '--timeout <SECONDS>': expected a positive number of seconds"),
        ("1e400", "number of seconds is too large"),
    ] {
        let ran = mlflow_deploy(&format!("list-endpoints -t echo --timeout {limit}")).run();
        assert!(ran.code == 2 && ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn server_that_is_not_ready_in_time_is_an_error_and_a_ready_one_is_not_limited() {
    let run = |model: &str, limit: &str| {
        let run = mlflow_deploy(&format!("run-local -t mirror --name n -m {model} --timeout {limit} --json"));
        run.plugin("mlflow-deploy-fixture-faketarget")
    };
    let late = run("slow", "0.2").run();
    assert_eq!((late.code, late.error()["message"].as_str()), (6, Some("the server was not ready within 0.2 s")));
    assert_eq!(run("brief", "600").run().code, 0);
    let help = mlflow_deploy("help -t mirror --timeout 600").plugin("mlflow-deploy-fixture-faketarget").run();
    assert_eq!(help.code, 0, "{help:?}");
}

#[test]
fn server_that_ends_and_was_never_ready_is_a_plugin_fault() {
    let run = mlflow_deploy("run-local -t mirror --name n -m silent --json");
    let ran = run.plugin("mlflow-deploy-fixture-faketarget").run();
    let message = "the plugin ended without serving `n`: it sent no event `ready`";
    assert_eq!((ran.code, ran.error()["message"].as_str()), (4, Some(message)));
}

#[test]
fn quiet_and_verbose_exclude_each_other_at_every_place() {
    for arguments in ["plugins list -q -v", "-q plugins list -v", "-v plugins list -q", "-qvv plugins list"] {
        let ran = mlflow_deploy(arguments).run();
        let said = "error: the argument '--quiet' cannot be used with '--verbose': use one of them";
        assert_eq!((ran.code, ran.stderr.lines().next()), (2, Some(said)), "{ran:?}");
    }
    assert_eq!(mlflow_deploy("-v plugins list -v").run().code, 0);
}

#[test]
fn control_characters_from_a_target_are_escaped() {
    let ran = mlflow_deploy("get -t mirror --name a\u{1b}[2Jb").plugin("mlflow-deploy-fixture-faketarget").run();
    assert!(ran.stdout.starts_with("name: a\\u{1b}[2Jb\n"), "{ran:?}");
}

#[test]
fn arguments_are_checked_before_the_plugin_runs() {
    let ran = mlflow_deploy("predict -t panics:/connect --endpoint e -I - -C novalue");
    assert_eq!(ran.plugin("mlflow-deploy-fixture-panics").stdin("[1]").run().code, 2);
    let twice = mlflow_deploy("create-endpoint -t mirror --endpoint e --wait -C wait=false");
    let twice = twice.plugin("mlflow-deploy-fixture-faketarget").run();
    assert_eq!((twice.code, twice.stderr.as_str()), (2, "error: repeated parameter: `wait` is given twice\n"));
}

#[test]
fn input_above_the_size_limit_is_rejected_and_a_pipe_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["zero.json", "zero.yaml", "zero.toml"] {
        symlink("/dev/zero", path(name)).unwrap();
        for flag in ["--config-file", "--options-file"] {
            let ran = predict().arg(flag).arg(path(name)).run();
            assert_eq!((ran.code, ran.stderr.ends_with(": larger than 4 MiB\n")), (2, true), "{ran:?}");
        }
    }
    File::create(path("large")).unwrap().set_len((512 << 20) + 1).unwrap();
    let large = mlflow_deploy("predict -t echo --endpoint echo --plugin").arg(cdylib::path(ECHO));
    let large = large.arg("-I").arg(path("large")).run();
    assert_eq!((large.code, large.stderr.ends_with("/large`: larger than 512 MiB\n")), (2, true), "{large:?}");
    mknodat(CWD, path("pipe.json"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe = path("pipe.json");
    let writer = std::thread::spawn(move || fs::write(pipe, "{\"name\": 1}").unwrap());
    let ran = mlflow_deploy("create-endpoint -t mirror --endpoint e --json --config-file").arg(path("pipe.json"));
    let ran = ran.plugin("mlflow-deploy-fixture-faketarget").run();
    assert_eq!(ran.json()["config"]["name"], 1);
    writer.join().unwrap();
}

#[test]
fn result_that_json_cannot_hold_names_the_json_flag() {
    for flag in ["--stream", "--json"] {
        let run = mlflow_deploy(&format!("predict -t echo --endpoint echo --content-type image/png {flag} -I -"));
        let ran = run.plugin(ECHO).stdin(b"\xff\xfe").run();
        let said = format!("the result is `image/png`, which cannot be written as JSON: omit `{flag}`");
        assert_eq!((ran.code, ran.stderr.contains(&said)), (2, true), "{ran:?}");
    }
}
