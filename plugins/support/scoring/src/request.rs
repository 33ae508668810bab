//! Reads the JSON body of a request in one of its four formats. Does not use the model's signature.

use std::ops::Range;

use indexmap::IndexMap;
use jiter::Peek;

use crate::array::{ArrayBuilder, NestedArray};
use crate::error::ProtocolError;
use crate::frame::{Frame, check_columns};
use crate::json::JsonReader;
use crate::message::{log_ignored, shorten};
use crate::records::RecordsReader;

/// The values of a request, before they are matched with the model's signature.
#[derive(Debug)]
pub(crate) enum RequestData {
    /// A dataframe from `dataframe_split`, `dataframe_records` or CSV.
    Frame(Frame),
    /// A dataframe from a list of objects in `inputs`.
    Records(Frame),
    /// A list of objects in `instances`: a dataframe, or tensors whose outermost dimension is the rows.
    Instances(Frame),
    /// The members of an object in `inputs` or `instances`, by name.
    Named(IndexMap<String, NestedArray>),
    /// A list or a single value in `inputs` or `instances`.
    Array(NestedArray),
}

/// A request with a JSON body.
pub(crate) struct JsonRequest<'a> {
    text: &'a str,
    format: RequestFormat,
    data: Range<usize>,
    params: Option<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestFormat {
    Inputs,
    Instances,
    Records,
    Split,
}

impl RequestFormat {
    const ALL: [Self; 4] = [Self::Inputs, Self::Instances, Self::Records, Self::Split];

    fn key(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Instances => "instances",
            Self::Records => "dataframe_records",
            Self::Split => "dataframe_split",
        }
    }
}

impl<'a> JsonRequest<'a> {
    /// Finds the format, the data and the parameters in a JSON body. If a key is repeated, its last value applies, as
    /// in Python.
    pub(crate) fn new(text: &'a str) -> Result<Self, ProtocolError> {
        let expected =
            "expected an object with one of `inputs`, `instances`, `dataframe_records` and `dataframe_split`";
        let mut json = JsonReader::new(text, 0..text.len());
        if json.peek()? != Peek::Object {
            return Err(ProtocolError::bad_request(format!("the body is not an object: {expected}")));
        }
        let (mut found, mut params): ([Option<Range<usize>>; 4], _) = Default::default();
        let mut others = Vec::new();
        json.members(|json, key| {
            let peek = json.peek()?;
            let part = json.skip(peek)?;
            if let Some(format) = RequestFormat::ALL.into_iter().find(|format| format.key() == key) {
                found[format as usize] = Some(part);
            } else if key == "params" {
                params = Some(part);
            } else {
                keep_key(&mut others, key);
            }
            Ok(())
        })?;
        json.finish()?;
        let mut formats =
            RequestFormat::ALL.into_iter().filter_map(|format| Some((format, found[format as usize].take()?)));
        match (formats.next(), formats.next()) {
            (Some((format, data)), None) => {
                log_ignored("the members", others.iter().map(String::as_str), "requests do not have");
                Ok(Self { text, format, data, params })
            }
            (Some((one, _)), Some((other, _))) => Err(ProtocolError::bad_request(format!(
                "the body has `{}` and `{}`: {expected}",
                one.key(),
                other.key()
            ))),
            _ => Err(unknown_format(&others, expected)),
        }
    }

    /// Returns the byte range of the parameters in the body, or `None` if the body has no parameters.
    pub(crate) fn params(&self) -> Option<Range<usize>> {
        self.params.clone()
    }

    /// Reads the values of the request.
    pub(crate) fn data(self) -> Result<RequestData, ProtocolError> {
        let Self { text, format, data, .. } = self;
        match format {
            RequestFormat::Split => Frame::read_split(text, data).map(RequestData::Frame),
            RequestFormat::Records => dataframe_records(text, data).map(RequestData::Frame),
            RequestFormat::Inputs => inputs(text, data),
            RequestFormat::Instances => instances(text, data),
        }
    }
}

/// Adds `key` to the unknown keys for a message, unless the list is full.
fn keep_key(others: &mut Vec<String>, key: &str) {
    const MAX_KEYS: usize = 8;
    if others.len() < MAX_KEYS {
        others.push(key.to_owned());
    }
}

/// Returns the error for a body that has none of the four formats. `others` are the keys that it has instead.
fn unknown_format(others: &[String], expected: &str) -> ProtocolError {
    const CHAT: [&str; 3] = ["input", "messages", "prompt"];
    if others.is_empty() {
        return ProtocolError::bad_request(format!("the body is empty: {expected}"));
    }
    let keys = others.iter().map(|key| format!("`{}`", shorten(key))).collect::<Vec<_>>().join(", ");
    if others.iter().any(|key| CHAT.contains(&key.as_str())) {
        return ProtocolError::schema(format!(
            "the body has {keys} as for a chat model, but the model is not one: {expected}"
        ));
    }
    ProtocolError::bad_request(format!("the body has {keys}: {expected}"))
}

/// Reads the value of `dataframe_records`: a list of objects, one for each row.
fn dataframe_records(text: &str, part: Range<usize>) -> Result<Frame, ProtocolError> {
    let mut json = JsonReader::new(text, part);
    if json.peek()? != Peek::Array {
        return Err(ProtocolError::bad_request("`dataframe_records` is not a list of objects"));
    }
    RecordsReader::default().read(&mut json)
}

/// Reads the value of `inputs` from the byte range `part` of `text`.
fn inputs(text: &str, part: Range<usize>) -> Result<RequestData, ProtocolError> {
    values(text, part, "inputs", RequestData::Records)
}

/// Reads the value of `instances`. The first dimension of each tensor is the rows. Fails if the tensors have different
/// numbers of rows.
fn instances(text: &str, part: Range<usize>) -> Result<RequestData, ProtocolError> {
    let data = values(text, part, "instances", RequestData::Instances)?;
    if let RequestData::Named(arrays) = &data {
        let mut rows = arrays.iter().filter_map(|(name, array)| Some((name, array.shape.first()?)));
        if let Some((first, expected)) = rows.next()
            && let Some((other, actual)) = rows.find(|(_, rows)| *rows != expected)
        {
            let (first, other) = (shorten(first), shorten(other));
            return Err(ProtocolError::bad_request(format!(
                "`{first}` has {expected} instances, but `{other}` has {actual}"
            )));
        }
    }
    Ok(data)
}

fn values(
    text: &str,
    part: Range<usize>,
    key: &str,
    records: fn(Frame) -> RequestData,
) -> Result<RequestData, ProtocolError> {
    let mut json = JsonReader::new(text, part.clone());
    let peek = json.peek()?;
    if peek == Peek::Null {
        return Err(ProtocolError::bad_request(format!("`{key}` is null")));
    }
    if peek == Peek::Object {
        let mut named = IndexMap::new();
        json.members(|json, key| {
            let array = array(json)?;
            named.insert(key.to_owned(), array);
            check_columns(named.len())
        })?;
        return Ok(RequestData::Named(named));
    }
    if peek == Peek::Array && json.first_item()? == Some(Peek::Object) {
        return RecordsReader::default().read(&mut JsonReader::new(text, part)).map(records);
    }
    array(&mut JsonReader::new(text, part)).map(RequestData::Array)
}

fn array(json: &mut JsonReader<'_>) -> Result<NestedArray, ProtocolError> {
    let peek = json.peek()?;
    let mut builder = ArrayBuilder::default();
    builder.read_value(json, peek)?;
    Ok(builder.finish(None))
}
