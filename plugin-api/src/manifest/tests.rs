//! The reader of hosts, the check of authors, the JSON Schema and the page agree on manifests.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::check::{
    ENVIRONMENT, Fault, INVOKE, OF_LIBRARY, OPTIONAL, PROCESS, REQUIRED, check, check_process, known_operations,
};
use super::check_schema::{KEYWORDS, TYPES};
use super::embed_check::check_part;
use super::format::Manifest;

const PAGE: &str = include_str!("../../MANIFEST.md");
const SCHEMA: &str = include_str!("../../manifest.schema.json");

/// Who finds the fault of a manifest. The check for authors finds all.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Finds {
    /// Nothing: the manifest is valid.
    Right,
    /// The reader of hosts and the schema.
    Host,
    /// The schema. A host ignores the fault.
    Schema,
    /// The reader of hosts. JSON Schema cannot express the rule.
    OnlyHost,
    /// Neither: JSON Schema cannot express the rule, and a host ignores the fault.
    OnlyCheck,
}

/// Changes of one valid manifest: the member, its new value (none: removed), and the clause of the expected fault.
fn changes() -> Vec<(&'static str, Option<Value>, Finds, &'static str)> {
    use Finds::{Host, OnlyCheck, Right, Schema};
    let json = "manifest.json";
    let mut rows: Vec<_> = REQUIRED.into_iter().map(|name| (name, None, Host, json)).collect();
    rows.extend(OPTIONAL.into_iter().map(|name| (name, None, Right, "")));
    // No member may be null.
    rows.extend(
        REQUIRED
            .into_iter()
            .chain(OPTIONAL)
            .filter(|name| *name != "$schema")
            .map(|name| (name, Some(Value::Null), Host, json)),
    );
    let more = [
        ("manifest", json!(2), Host, json),
        ("manifest", json!("1"), Host, json),
        ("manifest", json!(-1), Host, json),
        ("abi", json!(2), Schema, "manifest.abi"),
        ("abi", json!(4_294_967_296_u64), Host, json),
        ("name", json!("Echo"), Host, json),
        ("name", json!(""), Host, json),
        ("name", json!("1a"), Host, json),
        ("name", json!("é"), Host, json),
        ("name", json!("a\n"), Host, json),
        ("name", json!("a+b-c.d9"), Right, ""),
        ("version", json!(""), Schema, "manifest.members"),
        ("version", json!(1.5), Host, json),
        ("target", json!(""), Schema, "manifest.members"),
        ("schemes", json!([]), Host, json),
        ("schemes", json!(["Echo"]), Host, json),
        ("schemes", json!(["a", "b_c"]), Host, json),
        ("schemes", json!(["a", 1]), Host, json),
        ("schemes", json!("a"), Host, json),
        ("operations", json!([]), Right, ""),
        ("operations", json!(["predct"]), Schema, "manifest.operations"),
        ("operations", json!([1]), Host, json),
        ("operations", json!({"predict": true}), Host, json),
        ("panic", json!("none"), Right, ""),
        ("panic", json!("Unwind"), Host, json),
        ("panic", json!({"unwind": null}), Host, json),
        ("isolation", json!("required"), Right, ""),
        ("isolation", json!("yes"), Host, json),
        ("isolation", json!(true), Host, json),
        ("isolation", json!({"required": null}), Host, json),
        ("accepts", json!([]), Schema, "manifest.accepts"),
        ("accepts", json!(["text"]), Schema, "manifest.accepts"),
        ("accepts", json!(["/csv"]), Schema, "manifest.accepts"),
        ("accepts", json!(["text/"]), Schema, "manifest.accepts"),
        ("accepts", json!(["text/csv; header=present"]), Right, ""),
        ("accepts", json!("text/csv"), Host, json),
        ("description", json!(1), Host, json),
        ("$schema", json!(1), Schema, "manifest.members"),
        ("later", json!({"a": 1}), Schema, "manifest.members"),
        ("Name", json!("echo"), Schema, "manifest.members"),
        ("environment", json!([{"name": "A"}, {"name": "B", "secret": true}]), Right, ""),
        ("environment", json!([{"secret": true}]), Host, json),
        ("environment", json!([{"name": 1}]), Host, json),
        ("environment", json!([{"name": "A", "secret": "yes"}]), Host, json),
        ("environment", json!([{"name": "A", "secret": null}]), Host, json),
        ("environment", json!([["A", true]]), Host, json),
        ("environment", json!(["A"]), Host, json),
        ("environment", json!([{"name": ""}]), Schema, "manifest.members"),
        ("environment", json!([{"name": "A", "secrt": true}]), Schema, "manifest.members"),
        ("invoke", json!([]), Right, ""),
        ("invoke", json!([["ping"]]), Host, json),
        ("invoke", json!([{"description": "d"}]), Host, json),
        ("invoke", json!([{"name": "ping", "description": 1}]), Host, json),
        ("invoke", json!([{"name": ""}]), Schema, "manifest.invoke"),
        ("invoke", json!([{"name": "ping", "args": []}]), Schema, "manifest.members"),
        ("invoke", json!([{"name": "ping"}, {"name": "ping"}]), OnlyCheck, "manifest.invoke"),
        ("operations", json!(["predict"]), Schema, "manifest.invoke"),
        ("options", json!([]), Host, json),
        ("options", json!(true), Host, json),
        ("options", json!({"type": "strng"}), Schema, "manifest.schema"),
        ("options", json!({"type": ["string", "strng"]}), Schema, "manifest.schema"),
        ("options", json!({"type": null}), Schema, "manifest.schema"),
        ("options", json!({"properties": []}), Schema, "manifest.schema"),
        ("options", json!({"properties": {"a": 1}}), Schema, "manifest.schema"),
        ("options", json!({"properties": {"a": {"writeOnly": "true"}}}), Schema, "manifest.schema"),
        ("options", json!({"properties": {"a": {"description": 1}}}), Schema, "manifest.schema"),
        ("options", json!({"properties": {"a": {"items": {"type": "x"}}}}), Schema, "manifest.schema"),
        ("options", json!({"additionalProperties": "no"}), Schema, "manifest.schema"),
        ("options", json!({"enum": 1}), Schema, "manifest.schema"),
        ("options", json!({"required": "a"}), Schema, "manifest.schema"),
        ("options", json!({"properties": {"a": {"minimum": 0, "pattern": "x", "default": null}}}), Right, ""),
        ("config", json!([]), Host, json),
        ("config", json!({"predict": true, "ping": {}}), Right, ""),
        ("config", json!({"predict": 1}), Schema, "manifest.schema"),
        ("config", json!({"get_endpoint": {}}), OnlyCheck, "manifest.config"),
    ];
    rows.extend(more.map(|(name, value, finds, clause)| (name, Some(value), finds, clause)));
    rows
}

