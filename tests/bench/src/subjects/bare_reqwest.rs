//! The subject `reqwest`: the HTTP library alone.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::work::Subject;

/// A client without any library of ours.
pub(crate) struct BareReqwest {
    client: Client,
    url: String,
}

impl BareReqwest {
    /// Creates a client of the server at this URL.
    pub(crate) fn new(server: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().unwrap();
        Self { client: Client::new(), url: format!("{server}/v1/chat/completions") }
    }

    async fn send(&self, request: Bytes) -> Response {
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(request);
        request.send().await.unwrap().error_for_status().unwrap()
    }
}

impl Subject for BareReqwest {
    async fn predict(&self, request: Bytes) {
        self.send(request).await.bytes().await.unwrap();
    }

    async fn stream(&self, request: Bytes) -> usize {
        let mut body = self.send(request).await.bytes_stream();
        let (mut open, mut chunks) = (BytesMut::new(), 0);
        while let Some(part) = body.next().await {
            open.extend_from_slice(&part.unwrap());
            while let Some(end) = open.windows(2).position(|pair| pair == b"\n\n") {
                let event = open.split_to(end);
                open.advance(2);
                let data = event.strip_prefix(b"data: ").unwrap();
                if data != b"[DONE]" {
                    serde_json::from_slice::<Value>(data).unwrap();
                    chunks += 1;
                }
            }
        }
        chunks
    }
}
