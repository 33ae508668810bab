//! Checks that a project file is read only if the user trusts its content.

use std::fs;

use serde_json::json;

use super::fixture::{ECHO, Home};
use crate::command::Run;

/// A home directory, and a project directory with `mlflow-deploy.toml` and the subdirectory `below`.
fn project(config: &str, text: &str) -> Home {
    let home = Home::new(config);
    fs::create_dir_all(home.outside("project/below")).unwrap();
    fs::write(home.outside("project/mlflow-deploy.toml"), text).unwrap();
    home
}

/// Returns a run of the command below the project directory.
fn run(home: &Home, arguments: &str) -> Run {
    home.run(arguments).plugin(ECHO).current_dir(&home.outside("project/below"))
}

#[test]
fn a_project_file_is_read_after_it_is_trusted_and_until_it_changes() {
    let home = project("", "");
    let (marker, file) = (home.outside("marker"), home.outside("project/mlflow-deploy.toml"));
    let script = home.script("key", &format!("touch '{}'; echo the-key", marker.display()));
    let text = format!("[targets.team]\nuri = 'echo'\n[targets.team.options]\nkey = {{ command = [{script:?}] }}\n");
    fs::write(&file, &text).unwrap();
    let shown = file.display();
    let hint = format!("check it, then run `mlflow-deploy targets trust {shown}`");
    let untrusted = format!("`{shown}` is not read: it is not trusted, and may name programs to run; {hint}\n");

    let unread = run(&home, "list-endpoints -t team").run();
    assert_eq!(unread.code, 3, "{unread:?}");
    assert!(unread.stderr.ends_with(&untrusted) && unread.stderr.matches("is not read").count() == 1, "{unread:?}");
    let error = run(&home, "list-endpoints -t team --json").run().error();
    assert_eq!(error["details"]["project_file"], untrusted.trim_end());
    let listed = run(&home, "targets").run();
    assert_eq!(listed.stderr, format!("warning: {untrusted}"));
    for verb in ["targets check team", "plugins which team"] {
        let unknown = run(&home, verb).run();
        assert!(
            unknown.code != 0 && unknown.stderr.matches("is not read: it is not trusted").count() == 1,
            "{unknown:?}"
        );
    }
    for other in ["list-endpoints -t echo", "list-endpoints -t echo://x", "plugins list", "help"] {
        assert_eq!(run(&home, other).run().stderr, "", "{other}");
    }

    let trusted = run(&home, "targets trust").run();
    let expected = format!("trusted {shown}\n  team: echo\n    runs `{}` for key\n", script.display());
    assert_eq!((trusted.code, trusted.stdout), (0, expected));
    assert!(!marker.exists());
    let called = run(&home, "list-endpoints -t team").run();
    assert!(called.code == 0 && marker.exists(), "{called:?}");
    let listed = run(&home, "targets --json").run();
    assert_eq!((listed.json()["targets"][0]["name"].as_str(), listed.stderr.as_str()), (Some("team"), ""));

    fs::write(&file, text.clone() + "\n# changed\n").unwrap();
    let changed = run(&home, "list-endpoints -t team").run();
    let reason = format!("`{shown}` is not read: it has changed since it was trusted; {hint}\n");
    assert!(changed.code == 3 && changed.stderr.ends_with(&reason), "{changed:?}");
    fs::write(&file, &text).unwrap();
    assert_eq!(run(&home, "list-endpoints -t team").run().code, 0, "the trusted content is back");

    // The same content at another path is not trusted.
    fs::rename(home.outside("project"), home.outside("moved")).unwrap();
    let moved = home.run("list-endpoints -t team").plugin(ECHO).current_dir(&home.outside("moved")).run();
    assert!(moved.code == 3 && moved.stderr.contains("it is not trusted"), "{moved:?}");
}

#[test]
fn an_untrusted_project_file_is_not_read_at_all() {
    // A file that is not TOML, and settings that a project must not change.
    let home = project("[targets.mine]\nuri = 'echo'\n", "\u{0}not TOML [[[");
    let called = run(&home, "list-endpoints -t mine").run();
    assert_eq!((called.code, called.stderr.as_str()), (0, ""));
    let trusted = run(&home, "targets trust").run();
    assert!(
        trusted.code == 2 && trusted.stderr.contains("mlflow-deploy.toml` cannot be used: line 1: "),
        "{trusted:?}"
    );
    fs::write(home.outside("project/mlflow-deploy.toml"), "[plugins.echo]\nisolation = 'none'\n").unwrap();
    let trusted = run(&home, "targets trust").run();
    assert!(trusted.stderr.contains("line 1: unknown field `plugins`, expected `targets`"), "{trusted:?}");
    let untrusted = run(&home, "list-endpoints -t team").run();
    assert!(untrusted.stderr.contains("it is not trusted"), "{untrusted:?}");
}

#[test]
fn a_trusted_project_target_precedes_the_user_s() {
    let home = project("[targets.t]\nuri = 'nope'\n", "[targets.t]\nuri = 'echo'\n");
    assert_eq!(run(&home, "list-endpoints -t t").run().code, 3);
    assert_eq!(run(&home, "targets trust ../mlflow-deploy.toml").run().code, 0);
    assert_eq!(run(&home, "list-endpoints -t t").run().code, 0);
    let targets = run(&home, "targets --json").run().json()["targets"].clone();
    assert_eq!((&targets[0]["shadowed"], &targets[1]["shadowed"]), (&json!(false), &json!(true)));
    assert_eq!((&targets[0]["uri"], &targets[1]["uri"]), (&json!("echo"), &json!("nope")));
    // The verbs that change targets change the user's configuration alone.
    assert_eq!(run(&home, "targets remove t").run().code, 0);
    let removed = run(&home, "targets remove t").run();
    assert!(removed.code == 2 && removed.stderr.contains("is in the project file `"), "{removed:?}");
}

#[test]
fn trust_without_a_project_file_is_an_error() {
    let home = Home::new("");
    let missing = home.run("targets trust").current_dir(&home.outside("")).run();
    let message = "error: no `mlflow-deploy.toml` in the current directory or above\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (2, message));
    let other = home.run("targets trust config.toml").run();
    assert!(other.code == 2 && other.stderr.contains("expected a file `mlflow-deploy.toml`"), "{other:?}");
    let absent = home.run("targets trust /no/mlflow-deploy.toml").run();
    assert!(absent.code == 2 && absent.stderr.contains("No such file"), "{absent:?}");
}
