//! Downloads files from a server that does not send them itself (`mlflow server --artifacts-presigned-only`). The
//! server signs the URL of a file in its storage, and the storage sends the file.
//!
//! The storage never receives the user's credentials, because the signed URL grants access.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, Method};
use mlflow_deploy_http::{Download, Policy, Request, header_name, header_value, hide, redact_url, request, send};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::artifacts::RemoteFolder;
use crate::folder::Folder;
use crate::session::Session;

/// The JSON member that a server which only signs URLs sets in its information, and in its refusal to send a file.
const PRESIGNED_ONLY: &str = "artifacts_presigned_only";
/// The maximum time to wait for a server's information. Some servers have no such information and may not answer.
const INFO_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size in bytes of a response with a server's information or a signed URL.
const MAX_LEN: usize = 1 << 20;
/// The minimum length of a value in a signed URL or in its headers that is redacted as a secret.
const MIN_SECRET: usize = 20;

/// Asks the server of each folder if it signs URLs instead of sending files. Returns the artifact URLs of the servers
/// that do.
pub(crate) async fn signing_servers<'a>(session: &Session<'_>, folders: &'a [Folder]) -> BTreeSet<&'a Url> {
    let servers = folders.iter().filter_map(|folder| match folder {
        Folder::Server(folder) => Some((&folder.base, folder)),
        Folder::Store(_) => None,
    });
    let servers: BTreeMap<_, _> = servers.collect();
    let mut signing = BTreeSet::new();
    for (base, folder) in servers {
        if signs(session, folder).await {
            signing.insert(base);
        }
    }
    signing
}

/// Returns true if the server of a folder reports that it signs URLs instead of sending files. Older servers do not
/// report this.
async fn signs(session: &Session<'_>, folder: &RemoteFolder) -> bool {
    let policy = Policy {
        max_retries: 0,
        silence: INFO_TIMEOUT.min(session.policy.silence),
        max_response_bytes: MAX_LEN,
        ..session.policy.clone()
    };
    let info = match folder.server_info() {
        Ok(Some(request)) => send(session.http, &request, &policy).await,
        Ok(None) => return false,
        Err(error) => Err(error),
    };
    match info.and_then(|info| info.parse::<Map<String, Value>>("the server's information")) {
        Ok(info) => info.get(PRESIGNED_ONLY).and_then(Value::as_bool).unwrap_or(false),
        Err(error) => {
            if error.http_status() != Some(404) {
                call::log(Level::Debug, format!("`{folder}` is fetched from the server itself: {error}"));
            }
            false
        }
    }
}

/// Returns true if an error is the refusal of a server to send a file, because the server signs URLs instead.
pub(crate) fn is_demanded(error: &Error) -> bool {
    error.http().is_some_and(|http| http.status == 403 && http.body.contains(PRESIGNED_ONLY))
}

/// Downloads a file of a folder through a signed URL of the storage. If the storage refuses the URL, requests a new one,
/// because the URL may have expired, and continues the download.
///
/// # Errors
/// Fails with the error of the server that signs the URLs, or of the storage. Gives up if the storage refuses two URLs in
/// a row without sending any bytes in between.
pub(crate) async fn receive(
    session: &Session<'_>,
    folder: &RemoteFolder,
    path: &[String],
    target: &Download<'_>,
    received: &AtomicU64,
) -> Result<u64> {
    let mut received_before = None;
    loop {
        let request = signed(session, folder, path).await?;
        let error = match target.receive(session.storage, &request, &session.policy).await {
            Err(error) if is_refusal(&error) => error,
            result => return result,
        };
        let now = received.load(Ordering::Relaxed);
        if received_before.is_some_and(|before| now <= before) {
            return Err(error);
        }
        received_before = Some(now);
        call::log(Level::Debug, format!("{error}: another URL is requested, because this one may have expired"));
    }
}

/// Returns true if an error is the refusal of a signed URL by a storage. Amazon's and Azure's storages refuse with 403,
/// and Google's with 400 or 401.
fn is_refusal(error: &Error) -> bool {
    matches!(error.http_status(), Some(400 | 401 | 403))
}

/// Asks the server for a signed URL of a file. Returns the request that downloads the file from the storage.
async fn signed(session: &Session<'_>, folder: &RemoteFolder, path: &[String]) -> Result<Request> {
    #[derive(Deserialize)]
    struct Answer {
        url: Secret,
        #[serde(default)]
        headers: Option<BTreeMap<String, String>>,
    }
    let asked = folder.presigned(path)?;
    let policy = Policy { max_response_bytes: MAX_LEN, ..session.policy.clone() };
    let answer = send(session.http, &asked, &policy).await.map_err(|error| folder.explain(error))?;
    let answer: Answer = answer.parse("a signed URL")?;
    let invalid = |reason: &str| {
        let message = format!("the server signed an invalid URL for `{}` in `{folder}`: {reason}", path.join("/"));
        Error::new(ErrorCode::INTERNAL_ERROR, message)
    };
    let url = Url::parse(answer.url.expose()).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&format!("`{}` is neither `http` nor `https`", redact_url(&url))));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers.into_iter().flatten() {
        let name = header_name(&name)?;
        // A `Host` header is left out, because the URL determines the server.
        if name != HOST {
            let mut header = header_value("the signed URL's header", &value)?;
            header.set_sensitive(value.len() >= MIN_SECRET);
            headers.insert(name, header);
        }
    }
    let mut request = request(Method::GET, &url, headers, "")?;
    // The key and the signature give access to the file. The other values are short.
    let secrets = url.query_pairs().filter(|(_, value)| value.len() >= MIN_SECRET);
    hide(&mut request, secrets.map(|(_, value)| Secret::new(value.into_owned())));
    Ok(request)
}
