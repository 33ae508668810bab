//! Every place of the schema in which a tensor can be, with values in a file that is not the model's.

mod schema;

use std::fs;
use std::path::Path;

use self::schema::{Place, Schema};
use super::schema::{MODEL, Message};
use super::walk::check_model;

/// A field of a message.
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

/// A tensor `w` with these entries of `external_data`.
fn tensor(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry =
        |(key, value): &(&str, &str)| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    [field(8, b"w"), entries.iter().flat_map(entry).collect()].concat()
}

/// A model with an empty graph and a tensor at a place.
fn model_with(place: &Place, tensor: &[u8]) -> Vec<u8> {
    let inner = place.iter().rev().fold(tensor.to_vec(), |inner, number| field(*number, &inner));
    if place[0] == 7 { inner } else { [inner, field(7, b"")].concat() }
}

/// A model with an initializer that has these entries.
fn initializer(entries: &[(&str, &str)]) -> Vec<u8> {
    model_with(&vec![7, 5], &tensor(entries))
}

fn refusal(model: &[u8], folder: &Path) -> String {
    check_model(model, folder, "model.onnx").unwrap_err().message().to_owned()
}

#[test]
fn the_table_is_the_schema() {
    let schema = Schema::read();
    let mut found = Vec::<&'static Message>::new();
    let mut next = vec![&MODEL];
    while let Some(message) = next.pop() {
        if found.iter().any(|each| each.name == message.name) {
            continue;
        }
        found.push(message);
        let fields = schema.fields(message.name);
        let plain: Vec<u32> = fields.iter().filter(|field| field.message.is_none()).map(|field| field.number).collect();
        assert_eq!(message.plain, plain, "{}", message.name);
        let ours: Vec<_> =
            message.inner.iter().map(|inner| (inner.number, inner.is_single, inner.message.name)).collect();
        let theirs: Vec<_> = fields
            .iter()
            .filter_map(|field| Some((field.number, field.is_single, field.message.as_deref()?)))
            .collect();
        assert_eq!(ours, theirs, "{}", message.name);
        next.extend(message.inner.iter().map(|inner| inner.message));
    }
    assert_eq!(found.len(), schema.len(), "each message of the schema can be reached");
}

#[test]
fn values_outside_of_the_folder_are_refused_at_every_place_of_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 40]).unwrap();
    let places = Schema::read().places("ModelProto", "TensorProto");
    for expected in [vec![7, 5], vec![25, 11, 5], vec![7, 1, 5, 6, 5], vec![25, 7, 5, 11, 15, 1], vec![20, 1, 15, 2]] {
        assert!(places.contains(&expected), "{expected:?}");
    }
    for place in &places {
        let outside = model_with(place, &tensor(&[("location", "/etc/passwd"), ("length", "4")]));
        let said = refusal(&outside, folder.path());
        assert!(said.contains("in `/etc/passwd`, which is not below the model's folder"), "{place:?}: {said}");
        let memory = model_with(place, &tensor(&[("location", "*/_ORT_MEM_ADDR_/*"), ("offset", "16")]));
        let said = refusal(&memory, folder.path());
        assert!(said.contains("may be an address in memory"), "{place:?}: {said}");
        let inside = model_with(place, &tensor(&[("location", "w.bin"), ("length", "4")]));
        check_model(&inside, folder.path(), "model.onnx").unwrap();
    }
    println!("places of a tensor in the schema: {}, refused at each", places.len());
}