/// Changes of a valid manifest of a process plugin.
fn process_changes() -> Vec<(&'static str, Option<Value>, Finds, &'static str)> {
    use Finds::{Host, Right, Schema};
    let json = "manifest.json";
    let mut rows: Vec<_> = OF_LIBRARY.into_iter().map(|name| (name, None, Right, "")).collect();
    rows.extend(PROCESS.into_iter().map(|name| (name, Some(Value::Null), Host, json)));
    let required = REQUIRED.into_iter().filter(|name| !OF_LIBRARY.contains(name));
    rows.extend(required.map(|name| (name, None, Host, json)));
    let more = [
        ("exec", json!(["/bin/echo"]), Right, ""),
        ("exec", json!(["python3", "-B", "./echo.py", ""]), Right, ""),
        ("exec", json!([]), Host, json),
        ("exec", json!([""]), Host, json),
        ("exec", json!("python3 echo.py"), Host, json),
        ("exec", json!(["a", 1]), Host, json),
        ("exec", json!(["a\u{0}b"]), Host, json),
        ("exec", json!(["a", "\u{0}"]), Host, json),
        ("files", json!([]), Right, ""),
        ("files", json!(["./echo.py", "package"]), Right, ""),
        ("files", json!("./echo.py"), Host, json),
        ("files", json!(["\u{0}"]), Host, json),
        ("start_timeout", json!(1), Right, ""),
        ("start_timeout", json!(0), Host, json),
        ("start_timeout", json!(-1), Host, json),
        ("start_timeout", json!(1.5), Host, json),
        ("start_timeout", json!("30"), Host, json),
        ("start_timeout", json!(4_294_967_296_u64), Host, json),
        ("execute", json!([]), Schema, "manifest.members"),
    ];
    rows.extend(more.map(|(name, value, finds, clause)| (name, Some(value), finds, clause)));
    rows
}

