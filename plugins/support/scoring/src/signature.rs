//! A model's signature: the columns or tensors that it takes, and its parameters. Never looks at data.

use jiter::{Jiter, JsonValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tensor::DType;

/// `signature` of `MLmodel`: each part is a JSON document in a string.
#[derive(Debug, Deserialize)]
pub struct SavedSignature {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

/// What a model takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The inputs; `None` where the signature has only outputs or parameters.
    pub inputs: Option<Schema>,
    /// The parameters; `None` where the signature has none, and what is given is ignored.
    pub params: Option<Vec<ParamSpec>>,
}

/// The inputs of a model: at least one, and all of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// Columns of a dataframe; either all have a name or none.
    Columns(Vec<ColumnSpec>),
    /// Arrays; either all have a name, or there is one without.
    Tensors(Vec<TensorSpec>),
}

/// A column of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// Its name; `None` where columns are known by their place.
    pub name: Option<String>,
    /// What its cells are.
    pub kind: ColumnType,
    /// Whether it has to be there.
    pub required: bool,
}

/// What the cells of a column are.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnType {
    /// Whatever the caller gives.
    Any,
    /// Lists of such cells.
    Array(Box<Self>),
    /// What no tensor can hold, by its name: `object`, `map`, `sparkml_vector`.
    Other(String),
    /// One value.
    Scalar(ScalarType),
}

/// MLflow's types of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// Bytes; base64 in JSON and CSV.
    Binary,
    /// `true` or `false`.
    Boolean,
    /// A time without a time zone.
    Datetime,
    /// A float of 64 bits.
    Double,
    /// A float of 32 bits.
    Float,
    /// An integer of 32 bits.
    Integer,
    /// An integer of 64 bits.
    Long,
    /// Text.
    String,
}

/// A tensor of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Its name; `None` where it is the only one.
    pub name: Option<String>,
    /// The type of its elements.
    pub dtype: DType,
    /// Its dimensions; `None` where one may have any size.
    pub shape: Vec<Option<usize>>,
}

/// A parameter of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// What it is; `None` for what has no scalar type, such as an object.
    pub kind: Option<ScalarType>,
    /// Whether it is a list of such values.
    pub is_list: bool,
}

