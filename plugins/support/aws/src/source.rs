//! Chooses one source of credentials from the environment and the profiles, in the order of botocore. Sends no request.

use std::fmt;

use mlflow_deploy_plugin_api::{Error, Result, Secret};

use crate::assume_role::Role;
use crate::profile::{Profiles, Section};
use crate::{AccessKey, AwsEnvironment};

/// The maximum number of profiles whose roles are assumed one after another.
const MAX_CHAIN: usize = 5;

/// The name of a session, unless a setting names it.
pub(crate) const SESSION_NAME: &str = "mlflow-deploy";

/// A source of credentials, with all that is needed to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The service of a container.
    Container,
    /// The metadata service of an EC2 instance.
    Instance,
    /// An access key, as it is written in `from`.
    Key { from: String, key: AccessKey },
    /// A program that prints an access key.
    Program { profile: String, command: Secret },
    /// A role, assumed with the credentials of another source.
    Role { role: Role, base: Box<Self> },
    /// Single sign-on.
    Sso(Sso),
    /// A role, assumed with a token in a file.
    WebIdentity { role: Role, token_file: String },
}

/// The settings of single sign-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sso {
    pub(crate) profile: String,
    /// The text whose hash names the file with the token: the name of the session, or else the start URL.
    pub(crate) token_name: String,
    pub(crate) region: String,
    pub(crate) account_id: String,
    pub(crate) role_name: String,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container => formatter.write_str("the credentials service of the container"),
            Self::Instance => formatter.write_str("the metadata service of the EC2 instance"),
            Self::Key { from, .. } => formatter.write_str(from),
            Self::Program { profile, .. } => write!(formatter, "`credential_process` of the profile `{profile}`"),
            Self::Role { role, .. } => write!(formatter, "the role `{}`", role.arn),
            Self::Sso(sso) => write!(formatter, "the single sign-on of the profile `{}`", sso.profile),
            Self::WebIdentity { role, .. } => write!(formatter, "the role `{}` with a web identity", role.arn),
        }
    }
}

impl Source {
    /// Chooses the source of credentials. `profile` is the profile that an option names; it precedes the keys in the
    /// environment.
    pub(crate) fn choose(environment: &AwsEnvironment, profile: Option<&str>) -> Result<Self> {
        if profile.is_none()
            && let Some(key) = environment_key(environment)?
        {
            return Ok(key);
        }
        let profiles = Profiles::read(environment)?;
        let by_variable = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
            .into_iter()
            .find_map(|name| Some((environment.text(name)?, format!("the variable `{name}`"))));
        let named = profile.map(|name| (name, "the option `profile`".to_owned())).or(by_variable);
        let (name, section) = match &named {
            Some((name, named_by)) => (*name, Some(profiles.named(name, named_by)?)),
            None => ("default", profiles.get("default")),
        };
        let chooser = Chooser { environment, profiles: &profiles };
        if let Some(section) = section
            && let Some(role) = chooser.role(name, section, &mut Vec::new())?
        {
            return Ok(role);
        }
        if let Some(web_identity) = web_identity(environment, section) {
            return Ok(web_identity);
        }
        if let Some(section) = section
            && let Some(own) = chooser.own(name, section)?
        {
            return Ok(own);
        }
        let is_set = |name: &str| environment.text(name).is_some();
        if is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") || is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return Ok(Self::Container);
        }
        if environment.text("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Err(Error::invalid_parameter(format!(
                "no AWS credentials found: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE` (the profile \
                 `{name}` has no credentials)"
            )));
        }
        Ok(Self::Instance)
    }
}

/// Chooses the source of a profile.
struct Chooser<'a> {
    environment: &'a AwsEnvironment,
    profiles: &'a Profiles,
}

