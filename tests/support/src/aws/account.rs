//! The resources of an account, and the answers to the operations of SageMaker and its neighbours.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use serde_json::{Value, json};

use super::operation::operation;
use crate::server::{Answer, Request};

/// The answer of STS to `GetCallerIdentity` for a role.
const CALLER: &str = "<R><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:sts::123456789012:assumed-role/caller/x\
                      </Arn></GetCallerIdentityResult></R>";

/// The resources of the account.
#[derive(Debug, Default)]
pub struct Account {
    /// The bodies of the requests that created endpoints, with the members that change.
    pub endpoints: BTreeMap<String, Value>,
    /// The bodies of the requests that created configs.
    pub configs: BTreeMap<String, Value>,
    /// The bodies of the requests that created models.
    pub models: BTreeMap<String, Value>,
    /// The objects in S3, by bucket and key.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// The parts of incomplete uploads, by bucket and key.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// The names of the buckets.
    pub buckets: Vec<String>,
    /// The states that the next polls of an endpoint return, before its last state.
    pub states: VecDeque<&'static str>,
    /// The state in which a change ends, if it is not `InService`.
    pub failure: Option<&'static str>,
    /// The operations that fail, with their status and body.
    pub failing: BTreeMap<String, (u16, String)>,
    /// The number of answers with which an operation is throttled.
    pub throttled: BTreeMap<String, usize>,
}

fn refused(code: &str, message: &str) -> Answer {
    Answer::new(400, json!({"__type": code, "message": message}).to_string())
}

pub(super) fn xml(status: u16, text: &str) -> Answer {
    Answer::new(status, text).header("Content-Type", "application/xml")
}

impl Account {
    /// Answers a request.
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let name = operation(request);
        if let Some(left) = self.throttled.get_mut(&name)
            && *left > 0
        {
            *left -= 1;
            return refused("ThrottlingException", "Rate exceeded");
        }
        if let Some((status, body)) = self.failing.get(&name) {
            return Answer::new(*status, body.clone());
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let made = |kind: &str, name: &str| Answer::new(200, json!({kind: format!("arn:{name}")}).to_string());
        match name.as_str() {
            "GetCallerIdentity" => xml(200, CALLER),
            "GetRole" => xml(200, "<R><Role><Arn>arn:aws:iam::123456789012:role/path/caller</Arn></Role></R>"),
            "DescribeRepositories" => {
                Answer::new(200, r#"{"repositories": [{"repositoryUri": "1.dkr.ecr/mlflow-pyfunc"}]}"#)
            }
            "CreateModel" => {
                self.models.insert(text("ModelName"), body.clone());
                made("ModelArn", &text("ModelName"))
            }
            "CreateEndpointConfig" => {
                self.configs.insert(text("EndpointConfigName"), body.clone());
                made("EndpointConfigArn", &text("EndpointConfigName"))
            }
            "CreateEndpoint" => {
                self.endpoints.insert(text("EndpointName"), body.clone());
                made("EndpointArn", &text("EndpointName"))
            }
            "UpdateEndpoint" => {
                let is_rolled_back = self.failure.is_some();
                if !is_rolled_back && let Some(endpoint) = self.endpoints.get_mut(&text("EndpointName")) {
                    endpoint["EndpointConfigName"] = body["EndpointConfigName"].clone();
                }
                made("EndpointArn", &text("EndpointName"))
            }
            "UpdateEndpointWeightsAndCapacities" => made("EndpointArn", &text("EndpointName")),
            "DescribeEndpoint" => self.describe(&text("EndpointName")),
            "ListEndpoints" => self.list(&body),
            "DescribeEndpointConfig" => found(&self.configs, &text("EndpointConfigName"), "endpoint configuration"),
            "DescribeModel" => found(&self.models, &text("ModelName"), "model"),
            "DeleteEndpoint" => deleted(&mut self.endpoints, &text("EndpointName"), "endpoint"),
            "DeleteEndpointConfig" => deleted(&mut self.configs, &text("EndpointConfigName"), "endpoint configuration"),
            "DeleteModel" => deleted(&mut self.models, &text("ModelName"), "model"),
            "ListTags" => Answer::new(200, r#"{"Tags": [{"Key": "team", "Value": "one"}]}"#),
            "AddTags" | "DeleteTags" | "RegisterScalableTarget" | "DeregisterScalableTarget" | "PutScalingPolicy" => {
                Answer::new(200, "{}")
            }
            "DescribeScalableTargets" => {
                Answer::new(200, r#"{"ScalableTargets": [{"MinCapacity": 1, "MaxCapacity": 3}]}"#)
            }
            "DescribeScalingPolicies" => Answer::new(200, r#"{"ScalingPolicies": []}"#),
            _ => self.storage(&name, request),
        }
    }

    fn describe(&mut self, name: &str) -> Answer {
        let Some(endpoint) = self.endpoints.get(name) else {
            return refused("ValidationException", &format!("Could not find endpoint \"{name}\"."));
        };
        let mut endpoint = endpoint.clone();
        let next = self.states.pop_front();
        endpoint["EndpointStatus"] = next.or(self.failure).unwrap_or("InService").into();
        endpoint["EndpointArn"] = format!("arn:{name}").into();
        endpoint["ProductionVariants"] = json!([{"VariantName": "only", "CurrentWeight": 1.0}]);
        if next.is_none() && self.failure.is_some() {
            endpoint["FailureReason"] = "the container did not pass the ping health check".into();
        }
        Answer::new(200, endpoint.to_string())
    }

    /// Returns pages of two endpoints. The token is the last name of the page, so that endpoints which are created or
    /// deleted meanwhile do not hide others.
    fn list(&self, body: &Value) -> Answer {
        let last = body["NextToken"].as_str().unwrap_or_default().to_owned();
        let mut names = self.endpoints.range((Bound::Excluded(last), Bound::Unbounded)).map(|(name, _)| name);
        let page: Vec<_> = names.by_ref().take(2).collect();
        let endpoints: Vec<_> = page.iter().map(|name| json!({"EndpointName": name})).collect();
        let mut answer = json!({"Endpoints": endpoints});
        if let (Some(last), Some(_)) = (page.last(), names.next()) {
            answer["NextToken"] = json!(last);
        }
        Answer::new(200, answer.to_string())
    }
}

fn found(all: &BTreeMap<String, Value>, name: &str, what: &str) -> Answer {
    match all.get(name) {
        Some(body) => Answer::new(200, body.to_string()),
        None => refused("ValidationException", &format!("Could not find {what} \"{name}\".")),
    }
}

fn deleted(all: &mut BTreeMap<String, Value>, name: &str, what: &str) -> Answer {
    match all.remove(name) {
        Some(_) => Answer::status(200),
        None => refused("ValidationException", &format!("Could not find {what} \"{name}\".")),
    }
}