impl ScalarType {
    /// MLflow's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Boolean => "boolean",
            Self::Datetime => "datetime",
            Self::Double => "double",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::String => "string",
        }
    }

    /// The type that MLflow calls so.
    fn from_name(name: &str) -> Option<Self> {
        const ALL: [ScalarType; 8] = [
            ScalarType::Binary,
            ScalarType::Boolean,
            ScalarType::Datetime,
            ScalarType::Double,
            ScalarType::Float,
            ScalarType::Integer,
            ScalarType::Long,
            ScalarType::String,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a tensor of such values holds.
    pub fn dtype(self) -> DType {
        match self {
            Self::Binary => DType::Binary,
            Self::Boolean => DType::Bool,
            Self::Datetime => DType::Datetime,
            Self::Double => DType::Float64,
            Self::Float => DType::Float32,
            Self::Integer => DType::Int32,
            Self::Long => DType::Int64,
            Self::String => DType::String,
        }
    }
}

impl Signature {
    /// Reads what `MLmodel` holds.
    ///
    /// # Errors
    /// What of the signature cannot be read, as a sentence.
    pub fn from_saved(saved: SavedSignature) -> Result<Self, String> {
        let within = |part: &str, why: String| format!("in `{part}` of the signature: {why}");
        let inputs = entries(saved.inputs.as_deref()).and_then(|inputs| inputs.map(schema).transpose());
        let params = entries(saved.params.as_deref());
        let params = params.and_then(|params| params.map(|params| params.iter().map(param).collect()).transpose());
        Ok(Self {
            inputs: inputs.map_err(|why| within("inputs", why))?,
            params: params.map_err(|why| within("params", why))?,
        })
    }
}

/// The entries of a JSON list, which are objects; `None` for nothing.
fn entries(json: Option<&str>) -> Result<Option<Vec<Map<String, Value>>>, String> {
    let Some(json) = json else { return Ok(None) };
    // A default may be `NaN`, which Python writes.
    let mut jiter = Jiter::new(json.as_bytes()).with_allow_inf_nan();
    let value = jiter.next_value().and_then(|value| jiter.finish().map(|()| value));
    let value = value.map_err(|error| format!("it is no JSON: {}", error.description(&jiter)))?;
    match to_json(&value) {
        Value::Null => Ok(None),
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| match entry {
                Value::Object(members) => Ok(members),
                other => Err(format!("expected objects, got `{other}`")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        other => Err(format!("expected a list, got `{other}`")),
    }
}

/// `NaN` and the infinities, which only defaults can be, become null: no default is ever used.
fn to_json(value: &JsonValue<'_>) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(truth) => Value::Bool(*truth),
        JsonValue::Int(int) => Value::from(*int),
        JsonValue::Float(float) => Value::from(*float),
        JsonValue::Str(text) => Value::from(text.as_ref()),
        JsonValue::Array(items) => items.iter().map(to_json).collect(),
        JsonValue::Object(members) => members.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect(),
    }
}

fn schema(entries: Vec<Map<String, Value>>) -> Result<Schema, String> {
    let names = entries.iter().filter(|entry| text(entry, "name").is_some()).count();
    if entries.is_empty() {
        return Err("it is empty".to_owned());
    }
    if names != 0 && names != entries.len() {
        return Err("some inputs have a name and some have none".to_owned());
    }
    let tensors = entries.iter().filter(|entry| text(entry, "type") == Some("tensor")).count();
    if tensors == 0 {
        return entries.iter().map(column).collect::<Result<_, _>>().map(Schema::Columns);
    }
    if tensors != entries.len() {
        return Err("some inputs are columns and some are tensors".to_owned());
    }
    if names == 0 && tensors > 1 {
        return Err(format!("it has {tensors} tensors without a name, where there can be one"));
    }
    entries.iter().map(tensor).collect::<Result<_, _>>().map(Schema::Tensors)
}

fn text<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(Value::as_str)
}

fn column(entry: &Map<String, Value>) -> Result<ColumnSpec, String> {
    Ok(ColumnSpec {
        name: text(entry, "name").map(str::to_owned),
        kind: column_type(entry)?,
        // MLflow's own reading: `required` is `true` where it is missing, and null is false.
        required: entry.get("required").is_none_or(|required| required == &Value::Bool(true)),
    })
}

fn column_type(entry: &Map<String, Value>) -> Result<ColumnType, String> {
    Ok(match text(entry, "type") {
        None => return Err(format!("`{}` has no `type`", Value::from(entry.clone()))),
        Some("any") => ColumnType::Any,
        Some("array") => match entry.get("items") {
            Some(Value::Object(items)) => ColumnType::Array(Box::new(column_type(items)?)),
            _ => return Err(format!("`{}` has no `items`", Value::from(entry.clone()))),
        },
        Some(other @ ("map" | "object" | "sparkml_vector")) => ColumnType::Other(other.to_owned()),
        Some(name) => match ScalarType::from_name(name) {
            Some(kind) => ColumnType::Scalar(kind),
            None => return Err(format!("`{name}` is no type that this version knows")),
        },
    })
}

fn tensor(entry: &Map<String, Value>) -> Result<TensorSpec, String> {
    let missing = |key: &str| format!("`{}` has no `tensor-spec` with a `{key}`", Value::from(entry.clone()));
    let spec = entry.get("tensor-spec").and_then(Value::as_object).ok_or_else(|| missing("dtype"))?;
    let dtype = text(spec, "dtype").ok_or_else(|| missing("dtype"))?;
    let shape = spec.get("shape").and_then(Value::as_array).ok_or_else(|| missing("shape"))?;
    let dimension = |size: &Value| match size.as_i64() {
        Some(-1) => Ok(None),
        size => size
            .and_then(|size| usize::try_from(size).ok())
            .map(Some)
            .ok_or_else(|| format!("the shape `{}` is none", Value::from(shape.clone()))),
    };
    Ok(TensorSpec {
        name: text(entry, "name").map(str::to_owned),
        dtype: DType::from_name(dtype).ok_or_else(|| format!("`{dtype}` is no dtype that a model can take"))?,
        shape: shape.iter().map(dimension).collect::<Result<_, _>>()?,
    })
}

fn param(entry: &Map<String, Value>) -> Result<ParamSpec, String> {
    Ok(ParamSpec {
        name: text(entry, "name").ok_or("a parameter has no `name`")?.to_owned(),
        kind: text(entry, "type").or_else(|| text(entry, "dtype")).and_then(ScalarType::from_name),
        is_list: entry.get("shape").is_some_and(Value::is_array),
    })
}
