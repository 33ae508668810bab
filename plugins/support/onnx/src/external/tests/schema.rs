//! Reads the schema `onnx.proto`: its messages, and the paths of fields that lead from one message to another.

use std::collections::BTreeMap;

/// The path to a nested field: the numbers of the fields, outermost first.
pub(super) type FieldPath = Vec<u32>;

/// The fields of each message in `onnx.proto`, by the name of the message, such as `TypeProto.Tensor`.
pub(super) struct ProtoSchema(BTreeMap<String, Vec<SchemaField>>);

pub(super) struct SchemaField {
    pub(super) number: u32,
    pub(super) is_single: bool,
    /// The name of the message that the field contains; `None` if the field contains a scalar.
    pub(super) message: Option<String>,
}

impl ProtoSchema {
    pub(super) fn read() -> Self {
        let text: String = include_str!("onnx.proto")
            .lines()
            .map(|line| line.split("//").next().unwrap())
            .flat_map(|line| [line, " "])
            .collect();
        let text = "{}=;[]".chars().fold(text, |text, sign| text.replace(sign, &format!(" {sign} ")));
        let mut words = text.split_whitespace();
        let mut declared = BTreeMap::new();
        while let Some(word) = words.next() {
            match word {
                "message" => message(&mut words, "", &mut declared),
                "enum" => skip(&mut words, "}"),
                ";" => {}
                _ => skip(&mut words, ";"),
            }
        }
        let names: Vec<String> = declared.keys().cloned().collect();
        // A name refers to the message in the innermost scope.
        let resolve = |scope: &str, kind: &str| {
            let mut scopes = vec![format!("{scope}.{kind}")];
            scopes.extend(scope.rmatch_indices('.').map(|(end, _)| format!("{}.{kind}", &scope[..end])));
            scopes.push(kind.to_owned());
            scopes.into_iter().find(|name| names.contains(name))
        };
        let fields = |(name, fields): (String, Vec<(u32, bool, String)>)| {
            let field = |(number, is_single, kind): (u32, bool, String)| {
                let message = resolve(&name, &kind);
                assert!(
                    message.is_some()
                        || kind.starts_with(char::is_lowercase)
                        || kind.ends_with("Type")
                        || kind == "DataLocation",
                    "{kind}"
                );
                SchemaField { number, is_single, message }
            };
            let mut fields: Vec<SchemaField> = fields.into_iter().map(field).collect();
            fields.sort_by_key(|field| field.number);
            (name, fields)
        };
        Self(declared.into_iter().map(fields).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn fields(&self, message: &str) -> &[SchemaField] {
        &self.0[message]
    }

    /// Returns every path of fields that leads from the message `from` to the message `to` and uses each field at most
    /// once.
    pub(super) fn paths(&self, from: &str, to: &str) -> Vec<FieldPath> {
        let mut paths = Vec::new();
        self.walk(from, to, &mut Vec::new(), &mut paths);
        paths
    }

    fn walk<'a>(&'a self, from: &'a str, to: &str, steps: &mut Vec<(&'a str, u32)>, paths: &mut Vec<FieldPath>) {
        if from == to && !steps.is_empty() {
            paths.push(steps.iter().map(|(_, number)| *number).collect());
        }
        for field in self.fields(from) {
            let Some(inner) = &field.message else { continue };
            let step = (from, field.number);
            if !steps.contains(&step) {
                steps.push(step);
                self.walk(inner, to, steps, paths);
                steps.pop();
            }
        }
    }
}

/// Parses the declaration of a message after the keyword `message`, and adds it to `declared`.
fn message<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    scope: &str,
    declared: &mut BTreeMap<String, Vec<(u32, bool, String)>>,
) {
    let name = words.next().unwrap();
    let name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
    assert_eq!(words.next(), Some("{"));
    let (mut fields, mut is_in_oneof) = (Vec::new(), false);
    while let Some(word) = words.next() {
        match word {
            "message" => message(words, &name, declared),
            "enum" => skip(words, "}"),
            "reserved" => skip(words, ";"),
            "oneof" => {
                skip(words, "{");
                is_in_oneof = true;
            }
            "}" if is_in_oneof => is_in_oneof = false,
            "}" => break,
            ";" => {}
            _ => {
                let kind = if is_in_oneof { word } else { words.next().unwrap() };
                let _name = words.next().unwrap();
                assert_eq!(words.next(), Some("="));
                let number = words.next().unwrap().parse().unwrap();
                assert!(is_in_oneof || ["optional", "repeated"].contains(&word), "{word}");
                fields.push((number, word != "repeated", kind.to_owned()));
                skip(words, ";");
            }
        }
    }
    declared.insert(name, fields);
}

fn skip<'a>(words: &mut impl Iterator<Item = &'a str>, end: &str) {
    assert!(words.any(|word| word == end));
}
