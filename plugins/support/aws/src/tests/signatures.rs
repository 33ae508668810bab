//! Signatures equal those of botocore.
//!
//! `tests/peers/sagemaker/signatures.py` writes the requests. A signature depends on the time, which reqsign takes from the clock.
//! So the test first checks that its own last step, from the canonical request to the signature, gives botocore's signature at
//! botocore's time. Then it puts the time of the signed request into botocore's canonical request.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mlflow_deploy_http::request;
use mlflow_deploy_plugin_api::Secret;
use reqsign::hash::{hex_hmac_sha256, hex_sha256, hmac_sha256};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

use crate::{AccessKey, sign};

#[derive(Deserialize)]
struct Signed {
    service: String,
    region: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    id: String,
    secret: String,
    token: Option<String>,
    date: String,
    canonical: String,
    authorization: String,
}

impl Signed {
    /// Returns the header `Authorization` for the canonical request at a time.
    fn authorization(&self, time: &str) -> String {
        let canonical = self.canonical.replace(&self.date, time);
        let (day, headers) = (&time[..8], canonical.lines().rev().nth(1).unwrap());
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex_sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, &self.service, "aws4_request"] {
            key = hmac_sha256(&key, part.as_bytes());
        }
        let signature = hex_hmac_sha256(&key, text.as_bytes());
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={headers}, Signature={signature}", self.id)
    }
}

#[tokio::test]
async fn twenty_signatures_equal_those_of_botocore() {
    let cases: Vec<Signed> = serde_json::from_str(include_str!("signatures.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        assert_eq!(case.authorization(&case.date), case.authorization, "{}", case.url);
        let header = |(name, value): (&String, &String)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
        };
        let headers: HeaderMap = case.headers.iter().map(header).collect();
        let method = Method::try_from(case.method.as_str()).unwrap();
        let mut sent = request(method, &Url::parse(&case.url).unwrap(), headers, case.body.clone()).unwrap();
        let key = AccessKey::new(&case.id, Secret::new(&case.secret), case.token.as_ref().map(Secret::new));
        sign(&mut sent, &case.service, &case.region, &key).await.unwrap();
        let header = |name: &str| sent.headers().get(name).map(|value| value.to_str().unwrap());
        let time = header("x-amz-date").unwrap();
        assert_eq!(header("authorization").unwrap(), case.authorization(time), "{}", case.url);
        assert_eq!(header("x-amz-security-token"), case.token.as_deref());
        assert!(sent.headers()["authorization"].is_sensitive() && header("host").is_none());
    }
}

#[tokio::test]
async fn a_header_with_blanks_in_sequence_is_not_signed() {
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-a"), HeaderValue::from_static("a  b"))]);
    let mut sent = request(Method::GET, &Url::parse("https://h/").unwrap(), headers, "").unwrap();
    let key = AccessKey::new("AKID", Secret::new("secret"), None);
    let error = sign(&mut sent, "s", "r", &key).await.unwrap_err();
    assert!(error.message().starts_with("the value of the header `x-a` has several blanks"), "{error}");
}
