//! Checks that the result of every recorded case in every format has the recorded values, shape and dtype. If an error
//! was recorded, checks that the result is an error.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field};
use indexmap::IndexMap;
use ndarray::ArrayD;

use super::differences::{DIFFERENCES, DO_NOT_COMPILE, Difference, REPR};
use crate::client::predictions::parse::parse;
use crate::client::predictions::{Element, Ndarray, PredictionsResponse, Value};
use crate::{ErrorCode, TargetError};

const RESPONSES: &str = include_str!("../recordings/predictions-response.json");
const MORE_SHAPES: &str = include_str!("../recordings/more-shapes.json");
const WIRE: &str = include_str!("../recordings/pure_predictions_response.json");
const DOCUMENTATION: &str = include_str!("../mod.rs");

#[test]
fn predictions_equal_the_recordings() {
    let mut tally = Tally::default();
    for recording in [RESPONSES, MORE_SHAPES] {
        for case in list(get(&value(recording), "cases")) {
            tally.case(case);
        }
    }
    let wire = value(WIRE);
    for row in list(get(&wire, "rows")) {
        tally.row(row);
    }
    for call in list(get(&wire, "other")) {
        tally.call(call);
    }
    tally.close();
}

/// The results of the comparisons with the recordings.
#[derive(Default)]
struct Tally {
    passing: usize,
    /// The cases that differ deliberately, each as a format and an input.
    different: Vec<(String, String)>,
    failing: String,
    failures: usize,
}

impl Tally {
    /// Compares the recorded result of a case in one format with the result of this crate.
    fn compare(&mut self, format: &str, case: &str, expected: &Value, found: &Value) {
        let known = |known: &&Difference| known.format == format && known.cases.contains(&case);
        let is_repr = format == "ndarray[str]" && expected != found && without_reprs(expected) == *found;
        let listed = is_repr || DIFFERENCES.iter().any(|difference| known(&difference));
        match (expected == found, listed) {
            (true, false) => self.passing += 1,
            (false, true) => self.different.push((format.to_owned(), case.to_owned())),
            (same, _) => {
                let why = if same { "listed as different, but equal" } else { "different" };
                self.fail(&format!("{format} of {case}: {why}\n  recorded {expected}\n  found    {found}"));
            }
        }
    }

    /// Counts a recorded call that does not compile in Rust. Fails the test if the call is not listed.
    fn does_not_compile(&mut self, call: &str) {
        match DO_NOT_COMPILE.iter().any(|(known, _)| *known == call) {
            true => self.different.push(("call".to_owned(), call.to_owned())),
            false => self.fail(&format!("no test for {call}")),
        }
    }

    fn fail(&mut self, why: &str) {
        self.failures += 1;
        writeln!(self.failing, "{why}").unwrap();
    }

    /// Compares the results of a recorded case in all its formats. Its input is the text of a response.
    fn case(&mut self, case: &Value) {
        let input = text(get(case, "input"));
        let mut recorded = object(case).clone();
        recorded.shift_remove("input");
        if let Some(format) = recorded.get("format") {
            return self.does_not_compile(&format!("get_predictions('{}')", text(format)));
        }
        match (PredictionsResponse::from_json(input), recorded.get("from_json_error")) {
            (Ok(response), None) => self.formats(&response, &recorded),
            (Err(error), Some(expected)) => self.rejected(input, &error, expected),
            (found, expected) => self.fail(&format!("from_json of {input}: recorded {expected:?}, found {found:?}")),
        }
    }

    /// Compares the results of a recorded case in all its formats. Its input is the value of `predictions`.
    fn row(&mut self, row: &Value) {
        let mut recorded = object(row).clone();
        let input = format!("{{\"predictions\": {}}}", recorded.shift_remove("predictions").unwrap());
        let recorded = recorded.into_iter().map(|(format, recorded)| match format.strip_prefix("ndarray_") {
            Some(dtype) => (format!("ndarray[{dtype}]"), recorded),
            None => (format, recorded),
        });
        self.formats(&PredictionsResponse::from_json(input).unwrap(), &recorded.collect());
    }

