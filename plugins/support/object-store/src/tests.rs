//! Tests of URLs, settings and digests. The tests of requests are in the crate that fetches models.

use http::{HeaderMap, HeaderName, HeaderValue};
use mlflow_deploy_http::{Environment, Policy};
use mlflow_deploy_plugin_api::{Result, Secret};

use crate::connection_string::ConnectionString;
use crate::{Digest, Store, StoreUrl, Stores};

fn open(variables: &[(&str, &str)], url: &str) -> Result<Store> {
    let lookup = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
    Stores::new(&Environment::new(&lookup)).open(&StoreUrl::parse(url)?, &Policy::default())
}

#[test]
fn urls_keep_their_form() {
    for url in [
        "s3://bucket",
        "s3a://my.bucket_1/models/iris 1/チ",
        "gs://bucket/a%20b",
        "az://container/m",
        "abfss://container@account.dfs.core.windows.net/a/b",
        "wasbs://$root@account.blob.core.windows.net/a",
        "abfs://c@a.dfs.core.usgovcloudapi.net/m",
    ] {
        assert_eq!(StoreUrl::parse(url).unwrap().to_string(), url);
    }
    assert_eq!(StoreUrl::parse("S3://bucket/a/").unwrap().to_string(), "s3://bucket/a");
}

#[test]
fn invalid_urls_are_rejected_without_their_secrets() {
    for (url, reason) in [
        ("s3://", "the name of the bucket is missing"),
        ("s3:/bucket/a", "the name of the bucket is missing"),
        ("s3://AKIA:hunter2@bucket/a", "a user before `@` is not supported"),
        ("s3://evil.example:80/a", "the name of the bucket has a character"),
        ("gs://bu cket/a", "the name of the bucket has a character"),
        ("s3://bucket/a/../b", "not `.` or `..`"),
        ("s3://bucket/a//b", "names that are not empty"),
        ("s3://bucket/a?sig=hunter2", "a query or a fragment"),
        ("abfss://c@account.evil.example/a", "its host is not that of an account"),
        ("abfss://c@account.dfs.core.windows.net.evil.example/a", "its host is not that of an account"),
        ("wasbs://c:hunter2@account.blob.core.windows.net/a", "the name of the container is missing or invalid"),
        ("hdfs://a/b", "`hdfs` is not the scheme of an object store: expected one of `s3`"),
    ] {
        let error = StoreUrl::parse(url).unwrap_err();
        assert!(error.message().contains(reason) && !error.message().contains("hunter2"), "{url}: {error}");
    }
}

