//! Tests with ONNX models that have external tensors in every position of the schema.

mod schema;

use std::fs;
use std::path::Path;

use self::schema::{FieldPath, ProtoSchema};
use super::schema::{MODEL, MessageType};
use super::walk::check_model;

/// Encodes a field of a protobuf message.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = varint(u64::from(number << 3 | 2));
    field.extend(varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let digit = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(digit);
            return bytes;
        }
        bytes.push(digit | 0x80);
    }
}

/// Encodes a tensor with the name `w` and these entries in `external_data`.
fn tensor(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry =
        |(key, value): &(&str, &str)| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    [field(8, b"w"), entries.iter().flat_map(entry).collect()].concat()
}

/// Encodes a model with an empty graph, and with a tensor in the field at `path`.
fn model_with(path: &FieldPath, tensor: &[u8]) -> Vec<u8> {
    let inner = path.iter().rev().fold(tensor.to_vec(), |inner, number| field(*number, &inner));
    if path[0] == 7 { inner } else { [inner, field(7, b"")].concat() }
}

/// Encodes a model with one initializer, which has these entries in `external_data`.
fn initializer(entries: &[(&str, &str)]) -> Vec<u8> {
    model_with(&vec![7, 5], &tensor(entries))
}

fn rejection(model: &[u8], folder: &Path) -> String {
    check_model(model, folder, "model.onnx").unwrap_err().message().to_owned()
}

#[test]
fn the_table_matches_the_schema() {
    let schema = ProtoSchema::read();
    let mut found = Vec::<&'static MessageType>::new();
    let mut next = vec![&MODEL];
    while let Some(message) = next.pop() {
        if found.iter().any(|each| each.name == message.name) {
            continue;
        }
        found.push(message);
        let fields = schema.fields(message.name);
        let scalars: Vec<u32> =
            fields.iter().filter(|field| field.message.is_none()).map(|field| field.number).collect();
        assert_eq!(message.scalars, scalars, "{}", message.name);
        let in_table: Vec<_> =
            message.messages.iter().map(|field| (field.number, field.is_single, field.message.name)).collect();
        let in_schema: Vec<_> = fields
            .iter()
            .filter_map(|field| Some((field.number, field.is_single, field.message.as_deref()?)))
            .collect();
        assert_eq!(in_table, in_schema, "{}", message.name);
        next.extend(message.messages.iter().map(|field| field.message));
    }
    assert_eq!(found.len(), schema.len(), "unreachable messages in the schema");
}

#[test]
fn values_outside_of_the_folder_are_rejected_at_every_path_of_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 40]).unwrap();
    let paths = ProtoSchema::read().paths("ModelProto", "TensorProto");
    for expected in [vec![7, 5], vec![25, 11, 5], vec![7, 1, 5, 6, 5], vec![25, 7, 5, 11, 15, 1], vec![20, 1, 15, 2]] {
        assert!(paths.contains(&expected), "{expected:?}");
    }
    for path in &paths {
        let outside = model_with(path, &tensor(&[("location", "/etc/passwd"), ("length", "4")]));
        let message = rejection(&outside, folder.path());
        assert!(message.contains("in `/etc/passwd`, which is outside of the model's folder"), "{path:?}: {message}");
        let memory = model_with(path, &tensor(&[("location", "*/_ORT_MEM_ADDR_/*"), ("offset", "16")]));
        let message = rejection(&memory, folder.path());
        assert!(message.contains("may read as an address in memory"), "{path:?}: {message}");
        let inside = model_with(path, &tensor(&[("location", "w.bin"), ("length", "4")]));
        check_model(&inside, folder.path(), "model.onnx").unwrap();
    }
    println!("paths of a tensor in the schema: {}", paths.len());
}