fn valid() -> Map<String, Value> {
    let json = json!({
        "manifest": 1, "abi": 1, "name": "echo", "version": "1.0.0", "target": "x86_64-unknown-linux-gnu",
        "schemes": ["echo"], "operations": ["predict", "invoke"], "panic": "unwind", "$schema": "manifest.schema.json",
        "invoke": [{"name": "ping", "description": "answers"}], "accepts": ["application/json"],
        "options": {"type": "object", "properties": {"token": {"type": "string", "writeOnly": true}}},
        "config": {"predict": {"type": "object"}}, "environment": [{"name": "ECHO_TOKEN", "secret": true}],
        "isolation": "optional", "description": "an echo",
    });
    json.as_object().unwrap().clone()
}

fn schema(definition: &str) -> jsonschema::Validator {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    if !definition.is_empty() {
        schema = json!({"$ref": format!("#/$defs/{definition}"), "$defs": schema["$defs"], "properties": schema["properties"]});
        schema.as_object_mut().unwrap().insert("additionalProperties".to_owned(), json!(true));
    }
    jsonschema::draft202012::new(&schema).unwrap()
}

fn assert_agreement(json: &str, finds: Finds, clause: &str, schema: &jsonschema::Validator) {
    let faults = check(json.as_bytes()).faults;
    let is_process = json.contains("\"exec\"");
    let read = if is_process { Manifest::parse_process } else { Manifest::parse }(json.as_bytes());
    let is_valid = serde_json::from_str(json).is_ok_and(|value: Value| schema.is_valid(&value));
    assert_eq!(faults.is_empty(), finds == Finds::Right, "check: {json}: {faults:?}");
    assert_eq!(read.is_err(), matches!(finds, Finds::Host | Finds::OnlyHost), "reader: {json}: {read:?}");
    assert_eq!(faults.iter().any(Fault::is_refused), read.is_err(), "clause of refused: {json}: {faults:?}");
    assert_eq!(is_valid, !matches!(finds, Finds::Host | Finds::Schema), "schema: {json}");
    assert!(faults.is_empty() || faults.iter().any(|fault| fault.clause == clause), "{clause}: {json}: {faults:?}");
}

#[test]
fn reader_check_and_schema_agree_on_a_table_of_manifests() {
    let schema = schema("");
    assert_agreement(&json!(valid()).to_string(), Finds::Right, "", &schema);
    for (name, value, finds, clause) in changes() {
        let mut manifest = valid();
        if name == "config" || (name, finds) == ("operations", Finds::Right) || clause == "manifest.operations" {
            manifest.shift_remove("config");
        }
        if (name, finds) == ("operations", Finds::Right) {
            manifest.shift_remove("invoke");
        }
        match value {
            Some(value) => drop(manifest.insert(name.to_owned(), value)),
            None => drop(manifest.shift_remove(name)),
        }
        if (name, &finds) == ("config", &Finds::Right) || name != "invoke" && manifest.get("config").is_none() {
            // The operation `ping` stays declared.
        } else if name == "invoke" {
            manifest.shift_remove("config");
        }
        assert_agreement(&json!(manifest).to_string(), finds, clause, &schema);
    }
}

