//! What Azure's kinds of credentials share: its clouds, and the headers for those who are no person.

use http::HeaderName;
use mlflow_deploy_plugin_api::{Error, Result, Secret};

use crate::options::Options;

/// Databricks, as Azure knows it: whom tokens are asked for.
pub(super) const DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";

/// The header that names a workspace by its Azure resource.
const RESOURCE_ID: HeaderName = HeaderName::from_static("x-databricks-azure-workspace-resource-id");

/// The header that proves that a service principal may manage the workspace.
pub(super) const MANAGEMENT_TOKEN: HeaderName = HeaderName::from_static("x-databricks-azure-sp-management-token");

/// One of Azure's clouds.
#[derive(Clone, Debug)]
pub(super) struct Cloud {
    /// Where tokens are asked for.
    pub(super) login: String,
    /// The service that manages resources.
    pub(super) management: &'static str,
}

impl Cloud {
    /// The cloud that is named, with or without `AZURE` before and `CLOUD` after it.
    pub(super) fn of(options: &Options) -> Result<Self> {
        let given = options.azure_environment.as_deref().unwrap_or("PUBLIC");
        let upper = given.to_uppercase();
        let name = upper.strip_prefix("AZURE").unwrap_or(&upper);
        let (login, management) = match name.strip_suffix("CLOUD").unwrap_or(name) {
            "PUBLIC" => ("https://login.microsoftonline.com/", "https://management.core.windows.net/"),
            "USGOVERNMENT" => ("https://login.microsoftonline.us/", "https://management.core.usgovcloudapi.net/"),
            "CHINA" => ("https://login.chinacloudapi.cn/", "https://management.core.chinacloudapi.cn/"),
            _ => {
                return Err(Error::invalid_parameter(format!(
                    "`{given}` is none of Azure's clouds: expected `PUBLIC`, `USGOVERNMENT` or `CHINA`"
                )));
            }
        };
        Ok(Self { login: login.to_owned(), management })
    }
}

/// The headers that go with a token: the workspace's resource, where it is known.
pub(super) fn headers(options: &Options) -> Vec<(HeaderName, Secret)> {
    let id = options.azure_workspace_resource_id.clone();
    id.map(|id| (RESOURCE_ID, Secret::new(id))).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_known_by_any_of_its_names() {
        let login = |name: &str| {
            let options = Options { azure_environment: Some(name.to_owned()), ..Options::default() };
            Cloud::of(&options).map(|cloud| cloud.login)
        };
        for name in ["USGOVERNMENT", "AzureUSGovernment", "azureusgovernmentcloud"] {
            assert_eq!(login(name).unwrap(), "https://login.microsoftonline.us/");
        }
        assert_eq!(login("public").unwrap(), "https://login.microsoftonline.com/");
        assert_eq!(login("AzureChinaCloud").unwrap(), "https://login.chinacloudapi.cn/");
        login("mars").unwrap_err();
    }
}