    fn formats(&mut self, response: &PredictionsResponse, recorded: &IndexMap<String, Value>) {
        let case = response.contents()["predictions"].to_string();
        for (format, recorded) in recorded {
            let (expected, found) = match format.as_str() {
                "to_json" => (recorded_json(recorded), Ok(response.to_json(None).unwrap().unwrap().into())),
                "dataframe" => {
                    (recorded_dataframe(recorded), response.get_predictions().map(|batch| dataframe(&batch)))
                }
                _ => (recorded_array(recorded), array(response, format)),
            };
            let found = found.unwrap_or_else(|error| {
                assert_eq!(*error.code(), ErrorCode::INVALID_PARAMETER_VALUE);
                failed()
            });
            self.compare(format, &case, &expected, &found);
        }
    }

    fn rejected(&mut self, input: &str, error: &TargetError, recorded: &Value) {
        let expected = text(get(recorded, "message"));
        self.compare("message", input, &words(expected), &words(error.message()));
        if let Some(code) = object(recorded).get("error_code") {
            self.compare("code", input, code, &error.code().as_str().into());
        }
    }

    /// Compares the result of a recorded function call.
    fn call(&mut self, call: &Value) {
        let (name, result) = (text(get(call, "call")), get(call, "result"));
        match (name, object(call).get("arg")) {
            ("from_json", Some(Value::String(json))) => match PredictionsResponse::from_json(json) {
                Err(error) => self.rejected(json, &error, result),
                Ok(response) => {
                    let found = Value::Object(response.contents().clone()).to_string();
                    self.compare(
                        "contents",
                        json,
                        &get(result, "PredictionsResponse").to_string().into(),
                        &found.into(),
                    );
                }
            },
            ("from_json", _) => self.does_not_compile("from_json(None)"),
            ("to_json unicode", _) => {
                let response = PredictionsResponse::from_json(r#"{"predictions": ["é", NaN], "z": 1}"#).unwrap();
                self.compare(name, "", get(result, "value"), &response.to_json(None).unwrap().unwrap().into());
            }
            ("to_json(path)", _) => {
                let response = PredictionsResponse::from_json(r#"{"predictions": ["é"]}"#).unwrap();
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("response.json");
                let nothing = response.to_json(Some(&path)).unwrap().map_or(Value::Null, Value::from);
                self.compare(name, "", get(result, "value"), &nothing);
                self.compare(name, "file", get(call, "file"), &std::fs::read_to_string(&path).unwrap().into());
            }
            _ => self.does_not_compile(name),
        }
    }

    /// Prints the number of equal and different results, and checks that every listed difference occurs and is
    /// documented.
    fn close(mut self) {
        let listed = DIFFERENCES.iter().flat_map(|known| known.cases.iter().map(|case| (known.format, *case)));
        for (format, case) in listed.chain(DO_NOT_COMPILE.iter().map(|(call, _)| ("call", *call))) {
            if !self.different.iter().any(|(known, at)| (known.as_str(), at.as_str()) == (format, case)) {
                self.fail(&format!("{format} of {case}: listed as different, but not recorded"));
            }
        }
        let documented = DIFFERENCES.iter().map(|known| known.documented);
        for row in documented.chain(DO_NOT_COMPILE.iter().map(|(_, row)| *row)).chain([REPR]) {
            if !DOCUMENTATION.contains(row) {
                self.fail(&format!("not in the documentation: {row}"));
            }
        }
        println!(
            "predictions recordings: {} passing, {} deliberately different, {} failing",
            self.passing,
            self.different.len(),
            self.failures
        );
        assert_eq!(self.failures, 0, "\n{}", self.failing);
    }
}

/// Converts Python's reprs of dicts and lists to JSON.
fn without_reprs(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            let words = [("'", "\""), ("None", "null"), ("True", "true"), ("False", "false"), ("nan", "NaN")];
            words.iter().fold(text.clone(), |text, (python, json)| text.replace(python, json)).into()
        }
        Value::Array(items) => Value::Array(items.iter().map(without_reprs).collect()),
        other => other.clone(),
    }
}

