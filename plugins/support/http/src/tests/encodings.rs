//! Tests of `Content-Encoding` in whole responses, streams, errors and downloads.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use mlflow_deploy_plugin_api::ErrorCode;
use tempfile::TempDir;

use super::*;
use crate::{ChunkStream, download};

const BODY: &[u8] = b"{\"predictions\": [1, 2, 3]}";

/// [`BODY`] as Python's `brotli` 1.1 compresses it, in Base64.
const BROTLI: &str = "iwyAeyJwcmVkaWN0aW9ucyI6IFsxLCAyLCAzXX0D";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn brotli() -> Vec<u8> {
    BASE64_STANDARD.decode(BROTLI).unwrap()
}

fn encoded(coding: &str, body: Vec<u8>) -> Answer {
    Answer::new(200, body).header("Content-Encoding", coding)
}

#[tokio::test]
async fn every_coding_is_decoded() {
    let halves = [gzip(&BODY[..9]), gzip(&BODY[9..])].concat();
    for (coding, body) in [
        ("gzip", gzip(BODY)),
        ("GZip", gzip(BODY)),
        ("x-gzip", halves),
        ("deflate", zlib(BODY)),
        ("deflate", deflate(BODY)),
        ("br", brotli()),
        ("zstd", zstd(BODY)),
        ("identity", BODY.to_vec()),
        ("", BODY.to_vec()),
        ("gzip, zstd", zstd(&gzip(BODY))),
        ("deflate,br", Vec::new()),
        ("gzip", Vec::new()),
    ] {
        let expected = if body.is_empty() { b"" } else { BODY };
        let bytes: Vec<_> = body.iter().map(|byte| vec![*byte]).collect();
        let slow = Answer::chunks(bytes).header("Content-Encoding", coding).header("Content-Type", "application/json");
        for answer in [encoded(coding, body), slow] {
            let (result, attempts) = send_to(Method::POST, [answer], &policy()).await;
            let response = result.unwrap();
            assert_eq!((response.payload.bytes(), attempts), (expected, 1), "{coding}");
            let is_plain = matches!(coding, "" | "identity");
            assert_eq!(response.headers.contains_key("content-encoding"), is_plain, "{coding}");
        }
    }
}

#[tokio::test]
async fn an_unknown_coding_is_named() {
    for coding in ["compress", "gzip, aes128gcm", "utf-8"] {
        let (result, attempts) = send_to(Method::GET, [encoded(coding, BODY.to_vec())], &policy()).await;
        let error = result.unwrap_err();
        let name = coding.rsplit(", ").next().unwrap();
        assert!(
            error.message().contains(&format!("has the `Content-Encoding` `{name}`, which is not supp")),
            "{error}"
        );
        assert_eq!((error.code(), attempts), (&ErrorCode::INTERNAL_ERROR, 1));
    }
    // The status of an error counts, and an empty body has no coding.
    let failed = Answer::new(404, BODY).header("Content-Encoding", "compress");
    let (result, _) = send_to(Method::GET, [failed], &policy()).await;
    assert_eq!(result.unwrap_err().http().unwrap().status, 404);
    let (result, _) =
        send_to(Method::GET, [Answer::status(204).header("Content-Encoding", "compress")], &policy()).await;
    assert_eq!(result.unwrap().status.as_u16(), 204);
}

#[tokio::test]
async fn a_body_that_is_not_encoded_or_cut_is_an_error() {
    for (coding, body) in [("gzip", gzip(BODY)), ("deflate", zlib(BODY)), ("zstd", zstd(BODY)), ("br", brotli())] {
        let (result, attempts) = send_to(Method::POST, [encoded(coding, BODY.to_vec())], &policy()).await;
        let error = result.unwrap_err();
        assert!(error.message().contains(&format!("is not valid `{coding}`, its `Content-Encoding`: ")), "{error}");
        assert_eq!(attempts, 1, "{error}");

        let (result, _) = send_to(Method::POST, [encoded(coding, body[..body.len() - 1].to_vec())], &policy()).await;
        let error = result.unwrap_err();
        assert!(error.message().contains(&format!("is not valid `{coding}`")), "{error}");
    }
    let cut = || encoded("gzip", gzip(BODY)[..20].to_vec());
    let (result, attempts) = send_to(Method::GET, [cut(), encoded("gzip", gzip(BODY))], &policy()).await;
    assert_eq!((result.unwrap().payload.bytes(), attempts), (BODY, 2));
}

