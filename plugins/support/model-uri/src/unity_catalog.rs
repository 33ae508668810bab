//! The parts of Databricks' REST API that locate models in Unity Catalog. A catalog keeps a model in an object store, and
//! issues credentials for the folder of one version.

use mlflow_deploy_object_store::{AzureToken, StoreUrl, TemporaryCredentials};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use serde::Deserialize;
use serde_json::json;

use crate::rest::Server;
use crate::session::Session;

/// A version of a model in Unity Catalog: its folder, and the credentials for it.
#[derive(Debug)]
pub(crate) struct CatalogVersion {
    pub(crate) url: StoreUrl,
    pub(crate) credentials: TemporaryCredentials,
}

/// A registry in Unity Catalog.
#[derive(Clone, Debug)]
pub(crate) struct UnityCatalog(pub(crate) Server);

impl UnityCatalog {
    /// Returns the version to which an alias refers.
    pub(crate) async fn version_of_alias(&self, session: &Session<'_>, name: &str, alias: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            model_version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let query = [("name", check_name(name)?), ("alias", alias)];
        let answer: Answer = self.0.get(session, "unity-catalog/registered-models/alias", &query).await?;
        Ok(answer.model_version.version)
    }

    /// Returns the folder of a version, and credentials that can read it.
    pub(crate) async fn version(&self, session: &Session<'_>, name: &str, version: &str) -> Result<CatalogVersion> {
        #[derive(Deserialize)]
        struct Location {
            artifact_uri: String,
        }
        #[derive(Deserialize)]
        struct Answer {
            credentials: Credentials,
        }
        let query = [("name", check_name(name)?), ("version", version)];
        let location: Location = self.0.get(session, "unity-catalog/model-versions/get-download-uri", &query).await?;
        let url = StoreUrl::parse(&location.artifact_uri)?;
        let body = json!({"name": name, "version": version, "operation": "MODEL_VERSION_OPERATION_READ"});
        let path = "unity-catalog/model-versions/generate-temporary-credentials";
        let answer: Answer = self.0.post(session, path, &body).await?;
        let credentials = answer.credentials.for_store().ok_or_else(|| {
            Error::internal(format!(
                "Unity Catalog issued no known kind of credentials for version {version} of `{name}`"
            ))
        })?;
        Ok(CatalogVersion { url, credentials })
    }
}

/// Credentials for a folder, of which one kind is set.
#[derive(Deserialize)]
struct Credentials {
    aws_temp_credentials: Option<AwsKey>,
    azure_user_delegation_sas: Option<AzureSas>,
    gcp_oauth_token: Option<GoogleToken>,
}

#[derive(Deserialize)]
struct AwsKey {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Secret,
}

#[derive(Deserialize)]
struct AzureSas {
    sas_token: Secret,
}

#[derive(Deserialize)]
struct GoogleToken {
    oauth_token: Secret,
}

impl Credentials {
    fn for_store(self) -> Option<TemporaryCredentials> {
        if let Some(key) = self.aws_temp_credentials {
            return Some(TemporaryCredentials::Aws {
                key_id: key.access_key_id,
                secret: key.secret_access_key,
                token: key.session_token,
                region: None,
            });
        }
        let azure =
            self.azure_user_delegation_sas.map(|sas| TemporaryCredentials::Azure(AzureToken::Sas(sas.sas_token)));
        azure.or_else(|| self.gcp_oauth_token.map(|token| TemporaryCredentials::Gcs(token.oauth_token)))
    }
}

/// Checks that a name has the three levels of Unity Catalog.
fn check_name(name: &str) -> Result<&str> {
    if name.split('.').filter(|part| !part.is_empty()).count() == 3 && name.split('.').count() == 3 {
        return Ok(name);
    }
    let message = format!(
        "the model `{name}` is not in Unity Catalog: expected `<catalog>.<schema>.<model>`, as in \
         `models:/main.default.iris/1`"
    );
    Err(Error::new(ErrorCode::INVALID_PARAMETER_VALUE, message))
}
