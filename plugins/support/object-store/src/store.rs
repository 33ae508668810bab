//! A folder in an object store: its files, and the parts of a file.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{BoxStream, StreamExt};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, sync};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};

use crate::connector::Connector;
use crate::digest::Digest;
use crate::failure::{self, BUCKET_REGION};
use crate::s3::S3Settings;
use crate::upload::Upload;
use crate::url::{Place, StoreUrl};

/// A folder in an object store.
pub struct Store {
    url: StoreUrl,
    /// The client of the bucket, which is replaced if the bucket is in another region.
    inner: Mutex<Arc<dyn ObjectStore>>,
    /// The settings with which a bucket in another region is opened again.
    s3: Option<Box<(S3Settings, Connector)>>,
}

/// A file in an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    location: Path,
    /// The path of the file below the listed folder, as a list of names that are not empty, `.` or `..`.
    pub path: Vec<String>,
    /// The length of the file in bytes.
    pub size: u64,
}

/// A part of a file that a store has started to send.
#[expect(clippy::exhaustive_structs, reason = "only this crate creates it")]
pub struct Part {
    /// The version of the file; `None` if the store reports none.
    pub etag: Option<String>,
    /// The length of the whole file in bytes.
    pub size: u64,
    /// The digest of the whole file; `None` if the store reports none.
    pub digest: Option<Digest>,
    /// The bytes. The error of a lost connection is retryable.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl Store {
    pub(crate) fn of(url: StoreUrl, inner: Arc<dyn ObjectStore>) -> Self {
        Self { url, inner: Mutex::new(inner), s3: None }
    }

    pub(crate) fn of_s3(url: StoreUrl, settings: S3Settings, bucket: &str, connector: Connector) -> Result<Self> {
        let inner = settings.build(bucket, connector.clone())?;
        Ok(Self { s3: Some(Box::new((settings, connector))), ..Self::of(url, inner) })
    }

    /// Returns the URL of the folder.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Lists the files in the folder and in its subfolders. Stops with an error after `max_files` files.
    ///
    /// If an S3 bucket is in another region than the configured one, opens it in its own region.
    ///
    /// # Errors
    /// - The store's error, with advice.
    /// - `INTERNAL_ERROR` if a path has a name that is empty, `.` or `..`, because it would lead out of the folder.
    /// - `RESOURCE_EXHAUSTED` if there are more files.
    pub async fn list(&self, max_files: usize) -> Result<Vec<StoredObject>> {
        let error = match self.list_once(max_files).await {
            Err(error) => error,
            listed => return listed,
        };
        let region = error.details().get(BUCKET_REGION).and_then(|region| region.as_str());
        let (Some(region), Some((settings, connector)), Place::S3 { bucket }) =
            (region, self.s3.as_deref(), &self.url.place)
        else {
            return Err(error);
        };
        if !settings.may_follow_region(region) {
            return Err(error);
        }
        call::log(Level::Debug, format!("the bucket of `{}` is in the region `{region}`, which is used", self.url));
        let settings = settings.clone().with_region(region);
        *sync::lock(&self.inner) = settings.build(bucket, connector.clone())?;
        self.list_once(max_files).await
    }

    async fn list_once(&self, max_files: usize) -> Result<Vec<StoredObject>> {
        let mut objects = Vec::new();
        let client = self.client();
        let mut listed = client.list(Some(&self.url.key));
        while let Some(object) = listed.try_next().await.map_err(|error| self.error(&error))? {
            let Some(below) = object.location.prefix_match(&self.url.key) else {
                let location = object.location.as_ref().escape_debug().to_string();
                return Err(Error::internal(format!(
                    "invalid listing of `{}`: `{location}` is not in this folder",
                    self.url
                )));
            };
            let path: Vec<_> = below.map(|part| part.as_ref().to_owned()).collect();
            // A file with the name of the folder marks a folder that was empty.
            if path.is_empty() {
                continue;
            }
            if objects.len() >= max_files {
                let message = format!("`{}` has more than {max_files} files: check the path", self.url);
                return Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message));
            }
            objects.push(StoredObject { location: object.location, path, size: object.size });
        }
        Ok(objects)
    }

    /// Requests a part of a file.
    ///
    /// # Errors
    /// The store's error, with advice.
    pub async fn read(&self, object: &StoredObject, range: Range<u64>) -> Result<Part> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = self.client().get_opts(&object.location, options).await.map_err(|error| self.error(&error))?;
        let (etag, size) = (result.meta.e_tag.clone(), result.meta.size);
        let digest = result.extensions.get::<Digest>().cloned();
        let url = self.url.clone();
        let bytes = result.into_stream().map_err(move |error| failure::convert(&url, &error)).boxed();
        Ok(Part { etag, size, digest, bytes })
    }

    /// Starts the upload of a file below the folder. Nothing is visible in the store before the upload is finished.
    ///
    /// # Errors
    /// The store's error, with advice.
    pub async fn upload(&self, below: &[String]) -> Result<Upload> {
        let url = self.url.join(below);
        let upload = self.client().put_multipart_opts(&url.key, Default::default()).await;
        Ok(Upload::new(upload.map_err(|error| self.error(&error))?, url))
    }

    /// Deletes a file below the folder.
    ///
    /// # Errors
    /// The store's error, with advice.
    pub async fn delete(&self, below: &[String]) -> Result<()> {
        let location = self.url.join(below).key;
        let locations = futures_util::stream::once(async move { Ok(location) }).boxed();
        let deleted = self.client().delete_stream(locations).try_collect::<Vec<_>>().await;
        deleted.map(|_deleted| ()).map_err(|error| self.error(&error))
    }

    fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&sync::lock(&self.inner))
    }

    fn error(&self, error: &object_store::Error) -> Error {
        failure::convert(&self.url, error)
    }
}

/// Omits the client, which has the credentials.
impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Omits the bytes.
impl std::fmt::Debug for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Part").field("etag", &self.etag).field("size", &self.size).finish_non_exhaustive()
    }
}
