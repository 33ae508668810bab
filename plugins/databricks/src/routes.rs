//! The paths of the serving API. Names become one segment each, so that they can reach nothing but what they name.

use mlflow_deploy_http::encode_segment;
use mlflow_deploy_plugin_api::{Error, Result};

/// All endpoints. MLflow writes the slash at the end.
pub(crate) const ENDPOINTS: &str = "/api/2.0/serving-endpoints/";

/// One endpoint.
pub(crate) fn endpoint(name: &str) -> Result<String> {
    Ok(format!("{ENDPOINTS}{}", segment(name)?))
}

/// A part of an endpoint, such as its `config`.
pub(crate) fn part(name: &str, part: &str) -> Result<String> {
    Ok(format!("{}/{part}", endpoint(name)?))
}

/// The logs of one of an endpoint's models: `logs` or `build-logs`.
pub(crate) fn model_logs(name: &str, model: &str, logs: &str) -> Result<String> {
    Ok(format!("{}/served-models/{}/{logs}", endpoint(name)?, encode_segment(model)?))
}

/// Who may do what with an endpoint. It is asked for by the endpoint's id, and not by its name.
pub(crate) fn permissions(id: &str) -> Result<String> {
    Ok(format!("/api/2.0/permissions/serving-endpoints/{}", encode_segment(id)?))
}

/// Where an endpoint predicts.
pub(crate) fn invocations(name: &str) -> Result<String> {
    Ok(format!("/serving-endpoints/{}/invocations", segment(name)?))
}

fn segment(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::invalid_parameter("no endpoint is given: name the one that is meant as `endpoint`"));
    }
    encode_segment(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reaches_only_what_it_names() {
        assert_eq!(endpoint("a/b c?d#e%20f").unwrap(), "/api/2.0/serving-endpoints/a%2Fb%20c%3Fd%23e%2520f");
        assert_eq!(invocations("チ").unwrap(), "/serving-endpoints/%E3%83%81/invocations");
        assert_eq!(part("/etc", "config").unwrap(), "/api/2.0/serving-endpoints/%2Fetc/config");
        for name in ["", ".", ".."] {
            endpoint(name).unwrap_err();
        }
        model_logs("a", "..", "logs").unwrap_err();
    }
}
