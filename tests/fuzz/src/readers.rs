//! The readers, and what has to hold of each beyond that it comes back.

use std::path::Path;

use mlflow_deploy_http::SseReader;
use mlflow_deploy_plugin_api::TargetUri;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};

use crate::Reader;

#[path = "../../../plugins/databricks/src/profile.rs"]
#[expect(dead_code, reason = "the plugin asks more of a profile than its text")]
mod profile;

/// All readers.
pub const READERS: [Reader; 5] = [
    Reader { name: "event-stream", read: event_stream },
    Reader { name: "manifest", read: manifest },
    Reader { name: "manifest-json", read: manifest_json },
    Reader { name: "profiles", read: profiles },
    Reader { name: "target-uri", read: target_uri },
];

/// Wherever a stream is cut, its events are the same, up to the first that is refused.
fn event_stream(bytes: &[u8]) {
    let read = |pieces: [&[u8]; 2]| {
        let mut reader = SseReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(reader.push(piece).ok()?);
        }
        events.extend(reader.finish().ok()?);
        Some(events)
    };
    let whole = read([bytes, &[]]);
    for at in [1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let (before, after) = bytes.split_at(at.min(bytes.len()));
        assert_eq!(read([before, after]), whole, "cut at {at}");
    }
}

/// A shared library, ELF or Mach-O.
fn manifest(bytes: &[u8]) {
    with_file(bytes, |path| drop(manifest::read(path)));
}

/// What stands in a library's section.
fn manifest_json(bytes: &[u8]) {
    let _refused = Manifest::parse(bytes);
}

/// `~/.databrickscfg`: every profile that is named can be chosen.
fn profiles(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(profiles) = profile::Profiles::read(Some(path), None) {
            let _none = profiles.choose(None);
            let _refused = profiles.choose(Some("DEFAULT")).map(|profile| profile.map(|profile| profile.get("host")));
        }
    });
}

/// What is accepted is kept as it was written, and its parts are in it.
fn target_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(target) = TargetUri::parse(text) {
        assert_eq!(target.as_str(), text);
        assert!(text.to_lowercase().starts_with(target.scheme()) && text.ends_with(target.suffix()));
    }
}

fn with_file(bytes: &[u8], read: impl FnOnce(&Path)) {
    let file = tempfile::NamedTempFile::new().expect("a folder for temporary files");
    std::fs::write(file.path(), bytes).expect("room for a temporary file");
    read(file.path());
}
