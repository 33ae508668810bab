//! Checks the verbs that list, check and change named targets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::fixture::{ECHO, FAKETARGET, Home, OPENAI};

#[test]
fn add_list_check_and_remove_a_target() {
    let home = Home::empty();
    assert_eq!(
        home.run("targets").run().stdout,
        "no named targets: `mlflow-deploy targets add NAME --uri URI` adds one\n"
    );
    let config = home.config();
    let file = config.display();
    let add = "targets add prod --uri openai -o base_url=http://127.0.0.1:1/v1 -o max_retries=2 --secret-env \
               api_key=THE_TOKEN --timeout 30 --isolation process --plugin-name openai";
    let added = home.run(add).plugin(OPENAI).run();
    assert_eq!(
        (added.code, added.stdout, added.stderr),
        (0, format!("added the target prod in {file}\n"), String::new())
    );
    let expected = "[targets.prod]\nuri = \"openai\"\ntimeout = 30\nisolation = \"process\"\nplugin = \"openai\"\n\n\
                    [targets.prod.options]\nbase_url = \"http://127.0.0.1:1/v1\"\nmax_retries = 2\n\
                    api_key = { env = \"THE_TOKEN\" }\n";
    assert_eq!(home.read_config(), expected);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(config.clone()), mode(config.parent().unwrap().to_owned())), (0o600, 0o700));

    // Neither the secret nor the variable is needed for a list.
    let listed = home.run("targets").plugin(OPENAI).run();
    let expected = format!(
        "prod\n  uri:      openai\n  option:   api_key from the variable `THE_TOKEN`\n  option:   base_url = \
         http://127.0.0.1:1/v1\n  option:   max_retries = 2\n  timeout:  30 s\n  runs in:  its own process\n  \
         plugin:   openai\n  file:     {file}\n"
    );
    assert_eq!((listed.code, listed.stdout), (0, expected));
    let listed = home.run("targets list --json").plugin(OPENAI).run().json();
    let expected = json!({"targets": [{
        "name": "prod", "uri": "openai", "timeout": 30.0, "isolation": "process", "plugin": "openai",
        "options": {
            "api_key": {"env": "THE_TOKEN"},
            "base_url": {"value": "http://127.0.0.1:1/v1"},
            "max_retries": {"value": 2},
        },
        "file": config.to_str().unwrap(), "shadowed": false,
    }]});
    assert_eq!(listed, expected);

    let failed = home.run("targets check").plugin(OPENAI).run();
    let reason = "the variable `THE_TOKEN` is not set";
    assert!(
        failed.code == 2 && failed.stdout.starts_with("prod: failed: ") && failed.stdout.contains(reason),
        "{failed:?}"
    );
    assert_eq!(failed.stderr, "error: 1 of 1 named targets cannot be used\n");
    let ready = home.run("targets check --json").plugin(OPENAI).env("THE_TOKEN", "k-0123456789").run().json();
    assert_eq!(ready, json!({"targets": [{"name": "prod", "usable": true, "plugin": "openai 0.1.0"}]}));

    let removed = home.run("targets remove prod").run();
    assert_eq!((removed.code, removed.stdout), (0, format!("removed the target prod from {file}\n")));
    assert_eq!(home.read_config(), "");
    let missing = home.run("targets remove prod").run();
    let message = "error: no target has the name `prod`; there are no named targets\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (5, message));
}

#[test]
fn a_list_shows_no_value_that_may_be_a_secret() {
    let home = Home::new(
        "[targets.a]\nuri = 'openai'\n[targets.a.options]\napi_key = 'S3CR3T-1'\nbase_url = 'http://me:S3CR3T-7@x'\nheaders = '{\"x\": \"S3CR3T-2\"}'\n\
         organization = { command = ['echo', 'S3CR3T-3'] }\nunknown = 'S3CR3T-4'\n[targets.b]\nuri = 'nope://me:S3CR3T-5@x'\n\
         [targets.b.options]\nany = 'S3CR3T-6'\n",
    );
    for arguments in ["targets", "targets --json", "targets list -vv"] {
        let listed = home.run(arguments).plugin(OPENAI).run();
        assert_eq!(listed.code, 0, "{listed:?}");
        assert!(!format!("{listed:?}").contains("S3CR3T"), "{listed:?}");
        assert!(listed.stdout.contains("echo") && listed.stdout.contains("any"), "{listed:?}");
    }
}