#[test]
fn reader_check_and_schema_agree_on_manifests_of_process_plugins() {
    let schema = schema("");
    let mut valid = valid();
    let of_process = json!({"exec": ["python3", "-B", "./echo.py"], "files": ["./echo.py"], "start_timeout": 60});
    valid.extend(of_process.as_object().unwrap().clone());
    assert_agreement(&json!(valid).to_string(), Finds::Right, "", &schema);
    for (name, value, finds, clause) in process_changes() {
        let mut manifest = valid.clone();
        match value {
            Some(value) => drop(manifest.insert(name.to_owned(), value)),
            None => drop(manifest.shift_remove(name)),
        }
        assert_agreement(&json!(manifest).to_string(), finds, clause, &schema);
    }
}

#[test]
fn the_manifest_of_a_library_has_no_program() {
    let mut manifest = valid();
    manifest.insert("exec".to_owned(), json!(["./echo"]));
    let error = Manifest::parse(json!(manifest).to_string().as_bytes()).unwrap_err();
    assert_eq!(error, "member `exec` in the manifest of a library: expected only in `NAME.plugin.json`");
    assert!(Manifest::parse_process(json!(valid()).to_string().as_bytes()).unwrap_err().starts_with("missing program"));
}

#[test]
fn reader_check_and_schema_agree_on_texts() {
    let schema = schema("");
    let whole = json!(valid()).to_string();
    let deep = format!("{{\"later\":{}1{},{}", "[".repeat(200), "]".repeat(200), &whole[1..]);
    let twice = whole.replacen('{', "{\"name\":\"other\",", 1);
    let later_twice = whole.replacen('{', "{\"$schema\":\"a\",", 1);
    let float = whole.replacen("\"manifest\":1", "\"manifest\":1.0", 1);
    let list = json!([1, 1, "echo", "1", "t", ["echo"], [], [], ["a/b"], {}, {}, [], "unwind", "optional", ""]);
    for (json, finds) in [
        ("", Finds::Host),
        ("{", Finds::Host),
        ("[]", Finds::Host),
        ("null", Finds::Host),
        ("{}", Finds::Host),
        ("{\"manifest\": 1,}", Finds::Host),
        (&list.to_string(), Finds::Host),
        (&deep, Finds::Host),
        (&whole.replace("echo", "\\ud800"), Finds::Host),
        (&format!("{whole}x"), Finds::Host),
        (&format!(" \r\n\t{whole} \n"), Finds::Right),
        (&twice, Finds::OnlyHost),
        (&float, Finds::OnlyHost),
        (&later_twice, Finds::OnlyCheck),
    ] {
        assert_agreement(
            json,
            finds,
            if finds == Finds::OnlyCheck { "manifest.members" } else { "manifest.json" },
            &schema,
        );
    }
    for (bytes, is_right) in [(format!("\u{feff}{whole}\0"), true), (format!("{whole}\0\0"), false)] {
        assert_eq!(Manifest::parse(bytes.as_bytes()).is_ok(), is_right);
        assert_eq!(check(bytes.as_bytes()).faults.is_empty(), is_right);
    }
}