#[test]
fn invalid_settings_are_rejected_without_their_secrets() {
    let account = "abfss://c@mine.dfs.core.windows.net/m";
    for (variables, url, reason) in [
        (&[("AWS_ACCESS_KEY_ID", "a")][..], "s3://b", "`AWS_ACCESS_KEY_ID` is set, but `AWS_SECRET_ACCESS_KEY` is not"),
        (
            &[("AWS_SECRET_ACCESS_KEY", "hunter2")],
            "s3://b",
            "`AWS_SECRET_ACCESS_KEY` is set, but `AWS_ACCESS_KEY_ID` is not",
        ),
        (&[("MLFLOW_S3_ENDPOINT_URL", "minio:9000")], "s3://b", "`MLFLOW_S3_ENDPOINT_URL`"),
        (&[("MLFLOW_S3_ENDPOINT_URL", "http://a:hunter2@h")], "s3://b", "without user and query"),
        (&[("MLFLOW_S3_IGNORE_TLS", "maybe")], "s3://b", "`MLFLOW_S3_IGNORE_TLS` is `maybe`"),
        (&[("AWS_REGION", "eu/../evil")], "s3://b", "expected the name of a region"),
        (&[("MLFLOW_S3_UPLOAD_EXTRA_ARGS", "{\"SSECustomerKey\": hunter2}")], "s3://b", "expected a JSON object"),
        (&[], "az://c/m", "names no account: set `AZURE_STORAGE_ACCOUNT_NAME`"),
        (&[("AZURE_STORAGE_CONNECTION_STRING", "hunter2")], account, "is not a connection string"),
        (&[("AZURE_STORAGE_CONNECTION_STRING", "AccountName=mine")], account, "is incomplete"),
        (&[("AZURE_STORAGE_ACCESS_KEY", "hunter2!")], account, "failed to set up Azure Blob Storage"),
        (
            &[("AZURE_STORAGE_ACCOUNT_NAME", "other"), ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=hunter2")],
            account,
            "those of the account `other`, but the container is in the account `mine`",
        ),
        (&[("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")], "gs://b", "cannot be read"),
    ] {
        let error = open(variables, url).unwrap_err();
        assert!(error.message().contains(reason) && !error.message().contains("hunter2"), "{variables:?}: {error}");
    }
}

#[test]
fn a_setting_of_one_store_does_not_affect_another() {
    let variables = [("AWS_ACCESS_KEY_ID", "a"), ("STORAGE_EMULATOR_HOST", "localhost:1")];
    open(&variables, "s3://b").unwrap_err();
    open(&variables, "gs://b").unwrap();
    let store = open(&[("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=hunter2")], "wasbs://c@a.blob.core.windows.net/m");
    assert!(!format!("{:?}", store.unwrap().url()).contains("hunter2"));
}

#[test]
fn connection_strings_of_azure_are_parsed() {
    let parse = |text: &str| ConnectionString::parse("C", &Secret::new(text)).unwrap();
    let whole =
        parse("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0cw==;EndpointSuffix=core.windows.net");
    assert_eq!(whole.key.unwrap().expose(), "c2VjcmV0cw==");
    assert_eq!(whole.endpoint.as_deref(), Some("https://a.blob.core.windows.net"));
    let signed = parse("BlobEndpoint=https://b.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D");
    assert_eq!(signed.account.as_deref(), Some("b"));
    assert_eq!(signed.sas.unwrap().expose(), "sv=1&sig=x%3D");
}

#[test]
fn the_digests_of_stores_are_read_and_checked() {
    let read = |headers: &[(&'static str, &'static str)]| {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Digest::of_response(&headers.iter().map(header).collect::<HeaderMap>())
    };
    // The digests of `hello`.
    let md5 = ("etag", "\"5d41402abc4b2a76b9719d911017c592\"");
    let amazon = ("x-amz-request-id", "1");
    let expected = Digest::Md5(0x5d41_402a_bc4b_2a76_b971_9d91_1017_c592_u128.to_be_bytes());
    assert_eq!(read(&[md5, amazon]), Some(expected.clone()));
    assert_eq!(read(&[("x-goog-hash", "crc32c=mnG7TA==, md5=XUFAKrxLKna5cZ2REBfFkg==")]), Some(expected.clone()));
    assert_eq!(read(&[("x-ms-blob-content-md5", "XUFAKrxLKna5cZ2REBfFkg==")]), Some(expected.clone()));
    let crc32c = read(&[("x-goog-hash", "crc32c=mnG7TA==")]).unwrap();
    for (headers, reason) in [
        (&[md5][..], "another store"),
        (&[("etag", "\"5d41402abc4b2a76b9719d911017c592-2\""), amazon], "several parts"),
        (&[md5, amazon, ("x-amz-server-side-encryption", "aws:kms")], "encrypted"),
        (&[md5, amazon, ("x-amz-storage-class", "EXPRESS_ONEZONE")], "no digest"),
        (&[("etag", "\"+d41402abc4b2a76b9719d911017c592\""), amazon], "not hexadecimal"),
    ] {
        assert_eq!(read(headers), None, "{reason}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, "hello").unwrap();
    for digest in [expected, crc32c] {
        assert_eq!(digest.of_file(std::fs::File::open(&path).unwrap()).unwrap(), digest);
    }
    std::fs::write(&path, "hallo").unwrap();
    let other = Digest::Crc32c(1).of_file(std::fs::File::open(&path).unwrap()).unwrap();
    assert_ne!(other, Digest::Crc32c(0x9a71_bb4c));
}

#[tokio::test]
async fn missing_credentials_are_reported_without_a_request() {
    let variables = [("AWS_EC2_METADATA_DISABLED", "true"), ("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")];
    let error = open(&variables, "s3://b/m").unwrap().list(10).await.unwrap_err();
    assert!(error.message().contains("`AWS_ACCESS_KEY_ID`") && error.message().contains("credentials"), "{error}");
    // Nothing listens at this address, as if this machine were not in a cloud.
    let variables = [("GCE_METADATA_HOST", "169.254.0.1:1"), ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")];
    let error = open(&variables, "gs://b/m").unwrap().list(10).await.unwrap_err();
    assert!(error.message().starts_with("no credentials found: set `GOOGLE_APPLICATION_CREDENTIALS`"), "{error}");
}
