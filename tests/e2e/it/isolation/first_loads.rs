//! Checks the preflight: the host first loads a file in a separate process, and stores the result. If this load crashes
//! or hangs, the host quarantines the file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlflow_deploy::{CandidateState, Host, LoadError};
use mlflow_deploy_test_support::cdylib;
use serde_json::json;
use tempfile::TempDir;

use crate::command::{Ran, Run, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

/// A temporary folder with a copy of a plugin and with the stored state of the host.
struct PluginCopy {
    folder: TempDir,
    library: PathBuf,
}

impl PluginCopy {
    fn new(package: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("plugin.so");
        fs::copy(cdylib::path(package), &library).unwrap();
        Self { folder, library }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn run(&self, arguments: &str, way: &str) -> Ran {
        self.set_up(arguments).env("MISBEHAVE", way).stdin("[1]").run()
    }

    fn set_up(&self, arguments: &str) -> Run {
        mlflow_deploy(arguments).env("XDG_STATE_HOME", self.state()).plugin_dir(self.folder.path())
    }
}

fn misbehave() -> PluginCopy {
    PluginCopy::new("mlflow-deploy-fixture-misbehave")
}

const PREDICT: &str = "predict -t misbehave --endpoint e -I -";

#[test]
fn verbose_output_tells_how_a_plugin_is_loaded() {
    let state = tempfile::tempdir().unwrap();
    let said = |more: &str| {
        let run = mlflow_deploy(&format!("list-endpoints -t echo {more}")).plugin(ECHO);
        let ran = run.env("XDG_STATE_HOME", state.path()).env("XDG_CONFIG_HOME", state.path()).run();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stderr
    };
    let served = format!("the target is served by `{}`, version 0.1.0", cdylib::path(ECHO).display());
    let new = "the plugin runs in this process; it is new, and is first tried in a separate process";
    let isolated = "the plugin runs in its own process: all plugins are isolated";
    let lines = |how: &str| format!("info: {served} (plugin echo)\ndebug: {how} (plugin echo)\n");
    for (flags, how) in
        [("-vv", new), ("-vv", "the plugin runs in this process; it was loaded before"), ("-vv --isolate", isolated)]
    {
        let said = said(flags);
        assert!(said.starts_with(&lines(how)), "{said}");
    }
    assert_eq!(said("-v"), format!("info: {served} (plugin echo)\n"));
    assert_eq!(said("-v --json"), format!("{}\n", json!({ "info": { "message": format!("{served} (plugin echo)") } })));
    assert_eq!(said(""), "");
}

#[test]
fn file_that_crashes_is_quarantined_until_a_retry() {
    for (way, isolate) in [("init-crash", ""), ("load-crash", ""), ("load-crash", "--isolate")] {
        let place = misbehave();
        let predict = format!("{PREDICT} {isolate}");
        let ran = place.run(&predict, way);
        assert_eq!(ran.code, 3, "{way}: {ran:?}");
        assert!(ran.stderr.contains("its process was killed by signal 6 (SIGABRT)"), "{way}: {ran:?}");

        // The file stays quarantined, although it would load without the fault.
        let quarantined = "quarantined, because on its first load its process was killed by signal 6 (SIGABRT)";
        let ran = place.run(&predict, "");
        assert_eq!(ran.code, 3, "{way}: {ran:?}");
        assert!(ran.stderr.contains(quarantined) && ran.stderr.contains("`mlflow-deploy plugins retry`"), "{ran:?}");
        let listed = place.run("plugins list --json", "").json();
        let reason = listed["plugins"][0]["reason"].as_str().unwrap();
        assert!(listed["plugins"][0]["state"] == "refused" && reason.starts_with(quarantined), "{listed}");

        let ran = place.run("plugins retry other", "");
        assert_eq!(ran.code, 2, "{ran:?}");
        let ran = place.run("plugins retry misbehave", way);
        assert_eq!(ran.code, 3, "{way}: {ran:?}");
        let ran = place.run("plugins retry", "");
        assert_eq!((ran.code, ran.stdout), (0, format!("{} can be loaded\n", place.library.display())), "{way}");
        assert_eq!(place.run(&predict, "").stdout, "[1]\n");
        assert_eq!(place.run("plugins retry", "").stdout, "no plugin is quarantined\n");
    }
}

#[test]
fn changed_file_is_tried_again_and_a_copy_stays_quarantined() {
    let place = misbehave();
    assert_eq!(place.run(PREDICT, "load-crash").code, 3);
    // The host quarantines the contents of a file, not its name.
    let copy = place.folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let copied = copy.join("other.so");
    fs::copy(&place.library, &copied).unwrap();
    let ran = mlflow_deploy(PREDICT).env("XDG_STATE_HOME", place.state()).plugin_dir(&copy).stdin("[1]").run();
    assert!(ran.code == 3 && ran.stderr.contains("quarantined, because"), "{ran:?}");
    let ran = mlflow_deploy("plugins retry").arg(&copied).env("XDG_STATE_HOME", place.state()).run();
    assert_eq!((ran.code, ran.stdout), (0, format!("{} can be loaded\n", copied.display())));

    assert_eq!(
        place.run("plugins retry", "load-crash").stdout,
        "no plugin is quarantined\n",
        "the retry cleared both names"
    );
    fs::remove_dir_all(place.state()).unwrap();
    assert_eq!(place.run(PREDICT, "load-crash").code, 3);
    OpenOptions::new().append(true).open(&place.library).unwrap().write_all(b"\n").unwrap();
    assert_eq!(place.run(PREDICT, "").stdout, "[1]\n");
}

/// The constructor of the library needs 4 MiB of stack. By default, a new thread has less stack and the main thread has
/// more.
#[test]
fn library_that_needs_4_mib_of_stack_loads() {
    const SOURCE: &str = "
        static void __attribute__((noinline)) use(int left) {
            volatile char block[4096];
            block[0] = 1;
            if (left > 0) use(left - 1);
            block[1] = block[0];
        }
        __attribute__((constructor)) static void construct(void) { use(1000); }";
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("deep.c"), folder.path().join("plugin.so"));
    fs::write(&source, SOURCE).unwrap();
    cdylib::compile_c_plugin(&library, Some(&source));
    for how in ["", "", "--isolate"] {
        let run = mlflow_deploy(&format!("list-endpoints -t c-echo {how}")).plugin_dir(folder.path());
        let ran = run.env("XDG_STATE_HOME", folder.path().join("state")).run();
        assert_eq!(ran.code, 0, "{how}: {ran:?}");
    }
}

/// When glibc's dynamic loader loads a library, it copies the library's program headers to the stack.
#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
fn library_with_65534_program_headers_does_not_crash_the_command() {
    let place = PluginCopy::new(ECHO);
    let mut bytes = fs::read(&place.library).unwrap();
    let number = |bytes: &[u8], at: usize, size: usize| {
        bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, count) = (number(&bytes, 32, 8), number(&bytes, 56, 2));
    let headers = bytes[table..table + count * 56].to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let moved = bytes.len() as u64;
    bytes[32..40].copy_from_slice(&moved.to_le_bytes());
    bytes[56..58].copy_from_slice(&65534u16.to_le_bytes());
    bytes.extend(&headers);
    // The added headers have the type `PT_NULL`.
    bytes.resize(bytes.len() + (65534 - count) * 56, 0);
    fs::write(&place.library, bytes).unwrap();
    for how in ["", "", "--isolate"] {
        let ran = place.run(&format!("list-endpoints -t echo {how}"), "");
        assert!([0, 3].contains(&ran.code), "{how}: {ran:?}");
    }
}

#[test]
fn file_that_hangs_is_quarantined_after_one_timeout() {
    let place = misbehave();
    let ran = place.run(PREDICT, "load-hang");
    assert!(ran.code == 3 && ran.stderr.contains("did not finish loading within 10 s"), "{ran:?}");
    let ran = place.run(PREDICT, "load-hang");
    let reason = "quarantined, because on its first load it did not finish loading within 10 s";
    assert!(ran.code == 3 && ran.stderr.contains(reason), "{ran:?}");
}

/// A preloaded library blocks large reads of the file. Only the host's hash of the file makes such reads, so it never
/// finishes.
#[test]
#[cfg(target_os = "linux")]
fn file_that_cannot_be_read_to_its_end_times_out() {
    const SOURCE: &str = "
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <unistd.h>
        ssize_t pread64(int file, void *buffer, size_t size, off_t at) {
            ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, \"pread64\");
            /* Blocks of this size are read by nothing but the hash. */
            while (size >= 128 * 1024) pause();
            return real(file, buffer, size, at);
        }";
    let place = PluginCopy::new(ECHO);
    let (source, preload) = (place.folder.path().join("slow.c"), place.folder.path().join("slow.preload"));
    fs::write(&source, SOURCE).unwrap();
    let mut compile = Command::new("cc");
    assert!(
        compile.args(["-shared", "-fPIC", "-o"]).arg(&preload).arg(&source).arg("-ldl").status().unwrap().success()
    );
    for (more, code, said) in
        [("", 3, "cannot be read: reading it took longer than 10 s"), (" --timeout 1", 6, "no answer within ")]
    {
        let run = place.set_up(&format!("list-endpoints -t echo{more}")).env("LD_PRELOAD", &preload);
        let ran = run.run();
        assert!(ran.code == code && ran.stderr.contains(said), "{ran:?}");
    }
    let ran = place.run("list-endpoints -t echo", "");
    assert_eq!(ran.code, 0, "it is not quarantined: {ran:?}");
}

#[test]
fn load_error_without_a_crash_does_not_quarantine() {
    let place = misbehave();
    for way in ["null-table", "init-null", "future-abi"] {
        assert_eq!(place.run(PREDICT, way).code, 3, "{way}");
    }
    // A user or the out-of-memory killer may have sent the `SIGKILL`, so the host does not quarantine the file.
    let ran = place.run(PREDICT, "load-kill");
    assert!(ran.code == 3 && ran.stderr.contains("its process was killed by signal 9 (SIGKILL)"), "{ran:?}");
    assert_eq!(place.run(PREDICT, "").stdout, "[1]\n");
}

#[test]
fn known_file_is_not_tried_again_and_list_tries_none() {
    let place = misbehave();
    assert_eq!(place.run("plugins list", "load-crash").code, 0);
    assert_eq!(place.run("plugins inspect plugin.so", "load-crash").code, 3, "the working directory has no such file");
    assert!(!place.state().exists(), "no preflight ran");

    // Without the plugin host program, the command reports that it skips the preflight, and continues.
    let none =
        |place: &PluginCopy| place.set_up(PREDICT).env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program").stdin("[1]").run();
    let ran = none(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "[1]\n"));
    assert!(ran.stderr.contains("is loaded without a trial") && ran.stderr.contains("`/no/program`"), "{ran:?}");
    assert!(none(&place).stderr.contains("is loaded without a trial"), "the file stays unknown");

    assert_eq!(place.run(PREDICT, "").stdout, "[1]\n");
    let ran = none(&place);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "[1]\n", ""));
}