#[test]
fn the_check_at_compile_time_finds_the_faults_of_a_part_except_in_schemas() {
    let assert_same = |part: &str, is_right: bool| {
        let built = std::panic::catch_unwind(|| check_part(part));
        assert_eq!(built.is_ok(), is_right, "{part}");
    };
    let rows = changes().into_iter().filter(|(name, ..)| OPTIONAL.contains(name));
    for (name, value, finds, clause) in rows.filter(|(_, _, finds, _)| *finds != Finds::OnlyCheck) {
        let Some(value) = value else { continue };
        // `ping` in `config` is an operation of `invoke`.
        let part = match name {
            "config" => json!({ name: value, "invoke": [{"name": "ping"}] }),
            _ => json!({ name: value }),
        };
        let part = part.to_string();
        assert_same(&part, finds == Finds::Right || clause == "manifest.schema");
        assert_eq!(check(part.as_bytes()).faults.is_empty(), finds == Finds::Right, "{part}");
    }
    let nested = |depth| format!("{{\"options\":{{\"a\":{}1{}}}}}", "[".repeat(depth), "]".repeat(depth));
    for part in [
        "{\"description\":\"d\",}",
        "{\"description\":\"d\" \"isolation\":\"optional\"}",
        "{\"description\":\"d\"",
        "{\"description\":\"d",
        "{\"description\":\"a\nb\"}",
        "{\"description\":\"\\x\"}",
        "{\"description\":\"\\ud800\"}",
        "{\"description\":\"\\ud800\\u0041\"}",
        "{\"description\":\"\\udc00\"}",
        "{\"description\":\"\\ud83d\\ude00 \\u00e9 \\/\"}",
        "{\"description\":\"a\",\"description\":\"b\"}",
        "{\"options\":{\"a\":01}}",
        "{\"options\":{\"a\":1.}}",
        "{\"options\":{\"a\":-1.5e+3, \"b\" : [ ], \"c\":{ } , \"d\":[true,false,null]}}",
        "{\"options\":{\"a\":tru}}",
        "{\"options\":{\"a\":.5}}",
        "{\"options\":{}} x",
        "\u{feff} {\"options\":{}}\r\n",
        "[]",
        "",
        "\u{feff}",
        &nested(125),
        &nested(126),
    ] {
        assert_same(part, check(part.as_bytes()).faults.is_empty());
    }
    // A host reads the members that the macro writes, too.
    for name in REQUIRED {
        assert_same(&json!({ name: 1 }).to_string(), false);
    }
}

#[test]
fn bundled_manifests_are_valid_parts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (part, whole) = (schema("part"), schema(""));
    let folders =
        ["plugins", "tests/fixtures"].into_iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let files: Vec<_> =
        folders.map(|entry| entry.unwrap().path().join("manifest.json")).filter(|file| file.exists()).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let json = std::fs::read(&file).unwrap();
        let checked = check(&json);
        assert!(checked.is_part && checked.faults.is_empty(), "{}: {:?}", file.display(), checked.faults);
        let members: Map<String, Value> = serde_json::from_slice(&json).unwrap();
        assert!(part.is_valid(&json!(members)), "{}", file.display());
        let mut manifest = valid();
        manifest.retain(|name, _| REQUIRED.contains(&name.as_str()));
        manifest.insert("operations".to_owned(), known_operations().collect());
        manifest.extend(members);
        assert_agreement(&json!(manifest).to_string(), Finds::Right, "", &whole);
    }
}

#[test]
fn page_schema_and_reader_name_the_same_keys() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let all = &(&names(&REQUIRED) | &names(&OPTIONAL)) | &names(&PROCESS);
    assert_eq!(keys(&schema["properties"]), all);
    assert_eq!(keys(&schema["$defs"]["part"]["properties"]), names(&OPTIONAL));
    assert_eq!(keys(&schema["$defs"]["custom-operation"]["properties"]), names(&INVOKE));
    assert_eq!(keys(&schema["$defs"]["variable"]["properties"]), names(&ENVIRONMENT));
    assert_eq!(keys(&schema["$defs"]["schema"]["properties"]), names(&KEYWORDS));
    let required = &names(&REQUIRED) - &names(&OF_LIBRARY);
    assert_eq!(serde_json::from_value::<BTreeSet<String>>(schema["required"].clone()).unwrap(), required);
    assert_eq!(schema["allOf"][1]["else"]["required"], json!(OF_LIBRARY));
    assert_eq!(schema["$defs"]["operation"]["enum"], json!(known_operations().collect::<Vec<_>>()));
    assert_eq!(schema["$defs"]["schema-type"]["enum"], json!(TYPES));
    // The reader keeps every key but the one for editors.
    let mut manifest = valid();
    let of_process = json!({"exec": ["a"], "files": ["b"], "start_timeout": 5});
    manifest.extend(of_process.as_object().unwrap().clone());
    let read = Manifest::parse_process(json!(manifest).to_string().as_bytes()).unwrap();
    let mut read_keys = keys(&json!(read));
    read_keys.insert("$schema".to_owned());
    assert_eq!(read_keys, all);
    assert_eq!(keys(&json!(read.invoke[0])), names(&INVOKE));
    assert_eq!(keys(&json!(read.environment[0])), names(&ENVIRONMENT));
    // The page has a heading for each key, and a row for each key of the elements of lists.
    let headings: BTreeSet<_> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).map(str::to_owned).collect();
    assert_eq!(headings, all);
    for (key, members) in [("invoke", &INVOKE[..]), ("environment", &ENVIRONMENT), ("options", &KEYWORDS)] {
        let (_, section) = PAGE.split_once(&format!("### `{key}`\n")).unwrap();
        let section = section.split("\n### ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned);
        assert_eq!(rows.collect::<BTreeSet<_>>(), names(members), "{key}");
    }
}