impl Chooser<'_> {
    /// Returns the role of a profile; `None` if it has none. `above` are the profiles whose roles it is assumed for.
    fn role(&self, name: &str, section: &Section, above: &mut Vec<String>) -> Result<Option<Source>> {
        let Some(arn) = section.get("role_arn") else { return Ok(None) };
        let invalid = |reason: &str| Error::invalid_parameter(format!("the profile `{name}` {reason}"));
        let base = match (section.get("source_profile"), section.get("credential_source")) {
            (Some(_), Some(_)) => {
                return Err(invalid("has `source_profile` and `credential_source`: expected one of both"));
            }
            // The keys of a profile are those with which its own role is assumed.
            (Some(other), None) if other == name => static_key(name, section)?
                .ok_or_else(|| invalid("names itself as `source_profile`, but has no access key"))?,
            (Some(other), None) => {
                above.push(name.to_owned());
                if above.iter().any(|each| each == other) || above.len() > MAX_CHAIN {
                    return Err(invalid("assumes roles of profiles that form a circle, or of more than 5 profiles"));
                }
                let source = self.profiles.named(other, &format!("the profile `{name}`"))?;
                let own = match self.role(other, source, above)? {
                    Some(role) => Some(role),
                    None => match web_identity(&AwsEnvironment::default(), Some(source)) {
                        Some(web_identity) => Some(web_identity),
                        None => self.own(other, source)?,
                    },
                };
                own.ok_or_else(|| invalid(&format!("names the profile `{other}`, which has no credentials")))?
            }
            (None, Some("Environment")) => environment_key(self.environment)?
                .ok_or_else(|| invalid("has `credential_source = Environment`, but `AWS_ACCESS_KEY_ID` is not set"))?,
            (None, Some("Ec2InstanceMetadata")) => Source::Instance,
            (None, Some("EcsContainer")) => Source::Container,
            (None, Some(_)) => {
                return Err(invalid(
                    "has an invalid `credential_source`: expected `Environment`, `Ec2InstanceMetadata` or \
                                    `EcsContainer`",
                ));
            }
            // With `web_identity_token_file`, the role is assumed by a token.
            (None, None) if section.get("web_identity_token_file").is_some() => return Ok(None),
            (None, None) => return Err(invalid("has `role_arn`: add `source_profile` or `credential_source`")),
        };
        if section.get("mfa_serial").is_some() {
            return Err(invalid(
                "has `mfa_serial`, which needs a code for each session: get an access key with `aws sts \
                                get-session-token`, and set it in the environment",
            ));
        }
        let seconds = section.get("duration_seconds").map(|seconds| {
            seconds
                .parse()
                .map_err(|_not_a_number| invalid("has an invalid `duration_seconds`: expected a whole number"))
        });
        let role = Role {
            arn: arn.to_owned(),
            session_name: section.get("role_session_name").unwrap_or(SESSION_NAME).to_owned(),
            external_id: section.get("external_id").map(str::to_owned),
            duration_seconds: seconds.transpose()?,
        };
        Ok(Some(Source::Role { role, base: Box::new(base) }))
    }

    /// Returns the source of a profile that has no role.
    fn own(&self, name: &str, section: &Section) -> Result<Option<Source>> {
        if let Some(sso) = self.sso(name, section)? {
            return Ok(Some(Source::Sso(sso)));
        }
        if let Some(key) = static_key(name, section)? {
            return Ok(Some(key));
        }
        let command = section.get("credential_process").map(Secret::new);
        Ok(command.map(|command| Source::Program { profile: name.to_owned(), command }))
    }

    fn sso(&self, name: &str, section: &Section) -> Result<Option<Sso>> {
        let session = section.get("sso_session").map(|session| Ok((session, self.profiles.sso_session(session)?)));
        let session = session.transpose()?;
        if session.is_none() && section.get("sso_start_url").is_none() {
            return Ok(None);
        }
        let get = |key: &str| {
            let value = section.get(key).or_else(|| session.and_then(|(_, session)| session.get(key)));
            value.map(str::to_owned).ok_or_else(|| {
                Error::invalid_parameter(format!(
                    "the profile `{name}` uses single sign-on, but has no `{key}`: add it"
                ))
            })
        };
        let token_name = match session {
            Some((session, _)) => session.to_owned(),
            None => get("sso_start_url")?,
        };
        Ok(Some(Sso {
            profile: name.to_owned(),
            token_name,
            region: get("sso_region")?,
            account_id: get("sso_account_id")?,
            role_name: get("sso_role_name")?,
        }))
    }
}

fn environment_key(environment: &AwsEnvironment) -> Result<Option<Source>> {
    let secret = |name: &str| environment.text(name).map(Secret::new);
    let token = secret("AWS_SESSION_TOKEN").or_else(|| secret("AWS_SECURITY_TOKEN"));
    pair("the environment", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], |name| environment.text(name), token)
}

fn static_key(name: &str, section: &Section) -> Result<Option<Source>> {
    let token = section.get("aws_session_token").map(Secret::new);
    pair(
        &format!("the profile `{name}`"),
        ["aws_access_key_id", "aws_secret_access_key"],
        |key| section.get(key),
        token,
    )
}

/// Returns the access key whose two parts have these names; `None` if both are missing.
fn pair<'a>(
    from: &str,
    names: [&str; 2],
    get: impl Fn(&str) -> Option<&'a str>,
    token: Option<Secret>,
) -> Result<Option<Source>> {
    let missing = match (get(names[0]), get(names[1])) {
        (Some(id), Some(secret)) => {
            let key = AccessKey::new(id, Secret::new(secret), token);
            return Ok(Some(Source::Key { from: from.to_owned(), key }));
        }
        (None, None) => return Ok(None),
        (Some(_), None) => names[1],
        (None, Some(_)) => names[0],
    };
    Err(Error::invalid_parameter(format!("{from} has only a part of an access key: set `{missing}` too")))
}

/// Returns the role of a token in a file, which the environment or a profile names.
fn web_identity(environment: &AwsEnvironment, section: Option<&Section>) -> Option<Source> {
    let get = |variable: &str, key: &str| {
        let in_section = || section.and_then(|section| section.get(key));
        environment.text(variable).or_else(in_section).map(str::to_owned)
    };
    let token_file = get("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file")?;
    let arn = get("AWS_ROLE_ARN", "role_arn")?;
    let session_name = get("AWS_ROLE_SESSION_NAME", "role_session_name").unwrap_or_else(|| SESSION_NAME.to_owned());
    Some(Source::WebIdentity { role: Role::new(arn, session_name), token_file })
}
