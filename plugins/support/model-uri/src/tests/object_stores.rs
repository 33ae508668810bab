//! Tests of fetches from object stores, which are scripted servers with the protocol of S3. Some of them fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const KEY: &str = "AKIAS3TESTKEY0000000";
const SECRET: &str = "s3cret-of-the-access-key";
const TOKEN: &str = "s3cret-of-the-session";

/// Returns a client of the store at `url`.
fn store_client(url: &str, options: TrackingOptions) -> Tracking {
    let variables = [
        ("MLFLOW_S3_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    ];
    tracking(options, &variables).unwrap()
}

/// Returns a page of a listing in S3's form. `next` is the token of the next page.
fn page(files: &[(&str, usize)], next: Option<&str>) -> Answer {
    let entry = |(key, size): &(&str, usize)| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>\
             <Size>{size}</Size></Contents>"
        )
    };
    let entries: String = files.iter().map(entry).collect();
    let next = next.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>")).unwrap_or_default();
    let xml = format!("<?xml version=\"1.0\"?><ListBucketResult>{entries}{next}</ListBucketResult>");
    Answer::new(200, xml).header("Content-Type", "application/xml")
}

/// Returns the first and the last byte that a request asks for.
fn range(request: &Request) -> (usize, usize) {
    let range = request.header("range").unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

/// Returns the answer to a request for a part of a file. Sends at most `max` bytes, and then closes the connection.
fn part(request: &Request, content: &[u8], etag: &str, max: usize) -> Answer {
    let (first, last) = range(request);
    let wanted = &content[first..=last];
    let header = format!("bytes {first}-{last}/{}", content.len());
    let answer = Answer::new(206, &wanted[..wanted.len().min(max)])
        .header("Content-Type", "binary/octet-stream")
        .header("Content-Range", &header)
        .header("ETag", etag)
        .header("x-amz-request-id", "1");
    if wanted.len() > max { answer.declared_length(wanted.len() as u64) } else { answer }
}

fn is_list(request: &Request) -> bool {
    request.path.contains("list-type=2")
}

fn xml_error(status: u16, code: &str, message: &str) -> Answer {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::new(status, xml).header("Content-Type", "application/xml")
}

/// The content of a file with more than one part, whose bytes differ from part to part.
fn large() -> Vec<u8> {
    (0..(16 << 20) + 5_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

#[tokio::test]
async fn a_part_that_breaks_off_continues_with_its_missing_bytes() {
    let content = std::sync::Arc::new(large());
    let (served, breaks) = (std::sync::Arc::clone(&content), AtomicUsize::new(0));
    let server = Server::answering(move |request| {
        if is_list(request) {
            return page(&[("models/iris/MLmodel", 2), ("models/iris/data/model.bin", served.len())], None);
        }
        if request.path.ends_with("MLmodel") {
            return part(request, b"ab", "\"187ef4436122d1cc2f40dc2b92f0eba0\"", usize::MAX);
        }
        // The first three answers for the large file break off.
        let max = if breaks.fetch_add(1, Ordering::Relaxed) < 3 { 1_000_000 } else { usize::MAX };
        part(request, &served, "\"several-2\"", max)
    });
    let place = Destination::new();
    let fetched =
        place.fetch("s3://bucket/models/iris", &store_client(&server.url(), TrackingOptions::default())).await;
    assert!(fetched.unwrap().is_downloaded);
    let files = content_of(&place);
    assert!(files["data/model.bin"] == *content && files["MLmodel"] == b"ab");

    let requests = server.requests();
    let parts: Vec<_> = requests.iter().filter(|each| each.path.ends_with("model.bin")).map(range).collect();
    let asked: usize = parts.iter().map(|(first, last)| last + 1 - first).sum();
    assert_eq!(parts.len(), 5, "{parts:?}");
    // Three answers sent their first million bytes, and no byte was requested again after it had arrived.
    let ends: Vec<_> = parts.iter().map(|(_, last)| *last).collect();
    let again: usize = parts[2..].iter().map(|(first, last)| last + 1 - first).sum();
    assert_eq!(asked - again, content.len(), "{parts:?}");
    assert!(ends.iter().all(|end| [(16 << 20) - 1, content.len() - 1].contains(end)), "{parts:?}");
    assert!(parts[2..].iter().all(|(first, _)| first % 1_000_000 == 0 || (first - (16 << 20)) % 1_000_000 == 0));
    for request in &requests {
        let signature = request.header("authorization").unwrap();
        assert!(signature.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY}/")), "{signature}");
        assert_eq!(request.header("x-amz-security-token"), Some(TOKEN));
        assert!(!format!("{request:?}").contains(SECRET));
    }
}

fn content_of(place: &Destination) -> BTreeMap<String, Vec<u8>> {
    content(&place.path())
}

#[tokio::test]
async fn a_store_that_only_breaks_off_is_given_up() {
    let server = Server::answering(|request| match is_list(request) {
        true => page(&[("m/MLmodel", 100)], None),
        false => part(request, &[7; 100], "\"e-1\"", 0),
    });
    let error = fetch_error("s3://bucket/m", &store_client(&server.url(), TrackingOptions::default())).await;
    assert_eq!(error.code(), &ErrorCode::TEMPORARILY_UNAVAILABLE, "{error}");
    assert!(error.message().contains("broke before the response was complete"), "{error}");
    assert_eq!(server.requests().len(), 3, "one listing, one attempt and one retry");
}

#[tokio::test]
async fn a_damaged_or_changed_file_is_an_error() {
    // The digest is that of `hello`.
    let md5 = "\"5d41402abc4b2a76b9719d911017c592\"";
    for (content, size, reason) in [
        (&b"hello"[..], 5, None),
        (b"hallo", 5, Some("but the store reports MD5 5d41402abc4b2a76b9719d911017c592")),
        (b"hello, world", 5, Some("has changed during the download")),
    ] {
        let server = Server::answering(move |request| match is_list(request) {
            true => page(&[("m/MLmodel", size)], None),
            false => part(request, content, md5, usize::MAX),
        });
        let client = store_client(&server.url(), TrackingOptions::default());
        let fetched = Destination::new().fetch("s3://bucket/m", &client).await;
        match reason {
            None => assert!(fetched.unwrap().is_downloaded),
            Some(reason) => {
                let error = fetched.unwrap_err();
                assert!(error.message().contains(reason), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_between_two_parts_is_an_error() {
    let content = large();
    let size = content.len();
    let server = Server::answering(move |request| match (is_list(request), request.path.ends_with("MLmodel")) {
        (true, _) => page(&[("m/MLmodel", 2), ("m/data", size)], None),
        (_, true) => part(request, b"ab", "\"a-1\"", usize::MAX),
        _ => part(request, &content, if range(request).0 == 0 { "\"a-1\"" } else { "\"b-1\"" }, usize::MAX),
    });
    let error = fetch_error("s3://bucket/m", &store_client(&server.url(), TrackingOptions::default())).await;
    assert!(error.message().contains("`s3://bucket/m/data` has changed during the download"), "{error}");
}

#[tokio::test]
async fn hostile_listings_are_rejected() {
    for (keys, reason) in [
        (&["m/MLmodel", "m/../../evil"][..], "`m/../../evil` has a name"),
        (&["m/MLmodel", "m/a//b"], "`m/a//b` has a name that is empty"),
        (&["m/MLmodel", "other/evil"], "`other/evil` is not in this folder"),
        (&["m/MLmodel", "/etc/passwd"], "is not in this folder"),
        (&["m/MLmodel", "m/a", "m/a/b"], "duplicate name `a`"),
        (&["m/MLmodel", "m/MLmodel"], "duplicate name `MLmodel`"),
        (&["m/MLmodel", "m/&#27;[2J"], "control character"),
    ] {
        let files: Vec<_> = keys.iter().map(|key| (*key, 2)).collect();
        let listing = page(&files, None);
        let server = Server::answering(move |request| match is_list(request) {
            true => listing.clone(),
            false => part(request, b"ab", "\"e-1\"", usize::MAX),
        });
        let error = fetch_error("s3://bucket/m", &store_client(&server.url(), TrackingOptions::default())).await;
        assert!(error.message().starts_with("invalid listing of `s3://bucket/m`"), "{keys:?}: {error}");
        assert!(error.message().contains(reason) && !error.message().contains('\u{1b}'), "{keys:?}: {error}");
        assert_eq!(server.requests().len(), 1, "no file is requested");
    }
}

#[tokio::test]
async fn a_listing_has_a_limit_in_number_and_size() {
    let endless = || {
        Server::answering(|request| match is_list(request) {
            true => page(&[("m/a", 1_000_000), ("m/b", 1_000_000)], Some("again")),
            false => Answer::status(404),
        })
    };
    let server = endless();
    let options = TrackingOptions { max_model_files: Some(5), ..TrackingOptions::default() };
    let error = fetch_error("s3://bucket/m", &store_client(&server.url(), options)).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_EXHAUSTED);
    assert!(error.message().contains("`s3://bucket/m` has more than 5 files"), "{error}");
    assert_eq!(server.requests().len(), 3);

    let server = Server::answering(|_| page(&[("m/MLmodel", 1_000_000), ("m/b", 1_000_000)], None));
    let options = TrackingOptions { max_model_bytes: Some(1_500_000), ..TrackingOptions::default() };
    let error = fetch_error("s3://bucket/m", &store_client(&server.url(), options)).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_EXHAUSTED);
    assert!(error.message().contains("2000000 bytes, but `max_model_bytes` allows 1500000"), "{error}");
}

#[tokio::test]
async fn markers_of_folders_and_pages_are_understood() {
    let server =
        Server::answering(|request| match (is_list(request), request.path.contains("continuation-token=two")) {
            (true, false) => page(&[("m/", 0), ("m/data", 0), ("m/data/a.bin", 2)], Some("two")),
            (true, true) => page(&[("m/MLmodel", 2), ("m/empty", 0)], None),
            _ => part(request, b"ab", "\"187ef4436122d1cc2f40dc2b92f0eba0\"", usize::MAX),
        });
    let place = Destination::new();
    place.fetch("s3://bucket/m", &store_client(&server.url(), TrackingOptions::default())).await.unwrap();
    let files = content_of(&place);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["MLmodel", "data/a.bin", "empty"]);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let denied = xml_error(403, "AccessDenied", &format!("no {SECRET} {TOKEN}"));
    for (answer, code, reasons) in [
        (
            xml_error(404, "NoSuchBucket", "none"),
            "RESOURCE_DOES_NOT_EXIST",
            ["NoSuchBucket: none", "check the name of the bucket"],
        ),
        (denied, "PERMISSION_DENIED", ["AccessDenied", "`AWS_ACCESS_KEY_ID`"]),
        (
            xml_error(400, "AuthorizationHeaderMalformed", "wrong").header("x-amz-bucket-region", "eu-west-3"),
            "INVALID_PARAMETER_VALUE",
            ["the bucket is in the region `eu-west-3`", "set `AWS_REGION=eu-west-3`"],
        ),
        (Answer::status(301), "INVALID_PARAMETER_VALUE", ["another region", "set `AWS_REGION`"]),
        (page(&[], None), "RESOURCE_DOES_NOT_EXIST", ["the store has no files in `s3://bucket/m`", "check the path"]),
        (page(&[("m/a/MLmodel", 2)], None), "RESOURCE_DOES_NOT_EXIST", ["no file `MLmodel`", "`a/`"]),
        (Answer::new(200, "<html>"), "INTERNAL_ERROR", ["`s3://bucket/m`", ""]),
    ] {
        let server = Server::start([answer]);
        let error = fetch_error("s3://bucket/m", &store_client(&server.url(), TrackingOptions::default())).await;
        assert_eq!(error.code().as_str(), code, "{error}");
        assert!(reasons.iter().all(|reason| error.message().contains(reason)), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[tokio::test]
async fn the_folder_of_a_logged_model_in_a_store_is_fetched_without_the_tracking_server_s_credentials() {
    let store = Server::answering(|request| match is_list(request) {
        true => page(&[("models/m-1/artifacts/MLmodel", 2)], None),
        false => part(request, b"ab", "\"187ef4436122d1cc2f40dc2b92f0eba0\"", usize::MAX),
    });
    let body = json!({"model": {"info": {"artifact_uri": "s3://bucket/models/m-1/artifacts"}}}).to_string();
    let server = Server::answering(move |_| Answer::new(200, body.clone()));
    let options = TrackingOptions {
        tracking_uri: Some(Secret::new(server.url())),
        token: Some(Secret::new("tracking-token")),
        ..TrackingOptions::default()
    };
    let place = Destination::new();
    place.fetch("models:/m-1", &store_client(&store.url(), options)).await.unwrap();
    assert_eq!(content_of(&place).len(), 1);
    assert!(store.requests().iter().all(|request| !format!("{request:?}").contains("tracking-token")));
    let asked = server.requests();
    assert!(asked.iter().all(|request| !format!("{request:?}").contains(KEY)), "{asked:?}");
    assert_eq!(requested(&server), ["GET /api/2.0/mlflow/logged-models/m-1"]);
}

#[tokio::test]
async fn a_signature_for_azure_goes_to_its_store_and_is_not_shown() {
    const SIGNATURE: &str = "s3cret/signature+of=the==account";
    let encoded = percent_encoding::utf8_percent_encode(SIGNATURE, percent_encoding::NON_ALPHANUMERIC).to_string();
    let sas = format!("sv=2024-11-04&sp=rl&sig={encoded}");
    for (status, reason) in
        [(403, "check the credentials in `AZURE_STORAGE_CONNECTION_STRING`"), (404, "check the name")]
    {
        let server =
            Server::start([xml_error(status, "AuthenticationFailed", &format!("no {SIGNATURE} or {encoded}"))]);
        let connection = format!("BlobEndpoint={}/mine;AccountName=mine;SharedAccessSignature={sas}", server.url());
        let client = tracking(TrackingOptions::default(), &[("AZURE_STORAGE_CONNECTION_STRING", &connection)]).unwrap();
        let error = fetch_error("abfss://models@mine.dfs.core.windows.net/iris", &client).await;
        assert!(error.message().contains(reason), "{error}");
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains(SIGNATURE) && !shown.contains(&encoded), "{shown}");
        let path = &server.requests()[0].path;
        assert!(
            path.starts_with("/mine/models?") && path.contains("prefix=iris%2F") && path.contains("sig="),
            "{path}"
        );
        let other = fetch_error("abfss://models@other.dfs.core.windows.net/iris", &client).await;
        assert!(other.message().contains("those of the account `mine`"), "{other}");
        assert_eq!(server.requests().len(), 1, "the signature is not sent for another account");
    }
}
