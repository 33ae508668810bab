//! The readers, which call the parsers and check their results.

use std::path::Path;
use std::sync::LazyLock;

use mlflow_deploy::inputs::TableInputs;
use mlflow_deploy::predictions::arrow_array::RecordBatch;
use mlflow_deploy::predictions::ndarray::ArrayD;
use mlflow_deploy::predictions::num_complex::Complex;
use mlflow_deploy::predictions::{Datetime64, Ndarray, Timedelta64, time_unit};
use mlflow_deploy::{Host, Lock, Payload, PredictionsResponse};
use mlflow_deploy_http::SseReader;
use mlflow_deploy_model_uri::ModelUri;
use mlflow_deploy_plugin_api::manifest::{self, Manifest};
use mlflow_deploy_plugin_api::{TargetUri, json_integer};

use crate::binary;
use crate::datatype::Datatype;
use crate::message::{HEAD, Message};
use crate::model::Model;
use crate::profile::Profiles;
use crate::reader::Reader;

/// All readers, ordered by name. A reader is a function that calls a parser and checks its result.
pub const READERS: [Reader; 14] = [
    Reader { name: "event-stream", read: event_stream },
    Reader { name: "isolation-message", read: isolation_message },
    Reader { name: "json-integer", read: json_integer },
    Reader { name: "linkage", read: linkage },
    Reader { name: "lock-file", read: lock_file },
    Reader { name: "manifest", read: manifest },
    Reader { name: "manifest-json", read: manifest_json },
    Reader { name: "mlmodel", read: mlmodel },
    Reader { name: "model-uri", read: model_uri },
    Reader { name: "predictions", read: predictions },
    Reader { name: "profiles", read: profiles },
    Reader { name: "scoring-request", read: scoring_request },
    Reader { name: "target-uri", read: target_uri },
    Reader { name: "tensor-bytes", read: tensor_bytes },
];

/// Reads an event stream. Checks that the events are the same if the stream arrives in two pieces.
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
        assert_eq!(read([before, after]), whole, "split at {at}");
    }
}

/// Reads the messages between a host and an isolated plugin's process. Checks that writing a message returns the bytes
/// that were read.
fn isolation_message(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(length)) = Message::length(rest) {
        assert!(length >= HEAD, "the reader would make no progress");
        let Some((whole, after)) = rest.split_at_checked(length) else { return };
        if let Ok(message) = Message::read(whole) {
            let (head, first, second) = message.parts();
            assert_eq!([&head, first, second].concat(), whole, "{message:?}");
        }
        rest = after;
    }
}

/// Searches JSON for an integer that does not fit into 64 bits. Checks that an integer found has at least 19 digits.
fn json_integer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(at) = json_integer::beyond_64_bits(text) {
        assert!(text[at..].trim_start_matches('-').bytes().take_while(u8::is_ascii_digit).count() >= 19, "{text}");
    }
}

/// Reads a shared library for the names of the libraries on which it depends.
fn linkage(bytes: &[u8]) {
    with_file(bytes, |path| {
        let found = Host::builder().search_path([""; 0]).trusted_plugin(path).build().discover();
        let _dependencies = found.candidates[0].dependencies();
    });
}

/// Reads a lock file. If it is valid, checks that writing it and reading it again returns an equal lock.
fn lock_file(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(lock) = Lock::read(path) {
            with_file(lock.to_text().as_bytes(), |again| assert_eq!(Lock::read(again).ok(), Some(lock)));
        }
    });
}

/// Reads the plugin manifest in a shared library of the format ELF or Mach-O.
fn manifest(bytes: &[u8]) {
    with_file(bytes, |path| drop(manifest::read(path)));
}

/// Parses the JSON text of a plugin manifest.
fn manifest_json(bytes: &[u8]) {
    let _ignored = Manifest::parse(bytes);
}

/// Reads `MLmodel`, the file that describes an MLflow model.
fn mlmodel(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    std::fs::write(folder.path().join("MLmodel"), bytes).expect("the disk has space");
    let _ignored = Model::read(folder.path());
}

