//! The URLs of AWS's services in a region.

use mlflow_deploy_http::parse_url;
use mlflow_deploy_plugin_api::{Error, Result, text};
use url::Url;

use crate::AwsEnvironment;

/// The DNS suffixes of the partitions, by the start of their regions' names.
const SUFFIXES: [(&str, &str); 7] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("", "amazonaws.com"),
];

/// The URLs of AWS's services. Variables replace them, such as `AWS_ENDPOINT_URL_STS` and `AWS_ENDPOINT_URL`.
#[derive(Clone, Debug)]
pub struct ServiceEndpoints {
    environment: AwsEnvironment,
}

impl ServiceEndpoints {
    /// Returns the URLs that the variables of an environment set.
    pub fn new(environment: &AwsEnvironment) -> Self {
        Self { environment: environment.clone() }
    }

    /// Returns the URL of a service. `service` is its name in variables, such as `SAGEMAKER_RUNTIME`, and `host` the first
    /// part of its host, such as `runtime.sagemaker`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the region or the URL of a variable is not valid.
    pub fn url(&self, service: &str, host: &str, region: &str) -> Result<Url> {
        if let Some(url) = self.replaced(service)? {
            return Ok(url);
        }
        check_region(region)?;
        let text = format!("https://{host}.{region}.{}/", suffix(region));
        Url::parse(&text).map_err(|error| Error::internal(format!("failed to build the URL `{text}`: {error}")))
    }

    /// Returns the URL with which a variable replaces that of a service.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the variable is not a URL.
    pub fn replaced(&self, service: &str) -> Result<Option<Url>> {
        if self
            .environment
            .text("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let own = format!("AWS_ENDPOINT_URL_{service}");
        let set = [own.as_str(), "AWS_ENDPOINT_URL"].into_iter();
        let Some((name, value)) = set.filter_map(|name| Some((name, self.environment.text(name)?))).next() else {
            return Ok(None);
        };
        let url =
            parse_url(&format!("the variable `{name}`"), value, "https://vpce-0123.sts.us-east-1.vpce.amazonaws.com")?;
        match url.scheme() {
            "http" | "https" => Ok(Some(url)),
            _ => Err(Error::invalid_parameter(format!("the variable `{name}` is not a URL with `http` or `https`"))),
        }
    }

    /// Returns the URL to which a request of reqsign is sent: the URL of a variable in the place of a service's.
    pub(crate) fn redirect(&self, url: &Url) -> Result<Url> {
        let host = url.host_str().unwrap_or_default();
        let service = match host {
            _ if host.starts_with("sts.") => "STS",
            _ if host.starts_with("portal.sso.") => "SSO",
            _ => return Ok(url.clone()),
        };
        let Some(mut base) = self.replaced(service)? else { return Ok(url.clone()) };
        base.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
        base.set_query(url.query());
        Ok(base)
    }
}

/// Fails if a text cannot be the name of a region, because it becomes a part of host names.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with an example.
pub fn check_region(region: &str) -> Result<()> {
    let fits = region.bytes().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == b'-');
    if fits && (3..=64).contains(&region.len()) && !region.starts_with('-') && !region.ends_with('-') {
        return Ok(());
    }
    let shown: String = region.chars().take(64).collect();
    Err(Error::invalid_parameter(format!(
        "invalid region `{}`: expected the name of a region of AWS, such as `eu-west-1`",
        text::line(&shown)
    )))
}

fn suffix(region: &str) -> &'static str {
    let found = SUFFIXES.iter().find(|(start, _)| region.starts_with(start));
    found.map_or("amazonaws.com", |(_, suffix)| suffix)
}
