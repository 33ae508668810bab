//! Passes the target triple to the crate, which puts it into the manifest of a plugin.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=MLFLOW_DEPLOY_TARGET={target}");
}