/// Returns the recorded text of `to_json`, which one of the recordings wraps in an object.
fn recorded_json(recorded: &Value) -> Value {
    match recorded {
        Value::Object(wrapped) => wrapped["value"].clone(),
        text => text.clone(),
    }
}

/// Returns the dtype, the shape and the elements of a recorded array. Returns the text `an error` if an error was
/// recorded.
fn recorded_array(recorded: &Value) -> Value {
    let recorded = object(recorded);
    if recorded.contains_key("error") {
        return failed();
    }
    let dtype = match text(&recorded["dtype"]) {
        dtype if dtype.starts_with("<U") => "str",
        dtype => dtype,
    };
    let elements = recorded.get("data").or(recorded.get("ndarray")).unwrap();
    Value::Array(vec![dtype.into(), recorded["shape"].clone(), plain(elements)])
}

/// Returns the columns, the dtypes, the index and the rows of a recorded dataframe. The index is `null` if it has no
/// names. Returns the text `an error` if an error was recorded.
fn recorded_dataframe(recorded: &Value) -> Value {
    let recorded = object(recorded).get("DataFrame").unwrap_or(recorded);
    let recorded = object(recorded);
    if recorded.contains_key("error") {
        return failed();
    }
    let index = list(&recorded["index"]);
    let has_names = match recorded.get("index_dtype") {
        Some(dtype) => text(dtype) != "int64",
        None => matches!(index.first(), Some(Value::String(_))),
    };
    // Column labels may be numbers. A dataframe without columns may have no recorded rows.
    let columns: Vec<_> = list(&recorded["columns"]).iter().map(|name| as_text(name).into()).collect();
    let rows = match columns.is_empty() {
        true => vec![Value::Array(Vec::new()); index.len()],
        false => list(&recorded["data"]).iter().map(|row| missing(plain(row))).collect(),
    };
    let index = if has_names { recorded["index"].clone() } else { Value::Null };
    Value::Array(vec![Value::Array(columns), recorded["dtypes"].clone(), index, Value::Array(rows)])
}

/// Converts a record batch to the form that [`recorded_dataframe`] returns.
fn dataframe(batch: &RecordBatch) -> Value {
    let schema = batch.schema();
    let mut columns: Vec<_> = schema.fields().iter().zip(batch.columns()).collect();
    let index = columns.pop_if(|(field, _)| field.name() == "__index_level_0__");
    let index = index.map_or(Value::Null, |(_, names)| {
        Value::Array(names.as_string::<i32>().iter().map(|name| name.unwrap().into()).collect())
    });
    let names = columns.iter().map(|(field, _)| field.name().as_str().into()).collect();
    let dtypes = columns.iter().map(|(field, _)| dtype(field).into()).collect();
    let cells: Vec<_> = columns.iter().map(|(field, array)| cells(field, array)).collect();
    let rows = (0..batch.num_rows()).map(|row| Value::Array(cells.iter().map(|cells| cells[row].clone()).collect()));
    Value::Array(vec![Value::Array(names), Value::Array(dtypes), index, Value::Array(rows.collect())])
}

fn dtype(field: &Field) -> &'static str {
    match field.data_type() {
        DataType::Boolean => "bool",
        DataType::Float64 => "float64",
        DataType::Int64 => "int64",
        DataType::UInt64 => "uint64",
        DataType::Utf8 if field.metadata().get(EXTENSION_TYPE_NAME_KEY).is_some_and(|name| name == "arrow.json") => {
            "object"
        }
        DataType::Utf8 => "str",
        other => panic!("unexpected column type {other}"),
    }
}