#[test]
fn changes_keep_the_rest_of_the_file_and_its_mode() {
    let text = "# my settings\ntry-first-loads = true # slow disk\n\n# isolated, because it crashes\n[plugins.echo]\n\
                isolation = 'process'   # really\n\n# the old one\n[targets.old]\nuri = 'echo' # here\n\n# the end\n";
    let home = Home::new(text);
    fs::set_permissions(home.config(), Permissions::from_mode(0o640)).unwrap();
    assert_eq!(home.run("targets add new --uri echo://y").plugin(ECHO).run().code, 0);
    assert_eq!(home.read_config(), format!("{text}\n[targets.new]\nuri = \"echo://y\"\n"));
    assert_eq!(home.run("targets remove new").run().code, 0);
    assert_eq!(home.run("targets remove old").run().code, 0);
    let rest = home.read_config();
    for kept in [
        "# my settings\ntry-first-loads = true # slow disk\n\n# isolated, because it crashes\n[plugins.echo]\n\
                  isolation = 'process'   # really\n",
        "# the end\n",
    ] {
        assert!(rest.contains(kept), "{rest}");
    }
    assert!(!rest.contains("targets"), "{rest}");
    assert_eq!(fs::metadata(home.config()).unwrap().permissions().mode() & 0o777, 0o640);
    let entries = fs::read_dir(home.config().parent().unwrap()).unwrap().count();
    assert_eq!(entries, 1, "no temporary file is left");
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let home = Home::empty();
    let runs: Vec<_> =
        (0..6).map(|at| home.run(&format!("targets add t{at} --uri echo")).plugin(ECHO).spawn()).collect();
    for run in runs {
        assert!(run.wait_with_output().unwrap().status.success());
    }
    let listed = home.run("targets --json").plugin(ECHO).run().json();
    assert_eq!(listed["targets"].as_array().unwrap().len(), 6, "{listed:#}");
}

#[test]
fn add_of_an_invalid_target_is_an_error_that_changes_nothing() {
    let before = "[targets.known]\nuri = 'faketarget'\n";
    let home = Home::new(before);
    for (arguments, message) in [
        ("echo --uri echo://x", "`echo` is a scheme of the plugin `echo`, not a name of a target: choose another name"),
        ("Echo --uri echo://x", "`Echo` is a scheme of the plugin `echo`"),
        ("a.b --uri echo", "invalid name `a.b` of a target: expected letters, digits, `-` and `_`"),
        ("known --uri echo", "has a target `known`: use `--replace`, or choose another name"),
        ("new --uri known", "`known` is the name of a target: give a target URI"),
        ("new --uri new", "`new` is the name of a target: give a target URI"),
        ("new --uri :", "invalid target URI `:`"),
        ("new --uri echo -o S3CR3T", "options must be a pair"),
        ("new --uri echo --secret-env S3CR3T", "`--secret-env` must be a pair, given as `--secret-env key=place`"),
        ("new --uri echo -o k=v --secret-env k=V", "repeated parameter: `k` is given twice"),
        ("new --uri openai --secret-env api_kye=V", "unknown key `--option api_kye`; did you mean `api_key`?"),
        ("new --uri openai -o max_retries=S3CR3T", "the target expects an integer"),
        ("new --uri echo --secret-env k=A=B", "`env` must be the name of a variable"),
        ("new --uri echo --secret-command k=[S3CR3T", "is not a JSON list of strings"),
        ("new --uri echo --timeout 0", "expected a positive number of seconds"),
    ] {
        let run = home.run(&format!("targets add {arguments}")).plugin(FAKETARGET).plugin(ECHO).plugin(OPENAI);
        let ran = run.run();
        assert!(ran.code == 2 && ran.stderr.contains(message), "{arguments}: {ran:?}");
        assert!(!ran.stderr.contains("S3CR3T"), "{ran:?}");
        assert_eq!(home.read_config(), before);
    }
}

