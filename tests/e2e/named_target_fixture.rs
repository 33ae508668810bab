//! A host program that takes named targets from the user's configuration.
//!
//! `named_target_fixture NAME[,NAME…] ENDPOINT PLUGIN…` does the following for each NAME with one host: it sets the target
//! NAME, opens a client of it with the plugins, sends the input `1` to the endpoint, and runs NAME locally. It prints the
//! current target, the name and the URI of the opened target, and the result of each call, one line each. Events go to
//! stderr.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{Write, stderr, stdout};

use mlflow_deploy::args::{Predict, RunLocal};
use mlflow_deploy::{Host, Payload, blocking};

async fn run(names: &str, endpoint: &str, plugins: &[String]) -> Result<(), Box<dyn Error>> {
    let builder = Host::builder().search_path::<&str>([]).user_config()?.on_event(|event| {
        let _closed = writeln!(stderr(), "{:?}: {}", event.level, event.event.message);
    });
    let host = plugins.iter().fold(builder, |builder, plugin| builder.trusted_plugin(plugin)).build();
    for name in names.split(',') {
        call(&host, name, endpoint).await?;
    }
    Ok(())
}

async fn call(host: &Host, name: &str, endpoint: &str) -> Result<(), Box<dyn Error>> {
    host.set_deployments_target(name)?;
    writeln!(stdout(), "current: {}", host.get_deployments_target()?)?;
    let target = host.target(None)?;
    let named = target.named().map(|named| named.name.as_str());
    writeln!(stdout(), "target: {} {}", named.unwrap_or("-"), target.uri())?;
    let client = host.get_deploy_client(None).await?;
    let answer = client.predict(Predict::endpoint(endpoint, Payload::from_json(&1)?)).await;
    match answer {
        Ok(answer) => writeln!(stdout(), "predict: {}", String::from_utf8_lossy(answer.bytes()))?,
        Err(error) => writeln!(stdout(), "predict: {} {error}", error.code())?,
    }
    let arguments = RunLocal { target_uri: name.to_owned(), ..RunLocal::new("name", "brief") };
    match host.run_local(arguments).await {
        Ok(mut local) => match local.next().await {
            Some(Ok(event)) => writeln!(stdout(), "run_local: {}", String::from_utf8_lossy(event.bytes()))?,
            Some(Err(error)) => writeln!(stdout(), "run_local: {error}")?,
            None => writeln!(stdout(), "run_local: nothing")?,
        },
        Err(error) => writeln!(stdout(), "run_local: {}", error.code())?,
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [names, endpoint, plugins @ ..] = arguments.as_slice() else {
        return Err("usage: named_target_fixture NAME[,NAME…] ENDPOINT PLUGIN…".into());
    };
    blocking::wait(run(names, endpoint, plugins))
}