#[test]
fn without_a_state_folder_every_load_is_tried() {
    let run = |way: &str| {
        let run = mlflow_deploy(PREDICT).plugin("mlflow-deploy-fixture-misbehave");
        run.env("MISBEHAVE", way).stdin("[1]").run()
    };
    for _ in 0..2 {
        let ran = run("load-crash");
        assert!(ran.code == 3 && ran.stderr.contains("during loading"), "{ran:?}");
    }
    assert_eq!(run("").stdout, "[1]\n");
}

#[test]
fn configuration_sets_isolation_and_preflight() {
    let place = misbehave();
    let config = place.folder.path().join("config/mlflow-deploy");
    fs::create_dir_all(&config).unwrap();
    let run = |text: &str, way: &str| {
        fs::write(config.join("config.toml"), text).unwrap();
        let run = place.set_up(PREDICT).env("XDG_CONFIG_HOME", config.parent().unwrap());
        run.env("MISBEHAVE", way).stdin("[1]").run()
    };
    let isolated = "[plugins.misbehave]\nisolation = \"process\"\n";
    let ran = run(isolated, "crash");
    assert!(ran.code == 4 && ran.stderr.starts_with("error: the plugin's process was killed by signal 6"), "{ran:?}");
    assert_eq!(run("[plugins.other]\nisolation = \"process\"\n", "").stdout, "[1]\n");
    let ran = run("[plugins.misbehave]\nisolation = \"proces\"\n", "");
    assert!(ran.code == 2 && ran.stderr.contains("line 2: unknown variant `proces`"), "{ran:?}");

    // Without a preflight, a crash of the plugin ends the command.
    fs::write(config.join("config.toml"), "try-first-loads = false").unwrap();
    let run = place.set_up(PREDICT).env("XDG_CONFIG_HOME", config.parent().unwrap());
    let output = run.env("MISBEHAVE", "load-crash").spawn().wait_with_output().unwrap();
    assert_eq!(output.status.code(), None, "{output:?}");
}

