//! Passes the target triple on: a plugin's manifest names the machine it was built for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=MLFLOW_DEPLOY_TARGET={target}");
}
