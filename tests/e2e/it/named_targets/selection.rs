//! Checks that a name is accepted wherever a target is, and that it selects the right target and plugin.

use std::fs;

use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::patch::PluginFile;
use serde_json::json;

use super::fixture::{ECHO, FAKETARGET, Home};

#[test]
fn a_name_is_accepted_wherever_a_target_is() {
    let home = Home::new("[targets.mine]\nuri = 'mirror://x'\n");
    let verbs = [
        "create --name n -m m",
        "update --name n",
        "delete --name n",
        "list",
        "get --name n",
        "predict --name n -I -",
        "predict --name n -I - --stream",
        "predict-batch --name n -I -",
        "explain --name n -I -",
        "create-endpoint --endpoint e",
        "update-endpoint --endpoint e",
        "delete-endpoint --endpoint e",
        "list-endpoints",
        "get-endpoint --endpoint e",
        "invoke repeat -C times:=1 -I -",
        "help",
    ];
    for verb in verbs {
        let by_name = home.run(&format!("{verb} -t mine")).plugin(FAKETARGET).stdin("{}").run();
        let by_uri = home.run(&format!("{verb} -t mirror://x")).plugin(FAKETARGET).stdin("{}").run();
        assert_eq!((by_name.code, &by_name.stdout), (by_uri.code, &by_uri.stdout), "{verb}: {by_name:?}");
    }
    let variable = home.run("list").plugin(FAKETARGET).env("MLFLOW_DEPLOYMENTS_TARGET", "mine").run();
    assert!(variable.code == 0 && variable.stdout.contains("é"), "{variable:?}");
    let local = home.run("run-local -t mine --name n -m brief").plugin(FAKETARGET).run();
    assert!(local.code == 0 && local.stdout.contains("n is served at"), "{local:?}");
    let which = home.run("plugins which mine --json").plugin(FAKETARGET).run().json();
    assert_eq!((&which["scheme"], &which["name"]), (&json!("mirror"), &json!("faketarget")));
}

#[test]
fn an_unknown_name_is_an_error_with_the_known_names() {
    let home = Home::new("[targets.staging]\nuri = 'echo'\n[targets.later]\nuri = 'nope://x'\n");
    let typo = home.run("list-endpoints -t stagin").plugin(ECHO).run();
    let message = "error: no plugin found for the target `stagin`; did you mean `staging`?; known schemes: `echo`; named \
                   targets: `later`, `staging`\n";
    assert!(typo.code == 3 && typo.stderr.starts_with(message), "{typo:?}");
    let which = home.run("plugins which stagin").plugin(ECHO).run();
    assert!(which.code == 3 && which.stderr.starts_with(message), "{which:?}");
    let variable = home.run("list-endpoints").plugin(ECHO).env("MLFLOW_DEPLOYMENTS_TARGET", "stagin").run();
    assert!(
        variable.stderr.contains("`stagin` of `MLFLOW_DEPLOYMENTS_TARGET`; did you mean `staging`?"),
        "{variable:?}"
    );
    let missing = home.run("list-endpoints -t later").plugin(ECHO).run();
    let message = "error: no plugin found for `nope://x` of the target `later`; known schemes: `echo`\n";
    assert!(missing.code == 3 && missing.stderr.starts_with(message), "{missing:?}");
}

#[test]
fn a_target_selects_one_of_several_plugins_by_name() {
    let home = Home::new("");
    let other = home.outside("libother.so");
    let file = PluginFile::read(cdylib::path(ECHO));
    fs::write(&other, file.with_member("name", json!("ohce"))).unwrap();
    let write = |plugin: &str| {
        fs::write(home.config(), format!("[targets.t]\nuri = 'echo'\nplugin = '{plugin}'\n")).unwrap();
    };
    let run = |verb: &str| home.run(verb).plugin(ECHO).arg("--plugin").arg(&other).run();
    for plugin in ["echo", "ohce"] {
        write(plugin);
        assert_eq!(run("plugins which t --json").json()["name"], plugin);
        let listed = run("list-endpoints -t t -v");
        assert!(listed.code == 0 && listed.stderr.contains(&format!("(plugin {plugin})")), "{listed:?}");
    }
    write("nope");
    let missing = run("list-endpoints -t t");
    let message =
        "error: the plugin `nope` of the target `t` is not found for `echo`; plugins for `echo`: `echo`, `ohce`\n";
    assert!(missing.code == 3 && missing.stderr.starts_with(message), "{missing:?}");
    // Two plugins in one directory are ambiguous unless the target names one.
    let folder = home.outside("both");
    fs::create_dir(&folder).unwrap();
    fs::copy(cdylib::path(ECHO), folder.join("a.so")).unwrap();
    fs::copy(&other, folder.join("b.so")).unwrap();
    write("ohce");
    let chosen = home.run("plugins which t").plugin_dir(&folder).run();
    assert_eq!((chosen.code, chosen.stdout), (0, format!("{}\n", folder.join("b.so").display())));
    assert_eq!(home.run("plugins which echo").plugin_dir(&folder).run().code, 3);
}

#[test]
fn a_target_precedes_a_later_plugin_with_its_name_as_scheme() {
    let home = Home::new("[targets.echo]\nuri = 'mirror'\n");
    let run = |verb: &str| home.run(verb).plugin(FAKETARGET).plugin(ECHO).run();
    let warning = format!(
        "warning: the target `echo` of `{}` is used, and not the scheme `echo` of the plugin `{}`: rename the target",
        home.config().display(),
        cdylib::path(ECHO).display()
    );
    let called = run("get-endpoint -t echo --endpoint e");
    assert!(called.code == 0 && called.stdout.contains("x: null"), "{called:?}");
    assert_eq!(called.stderr, format!("{warning} (plugin faketarget)\n"));
    let which = run("plugins which echo");
    assert_eq!(which.stderr, format!("{warning}\n"));
    assert_eq!(run("targets").stderr, format!("{warning}\n"));
    let before = home.run("get-endpoint -t echo --endpoint e").plugin(FAKETARGET).run();
    assert_eq!((before.code, before.stderr.as_str()), (0, ""));
    // A URI with the scheme still selects the plugin.
    assert!(run("get-endpoint -t echo: --endpoint echo").stdout.contains("name: echo"));
}
