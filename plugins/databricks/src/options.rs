//! The settings of a client: the attributes of Databricks' unified authentication, and the options of this plugin.
//!
//! An attribute is read from the client's options, else from the environment, else from a profile. A profile that
//! the target or an option names takes precedence over the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;

use crate::profile::Profiles;

/// Declares the attributes, each with its environment variables and its group of credentials, and declares the other
/// options.
macro_rules! options {
    (
        attributes { $($attribute:ident: $type:ty, [$($variable:literal),*] $(, $group:literal)?;)* }
        others { $($other:ident: $other_type:ty,)* }
    ) => {
        /// The options of a client. Options that the caller did not set are read from the environment and a profile.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Options {
            $(pub(crate) $attribute: Option<$type>,)*
            $(pub(crate) $other: $other_type,)*
        }

        impl Options {
            /// Sets each attribute without a value to the value that `lookup` returns for it.
            fn fill(&mut self, lookup: impl Fn(&Attribute) -> Option<String>) {
                $(
                    let group = [$($group)?].first().copied();
                    let attribute = Attribute { name: stringify!($attribute), variables: &[$($variable),*], group };
                    if self.$attribute.is_none() {
                        self.$attribute = lookup(&attribute).map(<$type>::from);
                    }
                )*
            }

            /// Returns the groups of credentials, such as `oauth`, in which at least one attribute has a value.
            fn groups(&self) -> BTreeSet<&'static str> {
                let mut groups = BTreeSet::new();
                $($(if self.$attribute.is_some() {
                    groups.insert($group);
                })?)*
                groups
            }
        }
    };
}

options! {
    attributes {
        host: String, ["DATABRICKS_HOST"];
        token: Secret, ["DATABRICKS_TOKEN"], "pat";
        profile: String, ["DATABRICKS_CONFIG_PROFILE"];
        config_file: PathBuf, ["DATABRICKS_CONFIG_FILE"];
        auth_type: String, ["DATABRICKS_AUTH_TYPE"];
        account_id: String, ["DATABRICKS_ACCOUNT_ID"];
        workspace_id: String, ["DATABRICKS_WORKSPACE_ID"];
        username: String, ["DATABRICKS_USERNAME"], "basic";
        password: Secret, ["DATABRICKS_PASSWORD"], "basic";
        client_id: String, ["DATABRICKS_CLIENT_ID"], "oauth";
        client_secret: Secret, ["DATABRICKS_CLIENT_SECRET"], "oauth";
        scopes: String, [];
        discovery_url: String, ["DATABRICKS_DISCOVERY_URL"];
        token_audience: String, ["DATABRICKS_TOKEN_AUDIENCE"];
        oidc_token_env: String, ["DATABRICKS_OIDC_TOKEN_ENV"], "env-oidc";
        oidc_token_filepath: PathBuf, ["DATABRICKS_OIDC_TOKEN_FILEPATH", "DATABRICKS_OIDC_TOKEN_FILE"], "file-oidc";
        metadata_service_url: Secret, ["DATABRICKS_METADATA_SERVICE_URL"], "metadata-service";
        azure_workspace_resource_id: String, ["DATABRICKS_AZURE_RESOURCE_ID"], "azure";
        azure_client_id: String, ["ARM_CLIENT_ID"], "azure";
        azure_client_secret: Secret, ["ARM_CLIENT_SECRET"], "azure";
        azure_tenant_id: String, ["ARM_TENANT_ID"], "azure";
        azure_environment: String, ["ARM_ENVIRONMENT"];
        google_service_account: String, ["DATABRICKS_GOOGLE_SERVICE_ACCOUNT"], "google";
        google_credentials: Secret, ["GOOGLE_CREDENTIALS"], "google";
        databricks_cli_path: PathBuf, ["DATABRICKS_CLI_PATH"];
    }
    others {
        headers: BTreeMap<String, Secret>,
        timeout: Option<f64>,
        max_retries: Option<i64>,
        retry_post: bool,
        poll_interval: Option<f64>,
        allow_http: bool,
        ca_cert: Option<PathBuf>,
        insecure: bool,
    }
}

/// A client option that the environment or a profile can also set.
struct Attribute {
    /// The name of the client option, which is also the key in a profile.
    name: &'static str,
    /// The environment variables of the attribute. The first variable that is set is used.
    variables: &'static [&'static str],
    /// The group of credentials that the attribute belongs to, such as `oauth`; `None` if it is not a credential.
    group: Option<&'static str>,
}

impl Options {
    /// Sets the attributes without a value from the environment and a profile.
    ///
    /// A profile that the target or an option names takes precedence over the environment. If the options contain
    /// credentials of one group, such as `oauth`, credentials of other groups in the environment are ignored.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the profile is missing or several groups of credentials are set.
    pub(crate) fn complete(mut self, environment: &Environment<'_>) -> Result<Self> {
        let variable = |attribute: &Attribute| attribute.variables.iter().find_map(|name| environment.text(name));
        let file = self.config_file.clone().or_else(|| environment.text("DATABRICKS_CONFIG_FILE").map(PathBuf::from));
        let home = environment.text("HOME").map(PathBuf::from);
        let read = || Profiles::read(file.as_deref(), home.as_deref());
        let is_named = self.profile.is_some();
        if is_named {
            self.add_profile(&read()?)?;
        }
        let groups = self.groups();
        self.fill(|attribute| {
            let is_ignored = !groups.is_empty()
                && (attribute.name == "auth_type" || attribute.group.is_some_and(|group| !groups.contains(group)));
            if is_ignored { None } else { variable(attribute) }
        });
        let is_configured = self.host.is_some() || !self.groups().is_empty();
        if !is_named && (self.profile.is_some() || !is_configured) {
            self.add_profile(&read()?)?;
        }
        self.check_groups()?;
        Ok(self)
    }

    fn add_profile(&mut self, profiles: &Profiles) -> Result<()> {
        let Some(profile) = profiles.select(self.profile.as_deref())? else { return Ok(()) };
        profile.warn_if_readable_by_others();
        self.fill(|attribute| profile.get(attribute.name));
        // The Databricks CLI gets the profile only if it was named.
        self.profile = profile.is_named().then(|| profile.name().to_owned());
        Ok(())
    }

    fn check_groups(&self) -> Result<()> {
        let groups = self.groups();
        if self.auth_type.is_some() || groups.len() < 2 {
            return Ok(());
        }
        let names = groups.into_iter().collect::<Vec<_>>().join("` and `");
        Err(Error::invalid_parameter(format!(
            "conflicting credentials `{names}`: unset all but one, or set `auth_type` or `DATABRICKS_AUTH_TYPE`"
        )))
    }
}