#[test]
fn add_warns_of_a_secret_in_plain_text_and_of_a_missing_plugin() {
    let home = Home::new("");
    let plain = home.run("targets add a --uri openai -o api_key=k-0123456789").plugin(OPENAI).run();
    let warning = "warning: the secret `api_key` is stored as plain text: `--secret-env`, `--secret-file` or `--secret-command` \
                   stores only its place\n";
    assert_eq!((plain.code, plain.stderr.as_str()), (0, warning));
    let later = home.run("targets add b --uri nope://x -o k=v").plugin(OPENAI).run();
    let warning = "warning: the target `b` cannot be used yet: no plugin found for the target `nope://x`; known schemes: `openai`\n";
    assert_eq!((later.code, later.stderr.as_str()), (0, warning));
    let replaced = home.run("targets add b --uri openai --replace --json").plugin(OPENAI).run();
    assert_eq!(replaced.json()["replaced"], true);
    assert!(!home.read_config().contains("nope"), "{}", home.read_config());
}

#[test]
fn places_of_secrets_are_stored_with_absolute_paths() {
    let home = Home::new("");
    let add = home.run("targets add a --uri echo --secret-file f=token --secret-file h=~/token --secret-command");
    let ran = add.arg("c=./pass show x").args("--secret-command").arg("d=[\"pass\", \"a b\"]").plugin(ECHO).run();
    assert_eq!(ran.code, 0, "{ran:?}");
    let folder = home.outside("").parent().unwrap().to_owned();
    let config = home.read_config();
    for line in [
        format!("f = {{ file = {:?} }}\n", folder.join("token")),
        "h = { file = \"~/token\" }\n".to_owned(),
        format!("c = {{ command = [{:?}, \"show\", \"x\"] }}\n", folder.join("pass")),
        "d = { command = [\"pass\", \"a b\"] }\n".to_owned(),
    ] {
        assert!(config.contains(&line), "{config}\n{line}");
    }
}

#[test]
fn check_reports_every_target() {
    let home = Home::new("[targets.good]\nuri = 'echo'\n[targets.later]\nuri = 'nope'\n");
    let checked = home.run("targets check").plugin(ECHO).run();
    let expected = "good: ready, with the plugin echo 0.1.0\nlater: failed: no plugin found for `nope` of the target `later`; \
                    known schemes: `echo`\n";
    assert_eq!((checked.code, checked.stdout.as_str()), (3, expected));
    assert_eq!(checked.stderr, "error: 1 of 2 named targets cannot be used\n");
    let one = home.run("targets check good").plugin(ECHO).run();
    assert_eq!((one.code, one.stdout.as_str()), (0, "good: ready, with the plugin echo 0.1.0\n"));
    let unknown = home.run("targets check godo").plugin(ECHO).run();
    let message = "error: no target has the name `godo`; did you mean `good`?; named targets: `good`, `later`\n";
    assert_eq!((unknown.code, unknown.stderr.as_str()), (5, message));
    let json = home.run("targets check --json").plugin(ECHO).run();
    assert_eq!(json.error()["code"], "PLUGIN_NOT_FOUND", "{json:?}");
    let stuck = Home::new("[targets.stuck]\nuri = 'misbehave'\n");
    let run = stuck.run("targets check --timeout 0.5").plugin("mlflow-deploy-fixture-misbehave");
    assert_eq!(run.env("MISBEHAVE", "open-never").run().code, 6);
}

#[test]
fn a_configuration_with_an_unknown_key_is_an_error_with_the_line() {
    let home = Home::new("[targets.a]\nuri = 'echo'\ntimeuot = 3\n");
    for verb in ["targets", "list-endpoints -t a", "targets remove a"] {
        let ran = home.run(verb).plugin(ECHO).run();
        let message = "line 3: unknown field `timeuot`, expected one of `uri`, `options`, `timeout`, `isolation`, `plugin`; did \
                       you mean `timeout`?";
        assert!(ran.code == 2 && ran.stderr.contains(message), "{ran:?}");
    }
}