/// Parses a model URI. If it is valid, checks that the printed URI is valid too, and that printing it again does not
/// change it.
fn model_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(uri) = ModelUri::parse(text) {
        let shown = uri.to_string();
        assert_eq!(ModelUri::parse(&shown).map(|uri| uri.to_string()), Ok(shown));
    }
}

/// Reads predictions and converts them to tables and arrays. Checks that such a table can be an input.
fn predictions(bytes: &[u8]) {
    let Ok(response) = PredictionsResponse::from_json(bytes) else { return };
    if let Ok(table) = response.get_predictions::<RecordBatch>() {
        assert!(Payload::from_batch(&table).is_ok(), "{table:?}");
    }
    let _ignored = response.get_predictions::<Ndarray>();
    let _ignored = response.get_predictions::<ArrayD<Complex<f64>>>();
    let _ignored = response.get_predictions::<ArrayD<Datetime64<time_unit::Attosecond>>>();
    let _ignored = response.get_predictions::<ArrayD<Datetime64<time_unit::Week>>>();
    let _ignored = response.get_predictions::<ArrayD<Timedelta64<time_unit::Day>>>();
}

/// Reads a `.databrickscfg` file. Selects the default profile, and the profile with the name `DEFAULT`.
fn profiles(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(profiles) = Profiles::read(Some(path), None) {
            let _default = profiles.select(None);
            let _ignored = profiles.select(Some("DEFAULT")).map(|profile| profile.map(|profile| profile.get("host")));
        }
    });
}

/// Reads a scoring request, both as JSON and as CSV. Reads it for three models: one with columns of every type, one
/// with tensors, and one without a signature.
fn scoring_request(bytes: &[u8]) {
    static MODELS: LazyLock<[Model; 2]> = LazyLock::new(|| {
        ["every_column", "every_tensor"].map(|name| {
            let folder = tempfile::tempdir().expect("the temporary folder is writable");
            let mlmodel = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/mlmodel").join(name);
            std::fs::copy(mlmodel, folder.path().join("MLmodel")).expect("the file is in the corpus");
            Model::read(folder.path()).expect("the model is valid")
        })
    });
    let signatures = MODELS.iter().map(|model| model.signature.as_ref());
    for signature in signatures.chain([None]) {
        for content_type in ["application/json", "text/csv"] {
            let _ignored = mlflow_deploy_scoring::read_request(content_type, bytes, signature);
        }
    }
}

/// Parses a target URI. If it is valid, checks that parsing it again returns an equal URI. Also checks that the URI
/// begins with its scheme and ends with its suffix.
fn target_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(target) = TargetUri::parse(text) {
        assert_eq!(TargetUri::parse(target.as_str()).ok().as_ref(), Some(&target));
        let text = target.as_str();
        assert!(text.to_lowercase().starts_with(target.scheme()) && text.ends_with(target.suffix()));
    }
}

/// Reads a tensor from the bytes of the Open Inference Protocol. The first three bytes are its type and its shape. Checks
/// that writing the tensor returns the bytes that were read, as far as the type has one form for each value.
fn tensor_bytes(bytes: &[u8]) {
    const TYPES: [&str; 14] = [
        "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
        "BF16", "BYTES",
    ];
    let Some(([kind, rows, columns], raw)) = bytes.split_first_chunk() else { return };
    let name = TYPES[usize::from(*kind) % TYPES.len()];
    let datatype: Datatype = serde_json::from_value(name.into()).expect("the protocol has the type");
    if let Ok(tensor) = binary::decode(raw, datatype, &[usize::from(*rows), usize::from(*columns)]) {
        let written = binary::encode(&tensor, datatype).expect("the strings are short");
        assert_eq!(written.len(), raw.len(), "{tensor:?}");
        assert!(written == raw || name == "BOOL" || name.contains("F"), "{tensor:?}");
    }
}

fn with_file(bytes: &[u8], read: impl FnOnce(&Path)) {
    let file = tempfile::NamedTempFile::new().expect("the temporary folder is writable");
    std::fs::write(file.path(), bytes).expect("the disk has space");
    read(file.path());
}
