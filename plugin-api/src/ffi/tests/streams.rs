//! Tests that a stream sends only as many chunks as the host allows, ends once, and stops when it is dropped.

use std::sync::atomic::Ordering;

use super::probe::{CHUNKS_SENT, open, start, stream, until};
use crate::ffi::stream::{FIRST_WINDOW, MAX_WINDOW, Window};
use crate::{Error, ErrorCode};

#[tokio::test]
async fn a_stream_sends_as_many_chunks_as_its_window_grants_and_stops_when_dropped() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let sent = || CHUNKS_SENT.load(Ordering::SeqCst);
    let mut chunks = client.predict_stream(&stream("endless", "x"), None).unwrap();
    let (mut window, mut granted) = (Window::FIRST, FIRST_WINDOW as usize);
    until(|| sent() == granted).await;
    for _taken in 0..MAX_WINDOW {
        let chunk = chunks.next().await.unwrap().unwrap();
        granted += window.take(chunk.bytes.len()) as usize;
        assert!(sent() <= granted, "{} sent, {granted} granted", sent());
    }
    until(|| sent() == granted).await;
    drop(chunks);
    plugin.shut_down().await.unwrap();
    assert_eq!(sent(), granted);
    assert!(events.all().is_empty(), "{events:?}");
}

#[tokio::test]
async fn an_error_after_some_chunks_is_the_last_item() {
    let (plugin, _) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let mut chunks = client.predict_stream(&stream("fail", "first"), None).unwrap();
    let first = chunks.next().await.unwrap().unwrap();
    assert_eq!((first.content_type(), first.bytes.as_slice()), ("text/plain", b"first".as_slice()));
    let error = chunks.next().await.unwrap().unwrap_err();
    assert_eq!(error, Error::new(ErrorCode::RESOURCE_EXHAUSTED, "enough").retryable());
    assert!(chunks.next().await.is_none());
}
