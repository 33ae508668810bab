//! `with-peers [gateway|tracking] -- COMMAND [ARGUMENT…]` runs a command against a real MLflow gateway.
//!
//! The program starts the AI Gateway (the default) or the tracking server, in front of aimock, a fake of OpenAI's
//! server. For the command, it sets `MLFLOW_DEPLOYMENTS_TARGET` to the URL of the gateway or tracking server,
//! `OPENAI_API_BASE` to the URL of aimock, and `OPENAI_API_KEY` to the key of aimock. After the command has exited, the
//! program stops the servers and exits with the command's exit code.

use std::env;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use mlflow_deploy_test_support::peers::{Aimock, Gateway, TrackingServer, UPSTREAM_KEY};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (server, command) = match arguments.iter().position(|argument| argument == "--") {
        Some(dashes) => (&arguments[..dashes], &arguments[dashes + 1..]),
        None => return fail("usage: with-peers [gateway|tracking] -- COMMAND [ARGUMENT…]"),
    };
    let [program, arguments @ ..] = command else { return fail("with-peers: no command after `--`") };
    let mut command = Command::new(program);
    command.args(arguments);

    match server {
        [] => run_against_gateway(command),
        [name] if name == "gateway" => run_against_gateway(command),
        [name] if name == "tracking" => {
            let tracking = TrackingServer::start();
            run(command, tracking.url(), tracking.upstream())
        }
        _ => fail("with-peers: unknown server: use `gateway` or `tracking` before `--`, or nothing"),
    }
}

fn run_against_gateway(command: Command) -> ExitCode {
    let gateway = Gateway::start();
    run(command, gateway.url(), gateway.upstream())
}

fn run(mut command: Command, target: &str, upstream: &Aimock) -> ExitCode {
    command
        .env("MLFLOW_DEPLOYMENTS_TARGET", target)
        .env("OPENAI_API_BASE", format!("{}/v1", upstream.url()))
        .env("OPENAI_API_KEY", UPSTREAM_KEY);
    match command.status() {
        Ok(status) => ExitCode::from(exit_code(status)),
        Err(error) => fail(&format!("with-peers: failed to run `{}`: {error}", command.get_program().display())),
    }
}

/// Returns the exit code of a command. If a signal killed the command, returns 128 plus the number of the signal.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn fail(message: &str) -> ExitCode {
    // An error means that stderr is closed, and the message cannot be shown anywhere else.
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(2)
}
