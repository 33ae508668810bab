//! The objects in S3: an archive is uploaded in parts, and small objects are read, written and deleted.

use bytes::Bytes;
use http::{HeaderMap, Method};
use mlflow_deploy_http::{Environment, Response, join, request};
use mlflow_deploy_object_store::{StoreUrl, Stores};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret, call};
use url::Url;

use crate::archive::Archive;
use crate::failure::is_missing;
use crate::session::{Headers, Session, headers};

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct S3Object {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The account that the bucket has to belong to. It is set for a bucket whose name others can guess.
    pub(crate) owner: Option<String>,
}

impl S3Object {
    /// Parses a URI such as `s3://bucket/key`.
    pub(crate) fn parse(uri: &str) -> Result<Self> {
        let parts = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match parts {
            Some((bucket, key)) if !key.is_empty() => {
                check_bucket(bucket)?;
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), owner: None })
            }
            _ => Err(Error::invalid_parameter(format!(
                "invalid place `{}` in S3: expected `s3://BUCKET/KEY`",
                mlflow_deploy_plugin_api::text::line(uri)
            ))),
        }
    }

    /// Returns the URI of the object.
    pub(crate) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Fails if a text cannot be the name of a bucket, because it becomes a part of URLs.
pub(crate) fn check_bucket(name: &str) -> Result<()> {
    let fits = |each: char| each.is_ascii_alphanumeric() || "-._".contains(each);
    if (3..=255).contains(&name.len()) && name.chars().all(fits) && !name.contains("..") {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(Error::invalid_parameter(format!(
        "invalid bucket `{}`: expected the name of a bucket in S3, such as `my-models`, without `s3://`",
        mlflow_deploy_plugin_api::text::line(&shown)
    )))
}

/// Returns true if the bucket exists. Fails if it belongs to another account.
pub(crate) async fn bucket_exists(session: &Session, bucket: &str, owner: &str) -> Result<bool> {
    let place = S3Object { bucket: bucket.to_owned(), key: String::new(), owner: Some(owner.to_owned()) };
    match send(session, Method::HEAD, &place, "", (&[], Bytes::new()), "HeadBucket").await {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) if error.http_status() == Some(403) => Err(Error::new(
            ErrorCode::PERMISSION_DENIED,
            format!("the default bucket `{bucket}` belongs to another account, or may not be read: set `bucket` in the config"),
        )
        .with_cause(&error)),
        Err(error) => Err(error),
    }
}

/// Creates a bucket in the session's region.
pub(crate) async fn create_bucket(session: &Session, bucket: &str) -> Result<()> {
    let place = S3Object { bucket: bucket.to_owned(), key: String::new(), owner: None };
    // S3 rejects the name of this region.
    let body = match session.region.as_str() {
        "us-east-1" => String::new(),
        region => format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}\
             </LocationConstraint></CreateBucketConfiguration>"
        ),
    };
    send(session, Method::PUT, &place, "", (&[], body.into()), "CreateBucket").await.map(drop)
}

/// Uploads an archive while it is packed, in parts. The object has the tag `SageMaker`, as that of MLflow's client. After a
/// failure, the parts are deleted. Returns the size of the archive in bytes.
pub(crate) async fn upload(session: &Session, object: &S3Object, mut archive: Archive) -> Result<u64> {
    let key = session.credentials.access_key().await?;
    let secret = |secret: &Secret| secret.expose().to_owned();
    let lookup = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some(key.id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(secret(&key.secret)),
        "AWS_SESSION_TOKEN" => key.session_token.as_ref().map(secret),
        "AWS_REGION" | "AWS_DEFAULT_REGION" => Some(session.region.clone()),
        other => session.storage.get(other).cloned(),
    };
    let stores = Stores::new(&Environment::new(&lookup));
    let store = stores.open(&StoreUrl::parse(&object.uri())?, &session.policy)?;
    let mut upload = store.upload(&[]).await?;
    let sent = async {
        let mut size = 0;
        while let Some(part) = archive.next().await? {
            size += part.len() as u64;
            upload.write(&part).await?;
            call::progress(0.2, format!("uploading the model, {} MiB so far", size.div_ceil(1 << 20)));
        }
        upload.finish().await?;
        Ok(size)
    };
    let sent = tokio::select! {
        sent = sent => sent,
        () = call::cancelled() => Err(Error::new(ErrorCode::CANCELLED, "the upload of the model was cancelled")),
    };
    match sent {
        Ok(size) => tag(session, object).await.map(|()| size),
        Err(error) => {
            if let Err(left) = upload.abort().await {
                let uri = object.uri();
                call::warn(format!("the parts of the incomplete upload `{uri}` remain in S3: {}", left.message()));
            }
            Err(error)
        }
    }
}

/// Sets the tag of MLflow's client.
async fn tag(session: &Session, object: &S3Object) -> Result<()> {
    let body = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>SageMaker</Key><Value>true</Value></Tag>\
                </TagSet></Tagging>";
    send(session, Method::PUT, object, "tagging=", (&[], body.into()), "PutObjectTagging").await.map(drop)
}

/// Writes a small object.
pub(crate) async fn put(session: &Session, object: &S3Object, media_type: &str, body: Vec<u8>) -> Result<()> {
    send(session, Method::PUT, object, "", (&[("content-type", media_type)], body.into()), "PutObject").await.map(drop)
}

/// Reads an object; `None` if it does not exist.
pub(crate) async fn get(session: &Session, object: &S3Object) -> Result<Option<Response>> {
    match send(session, Method::GET, object, "", (&[], Bytes::new()), "GetObject").await {
        Ok(response) => Ok(Some(response)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes an object. Succeeds if it does not exist.
pub(crate) async fn delete(session: &Session, object: &S3Object) -> Result<()> {
    match send(session, Method::DELETE, object, "", (&[], Bytes::new()), "DeleteObject").await {
        Err(error) if !is_missing(&error) => Err(error),
        _ => Ok(()),
    }
}

async fn send(
    session: &Session,
    method: Method,
    object: &S3Object,
    query: &str,
    (named, body): (Headers<'_>, Bytes),
    operation: &str,
) -> Result<Response> {
    let mut url = place(session, object)?;
    if !query.is_empty() {
        url.set_query(Some(query));
    }
    let mut headers: HeaderMap = headers(named)?;
    if let Some(owner) = &object.owner {
        headers.extend(crate::session::headers(&[("x-amz-expected-bucket-owner", owner)])?);
    }
    let request = request(method, &url, headers, body)?;
    session.send(request, ("s3", &session.region), operation, &session.policy).await
}

/// Returns the URL of an object. The bucket is a part of the path if a variable sets the URL of S3, or if its name has dots.
fn place(session: &Session, object: &S3Object) -> Result<Url> {
    let key = object.key.split('/').map(encoded).collect::<Vec<_>>().join("/");
    let replaced = session.endpoints.replaced("S3")?;
    let in_host = replaced.is_none() && !object.bucket.contains(['.', '_']);
    let base = match replaced {
        Some(url) => url,
        None if in_host => session.endpoints.url("S3", &format!("{}.s3", object.bucket), &session.region)?,
        None => session.endpoints.url("S3", "s3", &session.region)?,
    };
    let path = if in_host { format!("/{key}") } else { format!("/{}/{key}", object.bucket) };
    Ok(join(&base, path.strip_suffix('/').filter(|_| key.is_empty()).unwrap_or(&path)))
}

/// Returns a text for a path or a query, as signature version 4 encodes it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
        encoded
    })
}