#[test]
fn a_place_that_the_schema_does_not_have_names_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::read();
    let hidden = field(3, &tensor(&[("location", "/etc/passwd")]));
    let mut tried = 0;
    for target in schema.names() {
        // The shortest way is enough: what is below a message does not depend on what is above it.
        let places = schema.places("ModelProto", target);
        let Some(place) = places.iter().min_by_key(|place| place.len()) else { continue };
        for number in [63, 64, 1000, (1 << 29) - 1] {
            let said = refusal(&model_with(place, &field(number, &hidden)), folder.path());
            assert!(
                said.contains(&format!("field {number} in `{target}`, which this version does not know")),
                "{said}"
            );
            let harmless = model_with(place, &field(number, b"anything"));
            check_model(&harmless, folder.path(), "model.onnx").unwrap();
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn text_of_the_model_may_say_location() {
    let folder = tempfile::tempdir().unwrap();
    let entry = [field(1, b"location"), field(2, b"/etc/passwd")].concat();
    let model = [field(14, &entry), field(6, b"the location"), field(7, &field(16, &entry))].concat();
    check_model(&model, folder.path(), "model.onnx").unwrap();
}

#[test]
fn each_key_is_said_once_and_no_location_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 40]).unwrap();
    fs::create_dir_all(folder.path().join("*/_ORT_MEM_ADDR_")).unwrap();
    fs::write(folder.path().join("*/_ORT_MEM_ADDR_/*"), [0; 40]).unwrap();
    let location = ("location", "w.bin");
    let accepted = |entries: &[_]| check_model(&initializer(entries), folder.path(), "model.onnx").unwrap();
    accepted(&[]);
    accepted(&[location, ("offset", "8"), ("length", "32"), ("checksum", "0")]);
    let long = "x/".repeat(5000);
    for (entries, said) in [
        (&[location, ("location", "/etc/passwd")][..], "says `location` of"),
        (&[location, ("location", "*/_ORT_MEM_ADDR_/*")], "says `location` of"),
        (&[("length", "1"), ("length", "40")], "says `length` of"),
        (&[location, ("basepath", "/etc")], "says `basepath` of"),
        (&[("Location", "w.bin")], "says `Location` of"),
        (&[("length", "4")], "and no `location` of it"),
        (&[("location", "")], "which is not a file"),
        (&[("location", ".")], "which is not a file"),
        (&[("location", "w.bin\0")], "`w.bin\\u{0}`, which cannot be read"),
        (&[("location", "w.bin\u{202e}\n")], "`w.bin\\u{202e}\\n`, which cannot be read"),
        (&[("location", long.as_str())], "x/…`, which cannot be read"),
        (&[("location", "../w.bin")], "not below the model's folder"),
        (&[("location", "*/_ORT_MEM_ADDR_/*"), ("length", "4")], "may be an address in memory"),
        (&[("location", "./*/_ORT_MEM_ADDR_/*"), ("length", "4")], "may be an address in memory"),
        (&[("location", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*")], "may be an address in memory"),
        (&[("location", "./_ORT_MEM_ADDR_/x"), ("length", "4")], "may be an address in memory"),
        (&[location, ("length", "41")], "the file has 40 bytes"),
        (&[location, ("offset", "41")], "the file has 40 bytes"),
        (&[location, ("offset", "-1")], "at offset `-1`"),
        (&[location, ("offset", "18446744073709551615"), ("length", "2")], "the file has 40 bytes"),
        (&[location, ("offset", "0x8")], "at offset `0x8`"),
    ] {
        let found = refusal(&initializer(entries), folder.path());
        assert!(found.contains(said) && !found.contains(char::is_control), "{entries:?}: {found}");
        assert!(found.len() < 1000, "{found}");
    }
}

#[test]
fn what_readers_would_merge_or_read_in_two_ways_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inside = tensor(&[("location", "w.bin")]);
    let node = |attribute: &[u8]| field(7, &field(1, &field(5, attribute)));
    let entry = [field(1, b"location"), field(1, b"checksum"), field(2, b"/etc/passwd")].concat();
    let number_for_a_message = [varint(7 << 3), varint(0)].concat();
    let group = [varint(7 << 3 | 3), field(5, &inside), varint(7 << 3 | 4)].concat();
    for (model, said) in [
        ([field(7, b""), field(7, &field(5, &inside))].concat(), "field 7 of `ModelProto` is there twice"),
        (node(&[field(5, b""), field(5, b"")].concat()), "field 5 of `AttributeProto` is there twice"),
        (field(7, &field(5, &field(13, &entry))), "its key or its value twice"),
        (number_for_a_message, "field 7 of `ModelProto` is a number, not a message"),
        (group, "it has a group"),
        (field(7, &field(1, &field(4, b"EPContext"))), "has the operator `EPContext`"),
        (field(7, &field(5, &field(8, &[0xff]))), "text is not UTF-8"),
        (field(8, b""), "it has no graph"),
        (b"\x20\0\0\0ORTM".to_vec(), "is in ONNX Runtime's own format"),
    ] {
        let found = refusal(&model, folder.path());
        assert!(found.contains(said), "{said}: {found}");
    }
    let deep = |levels| (0..levels).fold(Vec::new(), |graph, _| field(1, &field(5, &field(6, &graph))));
    check_model(&field(7, &deep(30)), folder.path(), "model.onnx").unwrap();
    assert!(refusal(&field(7, &deep(40)), folder.path()).contains("more than 100 messages within each other"));
}