#[tokio::test]
async fn a_limit_counts_decoded_bytes() {
    let large = vec![b' '; 4 << 20];
    for (coding, body) in [("gzip", gzip(&large)), ("deflate", zlib(&large)), ("zstd", zstd(&large))] {
        assert!(body.len() < 1 << 13);
        let strict = Policy { max_response_bytes: 1 << 16, ..policy() };
        let (result, attempts) = send_to(Method::GET, [encoded(coding, body)], &strict).await;
        let error = result.unwrap_err();
        assert!(error.message().contains("the limit is 65536; request less"), "{error}");
        assert_eq!(attempts, 1);
        // Decoding stops as soon as the limit is exceeded.
        let length: usize =
            error.message().split("too large: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(length <= (1 << 16) + (1 << 15), "{length}");
    }
    let (result, _) =
        send_to(Method::GET, [encoded("gzip", gzip(BODY))], &Policy { max_response_bytes: BODY.len(), ..policy() })
            .await;
    assert_eq!(result.unwrap().payload.bytes(), BODY);
}

#[tokio::test]
async fn an_encoded_error_has_its_message_and_no_secret() {
    let body = format!(r#"{{"error":{{"message":"key {TOKEN} is wrong"}}}}"#);
    let answer = Answer::new(401, gzip(body.as_bytes())).header("Content-Encoding", "gzip");
    let (result, _) = send_to(Method::POST, [answer], &policy()).await;
    let error = result.unwrap_err();
    assert!(error.message().ends_with("/p: key <redacted> is wrong"), "{error}");
    assert!(error.http().unwrap().body.contains("key <redacted> is wrong"));
    let endless = Answer::new(500, gzip(&vec![b'x'; 1 << 20])).header("Content-Encoding", "gzip");
    let (result, _) = send_to(Method::POST, [endless], &policy()).await;
    assert!(result.unwrap_err().message().contains(": xxx"));
}

#[tokio::test]
async fn a_stream_asks_for_no_coding_and_decodes_one_that_comes() {
    let (first, second) = (b"data: {\"a\":1}\n\n", b"data: {\"b\":2}\n\ndata: [DONE]\n\n");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(first).unwrap();
    encoder.flush().unwrap();
    let start = encoder.get_ref().clone();
    encoder.write_all(second).unwrap();
    let rest = encoder.finish().unwrap()[start.len()..].to_vec();
    // The second part never comes: the first is returned without it.
    let answer = Answer::chunks([start, rest]).header("Content-Encoding", "gzip").chunk_delay(LONG);
    let server = Server::start([answer]);
    let client = Client::new(Connection::default());
    let mut stream = ChunkStream::open(&client, &request(Method::POST, &server.url()), &policy()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().bytes(), b"{\"a\":1}");
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_download_is_decoded_and_not_resumed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let body = gzip(BODY);
    let cut =
        Answer::new(200, &body[..25]).header("Content-Encoding", "gzip").header("ETag", "\"1\"").declared_length(99);
    let server = Server::start([cut, encoded("gzip", body.clone())]);
    let sent = request(Method::GET, &server.url());
    let length = Some(BODY.len() as u64);
    let written = download(&Client::new(Connection::default()), &sent, &policy(), &path, length, |_| {}).await;
    assert_eq!((written.unwrap(), std::fs::read(path).unwrap().as_slice()), (BODY.len() as u64, BODY));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[1].header("range"), requests[1].header("accept-encoding")), (None, Some("identity")));
}