#[test]
fn an_unknown_field_that_contains_location_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let schema = ProtoSchema::read();
    let hidden = field(3, &tensor(&[("location", "/etc/passwd")]));
    let mut tried = 0;
    for target in schema.names() {
        // The shortest path suffices: the check of a message does not depend on its parents.
        let paths = schema.paths("ModelProto", target);
        let Some(path) = paths.iter().min_by_key(|path| path.len()) else { continue };
        for number in [63, 64, 1000, (1 << 29) - 1] {
            let message = rejection(&model_with(path, &field(number, &hidden)), folder.path());
            assert!(
                message
                    .contains(&format!("the unknown field {number} in `{target}`, and the field contains `location`")),
                "{message}"
            );
            let harmless = model_with(path, &field(number, b"anything"));
            check_model(&harmless, folder.path(), "model.onnx").unwrap();
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn strings_of_the_model_may_contain_location() {
    let folder = tempfile::tempdir().unwrap();
    let entry = [field(1, b"location"), field(2, b"/etc/passwd")].concat();
    let model = [field(14, &entry), field(6, b"the location"), field(7, &field(16, &entry))].concat();
    check_model(&model, folder.path(), "model.onnx").unwrap();
}

#[test]
fn repeated_keys_and_paths_out_of_the_folder_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 40]).unwrap();
    fs::create_dir_all(folder.path().join("*/_ORT_MEM_ADDR_")).unwrap();
    fs::write(folder.path().join("*/_ORT_MEM_ADDR_/*"), [0; 40]).unwrap();
    let location = ("location", "w.bin");
    let accepted = |entries: &[_]| check_model(&initializer(entries), folder.path(), "model.onnx").unwrap();
    accepted(&[]);
    accepted(&[location, ("offset", "8"), ("length", "32"), ("checksum", "0")]);
    let long = "x/".repeat(5000);
    for (entries, reason) in [
        (&[location, ("location", "/etc/passwd")][..], "key `location` in"),
        (&[location, ("location", "*/_ORT_MEM_ADDR_/*")], "key `location` in"),
        (&[("length", "1"), ("length", "40")], "key `length` in"),
        (&[location, ("basepath", "/etc")], "key `basepath` in"),
        (&[("Location", "w.bin")], "key `Location` in"),
        (&[("length", "4")], "but no `location`"),
        (&[("location", "")], "which is not a file"),
        (&[("location", ".")], "which is not a file"),
        (&[("location", "w.bin\0")], "`w.bin\\u{0}`, which cannot be read"),
        (&[("location", "w.bin\u{202e}\n")], "`w.bin\\u{202e}\\n`, which cannot be read"),
        (&[("location", long.as_str())], "x/…`, which cannot be read"),
        (&[("location", "../w.bin")], "outside of the model's folder"),
        (&[("location", "*/_ORT_MEM_ADDR_/*"), ("length", "4")], "may read as an address in memory"),
        (&[("location", "./*/_ORT_MEM_ADDR_/*"), ("length", "4")], "may read as an address in memory"),
        (&[("location", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*")], "may read as an address in memory"),
        (&[("location", "./_ORT_MEM_ADDR_/x"), ("length", "4")], "may read as an address in memory"),
        (&[location, ("length", "41")], "the file has 40 bytes"),
        (&[location, ("offset", "41")], "the file has 40 bytes"),
        (&[location, ("offset", "-1")], "at offset `-1`"),
        (&[location, ("offset", "18446744073709551615"), ("length", "2")], "the file has 40 bytes"),
        (&[location, ("offset", "0x8")], "at offset `0x8`"),
    ] {
        let message = rejection(&initializer(entries), folder.path());
        assert!(message.contains(reason) && !message.contains(char::is_control), "{entries:?}: {message}");
        assert!(message.len() < 1000, "{message}");
    }
}

#[test]
fn ambiguous_encodings_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let inside = tensor(&[("location", "w.bin")]);
    let node = |attribute: &[u8]| field(7, &field(1, &field(5, attribute)));
    let entry = [field(1, b"location"), field(1, b"checksum"), field(2, b"/etc/passwd")].concat();
    let number_for_a_message = [varint(7 << 3), varint(0)].concat();
    let group = [varint(7 << 3 | 3), field(5, &inside), varint(7 << 3 | 4)].concat();
    for (model, reason) in [
        ([field(7, b""), field(7, &field(5, &inside))].concat(), "field 7 of `ModelProto` is repeated"),
        (node(&[field(5, b""), field(5, b"")].concat()), "field 5 of `AttributeProto` is repeated"),
        (field(7, &field(5, &field(13, &entry))), "two keys or two values"),
        (number_for_a_message, "field 7 of `ModelProto` is a number, not a message"),
        (group, "it has a group"),
        (field(7, &field(1, &field(4, b"EPContext"))), "has the operator `EPContext`"),
        (field(7, &field(5, &field(8, &[0xff]))), "a string is not UTF-8"),
        (field(8, b""), "it has no graph"),
        (b"\x20\0\0\0ORTM".to_vec(), "is in ONNX Runtime's own format"),
    ] {
        let message = rejection(&model, folder.path());
        assert!(message.contains(reason), "{reason}: {message}");
    }
    let deep = |levels| (0..levels).fold(Vec::new(), |graph, _| field(1, &field(5, &field(6, &graph))));
    check_model(&field(7, &deep(30)), folder.path(), "model.onnx").unwrap();
    assert!(rejection(&field(7, &deep(40)), folder.path()).contains("more than 100 nested messages"));
}
