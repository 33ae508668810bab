//! Checks that a secret from each place reaches the server, and appears nowhere else.

use std::fs::{self, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::thread;

use mlflow_deploy_test_support::server::{Answer, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::json;

use super::fixture::{HERMIT, Home, OPENAI, command_lines_with};

const SECRET: &str = "S3CR3T-named-0123456789";

/// Adds the target `prod`, whose `api_key` is the secret from this place: `env`, `file` or `command`.
fn home(place: &str, isolation: &str, server: &Server) -> Home {
    let home = Home::new("");
    fs::write(home.outside("token"), format!("{SECRET}\n")).unwrap();
    let place = match place {
        "env" => "{ env = \"THE_TOKEN\" }".to_owned(),
        "file" => format!("{{ file = {:?} }}", home.outside("token")),
        _ => {
            let script = home.script("pass", &format!("cat '{}'", home.outside("token").display()));
            format!("{{ command = [{script:?}, \"show\", \"x\"] }}")
        }
    };
    let url = server.url();
    let config = format!(
        "[targets.prod]\nuri = 'openai'\nisolation = '{isolation}'\n\n[targets.prod.options]\nbase_url = '{url}/v1'\n\
         max_retries = '0'\napi_key = {place}\n"
    );
    fs::write(home.config(), config).unwrap();
    home
}

#[test]
fn a_secret_of_each_place_reaches_the_server_and_nothing_else() {
    for place in ["env", "file", "command"] {
        for isolation in ["none", "process"] {
            for status in [200, 401] {
                let exposed = Arc::new(Mutex::new(Vec::new()));
                let seen = Arc::clone(&exposed);
                let server = Server::answering(move |request| {
                    seen.lock().unwrap().extend(command_lines_with(SECRET));
                    let told = request.header("authorization").unwrap_or_default();
                    let body = match status {
                        200 => json!({"choices": []}),
                        _ => json!({"error": {"message": format!("not {told}"), "code": told}}),
                    };
                    Answer::new(status, body.to_string())
                });
                let home = home(place, isolation, &server);
                let predict = home.run("predict -t prod --endpoint m -I - -vv").plugin(OPENAI);
                let ran = predict.env("THE_TOKEN", SECRET).stdin(r#"{"messages": []}"#).run();
                assert_eq!(ran.code, if status == 200 { 0 } else { 1 }, "{place}: {ran:?}");
                let requests = server.requests();
                let bearer = format!("Bearer {SECRET}");
                assert_eq!(requests[0].header("authorization"), Some(bearer.as_str()), "{place}");
                assert!(!ran.stdout.contains("S3CR3T") && !ran.stderr.contains("S3CR3T"), "{place}: {ran:?}");
                assert!(ran.stderr.contains("own process") == (isolation == "process"), "{ran:?}");
                assert!(home.files_with(SECRET).is_empty(), "{place}: {:?}", home.files_with(SECRET));
                assert_eq!(*exposed.lock().unwrap(), [""; 0], "{place}");
            }
        }
    }
}

#[test]
fn a_command_has_no_input_and_its_arguments_are_not_interpreted() {
    let server = Server::start([Answer::new(200, "{}")]);
    let home = home("command", "none", &server);
    let seen = home.outside("seen");
    home.script("pass", &format!("cat > '{0}'; echo \"$#:$2\" >> '{0}'; echo {SECRET}", seen.display()));
    let config = home.read_config().replace("\"show\", \"x\"", "\"show\", \"a b; $(touch x) *\"");
    fs::write(home.config(), config).unwrap();
    let ran = home.run("predict -t prod --endpoint m -I -").plugin(OPENAI).stdin("{\"messages\": []}").run();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(seen).unwrap(), "2:a b; $(touch x) *\n");
}

#[test]
fn a_plugin_that_prints_its_options_prints_no_secret() {
    let home = Home::new("[targets.leaky]\nuri = 'hermit'\n[targets.leaky.options]\nkey = { env = 'THE_TOKEN' }\n");
    for json in ["", "--json"] {
        let run = home.run(&format!("predict -t leaky --endpoint leak -I - -vv {json}")).plugin(HERMIT);
        let ran = run.env("THE_TOKEN", SECRET).stdin("1").run();
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("the options are ") && ran.stderr.contains("failed with the options "), "{ran:?}");
        assert!(ran.stderr.matches("<redacted>").count() >= 2 && !ran.stderr.contains("S3CR3T"), "{ran:?}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_an_error_with_the_reason() {
    let config = |place: &str| format!("[targets.prod]\nuri = 'hermit'\n[targets.prod.options]\nkey = {place}\n");
    let home = Home::new("");
    let failing = home.script("failing", &format!("echo {SECRET}; echo 'no key {SECRET}' >&2; exit 3"));
    let silent = home.script("silent", "exit 0");
    let endless = home.script("endless", "exec cat /dev/zero");
    let slow = home.script("slow", "exec sleep 600");
    fs::write(home.outside("open"), SECRET).unwrap();
    fs::set_permissions(home.outside("open"), Permissions::from_mode(0o666)).unwrap();
    for (place, code, reason) in [
        ("{ env = 'NOT_SET' }".to_owned(), 2, "the variable `NOT_SET` is not set"),
        ("{ file = 'no' }".to_owned(), 2, "cannot be used: cannot be checked: No such file"),
        (format!("{{ file = {:?} }}", home.outside("open")), 2, "not trusted: every user can change it"),
        (
            "{ command = ['no-such-program'] }".to_owned(),
            2,
            "`no-such-program` is not found in the directories of `PATH`",
        ),
        (format!("{{ command = [{failing:?}] }}"), 2, "failed (exit status: 3): no key <redacted>"),
        (format!("{{ command = [{silent:?}] }}"), 2, "printed nothing"),
        (format!("{{ command = [{endless:?}] }}"), 1, "larger than 1 MiB"),
    ] {
        fs::write(home.config(), config(&place)).unwrap();
        for verb in ["predict -t prod --endpoint e -I - -vv", "targets check prod -vv"] {
            let ran = home.run(verb).plugin(HERMIT).stdin("1").run();
            let context = format!("option `key` of the target `prod` in `{}`: ", home.config().display());
            assert_eq!(ran.code, code, "{ran:?}");
            assert!(ran.stderr.contains(&context) && ran.stderr.contains(reason), "{ran:?}");
            assert!(!ran.stderr.contains("S3CR3T") && ran.stdout.is_empty(), "{ran:?}");
        }
    }
    fs::write(home.config(), config(&format!("{{ command = [{slow:?}] }}"))).unwrap();
    let ran = home.run("predict -t prod --endpoint e -I - --timeout 0.5").plugin(HERMIT).stdin("1").run();
    assert_eq!(ran.code, 6, "{ran:?}");
}

/// A program of an interrupted run must not outlive it.
#[test]
fn an_interrupt_ends_the_program_of_a_secret() {
    let home = Home::new("");
    let pid_file = home.outside("pid");
    let script =
        home.script("slow", &format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 600", pid_file.display()));
    let config = format!("[targets.t]\nuri = 'hermit'\n[targets.t.options]\nkey = {{ command = [{script:?}] }}\n");
    fs::write(home.config(), config).unwrap();
    let mut command = home.run("predict -t t --endpoint e -I -").plugin(HERMIT).stdin("1").spawn();
    while !pid_file.exists() {
        assert!(command.try_wait().unwrap().is_none(), "the command waits for the program");
        thread::yield_now();
    }
    let program: i32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let program = pidfd_open(Pid::from_raw(program).unwrap(), PidfdFlags::empty()).unwrap();
    kill_process(Pid::from_child(&command), Signal::TERM).unwrap();
    assert_eq!(command.wait().unwrap().code(), Some(130));
    let mut program = [PollFd::from_borrowed_fd(program.as_fd(), PollFlags::IN)];
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut program, Some(&patience)).unwrap(), 1, "the program lives on");
}
