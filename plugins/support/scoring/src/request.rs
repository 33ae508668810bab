//! A request's body: which of the four formats it has, and the values in it. Never looks at a signature.

use std::ops::Range;

use indexmap::IndexMap;
use jiter::Peek;

use crate::array::{Array, Builder};
use crate::fault::Fault;
use crate::frame::{Frame, check_columns};
use crate::json::{Json, excerpt};
use crate::records::Records;

/// What a request asks a model to predict.
#[derive(Debug)]
pub(crate) enum Data {
    /// `dataframe_split`, `dataframe_records`, CSV.
    Frame(Frame),
    /// A list of objects in `inputs`: a dataframe, but no tensors.
    Records(Frame),
    /// A list of objects in `instances`: a dataframe, or tensors of which the outermost dimension is rows.
    Instances(Frame),
    /// An object in `inputs` or `instances`.
    Named(IndexMap<String, Array>),
    /// A list or a value in `inputs` or `instances`.
    Array(Array),
}

/// A request in JSON.
pub(crate) struct Request<'a> {
    text: &'a str,
    format: Format,
    data: Range<usize>,
    params: Option<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Inputs,
    Instances,
    Records,
    Split,
}

impl Format {
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

impl<'a> Request<'a> {
    /// Finds the parts of a body; of a key that comes twice the last value counts, as in Python.
    pub(crate) fn new(text: &'a str) -> Result<Self, Fault> {
        let expected =
            "expected an object with one of `inputs`, `instances`, `dataframe_records` and `dataframe_split`";
        let mut json = Json::new(text, 0..text.len());
        if json.peek()? != Peek::Object {
            return Err(Fault::bad_request(format!("the body is not an object: {expected}")));
        }
        let (mut found, mut params, mut others): ([Option<Range<usize>>; 4], _, _) = Default::default();
        json.members(|json, key| {
            let peek = json.peek()?;
            let part = json.skip(peek)?;
            if let Some(format) = Format::ALL.into_iter().find(|format| format.key() == key) {
                found[format as usize] = Some(part);
            } else if key == "params" {
                params = Some(part);
            } else {
                note(&mut others, key);
            }
            Ok(())
        })?;
        json.finish()?;
        let mut formats = Format::ALL.into_iter().filter_map(|format| Some((format, found[format as usize].take()?)));
        match (formats.next(), formats.next()) {
            (Some((format, data)), None) => Ok(Self { text, format, data, params }),
            (Some((one, _)), Some((other, _))) => {
                Err(Fault::bad_request(format!("the body has `{}` and `{}`: {expected}", one.key(), other.key())))
            }
            _ => Err(others_only(&others, expected)),
        }
    }

    /// Where the parameters are, if there are any.
    pub(crate) fn params(&self) -> Option<Range<usize>> {
        self.params.clone()
    }

    /// Reads the values.
    pub(crate) fn data(self) -> Result<Data, Fault> {
        let Self { text, format, data, .. } = self;
        match format {
            Format::Split => Frame::read_split(text, data).map(Data::Frame),
            Format::Records => Frame::read_records(text, data).map(Data::Frame),
            Format::Inputs => inputs(text, data),
            Format::Instances => instances(text, data),
        }
    }
}

/// Keeps some of the keys for a message.
fn note(others: &mut Vec<String>, key: &str) {
    const MOST: usize = 8;
    if others.len() < MOST {
        others.push(key.to_owned());
    }
}

/// Why a body without one of the formats is refused.
fn others_only(others: &[String], expected: &str) -> Fault {
    const CHAT: [&str; 3] = ["input", "messages", "prompt"];
    if others.is_empty() {
        return Fault::bad_request(format!("the body is empty: {expected}"));
    }
    let keys = others.iter().map(|key| format!("`{}`", excerpt(key))).collect::<Vec<_>>().join(", ");
    if others.iter().any(|key| CHAT.contains(&key.as_str())) {
        return Fault::schema(format!("the body has {keys} as for a chat model, which this is not: {expected}"));
    }
    Fault::bad_request(format!("the body has {keys}: {expected}"))
}

/// Reads the value of `inputs`.
fn inputs(text: &str, part: Range<usize>) -> Result<Data, Fault> {
    values(text, part, "inputs", Data::Records)
}

/// Reads the value of `instances`, where every tensor has a first dimension, rows, and all have the same.
fn instances(text: &str, part: Range<usize>) -> Result<Data, Fault> {
    let data = values(text, part, "instances", Data::Instances)?;
    if let Data::Named(arrays) = &data {
        let mut rows = arrays.iter().filter_map(|(name, array)| Some((name, array.shape.first()?)));
        if let Some((first, expected)) = rows.next()
            && let Some((other, given)) = rows.find(|(_, rows)| *rows != expected)
        {
            let (first, other) = (excerpt(first), excerpt(other));
            return Err(Fault::bad_request(format!("`{first}` has {expected} instances, and `{other}` has {given}")));
        }
    }
    Ok(data)
}

fn values(text: &str, part: Range<usize>, key: &str, records: fn(Frame) -> Data) -> Result<Data, Fault> {
    let mut json = Json::new(text, part.clone());
    let peek = json.peek()?;
    if peek == Peek::Null {
        return Err(Fault::bad_request(format!("`{key}` is null")));
    }
    if peek == Peek::Object {
        let mut named = IndexMap::new();
        json.members(|json, key| {
            let array = array(json)?;
            named.insert(key.to_owned(), array);
            check_columns(named.len())
        })?;
        return Ok(Data::Named(named));
    }
    if peek == Peek::Array && json.first_item()? == Some(Peek::Object) {
        return Records::default().read(&mut Json::new(text, part)).map(records);
    }
    array(&mut Json::new(text, part)).map(Data::Array)
}

fn array(json: &mut Json<'_>) -> Result<Array, Fault> {
    let peek = json.peek()?;
    let mut builder = Builder::default();
    builder.value(json, peek)?;
    Ok(builder.finish(None))
}
