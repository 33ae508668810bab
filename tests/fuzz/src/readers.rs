//! The readers, and what has to hold of each beyond that it comes back.

use std::path::Path;
use std::sync::LazyLock;

use mlflow_deploy::{Host, Lock};
use mlflow_deploy_http::SseReader;
use mlflow_deploy_model_uri::ModelUri;
use mlflow_deploy_plugin_api::TargetUri;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};

use crate::Reader;
use crate::message::{HEAD, Message};
use crate::model::Model;
use crate::profile::Profiles;

/// All readers.
pub const READERS: [Reader; 11] = [
    Reader { name: "event-stream", read: event_stream },
    Reader { name: "isolation-message", read: isolation_message },
    Reader { name: "linkage", read: linkage },
    Reader { name: "lock-file", read: lock_file },
    Reader { name: "manifest", read: manifest },
    Reader { name: "manifest-json", read: manifest_json },
    Reader { name: "mlmodel", read: mlmodel },
    Reader { name: "model-uri", read: model_uri },
    Reader { name: "profiles", read: profiles },
    Reader { name: "scoring-request", read: scoring_request },
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

/// What a host and a plugin's process say to each other: each message is written as it was read.
fn isolation_message(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(length)) = Message::length(rest) {
        assert!(length >= HEAD, "it would be read for ever");
        let Some((whole, after)) = rest.split_at_checked(length) else { return };
        if let Ok(message) = Message::read(whole) {
            let (head, first, second) = message.parts();
            assert_eq!([&head, first, second].concat(), whole, "{message:?}");
        }
        rest = after;
    }
}

/// What a plugin asks of the system's loader.
fn linkage(bytes: &[u8]) {
    with_file(bytes, |path| {
        let found = Host::builder().search_path([""; 0]).trusted_plugin(path).build().discover();
        let _refused = found.candidates[0].dependencies();
    });
}

/// A lock file that is taken is written as one that reads the same.
fn lock_file(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(lock) = Lock::read(path) {
            with_file(lock.to_text().as_bytes(), |again| assert_eq!(Lock::read(again).ok(), Some(lock)));
        }
    });
}

/// A shared library, ELF or Mach-O.
fn manifest(bytes: &[u8]) {
    with_file(bytes, |path| drop(manifest::read(path)));
}

/// What stands in a library's section.
fn manifest_json(bytes: &[u8]) {
    let _refused = Manifest::parse(bytes);
}

/// `MLmodel`.
fn mlmodel(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    std::fs::write(folder.path().join("MLmodel"), bytes).expect("room for a temporary file");
    let _refused = Model::read(folder.path());
}

/// What is accepted is printed as something that is accepted, and that prints in the same way.
fn model_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(uri) = ModelUri::parse(text) {
        let shown = uri.to_string();
        assert_eq!(ModelUri::parse(&shown).map(|uri| uri.to_string()), Ok(shown));
    }
}

/// `~/.databrickscfg`: every profile that is named can be chosen.
fn profiles(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(profiles) = Profiles::read(Some(path), None) {
            let _none = profiles.choose(None);
            let _refused = profiles.choose(Some("DEFAULT")).map(|profile| profile.map(|profile| profile.get("host")));
        }
    });
}

/// The inputs of a model, for one without a signature, one of columns of every type, and one of tensors.
fn scoring_request(bytes: &[u8]) {
    static MODELS: LazyLock<[Model; 2]> = LazyLock::new(|| {
        ["every_column", "every_tensor"].map(|name| {
            let folder = tempfile::tempdir().expect("a folder for temporary files");
            let mlmodel = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/mlmodel").join(name);
            std::fs::copy(mlmodel, folder.path().join("MLmodel")).expect("a file of the corpus");
            Model::read(folder.path()).expect("a model of the corpus")
        })
    });
    let signatures = MODELS.iter().map(|model| model.signature.as_ref());
    for signature in signatures.chain([None]) {
        for content_type in ["application/json", "text/csv"] {
            let _refused = mlflow_deploy_scoring::read_request(content_type, bytes, signature);
        }
    }
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
