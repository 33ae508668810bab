//! Parses the connection strings of Azure Blob Storage.

use mlflow_deploy_plugin_api::{Error, Result, Secret};

/// The parts of a connection string that a client needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionString {
    pub(crate) account: Option<String>,
    pub(crate) key: Option<Secret>,
    /// The URL of the blob service; `None` for the account's URL at Azure.
    pub(crate) endpoint: Option<String>,
    pub(crate) sas: Option<Secret>,
}

impl ConnectionString {
    /// Parses a connection string such as `AccountName=a;AccountKey=…;EndpointSuffix=core.windows.net`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the text has another form. The error contains no value of it.
    pub(crate) fn parse(name: &str, text: &Secret) -> Result<Self> {
        let mut parsed = Self::default();
        let (mut protocol, mut suffix) = (None, None);
        for part in text.expose().split(';').map(str::trim).filter(|part| !part.is_empty()) {
            // A key in Base64 may end in `=`.
            let Some((member, value)) = part.split_once('=') else {
                return Err(Error::invalid_parameter(format!(
                    "`{name}` is not a connection string: expected members such as `AccountName=…;AccountKey=…`"
                )));
            };
            match member.trim().to_ascii_lowercase().as_str() {
                "accountname" => parsed.account = Some(value.to_owned()),
                "accountkey" => parsed.key = Some(Secret::new(value)),
                "blobendpoint" => parsed.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "sharedaccesssignature" => parsed.sas = Some(Secret::new(value.trim_start_matches('?'))),
                "defaultendpointsprotocol" => protocol = Some(value),
                "endpointsuffix" => suffix = Some(value),
                _ => {}
            }
        }
        if let (None, Some(account), Some(suffix)) = (&parsed.endpoint, &parsed.account, suffix) {
            parsed.endpoint = Some(format!("{}://{account}.blob.{suffix}", protocol.unwrap_or("https")));
        }
        if parsed.account.is_none() {
            // `https://account.blob.core.windows.net` names the account.
            let host = parsed.endpoint.as_deref().and_then(|url| url.split("://").nth(1)).unwrap_or_default();
            parsed.account = host.split_once(".blob.").map(|(account, _)| account.to_owned());
        }
        if parsed.account.is_none() || parsed.key.is_none() && parsed.sas.is_none() {
            return Err(Error::invalid_parameter(format!(
                "`{name}` is incomplete: expected `AccountName`, and `AccountKey` or `SharedAccessSignature`"
            )));
        }
        Ok(parsed)
    }
}