fn cells(field: &Field, array: &dyn Array) -> Vec<Value> {
    let cell = |row| match dtype(field) {
        _ if array.is_null(row) => Value::Null,
        "bool" => Value::Bool(array.as_boolean().value(row)),
        "float64" => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        "int64" => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        "uint64" => value(&array.as_primitive::<UInt64Type>().value(row).to_string()),
        "object" => value(array.as_string::<i32>().value(row)),
        _ => array.as_string::<i32>().value(row).into(),
    };
    (0..array.len()).map(|row| missing(plain(&cell(row)))).collect()
}

/// Converts the predictions to the array format with this name, such as `ndarray[str]`. Returns the array in the form
/// that [`recorded_array`] returns.
fn array(response: &PredictionsResponse, format: &str) -> Result<Value, TargetError> {
    Ok(match format {
        "ndarray" => match response.get_predictions()? {
            Ndarray::Bool(array) => nested(&array, |element| Value::Bool(*element)),
            Ndarray::Float64(array) => nested(&array, |element| Value::Float(*element)),
            Ndarray::Int64(array) => nested(&array, |element| Value::Int(*element)),
            Ndarray::Object(array) => nested(&array, Value::clone),
            Ndarray::Str(array) => nested(&array, |element| element.as_str().into()),
            Ndarray::Uint64(array) => nested(&array, |element| value(&element.to_string())),
        },
        "ndarray[bool]" => nested(&response.get_predictions()?, |element| Value::Bool(*element)),
        "ndarray[float32]" => nested::<f32>(&response.get_predictions()?, |element| Value::Float((*element).into())),
        "ndarray[float64]" => nested(&response.get_predictions()?, |element| Value::Float(*element)),
        "ndarray[int32]" => nested::<i32>(&response.get_predictions()?, |element| Value::Int((*element).into())),
        "ndarray[int64]" => nested(&response.get_predictions()?, |element| Value::Int(*element)),
        "ndarray[object]" => nested(&response.get_predictions()?, Value::clone),
        "ndarray[str]" => nested::<String>(&response.get_predictions()?, |element| element.as_str().into()),
        "ndarray[uint64]" => nested::<u64>(&response.get_predictions()?, |element| value(&element.to_string())),
        "ndarray[uint8]" => nested::<u8>(&response.get_predictions()?, |element| Value::Int((*element).into())),
        other => panic!("no test for the format {other}"),
    })
}

fn nested<T: Element>(array: &ArrayD<T>, element: fn(&T) -> Value) -> Value {
    fn level(shape: &[usize], elements: &mut impl Iterator<Item = Value>) -> Value {
        match shape {
            [] => elements.next().unwrap(),
            [length, inner @ ..] => Value::Array((0..*length).map(|_| level(inner, elements)).collect()),
        }
    }
    let shape = array.shape().iter().map(|length| Value::Int((*length).try_into().unwrap())).collect();
    let elements = level(array.shape(), &mut array.iter().map(element));
    Value::Array(vec![T::DTYPE.into(), Value::Array(shape), plain(&elements)])
}

/// Replaces the floats that JSON cannot represent by their names, such as `NaN`, as the recordings do.
fn plain(value: &Value) -> Value {
    match value {
        Value::Float(float) if !float.is_finite() => value.to_string().into(),
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}

/// Replaces missing values with `null`, also inside lists.
fn missing(value: Value) -> Value {
    match value {
        Value::String(text) if text == "NaN" => Value::Null,
        Value::Array(items) => Value::Array(items.into_iter().map(missing).collect()),
        other => other,
    }
}

/// Returns the words of a message in lower case, without punctuation and without the value at its end.
fn words(message: &str) -> Value {
    let message = message.to_lowercase();
    let start = message.split("received").next().unwrap().split("valid json").next().unwrap();
    let words: Vec<_> = start.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ").into()
}

fn failed() -> Value {
    "an error".into()
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn value(json: &str) -> Value {
    parse(json.as_bytes()).unwrap()
}

fn object(value: &Value) -> &IndexMap<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("expected a dict, found {other}"),
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => panic!("expected a list, found {other}"),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        other => panic!("expected a string, found {other}"),
    }
}

fn get<'a>(value: &'a Value, key: &str) -> &'a Value {
    &object(value)[key]
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
