//! The choice of the source, and the errors of profiles.

use crate::source::Source;

use super::{Home, assert_hidden};

const SECRET: &str = "secret-0123456789";

fn keys(id: &str) -> String {
    format!("aws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n")
}

fn choose(home: &Home, profile: Option<&str>) -> Result<String, String> {
    let chosen = Source::choose(&home.environment(), profile);
    chosen.map(|source| source.to_string()).map_err(|error| {
        assert_hidden(&error, &[SECRET]);
        error.message().to_owned()
    })
}

#[test]
fn the_sources_have_botocore_s_order() {
    let home = Home::new()
        .file(
            ".aws/config",
            &format!("[default]\nregion = x\n[profile two]\n{}credential_process = p\n", keys("AKIDTWO")),
        )
        .file(".aws/credentials", &format!("[default]\n{}", keys("AKIDFILE")));
    assert_eq!(choose(&home, None).unwrap(), "the profile `default`");
    assert_eq!(choose(&home, Some("two")).unwrap(), "the profile `two`");
    let home = home.with("AWS_PROFILE", "two");
    assert_eq!(choose(&home, None).unwrap(), "the profile `two`");
    let home = home.with("AWS_WEB_IDENTITY_TOKEN_FILE", "/t").with("AWS_ROLE_ARN", "arn");
    assert_eq!(choose(&home, None).unwrap(), "the role `arn` with a web identity");
    let home = home.with("AWS_ACCESS_KEY_ID", "AKIDENV").with("AWS_SECRET_ACCESS_KEY", SECRET);
    assert_eq!(choose(&home, None).unwrap(), "the environment");
    let empty = Home::new().with("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2");
    assert_eq!(choose(&empty, None).unwrap(), "the credentials service of the container");
    let instance = Home::new().with("AWS_EC2_METADATA_DISABLED", "");
    assert_eq!(choose(&instance, None).unwrap(), "the metadata service of the EC2 instance");
}

#[test]
fn a_profile_with_a_fault_is_an_error() {
    let start = "[profile one]\nrole_arn = arn\n";
    for (config, message) in [
        ("[profile other]\n".to_owned(), "the profile `one`, which the option `profile` names, is neither in `"),
        (
            "[profile one]\naws_access_key_id = AKID\n".to_owned(),
            "only a part of an access key: set `aws_secret_access_key`",
        ),
        (start.to_owned(), "has `role_arn`: add `source_profile` or `credential_source`"),
        (format!("{start}source_profile = two\n"), "the profile `two`, which the profile `one` names, is neither"),
        (format!("{start}source_profile = two\n[profile two]\n"), "names the profile `two`, which has no credentials"),
        (format!("{start}source_profile = one\n"), "names itself as `source_profile`, but has no access key"),
        (
            format!("{start}source_profile = two\n[profile two]\nrole_arn = b\nsource_profile = one\n"),
            "assumes roles of profiles that form a circle",
        ),
        (format!("{start}credential_source = Moon\n"), "has an invalid `credential_source`"),
        (format!("{start}credential_source = Environment\n"), "but `AWS_ACCESS_KEY_ID` is not set"),
        (format!("{start}source_profile = two\ncredential_source = Environment\n"), "expected one of both"),
        (format!("{start}credential_source = EcsContainer\nmfa_serial = m\n"), "has `mfa_serial`"),
        (format!("{start}credential_source = EcsContainer\nduration_seconds = x\n"), "invalid `duration_seconds`"),
        (
            "[profile one]\nsso_session = s\n".to_owned(),
            "the section `sso-session s`, which a profile names, is not in",
        ),
        ("[profile one]\nsso_start_url = u\n".to_owned(), "uses single sign-on, but has no `sso_region`"),
        (format!("[profile one]\n{}{SECRET}\n", keys("AKID")), "is neither a section nor `key = value`"),
    ] {
        let home = Home::new().file(".aws/config", &config);
        let error = choose(&home, Some("one")).unwrap_err();
        assert!(error.contains(message), "{config}: {error}");
    }
}

#[test]
fn blanks_quotes_and_special_characters_in_a_file_are_kept_or_removed_as_in_botocore() {
    let text =
        "[ default ]\n  aws_access_key_id = AKID \naws_secret_access_key = a/+=\\x#y;z\n# note\ns3 =\n  path = x\n";
    let home = Home::new().file(".aws/credentials", text);
    let chosen = Source::choose(&home.environment(), None).unwrap();
    let Source::Key { key, .. } = chosen else { panic!("{chosen:?}") };
    assert_eq!((key.id.as_str(), key.secret.expose()), ("AKID", "a/+=\\x#y;z"));
    assert!(!format!("{key:?}").contains("a/+"));
}