#[tokio::test]
async fn embedded_host_can_check_first_loads() {
    let place = PluginCopy::new("mlflow-deploy-example-echo");
    let host = |program: &Path| {
        let host = Host::builder().plugin(&place.library).plugin_host(program).on_event(|_| {});
        host.try_first_loads().state_dir(place.state()).build()
    };
    let program = cdylib::program("mlflow-deploy-plugin-host");
    host(program).get_deploy_client(Some("echo")).await.unwrap();
    let verdicts = place.state().join("verdicts");
    assert_eq!(fs::read_dir(&verdicts).unwrap().count(), 1);

    // The host trusts a stored result, and replaces it at a retry.
    let note = fs::read_dir(&verdicts).unwrap().next().unwrap().unwrap().path();
    fs::write(&note, r#"{"file": "/a.so", "quarantined": "ate the cat"}"#).unwrap();
    let host = host(program);
    let discovery = host.discover();
    let CandidateState::Refused(LoadError::Quarantined { reason }) = &discovery.candidates[0].state else {
        panic!("{discovery:?}")
    };
    assert_eq!(reason, "ate the cat");
    host.get_deploy_client(Some("echo")).await.unwrap_err();
    host.retry(&discovery.candidates[0]).await.unwrap();
    host.get_deploy_client(Some("echo")).await.unwrap();
}