#[test]
fn every_example_of_the_page_is_valid() {
    let blocks: Vec<_> = PAGE.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= REQUIRED.len() + OPTIONAL.len(), "{}", blocks.len());
    for block in blocks {
        let example: Map<String, Value> =
            serde_json::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        let mut manifest = valid();
        if PROCESS.iter().any(|name| example.contains_key(*name)) {
            manifest.insert("exec".to_owned(), json!(["./echo"]));
        }
        manifest.extend(example);
        manifest.insert("operations".to_owned(), known_operations().collect());
        assert_eq!(check(json!(manifest).to_string().as_bytes()).faults, [], "{block}");
    }
}

#[test]
fn every_fault_is_found_at_once_with_its_line_and_column() {
    let json = "{\n  \"manifest\": 1, \"abi\": 1, \"name\": \"Echo\",\n  \"version\": \"1\", \"target\": \"t\",\n  \"schemes\": [\"é\", \"ok\", \"UP\"],\n  \"panic\": \"unwind\",\n  \"isolaton\": \"required\",\n  \"environment\": [{\"name\": \"A\"}, {\"nam\": \"B\"}]\n}";
    let found: Vec<_> =
        check(json.as_bytes()).faults.into_iter().map(|fault| (fault.line, fault.column, fault.member)).collect();
    let expected = [
        (1, 1, "operations"),
        (2, 36, "name"),
        (4, 15, "schemes[0]"),
        (4, 26, "schemes[2]"),
        (6, 3, "isolaton"),
        (7, 34, "environment[1].name"),
        (7, 35, "environment[1].nam"),
    ];
    assert_eq!(found, expected.map(|(line, column, member)| (line, column, member.to_owned())));
    let syntax = |text: &[u8]| check(text).faults.remove(0);
    let comma = syntax(b"{\n  \"name\": \"\xc3\xa9\",\n}");
    assert_eq!((comma.line, comma.column, comma.message.as_str()), (3, 1, "not JSON: trailing comma"));
    let utf8 = syntax(b"{\n \"\xc3\xa9\xff\"");
    assert_eq!((utf8.line, utf8.column), (2, 4));
}

#[test]
fn the_check_of_a_process_plugin_requires_its_program_and_no_target() {
    let mut manifest = valid();
    manifest.retain(|name, _| !OF_LIBRARY.contains(&name.as_str()));
    let messages = |manifest: &Map<String, Value>| {
        let checked = check_process(json!(manifest).to_string().as_bytes());
        assert!(!checked.is_part);
        checked.faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
    };
    assert_eq!(messages(&manifest), ["missing member `exec`"]);
    manifest.insert("files".to_owned(), json!(["./a"]));
    manifest.insert("exec".to_owned(), json!(["./a"]));
    assert_eq!(messages(&manifest), [""; 0]);
    let part = json!({"description": "d", "exec": ["a"]});
    assert_eq!(messages(part.as_object().unwrap()).len(), REQUIRED.len() - OF_LIBRARY.len());
}
